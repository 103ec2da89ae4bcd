//! `ffsvc-cluster`: from a store of embeddings to a data directory with pseudo-speakers.

use std::path::Path;

use assert_cmd::Command;
use ffsvc_embeddings::{Embeddings, Provenance};
use ffsvc_kaldi_io::{DataDir, Table};
use predicates::prelude::PredicateBooleanExt;
use predicates::str::contains;
use serde_json::Value;
use tempfile::TempDir;

fn run(dir: &Path, arguments: &[&str]) -> assert_cmd::assert::Assert {
    let mut command = Command::new(env!("CARGO_BIN_EXE_ffsvc-cluster"));
    command.env_remove("RUST_LOG").env("RAYON_NUM_THREADS", "2").current_dir(dir).args(arguments).assert()
}

fn json(assert: &assert_cmd::assert::Assert) -> Value {
    serde_json::from_slice(&assert.get_output().stdout).unwrap()
}

/// A folder with the embeddings of 60 utterances of 6 speakers, their data directory and true speakers.
fn workplace() -> TempDir {
    let dir = tempfile::tempdir().unwrap();
    let mut store = Embeddings::new(8);
    let (mut wav, mut speakers) = (String::new(), String::new());
    for number in 0..60u32 {
        let speaker = number % 6;
        let row: Vec<f32> = (0..8)
            .map(|at| {
                let noise = (number * 8 + at).wrapping_mul(2_654_435_761) >> 16;
                let noise = (noise % 1000) as f32 / 1000.0 - 0.5;
                noise + if at == speaker { 4.0 } else { 0.0 }
            })
            .collect();
        store.push(format!("utt{number:02}"), &row).unwrap();
        wav += &format!("utt{number:02} {number}.wav\n");
        speakers += &format!("utt{number:02} speaker{speaker}\n");
    }
    store.write(dir.path().join("e.scp")).unwrap();
    std::fs::create_dir(dir.path().join("data")).unwrap();
    std::fs::write(dir.path().join("data/wav.scp"), wav).unwrap();
    std::fs::write(dir.path().join("true"), speakers).unwrap();
    dir
}

#[test]
fn clusters_become_a_data_directory_and_are_compared_with_the_speakers() {
    let dir = workplace();
    let found = run(dir.path(), &["kmeans", "e.scp", "out", "--k", "2..12", "--json"]);
    let found = json(&found.success());
    assert_eq!(found["clusters"], 6);
    assert_eq!(found["sizes"], serde_json::json!([10, 10, 10, 10, 10, 10]));
    let sweep: Value =
        serde_json::from_slice(&std::fs::read(dir.path().join("out/sweep.json")).unwrap()).unwrap();
    assert_eq!(sweep["points"].as_array().map(Vec::len), Some(11));
    let twice = ["kmeans", "e.scp", "-o", "twice", "--k", "auto", "--k-factor", "2", "--json"];
    assert_eq!(json(&run(dir.path(), &twice).success())["clusters"], 12);

    let arguments = ["labels", "out", "data", "new", "--prefix", "p", "--round", "1", "--keep-share", "0.75"];
    run(dir.path(), &arguments).success().stdout(contains("new: 48 of 60 utterances, 6 of 6 clusters"));
    let new = DataDir::open(dir.path().join("new")).unwrap();
    assert_eq!((new.len(), new.speakers().len()), (48, 6));
    assert_eq!(new.speakers()[0], "p-r1-0");
    let soft = Table::read(dir.path().join("new/soft_labels")).unwrap();
    let utterance = new.utterances().next().unwrap();
    assert!(soft.get(utterance.id).unwrap().starts_with(&format!("{}:", utterance.speaker.unwrap())));

    let quality =
        json(&run(dir.path(), &["compare", "new/utt2spk", "true", "--json", "--matching"]).success());
    for measure in ["nmi", "ari", "purity", "matched_accuracy", "pair_f"] {
        assert_eq!(quality[measure], 1.0, "{measure}");
    }
    assert_eq!(
        (&quality["only_in_speakers"], quality["matching"].as_array().map(Vec::len)),
        (&Value::from(12), Some(6))
    );
}

