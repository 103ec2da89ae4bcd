//! Many recordings at once: read on all threads, grouped into batches, within the memory that there is.

use std::collections::BTreeMap;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};

use ffsvc_dataset::{Recording, open_audio};
use ffsvc_models::frames_at_once;
use rayon::prelude::*;

use crate::error::{Error, Result};
use crate::extractor::{Embedding, Extractor, Prepared};
use crate::memory::Reservations;

/// What became of recordings, by their place in the list. Those of one batch come together.
pub(crate) type Done = Vec<(usize, Result<Embedding>)>;

/// What became of one recording before the network.
enum Reading {
    Ready(Prepared),
    Failed(usize, Error),
    /// There is no memory for it beside the others.
    Later(usize),
}

impl Extractor {
    /// Embeds a block of recordings on all threads; the results are in the order of the recordings, and do
    /// not depend on the number of threads.
    pub fn embed_block(&self, recordings: &[Recording]) -> Vec<Result<Embedding>> {
        let results = Mutex::new(Vec::new());
        let all: Vec<usize> = (0..recordings.len()).collect();
        for window in all.chunks(self.options().jobs) {
            self.embed_window(recordings, window, &AtomicBool::new(false), &|done| {
                results.lock().unwrap_or_else(std::sync::PoisonError::into_inner).extend(done);
            });
        }
        let mut results = results.into_inner().unwrap_or_else(std::sync::PoisonError::into_inner);
        results.sort_by_key(|(index, _)| *index);
        results.into_iter().map(|(_, result)| result).collect()
    }

    /// Embeds the recordings at the places `window` of the list, all in memory together, and hands every batch to `done`
    /// when it is ready. Ends early when `cancelled` is set.
    ///
    /// Which recordings share a batch depends on the window alone: if some batches of it were done before, the others are
    /// the same. Only where memory is short are recordings put off, or batches made smaller.
    pub(crate) fn embed_window(
        &self,
        recordings: &[Recording],
        window: &[usize],
        cancelled: &AtomicBool,
        done: &(dyn Fn(Done) + Sync),
    ) {
        let is_cancelled = || cancelled.load(Ordering::SeqCst);
        let mut waiting = window.to_vec();
        while !waiting.is_empty() && !is_cancelled() {
            let reservations = Reservations::new(self.available_memory());
            let read = |&index: &usize| {
                if is_cancelled() {
                    Reading::Later(index)
                } else {
                    self.read(recordings, index, &reservations)
                }
            };
            let readings: Vec<Reading> = waiting.par_iter().map(read).collect();
            waiting.clear();
            let mut by_bucket: BTreeMap<usize, Vec<Prepared>> = BTreeMap::new();
            for reading in readings {
                match reading {
                    Reading::Ready(item) => {
                        by_bucket.entry(item.features.num_frames / self.bucket()).or_default().push(item);
                    }
                    Reading::Failed(index, error) => done(vec![(index, Err(error))]),
                    Reading::Later(index) => waiting.push(index),
                }
            }
            let groups: Vec<Vec<Prepared>> = by_bucket.into_values().collect();
            for wave in self.waves(&groups, reservations.available()) {
                wave.par_iter().for_each(|batch| {
                    if !is_cancelled() {
                        done(self.embed_batch(batch));
                    }
                });
            }
        }
    }

    fn read(&self, recordings: &[Recording], index: usize, reservations: &Reservations) -> Reading {
        let ready = || -> Result<Option<Prepared>> {
            let mut file = open_audio(&recordings[index].source, self.options().limits)?;
            if self.admit(&mut file, reservations)? {
                self.prepare(index, &mut file).map(Some)
            } else {
                Ok(None)
            }
        };
        match ready() {
            Ok(Some(prepared)) => Reading::Ready(prepared),
            Ok(None) => Reading::Later(index),
            Err(error) => Reading::Failed(index, error),
        }
    }

    /// Frames by which recordings of one batch may differ.
    fn bucket(&self) -> usize {
        if self.supports_padding() { self.options().length_bucket.max(1) } else { 1 }
    }

    /// Batches that may run at the same time, in the order in which they are to run.
    fn waves<'a>(&self, groups: &'a [Vec<Prepared>], available: u64) -> Vec<Vec<&'a [Prepared]>> {
        let features = |items: &[Prepared]| -> u64 {
            items.iter().map(|item| (item.features.data.len() * size_of::<f32>()) as u64).sum()
        };
        let free = available.saturating_sub(groups.iter().map(|group| features(group)).sum());
        let mut waves: Vec<Vec<&[Prepared]>> = Vec::new();
        let mut left = 0;
        for group in groups {
            let longest = group.iter().map(|item| item.features.num_frames).max().unwrap_or_default();
            let each = self.network_bytes(longest as u64).max(1);
            let fitting = usize::try_from(free / each).unwrap_or(usize::MAX);
            // The network goes through a long one in blocks, but not where others are shorter.
            let in_blocks = frames_at_once(longest as u64) < longest as u64;
            let together = if in_blocks { 1 } else { self.options().batch_size.min(fitting).max(1) };
            for batch in group.chunks(together) {
                let bytes = each.saturating_mul(batch.len() as u64);
                match waves.last_mut() {
                    Some(wave) if bytes <= left => wave.push(batch),
                    _ => {
                        waves.push(vec![batch]);
                        left = free;
                    }
                }
                left = left.saturating_sub(bytes);
            }
        }
        waves
    }
}
