//! Recordings of archives, in memory before their crops are made.

use std::collections::HashMap;
use std::io::{Read, Seek};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};

use ffsvc_audio::ArchiveReader;

use crate::data_loader::BatchRange;
use crate::sampler::Sampler;
use crate::stopwatch;
use crate::training_set::TrainingSet;

/// What one thread reads from archives, front to back, and the workers take. Draws are numbered over all batches of a run.
///
/// The thread reads in the order of [`EpochPlan::readings`](crate::EpochPlan) and waits while `most` recordings are here. Workers
/// wait for a recording that is not here yet. That ends, because `most` is the shuffle buffer and a batch at least: of what is
/// read before the last recording of the earliest unfinished batch, less than the buffer belongs to later batches.
#[derive(Debug)]
pub(crate) struct ReadAhead {
    most: usize,
    state: Mutex<State>,
    arrived: Condvar,
    taken: Condvar,
}

#[derive(Debug, Default)]
struct State {
    /// By their draws; `None` for one that could not be read.
    held: HashMap<u64, Option<Arc<[u8]>>>,
    /// Nothing will be added any more.
    is_over: bool,
}

impl ReadAhead {
    /// Room for the shuffle buffer of `sampler` and a batch for each of `workers`; `None` without a shuffle buffer.
    pub(crate) fn of(sampler: &Sampler, workers: usize) -> Option<Self> {
        let buffer = sampler.shuffle_buffer();
        let most = buffer + workers.max(1) * sampler.batch_size();
        let (state, arrived, taken) = Default::default();
        (buffer > 0).then_some(Self { most, state, arrived, taken })
    }

    /// The recording of a draw. Waits for it. `None` if it could not be read here: the worker tries and has the error.
    pub(crate) fn take(&self, draw: u64) -> Option<Arc<[u8]>> {
        let _stage = stopwatch::read();
        let mut state = self.state();
        loop {
            if let Some(recording) = state.held.remove(&draw) {
                self.taken.notify_one();
                return recording;
            }
            if state.is_over {
                return None;
            }
            state = self.arrived.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
    }

    /// Ends the reading. Whoever waits for a recording goes on without it.
    pub(crate) fn stop(&self) {
        self.state().is_over = true;
        self.arrived.notify_all();
        self.taken.notify_all();
    }

    /// Reads the recordings of the batches of `range`, until all are read or [`stop`](Self::stop). Recordings that are files of
    /// their own are left to the workers.
    pub(crate) fn run<R: Read + Seek>(
        &self,
        set: &TrainingSet,
        sampler: &Sampler,
        range: BatchRange,
        mut open: impl FnMut(&Path) -> ffsvc_audio::Result<ArchiveReader<R>>,
    ) {
        // Also where a panic ends it.
        let _over = Over(self);
        // Of each data directory.
        let mut archives: Vec<Option<(PathBuf, ArchiveReader<R>)>> =
            set.domains.iter().map(|_| None).collect();
        let mut batch = range.first;
        while batch < range.last {
            let epoch = batch / range.per_epoch;
            let begin = epoch * range.per_epoch;
            let end = begin.saturating_add(range.per_epoch).min(range.last);
            let plan = sampler.plan(if range.first_epoch_only { 0 } else { epoch as u32 });
            let before = (begin * sampler.batch_size()) as u64;
            for reading in plan.readings(batch - begin..end - begin) {
                let utterance = plan.draws[reading.draw].utterance;
                let wav = &set.utterances[utterance as usize].source.wav;
                let Some((path, offset)) = wav.place() else { continue };
                let archive = &mut archives[reading.domain];
                if archive.as_ref().is_none_or(|(opened, _)| opened != path) {
                    *archive = open(path).ok().map(|opened| (path.to_path_buf(), opened));
                }
                let recording = archive.as_mut().and_then(|(_, archive)| archive.recording(offset).ok());
                if !self.put(before + reading.draw as u64, recording) {
                    return;
                }
            }
            batch = end;
        }
    }

    /// Waits for room. Returns whether there is more to do.
    fn put(&self, draw: u64, recording: Option<Arc<[u8]>>) -> bool {
        let mut state = self.state();
        while state.held.len() >= self.most && !state.is_over {
            state = self.taken.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
        if state.is_over {
            return false;
        }
        state.held.insert(draw, recording);
        drop(state);
        self.arrived.notify_all();
        true
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Stops the reading when it is dropped.
pub(crate) struct Over<'a>(pub(crate) &'a ReadAhead);

impl Drop for Over<'_> {
    fn drop(&mut self) {
        self.0.stop();
    }
}

#[cfg(test)]
mod tests {
    use std::io::{self, Cursor, SeekFrom};

    use ffsvc_kaldi_io::WavSource;
    use proptest::prelude::*;

    use super::*;
    use crate::domains::TrainingDomain;

    /// Notes the reads of archives: which, and where.
    type Reads = Mutex<Vec<(usize, u64)>>;

    struct Watched<'a> {
        number: usize,
        bytes: Cursor<Vec<u8>>,
        reads: &'a Reads,
    }

    impl Read for Watched<'_> {
        fn read(&mut self, bytes: &mut [u8]) -> io::Result<usize> {
            self.reads.lock().unwrap().push((self.number, self.bytes.position()));
            self.bytes.read(bytes)
        }
    }

