//! Trial lists: the published ones, the detection of their columns, and hostile bytes.

use std::path::PathBuf;

use ffsvc_kaldi_io::{DataDir, Error, Table, TrialColumns, Trials};
use proptest::prelude::*;

fn parse(text: impl AsRef<[u8]>, columns: TrialColumns) -> Result<Trials, Error> {
    Trials::parse("trials", text.as_ref().to_vec(), columns)
}

fn auto(text: &str) -> Result<Trials, Error> {
    parse(text, TrialColumns::Auto)
}

/// A published list.
fn list(name: &str) -> PathBuf {
    ffsvc_test_data::shared("lists").join(name)
}

fn ffsvc2022_development_trials() {
    let keys = list("ffsvc2022/trials_dev_keys");
    let trials = Trials::read(keys, TrialColumns::Auto).unwrap();
    // The evaluation plan: 72,000 trials; `cut -d' ' -f1 | sort | uniq -c` and
    // `cut -d' ' -f2,3 | tr ' ' '\n' | sort -u | wc -l` of the list.
    assert_eq!(trials.len(), 72_000);
    assert_eq!(trials.counts(), Some((36_000, 36_000)));
    let blind = list("ffsvc2022/trials_dev");
    let blind = Trials::read(blind, TrialColumns::Auto).unwrap();
    assert_eq!((blind.labels, &blind.pairs, &blind.names), (None, &trials.pairs, &trials.names));
    // Names end in `.wav`, those of the list of files do not.
    let files = Table::read(list("ffsvc2022/dev_meta_list")).unwrap();
    let names: std::collections::HashSet<&str> = files.iter().map(|(_, name)| name).collect();
    let found = trials.resolve(|name| names.get(name).copied());
    assert_eq!((found.missing().count(), found.by_suffix), (0, trials.names.len()));
}

fn voxceleb1_original_trials() {
    let path = list("vox1-o/trials");
    let trials = Trials::read(path, TrialColumns::Auto).unwrap();
    assert_eq!((trials.len(), trials.counts()), (37_611, Some((18_802, 18_809))));
    assert_eq!(trials.names.len(), 4_708, "the utterances of the cleaned list");
    let scp = list("vox1-o/wav.scp");
    let dir = DataDir::open(scp.parent().unwrap()).unwrap();
    assert_eq!((dir.len(), dir.has_speakers()), (4_874, false));
    let found = trials.resolve(|name| dir.position(name));
    assert_eq!((found.missing().count(), found.by_suffix), (0, 0));
}

#[test]
fn the_label_is_found_on_either_side() {
    let names = || vec!["a".into(), "b".into(), "c".into()];
    let expected = Trials::new(names(), vec![(0, 1), (0, 2)], Some(vec![true, false]));
    for text in [
        "1 a b\n0 a c\n",
        "a b 1\na c 0",
        "a b target\r\n\r\na c nontarget\r\n",
        "\u{feff}target\ta b\nnontarget a c",
    ] {
        assert_eq!(auto(text).unwrap(), expected, "{text:?}");
    }
    let unlabelled = Trials::new(names(), expected.pairs, None);
    assert_eq!(auto("a b\na c\n").unwrap(), unlabelled);
}

#[test]
fn the_whole_list_counts_not_the_first_line() {
    let trials = auto("1 0 0\n1 0 1\n0 1 a\n").unwrap();
    assert_eq!(trials.names, ["0", "1", "a"]);
    assert_eq!(trials.labels, Some(vec![true, true, false]));
}

#[test]
fn an_ambiguous_list_needs_the_users_word() {
    let text = "1 0 1\n0 1 1\n";
    let error = auto(text).unwrap_err().to_string();
    assert!(error.contains("label-first or label-last"), "{error}");
    let labels = |columns| parse(text, columns).unwrap().labels;
    assert_eq!(labels(TrialColumns::LabelFirst), Some(vec![true, false]));
    assert_eq!(labels(TrialColumns::LabelLast), Some(vec![true, true]));
}

#[test]
fn refusals_name_the_line() {
    for (text, columns, line) in [
        ("1 a b\n1 a\n", TrialColumns::Auto, Some(2)),
        ("a b\n1 a b\n", TrialColumns::Auto, Some(2)),
        ("1 a b c\n", TrialColumns::Auto, Some(1)),
        ("a\n", TrialColumns::Auto, Some(1)),
        ("1 a b\n\nx a b\n", TrialColumns::LabelFirst, Some(3)),
        ("a b 1\na b 2\n", TrialColumns::LabelLast, Some(2)),
        ("1 a b\ntarget a b\n", TrialColumns::LabelFirst, Some(2)),
        ("a b 1\n", TrialColumns::NoLabel, Some(1)),
        ("a b\n", TrialColumns::LabelLast, Some(1)),
        ("a b\na\n", TrialColumns::Auto, Some(2)),
        ("a\n", TrialColumns::NoLabel, Some(1)),
        ("", TrialColumns::Auto, None),
    ] {
        assert_eq!(parse(text, columns).unwrap_err().line(), line, "{text:?}");
    }
    let neither = auto("1 a b\nx a b\n").unwrap_err().to_string();
    assert!(neither.contains("\"x\" in the first column (line 2)"), "{neither}");
    assert_eq!(parse(b"1 a b\n1 a \xfe\n", TrialColumns::Auto).unwrap_err().line(), Some(2));
}

#[test]
fn columns_are_spelt_as_on_the_command_line() {
    for (text, columns) in [
        ("auto", TrialColumns::Auto),
        ("label-first", TrialColumns::LabelFirst),
        ("label-last", TrialColumns::LabelLast),
        ("no-label", TrialColumns::NoLabel),
    ] {
        assert_eq!(text.parse(), Ok(columns));
    }
    assert!("first".parse::<TrialColumns>().is_err());
}

