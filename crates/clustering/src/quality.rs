//! How well two partitions of the same things agree: clusters with speakers, or one round's clusters with another's.

use std::collections::BTreeMap;

use ffsvc_kaldi_io::Table;
use pathfinding::kuhn_munkres::kuhn_munkres;
use pathfinding::matrix::Matrix;
use serde::Serialize;

use crate::{Error, Result};

/// Measures of agreement. Where there is a definition with a choice, it is scikit-learn's default.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[non_exhaustive]
pub struct Quality {
    /// Number of things that both partitions have.
    pub utterances: usize,
    /// Number of clusters among them.
    pub clusters: usize,
    /// Number of classes (speakers) among them.
    pub classes: usize,
    /// Mutual information over the mean of both entropies; 1 if both partitions have one part only. It is the
    /// V-measure (`beta` 1), the harmonic mean of homogeneity and completeness, too.
    pub nmi: f64,
    /// Rand index, adjusted for chance: 0 for random labels, 1 for the same partition.
    pub ari: f64,
    /// Share of utterances that belong to the most frequent class of their cluster. More clusters raise it.
    pub purity: f64,
    /// Share of utterances that belong to the most frequent cluster of their class. Fewer clusters raise it.
    pub inverse_purity: f64,
    /// 1 if each cluster has members of one class only.
    pub homogeneity: f64,
    /// 1 if all members of a class are in one cluster.
    pub completeness: f64,
    /// Harmonic mean of homogeneity and completeness.
    pub v_measure: f64,
    /// Share of pairs in one cluster that are of one class.
    pub pair_precision: f64,
    /// Share of pairs of one class that are in one cluster.
    pub pair_recall: f64,
    /// Harmonic mean of the two.
    pub pair_f: f64,
    /// Share of utterances that are labelled rightly when each cluster is given at most one class and each class at
    /// most one cluster, in the best way.
    pub matched_accuracy: f64,
}

/// A cluster and the class that it stands for in the best matching.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Matched {
    /// Number of the cluster.
    pub cluster: u32,
    /// Number of the class.
    pub class: u32,
    /// Utterances that they have in common.
    pub common: usize,
    /// Utterances of the cluster.
    pub cluster_size: usize,
    /// Utterances of the class.
    pub class_size: usize,
}

/// How often each cluster meets each class.
#[derive(Debug, Clone)]
pub struct Contingency {
    total: usize,
    /// Keyed by cluster and class; no zeros.
    cells: BTreeMap<(u32, u32), usize>,
    clusters: BTreeMap<u32, usize>,
    classes: BTreeMap<u32, usize>,
}

impl Contingency {
    /// Counts the pairs of labels.
    ///
    /// # Errors
    /// There is no label, or not as many of one kind as of the other.
    pub fn new(clusters: &[u32], classes: &[u32]) -> Result<Self> {
        if clusters.len() != classes.len() || clusters.is_empty() {
            let (found, expected) = (clusters.len(), classes.len().max(1));
            return Err(Error::Mismatch { what: "cluster labels for the class labels", found, expected });
        }
        let mut counted = Self {
            total: clusters.len(),
            cells: BTreeMap::new(),
            clusters: BTreeMap::new(),
            classes: BTreeMap::new(),
        };
        for (&cluster, &class) in clusters.iter().zip(classes) {
            *counted.cells.entry((cluster, class)).or_default() += 1;
            *counted.clusters.entry(cluster).or_default() += 1;
            *counted.classes.entry(class).or_default() += 1;
        }
        Ok(counted)
    }

    /// All measures.
    pub fn quality(&self) -> Quality {
        self.quality_with(&self.matching())
    }

    /// As [`quality`](Self::quality), for a [`matching`](Self::matching) that is known already.
    pub fn quality_with(&self, matching: &[Matched]) -> Quality {
        let n = self.total as f64;
        let (of_clusters, of_classes) =
            (entropy(self.clusters.values(), n), entropy(self.classes.values(), n));
        let mutual = self.mutual_information();
        let share = |entropy: f64| if entropy == 0.0 { 1.0 } else { (mutual / entropy).clamp(0.0, 1.0) };
        let (homogeneity, completeness) = (share(of_classes), share(of_clusters));
        let nmi = if of_clusters + of_classes == 0.0 {
            1.0
        } else {
            (mutual / ((of_clusters + of_classes) / 2.0)).clamp(0.0, 1.0)
        };
        let together = self.cells.values().map(|&count| pairs(count)).sum::<f64>();
        let in_clusters = self.clusters.values().map(|&count| pairs(count)).sum::<f64>();
        let in_classes = self.classes.values().map(|&count| pairs(count)).sum::<f64>();
        let over = |a: f64, b: f64| if b == 0.0 { 0.0 } else { a / b };
        let (pair_precision, pair_recall) = (over(together, in_clusters), over(together, in_classes));
        Quality {
            utterances: self.total,
            clusters: self.clusters.len(),
            classes: self.classes.len(),
            nmi,
            ari: self.adjusted_rand(together, in_clusters, in_classes),
            purity: self.most_frequent(|(cluster, _)| cluster) as f64 / n,
            inverse_purity: self.most_frequent(|(_, class)| class) as f64 / n,
            homogeneity,
            completeness,
            v_measure: over(2.0 * homogeneity * completeness, homogeneity + completeness),
            pair_precision,
            pair_recall,
            pair_f: over(2.0 * pair_precision * pair_recall, pair_precision + pair_recall),
            matched_accuracy: matching.iter().map(|matched| matched.common).sum::<usize>() as f64 / n,
        }
    }

