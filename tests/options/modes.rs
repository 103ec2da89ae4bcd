//! Every option is read or refused: in each mode of a program, an option that has no use is wrong usage, and of every
//! other one an unusable value fails.

use std::fs;
use std::path::Path;

use crate::dump::{CHECKED, Opt, options};
use crate::workplace::{Place, said};

/// A way to use a command, by a command line that succeeds.
pub(crate) struct Mode {
    pub(crate) program: &'static str,
    pub(crate) command: &'static str,
    /// The options of the mode itself.
    pub(crate) words: &'static str,
    /// Options that this mode cannot use, with values that are fine elsewhere.
    refused: &'static str,
    /// Whether the command line succeeds: one that serves until it is stopped does not.
    pub(crate) ends: bool,
}

const fn mode(
    program: &'static str,
    command: &'static str,
    words: &'static str,
    refused: &'static str,
) -> Mode {
    Mode { program, command, words, refused, ends: true }
}

pub(crate) const MODES: &[Mode] = &[
    mode(
        "ffsvc-score",
        "",
        "--trials trials --embeddings e.npz",
        "--scores=scores --c-miss=2?--dcf=0.1,1,1 --c-fa=2?--dcf=0.1,1,1 --utt2spk=utt2spk --min-trials=3 --seed=1 --level=0.5 \
         --enrol-mean-subtract=e.npz --utt2domain=utt2device --domain=far=e.npz --enrol-average=directions --score-norm=z-norm --cohort=e.npz \
         --cohort-utt2spk=utt2spk --top=5 --bootstrap=10 --fa-rate=0.1?--compat",
    ),
    mode(
        "ffsvc-score",
        "",
        "--trials trials --scores scores",
        "--embeddings=e.npz --enrol-embeddings=e.npz --allow-other-model --mean-subtract=e.npz \
         --enrol-mean-subtract=e.npz --utt2domain=utt2device --domain=far=e.npz --backend=plda.safetensors --enrolment=utt2spk \
         --enrol-average=directions --score-norm=z-norm --cohort=e.npz --cohort-utt2spk=utt2spk --top=5 --c-miss=2?--dcf=0.1,1,1 \
         --c-fa=2?--dcf=0.1,1,1 --utt2spk=utt2spk --min-trials=3 --seed=1 --level=0.5 --bootstrap=10",
    ),
    mode(
        "ffsvc-score",
        "",
        "--trials trials --scores scores --by test:snr:10,20=utt2snr --min-trials 1",
        "--embeddings=e.npz --enrol-embeddings=e.npz --allow-other-model --mean-subtract=e.npz \
         --enrol-mean-subtract=e.npz --utt2domain=utt2device --domain=far=e.npz --backend=plda.safetensors --enrolment=utt2spk \
         --enrol-average=directions --score-norm=z-norm --cohort=e.npz --cohort-utt2spk=utt2spk --top=5 --c-miss=2?--dcf=0.1,1,1 \
         --c-fa=2?--dcf=0.1,1,1 --seed=1 --level=0.5 --bootstrap=10",
    ),
    mode(
        "ffsvc-score",
        "train-backend",
        "--embeddings e.npz --utt2spk utt2spk --output out.safetensors",
        "--lda-dim=3 --total-covariance-factor=0.1 --em-iterations=3 --smoothing=0.1 --plda-length-norm=expected",
    ),
    mode(
        "ffsvc-score",
        "train-backend",
        "--embeddings e.npz --utt2spk utt2spk --output out.safetensors --transform lda --lda-dim 3 --plda",
        "",
    ),
    mode(
        "ffsvc-score",
        "adapt-backend",
        "--backend plda.safetensors --embeddings e.npz --output out.safetensors",
        "",
    ),
    mode(
        "ffsvc-score",
        "adapt-backend",
        "--backend plda.safetensors --embeddings e.npz --output out.safetensors --method coral",
        "--within-scale=0.5 --between-scale=0.5 --mean-shift-scale=0.5",
    ),
    mode(
        "ffsvc-score",
        "calibrate",
        "--trials trials --scores scores --output out.json",
        "--seed=1 --utt2spk=utt2spk",
    ),
    mode(
        "ffsvc-score",
        "calibrate",
        "--trials trials --scores scores --output out.json --method pav",
        "--ridge=0.1 --seed=1 --utt2spk=utt2spk",
    ),
    mode(
        "ffsvc-score",
        "apply",
        "--trials trials --scores scores --calibration calibration.json --output out",
        "",
    ),
    mode(
        "ffsvc-score",
        "embedding-quality",
        "--embeddings e.npz --measure length --output out",
        "--top=5 --cohort-utt2spk=utt2spk",
    ),
    mode(
        "ffsvc-score",
        "compare",
        "--trials trials --utt2spk utt2spk --scores a=scores --scores b=scores --bootstrap 20",
        "",
    ),
    mode("ffsvc-score", "errors", "--trials trials --scores scores", ""),
    mode("ffsvc-score", "plot det", "--trials trials --scores scores --output out.svg", ""),
    mode("ffsvc-score", "plot histogram", "--trials trials --scores scores --output out.svg", ""),
    mode("ffsvc-score", "plot calibration", "--trials trials --scores scores --output out.svg", ""),
    mode("ffsvc-score", "plot conditions", "--report report.json --output out.svg", ""),
    mode(
        "ffsvc-score",
        "report",
        "--trials trials --scores a=scores --output out.html",
        "--c-miss=2?--dcf=0.1,1,1 --c-fa=2?--dcf=0.1,1,1 --min-trials=3 --seed=1 --level=0.5 --bootstrap=10 \
         --fa-rate=0.1?--compat",
    ),
    mode(
        "ffsvc-cluster",
        "kmeans",
        "e.npz --output out --overwrite --k 6",
        "--criterion=silhouette --k-factor=2 --no-warm-start --silhouette-sample=9 --tolerance=0.1?--mini-batch=8 \
         --restarts=2?--start-from=clusters/centres.scp --metric=cosine?--compat",
    ),
    mode(
        "ffsvc-cluster",
        "kmeans",
        "e.npz --output out --overwrite --k 2..6:2",
        "--start-from=clusters/centres.scp",
    ),
    mode("ffsvc-cluster", "ahc", "e.npz --output out --overwrite --k 6", "--distance=0.5 --seed=1"),
    mode("ffsvc-cluster", "sweep", "e.npz --output out --overwrite --k 6", "--no-warm-start"),
    mode("ffsvc-cluster", "sweep", "e.npz --output out --overwrite --k 2..6:2", ""),
    mode("ffsvc-cluster", "labels", "clusters data --output out --overwrite", ""),
    mode("ffsvc-cluster", "compare", "utt2spk utt2device", ""),
    mode("ffsvc-data", "validate", "corpus/dev", "--show=3?--json"),
    mode("ffsvc-data", "fix", "corpus/dev", ""),
    mode("ffsvc-data", "trials", "corpus/dev/trials", "--allow-pipes"),
    mode("ffsvc-data", "trials", "corpus/dev/trials --data corpus/dev", ""),
    mode("ffsvc-data", "combine", "corpus/train corpus/dev --output out --overwrite", ""),
    mode(
        "ffsvc-data",
        "subset",
        "corpus/train --count 2 --output out --overwrite",
        "--per-speaker=2 --speakers=corpus/dev/spk2utt --utterances=corpus/dev/utt2spk --except",
    ),
    mode(
        "ffsvc-data",
        "subset",
        "corpus/train --speakers corpus/train/spk2utt --output out --overwrite",
        "--seed=1 --count=2 --per-speaker=2 --utterances=corpus/dev/utt2spk",
    ),
    mode("ffsvc-data", "split", "corpus/train --parts 2 --output out --overwrite", ""),
    mode("ffsvc-data", "utt2spk-to-spk2utt", "utt2spk", ""),
    mode("ffsvc-data", "utt2spk-to-spk2utt", "utt2spk --output out", "--json"),
    mode("ffsvc-data", "spk2utt-to-utt2spk", "spk2utt", ""),
    mode("ffsvc-data", "spk2utt-to-utt2spk", "spk2utt --output out", "--json"),
    mode(
        "ffsvc-data",
        "synth",
        "out --train-speakers 1 --train-utterances 1 --dev-speakers 2 --dev-utterances 2 --seconds 0.1,0.2",
        "",
    ),
    mode("ffsvc-data", "prepare voxceleb1", "vox1 out --overwrite", "--skip-missing"),
    mode("ffsvc-data", "prepare voxceleb1", "vox1 out --overwrite --trials veri_test2.txt", ""),
    mode("ffsvc-data", "prepare voxceleb2", "vox2 out --overwrite", "--skip-missing"),
    mode("ffsvc-data", "prepare ffsvc2020", "ffsvc2020 out --overwrite", ""),
    mode(
        "ffsvc-data",
        "prepare ffsvc2022-dev",
        "ffsvc2022-dev out --overwrite --meta dev_meta_list --trials trials_dev_keys",
        "",
    ),
    mode("ffsvc-data", "prepare ffsvc2022-eval", "ffsvc2022-eval out --overwrite --trials trials_eval", ""),
    mode("ffsvc-data", "prepare cnceleb-train", "CN-Celeb_flac CN-Celeb2_flac out --overwrite", ""),
    mode("ffsvc-data", "prepare cnceleb-eval", "CN-Celeb_flac out --overwrite", ""),
    mode("ffsvc-data", "prepare librispeech", "LibriSpeech out --overwrite", ""),
    mode("ffsvc-data", "prepare voices", "VOiCES out --overwrite", ""),
    mode("ffsvc-data", "prepare musan", "musan out --overwrite", ""),
    mode("ffsvc-data", "prepare rirs", "RIRS_NOISES out --overwrite", ""),
    mode("ffsvc-data", "from-folders", "tree out --overwrite", ""),
    mode("ffsvc-data", "from-shards", "shard.list out --overwrite", ""),
    mode("ffsvc-data", "to-shards", "corpus/dev out --overwrite", ""),
    mode(
        "ffsvc-data",
        "from-folders",
        "tree out --overwrite --pattern {speaker}/{session}/{utterance}",
        "--speaker-depth=2",
    ),
    mode("ffsvc-data", "make-trials", "corpus/dev --output out", "--models-out=models --enrol-utterances=1"),
    mode(
        "ffsvc-data",
        "make-trials",
        "corpus/dev --output out --enrol-utterances 1 --models-out models --same-gender 0 --nontargets 1",
        "",
    ),
    mode("ffsvc-data", "convert", "corpus/dev out", ""),
    mode("ffsvc-data", "augment", "corpus/dev out --config tiny.toml", "--plan"),
    mode("ffsvc-data", "augment", "corpus/dev --config tiny.toml --plan", ""),
    mode("ffsvc-data", "audio-quality", "corpus/dev out", "--show=3?--json --vad-model=silero.safetensors"),
    mode(
        "ffsvc-data",
        "audio-quality",
        "corpus/dev out --vad silero --vad-model silero.safetensors",
        "--show=3?--json",
    ),
    mode("ffsvc-data", "segment", "corpus/dev out --overwrite", "--vad-model=silero.safetensors"),
    mode(
        "ffsvc-data",
        "segment",
        "corpus/dev out --overwrite --vad silero --vad-model silero.safetensors",
        "",
    ),
    mode("ffsvc-data", "bench-loader", "tiny.toml --threads 1 --measure-seconds 0.1", ""),
    mode("ffsvc-data", "ffsvc-tables", "dev_meta_list out", ""),
    mode("ffsvc-data", "value", "report.json /metrics/eer", "--percent?--json --decimals=2?--json"),
    mode("ffsvc-train", "", "no-validation.toml out", "--validate-first --head=keep --tui"),
    mode(
        "ffsvc-train",
        "",
        "tiny.toml exp --resume",
        "--init-from=exp/final.safetensors --head=keep --resume-or-start",
    ),
    mode("ffsvc-train", "", "tiny.toml out --init-from exp/final.safetensors", "--resume"),
    mode(
        "ffsvc-train",
        "",
        "tiny.toml out --resume-or-start --init-from exp/final.safetensors --head keep",
        "--resume",
    ),
    mode(
        "ffsvc-train",
        "",
        "tiny.toml --dry-run",
        "--resume --resume-or-start --validate-first --head=keep --tui --tensorboard=events",
    ),
    mode("ffsvc-train", "", "tiny.toml out --tensorboard events", "--tui --dry-run"),
    mode("ffsvc-train", "report", "exp --output out.html", ""),
    mode("ffsvc-train", "template", "small", ""),
    Mode {
        program: "ffsvc-train",
        command: "serve-device",
        words: "--listen 127.0.0.1:0",
        refused: "",
        ends: false,
    },
    mode(
        "ffsvc-extract",
        "",
        "--model exp/final.safetensors corpus/dev out.npz",
        "--length-bucket=2?--batch-size=1 --vad-model=silero.safetensors",
    ),
    mode(
        "ffsvc-extract",
        "",
        "--model exp/final.safetensors corpus/dev out.npz --speech-only silero --vad-model silero.safetensors",
        "",
    ),
    mode(
        "ffsvc-extract",
        "",
        "--model exp/final.safetensors corpus/wav/dev00000/dev00000-00000.wav --output out.npz",
        "--allow-pipes",
    ),
    mode("ffsvc-model", "import", "net.pkl --output out.safetensors", ""),
    mode(
        "ffsvc-model",
        "export",
        "--to wespeaker exp/final.safetensors --output out.pkl",
        "--with-front-end",
    ),
    mode("ffsvc-model", "export", "--to onnx exp/final.safetensors --output out.onnx", ""),
    mode("ffsvc-model", "compare", "exp/final.safetensors exp/initial.safetensors", ""),
    mode("ffsvc-model", "verify", "exp/final.safetensors --against heard.npz --data corpus/dev", ""),
    mode("ffsvc-model", "mean", "exp/final.safetensors heard.npz --output out.safetensors", ""),
    mode(
        "ffsvc-model",
        "average",
        "exp/final.safetensors exp/initial.safetensors --output out.safetensors",
        "--batches=3 --no-augmentation",
    ),
    mode(
        "ffsvc-model",
        "average",
        "exp --last 1 --output out.safetensors --reestimate-batch-norm corpus/train",
        "",
    ),
    mode(
        "ffsvc-verify",
        "",
        "corpus/wav/dev00000/dev00000-00000.wav corpus/wav/dev00001/dev00001-00000.wav --model exp/final.safetensors",
        NO_RULE,
    ),
    mode(
        "ffsvc-verify",
        "",
        "corpus/wav/dev00000/dev00000-00000.wav corpus/wav/dev00001/dev00001-00000.wav --model exp/final.safetensors \
         --threshold-from heard.json",
        "--threshold=0.5 --calibration=calibration.json --p-target=0.1 --c-miss=2 --c-fa=2 --vad-model=silero.safetensors",
    ),
    mode(
        "ffsvc-verify",
        "",
        "corpus/wav/dev00000/dev00000-00000.wav corpus/wav/dev00001/dev00001-00000.wav --model exp/final.safetensors \
         --calibration calibration.json --p-target 0.1",
        "--threshold=0.5 --threshold-from=heard.json --operating-point=eer --vad-model=silero.safetensors",
    ),
    mode(
        "ffsvc-verify",
        "",
        "corpus/wav/dev00000/dev00000-00000.wav corpus/wav/dev00001/dev00001-00000.wav --model exp/final.safetensors \
         --threshold 0.5",
        "--threshold-from=heard.json --operating-point=eer --allow-other-model --calibration=calibration.json --p-target=0.1 \
         --c-miss=2 --c-fa=2 --vad-model=silero.safetensors",
    ),
    mode(
        "ffsvc-verify",
        "",
        "corpus/wav/dev00000/dev00000-00000.wav corpus/wav/dev00001/dev00001-00000.wav --model exp/final.safetensors \
         --speech-only silero --vad-model silero.safetensors",
        "--operating-point=eer --allow-other-model --p-target=0.1 --c-miss=2 --c-fa=2",
    ),
    mode(
        "ffsvc-verify",
        "",
        "corpus/wav/dev00000/dev00000-00000.wav corpus/wav/dev00001/dev00001-00000.wav --model exp/final.safetensors \
         --speech-only noise-floor",
        "--operating-point=eer --allow-other-model --p-target=0.1 --c-miss=2 --c-fa=2 --vad-model=silero.safetensors",
    ),
    mode(
        "ffsvc-verify",
        "enrol",
        "eve corpus/wav/dev00001/dev00001-00000.wav --model exp/final.safetensors --database people",
        "--mean-subtract=heard.npz --vad-model=silero.safetensors",
    ),
    mode(
        "ffsvc-verify",
        "enrol",
        "eve corpus/wav/dev00001/dev00001-00000.wav --model exp/final.safetensors --database people \
         --speech-only silero --vad-model silero.safetensors",
        "--mean-subtract=heard.npz",
    ),
    mode(
        "ffsvc-verify",
        "claim",
        "ann corpus/wav/dev00001/dev00001-00000.wav --model exp/final.safetensors --database people",
        NO_RULE,
    ),
    mode(
        "ffsvc-verify",
        "claim",
        "ann corpus/wav/dev00001/dev00001-00000.wav --model exp/final.safetensors --database people \
         --speech-only silero --vad-model silero.safetensors",
        "--operating-point=eer --allow-other-model --p-target=0.1 --c-miss=2 --c-fa=2",
    ),
    mode(
        "ffsvc-verify",
        "identify",
        "corpus/wav/dev00001/dev00001-00000.wav --model exp/final.safetensors --database people",
        NO_RULE,
    ),
    mode(
        "ffsvc-verify",
        "identify",
        "corpus/wav/dev00001/dev00001-00000.wav --model exp/final.safetensors --database people \
         --speech-only silero --vad-model silero.safetensors",
        "--operating-point=eer --allow-other-model --p-target=0.1 --c-miss=2 --c-fa=2",
    ),
    mode("ffsvc-verify", "list", "--database people", ""),
    mode("ffsvc-verify", "remove", "ann --database people", ""),
];

