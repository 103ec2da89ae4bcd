//! The baseline's store: a dict of utterance and vector that `numpy.save` pickles into a `.npy` file.

use std::path::Path;

use super::dtype::Kind;
use super::pickle::{ArrayData, Item, Pickle, View, load};
use super::{npy, read_file};
use crate::{Embeddings, Error, Result};

/// How much larger than the file the vectors may get. Doubles shrink and floats stay; a file whose vectors grow
/// names the same one many times.
const MOST_GROWTH: usize = 4;

pub(crate) fn read(path: &Path) -> Result<Embeddings> {
    let bytes = read_file(path)?;
    parse(&bytes).map_err(|message| Error::invalid(path, message))
}

fn parse(bytes: &[u8]) -> std::result::Result<Embeddings, String> {
    let array = npy::parse(bytes)?;
    if array.dtype.kind != Kind::Object {
        return Err(format!(
            "a plain numpy array of shape {:?}, not a dict of utterances: read it together with a list of its keys",
            array.shape
        ));
    }
    let pickle = load(array.data).map_err(|e| e.to_string())?;
    let dict = dict(&pickle)?;
    let mut store = Embeddings::new(0);
    let limit = bytes.len().saturating_mul(MOST_GROWTH);
    let mut size = 0_usize;
    for &(key, value) in dict {
        let key = match pickle.view(key) {
            View::Str(key) => key,
            // Python 2 keys.
            View::Bytes(key) => std::str::from_utf8(key).map_err(|_| "a key that is not UTF-8".to_owned())?,
            other => {
                return Err(format!(
                    "found {} as a key of the dict, expected an utterance's name",
                    other.what()
                ));
            }
        };
        let vector = vector(&pickle, value)
            .map_err(|message| format!("utterance `{}`: {message}", key.escape_debug()))?;
        size = size.saturating_add(4 * vector.len());
        if size > limit {
            return Err(
                "the same vector belongs to so many utterances that the file is not one of embeddings"
                    .to_owned(),
            );
        }
        store.add(key.to_owned(), &vector)?;
    }
    Ok(store)
}

/// The dict itself, or the one element of an object array, which is how `numpy.save` wraps it.
fn dict<'p>(pickle: &'p Pickle<'_>) -> std::result::Result<&'p [(Item, Item)], String> {
    let mut view = pickle.view(pickle.root());
    if let View::Array(array) = &view
        && let ArrayData::Items(&[item]) = array.data
    {
        view = pickle.view(item);
    }
    match view {
        View::Dict(pairs) => Ok(pairs),
        other => {
            Err(format!("found {} in the pickle, expected a dict of utterances and vectors", other.what()))
        }
    }
}

fn vector(pickle: &Pickle<'_>, value: Item) -> std::result::Result<Vec<f32>, String> {
    let view = pickle.view(value);
    match &view {
        View::Array(array) if array.dtype.is_float() && npy::is_vector(array.shape) => {
            if let ArrayData::Raw(bytes) = array.data
                && let Some(floats) = array.dtype.floats(bytes)
            {
                return Ok(floats);
            }
        }
        View::List(items) | View::Tuple(items) => {
            let number = |&item| match pickle.view(item) {
                View::Float(x) => Ok(x as f32),
                View::Int(n) => Ok(n as f32),
                other => Err(format!("found {} in its vector, expected numbers", other.what())),
            };
            return items.iter().map(number).collect();
        }
        _ => {}
    }
    Err(format!("found {}, expected a vector of float32 or float64", view.what()))
}