    /// The matching of clusters and classes, one to one, in which most utterances agree (Hungarian algorithm); by
    /// cluster, without pairs that have nothing in common.
    pub fn matching(&self) -> Vec<Matched> {
        let (clusters, classes) = (numbered(&self.clusters), numbered(&self.classes));
        // The algorithm wants no more rows than columns.
        let wide = clusters.len() <= classes.len();
        let (rows, columns) = if wide { (&clusters, &classes) } else { (&classes, &clusters) };
        let mut common = Matrix::new(rows.len(), columns.len(), 0i64);
        for (&(cluster, class), &count) in &self.cells {
            let (row, column) = if wide { (cluster, class) } else { (class, cluster) };
            common[(rows[&row], columns[&column])] = count as i64;
        }
        let (_, column_of) = kuhn_munkres(&common);
        let row_names: Vec<u32> = rows.keys().copied().collect();
        let column_names: Vec<u32> = columns.keys().copied().collect();
        let mut matched: Vec<Matched> = column_of
            .into_iter()
            .enumerate()
            .filter_map(|(row, column)| {
                let common = common[(row, column)] as usize;
                let (row, column) = (row_names[row], column_names[column]);
                let (cluster, class) = if wide { (row, column) } else { (column, row) };
                let (cluster_size, class_size) = (self.clusters[&cluster], self.classes[&class]);
                (common > 0).then_some(Matched { cluster, class, common, cluster_size, class_size })
            })
            .collect();
        matched.sort_by_key(|matched| matched.cluster);
        matched
    }

    fn mutual_information(&self) -> f64 {
        let n = self.total as f64;
        let terms = self.cells.iter().map(|((cluster, class), &count)| {
            let expected = self.clusters[cluster] as f64 * self.classes[class] as f64 / n;
            count as f64 / n * (count as f64 / expected).ln()
        });
        terms.sum::<f64>().max(0.0)
    }

    /// Hubert and Arabie's index. The form in pairs that scikit-learn uses is the same fraction.
    fn adjusted_rand(&self, together: f64, in_clusters: f64, in_classes: f64) -> f64 {
        let expected = in_clusters * in_classes / pairs(self.total).max(1.0);
        let highest = (in_clusters + in_classes) / 2.0;
        if highest == expected { 1.0 } else { (together - expected) / (highest - expected) }
    }

    fn most_frequent(&self, side: impl Fn((u32, u32)) -> u32) -> usize {
        let mut highest: BTreeMap<u32, usize> = BTreeMap::new();
        for (&cell, &count) in &self.cells {
            let highest = highest.entry(side(cell)).or_default();
            *highest = count.max(*highest);
        }
        highest.values().sum()
    }
}

fn numbered(names: &BTreeMap<u32, usize>) -> BTreeMap<u32, usize> {
    names.keys().enumerate().map(|(number, &name)| (name, number)).collect()
}

fn pairs(count: usize) -> f64 {
    count as f64 * (count as f64 - 1.0) / 2.0
}

fn entropy<'a>(counts: impl Iterator<Item = &'a usize>, total: f64) -> f64 {
    let terms = counts.map(|&count| {
        let share = count as f64 / total;
        -share * share.ln()
    });
    terms.sum::<f64>().max(0.0)
}

/// Two `utt2spk` tables, matched by utterance.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Compared {
    /// The counts. A number stands for the name at that place of the lists below.
    pub contingency: Contingency,
    /// Labels of the first table.
    pub clusters: Vec<String>,
    /// Labels of the second table.
    pub classes: Vec<String>,
    /// Utterances of the first table that the second lacks.
    pub only_first: usize,
    /// Utterances of the second table that the first lacks.
    pub only_second: usize,
}

impl Compared {
    /// Matches the tables; utterances that are in one only are counted.
    ///
    /// # Errors
    /// The tables have no utterance in common.
    pub fn new(first: &Table, second: &Table) -> Result<Self> {
        let (mut clusters, mut classes) = (Names::default(), Names::default());
        let (mut of_first, mut of_second) = (Vec::new(), Vec::new());
        for (utterance, cluster) in first.iter() {
            if let Some(class) = second.get(utterance) {
                of_first.push(clusters.number(cluster));
                of_second.push(classes.number(class));
            }
        }
        if of_first.is_empty() {
            let message = format!("has no utterance in common with {}", second.path().display());
            return Err(ffsvc_kaldi_io::Error::invalid(first.path(), message).into());
        }
        Ok(Self {
            contingency: Contingency::new(&of_first, &of_second)?,
            only_first: first.len() - of_first.len(),
            only_second: second.len() - of_first.len(),
            clusters: clusters.names,
            classes: classes.names,
        })
    }
}

#[derive(Default)]
struct Names<'a> {
    numbers: BTreeMap<&'a str, u32>,
    names: Vec<String>,
}

impl<'a> Names<'a> {
    fn number(&mut self, name: &'a str) -> u32 {
        *self.numbers.entry(name).or_insert_with(|| {
            self.names.push(name.to_owned());
            self.names.len() as u32 - 1
        })
    }
}
