//! Reports as text.

use std::fmt;

use super::{BreakDown, Condition, DomainSource, EmbeddingSource, Report, ScoreSource};
use crate::conditions::Sides;
use crate::metrics::{Bootstrap, BootstrapOptions, DcfParameters, Definition, Interval, Metrics};

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
        } else if !preparation.domains.is_empty() {
            write!(f, ", minus the mean of the domain that the embedding tells")?;
        }
        if let Some(backend) = &preparation.backend {
            write!(f, ", back end {}", backend.path)?;
        }
        if let Some(enrolment) = &preparation.enrolment {
            write!(f, ", models {}", enrolment.path)?;
            if let Some(average) = preparation.enrol_average {
                write!(f, " (average of {average})")?;
            }
        }
        Ok(())
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "trials       {}", self.trials)?;
        match &self.scores {
            ScoreSource::Cosine(source) => writeln!(f, "scores       cosine of {source}")?,
            ScoreSource::Plda(source) => writeln!(f, "scores       PLDA of {source}")?,
            ScoreSource::File(file) => writeln!(f, "scores       {file}")?,
        }
        if let Some(model) = &self.model {
            writeln!(f, "model        {}", model.model_in_words())?;
        }
        if let ScoreSource::Cosine(source) | ScoreSource::Plda(source) = &self.scores {
            for DomainSource { name, examples, enrolment, test } in &source.preparation.domains {
                writeln!(
                    f,
                    "domain       {name} ({examples}): {enrolment} of the enrolment side, {test} of the test side"
                )?;
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
        let comma = if matches!(self.sides, Sides::Enrolment | Sides::Test) { "" } else { "," };
        let of = self.sides.in_words();
        writeln!(f, "by           {}{comma} {of} ({})", self.name, self.table.path)?;
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
