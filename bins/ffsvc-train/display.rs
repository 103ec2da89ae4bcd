//! Shows a run to a person.

use std::time::Instant;

use ffsvc_cli::Progress;
use ffsvc_trainer::{Event, Observer, Pace, StepMeans, ValidationResult, time_in_words};

/// Steps that are timed to say how long the run takes.
const TIMED_STEPS: usize = 5;

/// A bar on a terminal, a line every so often elsewhere, and a line for each epoch.
#[derive(Default)]
pub(crate) struct Display {
    total_steps: usize,
    epochs: usize,
    bar: Option<Progress>,
    step_utterances: usize,
    /// Over the steps since the last line about steps, or since the epoch began.
    means: StepMeans,
    /// What was learnt in an epoch that is not validated yet.
    epoch: Option<EpochLine>,
    best_eer: Option<f64>,
    /// The end of a step, and its number: the first step is slower than those after it.
    timed_from: Option<(Instant, usize)>,
    is_timed: bool,
}

/// An epoch's line before its validation.
struct EpochLine {
    name: String,
    learnt: String,
    /// Learning rate and speed.
    after: String,
}

impl EpochLine {
    fn with(&self, validation: &str) -> String {
        let Self { name, learnt, after } = self;
        format!("{name}: {learnt}{validation}; {after}")
    }
}

impl Display {
    fn say(&self, line: &str) {
        match &self.bar {
            Some(bar) => bar.println(line),
            None => eprintln!("{line}"),
        }
    }

    /// After some steps without anything between them, how long the run will take.
    fn time(&mut self, step: usize) {
        let Some((begun, first)) = self.timed_from else {
            self.timed_from = Some((Instant::now(), step));
            return;
        };
        if step == first + TIMED_STEPS && !self.is_timed && step < self.total_steps {
            self.is_timed = true;
            let step_seconds = begun.elapsed().as_secs_f64() / TIMED_STEPS as f64;
            let pace = Pace { step_seconds, step_utterances: self.step_utterances };
            let left = self.total_steps - step;
            self.say(&format!("about {}", pace.describe(left, " that are left", self.epochs)));
        }
    }

    fn step(&mut self, event: &Event, step: usize, epoch: usize, learning_rate: f64) {
        let Some(bar) = &self.bar else { return };
        self.means.add(event, self.step_utterances);
        let means = &self.means;
        let loss = means.loss().unwrap_or(f64::NAN);
        let learnt = learnt(loss, means.teacher_loss().is_some(), means.accuracy());
        let mut message = format!("epoch {epoch}, {learnt}, lr {learning_rate:.1e}");
        if let (Some(speed), Some(wait)) = (means.utterances_per_s(), means.data_wait()) {
            message += &format!(", {speed:.0} utt/s, data wait {:.0} %", 100.0 * wait);
        }
        bar.set_message(message);
        if bar.inc_shown(1) {
            self.means = StepMeans::default();
        }
        self.time(step);
    }

    /// Says what came of the epoch before, if nothing has been said about it.
    fn end_epoch(&mut self, validation: &str) {
        if let Some(line) = self.epoch.take() {
            self.say(&line.with(validation));
        }
    }

    fn validation(&mut self, result: &ValidationResult) {
        let rates = |eer: f64, min_dcf: f64| format!("EER {:.3} %, minDCF {min_dcf:.4}", 100.0 * eer);
        let mut line = rates(result.eer, result.min_dcf);
        if self.best_eer.is_some_and(|best| result.eer < best) {
            line += " (the best so far)";
        }
        self.best_eer = Some(self.best_eer.map_or(result.eer, |best| best.min(result.eer)));
        for (name, list) in &result.lists {
            line += &format!("; {name} {}", rates(list.eer, list.min_dcf));
        }
        self.timed_from = None;
        match self.epoch {
            Some(_) => self.end_epoch(&format!(", {line}")),
            // Before the first step, or after a run that was stopped before its last validation.
            None => self.say(&format!("epoch {}: {line}", result.epoch)),
        }
    }
}

/// Loss, and accuracy where there are classes.
fn learnt(loss: f64, has_teacher: bool, accuracy: Option<f64>) -> String {
    // A teacher's loss is a small number.
    let digits = if has_teacher { 4 } else { 2 };
    let accuracy = accuracy.map_or(String::new(), |share| format!(", accuracy {:.1} %", 100.0 * share));
    format!("loss {loss:.digits$}{accuracy}")
}

impl Observer for Display {
    fn event(&mut self, event: &Event) {
        match event {
            Event::Start {
                step,
                steps_per_epoch,
                epochs,
                utterances,
                step_utterances,
                speakers,
                parameters,
                best_eer,
                ..
            } => {
                (self.epochs, self.step_utterances) = (*epochs, *step_utterances);
                self.best_eer = self.best_eer.or(*best_eer);
                self.total_steps = steps_per_epoch * epochs;
                let bar = Progress::begin(self.total_steps as u64, "steps");
                bar.begin_after(*step as u64);
                self.bar = Some(bar);
                let speakers = match speakers {
                    0 => "without labels".into(),
                    _ => format!("of {speakers} speakers"),
                };
                self.say(&format!(
                    "{utterances} utterances {speakers}, {parameters} parameters, \
                     {epochs} epochs of {steps_per_epoch} steps, {step} done"
                ));
            }
            Event::Step { step, epoch, learning_rate, .. } => {
                self.end_epoch("");
                self.step(event, *step, *epoch, *learning_rate);
            }
            Event::Epoch {
                epoch,
                loss,
                teacher_loss,
                accuracy,
                learning_rate,
                utterances_per_s,
                data_wait,
                seconds,
                ..
            } => {
                self.means = StepMeans::default();
                self.epoch = Some(EpochLine {
                    name: format!("epoch {epoch}/{}", self.epochs),
                    learnt: learnt(*loss, teacher_loss.is_some(), *accuracy),
                    after: format!(
                        "lr {learning_rate:.1e}, {utterances_per_s:.0} utt/s, data wait {:.0} %, {}",
                        100.0 * data_wait,
                        time_in_words(*seconds)
                    ),
                });
            }
            Event::Validation(result) => self.validation(result),
            Event::Checkpoint { path, .. } => {
                self.timed_from = None;
                tracing::info!("checkpoint {}", path.display());
            }
            Event::End { step, interrupted } => {
                self.end_epoch("");
                if *interrupted {
                    self.say(&format!("stopped after step {step} of {}; --resume goes on", self.total_steps));
                }
            }
            // It is warned of where it happens.
            Event::ValidationFailed { .. } => self.end_epoch(", no validation"),
            Event::CropPlans { .. } => {}
        }
    }
}

impl Drop for Display {
    fn drop(&mut self) {
        if let Some(bar) = self.bar.take() {
            bar.finish();
        }
    }
}
