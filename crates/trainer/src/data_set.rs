//! The utterances that a model is trained on, and the crops taken from them.

use std::collections::{HashMap, HashSet};
use std::path::PathBuf;

use ffsvc_audio::ReadOptions;
use ffsvc_augment::{Plan, apply_masks, speed};
use ffsvc_extraction::read_audio_crop;
use ffsvc_features::FrontEnd;
use ffsvc_kaldi_io::{DataDir, WavSource};
use rand::RngExt;

use crate::augmentation::Augmentation;
use crate::batch::Batch;
use crate::config::DataConfig;
use crate::domains::TrainingDomain;
use crate::error::{Error, Result};
use crate::random::{Fnv1a, Purpose, stream};
use crate::sampler::Draw;

/// One recording and its speaker.
#[derive(Debug, Clone)]
pub struct TrainingUtterance {
    /// Utterance id.
    pub id: String,
    /// Where its audio is.
    pub source: WavSource,
    /// Index of its speaker in [`TrainingSet::speakers`].
    pub label: u32,
}

/// All utterances of the training data directories, with speaker indices.
#[derive(Debug, Clone)]
pub struct TrainingSet {
    /// In the order of `wav.scp`, one directory after the other.
    pub utterances: Vec<TrainingUtterance>,
    /// Speaker names: the index of a speaker is its line in `spk2utt`, as in the baseline. Speakers that only a further
    /// directory has follow.
    pub speakers: Vec<String>,
    /// The directories.
    pub domains: Vec<TrainingDomain>,
    pub(crate) read: ReadOptions,
}

impl TrainingSet {
    /// Reads the data directories that `config` names. `sample_rate` is the front end's.
    ///
    /// # Errors
    /// Unreadable tables, an utterance without a speaker or in two directories, fewer than two speakers.
    pub fn open(config: &DataConfig, sample_rate: u32) -> Result<Self> {
        config.train.check()?;
        let (mut utterances, mut speakers, mut domains) = (Vec::new(), Vec::new(), Vec::new());
        let mut index_of: HashMap<String, u32> = HashMap::new();
        for (path, share) in config.train.shares() {
            let dir = DataDir::open_with(path, config.open_options())?;
            let labels: Vec<u32> = dir
                .speakers()
                .iter()
                .map(|speaker| {
                    *index_of.entry(speaker.clone()).or_insert_with(|| {
                        speakers.push(speaker.clone());
                        speakers.len() as u32 - 1
                    })
                })
                .collect();
            for utterance in dir.utterances() {
                let label = dir.speaker_index(utterance.id).ok_or_else(|| Error::DataSet {
                    what: format!("{}: utterance {}", path.display(), utterance.id),
                    found: "no speaker in utt2spk".into(),
                    expected: "one speaker (ffsvc-data validate lists all such utterances)".into(),
                })?;
                utterances.push(TrainingUtterance {
                    id: utterance.id.to_string(),
                    source: WavSource::parse(utterance.wav),
                    label: labels[label],
                });
            }
            domains.push(TrainingDomain { path: path.to_path_buf(), share, utterances: dir.len() });
        }
        if domains.len() > 1 {
            refuse_twins(&utterances, &config.train.display())?;
        }
        if speakers.len() < 2 {
            return Err(Error::DataSet {
                what: config.train.display(),
                found: format!("{} speaker(s)", speakers.len()),
                expected: "at least two, to tell apart".into(),
            });
        }
        Ok(Self { utterances, speakers, domains, read: config.read_options(sample_rate)? })
    }

    /// A number that changes when an utterance, its speaker, an order or a sound for augmentation changes
    /// (FNV-1a). A resumed run compares it, because the same step must see the same batch.
    pub fn fingerprint(&self, sounds: &[PathBuf]) -> u64 {
        let mut hash = Fnv1a::default();
        let mut take = |fields: &[&[u8]]| fields.iter().for_each(|field| hash.take(field));
        for utterance in &self.utterances {
            let speaker = &self.speakers[utterance.label as usize];
            take(&[utterance.id.as_bytes(), b"\t", speaker.as_bytes(), &utterance.label.to_le_bytes()]);
        }
        for sound in sounds {
            take(&[sound.as_os_str().as_encoded_bytes(), b"\n"]);
        }
        hash.value()
    }
}

