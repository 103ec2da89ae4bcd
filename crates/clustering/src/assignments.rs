//! Which cluster each utterance is in, and how near the others are: the file between clustering and labels.

use std::path::Path;

use ffsvc_kaldi_io::Table;
use pulp::Arch;
use rayon::prelude::*;

use crate::lanes::dot;
use crate::points::Points;
use crate::product::Columns;
use crate::{Centres, Error, Result};

/// Points that are compared with all centres at once.
const BLOCK: usize = 256;

/// A cluster and the cosine of the utterance with its centre.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Near {
    /// Number of the cluster.
    pub cluster: u32,
    /// Cosine with the cluster's centre.
    pub cosine: f32,
}

/// For each utterance its own cluster, then the nearest others: hard labels, margins and soft labels in one.
///
/// As a file, a line is `utterance cluster:cosine cluster:cosine ...`.
#[derive(Debug, Clone, PartialEq)]
pub struct Assignments {
    /// The utterances, each once.
    pub utterances: Vec<String>,
    /// The own cluster first, then others by falling cosine.
    pub near: Vec<Vec<Near>>,
}

impl Assignments {
    /// Finds for each point the cosine with its own centre and the `others` centres of the highest cosine besides.
    /// Centres of zero (empty clusters) are never near.
    ///
    /// # Errors
    /// There are not as many names or labels as points, or a label without a centre.
    pub fn new(
        utterances: Vec<String>,
        points: &Points,
        centres: &Centres,
        labels: &[u32],
        others: usize,
    ) -> Result<Self> {
        for (what, found) in [("utterances", utterances.len()), ("labels", labels.len())] {
            if found != points.len() {
                return Err(Error::Mismatch { what, found, expected: points.len() });
            }
        }
        if let Some(&label) = labels.iter().find(|&&label| label as usize >= centres.len()) {
            let what = "the number of a cluster, at most";
            return Err(Error::Mismatch { what, found: label as usize, expected: centres.len() - 1 });
        }
        // There are no more others than centres.
        let others = others.min(centres.len());
        let dim = points.dim();
        let arch = Arch::new();
        let lengths: Vec<f32> =
            centres.data().chunks_exact(dim).map(|row| dot(arch, row, row).sqrt()).collect();
        let columns = Columns::in_order(centres.data(), dim);
        let width = columns.half_norms().len();
        let near = points
            .data()
            .par_chunks(BLOCK * dim)
            .zip(labels.par_chunks(BLOCK))
            .enumerate()
            .map_init(Vec::new, |products, (block, (rows, labels))| {
                products.resize(labels.len() * width, 0.0);
                columns.dot(rows, 0, width, products);
                let norms = &points.square_norms()[block * BLOCK..];
                let each = products.chunks_exact(width).zip(labels).zip(norms);
                each.map(|((products, &own), &square_norm)| {
                    let cosine = |cluster: usize| {
                        let known = lengths[cluster] > 0.0;
                        known.then(|| products[cluster] / (square_norm.sqrt() * lengths[cluster]))
                    };
                    nearest(own, others, lengths.len(), cosine)
                })
                .collect::<Vec<_>>()
            })
            .flatten_iter()
            .collect();
        Ok(Self { utterances, near })
    }

    /// What every reader relies on: a list of clusters for each utterance, none of them empty or with a cosine that is no
    /// number.
    ///
    /// # Errors
    /// It is not so; the error names the utterance.
    pub(crate) fn check(&self) -> Result<()> {
        if self.near.len() != self.utterances.len() {
            let (found, expected) = (self.near.len(), self.utterances.len());
            return Err(Error::Mismatch { what: "lists of near clusters", found, expected });
        }
        for (utterance, near) in self.utterances.iter().zip(&self.near) {
            let wrong =
                |found: String, expected| Error::Assignment { utterance: utterance.clone(), found, expected };
            if near.is_empty() {
                return Err(wrong("no cluster".to_owned(), "its own cluster at least"));
            }
            if let Some(near) = near.iter().find(|near| !near.cosine.is_finite()) {
                return Err(wrong(format!("{}:{}", near.cluster, near.cosine), "a finite cosine"));
            }
            let twice = near
                .iter()
                .enumerate()
                .find(|(at, one)| near[..*at].iter().any(|other| other.cluster == one.cluster));
            if let Some((_, Near { cluster, .. })) = twice {
                return Err(wrong(format!("cluster {cluster} twice"), "each cluster once"));
            }
        }
        Ok(())
    }

