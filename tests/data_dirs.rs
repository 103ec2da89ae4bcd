//! `ffsvc-data` from end to end: results on stdout, the rest on stderr, exit status 0, 1 or 2.

use std::fs;
use std::path::Path;

use assert_cmd::Command;
use ffsvc_audio::{SampleFormat, write_wav};
use ffsvc_synth::{Speaker, Vowel, sustained_vowel};
use predicates::prelude::PredicateBooleanExt;
use predicates::str::{contains, is_empty, starts_with};
use tempfile::TempDir;

/// The program, run inside `folder`.
fn ffsvc_data(folder: &TempDir, args: &[&str]) -> assert_cmd::assert::Assert {
    let mut command = Command::cargo_bin("ffsvc-data").expect("the program is built with the tests");
    command.current_dir(folder).args(args).assert()
}

/// A folder with the data directory `d`: two speakers, three utterances, audio files of no content.
fn workplace() -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    fs::create_dir(folder.path().join("d")).unwrap();
    for name in ["1.wav", "far field.wav", "3.wav"] {
        fs::write(folder.path().join(name), "RIFF").unwrap();
    }
    write(&folder, "d/wav.scp", "a1 1.wav\na2 far field.wav\nb1 3.wav\n");
    write(&folder, "d/utt2spk", "a1 a\na2 a\nb1 b\n");
    folder
}

fn write(folder: &TempDir, name: &str, content: &str) {
    fs::write(folder.path().join(name), content).unwrap();
}

fn read(folder: &TempDir, name: impl AsRef<Path>) -> String {
    fs::read_to_string(folder.path().join(name)).unwrap()
}

fn json(assert: &assert_cmd::assert::Assert) -> serde_json::Value {
    serde_json::from_slice(&assert.get_output().stdout).expect("stdout is JSON alone")
}

#[test]
fn validate_says_what_is_wrong_and_fails() {
    let folder = workplace();
    ffsvc_data(&folder, &["validate", "d"])
        .success()
        .stdout("d: 3 utterances, 2 speakers, no problem\n")
        .stderr(is_empty());

    write(&folder, "d/wav.scp", "b1 3.wav\r\na1 gone.wav\na2 far field.wav\nc1 x.sph |\n");
    let assert = ffsvc_data(&folder, &["validate", "d"]).code(1).stderr(is_empty());
    let out = String::from_utf8(assert.get_output().stdout.clone()).unwrap();
    for line in [
        "d/wav.scp:1: CR LF line end",
        "d/wav.scp:2: not sorted in byte order: a1",
        "d/wav.scp:2: audio file missing: gone.wav of a1",
        "d/wav.scp:4: command in place of a path, which is not allowed (allow_pipes): x.sph | of c1",
        "d/wav.scp:4: utterance without a speaker in utt2spk: c1",
        "1 x CR LF line end",
        "d: 4 utterances, 2 speakers, 5 problems",
    ] {
        assert!(out.lines().any(|l| l == line), "{line:?} in\n{out}");
    }
    let report = json(&ffsvc_data(&folder, &["validate", "d", "--json", "--allow-pipes"]).code(1));
    assert_eq!(report["problems"].as_array().unwrap().len(), 4);
    assert_eq!(report["problems"][0]["kind"], "carriage-return");
}

#[test]
fn fix_leaves_a_valid_directory_and_a_backup() {
    let folder = workplace();
    let untidy = "b1 3.wav\r\na1 1.wav\r\nc1 1.wav\r\n";
    write(&folder, "d/wav.scp", untidy);
    ffsvc_data(&folder, &["fix", "d"]).success().stdout(
        "dropped c1: utterance without a speaker in utt2spk\n\
         wrote spk2utt utt2spk wav.scp; the former tables are in d/.backup\n\
         d: 2 utterances, 1 dropped\n",
    );
    assert_eq!(read(&folder, "d/.backup/wav.scp"), untidy);
    ffsvc_data(&folder, &["validate", "d"]).success();
    let again = json(&ffsvc_data(&folder, &["--json", "fix", "d"]).success());
    assert_eq!((&again["utterances"], &again["backup"]), (&2.into(), &serde_json::Value::Null));
}

#[test]
fn combine_needs_prefixes_for_equal_names() {
    let folder = workplace();
    ffsvc_data(&folder, &["combine", "d", "d", "-o", "all"])
        .code(1)
        .stdout(is_empty())
        .stderr(starts_with("ffsvc-data: error: d: the utterance a1 is also in d; give each"));
    ffsvc_data(&folder, &["combine", "d", "d", "-o", "all", "--prefix", "x-"])
        .code(2)
        .stderr(contains("found 1 --prefix for 2 directories"));
    ffsvc_data(&folder, &["combine", "d", "d", "-o", "all", "--prefix", "", "--prefix", "x-"])
        .success()
        .stdout("all: 6 utterances, 4 speakers\n");
    assert_eq!(read(&folder, "all/spk2utt"), "a a1 a2\nb b1\nx-a x-a1 x-a2\nx-b x-b1\n");
    ffsvc_data(&folder, &["combine", "d", "-o", "all"]).code(1).stderr(contains("--overwrite"));
}