/// What `ffsvc-verify` refuses where no rule decides.
const NO_RULE: &str = "--operating-point=eer --allow-other-model --p-target=0.1 --c-miss=2 --c-fa=2 --vad-model=silero.safetensors";

#[test]
fn every_command_has_a_mode() {
    let has_mode = |option: &&Opt| {
        MODES.iter().any(|mode| (mode.program, mode.command) == (option.program, option.command.as_str()))
    };
    let faults: Vec<String> = options()
        .iter()
        .filter(|option| option.long.is_some() && !has_mode(option))
        .map(ToString::to_string)
        .collect();
    assert!(faults.is_empty(), "give the commands of these options a mode in MODES:\n{}", faults.join("\n"));
}

#[test]
fn what_a_mode_cannot_use_is_refused_by_name() {
    let mut faults = Vec::new();
    for mode in MODES.iter().filter(|mode| CHECKED.contains(&mode.program) && mode.ends) {
        let place = Place::new();
        let base = format!("{} {}", mode.command, mode.words);
        let output = place.run(mode.program, &base);
        assert!(output.status.success(), "{} {base}: {}", mode.program, said(&output));
        for refused in mode.refused.split_whitespace() {
            // `--option=value?--other` needs the other option for its mode.
            let (option, with) = refused.split_once('?').unwrap_or((refused, ""));
            let output = place.run(mode.program, &format!("{base} {with} {option}"));
            let name = option.split('=').next().unwrap_or(option);
            let is_named = String::from_utf8_lossy(&output.stderr).contains(name);
            if output.status.code() != Some(2) || !is_named {
                faults.push(format!(
                    "{} {base} {with} {option} is not refused by name: {}",
                    mode.program,
                    said(&output)
                ));
            }
        }
    }
    assert!(faults.is_empty(), "{}", faults.join("\n"));
}

