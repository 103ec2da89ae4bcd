//! Which models stores of embeddings, means and back ends come from.

use ffsvc_embeddings::{Embeddings, Provenance, check_one_model};

use crate::remark::{Remark, RemarkKind};
use crate::report::SourceFile;
use crate::{Error, Result};

/// Files of embeddings, or made from embeddings, that are used together.
#[derive(Debug, Default)]
pub(crate) struct Origins(Vec<(String, Option<Provenance>)>);

impl Origins {
    pub(crate) fn add(&mut self, file: &str, provenance: Option<&Provenance>) {
        if self.0.iter().all(|(known, _)| known != file) {
            self.0.push((file.to_owned(), provenance.cloned()));
        }
    }

    /// The model that they come from, as far as it is known, and what is remarkable about it.
    ///
    /// # Errors
    /// They come from different models, which is not allowed.
    pub(crate) fn check(self, allow_other_model: bool) -> Result<(Option<Provenance>, Vec<Remark>)> {
        let files = || self.0.iter().map(|(file, provenance)| (file.as_str(), provenance.as_ref()));
        let model = files().find_map(|(_, provenance)| provenance).cloned();
        let mut remarks = Vec::new();
        match check_one_model(files()) {
            Err(mixed) if !allow_other_model => return Err(Error::MixedModels(mixed)),
            Err(mixed) => remarks.push(Remark::counted(RemarkKind::OtherModel, 1, mixed.to_string())),
            // One file has nothing to differ from.
            Ok(unknown) if self.0.len() > 1 => {
                let sentence = "files do not say which model their embeddings come from: not checked";
                remarks.extend(Remark::about(RemarkKind::UnknownModel, &unknown, sentence));
            }
            Ok(_) => {}
        }
        Ok((model, remarks))
    }
}

/// Checks that stores, each with its name, come from one model, and says what is remarkable about that.
///
/// # Errors
/// They come from different models, unless `allow_other_model` says that they may.
pub fn check_origins<'a>(
    stores: impl IntoIterator<Item = (&'a str, &'a Embeddings)>,
    allow_other_model: bool,
) -> Result<Vec<Remark>> {
    let mut origins = Origins::default();
    stores.into_iter().for_each(|(name, store)| origins.add(name, store.provenance()));
    origins.check(allow_other_model).map(|(_, remarks)| remarks)
}

/// Checks that `what` (the threshold of a report, a calibration), which is of the model `known`, is used for scores of the
/// model file `model`. Says where `file` does not tell.
///
/// # Errors
/// It is of another model.
pub(crate) fn check_same_model(
    what: &str,
    file: &str,
    known: Option<&Provenance>,
    model: &SourceFile,
) -> Result<Option<Remark>> {
    let Some(known) = known else {
        let message = "does not say which model its scores are of: not checked".to_owned();
        return Ok(Some(Remark::counted(RemarkKind::UnknownModel, 1, message).of(file)));
    };
    if known.model_sha256 == model.sha256 {
        return Ok(None);
    }
    Err(Error::OtherModel {
        what: what.to_owned(),
        trained: known.model_in_words(),
        found: model.to_string(),
    })
}