#[test]
fn subset_by_list_and_by_number() {
    let folder = workplace();
    write(&folder, "keep", "b\n");
    ffsvc_data(&folder, &["subset", "d", "--speakers", "keep", "-o", "s"])
        .success()
        .stdout("s: 1 of 3 utterances\n");
    assert_eq!(read(&folder, "s/wav.scp"), "b1 3.wav\n");
    ffsvc_data(&folder, &["subset", "d", "--speakers", "keep", "--except", "-o", "e"])
        .success()
        .stdout("e: 2 of 3 utterances\n");
    assert_eq!(read(&folder, "e/utt2spk"), "a1 a\na2 a\n");
    write(&folder, "one", "a1\n");
    ffsvc_data(&folder, &["subset", "d", "--utterances", "one", "--except", "-o", "o"]).success();
    assert_eq!(read(&folder, "o/utt2spk"), "a2 a\nb1 b\n");
    for output in ["r1", "r2"] {
        ffsvc_data(&folder, &["subset", "d", "--count", "2", "--seed", "5", "-o", output]).success();
    }
    assert_eq!(read(&folder, "r1/wav.scp"), read(&folder, "r2/wav.scp"));
    write(&folder, "keep", "b1\nzz\n");
    ffsvc_data(&folder, &["subset", "d", "--utterances", "keep", "-o", "u"])
        .code(1)
        .stderr(contains("1 of 2 utterances are unknown here, the first is zz"));
    for wrong in
        [&["subset", "d", "-o", "u"][..], &["subset", "d", "-o", "u", "--count", "1", "--speakers", "keep"]]
    {
        ffsvc_data(&folder, wrong).code(2).stderr(contains("Usage"));
    }
}

#[test]
fn split_writes_numbered_parts() {
    let folder = workplace();
    ffsvc_data(&folder, &["split", "d", "--parts", "2", "-o", "parts"])
        .success()
        .stdout("parts/1: 2 utterances\nparts/2: 1 utterances\n");
    assert_eq!(read(&folder, "parts/2/utt2spk"), "b1 b\n");
    let parts = json(&ffsvc_data(
        &folder,
        &["split", "d", "--parts", "3", "--keep-together", "utterances", "-o", "p", "--json"],
    ));
    assert_eq!(parts[2]["path"], "p/3");
    ffsvc_data(&folder, &["split", "d", "--parts", "3", "-o", "q"])
        .code(1)
        .stderr(contains("has 2 speakers"));
}

#[test]
fn speaker_tables_into_each_other() {
    let folder = workplace();
    ffsvc_data(&folder, &["utt2spk-to-spk2utt", "d/utt2spk"]).success().stdout("a a1 a2\nb b1\n");
    ffsvc_data(&folder, &["utt2spk-to-spk2utt", "d/utt2spk", "-o", "d/spk2utt"]).success().stdout(is_empty());
    ffsvc_data(&folder, &["spk2utt-to-utt2spk", "d/spk2utt"]).success().stdout(read(&folder, "d/utt2spk"));
    let map = json(&ffsvc_data(&folder, &["spk2utt-to-utt2spk", "d/spk2utt", "--json"]));
    assert_eq!(map["b1"], "b");
    write(&folder, "twice", "a u1\nb u1\n");
    ffsvc_data(&folder, &["spk2utt-to-utt2spk", "twice"])
        .code(1)
        .stderr(contains("twice:2: the utterance u1"));
}

#[test]
fn trials_are_counted_and_looked_up() {
    let folder = workplace();
    write(&folder, "trials", "1 a1 a2\n0 a1 b1\n0 a2 b1\n");
    ffsvc_data(&folder, &["trials", "trials", "--data", "d"])
        .success()
        .stdout("trials           3\ntarget           1\nnontarget        2\nnames            3\n")
        .stderr(is_empty());
    write(&folder, "trials", "a1.wav a2.wav 1\na1.wav z.wav 0\n");
    let assert = ffsvc_data(&folder, &["trials", "trials", "--data", "d", "--json"]).code(1).stderr(
        contains("2 of 3 names of trials have a .wav suffix")
            .and(contains("1 of 3 names are not in d: z.wav")),
    );
    assert_eq!(json(&assert)["missing"][0], "z.wav");
    write(&folder, "trials", "1 0 1\n0 1 1\n");
    ffsvc_data(&folder, &["trials", "trials"]).code(1).stderr(contains("--trial-columns label-first"));
    ffsvc_data(&folder, &["trials", "trials", "--trial-columns", "label-last"])
        .success()
        .stdout(contains("target           2"));
    ffsvc_data(&folder, &["trials", "trials", "--trial-columns", "first"]).code(2);
}

#[test]
fn an_archive_must_be_there_and_ranges_are_not_read() {
    let folder = workplace();
    write(&folder, "d/wav.scp", "a1 1.wav\na2 wav.ark:1234\nb1 3.wav\n");
    ffsvc_data(&folder, &["validate", "d"])
        .code(1)
        .stdout(contains("d/wav.scp:2: audio file missing: wav.ark:1234 of a2"));
    ffsvc_data(&folder, &["validate", "d", "--no-audio-check"]).success();
    write(&folder, "wav.ark", "a2 RIFF");
    ffsvc_data(&folder, &["validate", "d"]).success();
    let failed = "failed: a2: wav.ark:1234: no recording at byte 1234 of the archive wav.ark: it has 7 bytes";
    ffsvc_data(&folder, &["audio-quality", "d", "q"]).code(1).stderr(contains(failed));
    write(&folder, "d/wav.scp", "a1 1.wav\na2 wav.ark:3[0:99]\nb1 3.wav\n");
    ffsvc_data(&folder, &["audio-quality", "d", "q"])
        .code(1)
        .stderr(contains("failed: a2: wav.ark:3[0:99]: ranges of a recording, as in `[0:99]`, are not read"));
}

