use std::path::PathBuf;

/// What can go wrong with a model, its configuration or its file.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A configured value is outside its range.
    #[error("{field} is {found}; expected {expected}")]
    Config {
        /// The section and field as in the configuration file, for example `model.scale`.
        field: &'static str,
        /// The value found.
        found: String,
        /// What is accepted.
        expected: &'static str,
    },
    /// An utterance is shorter than the model's temporal context.
    #[error(
        "{frames} feature frames are too few: this model needs at least {min_frames}; leave out utterances this short or repeat their samples"
    )]
    TooFewFrames {
        /// Frames of the utterance.
        frames: usize,
        /// The model's minimum.
        min_frames: usize,
    },
    /// Tensors to be loaded do not fit the module.
    #[error("the tensors do not fit the model: {mismatch}")]
    Tensors {
        /// What is missing, left over or of another shape.
        mismatch: TensorMismatch,
    },
    /// A checkpoint cannot be opened, read or written.
    #[error("{}: {source}", path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// The system's answer.
        source: std::io::Error,
    },
    /// A toolkit's configuration file beside a checkpoint cannot be used.
    #[error("{}: {reason}; a front end of one's own may be named instead", path.display())]
    ToolkitConfig {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
    /// A file of weights that is no model file of this toolkit: [`import_model`](crate::toolkits::import_model) makes one of it.
    #[error(
        "{}: it is {found}, not a model file of this toolkit; import it first", path.display()
    )]
    Foreign {
        /// The file.
        path: PathBuf,
        /// What it is.
        found: &'static str,
    },
    /// A network cannot be written as an ONNX model.
    #[error("not a valid ONNX graph: {0}")]
    Onnx(#[from] ffsvc_onnx::Error),
    /// A checkpoint is not what this crate writes.
    #[error("{}: not a usable checkpoint: {cause}", path.display())]
    Checkpoint {
        /// The file.
        path: PathBuf,
        /// What was found and what was expected.
        cause: String,
    },
}

/// The result of this crate's fallible functions.
pub type Result<T> = std::result::Result<T, Error>;

/// How a set of named tensors differs from what a module expects. All lists are in the module's order.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub struct TensorMismatch {
    /// Names that the module has and the set lacks.
    pub missing: Vec<String>,
    /// Names that the set has and the module lacks.
    pub surplus: Vec<String>,
    /// `name: found shape, expected shape`.
    pub ill_shaped: Vec<String>,
}

impl TensorMismatch {
    /// How many names of each kind a message shows.
    pub const SHOWN: usize = 10;

    /// Whether everything fits.
    pub fn is_empty(&self) -> bool {
        self.missing.is_empty() && self.surplus.is_empty() && self.ill_shaped.is_empty()
    }
}

impl std::fmt::Display for TensorMismatch {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let lists = [
            ("missing", &self.missing),
            ("left over", &self.surplus),
            ("of another shape", &self.ill_shaped),
        ];
        let mut separator = "";
        for (what, names) in lists {
            if !names.is_empty() {
                let shown = names[..names.len().min(Self::SHOWN)].join(", ");
                let more = if names.len() > Self::SHOWN { ", ..." } else { "" };
                write!(f, "{separator}{} {what} ({shown}{more})", names.len())?;
                separator = "; ";
            }
        }
        Ok(())
    }
}

/// Largest accepted size of a layer: a hostile description cannot ask for more memory than its tensors fill.
const LARGEST_SIZE: usize = 1 << 16;

/// Fails with [`Error::Config`] unless `size` is one that a layer can have.
pub(crate) fn require_size(size: usize, field: &'static str) -> Result<()> {
    require((1..=LARGEST_SIZE).contains(&size), field, size, "a number from 1 to 65536")
}

/// Fails with [`Error::Config`] unless `accepted`.
pub(crate) fn require(
    accepted: bool,
    field: &'static str,
    found: impl ToString,
    expected: &'static str,
) -> Result<()> {
    if accepted { Ok(()) } else { Err(Error::Config { field, found: found.to_string(), expected }) }
}

/// An error with its causes in one line; a cause whose words the line has already is left out.
pub fn with_causes(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        let words = error.to_string();
        if !text.contains(&words) {
            text = format!("{text}: {words}");
        }
        cause = error.source();
    }
    text
}
