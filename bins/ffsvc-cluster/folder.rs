//! A folder with a result: locked while it is written, and free of what a former run left there.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, bail};
use clap::Args;
use ffsvc_atomic_file::Lock;
use ffsvc_cli::{OutputPath, RunFiles, UsageError};

/// What was found: the last file of `kmeans` and `ahc`.
pub(crate) const RESULT: &str = "result.json";
/// What was measured for several numbers of clusters.
pub(crate) const SWEEP: &str = "sweep.json";
/// The clusters of the utterances.
pub(crate) const ASSIGNMENTS: &str = "assignments";
/// The centres of the clusters.
pub(crate) const CENTRES: &str = "centres.scp";

/// All files of a folder of clusters. The first two say that a result is complete, and are the first to be removed.
const FILES: [&str; 6] = [RESULT, SWEEP, ASSIGNMENTS, CENTRES, "centres.ark", "centres.provenance.json"];

/// Where the result goes.
#[derive(Debug, Args)]
pub(crate) struct Output {
    /// Folder for the result; created if it does not exist
    #[arg(value_name = "OUT", required_unless_present = "output", conflicts_with = "output")]
    out: Option<OutputPath>,

    /// Folder for the result, in place of OUT
    #[arg(short, long, value_name = "OUT")]
    output: Option<OutputPath>,

    /// Replace a result that is there already
    #[arg(long)]
    overwrite: bool,
}

/// The folder, for this process alone.
#[derive(Debug)]
pub(crate) struct Folder {
    path: PathBuf,
    lock: Option<Lock>,
    /// Whether this process has made the folder.
    is_new: bool,
}

impl Output {
    /// Locks the folder, which is made if it does not exist. `files` are those that will be read, and further outputs.
    ///
    /// # Errors
    /// The folder has a result that must not be replaced; it cannot be written to; another process writes it; an input is
    /// one of its files.
    pub(crate) fn lock(&self, files: RunFiles, json: bool) -> anyhow::Result<Folder> {
        let (option, path) = match (&self.out, &self.output) {
            (Some(path), _) => ("OUT", path),
            (None, path) => ("--output", path.as_ref().context("a folder for the result")?),
        };
        let own = FILES.map(|name| path.join(name));
        files.output_folder(option, [path]).regular_output(option, &own).check(json)?;
        let folder = Folder::lock(path)?;
        if !self.overwrite
            && let Some(file) = own[..2].iter().find(|file| file.exists())
        {
            let message = format!("{} exists already; name another folder, or --overwrite", file.display());
            return Err(UsageError::new(message).into());
        }
        Ok(folder)
    }
}

impl Folder {
    /// Makes the folder if it does not exist, and locks it.
    pub(crate) fn lock(path: &Path) -> anyhow::Result<Self> {
        let is_new = !path.exists();
        fs::create_dir_all(path).with_context(|| format!("cannot create {}", path.display()))?;
        let mut folder = Self { path: path.to_path_buf(), lock: None, is_new };
        let lock = Lock::folder(path)?;
        if !lock.is_held() {
            tracing::warn!("{} is on a file system without locks: let no other run write it", path.display());
        }
        folder.lock = Some(lock);
        Ok(folder)
    }

    /// Removes the files that a former run has written.
    pub(crate) fn clear(&self) -> anyhow::Result<()> {
        self.remove(&FILES)
    }

    /// Removes some files, if they are there.
    pub(crate) fn remove(&self, names: &[&str]) -> anyhow::Result<()> {
        for file in names.iter().map(|name| self.path(name)) {
            match fs::remove_file(&file) {
                Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                    return Err(error).with_context(|| format!("cannot remove {}", file.display()));
                }
                _ => {}
            }
        }
        Ok(())
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.path.join(name)
    }
}

impl Drop for Folder {
    /// A folder that was made for nothing disappears: one with a file in it is not removed.
    fn drop(&mut self) {
        self.lock = None;
        if self.is_new {
            let _ = fs::remove_dir(&self.path);
        }
    }
}

/// Says what is wrong with a folder that has no [`RESULT`].
pub(crate) fn refuse_without_result(folder: &Path) -> anyhow::Result<()> {
    if folder.join(RESULT).is_file() {
        return Ok(());
    }
    let shown = folder.display();
    if !folder.is_dir() {
        bail!("{shown}: no such folder; expected one that ffsvc-cluster kmeans or ahc has written");
    }
    if folder.join(SWEEP).is_file() && !folder.join(ASSIGNMENTS).is_file() {
        bail!("{shown} has a sweep, but no clusters: choose a number of them (ffsvc-cluster kmeans --k N)");
    }
    bail!("{shown} has no {RESULT}: the clustering did not end; run ffsvc-cluster kmeans or ahc again")
}
