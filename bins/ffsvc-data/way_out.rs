//! The options that help against errors of the libraries, which know no options.

use ffsvc_corpora::Error as CorpusError;
use ffsvc_kaldi_io::{Cause, Error as FileError, ProblemKind};

/// The error, with the option or subcommand that helps where there is one.
pub(crate) fn named(error: anyhow::Error) -> anyhow::Error {
    let hint = error.chain().find_map(|cause| {
        let file = cause.downcast_ref::<FileError>().and_then(of_file);
        file.or_else(|| cause.downcast_ref::<CorpusError>().and_then(of_corpus))
    });
    match hint {
        Some(hint) => anyhow::anyhow!("{error:#} ({hint})"),
        None => error,
    }
}

fn of_file(error: &FileError) -> Option<&'static str> {
    match error.cause() {
        Cause::AmbiguousColumns => Some("--trial-columns label-first, --trial-columns label-last"),
        Cause::Exists => Some("--overwrite"),
        Cause::Problem(ProblemKind::Pipe, _) => Some("--allow-pipes"),
        _ => None,
    }
}

fn of_corpus(error: &CorpusError) -> Option<&'static str> {
    match error {
        CorpusError::NothingFound { .. } => {
            Some("`ffsvc-data from-folders` makes a data directory of any tree of recordings")
        }
        CorpusError::NoRecording { .. } => {
            Some("--speaker-depth N, --pattern '{speaker}/{session}/{utterance}'")
        }
        CorpusError::Missing { .. } => Some("--skip-missing"),
        CorpusError::Exists { .. } => Some("--overwrite"),
        CorpusError::Tables(error) => of_file(error),
        _ => None,
    }
}