#[test]
fn a_sweep_is_drawn() {
    let dir = workplace();
    let sweep = ["sweep", "e.scp", "-o", "out", "--k", "2..12", "--plot-out"];
    run(dir.path(), &[&sweep[..], &["sweep.svg"]].concat()).success().stdout(contains("silhouette"));
    let svg = std::fs::read_to_string(dir.path().join("sweep.svg")).unwrap();
    let proposed = svg.lines().find(|line| line.starts_with("K = 6: ")).unwrap();
    assert!(proposed.contains("silhouette") && proposed.contains("knee-cosine-per-utterance"), "{proposed}");
    // The ending is looked at before anything is done.
    let other = ["sweep", "absent.scp", "-o", "other", "--k", "2..12", "--plot-out", "sweep.pdf"];
    run(dir.path(), &other).code(2).stderr(contains("expected .svg or .png"));
    let other = ["sweep", "e.scp", "-o", "other", "--k", "2..12", "--plot-out", "absent/sweep.svg"];
    run(dir.path(), &other).code(2).stderr(contains("--plot-out absent/sweep.svg"));
    assert!(!dir.path().join("other").exists());
}

#[test]
fn hierarchical_clusters_are_the_same_in_one_stage_and_two() {
    let dir = workplace();
    for (out, more) in [
        ("one", &["--distance", "0.5"][..]),
        ("two", &["--k", "6", "--kmeans-first", "12", "--linkage", "ward"]),
    ] {
        let arguments = [&["ahc", "e.scp", out][..], more].concat();
        run(dir.path(), &arguments).success().stdout(contains("6 clusters of 60 utterances, 10 to 10 each"));
        run(dir.path(), &["labels", out, "data", &format!("data-{out}")]).success();
    }
    let quality =
        json(&run(dir.path(), &["compare", "data-one/utt2spk", "data-two/utt2spk", "--json"]).success());
    assert_eq!(quality["ari"], 1.0);
}

#[test]
fn recordings_of_one_utterance_are_clustered_as_one() {
    let dir = workplace();
    // Thirty pairs of recordings of the same speaker; of a pair both get the cluster of their mean.
    let pairs: String =
        (0..60).map(|number| format!("utt{number:02} {}\n", number % 6 + 6 * (number / 12))).collect();
    std::fs::write(dir.path().join("utt2group"), &pairs).unwrap();
    let arguments = ["kmeans", "e.scp", "out", "--k", "11", "--group-by", "utt2group", "--json"];
    let found = json(&run(dir.path(), &arguments).success());
    let sizes = found["sizes"].as_array().unwrap();
    assert_eq!(found["utterances"], 60);
    assert!(sizes.iter().all(|size| size.as_u64().is_some_and(|size| size % 2 == 0)), "{sizes:?}");
    let assignments = Table::read(dir.path().join("out/assignments")).unwrap();
    let cluster = |number: usize| {
        assignments.get(&format!("utt{number:02}")).unwrap().split(':').next().unwrap().to_owned()
    };
    assert!((0..60).all(|number| cluster(number) == cluster(number % 6 + 12 * (number / 12))));
    // Without the table, eleven clusters of six speakers part some pairs.
    let alone = ["kmeans", "e.scp", "alone", "--k", "11", "--json"];
    let sizes = json(&run(dir.path(), &alone).success())["sizes"].clone();
    assert!(sizes.as_array().unwrap().iter().any(|size| size.as_u64().is_some_and(|size| size % 2 == 1)));
    let sweep = ["sweep", "e.scp", "sweep", "--k", "2..31", "--group-by", "utt2group"];
    run(dir.path(), &sweep).code(1).stderr(contains("31 clusters of 30 points"));
}

