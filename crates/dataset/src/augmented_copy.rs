//! A data directory with the augmentation of a training epoch, written out: to listen to, or as a test set in
//! rooms and noise.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use ffsvc_audio::{SampleFormat, write_wav};
use ffsvc_augment::{AugmentConfig, Plan, Scratch};
use ffsvc_kaldi_io::{Table, utt2spk_to_spk2utt, write_table};
use rayon::prelude::*;

use crate::augmentation::{Augmentation, class_names};
use crate::config::{DataConfig, Labels};
use crate::error::{Error, IoContext, ReadError, Result};
use crate::recording::{read_audio, wav_path};
use crate::training_set::{TrainingSet, TrainingUtterance};

/// The whole recordings of a data directory as one epoch of training would change them. With microphones
/// ([`RoomRanges::microphones`](ffsvc_augment::room::RoomRanges::microphones)) each recording is there as each of them hears it,
/// under the name UTTERANCE-MICROPHONE.
#[derive(Debug)]
pub struct AugmentedCopy {
    set: TrainingSet,
    augmentation: Augmentation,
    classes: Vec<String>,
    sample_rate: u32,
    epoch: u32,
}

impl AugmentedCopy {
    /// The copy of `data.train` for `epoch` (from 0) of a run with `seed`, at `sample_rate` Hz. Plans are those that
    /// training draws, but masks on features, which no recording can show, are left out.
    ///
    /// # Errors
    /// As [`TrainingSet::open`] and [`Augmentation::open`].
    pub fn open(
        data: &DataConfig,
        config: &AugmentConfig,
        sample_rate: u32,
        seed: u64,
        epoch: u32,
    ) -> Result<Self> {
        let set = TrainingSet::open(data, sample_rate, Labels::Optional)?;
        let config = AugmentConfig { spec_augment: None, ..config.clone() };
        let augmentation = Augmentation::open(&config, &set, sample_rate, seed)?;
        let classes = class_names(&config, &set.speakers);
        Ok(Self { set, augmentation, classes, sample_rate, epoch })
    }

    /// Recordings to write.
    pub fn num_utterances(&self) -> usize {
        self.set.utterances.len() * self.augmentation.microphones().len().max(1)
    }

    /// Each utterance's id and plan, in the order of `wav.scp`.
    ///
    /// # Errors
    /// There are microphones, and a plan has no simulated room.
    pub fn plans(&self) -> impl Iterator<Item = Result<(String, Plan)>> {
        let all = self.set.utterances.iter();
        all.flat_map(move |utterance| self.heard(utterance).map(move |heard| heard.plan(self, utterance)))
    }

    /// What hears an utterance: each of the microphones.
    fn heard<'s>(&'s self, utterance: &'s TrainingUtterance) -> impl Iterator<Item = Heard<'s>> {
        let number_all = self.augmentation.microphones().enumerate();
        let all: Vec<Heard<'_>> = number_all
            .map(|(number, name)| Heard {
                id: format!("{}-{name}", utterance.id),
                microphone: Some((number, name)),
            })
            .collect();
        let one = all.is_empty().then(|| Heard { id: utterance.id.clone(), microphone: None });
        all.into_iter().chain(one)
    }

