//! `ffsvc-cluster`: from a store of embeddings to a data directory with pseudo-speakers.

use std::path::Path;

use assert_cmd::Command;
use ffsvc_embeddings::Embeddings;
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
    let found = run(
        dir.path(),
        &["kmeans", "e.scp", "out", "--k", "auto", "--from", "2", "--to", "12", "--step", "1", "--json"],
    );
    let found = json(&found.success());
    assert_eq!(found["clusters"], 6);
    assert_eq!(found["sizes"], serde_json::json!([10, 10, 10, 10, 10, 10]));
    let sweep: Value =
        serde_json::from_slice(&std::fs::read(dir.path().join("out/sweep.json")).unwrap()).unwrap();
    assert_eq!(sweep["points"].as_array().map(Vec::len), Some(11));
    let twice = [
        &["kmeans", "e.scp", "twice", "--k", "auto", "--k-factor", "2"][..],
        &["--from", "2", "--to", "12", "--step", "1", "--json"],
    ];
    assert_eq!(json(&run(dir.path(), &twice.concat()).success())["clusters"], 12);

    let arguments = ["labels", "out", "data", "new", "--prefix", "p", "--round", "1", "--keep-share", "0.75"];
    run(dir.path(), &arguments).success().stdout(contains("new: 48 of 60 utterances, 6 of 6 clusters"));
    let new = DataDir::open(dir.path().join("new")).unwrap();
    assert_eq!((new.len(), new.speakers().len()), (48, 6));
    assert_eq!(new.speakers()[0], "p-r1-0");
    let soft = Table::read(dir.path().join("new/soft_labels")).unwrap();
    let utterance = new.utterances().next().unwrap();
    assert!(soft.get(utterance.id).unwrap().starts_with(&format!("{}:", utterance.speaker.unwrap())));

    let quality =
        json(&run(dir.path(), &["quality", "new/utt2spk", "true", "--json", "--matching"]).success());
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
    let sweep = ["sweep", "e.scp", "out", "--from", "2", "--to", "12", "--step", "1", "--plot"];
    run(dir.path(), &[&sweep[..], &["sweep.svg"]].concat()).success().stdout(contains("silhouette"));
    let svg = std::fs::read_to_string(dir.path().join("sweep.svg")).unwrap();
    let proposed = svg.lines().find(|line| line.starts_with("K = 6: ")).unwrap();
    assert!(proposed.contains("silhouette") && proposed.contains("knee-cosine-per-utterance"), "{proposed}");
    let other = [&sweep[..], &["sweep.pdf", "--overwrite"]].concat();
    run(dir.path(), &other).code(1).stderr(contains("expected .svg or .png"));
}

#[test]
fn hierarchical_clusters_are_the_same_in_one_stage_and_two() {
    let dir = workplace();
    for (out, more) in
        [("one", &["--distance", "0.5"][..]), ("two", &["--k", "6", "--stages", "12", "--linkage", "ward"])]
    {
        let arguments = [&["ahc", "e.scp", out][..], more].concat();
        run(dir.path(), &arguments).success().stdout(contains("6 clusters of 60 utterances, 10 to 10 each"));
        run(dir.path(), &["labels", out, "data", &format!("data-{out}")]).success();
    }
    let quality =
        json(&run(dir.path(), &["quality", "data-one/utt2spk", "data-two/utt2spk", "--json"]).success());
    assert_eq!(quality["ari"], 1.0);
}

#[test]
fn recordings_of_one_utterance_are_clustered_as_one() {
    let dir = workplace();
    // Thirty pairs of recordings of the same speaker; of a pair both get the cluster of their mean.
    let pairs: String =
        (0..60).map(|number| format!("utt{number:02} {}\n", number % 6 + 6 * (number / 12))).collect();
    std::fs::write(dir.path().join("utt2group"), &pairs).unwrap();
    let arguments = ["kmeans", "e.scp", "out", "--k", "11", "--group", "utt2group", "--json"];
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
    let sweep =
        ["sweep", "e.scp", "sweep", "--from", "2", "--to", "31", "--step", "1", "--group", "utt2group"];
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
    let labels = ["labels", "clusters", "data", "labelled", "--group", "utt2group", "--json"];
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

#[test]
fn what_is_wrong_is_said() {
    let dir = workplace();
    let fails = |arguments: &[&str], code: i32, message: &str| {
        run(dir.path(), arguments).code(code).stderr(contains(message).and(contains("panicked").not()));
    };
    fails(&["kmeans", "e.scp", "x", "--k", "61"], 1, "61 clusters of 60 points");
    fails(&["kmeans", "e.scp", "x", "--k", "none"], 2, "expected a number of at least 1, or auto");
    fails(&["kmeans", "e.scp", "x", "--k", "auto"], 2, "--from, --to and --step");
    fails(&["kmeans", "e.scp", "x", "--k", "2", "--k-factor", "0"], 2, "--k-factor 0: expected");
    fails(&["sweep", "e.scp", "x", "--from", "9", "--to", "5", "--step", "1"], 1, "from is 9");
    fails(&["kmeans", "absent.scp", "x", "--k", "2"], 1, "absent.scp");
    fails(&["labels", "absent", "data", "x"], 1, "absent");
    std::fs::write(dir.path().join("others"), "somebody else\n").unwrap();
    fails(&["quality", "others", "true"], 1, "no utterance in common");
    Embeddings::from_parts(vec!["silent".into()], 2, vec![0.0; 2])
        .unwrap()
        .write(dir.path().join("z.scp"))
        .unwrap();
    fails(&["kmeans", "z.scp", "x", "--k", "1"], 1, "silent");
}