#[test]
fn segments_are_checked_and_repaired() {
    let folder = workplace();
    write(&folder, "d/wav.scp", "call1 1.wav\ncall2 3.wav\n");
    write(&folder, "d/segments", "a1 call1 0 1.5\na2 call1 1.5 -1\nb1 call3 0 1\n");
    let assert = ffsvc_data(&folder, &["validate", "d"]).code(1).stderr(is_empty());
    let out = String::from_utf8(assert.get_output().stdout.clone()).unwrap();
    for line in [
        "d/segments:3: segment of a recording that wav.scp lacks: call3 of b1",
        "d/wav.scp:2: recording without a segment: call2",
        "d: 3 utterances, 2 speakers, 2 problems",
    ] {
        assert!(out.lines().any(|l| l == line), "{line:?} in\n{out}");
    }
    ffsvc_data(&folder, &["subset", "d", "--count", "1", "-o", "s"])
        .code(1)
        .stderr(contains("d/segments:3: segment of a recording that wav.scp lacks: call3 of b1"));
    ffsvc_data(&folder, &["fix", "d"]).success().stdout(
        "dropped b1: segment of a recording that wav.scp lacks\n\
         wrote segments spk2utt utt2spk wav.scp; the former tables are in d/.backup\n\
         d: 2 utterances, 1 dropped\n",
    );
    ffsvc_data(&folder, &["validate", "d"]).success();
    ffsvc_data(&folder, &["subset", "d", "--count", "1", "-o", "s"]).success();
    assert_eq!(read(&folder, "s/segments"), "a1 call1 0 1.5\n");
    write(&folder, "d/segments", "a1 call1 2 1.5\na2 call1 1.5 -1\n");
    ffsvc_data(&folder, &["subset", "d", "--count", "1", "-o", "t"]).code(1).stderr(contains(
        "d/segments:1: found \"call1 2 1.5\" for a1, expected `RECORDING START END` in seconds",
    ));
}

/// Faint noise with vowels in it, from one time to another in seconds.
fn vowels(seconds: f64, speech_s: &[(f64, f64)]) -> Vec<f32> {
    let speaker = Speaker::draw(0, 1);
    let noise = |n: u32| f64::from(n.wrapping_mul(2_654_435_761) >> 16) / 32_768.0 - 1.0;
    let mut samples: Vec<f32> = (0..(seconds * 16_000.0) as u32).map(|n| 0.0005 * noise(n) as f32).collect();
    for &(from, to) in speech_s {
        let vowel = sustained_vowel(&speaker, Vowel::Hod, speaker.f0_hz, to - from);
        let first = (from * 16_000.0) as usize;
        samples[first..].iter_mut().zip(vowel).for_each(|(sample, vowel)| *sample += vowel);
    }
    samples
}

#[test]
fn speech_becomes_utterances() {
    let folder = tempfile::tempdir().unwrap();
    fs::create_dir(folder.path().join("d")).unwrap();
    let wav = |name: &str, samples: &[f32]| {
        write_wav(folder.path().join(name), samples, 16_000, SampleFormat::Pcm16).unwrap();
    };
    let speech_s = [(1.0, 2.0), (3.0, 3.4), (4.9, 5.4)];
    wav("1.wav", &vowels(6.4, &speech_s));
    wav("2.wav", &vowels(2.0, &[]));
    write(&folder, "d/wav.scp", "call 1.wav\nquiet 2.wav\n");
    write(&folder, "d/utt2spk", "call ann\nquiet bob\n");
    write(&folder, "d/spk2gender", "ann f\nbob m\n");
    ffsvc_data(&folder, &["segment", "d", "cut"]).success().stdout(starts_with(
        "no speech in 1: quiet\ncut: 3 utterances in 1 of 2 recordings, 0.00 h of 0.00 h\n",
    ));
    let segments = read(&folder, "cut/segments");
    assert_eq!(segments.lines().count(), 3, "{segments}");
    for (line, (from, to)) in segments.lines().zip(speech_s) {
        let words: Vec<&str> = line.split(' ').collect();
        let time = |word: &str| word.parse::<f64>().unwrap();
        let (start, end) = (time(words[2]), time(words[3]));
        assert!((start - from).abs() < 0.1 && (end - to).abs() < 0.1, "{line}");
        let name = format!("call-{:07.0}-{:07.0}", start * 100.0, end * 100.0);
        assert_eq!((words[0], words[1]), (name.as_str(), "call"));
    }
    assert_eq!(
        (read(&folder, "cut/wav.scp"), read(&folder, "cut/spk2gender")),
        ("call 1.wav\n".into(), "ann f\n".into())
    );
    ffsvc_data(&folder, &["validate", "cut"]).success().stdout("cut: 3 utterances, 1 speakers, no problem\n");

    // Longer parts only; longer pauses, over which the second and the third part become one.
    ffsvc_data(&folder, &["segment", "d", "cut"]).code(1).stderr(contains("--overwrite"));
    for (option, parts) in
        [(["--min-part", "0.8"], 1), (["--min-pause", "1.2"], 2), (["--min-pause", "2"], 1)]
    {
        ffsvc_data(&folder, &[&["segment", "d", "cut", "--overwrite"][..], &option].concat()).success();
        assert_eq!(read(&folder, "cut/segments").lines().count(), parts, "{option:?}");
    }
    // What is cut can be cut further, and be written as files.
    ffsvc_data(&folder, &["segment", "cut", "finer", "--pad", "0.01"]).success();
    assert_eq!(read(&folder, "finer/segments").lines().count(), 3);
    ffsvc_data(&folder, &["convert", "finer", "files"]).success();
    let quality = json(&ffsvc_data(&folder, &["audio-quality", "files", "q", "--json"]).success());
    let duration_s = quality["duration_s"].as_f64().unwrap();
    assert!((1.9..2.4).contains(&duration_s), "{quality}");

    write(&folder, "d/wav.scp", "call 1.wav\nquiet gone.wav\n");
    ffsvc_data(&folder, &["segment", "d", "out"]).code(1).stderr(contains("failed: quiet: gone.wav"));
    assert!(!folder.path().join("out/wav.scp").exists());
    let summary =
        json(&ffsvc_data(&folder, &["segment", "d", "out", "--allow-failures", "--json"]).success());
    assert_eq!((&summary["utterances"], &summary["recordings"]), (&3.into(), &2.into()));
    assert!(summary["failed"]["quiet"].as_str().unwrap().starts_with("gone.wav: "));
    write(&folder, "d/wav.scp", "call 2.wav\nquiet 2.wav\n");
    ffsvc_data(&folder, &["segment", "d", "none"])
        .code(1)
        .stderr(contains("d: no speech was found in 2 recordings"));
}