    /// Writes `out/wav/UTTERANCE.wav` (32-bit float, so that nothing is clipped), `wav.scp` and `plans.jsonl`. Where
    /// the speakers are known, it also writes `utt2spk` and `spk2utt`, and with microphones `utt2mic`. It works on all threads, and the bytes do not
    /// depend on their number. `done` is called after each recording.
    ///
    /// # Errors
    /// A recording or too many sounds cannot be read, a file cannot be written, or `out` has a `wav.scp` already.
    pub fn write(&self, out: &Path, done: impl Fn() + Sync) -> Result<()> {
        let table = out.join("wav.scp");
        if table.exists() {
            return Err(Error::State {
                path: table,
                reason: "is there already; give a folder without a data directory".into(),
            });
        }
        let all: Vec<_> = self
            .set
            .utterances
            .iter()
            .flat_map(|utterance| self.heard(utterance).map(move |heard| (utterance, heard)))
            .collect();
        let mut ids: Vec<&str> = all.iter().map(|(_, heard)| heard.id.as_str()).collect();
        ids.sort_unstable();
        if let Some(twice) = ids.windows(2).find(|pair| pair[0] == pair[1]) {
            let reason = format!("two recordings would be named {}; give other microphones.name", twice[0]);
            return Err(Error::State { path: table, reason });
        }
        let folder = out.join("wav");
        fs::create_dir_all(&folder).at(&folder)?;
        let written: Vec<(PathBuf, usize, String)> = all
            .par_iter()
            .map_init(Scratch::default, |scratch, (utterance, heard)| {
                let written = self.write_one(utterance, heard, &folder, scratch)?;
                done();
                Ok(written)
            })
            .collect::<Result<_>>()?;

        let (mut recordings, mut speaker_of, mut microphone_of) =
            (BTreeMap::new(), BTreeMap::new(), BTreeMap::new());
        for ((_, heard), (path, class, _)) in all.iter().zip(&written) {
            let id = heard.id.as_str();
            recordings.insert(id, path.display().to_string());
            speaker_of.insert(id, self.classes[*class].as_str());
            microphone_of.extend(heard.microphone.map(|(_, name)| (id, name)));
        }
        let plans: String = written.iter().map(|(_, _, line)| format!("{line}\n")).collect();
        if !microphone_of.is_empty() {
            write_table(out.join("utt2mic"), microphone_of)?;
        }
        ffsvc_atomic_file::write(out.join("plans.jsonl"), plans).at(out.join("plans.jsonl"))?;
        if self.set.has_speakers {
            write_table(out.join("utt2spk"), speaker_of)?;
            let utt2spk = Table::read(out.join("utt2spk"))?;
            let spk2utt = utt2spk_to_spk2utt(&utt2spk)?;
            let lines = spk2utt.iter().map(|(speaker, utterances)| (*speaker, utterances.join(" ")));
            write_table(out.join("spk2utt"), lines)?;
        }
        // Last, because it makes the folder a data directory.
        write_table(&table, recordings)?;
        Ok(())
    }

    fn write_one(
        &self,
        utterance: &TrainingUtterance,
        heard: &Heard<'_>,
        folder: &Path,
        scratch: &mut Scratch,
    ) -> Result<(PathBuf, usize, String)> {
        let (id, plan) = heard.plan(self, utterance)?;
        let audio = |source: ReadError| Error::Audio { utterance: utterance.id.clone(), source };
        let mut samples = read_audio(&utterance.source, &self.set.read).map_err(audio)?.samples;
        self.augmentation.apply(&plan, utterance, &mut samples, scratch)?;
        let path = wav_path(folder, &id);
        write_wav(&path, &samples, self.sample_rate, SampleFormat::Float32)
            .map_err(|source| audio(source.into()))?;
        let line = plan_line(&id, &plan)?;
        Ok((path, self.augmentation.class(utterance, &plan), line))
    }
}

/// An utterance as one microphone hears it.
struct Heard<'s> {
    id: String,
    /// Number and name; `None` where each room has one microphone.
    microphone: Option<(usize, &'s str)>,
}

impl Heard<'_> {
    fn plan(&self, copy: &AugmentedCopy, utterance: &TrainingUtterance) -> Result<(String, Plan)> {
        let plan = copy.augmentation.plan(utterance, 0, copy.epoch, 1, 1);
        let plan = Plan { masks: Vec::new(), ..plan };
        let plan = match self.microphone {
            Some((number, _)) => copy.augmentation.at_microphone(&plan, number)?,
            None => plan,
        };
        Ok((self.id.clone(), plan))
    }
}

/// A plan as one line of JSON with its utterance.
///
/// # Errors
/// A path that JSON cannot hold, because it is not UTF-8.
pub fn plan_line(utterance: &str, plan: &Plan) -> Result<String> {
    serde_json::to_string(&serde_json::json!({ "utterance": utterance, "plan": plan }))
        .map_err(|error| Error::State { path: PathBuf::from(utterance), reason: error.to_string() })
}
