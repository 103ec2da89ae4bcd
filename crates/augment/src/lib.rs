#![doc = include_str!("../README.md")]

mod spec_augment;

pub use spec_augment::SpecAugment;
