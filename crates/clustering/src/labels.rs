//! From clusters to pseudo-labels: which utterances are kept, and what their speakers are called.

use std::collections::{BTreeMap, HashMap};

use ffsvc_kaldi_io::Table;
use ffsvc_ranges::Range;
use serde::Serialize;

use crate::{Assignments, Near, Result};

/// Which utterances are kept.
#[derive(Debug, Clone, PartialEq)]
pub struct LabelOptions {
    /// Of each cluster, keep this share of the utterances, the nearest to the centre, rounded up; above 0, at most 1.
    /// Of equally near ones the first by name are kept. Default: 1.
    pub keep_share: f64,
    /// Leave out utterances whose cosine with their centre is less; from -1 to 1. Default: none.
    pub min_cosine: Option<f32>,
    /// Leave out utterances whose cosine with their centre exceeds that with any other by less; from -2 to 2. Default: none.
    pub min_margin: Option<f32>,
    /// Leave out clusters with fewer utterances once all else is done; at least 1. Default: 1.
    pub min_size: usize,
}

impl Default for LabelOptions {
    fn default() -> Self {
        Self { keep_share: 1.0, min_cosine: None, min_margin: None, min_size: 1 }
    }
}

impl LabelOptions {
    /// Range of [`keep_share`](Self::keep_share).
    pub const KEEP_SHARE: Range<f64> = Range::above(0.0).at_most(1.0);
    /// Range of [`min_cosine`](Self::min_cosine).
    pub const MIN_COSINE: Range<f32> = Range::of(-1.0, 1.0);
    /// Range of [`min_margin`](Self::min_margin): a difference of two cosines.
    pub const MIN_MARGIN: Range<f32> = Range::of(-2.0, 2.0);
    /// Range of [`min_size`](Self::min_size).
    pub const MIN_SIZE: Range<usize> = Range::at_least(1);

    /// # Errors
    /// A number is out of its range, or not a number.
    fn check(&self) -> Result<()> {
        Self::KEEP_SHARE.check_key("keep_share", self.keep_share)?;
        for (name, range, value) in [
            ("min_cosine", Self::MIN_COSINE, self.min_cosine),
            ("min_margin", Self::MIN_MARGIN, self.min_margin),
        ] {
            value.map_or(Ok(()), |value| range.check_key(name, value))?;
        }
        Ok(Self::MIN_SIZE.check_key("min_size", self.min_size)?)
    }
}

/// How many utterances each rule has left out, in the order in which they are applied.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize)]
#[non_exhaustive]
pub struct LabelReport {
    /// Utterances in clusters.
    pub utterances: usize,
    /// Clusters that have utterances.
    pub clusters: usize,
    /// Utterances that took another label because most of their group have it.
    pub regrouped: usize,
    /// Left out by `min_cosine`.
    pub below_cosine: usize,
    /// Left out by `min_margin`.
    pub below_margin: usize,
    /// Left out by `keep_share`.
    pub beyond_share: usize,
    /// Left out by `min_size`.
    pub in_small_clusters: usize,
    /// Utterances that are kept.
    pub kept: usize,
    /// Clusters that are kept.
    pub kept_clusters: usize,
}

