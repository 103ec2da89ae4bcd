//! How fast batches are made, and what takes the time.

use std::ops::ControlFlow;
use std::time::{Duration, Instant};

use ffsvc_audio::ArchiveReader;
use serde::Serialize;

use crate::batch_maker::{Batch, BatchMaker, Scratch};
use crate::data_loader::{BatchRange, Job};
use crate::error::{Error, Result};
use crate::read_ahead::{Over, ReadAhead};
use crate::sampler::Sampler;
use crate::stopwatch::{Stage, Stopwatch};

/// What a number of threads achieved.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct LoaderSpeed {
    /// Threads that made batches.
    pub threads: usize,
    /// Utterances made.
    pub utterances: usize,
    /// Utterances a second, all threads together.
    pub utterances_per_s: f64,
    /// The stages, in the order of the work.
    pub stages: Vec<StageSpeed>,
    /// The stage that takes the most time.
    pub bottleneck: &'static str,
}

/// One stage of a [`LoaderSpeed`].
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct StageSpeed {
    /// [`Stage::name`].
    pub stage: &'static str,
    /// Utterances a second if there were no other stage; `None` where it took no time.
    pub utterances_per_s: Option<f64>,
    /// Share of the time of all stages.
    pub share: f64,
}

/// Makes the batches of `sampler` as training does, on `threads` threads for about `duration`, after a
/// warm-up of a quarter of it that fills caches and is not counted. The batches are dropped.
///
/// # Errors
/// As [`BatchMaker::make`].
pub fn measure_loader(
    maker: &BatchMaker,
    sampler: &Sampler,
    threads: usize,
    duration: Duration,
) -> Result<LoaderSpeed> {
    let threads = threads.max(1);
    let warmed_up = make_for(maker, sampler, threads, duration / 4, 0)?;
    let steps = warmed_up.iter().map(|worker| worker.batches).max().unwrap_or(0) * threads;
    let workers = make_for(maker, sampler, threads, duration, steps)?;

    let mut seconds = [0.0; Stage::ALL.len()];
    for worker in &workers {
        seconds.iter_mut().zip(worker.seconds).for_each(|(sum, seconds)| *sum += seconds);
    }
    let utterances: usize = workers.iter().map(|worker| worker.utterances).sum();
    let busy: f64 = seconds.iter().sum();
    let stages = Stage::ALL.iter().zip(seconds).map(|(stage, seconds)| StageSpeed {
        stage: stage.name(),
        utterances_per_s: (seconds > 0.0).then(|| (threads * utterances) as f64 / seconds),
        share: seconds / busy,
    });
    let stages: Vec<_> = stages.collect();
    let slowest = stages.iter().max_by(|a, b| a.share.total_cmp(&b.share));
    Ok(LoaderSpeed {
        threads,
        utterances,
        // Threads end with their last batch, each at a time of its own.
        utterances_per_s: workers.iter().map(|worker| worker.utterances as f64 / worker.elapsed).sum(),
        bottleneck: slowest.map_or("", |stage| stage.stage),
        stages,
    })
}

/// What one thread did.
struct Worker {
    batches: usize,
    utterances: usize,
    elapsed: f64,
    seconds: [f64; Stage::ALL.len()],
}

fn make_for(
    maker: &BatchMaker,
    sampler: &Sampler,
    threads: usize,
    duration: Duration,
    first: usize,
) -> Result<Vec<Worker>> {
    let per_epoch = sampler.num_batches();
    let range = BatchRange { first, last: usize::MAX, per_epoch, first_epoch_only: false };
    let ahead = ReadAhead::of(sampler, threads);
    let job = Job { maker, sampler, range, ahead: ahead.as_ref(), workers: threads };
    let work = |worker: usize| {
        // The first to end ends the reading, which nobody may wait for then.
        let _over = ahead.as_ref().map(Over);
        let mut scratch = Scratch::default();
        let stopwatch = Stopwatch::new();
        let (mut batches, mut utterances, mut failure) = (0, 0, None);
        let begun = Instant::now();
        let receive = |batch: Result<Batch>| {
            match batch {
                Ok(batch) => utterances += batch.labels.len(),
                Err(error) => failure = Some(error),
            }
            batches += 1;
            let over = begun.elapsed() >= duration || failure.is_some();
            if over { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
        };
        tracing::subscriber::with_default(stopwatch.clone(), || {
            job.make_batches(worker, &mut scratch, receive);
        });
        match failure {
            Some(error) => Err(error),
            None => Ok(Worker {
                batches,
                utterances,
                elapsed: begun.elapsed().as_secs_f64(),
                seconds: stopwatch.seconds(),
            }),
        }
    };
    std::thread::scope(|scope| {
        let work = &work;
        if let Some(ahead) = &ahead {
            scope.spawn(move || ahead.run(maker.set(), sampler, range, |path| ArchiveReader::open(path)));
        }
        let threads: Vec<_> = (0..threads).map(|worker| scope.spawn(move || work(worker))).collect();
        threads.into_iter().map(|thread| thread.join().unwrap_or(Err(Error::WorkerLost))).collect()
    })
}
