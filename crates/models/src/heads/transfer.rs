//! Transfer learning: the rows of a trained head for another set of speakers.

use std::collections::HashMap;

use super::Head;
use crate::error::{Error, Result};
use crate::parameters::{load_named, named_tensors};

/// Where the rows of a head came from, see [`Head::transfer`].
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Transferred {
    /// Classes whose rows were there under their name.
    pub kept: usize,
    /// Classes that got rows which had been reserved.
    pub from_reserve: usize,
    /// Classes with random rows, in order.
    pub fresh: Vec<String>,
    /// Classes of the old head that the new one lacks, in order.
    pub dropped: Vec<String>,
}

/// The name of the reserved row `number` (from 1). It has a space, which no speaker of a Kaldi table can have.
pub fn reserved_name(number: usize) -> String {
    format!("reserved {number}")
}

/// Whether this is the name of a reserved row, not of a speaker.
pub fn is_reserved(name: &str) -> bool {
    name.starts_with("reserved ")
}

impl Head {
    /// A head for the classes `to`. `from` has the names of this head's classes. `fresh` is a head with random rows for
    /// `to`.
    ///
    /// - A class that `from` has keeps its rows, bit for bit.
    /// - Another class takes the rows of a reserved class of `from`, as long as there are any, and then those of
    ///   `fresh`.
    /// - Reserved classes of `to` get the rest of the reserve.
    /// - A number that all classes share is kept.
    ///
    /// Parameter ids, margin and scale are those of `fresh`.
    ///
    /// # Errors
    /// [`Error::Config`] if the two heads have other tensors, another embedding size or another number of rows a class.
    pub fn transfer(&self, from: &[String], to: &[String], fresh: Head) -> Result<(Head, Transferred)> {
        let (old, mut new) = (named_tensors(self), named_tensors(&fresh));
        let row = |shape: &[usize], classes: usize| shape.iter().product::<usize>() / classes.max(1);
        let fits = old.len() == new.len()
            && old
                .iter()
                .zip(&new)
                .all(|(a, b)| a.name == b.name && row(&a.shape, from.len()) == row(&b.shape, to.len()))
            && self.num_classes() == from.len()
            && fresh.num_classes() == to.len();
        if !fits {
            let show = |tensors: &[crate::NamedTensor], classes: usize| {
                let shapes: Vec<String> =
                    tensors.iter().map(|tensor| format!("{} {:?}", tensor.name, tensor.shape)).collect();
                format!("{} for {classes} classes", shapes.join(", "))
            };
            return Err(Error::Config {
                field: "head",
                found: format!("{}; the trained one has {}", show(&new, to.len()), show(&old, from.len())),
                expected: "the same tensors and as many values for each class, or a new head",
            });
        }

        let place: HashMap<&str, usize> =
            from.iter().enumerate().map(|(index, name)| (name.as_str(), index)).collect();
        let mut reserve =
            from.iter().enumerate().filter(|(_, name)| is_reserved(name)).map(|(index, _)| index);
        let mut transferred = Transferred::default();
        for (class, name) in to.iter().enumerate() {
            let known = if is_reserved(name) { None } else { place.get(name.as_str()).copied() };
            let source = match known {
                Some(source) => {
                    transferred.kept += 1;
                    source
                }
                None => match reserve.next() {
                    Some(source) => {
                        transferred.from_reserve += 1;
                        source
                    }
                    None => {
                        transferred.fresh.push(name.clone());
                        continue;
                    }
                },
            };
            for (old, new) in old.iter().zip(&mut new) {
                let size = row(&old.shape, from.len());
                new.data[class * size..(class + 1) * size]
                    .copy_from_slice(&old.data[source * size..(source + 1) * size]);
            }
        }
        let wanted: std::collections::HashSet<&str> = to.iter().map(String::as_str).collect();
        transferred.dropped = from
            .iter()
            .filter(|name| !is_reserved(name) && !wanted.contains(name.as_str()))
            .cloned()
            .collect();
        // A tensor of all classes together, such as a bias that they share.
        for (old, new) in old.into_iter().zip(&mut new) {
            if old.shape == new.shape && row(&old.shape, from.len()) == 0 {
                new.data = old.data;
            }
        }
        Ok((load_named(fresh, new)?, transferred))
    }

    /// The head with the first row of some classes in the direction of a centre: pairs of a class and the mean embedding of its
    /// recordings. A row keeps its length. A centre of zeros changes nothing.
    ///
    /// # Errors
    /// [`Error::Config`] for a head without classes, and for a class or an embedding size that it does not have.
    pub fn with_centres(self, centres: &[(usize, Vec<f32>)]) -> Result<Head> {
        let refused = |found: String| Error::Config {
            field: "head",
            found,
            expected: "a head whose classes have a row of the embedding's size",
        };
        let Some([_, size]) = self.weight().map(|weight| weight.dims()) else {
            return Err(refused("no classes".into()));
        };
        let (classes, rows) = (self.num_classes(), self.rows_per_class());
        let mut tensors = named_tensors(&self);
        let Some(weight) = tensors.iter_mut().find(|tensor| tensor.name == "weight") else {
            return Err(refused("no rows".into()));
        };
        for (class, centre) in centres {
            if *class >= classes || centre.len() != size {
                let found = format!("a centre of {} numbers for class {class}", centre.len());
                return Err(refused(format!("{found}; the head has {classes} classes of {size} numbers")));
            }
            let length = norm(centre);
            if length > 0.0 {
                let row = &mut weight.data[class * rows * size..][..size];
                let factor = norm(row) / length;
                for (to, from) in row.iter_mut().zip(centre) {
                    *to = (f64::from(*from) * factor) as f32;
                }
            }
        }
        load_named(self, tensors)
    }
}

fn norm(vector: &[f32]) -> f64 {
    vector.iter().map(|&value| f64::from(value).powi(2)).sum::<f64>().sqrt()
}