#[test]
fn a_detector_gets_its_model() {
    let folder = workplace();
    for command in ["segment", "audio-quality"] {
        let run = |options: &[&str]| ffsvc_data(&folder, &[&[command, "d", "out"], options].concat());
        run(&["--vad", "silero"]).code(2).stderr(contains("--vad-model"));
        run(&["--vad-model", "1.wav"]).code(2).stderr(contains("--vad-model is for --vad silero"));
        run(&["--vad", "silero", "--vad-model", "1.wav"])
            .code(1)
            .stderr(contains("1.wav: no safetensors file, and no ONNX file: "));
    }
}

fn silero_tells_speech_from_noise_that_comes_and_goes() {
    let folder = tempfile::tempdir().unwrap();
    fs::create_dir(folder.path().join("d")).unwrap();
    let silero = ffsvc_test_data::silero();
    let options = ["--vad", "silero", "--vad-model", silero.to_str().unwrap()];
    let few =
        ["--train-speakers", "2", "--train-utterances", "2", "--dev-speakers", "2", "--dev-utterances", "2"];
    ffsvc_data(&folder, &[&["synth", "voices", "--seconds", "3,4", "-q"][..], &few].concat()).success();
    let noise = |n: u32| (n.wrapping_mul(2_654_435_761) >> 8) as f32 / (1 << 23) as f32 - 1.0;
    let bursts: Vec<f32> =
        (0..64_000).map(|n| noise(n) * if n / 8000 % 2 == 0 { 0.001 } else { 0.1 }).collect();
    write_wav(folder.path().join("bursts.wav"), &bursts, 16_000, SampleFormat::Pcm16).unwrap();
    write(&folder, "d/wav.scp", "bursts bursts.wav\n");
    ffsvc_data(&folder, &["segment", "d", "levels"]).success();
    ffsvc_data(&folder, &[&["segment", "d", "network"][..], &options].concat())
        .code(1)
        .stderr(contains("no speech was found"));
    ffsvc_data(&folder, &[&["segment", "voices/dev", "network"][..], &options].concat()).success();
    ffsvc_data(&folder, &[&["audio-quality", "voices/dev", "q"][..], &options].concat()).success();
    // At a rate that is not the network's.
    ffsvc_data(&folder, &["convert", "voices/dev", "half", "--sample-rate", "8000"]).success();
    ffsvc_data(&folder, &[&["audio-quality", "half", "q8"][..], &options].concat()).success();
    let speech_s = |table: &str| -> f64 {
        read(&folder, table).lines().map(|line| line.split(' ').nth(1).unwrap().parse::<f64>().unwrap()).sum()
    };
    let (full, half) = (speech_s("q/utt2speech"), speech_s("q8/utt2speech"));
    assert!(full > 5.0 && (half / full - 1.0).abs() < 0.3, "{full} s, {half} s");
}

ffsvc_test_data::silero_tests!(silero_tells_speech_from_noise_that_comes_and_goes);

#[test]
fn checks_of_nothing_fail() {
    let folder = workplace();
    fs::create_dir(folder.path().join("nothing")).unwrap();
    ffsvc_data(&folder, &["validate", "nothing"]).code(1).stdout(contains("table missing"));
    write(&folder, "nothing/wav.scp", "\n");
    ffsvc_data(&folder, &["validate", "nothing"]).code(1).stdout(contains("table without an entry"));
    write(&folder, "empty", "");
    for args in [
        &["fix", "nothing"][..],
        &["trials", "empty"],
        &["audio-quality", "nothing", "q"],
        &["combine", "nothing", "-o", "c"],
        &["make-trials", "nothing", "-o", "t"],
        &["utt2spk-to-spk2utt", "empty"],
        &["spk2utt-to-utt2spk", "empty"],
        &["from-folders", "nothing", "f"],
    ] {
        ffsvc_data(&folder, args).code(1).stdout(is_empty());
    }
    for left in ["q", "c", "t", "f"] {
        assert!(!folder.path().join(left).exists(), "{left}");
    }
}