    /// The lines in the order of the utterances' names.
    #[must_use]
    pub fn sorted(self) -> Self {
        let mut lines: Vec<_> = self.utterances.into_iter().zip(self.near).collect();
        lines.sort_unstable_by(|one, other| one.0.cmp(&other.0));
        let (utterances, near) = lines.into_iter().unzip();
        Self { utterances, near }
    }

    /// Reads a file that [`write`](Self::write) has written.
    ///
    /// # Errors
    /// The file cannot be read, has no line, an utterance twice, something that is no `cluster:cosine`, a cosine that is
    /// not finite, or a cluster twice in a line.
    pub fn read(path: impl AsRef<Path>) -> Result<Self> {
        let table = Table::read(path)?;
        let mut read = Self { utterances: Vec::new(), near: Vec::new() };
        for (position, (utterance, value)) in table.iter().enumerate() {
            let near = value.split_ascii_whitespace().map(|pair| {
                let (cluster, cosine) = pair.split_once(':')?;
                Some(Near { cluster: cluster.parse().ok()?, cosine: cosine.parse().ok()? })
            });
            let near: Option<Vec<Near>> = near.collect();
            let near = near.filter(|near| !near.is_empty()).ok_or_else(|| {
                ffsvc_kaldi_io::Error::parse(
                    table.path(),
                    format!("{value:?}"),
                    "cluster:cosine, at least once",
                )
                .at_line(table.line(position))
            })?;
            read.utterances.push(utterance.to_owned());
            read.near.push(near);
        }
        if read.near.is_empty() {
            return Err(ffsvc_kaldi_io::Error::invalid(table.path(), "has no line").into());
        }
        match read.check() {
            Err(Error::Assignment { utterance, found, expected }) => {
                let line = table.position(&utterance).map_or(0, |position| table.line(position));
                Err(ffsvc_kaldi_io::Error::parse(table.path(), found, expected).at_line(line).into())
            }
            other => other.map(|()| read),
        }
    }

    /// Writes the file, completely or not at all.
    ///
    /// # Errors
    /// The file cannot be written; an utterance has no cluster, or a cosine that is not finite.
    pub fn write(&self, path: impl AsRef<Path>) -> Result<()> {
        self.check()?;
        let lines = self.near.iter().map(|near| {
            let pairs = near.iter().map(|Near { cluster, cosine }| format!("{cluster}:{cosine}"));
            pairs.collect::<Vec<_>>().join(" ")
        });
        Ok(ffsvc_kaldi_io::write_table(path, self.utterances.iter().zip(lines))?)
    }
}

/// The own cluster and the `others` of the highest cosine. A centre of zero has no cosine (`None`): it is near nothing but
/// its own points, with a cosine of 0.
fn nearest(own: u32, others: usize, clusters: usize, cosine: impl Fn(usize) -> Option<f32>) -> Vec<Near> {
    let mut near = Vec::with_capacity(others + 1);
    near.push(Near { cluster: own, cosine: cosine(own as usize).unwrap_or(0.0) });
    if others == 0 {
        return near;
    }
    for cluster in (0..clusters).filter(|&cluster| cluster != own as usize) {
        let Some(cosine) = cosine(cluster) else { continue };
        let full = near.len() > others;
        if full && near[others].cosine >= cosine {
            continue;
        }
        let place = 1 + near[1..].partition_point(|other| other.cosine >= cosine);
        if full {
            near.pop();
        }
        near.insert(place, Near { cluster: cluster as u32, cosine });
    }
    near
}
