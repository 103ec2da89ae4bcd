//! Where embeddings came from.

use std::fmt;

use ffsvc_hashing::name_with_sha256;
use ffsvc_kaldi_io::NameList;
use serde::{Deserialize, Serialize};
use serde_json::Value as Json;

/// Where the embeddings of a store came from. It travels with the store: in the metadata of a `.safetensors` file, as an
/// array of an `.npz` file, in a small file beside a Kaldi archive.
///
/// ```
/// use ffsvc_embeddings::{Embeddings, Provenance};
/// # let folder = tempfile::tempdir()?;
/// # let path = folder.path().join("dev.npz");
/// let mut store = Embeddings::new(2);
/// store.push("ann-1", &[0.5, -1.0])?;
/// let provenance = Provenance::new("resnet34.safetensors", "5d41402a...");
/// store.set_provenance(Some(provenance.clone()));
/// store.write(&path)?;
/// assert_eq!(Embeddings::read(&path)?.provenance(), Some(&provenance));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Provenance {
    /// The model file, as it was named when the embeddings were extracted.
    pub model: String,
    /// SHA-256 of the model file, hexadecimal. Embeddings of two models cannot be compared.
    pub model_sha256: String,
    /// The network: its architecture and sizes.
    #[serde(default)]
    pub architecture: Json,
    /// The front end: what turned samples into features.
    #[serde(default)]
    pub front_end: Json,
    /// How recordings were read.
    #[serde(default)]
    pub audio: AudioReading,
    /// What the network computed in, where it is not 32-bit floats: `int8`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub precision: Option<String>,
    /// Whether the mean of the model's embeddings was subtracted.
    #[serde(default)]
    pub mean_subtracted: bool,
    /// The program that made the embeddings, with its version.
    #[serde(default)]
    pub program: String,
    /// SHA-256 of the list of recordings.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub list_sha256: Option<String>,
}

/// How recordings were read.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
#[non_exhaustive]
pub struct AudioReading {
    /// Which channel of recordings with several: `first`, `mix`, or a number from 0.
    pub channel: String,
    /// Whether the baseline's low-pass filter was applied.
    pub low_pass: bool,
    /// The detector of the speech, where only the speech of recordings was embedded.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub speech_only: Option<String>,
}

impl AudioReading {
    /// Recordings of which this channel was read, with the baseline's low-pass filter or without it.
    pub fn new(channel: impl Into<String>, low_pass: bool) -> Self {
        Self { channel: channel.into(), low_pass, speech_only: None }
    }
}

impl Provenance {
    /// Embeddings of the model file `model`, whose SHA-256 has these hexadecimal digits. Everything else is unknown;
    /// set the fields.
    pub fn new(model: impl Into<String>, model_sha256: impl Into<String>) -> Self {
        Self {
            model: model.into(),
            model_sha256: model_sha256.into(),
            architecture: Json::Null,
            front_end: Json::Null,
            audio: AudioReading::default(),
            precision: None,
            mean_subtracted: false,
            program: String::new(),
            list_sha256: None,
        }
    }

    /// Why embeddings of this origin and of another cannot be compared; `None` if they can.
    fn difference(&self, other: &Self) -> Option<String> {
        if self.model_sha256 != other.model_sha256 {
            return Some(format!(
                "come from two models, {} and {}",
                self.model_in_words(),
                other.model_in_words()
            ));
        }
        let yes_or_no = |yes: bool| if yes { "yes" } else { "no" };
        for (what, first, second) in [
            ("the subtraction of the model's mean", self.mean_subtracted, other.mean_subtracted),
            ("the baseline's low-pass filter", self.audio.low_pass, other.audio.low_pass),
        ] {
            if first != second {
                let (first, second) = (yes_or_no(first), yes_or_no(second));
                return Some(format!("come from one model, but differ in {what} ({first} and {second})"));
            }
        }
        None
    }

    /// The model as messages name it: with the first digits of its SHA-256.
    pub fn model_in_words(&self) -> String {
        name_with_sha256(&self.model, &self.model_sha256)
    }

    pub(crate) fn to_json(&self) -> String {
        // Strings, flags and JSON values can always be expressed as JSON.
        serde_json::to_string(self).unwrap_or_default()
    }

    pub(crate) fn from_json(text: &str) -> Result<Self, String> {
        serde_json::from_str(text)
            .map_err(|error| format!("the provenance of the store is not readable: {error}"))
    }
}

/// Stores whose embeddings cannot be compared with each other.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MixedModels {
    /// Name of the one.
    pub first: String,
    /// Name of the other.
    pub second: String,
    difference: String,
}

impl fmt::Display for MixedModels {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { first, second, difference } = self;
        write!(
            f,
            "{first} and {second} {difference}: scores between them mean nothing; extract both with one model"
        )
    }
}

impl std::error::Error for MixedModels {}

/// Checks that stores come from one model, so that their embeddings may be compared. Each has the name that messages call
/// it by. Returns those whose origin is not known: worth a word, no more.
///
/// ```
/// use ffsvc_embeddings::{Provenance, check_one_model};
/// let (a, b) = (Provenance::new("a.safetensors", "11"), Provenance::new("b.safetensors", "22"));
/// let unknown = check_one_model([("dev.npz", Some(&a)), ("cohort.ark", None), ("eval.npz", Some(&a))])?;
/// assert_eq!(unknown.to_string(), "cohort.ark");
/// let error = check_one_model([("dev.npz", Some(&a)), ("cohort.npz", Some(&b))]).unwrap_err();
/// assert_eq!((&*error.first, &*error.second), ("dev.npz", "cohort.npz"));
/// # Ok::<(), ffsvc_embeddings::MixedModels>(())
/// ```
///
/// # Errors
/// Two come from different models, or from one model in two ways.
pub fn check_one_model<'a, N: fmt::Display>(
    stores: impl IntoIterator<Item = (N, Option<&'a Provenance>)>,
) -> Result<NameList, MixedModels> {
    let mut unknown = NameList::default();
    let mut first: Option<(N, &Provenance)> = None;
    for (name, provenance) in stores {
        match (&first, provenance) {
            (_, None) => unknown.push(|| name.to_string()),
            (None, Some(provenance)) => first = Some((name, provenance)),
            (Some((other, expected)), Some(provenance)) => {
                if let Some(difference) = expected.difference(provenance) {
                    return Err(MixedModels {
                        first: other.to_string(),
                        second: name.to_string(),
                        difference,
                    });
                }
            }
        }
    }
    Ok(unknown)
}