#[test]
fn odd_trials_are_counted_and_contradictions_refused() {
    let folder = workplace();
    write(&folder, "trials", "1 a1 a2\n0 a1 b1\n1 a1 a2\n1 b1 b1\n");
    let assert = ffsvc_data(&folder, &["trials", "trials", "--json"]).success().stderr(
        contains("trials: 1 trial compares an utterance with itself (b1)")
            .and(contains("trials: 1 trial repeats an earlier one (a1 a2)")),
    );
    let counts = json(&assert);
    assert_eq!(
        (&counts["self_trials"]["total"], &counts["repeated"]["first"][0]),
        (&1.into(), &"a1 a2".into())
    );
    write(&folder, "trials", "1 a1 a2\n0 a1 b1\n0 a2 a1\n");
    ffsvc_data(&folder, &["trials", "trials"])
        .code(1)
        .stdout(is_empty())
        .stderr(contains("trials:3: found a2 a1 as a target and as a non-target").and(contains("line 1")));
    write(&folder, "trials", "\n");
    ffsvc_data(&folder, &["trials", "trials"]).code(1).stderr(contains("no trial"));
}

/// The same lists as files, gzipped files, standard input and pipes.
#[test]
fn lists_may_be_gzipped_or_piped() {
    let folder = workplace();
    write(&folder, "trials", "1 a1 a2\n0 a1 b1\n");
    write(&folder, "names", "b\n");
    let pipe = |script: &str| {
        let program = assert_cmd::cargo::cargo_bin("ffsvc-data");
        let mut command = Command::new("bash");
        command.current_dir(&folder).env("P", program).args(["-c", script]).assert()
    };
    let expected = pipe("$P trials trials --data d").success().get_output().stdout.clone();
    for script in [
        "gzip -c trials > t.gz; $P trials t.gz --data d",
        "$P trials - --data d < trials",
        "gzip -c trials | $P trials - --data d",
        "cat trials | $P trials /dev/stdin --data d",
        "$P trials <(cat trials) --data d",
        "mkfifo f; cat trials > f & $P trials f --data d",
        "gzip d/wav.scp; mv d/wav.scp.gz d/wav.scp; $P trials trials --data d",
    ] {
        assert_eq!(pipe(script).success().get_output().stdout, expected, "{script}");
    }
    for (name, list) in [("s1", "<(gzip -c names)"), ("s2", "- < names")] {
        pipe(&format!("$P subset d --speakers {list} --output {name}")).success().stdout(contains("1 of 3"));
    }
    pipe("cat d/utt2spk | $P utt2spk-to-spk2utt -").success().stdout("a a1 a2\nb b1\n");
    pipe("xz -c trials 2>/dev/null > t.xz || printf '\\xfd7zXZ\\0' > t.xz; $P trials t.xz")
        .code(1)
        .stderr(contains("compressed by xz").and(contains("xz -dc")));
}

#[test]
fn commands_in_wav_scp_need_leave() {
    let folder = workplace();
    write(&folder, "d/wav.scp", "a1 cat 1.wav |\na2 far field.wav\nb1 3.wav\n");
    ffsvc_data(&folder, &["split", "d", "--parts", "2", "-o", "p"]).code(1).stderr(contains("--allow-pipes"));
    ffsvc_data(&folder, &["split", "d", "--parts", "2", "-o", "p", "--allow-pipes"]).success();
}

#[test]
fn prepare_says_what_it_wrote_and_what_it_left_out() {
    let folder = workplace();
    fs::create_dir_all(folder.path().join("corpus/F")).unwrap();
    for name in ["F0101_101I1M_1_0007_normal.wav", "F0101_101PAD3M_1_0007_normal.wav", "noise.wav"] {
        fs::write(folder.path().join("corpus/F").join(name), "RIFF").unwrap();
    }
    ffsvc_data(&folder, &["prepare", "ffsvc2020", "corpus", "out"])
        .success()
        .stdout("out: 2 utterances, 1 speakers\n")
        .stderr(contains("left out").and(contains("1 (corpus/F/noise.wav)")));
    ffsvc_data(&folder, &["validate", "out"]).success();
    ffsvc_data(&folder, &["prepare", "ffsvc2020", "corpus", "out"]).code(1).stderr(contains("--overwrite"));
    let prepared = json(&ffsvc_data(
        &folder,
        &["prepare", "ffsvc2020", "corpus", "d", "out", "--overwrite", "--unlabelled", "--json"],
    ));
    assert_eq!(prepared["written"][0]["entries"], 2);
    assert_eq!(prepared["surplus"]["first"][0], "corpus/F/noise.wav");
    assert!(!folder.path().join("out/utt2spk").exists());
    ffsvc_data(&folder, &["prepare", "voxceleb1", "corpus", "vox"])
        .code(1)
        .stderr(contains("no file of VoxCeleb1 in corpus").and(contains("id10270/x6uYqmx31kE/00001.wav")));
    ffsvc_data(&folder, &["prepare", "musan", "nowhere", "lists"])
        .code(1)
        .stderr(contains("cannot list nowhere"));
    ffsvc_data(&folder, &["prepare", "ffsvc2020", "corpus"]).code(2);
    ffsvc_data(&folder, &["prepare", "timit", "corpus", "out"]).code(2);
}

