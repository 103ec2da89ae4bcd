//! What a scoring run found, and what it was made from.

use std::fmt;
use std::path::Path;

use serde::{Deserialize, Serialize};

use crate::conditions::Sides;
use crate::metrics::{Bootstrap, BootstrapOptions, DcfParameters, Definition, Interval, Metrics};
use crate::{Result, ScoreNorm, TrialScores};

/// The result of a scoring run. Its JSON form is the fields' names; its [`Display`](fmt::Display) form is a table.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Report {
    /// Program and version that made it.
    pub program: String,
    /// The trial list.
    pub trials: SourceFile,
    /// Where the scores came from.
    pub scores: ScoreSource,
    /// How they were normalised, if they were.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub normalisation: Option<Normalisation>,
    /// Whether trials without a score were skipped rather than refused.
    pub skip_missing: bool,
    /// How many trials there were of each kind.
    pub counts: Counts,
    /// The error rates; `None` for a trial list without labels.
    pub metrics: Option<Metrics>,
    /// The table of speakers that intervals and tables of speakers were read with.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub utt2spk: Option<SourceFile>,
    /// The error rates by condition.
    #[serde(skip_serializing_if = "Vec::is_empty", default)]
    pub conditions: Vec<BreakDown>,
}

/// Error rates by condition.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct BreakDown {
    /// What the conditions differ in.
    pub name: String,
    /// What of both sides of a trial makes its condition.
    pub sides: Sides,
    /// The table that tells.
    pub table: SourceFile,
    /// Trials in no condition because an utterance has no value in the table.
    pub without_value: usize,
    /// Conditions with fewer trials of a class than this have no error rates.
    pub min_trials: usize,
    /// The conditions.
    pub conditions: Vec<Condition>,
}

/// The error rates of the trials of one condition.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Condition {
    /// The value, pair of values, relation or difference.
    pub value: String,
    /// Scored target trials.
    pub target: usize,
    /// Scored non-target trials.
    pub nontarget: usize,
    /// The error rates; `None` if there are too few trials.
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
        let sha256 = ffsvc_hashing::sha256_of_file(path)
            .map_err(|error| ffsvc_kaldi_io::Error::io(path, "read", error))?;
        Ok(Self::of_sha256(path, sha256))
    }

    /// The file at `path` with the SHA-256 of these hexadecimal digits.
    pub(crate) fn of_sha256(path: &Path, sha256: String) -> Self {
        Self { path: path.display().to_string(), sha256 }
    }
}

/// Where scores came from.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", tag = "kind")]
pub enum ScoreSource {
    /// Cosines of embeddings.
    Cosine(EmbeddingSource),
    /// Log-likelihood ratios of embeddings by the PLDA of a back end.
    Plda(EmbeddingSource),
    /// A score file.
    File(SourceFile),
}

/// The embeddings that were compared.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct EmbeddingSource {
    /// Store of the test utterances' embeddings.
    pub embeddings: String,
    /// Store of the enrolment utterances' embeddings, if it is another one.
    pub enrol_embeddings: Option<String>,
    /// Store whose mean embedding was subtracted from all.
    pub mean_subtracted: Option<String>,
    /// What else was done to them before.
    #[serde(flatten)]
    pub preparation: Preparation,
}

/// What embeddings go through before they are compared, besides the subtraction of one mean.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Preparation {
    /// The back end that processed them.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub backend: Option<SourceFile>,
    /// Store whose mean embedding was subtracted from the enrolment side, in place of the other mean.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub enrol_mean_subtracted: Option<String>,
    /// Domains of the utterances: what was subtracted is the mean of each one's domain.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub utt2domain: Option<SourceFile>,
    /// Utterances of the enrolled speakers.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub enrolment: Option<SourceFile>,
    /// What was averaged over them: `embeddings`, `directions` or `scores`.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub enrol_average: Option<String>,
}

impl fmt::Display for EmbeddingSource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { embeddings, enrol_embeddings, mean_subtracted, preparation } = self;
        write!(f, "{embeddings}")?;
        if let Some(enrol) = enrol_embeddings {
            write!(f, ", enrolment {enrol}")?;
        }
        if let Some(mean) = mean_subtracted {
            write!(f, ", minus the mean of {mean}")?;
        }
        if let Some(mean) = &preparation.enrol_mean_subtracted {
            write!(f, " (enrolment: of {mean})")?;
        }
        if let Some(domains) = &preparation.utt2domain {
            write!(f, " by domain ({})", domains.path)?;
        }
        if let Some(backend) = &preparation.backend {
            write!(f, ", back end {}", backend.path)?;
        }
        if let Some(enrolment) = &preparation.enrolment {
            let average = preparation.enrol_average.as_deref().unwrap_or_default();
            write!(f, ", models {} (average of {average})", enrolment.path)?;
        }
        Ok(())
    }
}

