//! Batches, made ahead of time by worker threads.

use std::ops::ControlFlow;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, sync_channel};
use std::thread::JoinHandle;

use crate::batch_maker::{Batch, BatchMaker, Scratch};
use crate::error::{Error, Result};
use crate::sampler::{EpochPlan, Sampler};

/// Which batches of the run are made.
#[derive(Debug, Clone, Copy)]
pub struct BatchRange {
    /// The first batch to make.
    pub first: usize,
    /// One past the last.
    pub last: usize,
    /// Batches of an epoch.
    pub per_epoch: usize,
    /// All epochs are like the first: the same utterances, the same crops.
    pub first_epoch_only: bool,
}

/// Consecutive batches, in order, whatever the number of workers.
///
/// Worker `w` of `W` makes batches `w, w + W, ...` and puts them into its own bounded queue. The reader takes from the
/// queues in turn, so the batches need no sorting. At most `workers x prefetch` batches are in memory.
#[derive(Debug)]
pub struct DataLoader {
    queues: Vec<Receiver<Result<Batch>>>,
    next: usize,
    stop: Arc<AtomicBool>,
    workers: Vec<JoinHandle<()>>,
}

impl DataLoader {
    /// Starts `workers` threads that make the batches of `range`, each at most `prefetch` batches ahead.
    ///
    /// # Errors
    /// The system refuses a thread.
    pub fn start(
        maker: Arc<BatchMaker>,
        sampler: Arc<Sampler>,
        range: BatchRange,
        workers: usize,
        prefetch: usize,
    ) -> Result<Self> {
        let stop = Arc::new(AtomicBool::new(false));
        let mut queues = Vec::new();
        let mut threads = Vec::new();
        for worker in 0..workers.max(1) {
            let (sender, receiver) = sync_channel(prefetch.max(1));
            queues.push(receiver);
            let (maker, sampler, stop) = (Arc::clone(&maker), Arc::clone(&sampler), Arc::clone(&stop));
            let work = move || {
                let mut scratch = Scratch::default();
                make_batches(&maker, &sampler, range, worker, workers.max(1), &mut scratch, |batch| {
                    let failed = batch.is_err();
                    // A closed queue means that the run has ended.
                    if sender.send(batch).is_err() || failed || stop.load(Ordering::Relaxed) {
                        return ControlFlow::Break(());
                    }
                    ControlFlow::Continue(())
                });
            };
            let thread = std::thread::Builder::new()
                .name(format!("loader-{worker}"))
                .spawn(work)
                .map_err(|source| Error::Io { path: "worker thread".into(), source })?;
            threads.push(thread);
        }
        Ok(Self { queues, next: 0, stop, workers: threads })
    }

    /// The next batch; blocks until it is made.
    ///
    /// # Errors
    /// As [`BatchMaker::make`].
    pub fn next_batch(&mut self) -> Result<Batch> {
        let queue = &self.queues[self.next % self.queues.len()];
        self.next += 1;
        queue.recv().unwrap_or(Err(Error::WorkerLost))
    }
}

/// Makes the batches of worker `worker` of `workers`, in order, for `receive`, until it breaks or all are made.
pub(crate) fn make_batches(
    maker: &BatchMaker,
    sampler: &Sampler,
    range: BatchRange,
    worker: usize,
    workers: usize,
    scratch: &mut Scratch,
    mut receive: impl FnMut(Result<Batch>) -> ControlFlow<()>,
) {
    let mut plan: Option<(u32, EpochPlan)> = None;
    for batch in (range.first + worker..range.last).step_by(workers) {
        let (epoch, index) = (batch / range.per_epoch, batch % range.per_epoch);
        let epoch = if range.first_epoch_only { 0 } else { epoch as u32 };
        let (_, plan) = match plan.take().filter(|(planned, _)| *planned == epoch) {
            Some(known) => plan.insert(known),
            None => plan.insert((epoch, sampler.plan(epoch))),
        };
        if receive(maker.make(epoch, plan.batch(index), scratch)).is_break() {
            return;
        }
    }
}

impl Drop for DataLoader {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        self.queues.clear();
        for worker in self.workers.drain(..) {
            let _ = worker.join();
        }
    }
}