#[test]
fn recordings_that_were_not_clustered_take_the_label_of_their_group() {
    let dir = workplace();
    let pair = |number: usize| number % 6 + 6 * (number / 12);
    let pairs: String = (0..60).map(|number| format!("utt{number:02} {}\n", pair(number))).collect();
    std::fs::write(dir.path().join("utt2group"), &pairs).unwrap();
    // The first of each pair is clustered, but for the pair 0.
    let all = std::fs::read_to_string(dir.path().join("e.scp")).unwrap();
    let near: String = all
        .lines()
        .enumerate()
        .filter(|(number, _)| number % 12 < 6 && *number > 0)
        .map(|(_, line)| format!("{line}\n"))
        .collect();
    std::fs::write(dir.path().join("near.scp"), near).unwrap();
    run(dir.path(), &["kmeans", "near.scp", "clusters", "--k", "6"]).success();
    let labels = ["labels", "clusters", "data", "labelled", "--group-by", "utt2group", "--json"];
    let found = json(&run(dir.path(), &labels).success());
    for (count, expected) in [("utterances", 29), ("followed", 29), ("unclustered", 2), ("written", 58)] {
        assert_eq!(found[count], expected, "{count} in {found}");
    }
    let utt2spk = Table::read(dir.path().join("labelled/utt2spk")).unwrap();
    let speaker = |number: usize| utt2spk.get(&format!("utt{number:02}"));
    assert!((0..60).filter(|number| pair(*number) > 0).all(|number| {
        speaker(number).is_some() && speaker(number) == speaker(number % 6 + 12 * (number / 12))
    }));
    assert_eq!((speaker(0), speaker(6)), (None, None));
}

#[test]
fn the_same_request_gives_the_same_files_and_a_result_is_not_overwritten() {
    let dir = workplace();
    let arguments = |out: &'static str| ["kmeans", "e.scp", out, "--k", "9", "--seed", "4"];
    run(dir.path(), &arguments("a")).success();
    run(dir.path(), &arguments("b")).success();
    for file in ["assignments", "centres.ark", "result.json"] {
        let read = |out: &str| std::fs::read(dir.path().join(out).join(file)).unwrap();
        assert_eq!(read("a"), read("b"), "{file}");
    }
    run(dir.path(), &arguments("a")).code(2).stderr(contains("exists already"));
    run(dir.path(), &[&arguments("a")[..], &["--overwrite"]].concat()).success();
    let warm = ["kmeans", "e.scp", "c", "--k", "9", "--start-from", "a/centres.scp", "--json"];
    assert_eq!(json(&run(dir.path(), &warm).success())["iterations"], 1);
}

/// The same embeddings in another order.
fn reversed(dir: &Path) {
    let text = std::fs::read_to_string(dir.join("e.scp")).unwrap();
    let mut lines: Vec<&str> = text.lines().rev().collect();
    lines.rotate_left(17);
    std::fs::write(dir.join("reversed.scp"), lines.join("\n") + "\n").unwrap();
}

#[test]
fn the_order_of_the_store_changes_no_byte() {
    let dir = workplace();
    reversed(dir.path());
    let pairs: String =
        (0..60).map(|number| format!("utt{number:02} {}\n", number % 6 + 6 * (number / 12))).collect();
    std::fs::write(dir.path().join("utt2group"), &pairs).unwrap();
    let same = |arguments: &[&str], files: &[&str]| {
        let (one, other) =
            (tempfile::tempdir_in(dir.path()).unwrap(), tempfile::tempdir_in(dir.path()).unwrap());
        for (store, out) in [("e.scp", &one), ("reversed.scp", &other)] {
            let out = out.path().join("out");
            let command = [&arguments[..1], &[store, "-o", out.to_str().unwrap()], &arguments[1..]].concat();
            run(dir.path(), &command).success();
        }
        for file in files {
            let read = |out: &TempDir| std::fs::read_to_string(out.path().join("out").join(file)).unwrap();
            let read = |out: &TempDir| read(out).replace("reversed.scp", "e.scp");
            assert_eq!(read(&one), read(&other), "{file} of {arguments:?}");
        }
    };
    let files = ["assignments", "result.json"];
    for more in [
        &[][..],
        &["--compat"],
        &["--subsample", "30"],
        &["--mini-batch", "20"],
        &["--metric", "spherical", "--start", "k-means-parallel"],
        &["--group-by", "utt2group"],
    ] {
        same(&[&["kmeans", "--k", "11"][..], more].concat(), &files);
    }
    same(&["kmeans", "--k", "2..12:5"], &["assignments", "result.json", "sweep.json"]);
    same(&["sweep", "--k", "2..30:7", "--silhouette-sample", "40"], &["sweep.json"]);
    for linkage in ["average", "single", "ward"] {
        same(&["ahc", "--k", "9", "--linkage", linkage], &files);
    }
    same(&["ahc", "--k", "6", "--kmeans-first", "20"], &files);
}

