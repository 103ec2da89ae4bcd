//! Trial lists of any length: trials come in blocks, scores go out, and no more than the scores of labelled trials stay.

use std::collections::HashSet;
use std::io::Read;

use ffsvc_embeddings::{Embeddings, RowFinder};
use ffsvc_kaldi_io::{TrialBlock, TrialLayout, TrialReader};
use rayon::prelude::*;

use crate::error::NameList;
use crate::report::{Counts, SourceFile};
use crate::score_file::ScoreWriter;
use crate::scorer::Scorer;
use crate::{Error, Result};

/// Blocks (of a megabyte) that each thread has in hand.
const BLOCKS_A_THREAD: usize = 2;

/// What is left of a list that was scored as a stream.
#[derive(Debug)]
pub struct StreamedScores {
    /// Scores of the target trials, in the order of the list. Empty for a list without labels.
    pub target: Vec<f32>,
    /// Scores of the non-target trials, in the order of the list. Empty for a list without labels.
    pub nontarget: Vec<f32>,
    /// How many trials there were of each kind.
    pub counts: Counts,
    /// The list, identified by its content.
    pub trials: SourceFile,
}

impl Scorer<'_> {
    /// Scores a trial list while it is read: the scores are those of [`score_trials`](Self::score_trials), the memory does
    /// not grow with the list but for four bytes a labelled trial. Scores are written to `outputs` block by block; the
    /// caller [commits](ScoreWriter::commit) them.
    ///
    /// # Errors
    /// As [`score_trials`](Self::score_trials); a line cannot be read, or a score not written; a trial is without a score, and
    /// an output has no names.
    pub fn score_stream<R: Read + Send>(
        &mut self,
        mut reader: TrialReader<R>,
        skip_missing: bool,
        outputs: &mut [ScoreWriter],
    ) -> Result<StreamedScores> {
        let layout = reader.layout().clone();
        let (enrolment, test) = self.stores();
        let names = NameFinder::new(enrolment, test);
        let mut result = Tally::default();
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
            let (scored, read) = rayon::join(
                || self.score_blocks(&blocks, &layout, &names, skip_missing, outputs, &mut result),
                &mut next,
            );
            scored?;
            blocks = read?;
        }
        let Tally { target, nontarget, mut counts, missing, .. } = result;
        if counts.skipped > 0 && !skip_missing {
            let (trials, of) = (counts.skipped, counts.trials);
            return Err(Error::MissingEmbeddings { trials, of, utterances: missing });
        }
        if counts.skipped > 0 && outputs.iter().any(|output| !output.has_names()) {
            return Err(Error::SkippedTrials { skipped: counts.skipped, of: counts.trials });
        }
        counts.matched_by_suffix = names.matched_by_suffix();
        if layout.has_labels() {
            (counts.target, counts.nontarget) = (Some(target.len()), Some(nontarget.len()));
        }
        let trials = SourceFile::of_sha256(reader.path(), reader.sha256());
        Ok(StreamedScores { target, nontarget, counts, trials })
    }

    fn score_blocks(
        &mut self,
        blocks: &[TrialBlock],
        layout: &TrialLayout,
        names: &NameFinder<'_>,
        skip_missing: bool,
        outputs: &mut [ScoreWriter],
        tally: &mut Tally,
    ) -> Result<()> {
        let found: Vec<Result<Found>> = blocks.par_iter().map(|block| names.find(block, layout)).collect();
        let mut found = found.into_iter().collect::<Result<Vec<_>>>()?;
        for block in &mut found {
            tally.counts.trials += block.trials;
            tally.counts.skipped += block.skipped.len();
            for name in block.missing.drain(..) {
                if tally.seen_missing.insert(name.clone()) {
                    tally.missing.push(|| name);
                }
            }
        }
        if tally.counts.skipped > 0 && !skip_missing {
            // The rest of the list is read only to say how many trials are concerned.
            return Ok(());
        }
        for block in &mut found {
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
            for (&score, &is_target) in scores.iter().zip(&found.labels) {
                if is_target { tally.target.push(score) } else { tally.nontarget.push(score) }
            }
        }
        Ok(())
    }
}

#[derive(Default)]
struct Tally {
    target: Vec<f32>,
    nontarget: Vec<f32>,
    counts: Counts,
    missing: NameList,
    seen_missing: HashSet<String>,
}

/// The trials of a block whose embeddings were found, and the others.
struct Found {
    trials: usize,
    /// Rows of the two stores, for each trial that can be scored.
    pairs: Vec<(u32, u32)>,
    /// For each of these, in a list with labels.
    labels: Vec<bool>,
    /// Places within the block of those that cannot.
    skipped: Vec<usize>,
    /// Names without embedding, each once.
    missing: Vec<String>,
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

/// Finds the rows of names in the stores of both sides, and keeps account of names that match by a suffix only.
struct NameFinder<'a> {
    test: RowFinder<'a>,
    /// `None` if it is the same.
    enrolment: Option<RowFinder<'a>>,
}

impl<'a> NameFinder<'a> {
    fn new(enrolment: Option<&'a Embeddings>, test: &'a Embeddings) -> Self {
        Self { test: RowFinder::new(test), enrolment: enrolment.map(RowFinder::new) }
    }

    fn find(&self, block: &TrialBlock, layout: &TrialLayout) -> Result<Found> {
        let enrolment = self.enrolment.as_ref().unwrap_or(&self.test);
        let mut seen = HashSet::new();
        let (mut pairs, mut labels, mut skipped, mut missing) =
            (Vec::new(), Vec::new(), Vec::new(), Vec::new());
        let mut trials = 0;
        block.for_each(layout, |trial| {
            let rows = (enrolment.find(trial.enrolment), self.test.find(trial.test));
            if let (Some(a), Some(b)) = rows {
                pairs.push((a, b));
                labels.extend(trial.is_target);
            } else {
                skipped.push(trials);
                for (name, row) in [(trial.enrolment, rows.0), (trial.test, rows.1)] {
                    if row.is_none() && seen.insert(name) {
                        missing.push(name.to_owned());
                    }
                }
            }
            trials += 1;
        })?;
        Ok(Found { trials, pairs, labels, skipped, missing })
    }

    fn matched_by_suffix(&self) -> usize {
        let of_enrolment = self.enrolment.as_ref().map_or(0, RowFinder::by_suffix);
        self.test.by_suffix().max(of_enrolment)
    }
}
