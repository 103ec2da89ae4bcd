//! What a scoring run found, and what it was made from.

use std::fmt;
use std::fs::File;
use std::io::Read;
use std::path::Path;

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::metrics::{Definition, Metrics};
use crate::{Result, TrialScores};

/// The result of a scoring run. Its JSON form is the fields' names; its [`Display`](fmt::Display) form is a table.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Report {
    /// Program and version that made it.
    pub program: String,
    /// The trial list.
    pub trials: SourceFile,
    /// Where the scores came from.
    pub scores: ScoreSource,
    /// Whether trials without a score were skipped rather than refused.
    pub skip_missing: bool,
    /// How many trials there were of each kind.
    pub counts: Counts,
    /// The error rates; `None` for a trial list without labels.
    pub metrics: Option<Metrics>,
}

/// A file that went into a result.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SourceFile {
    /// Its path as it was given.
    pub path: String,
    /// SHA-256 of its bytes, 64 hexadecimal digits.
    pub sha256: String,
}

impl SourceFile {
    /// Reads the file once to identify it by its content.
    ///
    /// # Errors
    /// The file cannot be read.
    pub fn identify(path: impl AsRef<Path>) -> Result<Self> {
        let path = path.as_ref();
        let refused = |error| ffsvc_kaldi_io::Error::io(path, "read", error);
        let mut file = File::open(path).map_err(refused)?;
        let mut hash = Sha256::new();
        let mut buffer = vec![0; 1 << 16];
        loop {
            match file.read(&mut buffer).map_err(refused)? {
                0 => break,
                n => hash.update(&buffer[..n]),
            }
        }
        let sha256 = hash.finalize().iter().map(|byte| format!("{byte:02x}")).collect();
        Ok(Self { path: path.display().to_string(), sha256 })
    }
}

/// Where scores came from.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", tag = "kind")]
pub enum ScoreSource {
    /// Cosines of embeddings.
    Cosine {
        /// Store of the test utterances' embeddings.
        embeddings: String,
        /// Store of the enrolment utterances' embeddings, if it is another one.
        enrol_embeddings: Option<String>,
        /// Store whose mean embedding was subtracted from all.
        mean_subtracted: Option<String>,
    },
    /// A score file.
    File(SourceFile),
}

/// Numbers of trials.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Counts {
    /// Trials in the list.
    pub trials: usize,
    /// Scored target trials; `None` for a list without labels.
    pub target: Option<usize>,
    /// Scored non-target trials; `None` for a list without labels.
    pub nontarget: Option<usize>,
    /// Trials without a score.
    pub skipped: usize,
    /// Utterance names that were found only by adding or removing a `.wav` suffix.
    pub matched_by_suffix: usize,
    /// Lines of a score file that belong to no trial.
    pub surplus_scores: usize,
}

impl Counts {
    /// Counts trials and skipped trials; with labels, both classes among the scored ones.
    pub fn of(scores: &TrialScores, labels: Option<&[bool]>) -> Self {
        let of_class = |class| {
            labels.map(|labels| scores.iter().filter(|&(at, _)| labels.get(at) == Some(&class)).count())
        };
        Self {
            trials: scores.len(),
            target: of_class(true),
            nontarget: of_class(false),
            skipped: scores.skipped().len(),
            ..Self::default()
        }
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let digest = |file: &SourceFile| file.sha256.chars().take(12).collect::<String>();
        writeln!(f, "trials       {} (sha256 {})", self.trials.path, digest(&self.trials))?;
        match &self.scores {
            ScoreSource::Cosine { embeddings, enrol_embeddings, mean_subtracted } => {
                write!(f, "scores       cosine of {embeddings}")?;
                if let Some(enrol) = enrol_embeddings {
                    write!(f, ", enrolment {enrol}")?;
                }
                if let Some(mean) = mean_subtracted {
                    write!(f, ", minus the mean of {mean}")?;
                }
                writeln!(f)?;
            }
            ScoreSource::File(file) => {
                writeln!(f, "scores       {} (sha256 {})", file.path, digest(file))?;
            }
        }
        let counts = &self.counts;
        write!(f, "counts       {} trials", counts.trials)?;
        if let (Some(target), Some(nontarget)) = (counts.target, counts.nontarget) {
            write!(f, ": {target} target, {nontarget} non-target")?;
        }
        if counts.skipped > 0 {
            write!(f, ", {} skipped", counts.skipped)?;
        }
        writeln!(f)?;
        match &self.metrics {
            Some(metrics) => write!(f, "{metrics}"),
            None => writeln!(f, "error rates  none: the trial list has no labels"),
        }
    }
}

