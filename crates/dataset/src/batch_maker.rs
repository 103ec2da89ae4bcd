//! Batches of features: crops of the training utterances, augmented.

use std::sync::Arc;

use ffsvc_augment::{Plan, apply_masks, speed};
use ffsvc_features::FrontEnd;
use rand::RngExt;
use rayon::prelude::*;

use crate::augmentation::{Augmentation, view_name};
use crate::config::CropConfig;
use crate::crop_notices::CropNotices;
use crate::epoch_plan::Draw;
use crate::error::{Error, Result};
use crate::notices::Notice;
use crate::random::{Occurrence, Purpose, stream};
use crate::recording::{Crop, read_audio_crop, read_held_crop};
use crate::stopwatch;
use crate::training_set::{TrainingSet, TrainingUtterance};
use crate::unreadable::Unreadable;
use crate::views::{CropPlan, FurtherView, View, ViewFeatures, ViewPlan};

/// One training batch.
#[derive(Debug, Clone, PartialEq)]
pub struct Batch {
    /// `[utterances, mels, frames]`, row-major.
    pub features: Vec<f32>,
    /// Rows of each feature matrix.
    pub num_mels: usize,
    /// Columns of each feature matrix.
    pub num_frames: usize,
    /// Class of each utterance: its speaker's index, or that of the speaker at another speed.
    pub labels: Vec<i64>,
    /// Index into the training set of each utterance.
    pub members: Vec<u32>,
    /// The crops' further views, where the configuration asks for any.
    pub further: Vec<ViewFeatures>,
}

/// Turns utterance numbers into batches of features. Shared by all workers; what it counts changes no batch.
#[derive(Debug)]
pub struct BatchMaker {
    set: TrainingSet,
    front_end: FrontEnd,
    crop_samples: usize,
    num_frames: usize,
    seed: u64,
    augmentation: Option<Augmentation>,
    clean_share: f64,
    further: Vec<Further>,
    unreadable: Unreadable,
    notices: CropNotices,
}

/// A view beside the first.
#[derive(Debug)]
struct Further {
    view: View,
    front_end: FrontEnd,
    num_frames: usize,
}

/// Working memory of one worker.
#[derive(Debug, Default)]
pub struct Scratch {
    front_end: ffsvc_features::Scratch,
    /// Of the further views.
    front_ends: Vec<ffsvc_features::Scratch>,
    augment: ffsvc_augment::Scratch,
}

/// Utterances that are tried one after the other in place of one that cannot be read.
const MOST_SUBSTITUTES: usize = 100;

impl BatchMaker {
    /// Opens the training set of `config` and all that it takes to make its batches.
    ///
    /// # Errors
    /// As [`TrainingSet::open`] and [`Augmentation::open`]; a front end that is out of range, or `max_frames` zero or too
    /// short for it.
    pub fn open(config: &CropConfig<'_>) -> Result<Self> {
        let CropConfig { data, features, augment, max_frames, seed, labels, clean_share, .. } = *config;
        let set = TrainingSet::open(data, features.sample_rate, labels)?;
        let front_end = FrontEnd::new(features).map_err(Error::FrontEnd)?;
        let augmentation = (augment.changes_samples() || augment.spec_augment.is_some())
            .then(|| Augmentation::open(augment, &set, features.sample_rate, seed))
            .transpose()?;
        let crop_samples = samples_for_frames(&front_end, max_frames).ok_or_else(|| Error::Config {
            key: "train.max_frames",
            found: max_frames.to_string(),
            expected: format!(
                "at least the {} frame(s) of the front end's shortest input",
                front_end.num_frames(front_end.min_samples())
            ),
        })?;
        let num_frames = front_end.num_frames(crop_samples);
        let unreadable = Unreadable::new(set.utterances.len(), data.max_failed_share);
        let notices = CropNotices::default();
        let further = open_views(config, crop_samples)?;
        Ok(Self {
            set,
            front_end,
            crop_samples,
            num_frames,
            seed,
            augmentation,
            clean_share,
            further,
            unreadable,
            notices,
        })
    }

    /// The data.
    pub fn set(&self) -> &TrainingSet {
        &self.set
    }

    /// The run's seed.
    pub fn seed(&self) -> u64 {
        self.seed
    }

    /// What is done to the crops, if anything.
    pub fn augmentation(&self) -> Option<&Augmentation> {
        self.augmentation.as_ref()
    }

    /// Recordings that could not be used so far, and the crops that others have replaced.
    pub fn unreadable(&self) -> (usize, u64) {
        self.unreadable.counts()
    }

    /// What is odd about the recordings of the crops that were made so far: one line a kind, with how many there are and the
    /// names of the first three. The first call ends the search for such recordings.
    pub fn notices(&self) -> Vec<String> {
        let name = |index: u32| self.set.utterances[index as usize].id.as_str();
        self.notices.end(name).lines(&self.set.read)
    }

