//! What a run says about its steps. A device that works on its own is not waited for: what came of a step is read after the
//! next one has been given to it.

use std::time::Instant;

use ffsvc_dataset::TrainingSet;

use crate::error::Result;
use crate::event::Event;
use crate::learner::{PendingOutput, StepContext, StepOutput};

/// Reads steps in their order, and adds them up.
#[derive(Debug)]
pub(crate) struct StepReports {
    /// Whether a step is read after the next one has begun.
    late: bool,
    steps_per_epoch: usize,
    in_flight: Option<(StepContext, PendingOutput)>,
    /// When the last step was read, or the first one began.
    since: Instant,
    /// Seconds since then that were spent waiting for batches.
    waited: f64,
    totals: EpochTotals,
}

/// Sums over the steps of an epoch.
#[derive(Debug, Default)]
struct EpochTotals {
    steps: usize,
    loss: f64,
    correct: Option<usize>,
    utterances: usize,
}

impl StepReports {
    pub(crate) fn new(steps_per_epoch: usize, late: bool) -> Self {
        Self {
            late,
            steps_per_epoch,
            in_flight: None,
            since: Instant::now(),
            waited: 0.0,
            totals: EpochTotals::default(),
        }
    }

    /// What `batches` returns, which makes the batches of the next step. The time counts as waiting.
    pub(crate) fn wait_for<T>(&mut self, batches: impl FnOnce() -> T) -> T {
        let begun = Instant::now();
        if self.in_flight.is_none() {
            self.restart(begun);
        }
        let made = batches();
        self.waited += begun.elapsed().as_secs_f64();
        made
    }

    /// A step has been given to the device. Returns the event of the step that can be read now: this one, or the one before.
    ///
    /// # Errors
    /// A loss that is not finite.
    pub(crate) fn add(
        &mut self,
        context: StepContext,
        output: PendingOutput,
        set: &TrainingSet,
    ) -> Result<Option<Event>> {
        let before = self.in_flight.replace((context, output));
        let due = if self.late { before } else { self.in_flight.take() };
        due.map(|step| self.read(step, set)).transpose()
    }

    /// The event of the last step, if it has not been read: before its weights are written or measured.
    ///
    /// # Errors
    /// A loss that is not finite.
    pub(crate) fn finish(&mut self, set: &TrainingSet) -> Result<Option<Event>> {
        let last = self.in_flight.take();
        last.map(|step| self.read(step, set)).transpose()
    }

    /// Mean loss of the epoch's steps, and share of its crops whose own class had the best score.
    pub(crate) fn means(&self) -> (Option<f64>, Option<f64>) {
        let mean = |sum: f64, count: usize| (count > 0).then(|| sum / count as f64);
        let EpochTotals { steps, loss, correct, utterances } = self.totals;
        (mean(loss, steps), correct.and_then(|correct| mean(correct as f64, utterances)))
    }

    fn read(&mut self, (context, output): (StepContext, PendingOutput), set: &TrainingSet) -> Result<Event> {
        let output = output.read(set)?;
        let seconds = self.since.elapsed().as_secs_f64();
        let data_wait = self.waited / seconds;
        self.restart(Instant::now());
        if context.step.is_multiple_of(self.steps_per_epoch) {
            self.totals = EpochTotals::default();
        }
        self.totals.add(&output);
        Ok(Event::Step {
            step: context.step + 1,
            epoch: context.epoch + 1,
            loss: output.loss,
            teacher_loss: output.teacher_loss,
            accuracy: output.correct.map(|correct| correct as f64 / output.utterances as f64),
            learning_rate: context.learning_rate,
            margin: context.margin,
            utterances_per_s: output.utterances as f64 / seconds,
            data_wait,
        })
    }

    fn restart(&mut self, at: Instant) {
        self.since = at;
        self.waited = 0.0;
    }
}

impl EpochTotals {
    fn add(&mut self, output: &StepOutput) {
        self.steps += 1;
        self.loss += f64::from(output.loss);
        if let Some(correct) = output.correct {
            *self.correct.get_or_insert(0) += correct;
        }
        self.utterances += output.utterances;
    }
}
