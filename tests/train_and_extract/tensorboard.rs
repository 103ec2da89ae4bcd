//! `ffsvc-train --tensorboard`: the records of a run. What TensorBoard itself makes of them is in `tests/peers`.

use std::path::Path;

use crate::programs::{program, workplace};

/// The messages of each event file in a folder, in the order of the names. Lengths are checked, checksums are not.
fn files(folder: &Path) -> Vec<Vec<Vec<u8>>> {
    let mut paths: Vec<_> = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    paths.sort();
    let records = |path: &Path| {
        let bytes = std::fs::read(path).unwrap();
        let (mut rest, mut records) = (&bytes[..], Vec::new());
        while !rest.is_empty() {
            let length = u64::from_le_bytes(rest[..8].try_into().unwrap()) as usize;
            records.push(rest[12..12 + length].to_vec());
            rest = &rest[16 + length..];
        }
        records
    };
    paths.iter().map(|path| records(path)).collect()
}

fn count(records: &[Vec<u8>], tag: &str) -> usize {
    records.iter().filter(|record| record.windows(tag.len()).any(|part| part == tag.as_bytes())).count()
}

#[test]
fn every_step_and_validation_has_its_numbers() {
    let folder = workplace();
    let train = |more: &[&str]| {
        let arguments = [&["tiny.toml", "exp", "--tensorboard", "events/exp", "-q"][..], more].concat();
        program("ffsvc-train").current_dir(&folder).args(arguments).assert().success();
        files(&folder.path().join("events/exp"))
    };
    let first = train(&[]);
    let [records] = &first[..] else { panic!("{} files", first.len()) };
    assert_eq!(count(records, "brain.Event:2"), 1);
    for (tag, expected) in
        [("train/loss", 8), ("train/data_wait", 8), ("epoch/loss", 2), ("validation/eer", 2)]
    {
        assert_eq!(count(records, tag), expected, "{tag}");
    }
    assert_eq!(count(records, "train/margin"), 0, "the margin does not move");
    // A resumed run has a file of its own, which begins with the start of a session at the next step: here the ninth.
    let both = train(&["--resume"]);
    assert_eq!(both.len(), 2);
    let resumed = both.iter().find(|records| records.len() == 2).unwrap();
    assert!(resumed[1].ends_with(&[0x10, 9, 0x3a, 2, 8, 1]), "{:?}", resumed[1]);
}
