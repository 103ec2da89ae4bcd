//! From clusters to pseudo-labels: which utterances are kept, and what their speakers are called.

use std::collections::{BTreeMap, HashMap};

use ffsvc_kaldi_io::Table;
use serde::Serialize;

use crate::{Assignments, Error, Near, Result};

/// Which utterances are kept.
#[derive(Debug, Clone, PartialEq)]
pub struct LabelOptions {
    /// Of each cluster, keep this share of the utterances, the nearest to the centre, rounded up. Default: 1.
    pub keep_share: f64,
    /// Leave out utterances whose cosine with their centre is less. Default: none.
    pub min_cosine: Option<f32>,
    /// Leave out utterances whose cosine with their centre exceeds that with any other by less. Default: none.
    pub min_margin: Option<f32>,
    /// Leave out clusters with fewer utterances once all else is done. Default: 1.
    pub min_size: usize,
}

impl Default for LabelOptions {
    fn default() -> Self {
        Self { keep_share: 1.0, min_cosine: None, min_margin: None, min_size: 1 }
    }
}

/// How many utterances each rule has left out, in the order in which they are applied.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize)]
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
/// An option out of range.
pub fn label(
    assignments: &Assignments,
    groups: Option<&Table>,
    options: &LabelOptions,
) -> Result<(Vec<Option<u32>>, LabelReport)> {
    if !(options.keep_share > 0.0 && options.keep_share <= 1.0) {
        let expected = "more than 0, at most 1";
        return Err(Error::Option { name: "keep_share", value: options.keep_share, expected });
    }
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
        members.sort_by(|&a, &b| cosine(b, cluster).total_cmp(&cosine(a, cluster)).then(a.cmp(&b)));
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

/// The label of each group of which a clustered utterance is kept, for those of its utterances that were not clustered: where one
/// device stands close to the speaker and others in the distance, the clusters of its recordings are purer than those of all.
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
    for members in groups.values() {
        let mut votes: BTreeMap<u32, (usize, f64)> = BTreeMap::new();
        for &at in members {
            let vote = votes.entry(own[at]).or_default();
            vote.0 += 1;
            vote.1 += f64::from(assignments.near[at][0].cosine);
        }
        let winner = votes
            .into_iter()
            .max_by(|(a, (n, x)), (b, (m, y))| n.cmp(m).then(x.total_cmp(y)).then(b.cmp(a)))
            .map(|(cluster, _)| cluster);
        for &at in members {
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
