//! The embeddings that are clustered.

use std::path::PathBuf;

use anyhow::{Context, bail};
use clap::Args;
use ffsvc_cli::RunFiles;
use ffsvc_clustering::{Groups, NamedPoints, Points};
use ffsvc_embeddings::{Embeddings, Provenance};
use ffsvc_kaldi_io::Table;

use crate::words::warn_of;

/// Where the embeddings come from.
#[derive(Debug, Args)]
pub(crate) struct Source {
    /// Store of embeddings (.scp, .ark, .npz, .safetensors, or the baseline's .npy)
    store: PathBuf,

    /// Table `utterance group`: the mean of each group is clustered, and its utterances get its cluster
    #[arg(long, value_name = "UTT2GROUP")]
    group_by: Option<PathBuf>,
}

/// Utterances with their embeddings, and what of them is clustered.
pub(crate) struct Input {
    /// In an order that the store's own order has no influence on.
    named: NamedPoints,
    /// Groups and their means, with `--group-by`.
    groups: Option<(Groups, Points)>,
    store: String,
    /// Which model made the embeddings, where the store says so.
    provenance: Option<Provenance>,
}

impl Source {
    /// Adds the files that are read.
    pub(crate) fn files(&self, files: RunFiles) -> RunFiles {
        files.input("STORE", [&self.store]).input("--group-by", &self.group_by)
    }

    pub(crate) fn read(&self) -> anyhow::Result<Input> {
        let cannot = || format!("cannot cluster {}", self.store.display());
        let groups = self.group_by.as_ref().map(Table::read).transpose()?;
        let embeddings = Embeddings::read(&self.store)?;
        tracing::info!("{} embeddings of {} dimensions", embeddings.len(), embeddings.dim());
        let provenance = embeddings.provenance().cloned();
        let named = NamedPoints::from_embeddings(embeddings).with_context(cannot)?;
        warn_of("embeddings of zero, which have no direction, are not clustered", &named.zero);
        let groups = groups.map(|table| {
            let ungrouped: Vec<&String> =
                named.utterances.iter().filter(|utterance| table.get(utterance).is_none()).collect();
            if ungrouped.len() == named.utterances.len() {
                bail!("{} has none of the utterances of {}", table.path().display(), self.store.display());
            }
            warn_of("utterances without a group are clustered alone", &ungrouped);
            let groups = Groups::new(&named.utterances, &table);
            tracing::info!("{} groups of utterances", groups.len());
            let means = groups.means(&named.points).with_context(cannot)?;
            anyhow::Ok((groups, means))
        });
        let store = self.store.display().to_string();
        Ok(Input { groups: groups.transpose()?, named, store, provenance })
    }
}

impl Input {
    /// What is clustered: embeddings, or the means of their groups.
    pub(crate) fn points(&self) -> &Points {
        self.groups.as_ref().map_or(&self.named.points, |(_, means)| means)
    }

    /// All utterances and their embeddings.
    pub(crate) fn named(&self) -> &NamedPoints {
        &self.named
    }

    /// The label of each utterance, from those of the clustered points.
    pub(crate) fn labels_of_utterances(&self, labels: Vec<u32>) -> anyhow::Result<Vec<u32>> {
        match &self.groups {
            Some((groups, _)) => Ok(groups.spread(&labels)?),
            None => Ok(labels),
        }
    }

    /// The store's name, for the result.
    pub(crate) fn store(&self) -> &str {
        &self.store
    }

    /// Which model made the embeddings, where the store says so.
    pub(crate) fn provenance(&self) -> Option<&Provenance> {
        self.provenance.as_ref()
    }
}
