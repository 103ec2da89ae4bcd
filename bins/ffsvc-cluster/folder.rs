//! The folder with the result of a clustering: `centres.scp` and `.ark`, `assignments`, and `result.json` as the last.

use std::path::{Path, PathBuf};

use anyhow::Context;
use clap::Args;
use ffsvc_cli::UsageError;
use ffsvc_clustering::validity::sizes;
use ffsvc_clustering::{Assignments, Centres, Groups, Points};
use ffsvc_embeddings::Embeddings;
use ffsvc_kaldi_io::Table;
use serde::Serialize;

/// Where the embeddings come from and where the clusters go.
#[derive(Debug, Args)]
pub(crate) struct Folder {
    /// Store of embeddings (.scp, .ark, .npz, .safetensors, or the baseline's .npy)
    store: PathBuf,

    /// Folder for the result; created if it does not exist
    out: PathBuf,

    /// Table `utterance group`: the mean of each group is clustered, and its utterances get its cluster
    #[arg(long, value_name = "UTT2GROUP")]
    group: Option<PathBuf>,

    /// Replace a result that is there already
    #[arg(long)]
    overwrite: bool,
}

/// Utterances with their embeddings, and what of them is clustered.
pub(crate) struct Input {
    utterances: Vec<String>,
    embeddings: Points,
    /// Groups and their means, with `--group`.
    groups: Option<(Groups, Points)>,
}

impl Input {
    /// What is clustered: embeddings, or the means of their groups.
    pub(crate) fn points(&self) -> &Points {
        self.groups.as_ref().map_or(&self.embeddings, |(_, means)| means)
    }

    /// Number of utterances.
    pub(crate) fn utterances(&self) -> usize {
        self.utterances.len()
    }
}

impl Folder {
    pub(crate) fn store(&self) -> String {
        self.store.display().to_string()
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.out.join(name)
    }

    /// Makes the folder ready for a result whose last file is `last`, and reads the embeddings.
    pub(crate) fn open(&self, last: &str) -> anyhow::Result<Input> {
        let last = self.path(last);
        if last.exists() && !self.overwrite {
            let message = format!("{} exists already; name another folder, or --overwrite", last.display());
            return Err(UsageError::new(message).into());
        }
        let embeddings = Embeddings::read(&self.store)?;
        tracing::info!("{} embeddings of {} dimensions", embeddings.len(), embeddings.dim());
        let cannot = || format!("cannot cluster {}", self.store.display());
        let (utterances, embeddings) = Points::from_embeddings(embeddings).with_context(cannot)?;
        let groups = match &self.group {
            Some(table) => {
                let groups = Groups::new(&utterances, &Table::read(table)?);
                tracing::info!("{} groups of utterances", groups.len());
                let means = groups.means(&embeddings).with_context(cannot)?;
                Some((groups, means))
            }
            None => None,
        };
        std::fs::create_dir_all(&self.out)
            .with_context(|| format!("cannot create {}", self.out.display()))?;
        if last.exists() {
            std::fs::remove_file(&last).with_context(|| format!("cannot remove {}", last.display()))?;
        }
        Ok(Input { utterances, embeddings, groups })
    }

    /// Writes centres and assignments; `labels` are those of the clustered points. Returns how many utterances each
    /// cluster has.
    pub(crate) fn write(
        &self,
        input: Input,
        centres: &Centres,
        labels: Vec<u32>,
        others: usize,
    ) -> anyhow::Result<Vec<usize>> {
        let labels = match &input.groups {
            Some((groups, _)) => groups.spread(&labels)?,
            None => labels,
        };
        let names = (0..centres.len()).map(|cluster| cluster.to_string()).collect();
        let store = Embeddings::from_parts(names, centres.dim(), centres.data().to_vec())?;
        store.write(self.path("centres.scp"))?;
        let sizes = sizes(&labels, centres.len());
        let Input { utterances, embeddings, .. } = input;
        Assignments::new(utterances, &embeddings, centres, &labels, others)?
            .write(self.path("assignments"))?;
        Ok(sizes)
    }

    /// Writes a JSON file.
    pub(crate) fn write_json<T: Serialize>(&self, name: &str, value: &T) -> anyhow::Result<()> {
        write_json(&self.path(name), value)
    }
}

pub(crate) fn write_json<T: Serialize>(path: &Path, value: &T) -> anyhow::Result<()> {
    let mut json = serde_json::to_vec_pretty(value)?;
    json.push(b'\n');
    ffsvc_atomic_file::write(path, json).with_context(|| format!("cannot write {}", path.display()))
}
