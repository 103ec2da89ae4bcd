//! `ffsvc-tables`: what the names of FFSVC recordings say, as tables.

use std::collections::BTreeMap;
use std::path::PathBuf;

use anyhow::Context;
use clap::Args;
use ffsvc_cli::{OutputPath, RunFiles, print_json};
use ffsvc_corpora::{FfsvcMeta, FfsvcName};
use ffsvc_kaldi_io::write_table;

/// Make utt2spk, utt2device, utt2distance, utt2visit, utt2sentence and utt2speed from FFSVC2022's dev_meta_list
///
/// The list ties the anonymous names of the recordings to their own, which say who speaks, what records from where, at
/// which of the three visits, and how. Scoring breaks its error rates down by these tables.
#[derive(Debug, Args)]
#[command(after_long_help = "\
Example:
  ffsvc-data ffsvc-tables dev_meta_list data/ffsvc2022/dev
  ffsvc-score --trials trials_dev_keys --embeddings exp/dev/embeddings.scp \\
      --by test:device=data/ffsvc2022/dev/utt2device --by test:distance=data/ffsvc2022/dev/utt2distance \\
      --by gap:visit=data/ffsvc2022/dev/utt2visit

Tables, for ffsvc22_dev_000000, which is T0344_344I1M_1_0307_normal:
  utt2spk 0344, utt2device I (iPhone; PAD: iPad), utt2distance 1M (-1.5M: behind the speaker; L3M, R3M: to the left and
  right), utt2visit 3 (F, S and T: first, second and third), utt2sentence 0307, utt2speed normal (fast, slow)")]
pub(crate) struct FfsvcTables {
    /// The list dev_meta_list
    meta_list: PathBuf,

    /// Folder for the tables; those that are there already are replaced
    output: OutputPath,
}

type Column = fn(&FfsvcName<'_>) -> String;

const TABLES: [(&str, Column); 6] = [
    ("utt2spk", |name| name.speaker.to_owned()),
    ("utt2device", |name| name.device.to_owned()),
    ("utt2distance", |name| name.distance.to_owned()),
    ("utt2visit", |name| name.visit.to_string()),
    ("utt2sentence", |name| name.sentence.to_owned()),
    ("utt2speed", |name| name.speed.to_owned()),
];

impl FfsvcTables {
    pub(crate) fn run(self, json: bool) -> anyhow::Result<()> {
        RunFiles::new()
            .input("META_LIST", [&self.meta_list])
            .output_folder("OUTPUT", [&self.output])
            .check(json)?;
        let meta = FfsvcMeta::read(&self.meta_list)?;
        let recordings: BTreeMap<&str, FfsvcName<'_>> = meta.iter().collect();
        let listed = meta.iter().count();
        anyhow::ensure!(
            recordings.len() == listed,
            "{}: found {listed} recordings with {} anonymous names, expected a name of its own for each",
            self.meta_list.display(),
            recordings.len(),
        );
        std::fs::create_dir_all(&self.output)
            .with_context(|| format!("cannot create {}", self.output.display()))?;
        let mut counts = BTreeMap::new();
        for (table, value) in TABLES {
            let mut values: BTreeMap<String, usize> = BTreeMap::new();
            recordings.values().for_each(|name| *values.entry(value(name)).or_default() += 1);
            write_table(self.output.join(table), recordings.iter().map(|(utt, name)| (utt, value(name))))?;
            counts.insert(table, values);
        }
        if json {
            return print_json(&counts);
        }
        println!("{listed} recordings, {} speakers", counts["utt2spk"].len());
        for table in ["utt2device", "utt2distance", "utt2visit", "utt2speed"] {
            let values: Vec<String> = counts[table].iter().map(|(value, n)| format!("{value} {n}")).collect();
            println!("{table:<13} {}", values.join(", "));
        }
        Ok(())
    }
}
