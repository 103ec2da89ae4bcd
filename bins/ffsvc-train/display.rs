//! Shows a run to a person.

use std::time::Instant;

use ffsvc_cli::Progress;
use ffsvc_trainer::{Event, Observer, Pace};

/// Steps that are timed to say how long the run takes.
const TIMED_STEPS: usize = 5;

/// A bar on a terminal, a line every so often elsewhere.
#[derive(Default)]
pub(crate) struct Display {
    total_steps: usize,
    epochs: usize,
    bar: Option<Progress>,
    step_utterances: usize,
    /// The end of a step, and its number: the first step is slower than those after it.
    timed_from: Option<(Instant, usize)>,
    is_timed: bool,
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
                ..
            } => {
                (self.epochs, self.step_utterances) = (*epochs, *step_utterances);
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
            Event::Step {
                step,
                epoch,
                loss,
                teacher_loss,
                accuracy,
                learning_rate,
                utterances_per_s,
                data_wait,
                ..
            } => {
                let Some(bar) = &self.bar else { return };
                // A teacher's loss is a small number.
                let digits = if teacher_loss.is_some() { 4 } else { 2 };
                let accuracy =
                    accuracy.map_or(String::new(), |share| format!("  accuracy {:.0} %", 100.0 * share));
                bar.set_message(format!(
                    "epoch {epoch}  loss {loss:.digits$}{accuracy}  lr {learning_rate:.1e}  \
                     {utterances_per_s:.0} utt/s  data wait {:.0} %",
                    100.0 * data_wait
                ));
                bar.inc(1);
                self.time(*step);
            }
            Event::Validation(result) => {
                let rates = |eer: f64, min_dcf: f64| format!("EER {:.3} %, minDCF {min_dcf:.4}", 100.0 * eer);
                let lists = result.lists.iter();
                let lists: String =
                    lists.map(|(name, list)| format!("; {name} {}", rates(list.eer, list.min_dcf))).collect();
                self.timed_from = None;
                self.say(&format!("epoch {}: {}{lists}", result.epoch, rates(result.eer, result.min_dcf)));
            }
            Event::Checkpoint { path, .. } => {
                self.timed_from = None;
                tracing::info!("checkpoint {}", path.display());
            }
            Event::End { step, interrupted: true } => {
                self.say(&format!("stopped after step {step} of {}; --resume goes on", self.total_steps));
            }
            // It is warned of where it happens.
            Event::ValidationFailed { .. } | Event::End { .. } => {}
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
