//! Views of a crop: what a network, its teacher or a second pass hears of the same samples.
//!
//! A crop is cut once. Each view starts from its samples and does something else to them, so that the views differ in the
//! room, the noise or the front end, and in nothing else. What is done is a [`CropPlan`] before it is done to any sample.

use std::fmt;

use ffsvc_augment::Plan;
use ffsvc_features::FrontEndConfig;
use serde::{Deserialize, Serialize};

/// What a view does to the samples of a crop.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum View {
    /// The crop as recorded. A change of speed stays, because it makes another voice.
    Recorded,
    /// The crop as section `[augment]` changes it. Views of different numbers are drawn independently; all have the speed of
    /// number 0.
    Augmented(u32),
}

impl fmt::Display for View {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Recorded => f.write_str("recorded"),
            Self::Augmented(number) => write!(f, "augmented {number}"),
        }
    }
}

/// A view beside the first one, with the front end that its features are for.
#[derive(Debug, Clone, PartialEq)]
pub struct FurtherView {
    /// What is done to the samples.
    pub view: View,
    /// From samples to features. Its sample rate is that of the first view's.
    pub front_end: FrontEndConfig,
}

/// Everything that is done to one crop. Displays as one line of JSON a view.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct CropPlan {
    /// The utterance that is cropped.
    pub utterance: String,
    /// Where the crop begins, as a share (0 to below 1) of the possible starts.
    pub place: f64,
    /// The views, the first one first.
    pub views: Vec<ViewPlan>,
}

/// What is done to the samples of one view.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ViewPlan {
    /// Which view.
    pub view: View,
    /// In this order: speed, room, noises, channel, masks.
    pub plan: Plan,
}

impl fmt::Display for CropPlan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for ViewPlan { view, plan } in &self.views {
            let plan = serde_json::to_string(plan).map_err(|_| fmt::Error)?;
            writeln!(f, "view\t{view} of {}: {plan}", self.utterance)?;
        }
        Ok(())
    }
}

/// The features of one view of each utterance of a batch.
#[derive(Debug, Clone, PartialEq)]
pub struct ViewFeatures {
    /// `[utterances, mels, frames]`, row-major.
    pub features: Vec<f32>,
    /// Rows of each feature matrix.
    pub num_mels: usize,
    /// Columns of each feature matrix.
    pub num_frames: usize,
}

impl ViewFeatures {
    /// Zeros for `utterances` feature matrices.
    pub(crate) fn zeros(utterances: usize, num_mels: usize, num_frames: usize) -> Self {
        Self { features: vec![0.0; utterances * num_mels * num_frames], num_mels, num_frames }
    }

    /// The matrix of one utterance.
    pub(crate) fn of(&mut self, utterance: usize) -> &mut [f32] {
        let size = self.num_mels * self.num_frames;
        &mut self.features[utterance * size..(utterance + 1) * size]
    }
}
