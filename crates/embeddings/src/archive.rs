use std::path::Path;

use crate::{Embeddings, Error, Result, side_file};
use ffsvc_kaldi_io::{ArkForm, ArkReader, ArkWriter, ScpReader, Value};

pub(crate) fn read_ark(path: &Path) -> Result<Embeddings> {
    let mut store = Embeddings::new(0);
    for entry in ArkReader::open(path)? {
        let (key, value) = entry?;
        add(&mut store, path, key, value)?;
    }
    side_file::read(&mut store, path)?;
    Ok(store)
}

pub(crate) fn read_scp(path: &Path) -> Result<Embeddings> {
    let mut store = Embeddings::new(0);
    for entry in ScpReader::open(path)?.values() {
        let (key, value) = entry?;
        add(&mut store, path, key.to_owned(), value)?;
    }
    side_file::read(&mut store, path)?;
    Ok(store)
}

fn add(store: &mut Embeddings, path: &Path, key: String, value: Value) -> Result<()> {
    let vector = value
        .into_f32_vector()
        .map_err(|matrix| Error::parse(path, format!("{matrix} for utterance `{key}`"), "one vector"))?;
    store.add(key, &vector).map_err(|message| Error::invalid(path, message))
}

pub(crate) fn write(store: &Embeddings, path: &Path) -> Result<()> {
    let (ark, scp) = (path.with_extension("ark"), path.with_extension("scp"));
    let mut writer = ArkWriter::create(&ark, Some(&scp), ArkForm::Binary)?;
    for (key, vector) in store.iter() {
        writer.write_vector(key, vector)?;
    }
    // The new archive is never seen beside the file of the old one.
    side_file::remove(path)?;
    writer.finish()?;
    side_file::write(store, path)
}
