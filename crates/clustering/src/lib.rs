#![doc = include_str!("../README.md")]

pub mod ahc;
mod assignments;
mod content_order;
#[cfg(feature = "linfa")]
mod data_sets;
mod distance;
mod error;
mod groups;
mod kmeans;
pub mod knee;
mod labels;
mod lanes;
mod named_points;
mod points;
mod product;
pub mod quality;
mod sums;
mod sweep;
pub mod validity;

pub use assignments::{Assignments, Near};
pub use distance::{cosines, square_distances};
pub use error::{Error, Result};
pub use groups::Groups;
pub use kmeans::{Centres, Empty, KMeans, KMeansOptions, Metric, Start};
pub use labels::{LabelOptions, LabelReport, label, labels_of_groups, speaker_name};
pub use named_points::NamedPoints;
pub use points::Points;
pub use sweep::{SweepOptions, SweepPoint, sweep};
