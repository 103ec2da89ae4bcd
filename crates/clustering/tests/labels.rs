//! Which utterances get which pseudo-label.

use std::collections::BTreeMap;

use ffsvc_clustering::{
    Assignments, Centres, Groups, LabelOptions, Near, Points, knee::knee, knee::second_difference, label,
    speaker_name,
};
use ffsvc_kaldi_io::Table;
use proptest::prelude::*;

fn assignments(lines: &[(&str, &[(u32, f32)])]) -> Assignments {
    let near = |pairs: &[(u32, f32)]| {
        pairs.iter().map(|&(cluster, cosine)| Near { cluster, cosine }).collect::<Vec<_>>()
    };
    Assignments {
        utterances: lines.iter().map(|(utterance, _)| (*utterance).to_owned()).collect(),
        near: lines.iter().map(|(_, pairs)| near(pairs)).collect(),
    }
}

fn example() -> Assignments {
    assignments(&[
        ("a", &[(0, 0.9), (1, 0.1)]),
        ("b", &[(0, 0.8), (1, 0.75)]),
        ("c", &[(0, 0.7), (1, 0.2)]),
        ("d", &[(1, 0.6), (0, 0.3)]),
        ("e", &[(0, 0.4), (2, 0.3)]),
        ("f", &[(0, 0.5), (2, 0.1)]),
    ])
}

#[test]
fn each_rule_leaves_out_what_it_says() {
    let run = |options: LabelOptions| label(&example(), None, &options).unwrap();
    let all = LabelOptions::default;
    assert_eq!(run(all()).0, [Some(0), Some(0), Some(0), Some(1), Some(0), Some(0)]);
    // 0.6 of the 5 of cluster 0 are 3, not 4; 0.6 of 1 is 1.
    let (labels, report) = run(LabelOptions { keep_share: 0.6, ..all() });
    assert_eq!(labels, [Some(0), Some(0), Some(0), Some(1), None, None]);
    assert_eq!((report.beyond_share, report.kept, report.kept_clusters), (2, 4, 2));
    let (labels, report) = run(LabelOptions { min_size: 2, ..all() });
    assert_eq!((labels[3], report.in_small_clusters, report.kept_clusters), (None, 1, 1));
    let (labels, report) = run(LabelOptions { min_margin: Some(0.2), ..all() });
    assert_eq!((labels[1], labels[4], report.below_margin), (None, None, 2));
    let (labels, report) = run(LabelOptions { min_cosine: Some(0.5), ..all() });
    assert_eq!((labels[4], labels[5], report.below_cosine), (None, Some(0), 1));
    // In this order: the margin takes b and e, the share one of the three that are left, the size all.
    let options = LabelOptions { min_margin: Some(0.2), keep_share: 0.5, min_size: 3, min_cosine: None };
    assert_eq!(run(options).0, [None; 6]);
    let refused = |options: LabelOptions, name: &str| {
        let error = label(&example(), None, &options).unwrap_err().to_string();
        assert!(error.starts_with(name), "{error}");
    };
    for keep_share in [0.0, 1.5, f64::NAN] {
        refused(LabelOptions { keep_share, ..all() }, "keep_share = ");
    }
    for number in [f32::NAN, f32::INFINITY, 2.5, -2.5] {
        refused(LabelOptions { min_cosine: Some(number), ..all() }, "min_cosine = ");
        refused(LabelOptions { min_margin: Some(number), ..all() }, "min_margin = ");
    }
    refused(LabelOptions { min_size: 0, ..all() }, "min_size = ");
    // Assignments are public: what is no cluster of an utterance is an error and no panic.
    for near in
        [vec![], vec![Near { cluster: 0, cosine: f32::NAN }], vec![Near { cluster: 0, cosine: 0.5 }; 2]]
    {
        let mut wrong = example();
        wrong.near[2] = near;
        let error = label(&wrong, None, &all()).unwrap_err().to_string();
        assert!(error.starts_with("the assignment of c: found"), "{error}");
    }
}

#[test]
fn a_group_takes_the_label_of_its_majority() {
    let table = |lines: &str| Table::parse("utt2group", lines.into()).unwrap();
    let group = table("a x\nc y\nd x\ne y\nf x\n");
    let (labels, report) = label(&example(), Some(&group), &LabelOptions::default()).unwrap();
    assert_eq!(labels, [Some(0); 6]);
    assert_eq!(report.regrouped, 1);

    // One vote each: the higher cosine wins; the other has no known cosine with that cluster and goes first.
    let pair = assignments(&[("p", &[(3, 0.2), (4, 0.1)]), ("q", &[(5, 0.6), (4, 0.5)])]);
    let both = table("p g\nq g\n");
    let (labels, _) = label(&pair, Some(&both), &LabelOptions::default()).unwrap();
    assert_eq!(labels, [Some(5), Some(5)]);
    let options = LabelOptions { keep_share: 0.5, ..LabelOptions::default() };
    assert_eq!(label(&pair, Some(&both), &options).unwrap().0, [None, Some(5)]);
}

