//! The clusters of `kmeans` and `ahc`: written, printed, and read again by `labels` and `compare`.

use std::path::Path;

use anyhow::{Context, bail};
use ffsvc_cli::print_json;
use ffsvc_clustering::validity::{IntraCosine, intra_cosine, sizes};
use ffsvc_clustering::{Assignments, Centres};
use ffsvc_embeddings::{Embeddings, Provenance};
use serde::{Deserialize, Serialize};

use crate::folder::{ASSIGNMENTS, CENTRES, Folder, RESULT, refuse_without_result};
use crate::input::Input;
use crate::words::Counted;

/// `result.json`; `M` is what only one method has.
#[derive(Serialize)]
struct Outcome<'a, M> {
    program: &'static str,
    embeddings: &'a str,
    /// Which model made the embeddings.
    #[serde(skip_serializing_if = "Option::is_none")]
    model: Option<&'a Provenance>,
    utterances: usize,
    /// Utterances that were left out because their embedding is zero.
    #[serde(skip_serializing_if = "Option::is_none")]
    zero_embeddings: Option<Counted>,
    clusters: usize,
    #[serde(flatten)]
    method: &'a M,
    intra_cosine: IntraCosine,
    sizes: Vec<usize>,
}

/// Clusters that were found, before they are written.
pub(crate) struct Found<M> {
    pub(crate) centres: Centres,
    /// Of the clustered points.
    pub(crate) labels: Vec<u32>,
    pub(crate) method: M,
}

impl<M: Serialize> Found<M> {
    /// Writes centres, assignments (each utterance's cluster and the `nearest` others) and, as the last, `result.json`.
    /// Prints the result.
    pub(crate) fn write(
        self,
        input: &Input,
        folder: &Folder,
        nearest: usize,
        json: bool,
    ) -> anyhow::Result<()> {
        let Self { centres, labels, method } = self;
        let clusters = centres.len();
        let intra_cosine = intra_cosine(input.points(), &centres, &labels);
        let labels = input.labels_of_utterances(labels)?;
        let named = input.named();
        let assignments =
            Assignments::new(named.utterances.clone(), &named.points, &centres, &labels, nearest)?.sorted();
        let names = (0..clusters).map(|cluster| cluster.to_string()).collect();
        let mut store = Embeddings::from_parts(names, centres.dim(), centres.into_data())?;

        store.set_provenance(input.provenance().cloned());
        store.write(folder.path(CENTRES))?;
        assignments.write(folder.path(ASSIGNMENTS))?;
        let outcome = Outcome {
            program: concat!("ffsvc-cluster ", env!("CARGO_PKG_VERSION")),
            embeddings: input.store(),
            model: input.provenance(),
            utterances: named.utterances.len(),
            zero_embeddings: Counted::new(&named.zero),
            clusters,
            method: &method,
            intra_cosine,
            sizes: sizes(&labels, clusters),
        };
        ffsvc_cli::write_json(folder.path(RESULT), &outcome)?;
        if json {
            return print_json(&outcome);
        }
        let sizes = || outcome.sizes.iter().copied();
        println!(
            "{clusters} clusters of {} utterances, {} to {} each",
            outcome.utterances,
            sizes().min().unwrap_or(0),
            sizes().max().unwrap_or(0)
        );
        println!(
            "mean cosine with the centre: {:.4} over clusters, {:.4} over utterances",
            intra_cosine.per_cluster, intra_cosine.per_utterance
        );
        Ok(())
    }
}

/// What is read of `result.json`.
#[derive(Debug, Deserialize)]
struct Made {
    utterances: usize,
    clusters: u32,
    #[serde(default)]
    model: Option<Provenance>,
}

/// A finished folder of clusters.
#[derive(Debug)]
pub(crate) struct Clusters {
    pub(crate) assignments: Assignments,
    /// How many clusters there are, empty ones included.
    pub(crate) clusters: u32,
    /// Which model made the embeddings, where that is known.
    pub(crate) model: Option<Provenance>,
}

impl Clusters {
    /// Reads a folder that [`Found::write`] has written.
    ///
    /// # Errors
    /// The folder has no `result.json`, or its files cannot be read or do not belong together.
    pub(crate) fn read(folder: &Path) -> anyhow::Result<Self> {
        refuse_without_result(folder)?;
        let path = folder.join(RESULT);
        let text = std::fs::read(&path).with_context(|| format!("cannot read {}", path.display()))?;
        let Made { utterances, clusters, model } = serde_json::from_slice(&text)
            .with_context(|| format!("{} is not what ffsvc-cluster writes", path.display()))?;
        let path = folder.join(ASSIGNMENTS);
        let assignments = Assignments::read(&path)?;
        let found = assignments.utterances.len();
        if found != utterances {
            bail!("{}: found {found} utterances, expected {utterances} ({RESULT})", path.display());
        }
        for (utterance, near) in assignments.utterances.iter().zip(&assignments.near) {
            if let Some(near) = near.iter().find(|near| near.cluster >= clusters) {
                let (shown, number) = (path.display(), near.cluster);
                bail!(
                    "{shown}: found cluster {number} of {utterance}, expected one of {clusters} ({RESULT})"
                );
            }
        }
        Ok(Self { assignments, clusters, model })
    }
}