/// How scores were normalised.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Normalisation {
    /// The kind.
    pub norm: ScoreNorm,
    /// Store of the cohort's embeddings.
    pub cohort: String,
    /// Table by which they were averaged, a member for each speaker.
    pub cohort_utt2spk: Option<SourceFile>,
    /// Members of the cohort.
    pub size: usize,
    /// How many of an utterance's scores with it count, the highest.
    pub top: usize,
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
            ScoreSource::Cosine(source) => writeln!(f, "scores       cosine of {source}")?,
            ScoreSource::Plda(source) => writeln!(f, "scores       PLDA of {source}")?,
            ScoreSource::File(file) => {
                writeln!(f, "scores       {} (sha256 {})", file.path, digest(file))?;
            }
        }
        if let Some(by) = &self.normalisation {
            let members = if by.cohort_utt2spk.is_some() { "speakers" } else { "utterances" };
            writeln!(
                f,
                "normalised   {}, top {} of {} {members} of {}",
                by.norm, by.top, by.size, by.cohort
            )?;
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
            Some(metrics) => write!(f, "{metrics}")?,
            None => writeln!(f, "error rates  none: the trial list has no labels")?,
        }
        self.conditions.iter().try_for_each(|break_down| write!(f, "\n{break_down}"))
    }
}

impl fmt::Display for BreakDown {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let of = match self.sides {
            Sides::Enrolment => " of the enrolment",
            Sides::Test => " of the test",
            Sides::Both => ", enrolment-test",
            Sides::Relation => ", enrolment and test",
            Sides::Gap => ", difference of enrolment and test",
        };
        writeln!(f, "by           {}{of} ({})", self.name, self.table.path)?;
        if self.without_value > 0 {
            writeln!(f, "left out     {} trials without a value", self.without_value)?;
        }
        let width = self.conditions.iter().map(|condition| condition.value.chars().count()).max();
        let width = width.unwrap_or(0).max(self.name.chars().count());
        write!(f, "{:<width$}  {:>8}  {:>10}  {:>8}", self.name, "target", "non-target", "EER %")?;
        // All conditions were asked for the same measures.
        let first = self.conditions.iter().find_map(|condition| condition.metrics.as_ref());
        if let Some(metrics) = first {
            if metrics.eer_interval.is_some() {
                write!(f, "  {:>16}", "interval")?;
            }
            for (name, costs) in [("minDCF", &metrics.min_dcf), ("actDCF", &metrics.act_dcf)] {
                for dcf in costs {
                    write!(f, "  {:>12}", format!("{name} {}", dcf.parameters.p_target()))?;
                }
            }
            for point in &metrics.miss_at_fa {
                write!(f, "  {:>12}", format!("FRR at {} %", 100.0 * point.allowed_p_fa))?;
            }
        }
        writeln!(f)?;
        for Condition { value, target, nontarget, metrics } in &self.conditions {
            write!(f, "{value:<width$}  {target:>8}  {nontarget:>10}")?;
            let Some(metrics) = metrics else {
                writeln!(f, "  too few trials: fewer than {} of a class", self.min_trials)?;
                continue;
            };
            write!(f, "  {:>8.3}", 100.0 * metrics.eer)?;
            if let Some(Interval { low, high }) = metrics.eer_interval {
                write!(f, "  {:>16}", format!("[{:.3}, {:.3}]", 100.0 * low, 100.0 * high))?;
            }
            for dcf in metrics.min_dcf.iter().chain(&metrics.act_dcf) {
                write!(f, "  {:>12.5}", dcf.cost)?;
            }
            for point in &metrics.miss_at_fa {
                write!(f, "  {:>12.3}", 100.0 * point.p_miss)?;
            }
            writeln!(f)?;
        }
        Ok(())
    }
}

