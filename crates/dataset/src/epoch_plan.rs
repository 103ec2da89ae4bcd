//! The batches of an epoch, and in which order their recordings are read.

use std::ops::Range;

/// One utterance of a batch.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Draw {
    /// Index into the training set.
    pub utterance: u32,
    /// How often it was drawn before in this epoch: each time gives another crop.
    pub repetition: u32,
}

/// The batches of one epoch.
#[derive(Debug, Clone)]
pub struct EpochPlan {
    pub(crate) draws: Vec<Draw>,
    pub(crate) batch_size: usize,
    /// Utterances of each data directory in a batch.
    pub(crate) quotas: Vec<usize>,
    /// With a shuffle buffer, when each draw goes into it: a number that counts the readings of its data directory.
    pub(crate) read_at: Vec<u32>,
}

/// A draw whose recording is to be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Reading {
    /// Which draw of the epoch.
    pub(crate) draw: usize,
    /// Which data directory it is from.
    pub(crate) domain: usize,
}

impl EpochPlan {
    /// Batches in the epoch.
    pub fn num_batches(&self) -> usize {
        self.draws.len() / self.batch_size
    }

    /// The utterances of batch `index`.
    pub fn batch(&self, index: usize) -> &[Draw] {
        &self.draws[index * self.batch_size..(index + 1) * self.batch_size]
    }

    /// The draws of `batches` in the order in which their recordings go into the shuffle buffers, each as late as the draws
    /// allow. Recordings of a data directory that come before others in its archives do so here.
    pub(crate) fn readings(&self, batches: Range<usize>) -> Vec<Reading> {
        let draws = batches.start * self.batch_size..batches.end * self.batch_size;
        let mut waiting = vec![Vec::new(); self.quotas.len()];
        for draw in draws.clone() {
            waiting[self.domain_of(draw)].push((self.read_at[draw], draw));
        }
        let sorted = waiting.into_iter().map(|mut draws| {
            draws.sort_unstable();
            draws.into_iter().peekable()
        });
        let mut waiting: Vec<_> = sorted.collect();
        let mut readings = Vec::with_capacity(draws.len());
        for draw in draws {
            let domain = self.domain_of(draw);
            while let Some((_, draw)) = waiting[domain].next_if(|(at, _)| *at <= self.read_at[draw]) {
                readings.push(Reading { draw, domain });
            }
        }
        readings
    }

    /// Which data directory a draw is from.
    fn domain_of(&self, draw: usize) -> usize {
        let place = draw % self.batch_size;
        let ends = self.quotas.iter().scan(0, |end, quota| {
            *end += quota;
            Some(*end)
        });
        ends.take_while(|end| *end <= place).count()
    }
}
