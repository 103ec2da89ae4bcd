//! `ffsvc-data synth`: a corpus of synthetic speakers.

use clap::Args;
use ffsvc_cli::{OutputPath, Progress, Range, RangeArg as _, RunFiles, Span, UsageError, print_json};
use ffsvc_synth::{Error, SynthConfig, generate};

/// Range of `--workers`.
const WORKERS: Range<usize> = Range::of(0, 1024);

/// Write a small corpus of synthetic speakers, to train and test on anywhere
///
/// The voices are synthesised (glottal pulses through formant filters) and say random syllables; every
/// recording has a room, a distance, a microphone, noise and a level of its own. The corpus needs no
/// download and contains nobody's voice. Error rates on it say that a system works, not how well it works
/// on people.
#[derive(Debug, Args)]
#[command(after_long_help = "\
FILES
    OUT/train/{wav.scp,utt2spk,spk2utt,spk2gender,utt2dur}
    OUT/dev/    the same for other speakers, and trials (1 ENROL TEST is a target, 0 a nontarget)
    OUT/wav/SPEAKER/UTTERANCE.wav    16 kHz, 16 bit, mono

    The paths in wav.scp begin with OUT as it is given here. If OUT is relative, so are they, to the
    current directory, as in Kaldi.

    The same options give the same bytes, whatever the number of workers. Another number of
    speakers or utterances leaves the others as they are.

EXAMPLES
    ffsvc-data synth data/mini
    ffsvc-data synth --seed 1 --train-speakers 200 --snr-db 0,15 data/harder")]
pub(crate) struct Synth {
    /// Folder to write to; created if need be
    #[arg(value_name = "OUT")]
    out: OutputPath,

    /// Seed of everything
    #[arg(long, value_name = "N", default_value_t = SynthConfig::default().seed)]
    seed: u64,

    /// Speakers to train on
    #[arg(long, value_name = "N", default_value_t = SynthConfig::default().train_speakers, range = SynthConfig::TRAIN_COUNT)]
    train_speakers: u32,

    /// Utterances of each training speaker
    #[arg(long, value_name = "N", default_value_t = SynthConfig::default().train_utterances, range = SynthConfig::TRAIN_COUNT)]
    train_utterances: u32,

    /// Speakers to test on, none of them in training
    #[arg(long, value_name = "N", default_value_t = SynthConfig::default().dev_speakers, range = SynthConfig::DEV_COUNT)]
    dev_speakers: u32,

    /// Utterances of each test speaker
    #[arg(long, value_name = "N", default_value_t = SynthConfig::default().dev_utterances, range = SynthConfig::DEV_COUNT)]
    dev_utterances: u32,

    /// Range of the duration of an utterance, s
    #[arg(long, value_name = "LOW,HIGH", default_value = "2.5,4", span = SynthConfig::SECONDS)]
    seconds: Span<f64>,

    /// Range of the signal-to-noise ratio, dB; lower is harder
    #[arg(long, value_name = "LOW,HIGH", default_value = "10,30", span = SynthConfig::SNR_DB)]
    snr_db: Span<f64>,

    /// Range of the reverberation time, s; higher is harder
    #[arg(long, value_name = "LOW,HIGH", default_value = "0.15,0.6", span = SynthConfig::RT60_S)]
    rt60: Span<f64>,

    /// Range of the distance between talker and microphone, m
    #[arg(long, value_name = "LOW,HIGH", default_value = "0.2,3", span = SynthConfig::DISTANCE_M)]
    microphone_distance: Span<f64>,

    /// Largest gain or cut of each band of the recording channel, dB; higher is harder
    #[arg(long, value_name = "DB", default_value_t = SynthConfig::default().channel_db, range = SynthConfig::CHANNEL_DB)]
    channel_db: f64,

    /// At most this many target trials (else all pairs)
    #[arg(long, value_name = "N", default_value_t = SynthConfig::default().max_target_trials, range = SynthConfig::TRIALS)]
    max_target_trials: u32,

    /// Nontarget trials, half of them between speakers of the same sex
    #[arg(long, value_name = "N", default_value_t = SynthConfig::default().nontarget_trials, range = SynthConfig::TRIALS)]
    nontarget_trials: u32,

    /// Threads that make recordings (0: one a core)
    #[arg(long, value_name = "N", default_value_t = 0, range = WORKERS)]
    workers: usize,
}

impl Synth {
    fn config(&self) -> SynthConfig {
        SynthConfig {
            seed: self.seed,
            train_speakers: self.train_speakers,
            train_utterances: self.train_utterances,
            dev_speakers: self.dev_speakers,
            dev_utterances: self.dev_utterances,
            seconds: self.seconds.0,
            snr_db: self.snr_db.0,
            rt60_s: self.rt60.0,
            distance_m: self.microphone_distance.0,
            channel_db: self.channel_db,
            max_target_trials: self.max_target_trials,
            nontarget_trials: self.nontarget_trials,
        }
    }

    /// Writes the corpus and says what it is.
    pub(crate) fn run(self, json: bool) -> anyhow::Result<()> {
        RunFiles::new().output_folder("OUT", [&self.out]).check(json)?;
        let config = self.config();
        let total =
            [(config.train_speakers, config.train_utterances), (config.dev_speakers, config.dev_utterances)]
                .iter()
                .map(|&(speakers, utterances)| u64::from(speakers) * u64::from(utterances))
                .sum();
        let progress = Progress::begin(total, "recordings");
        let summary =
            generate(&config, &self.out, self.workers, || progress.inc(1)).map_err(|error| match error {
                Error::Option { .. } => UsageError::new(error.to_string()).into(),
                error => anyhow::Error::new(error),
            })?;
        progress.finish();
        if json {
            return print_json(&summary);
        }
        for set in [&summary.train, &summary.dev] {
            let (path, minutes) = (set.path.display(), set.seconds / 60.0);
            println!(
                "{path}: {} speakers, {} utterances, {minutes:.1} minutes",
                set.speakers, set.utterances
            );
        }
        let path = summary.trials.display();
        println!(
            "{path}: {} target and {} nontarget trials",
            summary.target_trials, summary.nontarget_trials
        );
        Ok(())
    }
}