impl fmt::Display for Metrics {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.definition == Definition::Compat {
            writeln!(f, "definition   compat (the FFSVC2022 baseline's; thresholds mean score > threshold)")?;
        }
        if let Some(bootstrap) = &self.bootstrap {
            writeln!(f, "intervals    {bootstrap}")?;
        }
        let interval = |scale: f64, digits: usize, interval: Option<Interval>| match interval {
            None => String::new(),
            Some(Interval { low, high }) => {
                format!("  [{:.digits$}, {:.digits$}]", scale * low, scale * high)
            }
        };
        let costs = |costs: &DcfParameters| {
            format!("P_target {}, C_miss {}, C_fa {}", costs.p_target(), costs.c_miss(), costs.c_fa())
        };
        let per_cent = |shown| interval(100.0, 3, shown);
        writeln!(f, "{:<12} {:>10}  {:>12}", "measure", "value", "threshold")?;
        let eer = 100.0 * self.eer;
        writeln!(
            f,
            "{:<12} {eer:>8.3} %  {:>12.6}{}",
            "EER",
            self.eer_threshold,
            per_cent(self.eer_interval)
        )?;
        if let Some(rocch) = self.rocch_eer {
            writeln!(f, "{:<12} {:>8.3} %", "ROCCH-EER", 100.0 * rocch)?;
        }
        let named = |name| move |dcf| (name, dcf);
        for (name, dcf) in
            self.min_dcf.iter().map(named("minDCF")).chain(self.act_dcf.iter().map(named("actDCF")))
        {
            writeln!(
                f,
                "{name:<12} {:>10.5}  {:>12.6}  {}: p_miss {:.3} %, p_fa {:.4} %{}",
                dcf.cost,
                dcf.threshold,
                costs(&dcf.parameters),
                100.0 * dcf.p_miss,
                100.0 * dcf.p_fa,
                interval(1.0, 5, dcf.interval),
            )?;
        }
        for point in &self.miss_at_fa {
            let (p_miss, allowed, p_fa) =
                (100.0 * point.p_miss, 100.0 * point.allowed_p_fa, 100.0 * point.p_fa);
            let (threshold, interval) = (point.threshold, per_cent(point.interval));
            writeln!(
                f,
                "{:<12} {p_miss:>8.3} %  {threshold:>12.6}  at FAR <= {allowed} % ({p_fa:.4} %){interval}",
                "FRR"
            )?;
        }
        if let Some(cllr) = &self.cllr {
            let shown = |shown| interval(1.0, 5, shown);
            writeln!(f, "{:<12} {:>10.5}{:>14}{}", "Cllr", cllr.actual, "", shown(cllr.actual_interval))?;
            writeln!(
                f,
                "{:<12} {:>10.5}{:>14}{}",
                "min Cllr",
                cllr.minimum,
                "",
                shown(cllr.minimum_interval)
            )?;
        }
        Ok(())
    }
}

impl fmt::Display for Bootstrap {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let BootstrapOptions { replicates, seed, level } = self.options;
        let (per_cent, speakers) = (100.0 * level, self.speakers);
        write!(f, "{per_cent} %, {replicates} resamplings of {speakers} speakers, seed {seed}")?;
        match self.undefined {
            0 => Ok(()),
            undefined => write!(f, ", {undefined} of them without a class and left out"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::metrics::{Measures, evaluate};

    fn report(definition: Definition, target: &[f64], nontarget: &[f64]) -> Report {
        let metrics = evaluate(target, nontarget, definition, &Measures::new(&[DcfParameters::default()]));
        Report {
            program: "test".to_owned(),
            trials: SourceFile { path: "trials".to_owned(), sha256: "ab".repeat(32) },
            scores: ScoreSource::Cosine(EmbeddingSource {
                embeddings: "e.scp".to_owned(),
                enrol_embeddings: None,
                mean_subtracted: Some("m.scp".to_owned()),
                preparation: Preparation::default(),
            }),
            normalisation: Some(Normalisation {
                norm: ScoreNorm::AsNorm,
                cohort: "c.scp".to_owned(),
                cohort_utt2spk: Some(SourceFile { path: "u".to_owned(), sha256: "cd".repeat(32) }),
                size: 400,
                top: 300,
            }),
            skip_missing: false,
            counts: Counts { trials: 4, target: Some(2), nontarget: Some(2), ..Counts::default() },
            metrics: metrics.ok(),
            utt2spk: None,
            conditions: Vec::new(),
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
        assert!(table.contains("normalised   AS-norm, top 300 of 400 speakers of c.scp\n"), "{table}");
    }
}
