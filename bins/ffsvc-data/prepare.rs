//! `ffsvc-data prepare`: a corpus as published into data directories and lists.

use std::path::{Path, PathBuf};

use clap::{Args, Subcommand};
use ffsvc_cli::{OutputPath, RunFiles, print_json};
use ffsvc_corpora::{
    CnCelebEval, CnCelebTrain, Ffsvc2020, Ffsvc2022Dev, Ffsvc2022Eval, LibriSpeech, Lists, Output, Prepared,
    Voices, VoxCeleb, VoxCelebEdition, prepare_musan, prepare_rirs_noises,
};
use tracing::warn;

/// Make a data directory, or lists of sounds, of a corpus as published
///
/// Finds the recordings by the corpus' own names anywhere below SOURCE, checks them against its lists, and
/// writes only when all is found right. Files of other names are left out and counted; recordings that a list
/// names and that are not there are an error. Paths in what is written begin with SOURCE as it is given here.
#[derive(Debug, Args)]
#[command(after_long_help = "\
Examples:
  ffsvc-data prepare voxceleb1 VoxCeleb1/test data/vox1-o --trials veri_test2.txt
  ffsvc-data prepare voxceleb2 VoxCeleb2/dev data/vox2dev
  ffsvc-data prepare ffsvc2020 FFSVC2020/wav/train FFSVC2020/wav/dev data/ffsvc2020
  ffsvc-data prepare ffsvc2020 supplement/F supplement/S supplement/T data/supplement --unlabelled
  ffsvc-data prepare ffsvc2022-dev FFSVC2022/dev data/dev --meta dev_meta_list --trials trials_dev_keys
  ffsvc-data prepare ffsvc2022-eval FFSVC2022/eval data/eval --trials trials_eval
  ffsvc-data prepare cnceleb-train CN-Celeb_flac CN-Celeb2_flac data/cnceleb
  ffsvc-data prepare cnceleb-eval CN-Celeb_flac data/cnceleb-eval
  ffsvc-data prepare librispeech LibriSpeech/train-clean-100 data/libri
  ffsvc-data prepare voices VOiCES/distant-16k/speech data/voices
  ffsvc-data prepare musan musan data/lists
  ffsvc-data prepare rirs RIRS_NOISES data/lists")]
pub(crate) struct Prepare {
    #[command(subcommand)]
    corpus: Corpus,
}

#[derive(Debug, Subcommand)]
enum Corpus {
    /// VoxCeleb1 1.1: idNNNNN/VIDEO/NNNNN.wav
    Voxceleb1(WithTrials),
    /// VoxCeleb2: idNNNNN/VIDEO/NNNNN.m4a, or .wav where it has been converted
    Voxceleb2(WithTrials),
    /// FFSVC2020 train or dev, or the supplement: T0344_344I1M_1_0307_normal.wav
    ///
    /// Besides wav.scp, utt2spk and spk2utt, there are utt2device, utt2distance, utt2visit and utt2group (the
    /// recordings of one utterance by several devices).
    Ffsvc2020(Supplement),
    /// FFSVC2022 development set: ffsvc22_dev_000000.wav, dev_meta_list and trials
    #[command(name = "ffsvc2022-dev")]
    Ffsvc2022Dev(Dev),
    /// FFSVC2022 evaluation set: the recordings that trials_eval names
    #[command(name = "ffsvc2022-eval")]
    Ffsvc2022Eval(Eval),
    /// CN-Celeb1 and CN-Celeb2, training: data/id00010/singing-01-001.flac
    ///
    /// SOURCE is the folder of CN-Celeb1, with dev/dev.lst, or of CN-Celeb2, with spk.lst. Also writes utt2genre and
    /// utt2session.
    #[command(name = "cnceleb-train")]
    CnCelebTrain(Place),
    /// CN-Celeb1, evaluation: eval/enroll, eval/test and the trials between them
    #[command(name = "cnceleb-eval")]
    CnCelebEval(CnCeleb),
    /// LibriSpeech, or subsets of it: 103-1240-0000.flac
    ///
    /// Also writes utt2chapter, and spk2gender where SPEAKERS.TXT is in SOURCE or in the folder above it.
    #[command(name = "librispeech")]
    LibriSpeech(Place),
    /// VOiCES: Lab41-SRI-VOiCES-rm1-musi-sp0032-ch004137-sg0005-mc05-stu-far-dg080.wav
    ///
    /// Besides wav.scp, utt2spk and spk2utt, there are utt2room, utt2noise, utt2mic, utt2device, utt2location and utt2group
    /// (the recordings of one utterance by several microphones).
    Voices(Place),
    /// MUSAN: the lists musan_noise, musan_music and musan_speech
    Musan(Sounds),
    /// RIRS_NOISES: the lists rirs (simulated small and medium rooms), rirs_simulated and rirs_real
    Rirs(Responses),
}

