//! Means over steps of a run: one batch's numbers jump.

use crate::event::Event;

/// What the steps of a part of a run, such as an epoch, have on average.
///
/// ```
/// use ffsvc_trainer::{Event, StepMeans};
///
/// let mut means = StepMeans::default();
/// for (step, loss, utterances_per_s, data_wait) in [(1, 3.0, 64.0, 0.0), (2, 2.0, 32.0, 0.5)] {
///     let (learning_rate, margin, teacher_loss, accuracy) = (0.1, None, None, None);
///     let epoch = 1;
///     means.add(
///         &Event::Step { step, epoch, loss, teacher_loss, accuracy, learning_rate, margin, utterances_per_s, data_wait },
///         64,
///     );
/// }
/// assert_eq!(means.loss(), Some(2.5));
/// // 128 utterances in 1 and 2 seconds, one of which was spent waiting.
/// assert_eq!(means.utterances_per_s(), Some(128.0 / 3.0));
/// assert_eq!(means.data_wait(), Some(1.0 / 3.0));
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct StepMeans {
    steps: usize,
    loss: f64,
    /// Of how many steps, and their sum.
    teacher_loss: (usize, f64),
    /// Of how many utterances, and how many of them are right.
    accuracy: (f64, f64),
    utterances: f64,
    seconds: f64,
    waited: f64,
}

impl StepMeans {
    /// Adds a step of so many utterances. Other events change nothing.
    pub fn add(&mut self, event: &Event, utterances: usize) {
        let Event::Step { loss, teacher_loss, accuracy, utterances_per_s, data_wait, .. } = event else {
            return;
        };
        let utterances = utterances as f64;
        self.steps += 1;
        self.loss += f64::from(*loss);
        if let Some(loss) = teacher_loss {
            self.teacher_loss.0 += 1;
            self.teacher_loss.1 += f64::from(*loss);
        }
        if let Some(share) = accuracy {
            self.accuracy.0 += utterances;
            self.accuracy.1 += share * utterances;
        }
        let seconds = utterances / utterances_per_s;
        if seconds.is_finite() {
            self.utterances += utterances;
            self.seconds += seconds;
            self.waited += data_wait * seconds;
        }
    }

    /// Number of steps.
    pub fn steps(&self) -> usize {
        self.steps
    }

    /// Mean loss of the steps.
    pub fn loss(&self) -> Option<f64> {
        mean(self.loss, self.steps as f64)
    }

    /// Mean of the teacher's part of the loss, where there is a teacher.
    pub fn teacher_loss(&self) -> Option<f64> {
        mean(self.teacher_loss.1, self.teacher_loss.0 as f64)
    }

    /// Share of the utterances whose own speaker has the best score, where the head has classes.
    pub fn accuracy(&self) -> Option<f64> {
        mean(self.accuracy.1, self.accuracy.0)
    }

    /// Seconds that the steps took.
    pub fn seconds(&self) -> f64 {
        self.seconds
    }

    /// Utterances a second.
    pub fn utterances_per_s(&self) -> Option<f64> {
        mean(self.utterances, self.seconds)
    }

    /// Share of the time that was spent waiting for data.
    pub fn data_wait(&self) -> Option<f64> {
        mean(self.waited, self.seconds)
    }
}

fn mean(sum: f64, count: f64) -> Option<f64> {
    (count > 0.0).then(|| sum / count)
}
