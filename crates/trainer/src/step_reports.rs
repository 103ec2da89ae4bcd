//! What a run says about its steps. A device that works on its own is not waited for: what came of a step is read after the
//! next one has been given to it.

use std::time::Instant;

use ffsvc_dataset::TrainingSet;

use crate::error::Result;
use crate::event::Event;
use crate::learner::{PendingOutput, StepContext};
use crate::step_means::StepMeans;

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
    /// Over the steps of the epoch.
    means: StepMeans,
    /// The last step that was read.
    last: Option<StepContext>,
}

impl StepReports {
    pub(crate) fn new(steps_per_epoch: usize, late: bool) -> Self {
        Self {
            late,
            steps_per_epoch,
            in_flight: None,
            since: Instant::now(),
            waited: 0.0,
            means: StepMeans::default(),
            last: None,
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

    /// Means over the epoch's steps that were read.
    pub(crate) fn means(&self) -> &StepMeans {
        &self.means
    }

    /// The event of the end of an epoch, whose last step was read.
    pub(crate) fn epoch(&self) -> Option<Event> {
        let StepContext { step, epoch, learning_rate, margin, .. } = self.last?;
        Some(Event::Epoch {
            epoch: epoch + 1,
            step: step + 1,
            steps: self.means.steps(),
            loss: self.means.loss()?,
            teacher_loss: self.means.teacher_loss(),
            accuracy: self.means.accuracy(),
            learning_rate,
            margin,
            utterances_per_s: self.means.utterances_per_s()?,
            data_wait: self.means.data_wait()?,
            seconds: self.means.seconds(),
        })
    }

    fn read(&mut self, (context, output): (StepContext, PendingOutput), set: &TrainingSet) -> Result<Event> {
        let output = output.read(set)?;
        let seconds = self.since.elapsed().as_secs_f64();
        let data_wait = self.waited / seconds;
        self.restart(Instant::now());
        if context.step.is_multiple_of(self.steps_per_epoch) {
            self.means = StepMeans::default();
        }
        self.last = Some(context);
        let event = Event::Step {
            step: context.step + 1,
            epoch: context.epoch + 1,
            loss: output.loss,
            teacher_loss: output.teacher_loss,
            accuracy: output.correct.map(|correct| correct as f64 / output.utterances as f64),
            learning_rate: context.learning_rate,
            margin: context.margin,
            utterances_per_s: output.utterances as f64 / seconds,
            data_wait,
        };
        self.means.add(&event, output.utterances);
        Ok(event)
    }

    fn restart(&mut self, at: Instant) {
        self.since = at;
        self.waited = 0.0;
    }
}
