//! `ffsvc-train`, `ffsvc-extract` and `ffsvc-data augment` from end to end, on a synthetic corpus of a few seconds.

mod augmentation;
mod averaging;
mod data_path;
mod devices;
mod extraction;
mod programs;
mod recordings;
mod rehearsal;
mod resume;
mod training;
