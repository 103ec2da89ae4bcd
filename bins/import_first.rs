//! What to do with a file of another toolkit where a model is wanted.

use ffsvc_models::Error;

/// Adds the command that makes a model of the file, if the error is about a file of another toolkit.
pub(crate) fn import_first(error: Error) -> anyhow::Error {
    let Error::Foreign { path, .. } = &error else { return error.into() };
    let mut model = path.with_extension("safetensors");
    if model == *path {
        model.set_extension("model.safetensors");
    }
    anyhow::anyhow!("{error}: ffsvc-model import {} -o {}", path.display(), model.display())
}

/// As [`import_first`], for a model that is opened with all that belongs to it.
#[allow(dead_code, reason = "not every program that includes this file opens an extractor")]
pub(crate) fn import_first_to_extract(error: ffsvc_extraction::Error) -> anyhow::Error {
    match error {
        ffsvc_extraction::Error::Model(error) => import_first(error),
        error => error.into(),
    }
}
