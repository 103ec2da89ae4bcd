//! What is done to each training crop, drawn from the run's seed.

use std::borrow::Cow;
use std::path::PathBuf;

use ffsvc_augment::{
    AugmentConfig, Augmenter, BabbleUtterance, CheckedFiles, Item, Plan, Planner, Scratch, SoundFile,
    SoundFiles,
};
use ffsvc_hashing::Fnv1a;
use ffsvc_kaldi_io::WavSource;

use crate::error::{Error, Result};
use crate::random::{Occurrence, Purpose, stream};
use crate::sound_list::read_sounds;
use crate::training_set::{TrainingSet, TrainingUtterance};

/// Plans and applies the augmentation of a run. Shared by all workers: a plan depends on (seed, epoch, utterance) alone.
#[derive(Debug)]
pub struct Augmentation {
    config: AugmentConfig,
    planner: Planner,
    augmenter: Augmenter,
    num_speakers: usize,
    seed: u64,
    sample_rate: u32,
    fingerprint: String,
}

impl Augmentation {
    /// Reads and checks the lists that `config` names. Files that cannot be used are named in a warning and left out.
    ///
    /// # Errors
    /// A value out of range, a list that cannot be read or has nothing usable, too few speakers for babble.
    pub fn open(config: &AugmentConfig, set: &TrainingSet, sample_rate: u32, seed: u64) -> Result<Self> {
        let read = |list: &Option<PathBuf>| match list {
            Some(path) => read_sounds(path),
            None => Ok(Vec::new()),
        };
        let babble = set
            .utterances
            .iter()
            .filter_map(|utterance| match &utterance.source.wav {
                WavSource::File(path) => Some(BabbleUtterance {
                    path: path.clone(),
                    segment_s: utterance.source.segment.map(|part| (part.start_s, part.end_s)),
                    speaker: utterance.label,
                }),
                WavSource::Pipe(_) => None,
            })
            .collect();
        let files = SoundFiles {
            noise: read(&config.additive.noise.list)?,
            music: read(&config.additive.music.list)?,
            rirs: read(&config.reverb.list)?,
            babble,
        };
        let (checked, reports) = files.check(sample_rate);
        for report in &reports {
            if report.bad.is_empty() {
                tracing::info!("{report}");
            } else {
                tracing::warn!("{report}");
            }
        }
        let fingerprint = fingerprint(&checked);
        // Masks have a stream of their own, so that they stay the same whatever else is done to a crop; the baseline draws
        // them with the rest.
        let mut without_masks = config.clone();
        if !config.compat {
            without_masks.spec_augment = None;
        }
        let planner = Planner::new(&without_masks, checked, &mut stream(seed, Purpose::Rooms, 0, ""))
            .map_err(Error::Augment)?;
        let augmenter = Augmenter::new(config, sample_rate);
        let num_speakers = set.speakers.len();
        Ok(Self { config: config.clone(), planner, augmenter, num_speakers, seed, sample_rate, fingerprint })
    }

    /// The plan of view number `view` of one crop; number 0 is the only one of training without views.
    pub fn plan(
        &self,
        utterance: &TrainingUtterance,
        view: u32,
        at: impl Into<Occurrence>,
        num_mels: usize,
        num_frames: usize,
    ) -> Plan {
        let at = at.into();
        let item = Item { speaker: utterance.label, num_mels, num_frames };
        let name = view_name(&utterance.id, view);
        let mut plan = self.planner.draw(item, &mut stream(self.seed, Purpose::Augment, at, &name));
        if let (Some(masks), false) = (&self.config.spec_augment, self.config.compat) {
            let mut random = stream(self.seed, Purpose::SpecAugment, at, &name);
            plan.masks = masks.draw(num_mels, num_frames, &mut random);
        }
        plan
    }

    /// Names of the microphones of simulated rooms; none where each room has one.
    pub fn microphones(&self) -> impl ExactSizeIterator<Item = &str> {
        let simulated = self.config.reverb.simulated.as_ref();
        let microphones = simulated.map_or(&[][..], |simulated| &simulated.ranges.microphones);
        microphones.iter().map(|microphone| microphone.name.as_str())
    }

    /// The plan as the microphone of this number hears it.
    ///
    /// # Errors
    /// The plan has no simulated room.
    pub fn at_microphone(&self, plan: &Plan, number: usize) -> Result<Plan> {
        self.planner.at_microphone(plan, number, self.sample_rate).map_err(Error::Augment)
    }

    /// Does to `samples` what the plan says, masks excepted. A sound that cannot be read is left out, with a warning.
    ///
    /// # Errors
    /// More sounds failed than `augment.max_failed_share` allows.
    pub fn apply(
        &self,
        plan: &Plan,
        utterance: &TrainingUtterance,
        samples: &mut Vec<f32>,
        scratch: &mut Scratch,
    ) -> Result<()> {
        let failed = self.augmenter.apply_or_skip(plan, samples, scratch).map_err(Error::Augment)?;
        if let Some(error) = failed {
            tracing::warn!("utterance {} goes without a sound: {error}", utterance.id);
        }
        Ok(())
    }

    /// The class of an utterance's speaker at the speed of its plan.
    pub fn class(&self, utterance: &TrainingUtterance, plan: &Plan) -> usize {
        self.config.speed.class(utterance.label, plan.speed, self.num_speakers)
    }

    /// Crops that went without a sound, and crops that needed one.
    pub fn failures(&self) -> (u64, u64) {
        let failures = self.augmenter.failures();
        (failures.failed, failures.attempted)
    }

    /// A number that changes when a sound of the lists changes in name, length, rate or order, wherever the files lie.
    pub fn fingerprint(&self) -> &str {
        &self.fingerprint
    }
}

/// What the random streams of an utterance's view are named after. No utterance id has a space.
pub(crate) fn view_name(utterance: &str, view: u32) -> Cow<'_, str> {
    if view == 0 { utterance.into() } else { format!("{utterance} view {view}").into() }
}

/// Of all files of the lists; babble is of training utterances, which have a fingerprint of their own.
fn fingerprint(files: &CheckedFiles) -> String {
    let mut hash = Fnv1a::new();
    for (list, files) in [("noise", &files.noise), ("music", &files.music), ("rir", &files.rirs)] {
        hash.update(list.as_bytes());
        for SoundFile { path, channels, sample_rate, num_samples } in files {
            hash.update(path.file_name().unwrap_or_default().as_encoded_bytes());
            hash.update(format!(" {channels} {sample_rate} {num_samples:?}\n").as_bytes());
        }
    }
    format!("{:016x}", hash.value())
}

/// Names of the classes: the speakers, then the speakers at each other speed, in the order of
/// [`SpeedConfig::class`](ffsvc_augment::SpeedConfig::class).
pub fn class_names(config: &AugmentConfig, speakers: &[String]) -> Vec<String> {
    let mut names = speakers.to_vec();
    if config.speed.variants() > 1 {
        for factor in &config.speed.factors {
            names.extend(speakers.iter().map(|speaker| format!("{speaker}-speed{factor}")));
        }
    }
    names
}
