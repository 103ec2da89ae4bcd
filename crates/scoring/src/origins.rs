//! Which models stores of embeddings, means and back ends come from.

use ffsvc_embeddings::{Embeddings, Provenance, check_one_model};

use crate::remark::{Remark, RemarkKind};
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
