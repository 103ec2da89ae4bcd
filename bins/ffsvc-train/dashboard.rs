//! `--tui`: Burn's dashboard in the terminal, with curves of the loss and of the validations.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use burn::train::Interrupter;
use burn::train::logger::TrainingProgressLogger;
use burn::train::metric::{
    MetricDefinition, MetricEntry, MetricId, NumericAttributes, NumericEntry, SerializedEntry,
};
use burn::train::renderer::tui::TuiMetricsRendererWrapper;
use burn::train::renderer::{MetricState, MetricsRenderer, MetricsRendererTraining};
use ffsvc_trainer::{Event, Observer};

/// Draws the events of a run. Stopping from the dashboard is like Ctrl-C.
pub(crate) struct Dashboard {
    renderer: TuiMetricsRendererWrapper,
    interrupter: Interrupter,
    stop: Arc<AtomicBool>,
    steps_per_epoch: usize,
}

/// A curve: its name, its unit, whether more is better.
type Curve = (&'static str, Option<&'static str>, bool);

const LOSS: Curve = ("Loss", None, false);
const ACCURACY: Curve = ("Accuracy", Some("%"), true);
const LEARNING_RATE: Curve = ("Learning rate", None, true);
const SPEED: Curve = ("Utterances/s", None, true);
const EER: Curve = ("EER", Some("%"), false);
const MIN_DCF: Curve = ("minDCF", None, false);

impl Dashboard {
    /// Takes the terminal until it is dropped.
    pub(crate) fn new(stop: Arc<AtomicBool>) -> Self {
        let interrupter = Interrupter::new();
        let mut renderer = TuiMetricsRendererWrapper::new(interrupter.clone(), None);
        for (name, unit, higher_is_better) in [LOSS, ACCURACY, LEARNING_RATE, SPEED, EER, MIN_DCF] {
            renderer.register_metric(MetricDefinition {
                metric_id: id(name),
                name: Arc::new(name.into()),
                description: None,
                attributes: NumericAttributes { unit: unit.map(Into::into), higher_is_better }.into(),
            });
        }
        Self { renderer, interrupter, stop, steps_per_epoch: 1 }
    }
}

fn id(name: &str) -> MetricId {
    MetricId::new(Arc::new(name.into()))
}

fn state((name, unit, _): Curve, value: f64) -> MetricState {
    let formatted = format!("{value:.4e} {}", unit.unwrap_or_default());
    let entry = SerializedEntry { formatted, serialized: value.to_string() };
    MetricState::Numeric(MetricEntry::new(id(name), entry), Some(NumericEntry::Value(value)))
}

impl Observer for Dashboard {
    fn event(&mut self, event: &Event) {
        match event {
            Event::Start { step, steps_per_epoch, epochs, .. } => {
                self.steps_per_epoch = *steps_per_epoch;
                let epoch = step / steps_per_epoch + 1;
                self.renderer.start(*epochs, epoch, Some(*steps_per_epoch), Some("ffsvc-train"));
                self.renderer.start_split("train", *steps_per_epoch);
            }
            Event::Step { step, epoch, loss, accuracy, learning_rate, utterances_per_s, .. } => {
                self.renderer.update_train(state(LOSS, f64::from(*loss)));
                if let Some(accuracy) = accuracy {
                    self.renderer.update_train(state(ACCURACY, 100.0 * accuracy));
                }
                self.renderer.update_train(state(LEARNING_RATE, *learning_rate));
                self.renderer.update_train(state(SPEED, *utterances_per_s));
                let in_epoch = (step - 1) % self.steps_per_epoch + 1;
                self.renderer.update_split(in_epoch);
                if in_epoch == self.steps_per_epoch {
                    self.renderer.end_split();
                    self.renderer.update_epoch(*epoch);
                    self.renderer.start_split("train", self.steps_per_epoch);
                }
            }
            Event::Validation(result) => {
                self.renderer.update_valid(state(EER, 100.0 * result.eer));
                self.renderer.update_valid(state(MIN_DCF, result.min_dcf));
            }
            Event::CropPlans { .. }
            | Event::Epoch { .. }
            | Event::ValidationFailed { .. }
            | Event::Checkpoint { .. } => {}
            Event::End { .. } => self.renderer.end(),
        }
        if self.interrupter.should_stop() {
            self.stop.store(true, Ordering::SeqCst);
        }
    }
}