/// From folders to a data directory.
#[derive(Debug, Args)]
struct Place {
    /// Folders of the corpus
    #[arg(value_name = "SOURCE", required = true, num_args = 1..)]
    sources: Vec<PathBuf>,

    /// The data directory to write
    #[arg(value_name = "OUT")]
    out: OutputPath,

    /// Replace the tables of a data directory that is there already
    #[arg(long)]
    overwrite: bool,
}

impl Place {
    fn output(&self) -> Output {
        Output::new(&self.out).overwrite(self.overwrite)
    }
}

#[derive(Debug, Args)]
struct WithTrials {
    #[command(flatten)]
    place: Place,

    /// A published list of trials, such as veri_test2.txt; may be given several times
    ///
    /// Written as OUT/trials_o, trials_o_cleaned, trials_e, ... by the list's name, or trials_NAME for others.
    #[arg(long, value_name = "FILE")]
    trials: Vec<PathBuf>,

    /// Leave out trials whose recordings are not there
    #[arg(long, requires = "trials")]
    skip_missing: bool,
}

#[derive(Debug, Args)]
struct Supplement {
    #[command(flatten)]
    place: Place,

    /// Write no speakers, as for task 2
    #[arg(long)]
    unlabelled: bool,
}

#[derive(Debug, Args)]
struct Dev {
    #[command(flatten)]
    place: Place,

    /// dev_meta_list, which says what each recording is
    #[arg(long, value_name = "LIST")]
    meta: PathBuf,

    /// trials_dev_keys (or trials_dev, without labels)
    #[arg(long, value_name = "FILE")]
    trials: PathBuf,

    /// Leave out recordings that are not there, and their trials
    #[arg(long)]
    skip_missing: bool,
}

#[derive(Debug, Args)]
struct Eval {
    #[command(flatten)]
    place: Place,

    /// trials_eval
    #[arg(long, value_name = "FILE")]
    trials: PathBuf,
}

#[derive(Debug, Args)]
struct CnCeleb {
    /// The folder of CN-Celeb1
    #[arg(value_name = "SOURCE")]
    source: PathBuf,

    /// The data directory to write
    #[arg(value_name = "OUT")]
    out: OutputPath,

    /// Replace the tables of a data directory that is there already
    #[arg(long)]
    overwrite: bool,

    /// Leave out trials whose recordings are not there
    #[arg(long)]
    skip_missing: bool,
}

#[derive(Debug, Args)]
struct Sounds {
    /// Folders of the corpus
    #[arg(value_name = "SOURCE", required = true, num_args = 1..)]
    sources: Vec<PathBuf>,

    /// Folder to write the lists to
    #[arg(value_name = "OUT")]
    out: OutputPath,

    /// Replace lists that are there already
    #[arg(long)]
    overwrite: bool,
}

#[derive(Debug, Args)]
struct Responses {
    /// The folder RIRS_NOISES
    #[arg(value_name = "SOURCE")]
    source: PathBuf,

    /// Folder to write the lists to
    #[arg(value_name = "OUT")]
    out: OutputPath,

    /// Replace lists that are there already
    #[arg(long)]
    overwrite: bool,

    /// Leave out measured responses that rir_list names and that are not there
    #[arg(long)]
    skip_missing: bool,
}

