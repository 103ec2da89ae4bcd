//! The utterances that a model is trained on.

use std::collections::{HashMap, HashSet};

use ffsvc_audio::ReadOptions;
use ffsvc_hashing::Fnv1a;
use ffsvc_kaldi_io::{AudioSource, DataDir};

use crate::config::{DataConfig, Labels};
use crate::domains::TrainingDomain;
use crate::error::{Error, Result};

/// One recording and its speaker.
#[derive(Debug, Clone)]
pub struct TrainingUtterance {
    /// Utterance id.
    pub id: String,
    /// Where its audio is.
    pub source: AudioSource,
    /// Index of its speaker in [`TrainingSet::speakers`].
    pub label: u32,
}

/// All utterances of the training data directories, with speaker indices.
#[derive(Debug, Clone)]
pub struct TrainingSet {
    /// In the order of each directory, one after the other.
    pub utterances: Vec<TrainingUtterance>,
    /// Speaker names: the index of a speaker is its line in `spk2utt`, as in the baseline. Speakers that only a further
    /// directory has follow.
    pub speakers: Vec<String>,
    /// Whether [`speakers`](Self::speakers) are known ones. Otherwise each utterance of a directory without speakers is one.
    pub has_speakers: bool,
    /// The directories.
    pub domains: Vec<TrainingDomain>,
    pub(crate) read: ReadOptions,
}

impl TrainingSet {
    /// Reads the data directories that `config` names. `sample_rate` is the front end's.
    ///
    /// # Errors
    /// Unreadable tables, an utterance in two directories; where labels are required, an utterance without a speaker or fewer
    /// than two speakers.
    pub fn open(config: &DataConfig, sample_rate: u32, needed: Labels) -> Result<Self> {
        config.check()?;
        let (mut utterances, mut speakers, mut domains) = (Vec::new(), Vec::new(), Vec::new());
        let mut index_of: HashMap<String, u32> = HashMap::new();
        let mut index = |speaker: &str| match index_of.get(speaker) {
            Some(index) => *index,
            None => {
                let index = speakers.len() as u32;
                speakers.push(speaker.to_owned());
                index_of.insert(speaker.to_owned(), index);
                index
            }
        };
        let mut has_speakers = true;
        for (path, share) in config.train.shares() {
            let dir = DataDir::open_with(path, config.open_options())?;
            has_speakers &= dir.has_speakers();
            let labels: Vec<u32> = dir.speakers().iter().map(|speaker| index(speaker)).collect();
            for (position, utterance) in dir.utterances().enumerate() {
                let label = match (dir.speaker_index_at(position), needed) {
                    (Some(speaker), _) => labels[speaker],
                    (None, Labels::Optional) => index(utterance.id),
                    (None, Labels::Required) => {
                        return Err(Error::DataSet {
                            what: format!("{}: utterance {}", path.display(), utterance.id),
                            found: "no speaker in utt2spk".into(),
                            expected: "one speaker (ffsvc-data validate lists all such utterances)".into(),
                        });
                    }
                };
                utterances.push(TrainingUtterance {
                    id: utterance.id.to_string(),
                    source: utterance.audio(),
                    label,
                });
            }
            domains.push(TrainingDomain { path: path.to_path_buf(), share, utterances: dir.len() });
        }
        if domains.len() > 1 {
            check_ids_unique(&utterances, &config.train.display())?;
        }
        if speakers.len() < 2 && needed == Labels::Required {
            return Err(Error::DataSet {
                what: config.train.display(),
                found: format!("{} speaker(s)", speakers.len()),
                expected: "at least two, to tell apart".into(),
            });
        }
        Ok(Self { utterances, speakers, has_speakers, domains, read: config.read_options(sample_rate)? })
    }

    /// The utterances of the data directory that utterance number `index` is from.
    pub(crate) fn domain_of(&self, index: u32) -> std::ops::Range<u32> {
        let mut first = 0;
        for domain in &self.domains {
            let end = first + domain.utterances as u32;
            if index < end {
                return first..end;
            }
            first = end;
        }
        0..self.utterances.len() as u32
    }

    /// A number that changes when an utterance, its speaker or an order changes, wherever the recordings lie. A resumed run
    /// compares it, because the same step must see the same batch.
    pub fn fingerprint(&self) -> String {
        let mut hash = Fnv1a::new();
        let mut take = |fields: &[&[u8]]| fields.iter().for_each(|field| hash.update(field));
        for utterance in &self.utterances {
            let speaker = &self.speakers[utterance.label as usize];
            take(&[utterance.id.as_bytes(), b"\t", speaker.as_bytes(), &utterance.label.to_le_bytes()]);
        }
        format!("{:016x}", hash.value())
    }
}

/// Crops are drawn by utterance id: two of the same name would get the same ones.
fn check_ids_unique(utterances: &[TrainingUtterance], directories: &str) -> Result<()> {
    let mut seen = HashSet::with_capacity(utterances.len());
    match utterances.iter().find(|utterance| !seen.insert(utterance.id.as_str())) {
        None => Ok(()),
        Some(twin) => Err(Error::DataSet {
            what: directories.to_string(),
            found: format!("utterance {} twice", twin.id),
            expected: "each utterance in one of the directories".into(),
        }),
    }
}