#[test]
fn zero_embeddings_are_counted_and_named_and_left_out() {
    let dir = workplace();
    let mut store = Embeddings::read(dir.path().join("e.scp")).unwrap();
    ["silent3", "silent1", "silent4", "silent2"]
        .iter()
        .for_each(|name| store.push(*name, &[0.0; 8]).unwrap());
    store.write(dir.path().join("some.scp")).unwrap();
    let found = run(dir.path(), &["kmeans", "some.scp", "out", "--k", "6", "--json"]).success();
    let found = found.stderr(contains("are not clustered: 4 (silent1, silent2, silent3 and 1 more)"));
    let found = json(&found);
    assert_eq!((&found["utterances"], &found["zero_embeddings"]["count"]), (&60.into(), &4.into()));
    assert_eq!(found["zero_embeddings"]["first"], serde_json::json!(["silent1", "silent2", "silent3"]));
    assert_eq!(found["sizes"], serde_json::json!([10, 10, 10, 10, 10, 10]));
}

#[test]
fn nothing_of_a_former_run_is_left() {
    let dir = workplace();
    let out = dir.path().join("out");
    run(dir.path(), &["kmeans", "e.scp", "out", "--k", "2..5"]).success();
    std::fs::write(out.join("notes.txt"), "mine").unwrap();
    let files = || {
        let files =
            std::fs::read_dir(&out).unwrap().map(|file| file.unwrap().file_name().into_string().unwrap());
        let mut files: Vec<String> = files.collect();
        files.sort();
        files
    };
    let finished = ["assignments", "centres.ark", "centres.scp", "notes.txt", "result.json"];
    let with_sweep = [&finished[..], &["sweep.json"]].concat();
    assert_eq!(files(), with_sweep);
    for again in [&["kmeans", "e.scp", "out", "--k", "5"][..], &["ahc", "e.scp", "out", "--k", "5"]] {
        run(dir.path(), again).code(2).stderr(contains("exists already"));
        run(dir.path(), &[again, &["--overwrite"]].concat()).success();
        assert_eq!(files(), finished);
        run(dir.path(), &["kmeans", "e.scp", "out", "--k", "2..5", "--overwrite"]).success();
        assert_eq!(files(), with_sweep);
    }
    // A sweep has no clusters, and what ended before its result is none.
    run(dir.path(), &["sweep", "e.scp", "out", "--k", "2..5", "--overwrite"]).success();
    assert_eq!(files(), ["notes.txt", "sweep.json"]);
    let labels = |message: &str| {
        run(dir.path(), &["labels", "out", "data", "new"]).code(1).stderr(contains(message));
        run(dir.path(), &["compare", "out", "true"]).code(1).stderr(contains(message));
        assert!(!dir.path().join("new").exists());
    };
    labels("has a sweep, but no clusters");
    run(dir.path(), &["kmeans", "e.scp", "out", "--k", "5", "--overwrite"]).success();
    let result = std::fs::read_to_string(out.join("result.json")).unwrap();
    std::fs::remove_file(out.join("result.json")).unwrap();
    labels("has no result.json: the clustering did not end");
    // Files that do not belong together.
    for (wrong, message) in [
        ("{", "is not what ffsvc-cluster writes"),
        ("{\"clusters\": 5}", "is not what ffsvc-cluster writes"),
        (&result.replace("\"utterances\": 60", "\"utterances\": 61"), "found 60 utterances, expected 61"),
        (&result.replace("\"clusters\": 5", "\"clusters\": 4"), "expected one of 4"),
    ] {
        std::fs::write(out.join("result.json"), wrong).unwrap();
        labels(message);
    }
    std::fs::write(out.join("result.json"), result).unwrap();
    run(dir.path(), &["labels", "out", "data", "new"]).success();
    std::fs::write(dir.path().join("new/soft_labels"), "stale").unwrap();
    run(dir.path(), &["labels", "out", "data", "new"]).code(1).stderr(contains("exists already"));
    run(dir.path(), &["labels", "out", "data", "new", "--overwrite"]).success();
    assert!(std::fs::read_to_string(dir.path().join("new/soft_labels")).unwrap() != "stale");
}

