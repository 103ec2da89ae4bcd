//! `ffsvc-train`, `ffsvc-extract` and `ffsvc-data augment` from end to end, on a synthetic corpus of a few seconds.

mod augmentation;
mod averaging;
mod data_path;
mod devices;
mod dry_run;
mod extraction;
mod fine_tune;
mod programs;
mod recordings;
mod report;
mod resume;
mod segments;
mod speakers;
mod speech_only;
mod teacher;
mod tensorboard;
mod training;
mod validation_failures;
mod validation_lists;