    /// Reads the crops of `draws` in `epoch`, on all threads, for [`notices`](Self::notices).
    ///
    /// # Errors
    /// [`Error::TooManyUnreadable`].
    pub fn survey(&self, epoch: u32, draws: &[Draw]) -> Result<()> {
        draws.par_iter().try_for_each(|draw| {
            let at = Occurrence { epoch, repetition: draw.repetition };
            let plan = self.crop_plan(&self.set.utterances[draw.utterance as usize], at);
            match self.crop(draw.utterance, None, plan.place, self.source_len(&plan)) {
                Ok(_) => Ok(()),
                Err(error) => self.unreadable.note(draw.utterance, error),
            }
        })
    }

    /// Frames of every crop.
    pub fn num_frames(&self) -> usize {
        self.num_frames
    }

    /// Frames of each crop in the further views.
    pub fn view_frames(&self) -> impl Iterator<Item = usize> {
        self.further.iter().map(|of| of.num_frames)
    }

    /// Rows of the feature matrix.
    pub fn num_mels(&self) -> usize {
        self.front_end.num_mels()
    }

    /// Reads, crops and computes the features of `members` in `epoch`. The place of an utterance whose audio cannot be
    /// used is taken by another one of its data directory, which depends on (seed, epoch, utterance) alone.
    ///
    /// # Errors
    /// [`Error::TooManyUnreadable`], or too many failures of sounds.
    pub fn make(&self, epoch: u32, members: &[Draw], scratch: &mut Scratch) -> Result<Batch> {
        self.make_of(epoch, members, |_| None, scratch)
    }

    /// As [`make`](Self::make), with the recording of a place in the batch from `held` where it has it. It is asked once for each
    /// recording of an archive.
    pub(crate) fn make_of(
        &self,
        epoch: u32,
        members: &[Draw],
        held: impl Fn(usize) -> Option<Arc<[u8]>>,
        scratch: &mut Scratch,
    ) -> Result<Batch> {
        let count = members.len();
        let mut views = vec![ViewFeatures::zeros(count, self.num_mels(), self.num_frames)];
        let further = self.further.iter();
        views.extend(further.map(|of| ViewFeatures::zeros(count, of.front_end.num_mels(), of.num_frames)));
        scratch.front_ends.resize_with(self.further.len(), Default::default);
        let mut labels = Vec::with_capacity(count);
        let mut used = Vec::with_capacity(count);
        for (place, draw) in members.iter().enumerate() {
            let at = Occurrence { epoch, repetition: draw.repetition };
            let mut out: Vec<&mut [f32]> = views.iter_mut().map(|view| view.of(place)).collect();
            let is_in_archive = self.set.utterances[draw.utterance as usize].source.wav.place().is_some();
            let recording = if is_in_archive { held(place) } else { None };
            let (index, class) = self.item_or_substitute(at, draw.utterance, recording, &mut out, scratch)?;
            labels.push(class as i64);
            used.push(index);
        }
        let ViewFeatures { features, num_mels, num_frames } = views.remove(0);
        Ok(Batch { features, num_mels, num_frames, labels, members: used, further: views })
    }

    /// What [`make`](Self::make) does to the crop of `draw` in `epoch`.
    pub fn plan(&self, epoch: u32, draw: Draw) -> CropPlan {
        let at = Occurrence { epoch, repetition: draw.repetition };
        self.crop_plan(&self.set.utterances[draw.utterance as usize], at)
    }

    /// Fills `out`, one matrix a view, and returns which utterance it is of, and its class.
    fn item_or_substitute(
        &self,
        at: Occurrence,
        index: u32,
        recording: Option<Arc<[u8]>>,
        out: &mut [&mut [f32]],
        scratch: &mut Scratch,
    ) -> Result<(u32, usize)> {
        let mut error = match self.item(at, index, recording, out, scratch) {
            Ok(class) => return Ok((index, class)),
            Err(error) => error,
        };
        let id = &self.set.utterances[index as usize].id;
        let mut random = stream(self.seed, Purpose::Substitute, at, id);
        let mut candidate = index;
        for _ in 0..MOST_SUBSTITUTES {
            if !matches!(error, Error::Audio { .. } | Error::Features { .. }) {
                return Err(error);
            }
            self.unreadable.note(candidate, error)?;
            candidate = random.random_range(self.set.domain_of(index));
            error = match self.item(at, candidate, None, out, scratch) {
                Ok(class) => return Ok((candidate, class)),
                Err(error) => error,
            };
        }
        Err(error)
    }

