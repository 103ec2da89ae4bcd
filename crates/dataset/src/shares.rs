//! What augmentation does to how many crops.

use ffsvc_augment::{NoiseKind, Plan, Reverb};
use serde::Serialize;

use crate::augmentation::Augmentation;
use crate::training_set::TrainingUtterance;

/// The share of crops to which something is done.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct AugmentedShare {
    /// What is done: `simulated room`, `noise`, ...; `nothing` for crops that stay as they are.
    pub what: &'static str,
    /// Of all crops, 0 to 1.
    pub share: f64,
}

/// Crops that are counted.
const CROPS: usize = 10_000;

/// Something that a plan may do.
type Step = (&'static str, fn(&Plan) -> bool);

const STEPS: [Step; 10] = [
    ("other speed", |plan| plan.speed != 1.0),
    ("measured room", |plan| matches!(plan.reverb, Some(Reverb::File { .. }))),
    ("simulated room", |plan| matches!(plan.reverb, Some(Reverb::Simulated(_)))),
    ("noise", |plan| has(plan, NoiseKind::Noise)),
    ("music", |plan| has(plan, NoiseKind::Music)),
    ("babble", |plan| has(plan, NoiseKind::Babble)),
    ("gain or clipping", |plan| plan.channel.gain_db.is_some() || plan.channel.clip.is_some()),
    ("telephone", |plan| plan.channel.telephone_band),
    ("masks", |plan| !plan.masks.is_empty()),
    ("nothing", |plan| *plan == Plan { compat: plan.compat, ..Plan::default() }),
];

fn has(plan: &Plan, kind: NoiseKind) -> bool {
    plan.noises.iter().any(|noise| noise.kind == kind)
}

impl Augmentation {
    /// What is done to how many of the crops, counted over the plans of 10,000 crops of `utterances` in the first epochs. What
    /// is never done is left out.
    pub fn shares(
        &self,
        utterances: &[TrainingUtterance],
        num_mels: usize,
        num_frames: usize,
    ) -> Vec<AugmentedShare> {
        let mut counts = [0usize; STEPS.len()];
        for (number, utterance) in utterances.iter().cycle().take(CROPS).enumerate() {
            let epoch = (number / utterances.len()) as u32;
            let plan = self.plan(utterance, 0, epoch, num_mels, num_frames);
            for (count, (_, is_done)) in counts.iter_mut().zip(STEPS) {
                *count += usize::from(is_done(&plan));
            }
        }
        let shares = STEPS.iter().zip(counts).filter(|(_, count)| *count > 0);
        shares.map(|((what, _), count)| AugmentedShare { what, share: count as f64 / CROPS as f64 }).collect()
    }
}