/// A value that cannot be used, for the kinds of options that have one. Outputs have tests of their own.
fn unusable(option: &Opt) -> Option<String> {
    let name = option.long.as_deref().unwrap_or(&option.value_name).to_lowercase();
    match option.kind.as_str() {
        "number" => Some("nan".to_owned()),
        "path" if option.is_changed_in_place() => None,
        "path" => Some(format!("no-such-folder/{name}")),
        "choice" | "other" => Some("no=such,value:".to_owned()),
        _ => None,
    }
}

#[test]
fn what_a_mode_uses_fails_with_an_unusable_value() {
    let mut faults = Vec::new();
    for mode in MODES.iter().filter(|mode| CHECKED.contains(&mode.program)) {
        let place = Place::new();
        let of_command =
            options().iter().filter(|o| (o.program, o.command.as_str()) == (mode.program, mode.command));
        for option in of_command {
            let Some(long) = &option.long else { continue };
            let names = |words: &str| words.split(['=', ' ', '?']).any(|word| word == format!("--{long}"));
            let (Some(value), false) = (unusable(option), names(mode.refused)) else { continue };
            let base = without(mode.words, long);
            let output = place.run(mode.program, &format!("{} {base} --{long}={value}", mode.command));
            let stderr = String::from_utf8_lossy(&output.stderr);
            if output.status.success()
                || !(stderr.contains(value.rsplit('=').next().unwrap_or(&value))
                    || stderr.contains(&format!("--{long}")))
            {
                faults.push(format!("{option}={value} after {}: {}", mode.words, said(&output)));
            }
        }
    }
    assert!(faults.is_empty(), "{}", faults.join("\n"));
}