#[test]
fn a_tree_of_recordings_becomes_a_data_directory() {
    let folder = workplace();
    for name in [
        "ann/monday/phone_1.wav",
        "ann/monday/phone 2.flac",
        "ann/friday/array_1.wav",
        "bob b/monday/phone_1.wav",
        "bob b/monday/phone_1.WAV",
        "bob b/notes.txt",
        "readme.wav",
    ] {
        let path = folder.path().join("tree").join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, "RIFF").unwrap();
    }
    let read = |name: &str| read(&folder, name);
    ffsvc_data(&folder, &["from-folders", "tree", "a"])
        .success()
        .stdout("a: 5 utterances, 2 speakers\n")
        .stderr(
            contains("1 (tree/readme.wav)")
                .and(contains("were numbered: 1 (tree/bob b/monday/phone_1.wav is")),
        );
    assert_eq!(
        read("a/utt2spk"),
        "ann-friday-array_1 ann\nann-monday-phone_1 ann\nann-monday-phone_2 ann\n\
         bob_b-monday-phone_1 bob_b\nbob_b-monday-phone_1-2 bob_b\n"
    );
    assert!(read("a/wav.scp").contains("ann-monday-phone_2 tree/ann/monday/phone 2.flac\n"));
    ffsvc_data(&folder, &["validate", "a"]).success();

    let pattern = "{speaker}/{session}/{device}_{utterance}";
    ffsvc_data(&folder, &["from-folders", "tree", "b", "--pattern", pattern])
        .success()
        .stdout("b: 4 utterances, 2 speakers\n")
        .stderr(contains("left out").and(contains("2 (")));
    assert!(read("b/utt2session").starts_with("ann-friday-array_1 friday\nann-monday-phone_1 monday\n"));
    assert!(read("b/utt2device").starts_with("ann-friday-array_1 array\n"));
    // The speaker need not be the first folder, and comes first in the names all the same.
    ffsvc_data(&folder, &["from-folders", "tree", "c", "--speaker-depth", "2"]).success();
    assert!(read("c/utt2spk").starts_with("friday-ann-friday-array_1 friday\n"), "{}", read("c/utt2spk"));
    ffsvc_data(&folder, &["validate", "c"]).success();

    ffsvc_data(&folder, &["from-folders", "tree", "a"]).code(1).stderr(contains("(--overwrite)"));
    ffsvc_data(&folder, &["from-folders", "tree", "e", "--speaker-depth", "4"])
        .code(1)
        .stderr(contains("no recording in tree").and(contains("--speaker-depth N")));
    for args in
        [["--pattern", "{session}/{utterance}"], ["--speaker-depth", "0"], ["--pattern", "{speaker}{x}"]]
    {
        ffsvc_data(&folder, &[&["from-folders", "tree", "e"][..], &args].concat()).code(2);
    }
    ffsvc_data(&folder, &["from-folders", "tree", "e", "--speaker-depth", "1", "--pattern", "{speaker}"])
        .code(2);
    ffsvc_data(&folder, &["prepare", "voxceleb1", "tree", "e"])
        .code(1)
        .stderr(contains("ffsvc-data from-folders"));
}

/// A data directory of 4 speakers with 6 recordings each, half of them near, half far.
fn speakers(folder: &TempDir) {
    fs::create_dir(folder.path().join("s")).unwrap();
    let utterances = || (0..4).flat_map(|s| (0..6).map(move |u| (s, u, format!("s{s}-{u}"))));
    write(folder, "s/wav.scp", &utterances().map(|(.., id)| format!("{id} {id}.wav\n")).collect::<String>());
    write(folder, "s/utt2spk", &utterances().map(|(s, _, id)| format!("{id} s{s}\n")).collect::<String>());
    let distance = |u: usize| if u < 3 { "near" } else { "far" };
    let rows = utterances().map(|(_, u, id)| format!("{id} {}\n", distance(u)));
    write(folder, "s/utt2distance", &rows.collect::<String>());
    write(folder, "s/spk2gender", "s0 f\ns1 f\ns2 m\ns3 m\n");
}

/// Labels and names of a list; no pair is there twice, in whichever order, and labels are those of the speakers.
fn trials_of(folder: &TempDir, name: &str) -> Vec<(bool, String, String)> {
    let text = read(folder, name);
    let mut seen = std::collections::BTreeSet::new();
    text.lines()
        .map(|line| {
            let words: Vec<&str> = line.split(' ').collect();
            let [label, a, b] = words[..] else { panic!("{line}") };
            assert!(a != b && seen.insert((a.min(b).to_owned(), a.max(b).to_owned())), "{line}");
            assert_eq!(label == "1", a[..2] == b[..2], "{line}");
            (label == "1", a.to_owned(), b.to_owned())
        })
        .collect()
}

