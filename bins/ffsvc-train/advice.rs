//! What a user can do about an error of training, in terms of this program's options.

use std::error::Error as StdError;
use std::fmt;

use ffsvc_trainer::Error;

use crate::import_first::import_first;

/// An error with the option that helps.
#[derive(Debug)]
struct WithAdvice {
    error: Error,
    advice: &'static str,
}

impl fmt::Display for WithAdvice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}; {}", self.error, self.advice)
    }
}

impl StdError for WithAdvice {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        self.error.source()
    }
}

/// The error, followed by the option that helps where there is one, or by what to do with another toolkit's model.
pub(crate) fn with_advice(error: Error) -> anyhow::Error {
    let advice = match error {
        Error::Device { .. } => "--resume goes on from it",
        Error::WouldOverwrite { .. } => "give --resume to go on from the last one, or another folder",
        Error::NothingToResume { .. } => "leave --resume out to start a run",
        Error::ResumeMismatch { .. } => {
            "give the settings that it began with (EXP/config.toml has them), start a new experiment folder, or use --init-from"
        }
        Error::OtherSpeakers { .. } => {
            "--head keep takes the rows of those that both have, --head new takes none"
        }
        Error::NoHead { .. } => "--head new draws one",
        Error::Model(error) => return import_first(error),
        Error::AnchorWithoutModel { .. } => "--init-from names a model to start from",
        _ => return error.into(),
    };
    WithAdvice { error, advice }.into()
}