    /// Fills `out`, `[num_mels, num_frames]` of each view, and returns the class.
    fn item(
        &self,
        at: Occurrence,
        index: u32,
        recording: Option<Arc<[u8]>>,
        out: &mut [&mut [f32]],
        scratch: &mut Scratch,
    ) -> Result<usize> {
        let utterance = &self.set.utterances[index as usize];
        let plan = self.crop_plan(utterance, at);
        let crop = self.crop(index, recording, plan.place, self.source_len(&plan))?;
        let mut class = utterance.label as usize;
        let further = self.further.iter().map(|of| (&of.front_end, of.num_frames));
        let front_ends = std::iter::once((&self.front_end, self.num_frames)).chain(further);
        let memory = std::iter::once(&mut scratch.front_end).chain(&mut scratch.front_ends);
        for (((ViewPlan { plan, .. }, (front_end, num_frames)), memory), out) in
            plan.views.iter().zip(front_ends).zip(memory).zip(out)
        {
            let mut samples = crop.clone();
            if let Some(augmentation) = &self.augmentation {
                let _stage = stopwatch::augment();
                augmentation.apply(plan, utterance, &mut samples, &mut scratch.augment)?;
                class = augmentation.class(utterance, plan);
            }
            // Not every length can be met by a change of speed: there may be a sample too many.
            samples.truncate(self.crop_samples);
            {
                let _stage = stopwatch::features();
                front_end
                    .compute_into(memory, &samples, out)
                    .map_err(|source| Error::Features { utterance: utterance.id.clone(), source })?;
            }
            let _stage = stopwatch::augment();
            apply_masks(out, num_frames, &plan.masks);
        }
        Ok(class)
    }

    /// Samples of a recording that become a crop at the speed of its views, which is the same for all.
    fn source_len(&self, plan: &CropPlan) -> usize {
        let speed = plan.views.first().map_or(1.0, |first| first.plan.speed);
        speed::source_len(speed, self.crop_samples)
    }

    fn crop_plan(&self, utterance: &TrainingUtterance, at: Occurrence) -> CropPlan {
        let _stage = stopwatch::augment();
        let drawn = |number, num_mels, num_frames| match &self.augmentation {
            Some(augmentation) => augmentation.plan(utterance, number, at, num_mels, num_frames),
            None => Plan::default(),
        };
        let first = drawn(0, self.num_mels(), self.num_frames);
        let speed = first.speed;
        let recorded = || Plan { speed, ..Plan::default() };
        let stays_clean = |number| {
            self.clean_share > 0.0 && {
                let name = view_name(&utterance.id, number);
                stream(self.seed, Purpose::CleanView, at, &name).random::<f64>() < self.clean_share
            }
        };
        let augmented = |number, plan: Plan| {
            let plan = if stays_clean(number) { recorded() } else { Plan { speed, ..plan } };
            ViewPlan { view: View::Augmented(number), plan }
        };
        let mut views = vec![augmented(0, first.clone())];
        views.extend(self.further.iter().map(|of| match of.view {
            View::Recorded => ViewPlan { view: of.view, plan: recorded() },
            View::Augmented(0) => augmented(0, first.clone()),
            View::Augmented(number) => {
                augmented(number, drawn(number, of.front_end.num_mels(), of.num_frames))
            }
        }));
        let place = stream(self.seed, Purpose::Crop, at, &utterance.id).random();
        CropPlan { utterance: utterance.id.clone(), place, views }
    }

    /// The baseline's crop (dataset.py `_get_sample`) at `place`: a uniform random start in a longer recording; a
    /// shorter one is repeated until it is long enough.
    fn crop(
        &self,
        index: u32,
        recording: Option<Arc<[u8]>>,
        place: f64,
        num_samples: usize,
    ) -> Result<Vec<f32>> {
        let TrainingUtterance { id, source, .. } = &self.set.utterances[index as usize];
        let crop = match recording {
            Some(bytes) => read_held_crop(source, bytes, place, num_samples, &self.set.read),
            None => read_audio_crop(source, place, num_samples, &self.set.read),
        };
        match crop {
            Ok(Crop { samples, info, repeated }) => {
                let mut notices = Notice::of(&info, &self.set.read, &samples);
                if repeated {
                    notices.push(Notice::Repeated);
                }
                self.notices.note(index, &notices);
                Ok(samples)
            }
            Err(source) => Err(Error::Audio { utterance: id.clone(), source }),
        }
    }
}

/// The views of `config` beside the first, of crops of `crop_samples`.
fn open_views(config: &CropConfig<'_>, crop_samples: usize) -> Result<Vec<Further>> {
    let open = |of: &FurtherView| {
        let (rate, of_view) = (config.features.sample_rate, of.front_end.sample_rate);
        if rate != of_view {
            return Err(Error::Config {
                key: "features.sample_rate",
                found: format!("{rate} Hz beside a view of {of_view} Hz"),
                expected: "the same sample rate in all views of a crop".into(),
            });
        }
        let front_end = FrontEnd::new(&of.front_end).map_err(Error::FrontEnd)?;
        let least = front_end.min_samples();
        if least > crop_samples {
            return Err(Error::Config {
                key: "train.max_frames",
                found: format!("{}, {crop_samples} samples", config.max_frames),
                expected: format!("at least the {least} samples of a view's front end"),
            });
        }
        let num_frames = front_end.num_frames(crop_samples);
        Ok(Further { view: of.view, front_end, num_frames })
    };
    config.further_views.iter().map(open).collect()
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