#[test]
fn commands_of_a_list_are_kept_when_they_are_allowed() {
    let dir = workplace();
    run(dir.path(), &["kmeans", "e.scp", "out", "--k", "6"]).success();
    let wav: String = (0..60).map(|n| format!("utt{n:02} sox {n}.wav -t wav - |\n")).collect();
    std::fs::write(dir.path().join("data/wav.scp"), &wav).unwrap();
    run(dir.path(), &["labels", "out", "data", "new"]).code(1).stderr(contains("wav.scp"));
    run(dir.path(), &["labels", "out", "data", "new", "--allow-pipes"]).success();
    assert_eq!(std::fs::read_to_string(dir.path().join("new/wav.scp")).unwrap(), wav);
}

#[test]
fn an_output_is_no_input() {
    let dir = workplace();
    run(dir.path(), &["kmeans", "e.scp", "out", "--k", "5"]).success();
    let before = std::fs::read(dir.path().join("out/centres.ark")).unwrap();
    std::os::unix::fs::symlink("out", dir.path().join("link")).unwrap();
    for arguments in [
        &["kmeans", "e.scp", "out", "--k", "5", "--overwrite", "--start-from", "out/centres.scp"][..],
        &["ahc", "link/centres.scp", "out", "--k", "2", "--overwrite"],
        &["sweep", "out/centres.ark", "-o", "link", "--k", "2..3", "--overwrite"],
        &["labels", "out", "data", "data", "--overwrite"],
        &["labels", "out", "data", "link", "--overwrite"],
    ] {
        run(dir.path(), arguments).code(2).stderr(contains("would replace what it reads"));
    }
    assert_eq!(std::fs::read(dir.path().join("out/centres.ark")).unwrap(), before);
    assert!(dir.path().join("data/wav.scp").exists());
}

#[test]
fn two_runs_do_not_write_one_folder() {
    let dir = workplace();
    std::fs::create_dir(dir.path().join("out")).unwrap();
    let lock = ffsvc_atomic_file::Lock::folder(dir.path().join("out")).unwrap();
    for arguments in [
        &["kmeans", "e.scp", "out", "--k", "5"][..],
        &["ahc", "e.scp", "out", "--k", "5"],
        &["sweep", "e.scp", "out", "--k", "2..5"],
    ] {
        run(dir.path(), arguments).code(1).stderr(contains("process").and(contains("out")));
    }
    drop(lock);
    run(dir.path(), &["kmeans", "e.scp", "out", "--k", "5"]).success();
    assert!(!dir.path().join("out/.lock").exists());
}

