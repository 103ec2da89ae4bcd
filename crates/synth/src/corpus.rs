//! The corpus on disk.

use std::path::{Path, PathBuf};

use ffsvc_audio::SampleFormat;
use rayon::prelude::*;
use serde::Serialize;

use crate::SAMPLE_RATE;
use crate::config::SynthConfig;
use crate::error::{Error, Result};
use crate::random::{Purpose, stream, uniform};
use crate::recording::Recording;
use crate::speaker::Speaker;
use crate::{speech, trials, voice};

/// What was written.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Summary {
    /// The data directory to train on.
    pub train: SetSummary,
    /// The data directory to test on, with trials.
    pub dev: SetSummary,
    /// The list of trials.
    pub trials: PathBuf,
    /// Trials whose utterances are of one speaker.
    pub target_trials: usize,
    /// Trials whose utterances are of two speakers.
    pub nontarget_trials: usize,
}

/// One data directory.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct SetSummary {
    /// Where it is.
    pub path: PathBuf,
    /// Number of speakers.
    pub speakers: usize,
    /// Number of utterances.
    pub utterances: usize,
    /// Duration of all utterances, s.
    pub seconds: f64,
}

/// Dev speakers are counted from here, so they stay the same whatever the number of training speakers.
const FIRST_DEV_SPEAKER: u64 = 1 << 32;

/// Writes a corpus under the folder `out`, which is created if need be.
///
/// Recordings are made on `workers` threads (0: one a core) and are the same for any number of them.
/// `on_recording` is called after each. Tables are written last: a corpus with `trials` is complete.
/// Recordings of an earlier corpus in `out` are replaced where they have the same name and else stay.
///
/// # Errors
/// An option is out of range, `out` cannot stand in a `wav.scp`, or something cannot be written.
pub fn generate(
    config: &SynthConfig,
    out: &Path,
    workers: usize,
    on_recording: impl Fn() + Sync,
) -> Result<Summary> {
    config.validate()?;
    if out.to_str().is_none_or(|path| path.contains(['\n', '\r', '|'])) {
        return Err(Error::Path { path: out.to_path_buf() });
    }
    let train = Set::plan("train", config, config.train_speakers, config.train_utterances, 0);
    let dev = Set::plan("dev", config, config.dev_speakers, config.dev_utterances, FIRST_DEV_SPEAKER);
    let pool = rayon::ThreadPoolBuilder::new().num_threads(workers).build()?;
    pool.install(|| -> Result<()> {
        for set in [&train, &dev] {
            set.record(config, out, &on_recording)?;
        }
        Ok(())
    })?;
    let (train_summary, dev_summary) = (train.write_tables(out)?, dev.write_tables(out)?);

    let path = dev_summary.path.join("trials");
    let drawn = trials::draw(config, &dev.speakers.iter().map(|s| s.voice.sex).collect::<Vec<_>>());
    let ids: Vec<&str> = dev.utterances().map(|(_, utterance)| utterance.id.as_str()).collect();
    let lines = drawn.iter().map(|t| (u8::from(t.target), ids[t.enrol], ids[t.test]));
    write_lines(&path, lines.map(|(label, enrol, test)| format!("{label} {enrol} {test}")))?;
    let target_trials = drawn.iter().filter(|t| t.target).count();
    Ok(Summary {
        train: train_summary,
        dev: dev_summary,
        trials: path,
        target_trials,
        nontarget_trials: drawn.len() - target_trials,
    })
}

/// The samples of one utterance. Speech and circumstances are drawn from two streams, so other circumstances
/// leave what is said as it is.
fn recording(config: &SynthConfig, speaker: &PlannedSpeaker, utterance: &Utterance) -> Result<Vec<f32>> {
    let number = u64::from(utterance.number);
    let rng = &mut stream(config.seed, Purpose::Speech, speaker.number, number);
    let frames = speech::speak(&speaker.voice, utterance.seconds(), rng);
    let dry = voice::render(&speaker.voice, &frames, utterance.num_samples, rng);
    let rng = &mut stream(config.seed, Purpose::Recording, speaker.number, number);
    Recording::draw(config, rng)
        .record(&dry, rng)
        .map_err(|source| Error::Transform { utterance: utterance.id.clone(), source })
}

