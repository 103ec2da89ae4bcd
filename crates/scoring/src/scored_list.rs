//! Trial lists of any length: trials come in blocks, scores go out, and no more stays than is asked for.

use std::io::Read;

use ffsvc_kaldi_io::{NameList, TrialBlock, TrialLayout, TrialReader, Trials};
use rayon::prelude::*;

use crate::names::{Found, NameFinder, Pair};
use crate::pairs::PairCheck;
use crate::remark::{Remark, of_list};
use crate::report::{Counts, SourceFile};
use crate::score_file::ScoreWriter;
use crate::scorer::{Missing, Scorer};
use crate::{Error, Result, TrialScores};

/// Blocks (of a megabyte) that each thread has in hand.
const BLOCKS_A_THREAD: usize = 2;

/// How a list is scored as a stream.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct StreamOptions {
    /// Leave out trials of utterances without embedding instead of failing.
    pub skip_missing: bool,
    /// Keep the trials and their scores, in 16 bytes each, for break-downs and intervals.
    pub keep_trials: bool,
}

impl StreamOptions {
    /// Fails where an embedding is missing and keeps no trials.
    pub fn new() -> Self {
        Self::default()
    }

    /// Leaves out trials of utterances without embedding.
    #[must_use]
    pub fn skipping_missing(self, skip_missing: bool) -> Self {
        Self { skip_missing, ..self }
    }

    /// Keeps the trials.
    #[must_use]
    pub fn keeping_trials(self, keep_trials: bool) -> Self {
        Self { keep_trials, ..self }
    }
}

/// What is left of a list that was scored as a stream.
#[derive(Debug)]
pub struct StreamedScores {
    /// Scores of the target trials, in the order of the list. Empty for a list without labels.
    pub target: Vec<f32>,
    /// Scores of the non-target trials, in the order of the list. Empty for a list without labels.
    pub nontarget: Vec<f32>,
    /// The scored trials, if they were to be kept, under the names that the stores have for them.
    pub kept: Option<(Trials, TrialScores)>,
    /// How many trials there were of each kind.
    pub counts: Counts,
    /// The list, identified by its content.
    pub trials: SourceFile,
    /// What was remarkable about the list.
    pub remarks: Vec<Remark>,
}

impl Scorer<'_> {
    /// Scores a trial list while it is read. The scores are those of [`score_trials`](Self::score_trials). The memory does not
    /// grow with the list, but for 12 bytes a labelled trial. Scores are written to `outputs` block by block; the caller
    /// [commits](ScoreWriter::commit) them.
    ///
    /// # Errors
    /// - As [`score_trials`](Self::score_trials).
    /// - A line cannot be read, or a score not written.
    /// - A trial is without a score, and an output has no names.
    /// - No trial is left.
    /// - A pair is listed as target and as non-target.
    pub fn score_stream<R: Read + Send>(
        &mut self,
        mut reader: TrialReader<R>,
        options: StreamOptions,
        outputs: &mut [ScoreWriter],
    ) -> Result<StreamedScores> {
        let layout = reader.layout().clone();
        let names = self.name_finder();
        let mut tally = Tally::new(options, layout.has_labels(), self.has_one_store());
        let count = BLOCKS_A_THREAD * rayon::current_num_threads();
        let mut next = || -> Result<Vec<TrialBlock>> {
            let mut blocks = Vec::with_capacity(count);
            while blocks.len() < count
                && let Some(block) = reader.next_block()?
            {
                blocks.push(block);
            }
            Ok(blocks)
        };
        let mut blocks = next()?;
        while !blocks.is_empty() {
            // One thread reads on while the others score.
            let (scored, read) =
                rayon::join(|| self.score_blocks(&blocks, &layout, &names, outputs, &mut tally), &mut next);
            scored?;
            blocks = read?;
        }
        let trials = SourceFile { path: reader.path().display().to_string(), sha256: reader.sha256() };
        tally.counts.matched_by_suffix = names.by_suffix();
        tally.finish(self, trials, outputs)
    }

    fn score_blocks(
        &mut self,
        blocks: &[TrialBlock],
        layout: &TrialLayout,
        names: &NameFinder<'_>,
        outputs: &mut [ScoreWriter],
        tally: &mut Tally,
    ) -> Result<()> {
        let found: Vec<Result<Found>> = blocks.par_iter().map(|block| names.find(block, layout)).collect();
        let mut found = found.into_iter().collect::<Result<Vec<_>>>()?;
        found.iter_mut().for_each(|block| tally.count(block, self.has_models()));
        if tally.counts.skipped > 0 && !tally.options.skip_missing {
            // The rest of the list is read only to say how many trials are concerned.
            return Ok(());
        }
        for block in &mut found {
            tally.pairs.extend(&block.pairs, &block.labels);
            self.mark(&mut block.pairs);
        }
        self.prepare_marked()?;
        let names_wanted: Vec<bool> = outputs.iter().map(ScoreWriter::has_names).collect();
        let scored: Vec<_> = blocks
            .par_iter()
            .zip(&found)
            .map(|(block, found)| {
                let scores = self.scores(&found.pairs);
                let text = |&named: &bool| lines(block, layout, &scores, &found.skipped, named);
                let texts: Result<Vec<_>> = names_wanted.iter().map(text).collect();
                texts.map(|texts| (scores, texts))
            })
            .collect();
        for (scored, found) in scored.into_iter().zip(&found) {
            let (scores, texts) = scored?;
            for (output, text) in outputs.iter_mut().zip(texts) {
                output.write(text.as_bytes())?;
            }
            tally.keep(&scores, found);
        }
        Ok(())
    }
}