/// The words of a command line, without an option and its value.
pub(crate) fn without(words: &str, long: &str) -> String {
    let mut kept = Vec::new();
    let mut words = words.split_whitespace();
    while let Some(word) = words.next() {
        if word == format!("--{long}") {
            words.next();
        } else {
            kept.push(word);
        }
    }
    kept.join(" ")
}

/// Options whose every value is fine, and flags, are used by some test of what they do.
#[test]
fn every_flag_and_text_is_used_by_a_test() {
    let tests = Path::new(env!("CARGO_MANIFEST_DIR"));
    let texts =
        [sources(&tests.join("tests")), sources(&tests.join("recipes")), sources(&tests.join("docs"))]
            .concat();
    let faults: Vec<String> = options()
        .iter()
        .filter(|option| matches!(option.kind.as_str(), "flag" | "count" | "text"))
        .filter(|option| {
            let name = option.name();
            let is_used = |text: &str| {
                text.match_indices(&name).any(|(place, _)| {
                    !text[place + name.len()..]
                        .starts_with(|next: char| next == '-' || next.is_alphanumeric())
                })
            };
            option.long.is_some() && !texts.iter().any(|text| text.contains(option.program) && is_used(text))
        })
        .map(|option| format!("{option}: no test shows what it does"))
        .collect();
    assert!(faults.is_empty(), "{}", faults.join("\n"));
}

/// The text of every test, recipe and page below a folder, but of these tests.
fn sources(folder: &Path) -> Vec<String> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() && path.file_name().is_some_and(|name| name != "options" && name != "data") {
            found.extend(sources(&path));
        } else if path.extension().is_some_and(|end| end == "rs" || end == "sh" || end == "md") {
            found.push(fs::read_to_string(path).unwrap());
        }
    }
    found
}
