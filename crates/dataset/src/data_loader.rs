//! Batches, made ahead of time by worker threads.

use std::ops::ControlFlow;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, sync_channel};
use std::thread::JoinHandle;

use ffsvc_audio::ArchiveReader;

use crate::batch_maker::{Batch, BatchMaker, Scratch};
use crate::epoch_plan::EpochPlan;
use crate::error::{Error, Result};
use crate::read_ahead::ReadAhead;
use crate::sampler::Sampler;

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
///
/// With a shuffle buffer, one more thread reads the archives from their beginning to their end. At most
/// [`Sampler::shuffle_buffer`] recordings and a batch of them for each worker are in memory, as they are in the archive.
#[derive(Debug)]
pub struct DataLoader {
    queues: Vec<Receiver<Result<Batch>>>,
    next: usize,
    stop: Arc<AtomicBool>,
    ahead: Option<Arc<ReadAhead>>,
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
        let workers = workers.max(1);
        let ahead = ReadAhead::of(&sampler, workers).map(Arc::new);
        let spawn = |name: String, work: Box<dyn FnOnce() + Send>| {
            let thread = std::thread::Builder::new().name(name).spawn(work);
            thread.map_err(|source| Error::Io { path: "worker thread".into(), source })
        };
        let mut loader = Self {
            queues: Vec::new(),
            next: 0,
            stop: Arc::clone(&stop),
            ahead: ahead.clone(),
            workers: Vec::new(),
        };
        if let Some(ahead) = &ahead {
            let (ahead, maker, sampler) = (Arc::clone(ahead), Arc::clone(&maker), Arc::clone(&sampler));
            let work = move || ahead.run(maker.set(), &sampler, range, |path| ArchiveReader::open(path));
            loader.workers.push(spawn("archives".into(), Box::new(work))?);
        }
        for worker in 0..workers {
            let (sender, receiver) = sync_channel(prefetch.max(1));
            loader.queues.push(receiver);
            let (maker, sampler) = (Arc::clone(&maker), Arc::clone(&sampler));
            let (stop, ahead) = (Arc::clone(&stop), ahead.clone());
            let work = move || {
                let mut scratch = Scratch::default();
                let job = Job { maker: &maker, sampler: &sampler, range, ahead: ahead.as_deref(), workers };
                job.make_batches(worker, &mut scratch, |batch| {
                    let failed = batch.is_err();
                    // A closed queue means that the run has ended.
                    if sender.send(batch).is_err() || failed || stop.load(Ordering::Relaxed) {
                        return ControlFlow::Break(());
                    }
                    ControlFlow::Continue(())
                });
            };
            loader.workers.push(spawn(format!("loader-{worker}"), Box::new(work))?);
        }
        Ok(loader)
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

/// What the workers share.
#[derive(Clone, Copy)]
pub(crate) struct Job<'a> {
    pub(crate) maker: &'a BatchMaker,
    pub(crate) sampler: &'a Sampler,
    pub(crate) range: BatchRange,
    /// Where the recordings of archives come from; `None` where each crop is read at its place.
    pub(crate) ahead: Option<&'a ReadAhead>,
    /// How many there are.
    pub(crate) workers: usize,
}

impl Job<'_> {
    /// Makes the batches of worker `worker`, in order, for `receive`, until it breaks or all are made.
    pub(crate) fn make_batches(
        &self,
        worker: usize,
        scratch: &mut Scratch,
        mut receive: impl FnMut(Result<Batch>) -> ControlFlow<()>,
    ) {
        let Self { maker, sampler, range, ahead, workers } = *self;
        let mut plan: Option<(u32, EpochPlan)> = None;
        for batch in (range.first + worker..range.last).step_by(workers) {
            let (epoch, index) = (batch / range.per_epoch, batch % range.per_epoch);
            let epoch = if range.first_epoch_only { 0 } else { epoch as u32 };
            let (_, plan) = match plan.take().filter(|(planned, _)| *planned == epoch) {
                Some(known) => plan.insert(known),
                None => plan.insert((epoch, sampler.plan(epoch))),
            };
            let first = (batch * sampler.batch_size()) as u64;
            let held = |place| ahead.and_then(|ahead| ahead.take(first + place as u64));
            if receive(maker.make_of(epoch, plan.batch(index), held, scratch)).is_break() {
                return;
            }
        }
    }
}

impl Drop for DataLoader {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        if let Some(ahead) = &self.ahead {
            ahead.stop();
        }
        self.queues.clear();
        for worker in self.workers.drain(..) {
            let _ = worker.join();
        }
    }
}