/// The cluster of each utterance that is kept, in the order of the assignments, and how it came about.
///
/// `groups` (`utterance group`) names the group that an utterance belongs to, if any: recordings of one utterance by several devices, say.
/// All of a group get the label that most of them have, of equally frequent ones the one with the highest sum of cosines.
/// An utterance's cosine with a cluster that the assignments do not list for it is unknown, and counts as the lowest.
///
/// The rules are applied in this order: groups, `min_cosine`, `min_margin`, `keep_share`, `min_size`.
///
/// # Errors
/// An option is out of its range or not a number; an utterance has no cluster or a cosine that is not a number.
pub fn label(
    assignments: &Assignments,
    groups: Option<&Table>,
    options: &LabelOptions,
) -> Result<(Vec<Option<u32>>, LabelReport)> {
    options.check()?;
    assignments.check()?;
    let mut own: Vec<u32> = assignments.near.iter().map(|near| near[0].cluster).collect();
    let mut report =
        LabelReport { utterances: own.len(), clusters: distinct(own.iter()), ..LabelReport::default() };
    if let Some(groups) = groups {
        report.regrouped = by_majority(assignments, groups, &mut own);
    }
    let cosine = |at: usize, cluster: u32| cosine_with(&assignments.near[at], cluster);
    let mut labels: Vec<Option<u32>> = own.iter().copied().map(Some).collect();

    let leave_out = |labels: &mut Vec<Option<u32>>, out: &dyn Fn(usize, u32) -> bool| {
        let mut count = 0;
        for (at, label) in labels.iter_mut().enumerate() {
            if label.is_some_and(|cluster| out(at, cluster)) {
                *label = None;
                count += 1;
            }
        }
        count
    };
    if let Some(least) = options.min_cosine {
        report.below_cosine = leave_out(&mut labels, &|at, cluster| cosine(at, cluster) < least);
    }
    if let Some(least) = options.min_margin {
        report.below_margin = leave_out(&mut labels, &|at, cluster| {
            let others = assignments.near[at].iter().filter(|near| near.cluster != cluster);
            let highest = others.map(|near| near.cosine).fold(f32::NEG_INFINITY, f32::max);
            cosine(at, cluster) - highest < least
        });
    }
    let mut members: BTreeMap<u32, Vec<usize>> = BTreeMap::new();
    for (at, cluster) in labels.iter().enumerate().filter_map(|(at, label)| Some((at, (*label)?))) {
        members.entry(cluster).or_default().push(at);
    }
    for (&cluster, members) in &mut members {
        members.sort_by(|&a, &b| {
            let nearer = cosine(b, cluster).total_cmp(&cosine(a, cluster));
            nearer.then_with(|| assignments.utterances[a].cmp(&assignments.utterances[b]))
        });
        // A share like 0.8 of 5 must not become 5 by its rounding.
        let keep = (options.keep_share * members.len() as f64 - 1e-9).ceil().max(1.0) as usize;
        for at in members.drain(keep.min(members.len())..) {
            labels[at] = None;
            report.beyond_share += 1;
        }
        if members.len() < options.min_size {
            report.in_small_clusters += members.len();
            members.drain(..).for_each(|at| labels[at] = None);
        }
    }
    report.kept = labels.iter().flatten().count();
    report.kept_clusters = distinct(labels.iter().flatten());
    Ok((labels, report))
}

/// Labels for the utterances that were not clustered: the label of their group, if a clustered utterance of the group
/// is kept. Use it where one device is close to the speaker and others are far away. Clusters of the near recordings
/// are purer than those of all.
pub fn labels_of_groups<'a>(
    assignments: &Assignments,
    labels: &[Option<u32>],
    groups: &'a Table,
) -> HashMap<&'a str, u32> {
    let utterances = assignments.utterances.iter().zip(labels);
    utterances.filter_map(|(utterance, label)| Some((groups.get(utterance)?, (*label)?))).collect()
}

fn distinct<'a>(clusters: impl Iterator<Item = &'a u32>) -> usize {
    clusters.collect::<std::collections::BTreeSet<_>>().len()
}

fn cosine_with(near: &[Near], cluster: u32) -> f32 {
    near.iter().find(|near| near.cluster == cluster).map_or(f32::NEG_INFINITY, |near| near.cosine)
}

/// Gives every member of a group its majority's label, and counts those that change.
fn by_majority(assignments: &Assignments, group_of: &Table, own: &mut [u32]) -> usize {
    let mut groups: HashMap<&str, Vec<usize>> = HashMap::new();
    for (at, utterance) in assignments.utterances.iter().enumerate() {
        if let Some(group) = group_of.get(utterance) {
            groups.entry(group).or_default().push(at);
        }
    }
    let mut changed = 0;
    for members in groups.values_mut() {
        // Cosines are summed in the order of the names, whatever that of the utterances.
        members.sort_by(|&a, &b| assignments.utterances[a].cmp(&assignments.utterances[b]));
        let mut votes: BTreeMap<u32, (usize, f64)> = BTreeMap::new();
        for &at in members.iter() {
            let vote = votes.entry(own[at]).or_default();
            vote.0 += 1;
            vote.1 += f64::from(assignments.near[at][0].cosine);
        }
        let winner = votes
            .into_iter()
            .max_by(|(a, (n, x)), (b, (m, y))| n.cmp(m).then(x.total_cmp(y)).then(b.cmp(a)))
            .map(|(cluster, _)| cluster);
        for &at in members.iter() {
            if let Some(winner) = winner
                && own[at] != winner
            {
                own[at] = winner;
                changed += 1;
            }
        }
    }
    changed
}

/// Names of pseudo-speakers: `prefix-0042`, with as many digits as the largest of `clusters` numbers needs.
pub fn speaker_name(prefix: &str, cluster: u32, clusters: u32) -> String {
    let digits = clusters.saturating_sub(1).to_string().len();
    if prefix.is_empty() { format!("{cluster:0digits$}") } else { format!("{prefix}-{cluster:0digits$}") }
}
