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

/// The whole recordings of a data directory as one epoch of training would change them.
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
        self.set.utterances.len()
    }

    /// Each utterance's id and plan, in the order of `wav.scp`.
    pub fn plans(&self) -> impl Iterator<Item = (&str, Plan)> {
        self.set.utterances.iter().map(|utterance| (utterance.id.as_str(), self.plan(utterance)))
    }

    fn plan(&self, utterance: &TrainingUtterance) -> Plan {
        let plan = self.augmentation.plan(utterance, 0, self.epoch, 1, 1);
        Plan { masks: Vec::new(), ..plan }
    }

    /// Writes `out/wav/UTTERANCE.wav` (32-bit float, so that nothing is clipped), `wav.scp` and `plans.jsonl`. Where
    /// the speakers are known, it also writes `utt2spk` and `spk2utt`. It works on all threads, and the bytes do not
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
        let folder = out.join("wav");
        fs::create_dir_all(&folder).at(&folder)?;
        let written: Vec<(PathBuf, usize, String)> = self
            .set
            .utterances
            .par_iter()
            .map_init(Scratch::default, |scratch, utterance| {
                let written = self.write_one(utterance, &folder, scratch)?;
                done();
                Ok(written)
            })
            .collect::<Result<_>>()?;

        let mut recordings = BTreeMap::new();
        let mut speaker_of = BTreeMap::new();
        for (utterance, (path, class, _)) in self.set.utterances.iter().zip(&written) {
            recordings.insert(utterance.id.as_str(), path.display().to_string());
            speaker_of.insert(utterance.id.as_str(), self.classes[*class].as_str());
        }
        let plans: String = written.iter().map(|(_, _, line)| format!("{line}\n")).collect();
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
        folder: &Path,
        scratch: &mut Scratch,
    ) -> Result<(PathBuf, usize, String)> {
        let plan = self.plan(utterance);
        let audio = |source: ReadError| Error::Audio { utterance: utterance.id.clone(), source };
        let mut samples = read_audio(&utterance.source, &self.set.read).map_err(audio)?.samples;
        self.augmentation.apply(&plan, utterance, &mut samples, scratch)?;
        let path = wav_path(folder, &utterance.id);
        write_wav(&path, &samples, self.sample_rate, SampleFormat::Float32)
            .map_err(|source| audio(source.into()))?;
        let line = plan_line(&utterance.id, &plan)?;
        Ok((path, self.augmentation.class(utterance, &plan), line))
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