/// An option that is given has an effect, or it is refused. `x` is a folder that is never made.
#[test]
fn options_without_an_effect_are_refused() {
    let dir = workplace();
    run(dir.path(), &["kmeans", "e.scp", "warm", "--k", "5"]).success();
    let kmeans = ["kmeans", "e.scp", "x"];
    let refused = |command: &[&str], more: &[&str]| {
        let arguments = [command, more].concat();
        run(dir.path(), &arguments).code(2).stderr(contains(more[0]).and(contains("panicked").not()));
        assert!(!dir.path().join("x").exists(), "{arguments:?}");
    };
    let fixed = [&kmeans[..], &["--k", "5"]].concat();
    for more in [
        &["--criterion", "silhouette"][..],
        &["--k-factor", "2"],
        &["--no-warm-start"],
        &["--silhouette-sample", "100"],
    ] {
        refused(&fixed, more);
        run(dir.path(), &[&["kmeans", "e.scp", "y", "--k", "2..12", "--overwrite"][..], more].concat())
            .success();
    }
    refused(&[&kmeans[..], &["--k", "2..5"]].concat(), &["--silhouette-sample", "0"]);
    refused(&[&kmeans[..], &["--k", "2..5"]].concat(), &["--start-from", "warm/centres.scp"]);
    let warm = [&fixed[..], &["--start-from", "warm/centres.scp"]].concat();
    for more in [&["--start", "random"][..], &["--restarts", "2"], &["--seed", "1"], &["--compat"]] {
        refused(&warm, more);
    }
    for more in [&["--tolerance", "0"][..], &["--refinements", "1"]] {
        refused(&[&fixed[..], &["--mini-batch", "10"]].concat(), more);
    }
    for more in [
        &["--metric", "spherical"][..],
        &["--start", "auto"],
        &["--tolerance", "0"],
        &["--max-iterations", "9"],
        &["--refinements", "1"],
        &["--mini-batch", "9"],
    ] {
        refused(&[&fixed[..], &["--compat"]].concat(), more);
    }
    refused(&["ahc", "e.scp", "x", "--k", "5"], &["--seed", "1"]);
    refused(&["ahc", "e.scp", "x", "--k", "5"], &["--distance", "0.5"]);
    refused(&["sweep", "e.scp", "x", "--k", "2..5"], &["--criterion", "silhouette"]);
    refused(&["sweep", "e.scp", "x", "--k", "5"], &["--no-warm-start"]);
    refused(&fixed, &["--output", "elsewhere"]);
    refused(&["labels", "warm", "data", "x"], &["--output", "elsewhere"]);
}

#[test]
fn numbers_have_ranges() {
    let dir = workplace();
    run(dir.path(), &["kmeans", "e.scp", "out", "--k", "5"]).success();
    let (kmeans, labels) = (&["kmeans", "e.scp", "x", "--k", "5"][..], &["labels", "out", "data", "x"][..]);
    let (range, ahc) = (&["kmeans", "e.scp", "x", "--k", "2..5"][..], &["ahc", "e.scp", "x"][..]);
    for (command, option, wrong) in [
        (labels, "--min-cosine", &["nan", "inf", "1.1", "-2"][..]),
        (labels, "--min-margin", &["nan", "-nan", "2.1"]),
        (labels, "--keep-share", &["nan", "0", "1.01", "-1"]),
        (labels, "--min-size", &["0", "-1", "1.5"]),
        (labels, "--prefix", &["a b", "a\tb"]),
        (kmeans, "--tolerance", &["nan", "-1", "inf"]),
        (kmeans, "--max-iterations", &["0"]),
        (kmeans, "--restarts", &["0"]),
        (kmeans, "--subsample", &["0"]),
        (kmeans, "--mini-batch", &["0"]),
        (range, "--k-factor", &["nan", "0", "-1", "inf"]),
        (ahc, "--distance", &["nan", "-0.5", "inf"]),
        (ahc, "--k", &["0"]),
        (ahc, "--kmeans-first", &["0"]),
    ] {
        for wrong in wrong {
            let given = format!("{option}={wrong}");
            let arguments = [command, &[given.as_str()]].concat();
            run(dir.path(), &arguments).code(2).stderr(contains(option).and(contains("expected")));
            assert!(!dir.path().join("x").exists(), "{arguments:?}");
        }
    }
}

