//! `ffsvc-train` and `ffsvc-extract` from end to end, on a synthetic corpus of a few seconds.

mod extraction;
mod programs;
mod training;
