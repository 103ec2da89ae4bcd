//! The utterances that a model is trained on, and the crops taken from them.

use ffsvc_audio::ReadOptions;
use ffsvc_extraction::read_audio_crop;
use ffsvc_features::{FrontEnd, Scratch};
use ffsvc_kaldi_io::{DataDir, WavSource};
use rand::RngExt;

use crate::batch::Batch;
use crate::config::DataConfig;
use crate::error::{Error, Result};
use crate::random::{Purpose, stream};
use ffsvc_augment::SpecAugment;

/// One recording and its speaker.
#[derive(Debug, Clone)]
pub struct TrainingUtterance {
    /// Utterance id.
    pub id: String,
    /// Where its audio is.
    pub source: WavSource,
    /// Index into [`TrainingSet::speakers`].
    pub label: u32,
}

/// All utterances of the training data directory, with speaker indices.
#[derive(Debug, Clone)]
pub struct TrainingSet {
    /// In the order of `wav.scp`.
    pub utterances: Vec<TrainingUtterance>,
    /// Speaker names: the index of a speaker is its line in `spk2utt`, as in the baseline.
    pub speakers: Vec<String>,
    read: ReadOptions,
}

impl TrainingSet {
    /// Reads the data directory that `config` names. `sample_rate` is the front end's.
    ///
    /// # Errors
    /// Unreadable tables, an utterance without a speaker, fewer than two speakers.
    pub fn open(config: &DataConfig, sample_rate: u32) -> Result<Self> {
        let dir = DataDir::open_with(&config.train, config.open_options())?;
        let utterances = dir
            .utterances()
            .map(|utterance| {
                let label = dir.speaker_index(utterance.id).ok_or_else(|| Error::DataSet {
                    what: format!("{}: utterance {}", config.train.display(), utterance.id),
                    found: "no speaker in utt2spk".into(),
                    expected: "one speaker (ffsvc-data validate lists all such utterances)".into(),
                })?;
                Ok(TrainingUtterance {
                    id: utterance.id.to_string(),
                    source: WavSource::parse(utterance.wav),
                    label: label as u32,
                })
            })
            .collect::<Result<Vec<_>>>()?;
        let speakers = dir.speakers().to_vec();
        if speakers.len() < 2 {
            return Err(Error::DataSet {
                what: config.train.display().to_string(),
                found: format!("{} speaker(s)", speakers.len()),
                expected: "at least two, to tell apart".into(),
            });
        }
        Ok(Self { utterances, speakers, read: config.read_options(sample_rate)? })
    }

    /// A number that changes when an utterance, its speaker or the order changes (FNV-1a). A resumed run
    /// compares it, because the same step must see the same batch.
    pub fn fingerprint(&self) -> u64 {
        let mut hash = 0xcbf2_9ce4_8422_2325_u64;
        for utterance in &self.utterances {
            let speaker = &self.speakers[utterance.label as usize];
            let label = utterance.label.to_le_bytes();
            let fields = [utterance.id.as_bytes(), b"\t", speaker.as_bytes(), &label];
            for &byte in fields.into_iter().flatten() {
                hash = (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3);
            }
        }
        hash
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
    spec_augment: Option<SpecAugment>,
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
        spec_augment: Option<SpecAugment>,
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
        Ok(Self { set, front_end, crop_samples, num_frames, seed, spec_augment })
    }

    /// The data.
    pub fn set(&self) -> &TrainingSet {
        &self.set
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
    pub fn make(&self, epoch: usize, members: &[u32], scratch: &mut Scratch) -> Result<Batch> {
        let item = self.num_mels() * self.num_frames;
        let mut features = vec![0.0; members.len() * item];
        for (&index, out) in members.iter().zip(features.chunks_exact_mut(item)) {
            let utterance = &self.set.utterances[index as usize];
            let samples = self.crop(utterance, epoch)?;
            self.front_end
                .compute_into(scratch, &samples, out)
                .map_err(|source| Error::Features { utterance: utterance.id.clone(), source })?;
            if let Some(masks) = &self.spec_augment {
                let mut random = stream(self.seed, Purpose::SpecAugment, epoch, &utterance.id);
                masks.apply(out, self.num_frames, &mut random);
            }
        }
        Ok(Batch {
            features,
            num_mels: self.num_mels(),
            num_frames: self.num_frames,
            labels: members.iter().map(|&i| i64::from(self.set.utterances[i as usize].label)).collect(),
            members: members.to_vec(),
        })
    }

    /// The baseline's crop (dataset.py `_get_sample`): a uniform random start in a longer recording; a
    /// shorter one is repeated until it is long enough.
    fn crop(&self, utterance: &TrainingUtterance, epoch: usize) -> Result<Vec<f32>> {
        let place: f64 = stream(self.seed, Purpose::Crop, epoch, &utterance.id).random();
        read_audio_crop(&utterance.source, place, self.crop_samples, &self.set.read)
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