#[test]
fn results_of_nothing_are_failures() {
    let dir = workplace();
    run(dir.path(), &["kmeans", "e.scp", "out", "--k", "5"]).success();
    let labels = |more: &[&str], message: &str| {
        let arguments = [&["labels", "out", "data", "x"][..], more].concat();
        run(dir.path(), &arguments)
            .code(1)
            .stderr(contains("no utterance of data is left").and(contains(message)));
        assert!(!dir.path().join("x").exists());
    };
    labels(&["--min-cosine", "1"], "60 left out by --min-cosine");
    labels(&["--min-size", "61"], "60 left out by --min-size");
    std::fs::write(dir.path().join("data/wav.scp"), "other1 1.wav\nother2 2.wav\n").unwrap();
    labels(&[], "2 of the data directory not clustered, 60 clustered ones not in the data directory");
    std::fs::write(dir.path().join("others"), "somebody else\n").unwrap();
    run(dir.path(), &["compare", "others", "out"]).code(1).stderr(contains("no utterance in common"));
    run(dir.path(), &["compare", "others", "true"]).code(1).stderr(contains("no utterance in common"));
    for command in [
        &["kmeans", "e.scp", "x", "--k", "5", "--group-by", "others"][..],
        &["labels", "out", "data", "x", "--group-by", "true"],
    ] {
        run(dir.path(), command).code(1).stderr(contains("has none of the utterances of"));
    }
    Embeddings::new(8).write(dir.path().join("empty.npz")).unwrap();
    for command in [&["kmeans", "empty.npz", "x", "--k", "1"][..], &["ahc", "empty.npz", "x", "--k", "1"]] {
        run(dir.path(), command).code(1).stderr(contains("panicked").not());
    }
}

#[test]
fn one_cluster_of_opposite_vectors_is_no_nan() {
    let dir = workplace();
    let mut store = Embeddings::new(2);
    store.push("a", &[3.0, 4.0]).unwrap();
    store.push("b", &[-3.0, -4.0]).unwrap();
    store.write(dir.path().join("opposite.scp")).unwrap();
    for method in ["kmeans", "ahc"] {
        run(dir.path(), &[method, "opposite.scp", method, "--k", "1"]).success();
        for file in ["result.json", "assignments"] {
            let text = std::fs::read_to_string(dir.path().join(method).join(file)).unwrap().to_lowercase();
            assert!(!text.contains("nan") && !text.contains("per_cluster\": null"), "{text}");
        }
    }
}

#[test]
fn what_is_wrong_is_said() {
    let dir = workplace();
    let fails = |arguments: &[&str], code: i32, message: &str| {
        run(dir.path(), arguments).code(code).stderr(contains(message).and(contains("panicked").not()));
    };
    fails(&["kmeans", "e.scp", "x", "--k", "61"], 1, "61 clusters of 60 points");
    fails(&["kmeans", "e.scp", "x", "--k", "none"], 2, "expected a number (100), a range");
    fails(&["sweep", "e.scp", "x", "--k", "9..5"], 2, "begins at its smaller end");
    fails(&["kmeans", "absent.scp", "x", "--k", "2"], 1, "absent.scp");
    fails(&["labels", "absent", "data", "x"], 1, "absent: no such folder");
    std::fs::write(dir.path().join("others"), "somebody else\n").unwrap();
    fails(&["compare", "others", "true"], 1, "no utterance in common");
    Embeddings::from_parts(vec!["silent".into()], 2, vec![0.0; 2])
        .unwrap()
        .write(dir.path().join("z.scp"))
        .unwrap();
    fails(
        &["kmeans", "z.scp", "x", "--k", "1"],
        1,
        "all 1 embeddings are zero and have no direction: silent",
    );
    assert!(!dir.path().join("x").exists(), "a folder was made for nothing");
}