    impl Seek for Watched<'_> {
        fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
            self.bytes.seek(to)
        }
    }

    /// What utterance `number` has for a recording.
    fn content(number: u32) -> Vec<u8> {
        number.to_le_bytes().repeat(50)
    }

    /// Data directories of archives with so many utterances each, and the archives' bytes.
    fn archives(domains: &[Vec<usize>]) -> (TrainingSet, Vec<Vec<u8>>) {
        let (mut utterances, mut files) = (Vec::new(), Vec::<Vec<u8>>::new());
        for &count in domains.iter().flatten() {
            let mut bytes = Vec::new();
            for _ in 0..count {
                let content = content(utterances.len() as u32);
                bytes.extend_from_slice(b"key ");
                let source = WavSource::parse(&format!("{}:{}", files.len(), bytes.len())).into();
                let id = utterances.len().to_string();
                utterances.push(crate::TrainingUtterance { id, source, label: 0 });
                bytes.extend_from_slice(&[b"AUDIO\x01", &[content.len() as u8][..], &content].concat());
            }
            files.push(bytes);
        }
        let domain = |counts: &Vec<usize>| {
            let utterances = counts.iter().sum();
            TrainingDomain { path: "d".into(), share: utterances as f64, utterances }
        };
        let domains = domains.iter().map(domain).collect();
        let (speakers, read) = (Vec::new(), Default::default());
        (TrainingSet { utterances, speakers, has_speakers: false, domains, read }, files)
    }

    /// Lets `workers` take the recordings of all batches of `range`, and looks at each. Gives the reads, and the most that was
    /// held.
    fn take_all(
        (set, files): &(TrainingSet, Vec<Vec<u8>>),
        sampler: &Sampler,
        range: BatchRange,
        workers: usize,
    ) -> (Vec<(usize, u64)>, usize) {
        let ahead = ReadAhead::of(sampler, workers).unwrap();
        let (reads, most) = (Reads::default(), Mutex::new(0));
        let open = |path: &Path| {
            let number: usize = path.to_str().unwrap().parse().unwrap();
            let source = Watched { number, bytes: Cursor::new(files[number].clone()), reads: &reads };
            Ok(ArchiveReader::new(path, source, files[number].len() as u64))
        };
        let work = |worker: usize| {
            for batch in (range.first + worker..range.last).step_by(workers) {
                let plan = sampler.plan((batch / range.per_epoch) as u32);
                let first = (batch * sampler.batch_size()) as u64;
                for (draw, place) in plan.batch(batch % range.per_epoch).iter().zip(0..) {
                    let held = ahead.state().held.len();
                    let mut most = most.lock().unwrap();
                    *most = held.max(*most);
                    drop(most);
                    assert_eq!(*ahead.take(first + place).unwrap(), content(draw.utterance));
                }
            }
        };
        std::thread::scope(|scope| {
            let work = &work;
            (0..workers).for_each(|worker| drop(scope.spawn(move || work(worker))));
            ahead.run(set, sampler, range, open);
        });
        assert!(ahead.state().held.is_empty());
        (reads.into_inner().unwrap(), most.into_inner().unwrap())
    }

    fn sampler(set: &TrainingSet, config: &str, batch_size: usize) -> Sampler {
        Sampler::new(&toml::from_str(config).unwrap(), set, batch_size, 1, 5).unwrap()
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]
        #[test]
        fn every_worker_gets_its_recordings_and_memory_is_bounded(
            domains in prop::collection::vec(prop::collection::vec(1_usize..30, 1..6), 1..3),
            (buffer, batch, workers) in (1_usize..40, 2_usize..9, 1_usize..5),
            (first, more) in (0_usize..40, 1_usize..40),
        ) {
            let data = archives(&domains);
            // A share that is less than an utterance of a batch is refused elsewhere.
            let config = toml::from_str(&format!("shuffle_buffer = {buffer}")).unwrap();
            let Ok(sampler) = Sampler::new(&config, &data.0, batch, 1, 5) else { return Ok(()) };
            let per_epoch = sampler.num_batches();
            let range = BatchRange { first, last: first + more, per_epoch, first_epoch_only: false };
            let (_, most) = take_all(&data, &sampler, range, workers);
            prop_assert!(most <= sampler.shuffle_buffer() + workers * sampler.batch_size());
            prop_assert!(sampler.shuffle_buffer() < buffer + domains.len());
        }
    }

    #[test]
    fn an_epoch_reads_each_archive_once_from_its_beginning_to_its_end() {
        let data = archives(&[vec![10; 12]]);
        let sampler = sampler(&data.0, "shuffle_buffer = 25", 10);
        let per_epoch = sampler.num_batches();
        for (first, last, epochs) in [(0, per_epoch, 1), (0, 3 * per_epoch, 3), (per_epoch, 2 * per_epoch, 1)]
        {
            let range = BatchRange { first, last, per_epoch, first_epoch_only: false };
            let (reads, _) = take_all(&data, &sampler, range, 3);
            let runs: Vec<_> = reads.chunk_by(|a, b| a.0 == b.0).collect();
            // Twelve archives in each epoch, fewer where one ends with the archive that the next begins with.
            assert!((12 * epochs - epochs + 1..=12 * epochs).contains(&runs.len()), "{runs:?}");
            assert!(epochs > 1 || runs.iter().all(|run| run.is_sorted()), "{runs:?}");
            // The beginning of each archive has the key of its first recording.
            assert_eq!(reads.iter().filter(|(_, place)| *place == 4).count(), 12 * epochs);
        }
    }

    #[test]
    fn a_resumed_run_reads_no_archive_that_is_over() {
        let data = archives(&[vec![10; 20]]);
        let sampler = sampler(&data.0, "shuffle_buffer = 10", 10);
        let range = BatchRange { first: 15, last: 20, per_epoch: 20, first_epoch_only: false };
        let (reads, _) = take_all(&data, &sampler, range, 1);
        let archives: std::collections::HashSet<usize> = reads.iter().map(|read| read.0).collect();
        assert!(archives.len() < 12, "{archives:?}");
    }

    #[test]
    fn nobody_waits_when_the_reading_has_ended() {
        let data = archives(&[vec![10; 3]]);
        let sampler = sampler(&data.0, "shuffle_buffer = 10", 5);
        let ahead = ReadAhead::of(&sampler, 1).unwrap();
        let range = BatchRange { first: 0, last: 6, per_epoch: 6, first_epoch_only: false };
        std::thread::scope(|scope| {
            let reader = scope.spawn(|| {
                ahead.run(&data.0, &sampler, range, |path| ArchiveReader::open(path.join("nowhere")));
            });
            // An archive that cannot be read: the worker is to try.
            assert_eq!(ahead.take(0), None);
            let waiting = scope.spawn(|| ahead.take(1_000_000));
            ahead.stop();
            assert_eq!(waiting.join().unwrap(), None);
            reader.join().unwrap();
        });
        assert!(ReadAhead::of(&self::sampler(&data.0, "", 5), 1).is_none());
    }
}
