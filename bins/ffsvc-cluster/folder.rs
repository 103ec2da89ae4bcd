//! The folder with the result of a clustering: `centres.scp` and `.ark`, `assignments`, and `result.json` as the last.

use std::path::{Path, PathBuf};

use anyhow::Context;
use clap::Args;
use ffsvc_cli::UsageError;
use ffsvc_clustering::{Assignments, Centres, Points};
use ffsvc_kaldi_io::Embeddings;
use serde::Serialize;

/// Where the embeddings come from and where the clusters go.
#[derive(Debug, Args)]
pub(crate) struct Folder {
    /// Store of embeddings (.scp, .ark, .npz, .safetensors, or the baseline's .npy)
    store: PathBuf,

    /// Folder for the result; created if it does not exist
    out: PathBuf,

    /// Replace a result that is there already
    #[arg(long)]
    overwrite: bool,
}

impl Folder {
    pub(crate) fn store(&self) -> String {
        self.store.display().to_string()
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.out.join(name)
    }

    /// Makes the folder ready for a result whose last file is `last`, and reads the embeddings.
    pub(crate) fn open(&self, last: &str) -> anyhow::Result<(Vec<String>, Points)> {
        let last = self.path(last);
        if last.exists() && !self.overwrite {
            let message = format!("{} exists already; name another folder, or --overwrite", last.display());
            return Err(UsageError::new(message).into());
        }
        let embeddings = Embeddings::read(&self.store)?;
        tracing::info!("{} embeddings of {} dimensions", embeddings.len(), embeddings.dim());
        let points = Points::from_embeddings(embeddings)
            .with_context(|| format!("cannot cluster {}", self.store.display()))?;
        std::fs::create_dir_all(&self.out)
            .with_context(|| format!("cannot create {}", self.out.display()))?;
        if last.exists() {
            std::fs::remove_file(&last).with_context(|| format!("cannot remove {}", last.display()))?;
        }
        Ok(points)
    }

    /// Writes centres and assignments.
    pub(crate) fn write(
        &self,
        utterances: Vec<String>,
        points: &Points,
        centres: &Centres,
        labels: &[u32],
        others: usize,
    ) -> anyhow::Result<()> {
        let names = (0..centres.len()).map(|cluster| cluster.to_string()).collect();
        let store = Embeddings::from_parts(names, centres.dim(), centres.data().to_vec())?;
        store.write(self.path("centres.scp"))?;
        Assignments::new(utterances, points, centres, labels, others)?.write(self.path("assignments"))?;
        Ok(())
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