/// Speakers and utterances of a data directory, in the order of its tables.
struct Set {
    name: &'static str,
    speakers: Vec<PlannedSpeaker>,
}

struct PlannedSpeaker {
    id: String,
    number: u64,
    voice: Speaker,
    utterances: Vec<Utterance>,
}

struct Utterance {
    id: String,
    number: u32,
    num_samples: usize,
}

impl Utterance {
    fn seconds(&self) -> f64 {
        self.num_samples as f64 / f64::from(SAMPLE_RATE)
    }
}

impl Set {
    fn plan(name: &'static str, config: &SynthConfig, speakers: u32, utterances: u32, first: u64) -> Self {
        let plan_utterance = |speaker: &str, speaker_number: u64, number: u32| {
            let rng = &mut stream(config.seed, Purpose::Duration, speaker_number, u64::from(number));
            let seconds = uniform(rng, config.seconds);
            let num_samples = (seconds * f64::from(SAMPLE_RATE)).round() as usize;
            Utterance { id: format!("{speaker}-{number:05}"), number, num_samples }
        };
        let plan_speaker = |index: u32| {
            let number = first + u64::from(index);
            let id = format!("{name}{index:05}");
            let utterances = (0..utterances).map(|u| plan_utterance(&id, number, u)).collect();
            PlannedSpeaker { id, number, voice: Speaker::draw(config.seed, number), utterances }
        };
        Self { name, speakers: (0..speakers).map(plan_speaker).collect() }
    }

    fn utterances(&self) -> impl Iterator<Item = (&PlannedSpeaker, &Utterance)> {
        self.speakers.iter().flat_map(|s| s.utterances.iter().map(move |u| (s, u)))
    }

    fn record(&self, config: &SynthConfig, out: &Path, on_recording: &(impl Fn() + Sync)) -> Result<()> {
        for speaker in &self.speakers {
            let folder = out.join("wav").join(&speaker.id);
            std::fs::create_dir_all(&folder).map_err(|source| Error::write(&folder, source))?;
        }
        let all: Vec<_> = self.utterances().collect();
        all.par_iter().try_for_each(|(speaker, utterance)| {
            let samples = recording(config, speaker, utterance)?;
            ffsvc_audio::write_wav(
                wav_path(out, speaker, utterance),
                &samples,
                SAMPLE_RATE,
                SampleFormat::Pcm16,
            )?;
            on_recording();
            Ok(())
        })
    }

    fn write_tables(&self, out: &Path) -> Result<SetSummary> {
        let path = out.join(self.name);
        std::fs::create_dir_all(&path).map_err(|source| Error::write(&path, source))?;
        let table = |name: &str, value: &dyn Fn(&PlannedSpeaker, &Utterance) -> String| {
            write_lines(&path.join(name), self.utterances().map(|(s, u)| format!("{} {}", u.id, value(s, u))))
        };
        table("wav.scp", &|s, u| wav_path(out, s, u).display().to_string())?;
        table("utt2spk", &|s, _| s.id.clone())?;
        table("utt2dur", &|_, u| format!("{:.6}", u.seconds()))?;
        let genders = self.speakers.iter().map(|s| format!("{} {}", s.id, s.voice.sex.letter()));
        write_lines(&path.join("spk2gender"), genders)?;
        let spk2utt = self.speakers.iter().map(|s| {
            s.utterances.iter().fold(s.id.clone(), |mut line, u| {
                line.push(' ');
                line.push_str(&u.id);
                line
            })
        });
        write_lines(&path.join("spk2utt"), spk2utt)?;
        Ok(SetSummary {
            path,
            speakers: self.speakers.len(),
            utterances: self.utterances().count(),
            seconds: self.utterances().map(|(_, u)| u.seconds()).sum(),
        })
    }
}

fn wav_path(out: &Path, speaker: &PlannedSpeaker, utterance: &Utterance) -> PathBuf {
    out.join("wav").join(&speaker.id).join(format!("{}.wav", utterance.id))
}

fn write_lines(path: &Path, lines: impl Iterator<Item = String>) -> Result<()> {
    let text = lines.fold(String::new(), |mut text, line| {
        text.push_str(&line);
        text.push('\n');
        text
    });
    ffsvc_atomic_file::write(path, text).map_err(|source| Error::write(path, source))
}
