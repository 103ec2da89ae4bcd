//! What a job has ready: in memory, and in the folder `STORE.partial`.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use ffsvc_dataset::{Notice, Notices, Recording};
use ffsvc_embeddings::{Embeddings, Provenance};

use crate::error::{Error, Result};
use crate::extractor::Embedding;
use crate::identity::Identity;
use crate::store::{self, Mark};

/// ```text
/// STORE.partial/identity.json
/// STORE.partial/block-000000.safetensors    what is ready of the first block of recordings
/// STORE.partial/block-000000.json           what there is to know about these, where there is something
/// ```
pub(crate) struct Partial {
    folder: PathBuf,
    identity: Identity,
    recordings: Arc<[Recording]>,
    block_size: usize,
    /// By the place of the recording in the list.
    ready: Vec<Option<Vec<f32>>>,
    count: usize,
    notices: BTreeMap<usize, Vec<Notice>>,
    /// Of the recordings that were taken over from a store.
    earlier: Notices,
    /// Blocks with something that is not on disk.
    unsaved: BTreeSet<usize>,
    complete_store: bool,
}

impl Partial {
    /// Takes over what an earlier job of the same identity has left, and says why it does not where one of another identity
    /// has left something.
    pub(crate) fn open(
        folder: &Path,
        out: &Path,
        identity: &Identity,
        recordings: &Arc<[Recording]>,
        block_size: usize,
    ) -> Result<(Self, Option<String>)> {
        let mut partial = Self {
            folder: folder.to_path_buf(),
            identity: identity.clone(),
            recordings: Arc::clone(recordings),
            block_size,
            ready: vec![None; recordings.len()],
            count: 0,
            notices: BTreeMap::new(),
            earlier: Notices::default(),
            unsaved: BTreeSet::new(),
            complete_store: false,
        };
        let mut changed = None;
        if let Some(mark) = Mark::read(out) {
            changed = identity.change_since(&mark.identity);
            if changed.is_none() {
                partial.take_store(out)?;
                partial.earlier = mark.notices;
            }
        }
        let mark = folder.join("identity.json");
        if folder.exists() && partial.complete_store {
            // Left by a job that was interrupted before it could remove it, or of another one.
            fs::remove_dir_all(folder).map_err(io(folder))?;
        }
        if folder.exists() {
            let earlier = fs::read_to_string(&mark).ok().and_then(|text| serde_json::from_str(&text).ok());
            let change = match earlier {
                Some(earlier) => identity.change_since(&earlier),
                None => Some(format!("{} is not of this program's making", folder.display())),
            };
            match change {
                None => partial.take_blocks()?,
                Some(change) => {
                    fs::remove_dir_all(folder).map_err(io(folder))?;
                    changed = Some(change);
                }
            }
        }
        fs::create_dir_all(folder).map_err(io(folder))?;
        let text = serde_json::to_string(identity).map_err(|error| io(&mark)(error.into()))?;
        ffsvc_atomic_file::write(&mark, text).map_err(io(&mark))?;
        Ok((partial, changed))
    }

    /// Takes over the embeddings of a complete store; recordings that had failed are tried again.
    fn take_store(&mut self, out: &Path) -> Result<()> {
        let embeddings = Embeddings::read(out)?;
        self.take(&embeddings, 0..self.recordings.len());
        self.complete_store = self.count == self.recordings.len();
        Ok(())
    }

    fn take_blocks(&mut self) -> Result<()> {
        for block in 0..self.recordings.len().div_ceil(self.block_size) {
            let path = self.block(block, "safetensors");
            if !path.is_file() {
                continue;
            }
            let embeddings = Embeddings::read(&path)?;
            let places = self.places(block);
            self.take(&embeddings, places.clone());
            let path = self.block(block, "json");
            if let Ok(text) = fs::read_to_string(&path) {
                let notices: HashMap<String, Vec<Notice>> =
                    serde_json::from_str(&text).map_err(|error| io(&path)(error.into()))?;
                for place in places {
                    if let Some(notices) = notices.get(&self.recordings[place].id) {
                        self.notices.insert(place, notices.clone());
                    }
                }
            }
        }
        Ok(())
    }