impl fmt::Display for Metrics {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.definition == Definition::Compat {
            writeln!(f, "definition   compat (the FFSVC2022 baseline's; thresholds mean score > threshold)")?;
        }
        writeln!(f, "{:<12} {:>10}  {:>12}", "measure", "value", "threshold")?;
        writeln!(f, "{:<12} {:>8.3} %  {:>12.6}", "EER", 100.0 * self.eer, self.eer_threshold)?;
        if let Some(rocch) = self.rocch_eer {
            writeln!(f, "{:<12} {:>8.3} %", "ROCCH-EER", 100.0 * rocch)?;
        }
        for dcf in &self.min_dcf {
            let costs = &dcf.parameters;
            writeln!(
                f,
                "{:<12} {:>10.5}  {:>12.6}  P_target {}, C_miss {}, C_fa {}: p_miss {:.3} %, p_fa {:.4} %",
                "minDCF",
                dcf.cost,
                dcf.threshold,
                costs.p_target(),
                costs.c_miss(),
                costs.c_fa(),
                100.0 * dcf.p_miss,
                100.0 * dcf.p_fa,
            )?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::metrics::{DcfParameters, evaluate};

    fn report(definition: Definition, target: &[f64], nontarget: &[f64]) -> Report {
        let metrics = evaluate(target, nontarget, definition, &[DcfParameters::default()]);
        Report {
            program: "test".to_owned(),
            trials: SourceFile { path: "trials".to_owned(), sha256: "ab".repeat(32) },
            scores: ScoreSource::Cosine {
                embeddings: "e.scp".to_owned(),
                enrol_embeddings: None,
                mean_subtracted: Some("m.scp".to_owned()),
            },
            skip_missing: false,
            counts: Counts { trials: 4, target: Some(2), nontarget: Some(2), ..Counts::default() },
            metrics: metrics.ok(),
        }
    }

    #[test]
    fn json_is_read_back_also_with_infinite_and_undefined_numbers() {
        let rejects_all = report(Definition::Tied, &[0.0, 1.0], &[2.0, 3.0]);
        let json = serde_json::to_string(&rejects_all).unwrap();
        assert!(json.contains(r#""threshold":"inf""#), "{json}");
        assert_eq!(serde_json::from_str::<Report>(&json).unwrap(), rejects_all);

        let one_class = report(Definition::Compat, &[0.0, 1.0], &[]);
        let json = serde_json::to_string(&one_class).unwrap();
        assert!(json.contains(r#""eer":"nan""#), "{json}");
        let read: Report = serde_json::from_str(&json).unwrap();
        assert!(read.metrics.unwrap().eer.is_nan());
    }

    #[test]
    fn files_are_identified_by_their_content() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("abc");
        std::fs::write(&path, "abc").unwrap();
        // FIPS 180-2, appendix B.1.
        assert_eq!(
            SourceFile::identify(&path).unwrap().sha256,
            "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
        );
    }

    #[test]
    fn the_table_shows_rates_in_per_cent() {
        let table = report(Definition::Tied, &[0.5, 1.0], &[0.75, 0.0]).to_string();
        assert!(table.contains("4 trials: 2 target, 2 non-target\n"), "{table}");
        assert!(table.contains("EER            50.000 %      0.750000\n"), "{table}");
        assert!(table.contains("minus the mean of m.scp"), "{table}");
    }
}
