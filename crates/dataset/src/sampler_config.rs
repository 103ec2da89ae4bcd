//! Section `[sampler]` of a configuration.

use ffsvc_ranges::{Range, Section};
use serde::{Deserialize, Serialize};

use crate::error::{Error, Result};

/// Section `[sampler]`: how often each utterance is trained on.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields, default)]
pub struct SamplerConfig {
    /// Whether speakers with few utterances are drawn as often as others. Default `none`.
    pub balance: Balance,
    /// Utterances of an epoch. Default 0: as many as the data have.
    pub epoch_utterances: usize,
    /// Optimiser steps of an epoch; instead of `epoch_utterances`. Default 0: what the utterances make.
    pub epoch_steps: usize,
    /// Utterances of a shuffle buffer. With one, an epoch takes the tar files or Kaldi archives of `wav.scp` in a random order
    /// and reads each from its beginning to its end. A batch is drawn from the utterances in the buffer. WeSpeaker's is 2500.
    /// Default 0: an epoch is an order of all utterances, and each crop is read at its place.
    pub shuffle_buffer: usize,
}

impl SamplerConfig {
    /// Range of [`epoch_utterances`](Self::epoch_utterances) and [`epoch_steps`](Self::epoch_steps).
    pub const EPOCH_LENGTH: Range<usize> = Range::of(0, 100_000_000);

    /// Range of [`shuffle_buffer`](Self::shuffle_buffer).
    pub const SHUFFLE_BUFFER: Range<usize> = Range::of(0, 100_000_000);

    /// Adds every number, with its range, to the section `sampler`.
    pub fn add_numbers(&self, section: &mut Section<'_>) {
        section.number("epoch_utterances", self.epoch_utterances, Self::EPOCH_LENGTH);
        section.number("epoch_steps", self.epoch_steps, Self::EPOCH_LENGTH);
        section.number("shuffle_buffer", self.shuffle_buffer, Self::SHUFFLE_BUFFER);
    }

    /// Checks that settings agree with each other.
    ///
    /// # Errors
    /// Both lengths of an epoch are given, or a shuffle buffer with balance by class.
    pub fn check_consistency(&self) -> Result<()> {
        if self.epoch_utterances > 0 && self.epoch_steps > 0 {
            return Err(Error::Config {
                key: "sampler.epoch_steps",
                found: format!("{} beside sampler.epoch_utterances", self.epoch_steps),
                expected: "one of the two".into(),
            });
        }
        if self.shuffle_buffer > 0 && self.balance == Balance::Class {
            return Err(Error::Config {
                key: "sampler.shuffle_buffer",
                found: format!("{} beside sampler.balance = \"class\"", self.shuffle_buffer),
                expected: "one of the two: a turn of all speakers needs recordings of all archives".into(),
            });
        }
        Ok(())
    }
}

/// What is drawn equally often.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case")]
pub enum Balance {
    /// Every utterance.
    #[default]
    None,
    /// Every speaker: one utterance of each in turn, in an order that is shuffled anew for every turn.
    Class,
}