impl Prepare {
    pub(crate) fn run(self, json: bool) -> anyhow::Result<()> {
        self.corpus.files().check(json)?;
        let prepared = self.corpus.prepare()?;
        warn_of(&prepared, "no list or name of the corpus knows them");
        if json {
            return print_json(&prepared);
        }
        print!("{prepared}");
        Ok(())
    }
}

impl Corpus {
    fn files(&self) -> RunFiles {
        let (sources, lists, out): (&[PathBuf], &[PathBuf], _) = match self {
            Self::Voxceleb1(args) | Self::Voxceleb2(args) => {
                (&args.place.sources, &args.trials, &args.place.out)
            }
            Self::Ffsvc2020(args) => (&args.place.sources, &[], &args.place.out),
            Self::Ffsvc2022Dev(args) => {
                (&args.place.sources, std::slice::from_ref(&args.trials), &args.place.out)
            }
            Self::Ffsvc2022Eval(args) => {
                (&args.place.sources, std::slice::from_ref(&args.trials), &args.place.out)
            }
            Self::CnCelebTrain(place) | Self::LibriSpeech(place) | Self::Voices(place) => {
                (&place.sources, &[], &place.out)
            }
            Self::CnCelebEval(args) => (std::slice::from_ref(&args.source), &[], &args.out),
            Self::Musan(args) => (&args.sources, &[], &args.out),
            Self::Rirs(args) => (std::slice::from_ref(&args.source), &[], &args.out),
        };
        let meta = if let Self::Ffsvc2022Dev(args) = self { Some(&args.meta) } else { None };
        RunFiles::new()
            .input("SOURCE", sources)
            .input("--trials", lists)
            .input("--meta", meta)
            .output_folder("OUT", [out])
    }

    fn prepare(&self) -> ffsvc_corpora::Result<Prepared> {
        let lists = |folder, overwrite| Lists { folder, overwrite };
        match self {
            Self::Voxceleb1(args) => args.prepare(VoxCelebEdition::One),
            Self::Voxceleb2(args) => args.prepare(VoxCelebEdition::Two),
            Self::Ffsvc2020(Supplement { place, unlabelled }) => {
                Ffsvc2020 { sources: &place.sources, unlabelled: *unlabelled }.prepare(&place.output())
            }
            Self::Ffsvc2022Dev(Dev { place, meta, trials, skip_missing }) => {
                Ffsvc2022Dev { sources: &place.sources, meta, trials, allow_missing: *skip_missing }
                    .prepare(&place.output())
            }
            Self::Ffsvc2022Eval(Eval { place, trials }) => {
                Ffsvc2022Eval { sources: &place.sources, trials }.prepare(&place.output())
            }
            Self::CnCelebTrain(place) => CnCelebTrain { sources: &place.sources }.prepare(&place.output()),
            Self::CnCelebEval(CnCeleb { source, out, overwrite, skip_missing }) => {
                CnCelebEval { source, allow_missing: *skip_missing }
                    .prepare(&Output::new(out).overwrite(*overwrite))
            }
            Self::LibriSpeech(place) => LibriSpeech { sources: &place.sources }.prepare(&place.output()),
            Self::Voices(place) => Voices { sources: &place.sources }.prepare(&place.output()),
            Self::Musan(args) => prepare_musan(&args.sources, &lists(Path::new(&args.out), args.overwrite)),
            Self::Rirs(args) => prepare_rirs_noises(
                &args.source,
                args.skip_missing,
                &lists(Path::new(&args.out), args.overwrite),
            ),
        }
    }
}

impl WithTrials {
    fn prepare(&self, edition: VoxCelebEdition) -> ffsvc_corpora::Result<Prepared> {
        let (sources, trials) = (&self.place.sources, &self.trials);
        VoxCeleb { edition, sources, trials, allow_missing: self.skip_missing }.prepare(&self.place.output())
    }
}

pub(crate) fn warn_of(prepared: &Prepared, left_out: &str) {
    for remark in &prepared.remarks {
        warn!("{remark}");
    }
    if !prepared.surplus.is_empty() {
        warn!("left out, because {left_out}: {}", prepared.surplus);
    }
    if !prepared.missing.is_empty() {
        warn!("missing: {}; {} trials are left out", prepared.missing, prepared.dropped_trials);
    }
}