#[test]
fn clusters_say_which_model_the_embeddings_are_of() {
    let dir = workplace();
    let path = dir.path();
    for (name, model) in [("m.npz", "a"), ("n.npz", "b")] {
        let mut store = Embeddings::read(path.join("e.scp")).unwrap();
        store.set_provenance(Some(Provenance::new(format!("{model}.safetensors"), model.repeat(64))));
        store.write(path.join(name)).unwrap();
    }
    let model_of = |file: &str| -> Value {
        let json: Value = serde_json::from_slice(&std::fs::read(path.join(file)).unwrap()).unwrap();
        assert_eq!(json["schema"], 1, "{file}");
        json["model"]["model"].clone()
    };
    run(path, &["kmeans", "m.npz", "out", "--k", "4..6:2"]).success();
    run(path, &["labels", "out", "data", "new"]).success();
    for file in ["out/result.json", "out/sweep.json", "new/labels.json"] {
        assert_eq!(model_of(file), "a.safetensors", "{file}");
    }
    let centres = Embeddings::read(path.join("out/centres.scp")).unwrap();
    let centres_of = centres.provenance().map(|provenance| provenance.model.as_str());
    assert_eq!(centres_of, Some("a.safetensors"));

    let clusters = centres.len().to_string();
    let warm = ["kmeans", "n.npz", "warm", "--k", &clusters, "--start-from", "out/centres.scp"];
    run(path, &warm).code(1).stderr(contains("two models").and(contains("--allow-other-model")));
    run(path, &[&warm[..], &["--allow-other-model"]].concat()).success().stderr(contains("two models"));
    run(path, &["kmeans", "m.npz", "same", "--k", &clusters, "--start-from", "out/centres.scp"])
        .success()
        .stderr(contains("two models").not());
    // Nothing of the former run's origin is left.
    run(path, &["kmeans", "e.scp", "out", "--k", "4", "--overwrite"]).success();
    assert_eq!(model_of("out/result.json"), Value::Null);
    assert!(!path.join("out/centres.provenance.json").exists());
}

#[test]
fn scripts_read_single_values_of_a_report() {
    let dir = tempfile::tempdir().unwrap();
    let report =
        r#"{"clusters": 12, "eer": 0.123456, "threshold": "-inf", "dcf": [{"cost": 0.5}, {}], "a/b": null}"#;
    std::fs::write(dir.path().join("r.json"), report).unwrap();
    let value = |arguments: &[&str]| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_ffsvc-data"));
        command.env_remove("RUST_LOG").current_dir(&dir).arg("value").args(arguments).assert()
    };
    for (arguments, printed) in [
        (&["r.json", "/clusters"][..], "12\n"),
        (&["r.json", "/eer", "/threshold", "/dcf/0/cost"], "0.123456\n-inf\n0.5\n"),
        (&["r.json", "/eer", "--percent"], "12.35\n"),
        (&["r.json", "/eer", "--percent", "--decimals", "0"], "12\n"),
        (&["r.json", "/dcf/0/cost", "/threshold", "--decimals", "4"], "0.5000\n-inf\n"),
        (&["r.json", "/dcf/0", "/a~1b"], "{\"cost\":0.5}\nnull\n"),
    ] {
        value(arguments).success().stdout(printed);
    }
    for (arguments, message) in [
        (&["r.json", "/dcf/7/cost"][..], "nothing at /dcf/7/cost; /dcf is a list of 2"),
        (&["r.json", "/dcf/0/costs"], "/dcf/0 has cost"),
        (&["r.json", "/clusters", "/nmi"], "nothing at /nmi; it has a/b, clusters, dcf, eer, threshold"),
        (&["r.json", "eer"], "a pointer starts with /"),
        (&["r.json", "/dcf", "--percent"], "expected a number"),
        (&["absent.json", "/eer"], "cannot read absent.json"),
    ] {
        value(arguments).code(1).stdout("").stderr(contains(message));
    }
    std::fs::write(dir.path().join("r.json"), "EER 3 %").unwrap();
    value(&["r.json", "/eer"]).code(1).stderr(contains("r.json is not JSON"));
    value(&["r.json"]).code(2);
}
