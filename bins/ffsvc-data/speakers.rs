//! `utt2spk-to-spk2utt` and `spk2utt-to-utt2spk`.

use std::collections::BTreeMap;
use std::path::PathBuf;

use clap::Args;
use ffsvc_cli::{OutputFile, RunFiles, UsageError, print_json};
use ffsvc_kaldi_io::{Table, spk2utt_to_utt2spk, utt2spk_to_spk2utt, write_table};

/// Turn utt2spk into spk2utt
///
/// Prints one line for each speaker, in byte order, with the speaker's utterances in the order of the table.
#[derive(Debug, Args)]
#[command(after_long_help = "\
Example:
  ffsvc-data utt2spk-to-spk2utt data/train/utt2spk --output data/train/spk2utt")]
pub(crate) struct Utt2spkToSpk2utt {
    /// The table utt2spk
    utt2spk: PathBuf,

    /// Write to this file instead of standard output
    #[arg(short, long, value_name = "FILE")]
    output: Option<OutputFile>,
}

impl Utt2spkToSpk2utt {
    pub(crate) fn run(self, json: bool) -> anyhow::Result<()> {
        refuse_json_beside_a_file(json, self.output.as_ref())?;
        RunFiles::new().input("UTT2SPK", [&self.utt2spk]).output("--output", &self.output).check(json)?;
        let table = Table::read(&self.utt2spk)?;
        let spk2utt = utt2spk_to_spk2utt(&table)?;
        anyhow::ensure!(!spk2utt.is_empty(), "{}: found no utterance", self.utt2spk.display());
        let rows = || spk2utt.iter().map(|(speaker, utterances)| (speaker, utterances.join(" ")));
        match self.output {
            Some(output) => write_table(output, rows())?,
            None if json => print_json(&spk2utt.iter().cloned().collect::<BTreeMap<_, _>>())?,
            None => rows().for_each(|(speaker, utterances)| println!("{speaker} {utterances}")),
        }
        Ok(())
    }
}

/// Turn spk2utt into utt2spk
///
/// Prints one line for each utterance, in byte order. An utterance of two speakers is an error.
#[derive(Debug, Args)]
#[command(after_long_help = "\
Example:
  ffsvc-data spk2utt-to-utt2spk data/train/spk2utt --output data/train/utt2spk")]
pub(crate) struct Spk2uttToUtt2spk {
    /// The table spk2utt
    spk2utt: PathBuf,

    /// Write to this file instead of standard output
    #[arg(short, long, value_name = "FILE")]
    output: Option<OutputFile>,
}

impl Spk2uttToUtt2spk {
    pub(crate) fn run(self, json: bool) -> anyhow::Result<()> {
        refuse_json_beside_a_file(json, self.output.as_ref())?;
        RunFiles::new().input("SPK2UTT", [&self.spk2utt]).output("--output", &self.output).check(json)?;
        let table = Table::read(&self.spk2utt)?;
        let utt2spk = spk2utt_to_utt2spk(&table)?;
        anyhow::ensure!(!utt2spk.is_empty(), "{}: found no utterance", self.spk2utt.display());
        match self.output {
            Some(output) => write_table(output, utt2spk)?,
            None if json => print_json(&utt2spk.into_iter().collect::<BTreeMap<_, _>>())?,
            None => utt2spk.iter().for_each(|(utterance, speaker)| println!("{utterance} {speaker}")),
        }
        Ok(())
    }
}

/// `--json` prints the table, which goes to the file of `--output` in its own form.
fn refuse_json_beside_a_file(json: bool, output: Option<&OutputFile>) -> Result<(), UsageError> {
    match output {
        Some(_) if json => {
            Err(UsageError::new("--json prints the table, and --output writes it: leave one of them out"))
        }
        _ => Ok(()),
    }
}