#[test]
fn suffixes_resolve_on_either_side_and_exact_names_come_first() {
    let trials = auto("1 a.wav b\n0 c b.wav\n").unwrap();
    let known = ["a", "b.wav", "b", "x"];
    let found = trials.resolve(|name| known.iter().position(|&utterance| utterance == name));
    assert_eq!(found.values, [Some(0), Some(2), None, Some(1)]);
    assert_eq!((found.by_suffix, found.missing().collect::<Vec<_>>()), (1, vec![2]));
    let with_suffix =
        auto("1 a b\n").unwrap().resolve(|name| ["a.wav", "b.wav"].iter().position(|&k| k == name));
    assert_eq!((with_suffix.values, with_suffix.by_suffix), (vec![Some(0), Some(1)], 2));
}

#[test]
fn writing_refuses_what_would_not_be_read_back() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("trials");
    let good = auto("1 a b\n0 a c\n").unwrap();
    good.write(&path).unwrap();
    for bad in [
        Trials::new(vec!["a b".into(), "b".into(), "c".into()], good.pairs.clone(), good.labels.clone()),
        Trials::new(vec!["".into(), "b".into(), "c".into()], good.pairs.clone(), good.labels.clone()),
        Trials::new(vec!["a".into()], good.pairs.clone(), good.labels.clone()),
        Trials::new(good.names.clone(), good.pairs.clone(), Some(vec![true])),
    ] {
        assert!(bad.write(&path).is_err(), "{bad:?}");
    }
    assert_eq!(std::fs::read_to_string(&path).unwrap(), "1 a b\n0 a c\n");
}

#[test]
fn repeated_trials_and_self_trials_are_counted() {
    let text = "1 a b\n0 a c\n1 a b\n\n1 b a\n1 c c\n0 a c\n1 a b\n1 a a\n";
    let trials = auto(text).unwrap();
    assert_eq!(trials.len(), 8, "nothing is left out");
    let findings = trials.findings();
    assert_eq!(
        (findings.self_trials.total(), findings.self_trials.first()),
        (2, &["c".into(), "a".into()][..])
    );
    assert_eq!((findings.repeated.total(), findings.repeated.first()[0].as_str()), (3, "a b"));
    assert_eq!(
        findings.lines(),
        [
            "2 trials compare an utterance with itself (c, a)",
            "3 trials repeat an earlier one (a b, a c, a b)"
        ]
    );
    assert!(auto("a b\nb a\n").unwrap().findings().is_empty());
    assert_eq!(auto("a b\na b\n").unwrap().findings().lines(), ["1 trial repeats an earlier one (a b)"]);
}

#[test]
fn a_pair_with_two_labels_is_an_error() {
    for (text, place) in [
        (
            "1 a b\n0 a c\n0 a b\n",
            "trials:3: found a b as a target and as a non-target, expected one label for the pair, as in line 1",
        ),
        (
            "\n1 a b\n\n\n0 c d\n0 b a\n",
            "trials:6: found b a as a target and as a non-target, expected one label for the pair, as in line 2",
        ),
        ("x y target\nx z nontarget\r\nx z target\n", "as in line 2"),
    ] {
        let error = auto(text).unwrap_err().to_string();
        assert!(error.contains(place), "{error}");
    }
}

#[test]
fn a_list_is_read_once_and_hashed_on_the_way() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("trials");
    let text = b"\xef\xbb\xbf1 a b\n0 a c\n";
    std::fs::write(&path, text).unwrap();
    let expected = ffsvc_hashing::sha256_of_file(&path).unwrap();
    let trials = Trials::read(&path, TrialColumns::Auto).unwrap();
    assert_eq!((trials.len(), trials.sha256()), (2, Some(&*expected)));
    assert_eq!(Trials::new(vec![], vec![], None).sha256(), None);

    let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
    std::io::Write::write_all(&mut gzip, text).unwrap();
    std::fs::write(&path, gzip.finish().unwrap()).unwrap();
    let packed = Trials::read(&path, TrialColumns::Auto).unwrap();
    assert_eq!((&packed, packed.sha256()), (&trials, Some(&*expected)));
    assert_eq!(Table::read(&path).unwrap().sha256(), expected, "a table keeps the text");
}

proptest! {
    #[test]
    fn arbitrary_bytes_never_panic(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
        let _ = parse(bytes, TrialColumns::Auto);
    }

    #[test]
    fn arbitrary_columns_never_panic(text in "[01ax \n\t\r]{0,60}") {
        for columns in [TrialColumns::Auto, TrialColumns::LabelFirst, TrialColumns::LabelLast, TrialColumns::NoLabel] {
            let _ = parse(&text, columns);
        }
    }

    #[test]
    fn what_is_written_is_read_back(
        rows in proptest::collection::vec(("[a-z\u{e4}]{1,3}", "[a-z\u{e4}]{1,3}"), 1..30),
        labelled in any::<bool>(),
    ) {
        // A pair has the same label wherever it is repeated.
        let label = |a: &str, b: &str| u8::from(a.len() == b.len());
        let text: String = rows.iter().map(|(a, b)| {
            if labelled { format!("{a} {b} {}\n", label(a, b)) } else { format!("{a} {b}\n") }
        }).collect();
        let trials = auto(&text).unwrap();
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("trials");
        trials.write(&path).unwrap();
        prop_assert_eq!(Trials::read(&path, TrialColumns::Auto).unwrap(), trials);
    }
}

ffsvc_test_data::shared_tests!(ffsvc2022_development_trials, voxceleb1_original_trials);