#[test]
fn trials_are_made_of_a_data_directory() {
    let folder = workplace();
    speakers(&folder);
    let make = |args: &[&str]| ffsvc_data(&folder, &[&["make-trials", "s"], args].concat());
    // All pairs: 4 speakers x C(6, 2) targets, and C(4, 2) x 36 others.
    make(&["-o", "all", "--nontargets", "all"]).success().stdout("all: 60 target and 216 nontarget trials\n");
    assert_eq!(trials_of(&folder, "all").len(), 276);
    make(&["-o", "even"]).success().stdout("even: 60 target and 60 nontarget trials\n");
    trials_of(&folder, "even");
    ffsvc_data(&folder, &["trials", "even", "--data", "s"]).success().stderr(is_empty());

    // The seed decides.
    let some = |name: &str, seed: &str| {
        make(&["-o", name, "--targets", "20", "--nontargets", "30", "--seed", seed]).success();
        let trials = trials_of(&folder, name);
        assert_eq!(trials.iter().filter(|trial| trial.0).count(), 20);
        assert_eq!(trials.len(), 50);
        trials
    };
    assert_eq!(some("one", "1"), some("again", "1"));
    assert_ne!(some("one", "1"), some("two", "2"));

    // Speakers of one gender.
    let gender = |name: &str| name.as_bytes()[1] < b'2';
    for (share, expected) in [("1", 72), ("0", 0), ("0.25", 18)] {
        make(&["-o", "g", "--targets", "0", "--nontargets", "72", "--same-gender", share]).success();
        let trials = trials_of(&folder, "g");
        assert_eq!(trials.iter().filter(|(_, a, b)| gender(a) == gender(b)).count(), expected, "{share}");
        assert_eq!(trials.len(), 72);
    }

    // Near recordings enrol, far ones are tested; then all recordings are tested.
    let distance = |name: &str| if name.as_bytes()[3] < b'3' { "near" } else { "far" };
    let near = ["--enrol", "utt2distance=near", "--nontargets", "all"];
    make(&[&near[..], &["--test", "utt2distance=far", "-o", "far"]].concat()).success();
    let trials = trials_of(&folder, "far");
    assert!(trials.iter().all(|(_, a, b)| (distance(a), distance(b)) == ("near", "far")));
    assert_eq!(trials.len(), 12 * 12);
    make(&[&near[..], &["--test", "s/utt2distance=far,near", "-o", "both"]].concat()).success();
    let trials = trials_of(&folder, "both");
    assert!(trials.iter().all(|(_, a, _)| distance(a) == "near"));
    assert_eq!(trials.len(), 12 * 12 + 12 * 11 / 2);

    // Three utterances enrol a speaker together, and are not tested.
    make(&["-o", "m", "--models-out", "models", "--enrol-utterances", "3", "--nontargets", "all"])
        .success()
        .stdout("m: 12 target and 36 nontarget trials\n");
    let models = read(&folder, "models");
    assert_eq!(models.lines().count(), 4);
    for (label, model, test) in trials_of(&folder, "m") {
        let members = models.lines().find(|line| line.starts_with(&format!("{model} "))).unwrap();
        assert_eq!(members.split(' ').count(), 4);
        assert!(!models.split_ascii_whitespace().any(|member| member == test), "{test}");
        assert_eq!(label, test.starts_with(&model));
    }

    // Conditions across tables: both sides, the same in one table and different in another.
    let even = |name: &str| name.as_bytes()[3].is_multiple_of(2);
    write(
        &folder,
        "s/utt2session",
        &read(&folder, "s/utt2spk")
            .lines()
            .map(|line| line.split(' ').next().unwrap())
            .map(|id| format!("{id} {}\n", if even(id) { "monday" } else { "friday" }))
            .collect::<String>(),
    );
    let across = ["--test", "utt2distance=far", "--test", "utt2session=monday", "--different", "utt2session"];
    make(&[&near[..], &across, &["-o", "across"]].concat()).success();
    let trials = trials_of(&folder, "across");
    let fits =
        |a: &str, b: &str| (distance(a), distance(b), even(a), even(b)) == ("near", "far", false, true);
    let ids: Vec<String> =
        read(&folder, "s/utt2spk").lines().map(|line| line.split(' ').next().unwrap().to_owned()).collect();
    let pairs = ids.iter().flat_map(|a| ids.iter().map(move |b| (a, b)));
    assert_eq!(trials.len(), pairs.filter(|(a, b)| fits(a, b)).count());
    assert!(trials.len() > 10 && trials.iter().all(|(_, a, b)| fits(a, b)));
    let both = ["--same", "utt2distance", "--different", "utt2session"];
    make(&[&both[..], &["-o", "both", "--nontargets", "30"]].concat()).success();
    let trials = trials_of(&folder, "both");
    assert!(trials.iter().all(|(_, a, b)| distance(a) == distance(b) && even(a) != even(b)));
    assert_eq!(trials.iter().filter(|trial| !trial.0).count(), 30);
    // A table of speakers; every utterance of a model.
    make(&["-o", "g", "--same", "spk2gender", "--nontargets", "all"]).success();
    assert!(trials_of(&folder, "g").iter().all(|(_, a, b)| gender(a) == gender(b)));
    let models = ["--enrol-utterances", "2", "--models-out", "models", "--nontargets", "all"];
    make(&[&models[..], &["-o", "m", "--different", "utt2session"]].concat()).success();
    let models = read(&folder, "models");
    for (_, model, test) in trials_of(&folder, "m") {
        let members = models.lines().find(|line| line.starts_with(&format!("{model} "))).unwrap();
        assert!(members.split(' ').skip(1).all(|member| even(member) != even(&test)), "{members}: {test}");
    }
    write(&folder, "s/utt2half", &format!("{} first\n", ids[0]));

    for (args, reason) in [
        (&["--same", "utt2half"][..], "utt2half: has no value of "),
        (&["--same", "utt2spk", "--different", "utt2spk"], "no target pair is like that"),
        (&["--different", "utt2spk"], "different values in s/utt2spk: no target pair is like that"),
        (&["--same", "utt2distance", "--targets", "60"], "target pairs, 60 were asked for"),
        (
            &["--enrol", "utt2distance=far", "--enrol", "utt2session=sunday"],
            "of 12 that fulfil the conditions before, none",
        ),
        (&["--targets", "61"], "there are 60 target pairs, 61 were asked for"),
        (&["--same-gender", "1", "--nontargets", "73"], "there are 72 non-target (same gender) pairs"),
        (&["--test", "utt2distance=medium"], "none has the value medium; other values are far, near"),
        (&["--test", "utt2room=1"], "utt2room"),
        (&["--enrol-utterances", "7", "--models-out", "x"], "no speaker has 7 utterances"),
    ] {
        make(&[args, &["-o", "none"]].concat()).code(1).stderr(contains(reason));
        assert!(!folder.path().join("none").exists());
    }
    for args in [
        &["--targets", "many"][..],
        &["--enrol-utterances", "0"],
        &["--models-out", "x"],
        &["--test", "far"],
        &["--same-gender", "1.5"],
        &["--same-gender", "nan"],
    ] {
        make(&[args, &["-o", "none"]].concat()).code(2);
    }
}