/// Crops are drawn by utterance id: two of the same name would get the same ones.
fn refuse_twins(utterances: &[TrainingUtterance], directories: &str) -> Result<()> {
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

/// Turns utterance numbers into batches of features. Shared by all workers; holds no mutable state.
#[derive(Debug)]
pub struct BatchMaker {
    set: TrainingSet,
    front_end: FrontEnd,
    crop_samples: usize,
    num_frames: usize,
    seed: u64,
    augmentation: Option<Augmentation>,
}

/// Working memory of one worker.
#[derive(Debug, Default)]
pub struct Scratch {
    front_end: ffsvc_features::Scratch,
    augment: ffsvc_augment::Scratch,
}

impl BatchMaker {
    /// Batches of crops of `max_frames` frames.
    ///
    /// # Errors
    /// `max_frames` is zero or too short for the front end.
    pub fn new(
        set: TrainingSet,
        front_end: FrontEnd,
        max_frames: usize,
        seed: u64,
        augmentation: Option<Augmentation>,
    ) -> Result<Self> {
        let crop_samples = samples_for_frames(&front_end, max_frames).ok_or_else(|| Error::Config {
            key: "train.max_frames",
            found: max_frames.to_string(),
            expected: format!(
                "at least the {} frame(s) of the front end's shortest input",
                front_end.num_frames(front_end.min_samples())
            ),
        })?;
        let num_frames = front_end.num_frames(crop_samples);
        Ok(Self { set, front_end, crop_samples, num_frames, seed, augmentation })
    }

    /// The data.
    pub fn set(&self) -> &TrainingSet {
        &self.set
    }

    /// What is done to the crops, if anything.
    pub fn augmentation(&self) -> Option<&Augmentation> {
        self.augmentation.as_ref()
    }

    /// Frames of every crop.
    pub fn num_frames(&self) -> usize {
        self.num_frames
    }

    /// Rows of the feature matrix.
    pub fn num_mels(&self) -> usize {
        self.front_end.num_mels()
    }

    /// Reads, crops and computes the features of `members` in `epoch`.
    ///
    /// # Errors
    /// Audio that cannot be read or is unusable, with the utterance's id.
    pub fn make(&self, epoch: usize, members: &[Draw], scratch: &mut Scratch) -> Result<Batch> {
        let (num_mels, num_frames) = (self.num_mels(), self.num_frames);
        let item = num_mels * num_frames;
        let mut features = vec![0.0; members.len() * item];
        let mut labels = Vec::with_capacity(members.len());
        for (draw, out) in members.iter().zip(features.chunks_exact_mut(item)) {
            let utterance = &self.set.utterances[draw.utterance as usize];
            let epoch = draw.stream_epoch(epoch);
            let plan = match &self.augmentation {
                Some(augmentation) => augmentation.plan(utterance, epoch, num_mels, num_frames),
                None => Plan::default(),
            };
            let mut samples =
                self.crop(utterance, epoch, speed::source_len(plan.speed, self.crop_samples))?;
            let mut label = utterance.label as usize;
            if let Some(augmentation) = &self.augmentation {
                augmentation.apply(&plan, utterance, &mut samples, &mut scratch.augment)?;
                label = augmentation.class(utterance, &plan);
            }
            // Not every length can be met by a change of speed: there may be a sample too many.
            samples.truncate(self.crop_samples);
            self.front_end
                .compute_into(&mut scratch.front_end, &samples, out)
                .map_err(|source| Error::Features { utterance: utterance.id.clone(), source })?;
            apply_masks(out, num_frames, &plan.masks);
            labels.push(label as i64);
        }
        Ok(Batch {
            features,
            num_mels,
            num_frames,
            labels,
            members: members.iter().map(|draw| draw.utterance).collect(),
        })
    }

    /// The baseline's crop (dataset.py `_get_sample`): a uniform random start in a longer recording; a
    /// shorter one is repeated until it is long enough.
    fn crop(&self, utterance: &TrainingUtterance, epoch: usize, num_samples: usize) -> Result<Vec<f32>> {
        let place: f64 = stream(self.seed, Purpose::Crop, epoch, &utterance.id).random();
        read_audio_crop(&utterance.source, place, num_samples, &self.set.read)
            .map_err(|source| Error::Audio { utterance: utterance.id.clone(), source })
    }
}

/// The fewest samples that give `num_frames` frames: `160 (n - 1)` for the baseline's log-mel.
fn samples_for_frames(front_end: &FrontEnd, num_frames: usize) -> Option<usize> {
    let (mut low, mut high) = (front_end.min_samples(), front_end.min_samples());
    if num_frames == 0 || front_end.num_frames(low) > num_frames {
        return None;
    }
    while front_end.num_frames(high) < num_frames {
        high = high.checked_mul(2)?;
    }
    while low < high {
        let middle = low + (high - low) / 2;
        if front_end.num_frames(middle) < num_frames {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    Some(low)
}
