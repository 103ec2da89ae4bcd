//! Score normalisation: a score in relation to those of the same utterances with a cohort of other speakers.

mod product;
mod top;

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::fmt;
use std::str::FromStr;

use ffsvc_kaldi_io::{NameList, Table};
use rayon::prelude::*;
use serde::{Deserialize, Serialize};

use self::product::{Panels, ROWS, Scratch};
use self::top::Top;
use crate::cosine::{Side, unit};
use crate::{Error, Result};

/// Cohort scores that AS-norm takes into account unless told otherwise.
pub const DEFAULT_TOP: usize = 300;

/// How a score `s` is normalised. `(m_e, d_e)` and `(m_t, d_t)` are mean and standard deviation of the cosines of the
/// enrolment and of the test embedding with the cohort: with all of it, or with the nearest (see [`Cohort::new`]).
///
/// | kind | normalised score | source |
/// | --- | --- | --- |
/// | Z-norm | `(s - m_e) / d_e` | Li and Porter, ICASSP 1988 |
/// | T-norm | `(s - m_t) / d_t` | Auckenthaler et al., Digital Signal Processing 10, 2000 |
/// | S-norm | the mean of both | Kenny, Odyssey 2010 |
/// | AS-norm | S-norm with the nearest of the cohort, for each side its own | Matejka et al., Interspeech 2017 (AS-norm1); WeSpeaker's `score_norm.py` |
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "clap", derive(clap::ValueEnum))]
#[serde(rename_all = "kebab-case")]
pub enum ScoreNorm {
    /// By the enrolment side's cohort scores
    ZNorm,
    /// By the test side's cohort scores
    TNorm,
    /// By both, with the whole cohort
    SNorm,
    /// By both, with the nearest of the cohort
    AsNorm,
}

impl ScoreNorm {
    /// The normalised score.
    pub fn apply(self, score: f64, enrolment: CohortStatistics, test: CohortStatistics) -> f64 {
        match self {
            Self::ZNorm => enrolment.normalise(score),
            Self::TNorm => test.normalise(score),
            Self::SNorm | Self::AsNorm => 0.5 * (enrolment.normalise(score) + test.normalise(score)),
        }
    }
}

impl FromStr for ScoreNorm {
    type Err = String;

    fn from_str(text: &str) -> std::result::Result<Self, String> {
        match text {
            "z-norm" => Ok(Self::ZNorm),
            "t-norm" => Ok(Self::TNorm),
            "s-norm" => Ok(Self::SNorm),
            "as-norm" => Ok(Self::AsNorm),
            _ => Err(format!("found {text:?}, expected z-norm, t-norm, s-norm or as-norm")),
        }
    }
}

impl fmt::Display for ScoreNorm {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::ZNorm => "Z-norm",
            Self::TNorm => "T-norm",
            Self::SNorm => "S-norm",
            Self::AsNorm => "AS-norm",
        })
    }
}

/// Mean and standard deviation of an utterance's scores with a cohort.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct CohortStatistics {
    /// The mean.
    pub mean: f64,
    /// The square root of the mean squared distance from the mean (the population's: divided by the number of scores).
    pub std: f64,
}

impl CohortStatistics {
    fn of(scores: &[f32]) -> Self {
        let count = scores.len() as f64;
        let mean = scores.iter().map(|&score| f64::from(score)).sum::<f64>() / count;
        let variance = scores.iter().map(|&score| (f64::from(score) - mean).powi(2)).sum::<f64>() / count;
        Self { mean, std: variance.sqrt() }
    }

    fn normalise(self, score: f64) -> f64 {
        (score - self.mean) / self.std
    }
}

/// Embeddings of other speakers than those of the trials, and how many of them an utterance is compared with.
#[derive(Debug, Clone)]
pub struct Cohort {
    norm: ScoreNorm,
    panels: Panels,
    dim: usize,
    top: usize,
}

