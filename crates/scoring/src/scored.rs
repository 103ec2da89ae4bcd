//! A scored list: what is left of it, and the report about it.

use std::path::Path;

use ffsvc_embeddings::Provenance;
use ffsvc_kaldi_io::Trials;

use crate::conditions::By;
use crate::metrics::{Metrics, evaluate};
use crate::remark::{Remark, list_remarks};
use crate::report::{Alternative, BreakDown, Counts, Normalisation, Report, ScoreSource, SourceFile};
use crate::score_file::{self, ScoreWriter};
use crate::{Error, Evaluation, EvaluationOptions, Result, StreamedScores, TrialScores, conditions};

/// A trial list with its scores, from [`Pipeline::score`](crate::Pipeline::score) or from a score file.
#[derive(Debug)]
pub struct Scored {
    trials: SourceFile,
    source: ScoreSource,
    model: Option<Provenance>,
    normalisation: Option<Normalisation>,
    counts: Counts,
    remarks: Vec<Remark>,
    skip_missing: bool,
    scores: Scores,
}

/// What was scored and how, for the report.
pub(crate) struct Origin {
    pub(crate) source: ScoreSource,
    pub(crate) model: Option<Provenance>,
    pub(crate) normalisation: Option<Normalisation>,
    pub(crate) skip_missing: bool,
}

#[derive(Debug)]
enum Scores {
    /// Of a list that was not kept: those of each class.
    Classes {
        target: Vec<f32>,
        nontarget: Vec<f32>,
    },
    List(Trials, TrialScores),
}

impl Scored {
    pub(crate) fn streamed(found: StreamedScores, origin: Origin, mut remarks: Vec<Remark>) -> Self {
        let StreamedScores { target, nontarget, kept, counts, trials, remarks: of_list } = found;
        remarks.extend(of_list);
        let scores = match kept {
            None => Scores::Classes { target, nontarget },
            Some((trials, scores)) => Scores::List(trials, scores),
        };
        let Origin { source, model, normalisation, skip_missing } = origin;
        Self { trials, source, model, normalisation, counts, remarks, skip_missing, scores }
    }

    /// The scores that a file holds for a list, which was read from `list`.
    ///
    /// # Errors
    /// As [`score_file::read`].
    pub fn from_file(
        path: impl AsRef<Path>,
        trials: Trials,
        list: impl AsRef<Path>,
        skip_missing: bool,
    ) -> Result<Self> {
        let found = score_file::read(path, &trials, skip_missing)?;
        let counts = Counts {
            matched_by_suffix: found.matched_by_suffix,
            surplus_scores: found.surplus,
            ..Counts::of(&found.scores, trials.labels.as_deref())
        };
        Ok(Self {
            remarks: list_remarks(&trials, &list),
            trials: SourceFile::of_trials(list, &trials)?,
            source: ScoreSource::File(found.file),
            model: found.model,
            normalisation: None,
            counts,
            skip_missing,
            scores: Scores::List(trials, found.scores),
        })
    }

    /// Writes the scores of a list that was kept.
    ///
    /// # Errors
    /// The output cannot be written; a trial is without a score, and the output has no names.
    pub fn write(&self, output: &mut ScoreWriter) -> Result<()> {
        match &self.scores {
            Scores::List(trials, scores) => output.write_list(trials, scores),
            Scores::Classes { .. } => Ok(()),
        }
    }

    /// The trials and their scores, of a list that was kept.
    pub fn kept(&self) -> Option<(&Trials, &TrialScores)> {
        match &self.scores {
            Scores::List(trials, scores) => Some((trials, scores)),
            Scores::Classes { .. } => None,
        }
    }

    /// The model that the embeddings came from, where that is known.
    pub fn model(&self) -> Option<&Provenance> {
        self.model.as_ref()
    }

    /// How many trials there were of each kind.
    pub fn counts(&self) -> &Counts {
        &self.counts
    }

    /// What was remarkable about the list and the stores.
    pub fn remarks(&self) -> &[Remark] {
        &self.remarks
    }

    /// The error rates, as a whole and by condition, with what they were made from. `program` is the name and version of the
    /// program that reports.
    ///
    /// # Errors
    /// A class has no trials; a table lacks a value or a speaker; break-downs or intervals are asked for, and the trials
    /// were not kept.
    pub fn report(self, program: &str, options: &EvaluationOptions) -> Result<Report> {
        let metrics = self.metrics(options)?;
        let conditions = self.conditions(options)?;
        Ok(Report {
            schema: Report::SCHEMA,
            program: program.to_owned(),
            trials: self.trials,
            skip_missing: self.skip_missing,
            counts: self.counts,
            scores: self.source,
            model: self.model,
            normalisation: self.normalisation,
            metrics,
            utt2spk: options.utt2spk.as_ref().map(|(_, file)| file.clone()),
            conditions,
            remarks: self.remarks,
        })
    }

    fn metrics(&self, options: &EvaluationOptions) -> Result<Option<Metrics>> {
        match &self.scores {
            _ if self.counts.target.is_none() => Ok(None),
            Scores::Classes { .. } if options.needs_trials() => Err(Error::TrialsNotKept),
            Scores::Classes { target, nontarget } => {
                evaluate(target, nontarget, options.definition, &options.measures).map(Some)
            }
            Scores::List(trials, scores) => match &trials.labels {
                None => Ok(None),
                Some(labels) => Evaluation::by_options(options, trials, scores, labels)?.all().map(Some),
            },
        }
    }

    fn conditions(&self, options: &EvaluationOptions) -> Result<Vec<BreakDown>> {
        let Scores::List(trials, scores) = &self.scores else { return Ok(Vec::new()) };
        let Some(labels) = &trials.labels else { return Ok(Vec::new()) };
        let evaluation = Evaluation::by_options(options, trials, scores, labels)?;
        let utt2spk = options.utt2spk.as_ref().map(|(table, _)| table);
        let break_down = |(by, table, file): &(conditions::By, _, SourceFile)| {
            let groups = conditions::group(trials, by, table, utt2spk, self.skip_missing)?;
            let mut found = BreakDown {
                name: by.name.clone(),
                sides: by.sides,
                edges: by.edges.clone(),
                table: file.clone(),
                without_value: groups.without_value,
                min_trials: options.min_trials,
                conditions: evaluation.by_condition(&groups, options.min_trials)?,
                alternatives: Vec::new(),
            };
            if found.is_mostly_too_small() {
                found.alternatives = by
                    .sides
                    .others()
                    .filter_map(|sides| {
                        let by = By { sides, ..by.clone() };
                        let groups = conditions::group(trials, &by, table, utt2spk, true).ok()?;
                        let measurable = evaluation.measurable(&groups, options.min_trials);
                        Some(Alternative { sides, conditions: groups.groups.len(), measurable })
                    })
                    .collect();
                found.keep_better_alternatives();
            }
            Ok(found)
        };
        options.by.iter().map(break_down).collect()
    }
}