/// What is kept of the blocks.
struct Tally {
    options: StreamOptions,
    has_labels: bool,
    target: Vec<f32>,
    nontarget: Vec<f32>,
    counts: Counts,
    missing: Missing,
    self_trials: NameList,
    pairs: PairCheck,
    kept_pairs: Vec<Pair>,
    kept_labels: Vec<bool>,
    kept_scores: Vec<f32>,
}

impl Tally {
    fn new(options: StreamOptions, has_labels: bool, one_store: bool) -> Self {
        Self {
            options,
            has_labels,
            target: Vec::new(),
            nontarget: Vec::new(),
            counts: Counts::default(),
            missing: Missing::default(),
            self_trials: NameList::default(),
            pairs: PairCheck::new(has_labels, one_store),
            kept_pairs: Vec::new(),
            kept_labels: Vec::new(),
            kept_scores: Vec::new(),
        }
    }

    fn count(&mut self, block: &mut Found, has_models: bool) {
        self.counts.trials += block.trials;
        self.counts.skipped += block.skipped.len();
        for (is_enrolment, name) in block.missing.drain(..) {
            self.missing.push(is_enrolment && has_models, name);
        }
        for utterance in block.self_trials.drain(..) {
            self.self_trials.push(|| utterance);
        }
    }

    /// The pairs of the block are marked.
    fn keep(&mut self, scores: &[f32], block: &Found) {
        for (&score, &is_target) in scores.iter().zip(&block.labels) {
            if is_target { self.target.push(score) } else { self.nontarget.push(score) }
        }
        if self.options.keep_trials {
            self.kept_pairs.extend(&block.pairs);
            self.kept_labels.extend(&block.labels);
            self.kept_scores.extend(scores);
        }
    }

    fn finish(
        self,
        scorer: &Scorer<'_>,
        list: SourceFile,
        outputs: &[ScoreWriter],
    ) -> Result<StreamedScores> {
        let Self { options, mut counts, target, nontarget, .. } = self;
        if counts.skipped > 0 && !options.skip_missing {
            return Err(scorer.refuse(self.missing, counts.skipped, counts.trials));
        }
        if counts.skipped > 0 && outputs.iter().any(|output| !output.has_names()) {
            return Err(Error::SkippedTrials { skipped: counts.skipped, of: counts.trials });
        }
        if counts.skipped == counts.trials {
            return Err(Error::NothingScored { list: list.path, trials: counts.trials });
        }
        if self.has_labels {
            (counts.target, counts.nontarget) = (Some(target.len()), Some(nontarget.len()));
        }
        let repeats = self.pairs.finish(|(enrolment, test)| scorer.names_of_rows(enrolment, test));
        if !repeats.contradictory.is_empty() {
            return Err(Error::ContradictoryLabels { list: list.path, pairs: repeats.contradictory });
        }
        let remarks = of_list(&list.path, &self.self_trials, &repeats.repeated, repeats.one_in);
        let kept = options.keep_trials.then(|| {
            kept(scorer, self.kept_pairs, self.has_labels.then_some(self.kept_labels), &self.kept_scores)
        });
        let kept = kept.transpose()?;
        Ok(StreamedScores { target, nontarget, kept, counts, trials: list, remarks })
    }
}

/// The scored trials as a list, under the names that the stores have for them.
fn kept(
    scorer: &Scorer<'_>,
    mut pairs: Vec<Pair>,
    labels: Option<Vec<bool>>,
    scores: &[f32],
) -> Result<(Trials, TrialScores)> {
    let (of_enrolment, of_test) = scorer.place_names();
    let names = match of_enrolment {
        None => of_test,
        Some(mut names) => {
            let offset = names.len() as u32;
            pairs.iter_mut().for_each(|(_, test)| *test += offset);
            names.extend(of_test);
            names
        }
    };
    let trials = Trials::new(names, pairs, labels);
    let scores = TrialScores::new(&trials, scores.iter().copied().map(f64::from).collect(), Vec::new())?;
    Ok((trials, scores))
}

/// Lines of the scored trials: `enrolment test score`, or scores alone.
fn lines(
    block: &TrialBlock,
    layout: &TrialLayout,
    scores: &[f32],
    skipped: &[usize],
    named: bool,
) -> Result<String> {
    use std::fmt::Write;
    let mut text = String::new();
    let (mut scores, mut skipped, mut place) = (scores.iter(), skipped.iter().peekable(), 0);
    block.for_each(layout, |trial| {
        if skipped.next_if_eq(&&place).is_none()
            && let Some(score) = scores.next()
        {
            // Writing to a string does not fail.
            let _ = match named {
                true => writeln!(text, "{} {} {score}", trial.enrolment, trial.test),
                false => writeln!(text, "{score}"),
            };
        }
        place += 1;
    })?;
    Ok(text)
}