impl Cohort {
    /// Takes the embeddings of a store, less a mean, at length 1. With `utt2spk`, the embeddings of each speaker are averaged
    /// before (as they are in the store, neither centred nor of length 1), so the cohort consists of speakers.
    ///
    /// `top` is the number of the cohort's scores that count, the highest; by default all of them, and for AS-norm
    /// [`DEFAULT_TOP`] or, of a smaller cohort, all.
    ///
    /// # Errors
    /// The mean has another length than the embeddings; an utterance has no speaker; fewer than two members, or fewer
    /// than `top`; `top` below two.
    pub fn new(norm: ScoreNorm, side: Side<'_>, utt2spk: Option<&Table>, top: Option<usize>) -> Result<Self> {
        side.check()?;
        let dim = side.embeddings.dim();
        let averages = utt2spk.map(|utt2spk| speaker_averages(side, utt2spk)).transpose()?;
        let members = averages.as_deref().unwrap_or_else(|| side.embeddings.data());
        let mut rows = vec![0.0; members.len()];
        let dim_or_one = dim.max(1);
        rows.par_chunks_exact_mut(dim_or_one)
            .zip(members.par_chunks_exact(dim_or_one))
            .for_each(|(row, member)| unit(member, side.mean, row));
        let panels = Panels::new(&rows, dim);
        let size = panels.columns();
        let default = if norm == ScoreNorm::AsNorm { DEFAULT_TOP.min(size) } else { size };
        let top = top.unwrap_or(default);
        if size < 2 || !(2..=size).contains(&top) {
            return Err(Error::Cohort { size, top });
        }
        Ok(Self { norm, panels, dim, top })
    }

    /// How scores are normalised.
    pub fn norm(&self) -> ScoreNorm {
        self.norm
    }

    /// Its members: embeddings, or speakers if they were averaged.
    pub fn size(&self) -> usize {
        self.panels.columns()
    }

    /// How many of its scores count for an utterance.
    pub fn top(&self) -> usize {
        self.top
    }

    /// Numbers in an embedding.
    pub fn dim(&self) -> usize {
        self.dim
    }

    /// The statistics of embeddings of length 1, `[utterances, dim]`, one after the other. They are computed on all
    /// threads, in a megabyte or two for each, and do not depend on which embeddings are passed together.
    pub fn statistics(&self, rows: &[f32]) -> Vec<CohortStatistics> {
        let of_block = |(scratch, tops): &mut (Scratch, Vec<Top>), rows: &[f32]| {
            let count = rows.len() / self.dim;
            tops.resize_with(ROWS, || Top::new(self.top));
            tops.iter_mut().for_each(Top::clear);
            self.panels.multiply(rows, scratch, |row, scores| tops[row].offer(scores));
            tops[..count].iter_mut().map(|top| CohortStatistics::of(top.highest())).collect::<Vec<_>>()
        };
        let blocks: Vec<_> = rows.par_chunks(ROWS * self.dim).map_init(Default::default, of_block).collect();
        blocks.into_iter().flatten().collect()
    }
}

/// The mean embedding of each speaker of a store, `[speakers, dim]`, in the order of their first utterances.
fn speaker_averages(side: Side<'_>, utt2spk: &Table) -> Result<Vec<f32>> {
    let dim = side.embeddings.dim();
    let mut places: HashMap<&str, usize> = HashMap::new();
    let (mut sums, mut counts) = (Vec::<f64>::new(), Vec::<usize>::new());
    let mut missing = NameList::default();
    for (utterance, embedding) in side.embeddings.iter() {
        let Some(speaker) = utt2spk.get(utterance) else {
            missing.push(|| utterance.to_owned());
            continue;
        };
        let next = places.len();
        let place = match places.entry(speaker) {
            Entry::Occupied(entry) => *entry.get(),
            Entry::Vacant(entry) => {
                sums.resize(sums.len() + dim, 0.0);
                counts.push(0);
                *entry.insert(next)
            }
        };
        counts[place] += 1;
        for (sum, &value) in sums[place * dim..].iter_mut().zip(embedding) {
            *sum += f64::from(value);
        }
    }
    if missing.total() > 0 {
        return Err(Error::CohortSpeakers {
            utt2spk: utt2spk.path().display().to_string(),
            of: side.embeddings.len(),
            utterances: missing,
        });
    }
    let average = |(sums, &count): (&[f64], &usize)| -> Vec<f32> {
        sums.iter().map(|sum| (sum / count as f64) as f32).collect()
    };
    Ok(sums.chunks_exact(dim.max(1)).zip(&counts).flat_map(average).collect())
}