#[test]
fn every_subcommand_has_a_manual_with_an_example() {
    let folder = workplace();
    for command in [
        "validate",
        "fix",
        "combine",
        "subset",
        "split",
        "trials",
        "utt2spk-to-spk2utt",
        "spk2utt-to-utt2spk",
        "prepare",
        "from-folders",
        "make-trials",
    ] {
        let example = format!("\n  ffsvc-data {command} ");
        ffsvc_data(&folder, &[command, "--help"])
            .success()
            .stdout(contains("Example").and(contains(example)));
    }
    ffsvc_data(&folder, &[]).code(2);
}

#[test]
fn ffsvc_tables_say_what_the_names_say() {
    let folder = workplace();
    let list = "Original_Name FFSVC2022_Name\nT0344_344I1M_1_0307_normal ffsvc22_dev_000001\n\
                F0336_336PAD-1.5M_1_0009_fast ffsvc22_dev_000000\n";
    write(&folder, "dev_meta_list", list);
    let found = json(&ffsvc_data(&folder, &["ffsvc-tables", "dev_meta_list", "tables", "--json"]).success());
    assert_eq!(found["utt2device"], serde_json::json!({"I": 1, "PAD": 1}));
    for (table, first, second) in [
        ("utt2spk", "0336", "0344"),
        ("utt2device", "PAD", "I"),
        ("utt2distance", "-1.5M", "1M"),
        ("utt2visit", "1", "3"),
        ("utt2sentence", "0009", "0307"),
        ("utt2speed", "fast", "normal"),
    ] {
        let expected = format!("ffsvc22_dev_000000 {first}\nffsvc22_dev_000001 {second}\n");
        assert_eq!(read(&folder, format!("tables/{table}")), expected, "{table}");
    }
    write(&folder, "wrong", "X0336 ffsvc22_dev_000000\n");
    ffsvc_data(&folder, &["ffsvc-tables", "wrong", "none"]).code(1);
    assert!(!folder.path().join("none").exists());
}

fn the_tables_of_ffsvc2022() {
    let folder = tempfile::tempdir().unwrap();
    let list = ffsvc_test_data::shared("lists/ffsvc2022/dev_meta_list");
    let found =
        json(&ffsvc_data(&folder, &["ffsvc-tables", list.to_str().unwrap(), "real", "--json"]).success());
    assert_eq!(found["utt2spk"].as_object().unwrap().len(), 30);
    assert_eq!(found["utt2distance"]["0.25M"], 7989);
    assert_eq!(found["utt2visit"], serde_json::json!({"1": 21775, "2": 24154, "3": 22614}));
}

ffsvc_test_data::shared_tests!(the_tables_of_ffsvc2022);

#[test]
fn recordings_are_converted_once() {
    let folder = workplace();
    for (name, samples) in [("1.wav", 800), ("far field.wav", 1600)] {
        let path = folder.path().join(name);
        ffsvc_audio::write_wav(path, &vec![0.25; samples], 8000, ffsvc_audio::SampleFormat::Float32).unwrap();
    }
    write(&folder, "d/utt2device", "a1 ipad\na2 pad\nb1 ipad\n");
    let arguments = ["convert", "d", "out", "--sample-rate", "16000"];
    ffsvc_data(&folder, &arguments)
        .code(1)
        .stdout(contains("2 utterances, 0 of them were there"))
        .stderr(contains("failed: b1: "));
    assert!(!folder.path().join("out/wav.scp").exists(), "it is no data directory before all is there");

    // What is there is kept; another rate is another conversion.
    let kept = fs::metadata(folder.path().join("out/wav/a2.wav")).unwrap();
    assert_eq!(kept.len(), 44 + 2 * 3200);
    ffsvc_data(&folder, &["convert", "d", "out"]).code(1).stderr(contains("made with 16000 Hz"));
    ffsvc_data(&folder, &[&arguments[..], &["--allow-failures"]].concat())
        .success()
        .stdout(contains("2 utterances, 2 of them were there"));
    let again = fs::metadata(folder.path().join("out/wav/a2.wav")).unwrap();
    assert_eq!(again.modified().unwrap(), kept.modified().unwrap());
    assert_eq!(read(&folder, "out/wav.scp"), "a1 out/wav/a1.wav\na2 out/wav/a2.wav\n");
    assert_eq!(read(&folder, "out/utt2device"), "a1 ipad\na2 pad\n");
    ffsvc_data(&folder, &["validate", "out"]).success();
    ffsvc_data(&folder, &arguments).code(1).stderr(contains("out/wav.scp"));
}