    fn take(&mut self, embeddings: &Embeddings, places: std::ops::Range<usize>) {
        let by_name: HashMap<&str, &[f32]> = embeddings.iter().collect();
        for place in places {
            if let Some(values) = by_name.get(self.recordings[place].id.as_str())
                && self.ready[place].is_none()
            {
                self.ready[place] = Some(values.to_vec());
                self.count += 1;
            }
        }
    }

    fn places(&self, block: usize) -> std::ops::Range<usize> {
        let first = block * self.block_size;
        first..(first + self.block_size).min(self.recordings.len())
    }

    fn block(&self, block: usize, ending: &str) -> PathBuf {
        self.folder.join(format!("block-{block:06}.{ending}"))
    }

    /// How many recordings are ready.
    pub(crate) fn len(&self) -> usize {
        self.count
    }

    pub(crate) fn has(&self, place: usize) -> bool {
        self.ready[place].is_some()
    }

    /// Whether the store of an earlier job already has all recordings.
    pub(crate) fn is_complete_store(&self) -> bool {
        self.complete_store
    }

    /// What there is to know about the recordings that are ready, in the order of the list.
    pub(crate) fn notices(&self) -> Notices {
        let mut all = self.earlier.clone();
        for (&place, notices) in &self.notices {
            for &notice in notices {
                all.note(notice, &self.recordings[place].id);
            }
        }
        all
    }

    pub(crate) fn insert(&mut self, place: usize, embedding: Embedding) {
        if self.ready[place].replace(embedding.values).is_none() {
            self.count += 1;
        }
        if !embedding.notices.is_empty() {
            self.notices.insert(place, embedding.notices);
        }
        self.unsaved.insert(place / self.block_size);
    }

    /// Writes what is ready and not on disk yet.
    pub(crate) fn save(&mut self) -> Result<()> {
        while let Some(block) = self.unsaved.pop_first() {
            let mut store: Option<Embeddings> = None;
            let mut notices = BTreeMap::new();
            for place in self.places(block) {
                if let Some(values) = &self.ready[place] {
                    let id = &self.recordings[place].id;
                    store.get_or_insert_with(|| Embeddings::new(values.len())).push(id, values)?;
                    if let Some(of_this) = self.notices.get(&place) {
                        notices.insert(id, of_this);
                    }
                }
            }
            if !notices.is_empty() {
                let path = self.block(block, "json");
                let text = serde_json::to_string(&notices).map_err(|error| io(&path)(error.into()))?;
                ffsvc_atomic_file::write(&path, text).map_err(io(&path))?;
            }
            if let Some(store) = store {
                store.write(self.block(block, "safetensors"))?;
            }
        }
        Ok(())
    }

    /// Writes the store `out` in the order of the list and removes the folder. Without any embedding there is no store, and
    /// one of an earlier job goes too.
    pub(crate) fn finish(mut self, out: &Path, provenance: Option<Provenance>) -> Result<Option<PathBuf>> {
        let mut store: Option<Embeddings> = None;
        for (recording, values) in self.recordings.iter().zip(&mut self.ready) {
            if let Some(values) = values.take() {
                store.get_or_insert_with(|| Embeddings::new(values.len())).push(&recording.id, &values)?;
            }
        }
        let written = match store {
            Some(mut store) => {
                store.set_provenance(provenance.map(|mut provenance| {
                    provenance.list_sha256 = Some(self.identity.list().to_owned());
                    provenance
                }));
                store.write(out)?;
                Mark::write(out, self.identity.clone(), self.notices())?;
                Some(out.to_path_buf())
            }
            None => {
                store::remove(out)?;
                None
            }
        };
        self.remove()?;
        Ok(written)
    }

    /// Removes the folder.
    pub(crate) fn remove(self) -> Result<()> {
        fs::remove_dir_all(&self.folder).map_err(io(&self.folder))
    }
}

fn io(path: &Path) -> impl FnOnce(std::io::Error) -> Error {
    let path = path.to_path_buf();
    move |source| Error::Io { path, source }
}