#[test]
fn groups_are_clustered_as_the_direction_of_their_sum() {
    let utterances = ["a1", "b", "a2", "c1", "c2"].map(str::to_owned);
    let table = Table::parse("utt2group", "c2 c\na1 a\na2 a\nc1 c\nabsent x\n".into()).unwrap();
    let groups = Groups::new(&utterances, &table);
    assert_eq!(groups.len(), 3);
    let rows = vec![1.0, 0.0, 0.0, 1.0, 0.0, 1.0, -1.0, 0.0, 1.0, 0.0];
    let points = Points::new(rows.clone(), 2).unwrap();
    // c's two recordings point in opposite directions: their mean has none.
    assert!(groups.means(&points).unwrap_err().to_string().contains("group c sum to zero"));
    let points = Points::new([&rows[..8], &[-0.6, 0.8]].concat(), 2).unwrap();
    let means = groups.means(&points).unwrap();
    let half = 0.5f32.sqrt();
    // (-1.6, 0.8) has the length 0.8 sqrt 5.
    let expected = [half, half, 0.0, 1.0, -2.0 / 5.0f32.sqrt(), 1.0 / 5.0f32.sqrt()];
    assert!(means.data().iter().zip(expected).all(|(found, expected)| (found - expected).abs() < 1e-6));
    assert_eq!(groups.spread(&[7, 8, 9]).unwrap(), [7, 8, 7, 9, 9]);
    assert!(groups.spread(&[7, 8]).is_err());
    assert!(groups.means(&means).is_err());
}

#[test]
fn assignments_have_the_own_centre_first_and_come_back_from_their_file() {
    let points = Points::length_normalised(vec![1.0, 0.0, 3.0, 4.0, 0.0, -2.0], 2).unwrap();
    let centres = Centres::new(vec![2.0, 0.0, 0.0, 1.0, 0.0, 0.0, 0.0, -1.0], 2);
    let names = ["u", "v", "w"].map(str::to_owned).to_vec();
    let made = Assignments::new(names.clone(), &points, &centres, &[0, 0, 3], 2).unwrap();
    let expected: [&[(u32, f32)]; 3] =
        [&[(0, 1.0), (1, 0.0), (3, 0.0)], &[(0, 0.6), (1, 0.8), (3, -0.8)], &[(3, 1.0), (0, 0.0), (1, -1.0)]];
    for (near, expected) in made.near.iter().zip(expected) {
        assert_eq!(near.len(), expected.len());
        for (near, &(cluster, cosine)) in near.iter().zip(expected) {
            assert_eq!(near.cluster, cluster);
            assert!((near.cosine - cosine).abs() < 1e-6, "{near:?}, expected {cosine}");
        }
    }
    let folder = tempfile::tempdir().unwrap();
    made.write(folder.path().join("assignments")).unwrap();
    assert_eq!(Assignments::read(folder.path().join("assignments")).unwrap(), made);
    for wrong in ["u\n", "u 1\n", "u 1:x\n", "u 1:0.5\nu 2:0.5\n", "u 1:nan\n", "u 1:0.5 1:0.4\n", ""] {
        std::fs::write(folder.path().join("wrong"), wrong).unwrap();
        assert!(Assignments::read(folder.path().join("wrong")).is_err(), "{wrong:?}");
    }
    assert!(Assignments::new(names, &points, &centres, &[0, 0, 4], 2).is_err());
}

#[test]
fn names_sort_as_numbers_do() {
    assert_eq!(speaker_name("r1", 7, 120), "r1-007");
    assert_eq!(speaker_name("", 7, 8), "7");
    assert_eq!(speaker_name("x", 9, 10), "x-9");
    assert_eq!(speaker_name("x", 9, 11), "x-09");
}

#[test]
fn knees_of_known_curves() {
    // Two straight lines that meet at 4.
    let bent = |x: f64| if x < 4.0 { 3.0 * x } else { 12.0 + 0.5 * (x - 4.0) };
    let rising: Vec<(f64, f64)> = (0..10).map(|x| (f64::from(x), bent(f64::from(x)))).collect();
    let falling: Vec<(f64, f64)> = rising.iter().map(|&(x, y)| (x, -y)).collect();
    for curve in [rising, falling] {
        assert_eq!((knee(&curve), second_difference(&curve)), (Some(4), Some(4)));
    }
    let straight: Vec<(f64, f64)> = (0..10).map(|x| (f64::from(x), f64::from(x))).collect();
    assert_eq!((knee(&straight), second_difference(&straight)), (None, None));
    assert_eq!((knee(&straight[..2]), second_difference(&straight[..2])), (None, None));
    assert_eq!(knee(&[]), None);
}

fn pair() -> impl Strategy<Value = (u32, f32)> {
    (0u32..50, -1.0f32..=1.0)
}

proptest! {
    /// What is written comes back.
    #[test]
    fn any_assignments_come_back_from_their_file(
        lines in prop::collection::btree_map("[a-z0-9/_-]{1,12}", prop::collection::vec(pair(), 1..6), 1..20),
    ) {
        let utterances = lines.keys().cloned().collect();
        let near = lines.into_values().map(|pairs| {
            let pairs: BTreeMap<u32, f32> = pairs.into_iter().collect();
            pairs.into_iter().map(|(cluster, cosine)| Near { cluster, cosine }).collect()
        });
        let made = Assignments { utterances, near: near.collect() };
        let folder = tempfile::tempdir().unwrap();
        made.write(folder.path().join("assignments")).unwrap();
        prop_assert_eq!(Assignments::read(folder.path().join("assignments")).unwrap(), made);
    }

    /// Any bytes are assignments that can be labelled, or an error; never a panic.
    #[test]
    fn any_file_is_assignments_or_an_error(
        bytes in prop_oneof![
            prop::collection::vec(any::<u8>(), 0..200).boxed(),
            "([a-c]{1,2} ([0-9]{1,11}:-?[0-9]{0,3}(\\.[0-9]{0,9})?(e-?[0-9]{1,3}|nan|inf)? ?){0,4}\n){0,6}"
                .prop_map(String::into_bytes).boxed(),
        ],
    ) {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("assignments");
        std::fs::write(&path, bytes).unwrap();
        if let Ok(read) = Assignments::read(&path) {
            let (labels, report) = label(&read, None, &LabelOptions::default()).unwrap();
            prop_assert_eq!((labels.len(), report.kept), (read.utterances.len(), read.utterances.len()));
        }
    }
}
