//! The formulas and the distribution of steps of the FFSVC2022 baseline (`tools/processing.py`, `dataset.py`), number by
//! number, so that its results can be repeated. The README says where they depart from what they mean to do.

use rand::{Rng, RngExt};

use crate::convolution::{Convolver, Filter};
use crate::noise::mean_power;
use crate::spec_augment::{Axis, Mask};

/// Width parameter of every frequency mask: the baseline draws 5 to 10 and then uses this literal (`augment_spec`).
pub const FREQUENCY_PARAMETER: usize = 4;
/// Width parameters of time masks, drawn uniformly (`augment_spec`).
pub const TIME_PARAMETER: std::ops::RangeInclusive<usize> = 10..=20;
/// The baseline's `snr`, drawn uniformly (`addnoise`).
pub const SNR_DB: (f64, f64) = (0.0, 20.0);

/// The baseline's `addnoise`: `(scale * speech + noise) / 2` with `scale = exp(snr_db / 10) * |noise| / |speech|`.
///
/// `exp` where a power of ten belongs, so 20 "dB" are 17 dB. Where the speech is silent the baseline makes NaN; here it
/// stays as it is.
pub fn add_noise(speech: &mut [f32], noise: &[f32], snr_db: f64) {
    let scale = (snr_db / 10.0).exp() * (mean_power(noise) / mean_power(speech)).sqrt();
    if scale.is_finite() {
        let scale = scale as f32;
        for (sample, noise) in speech.iter_mut().zip(noise) {
            *sample = (scale * *sample + noise) / 2.0;
        }
    }
}

/// The filter of the baseline's `addreverberate`: the whole impulse response as it is, neither scaled nor aligned, cut to
/// the signal's length.
pub fn room_filter(taps: &[f32], len: usize, convolver: &mut Convolver) -> Filter {
    Filter::new(taps, 0, len, convolver)
}

/// The baseline's `augment_spec` for the uniform numbers `width` and `place` (0 to below 1) on an axis of `size` cells. In
/// f32, as there. A mask wider than the axis begins before it and is cut.
pub fn mask(axis: Axis, parameter: usize, size: usize, width: f32, place: f32) -> Mask {
    let value = width * parameter as f32;
    let start = (place * (size as f32 - value)).trunc();
    let end = start + value.trunc();
    let cell = |position: f32| (position.max(0.0) as usize).min(size);
    Mask { axis, start: cell(start), end: cell(end) }
}

/// The baseline's choice among noise, reverberation and neither.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Choice {
    /// A quarter of the crops: noise or music, half and half.
    Noise,
    /// A quarter.
    Reverberation,
    /// Half.
    Neither,
}

/// Draws it.
pub fn choose(random: &mut impl Rng) -> Choice {
    match random.random_range(0..4) {
        0 => Choice::Noise,
        1 => Choice::Reverberation,
        _ => Choice::Neither,
    }
}

/// One mask for a third of the crops, along time or frequency, half and half.
pub fn draw_masks(num_mels: usize, num_frames: usize, random: &mut impl Rng) -> Vec<Mask> {
    if random.random_range(0..3) != 0 {
        return Vec::new();
    }
    let (axis, parameter, size) = if random.random_range(0..2) == 0 {
        (Axis::Time, random.random_range(TIME_PARAMETER), num_frames)
    } else {
        (Axis::Frequency, FREQUENCY_PARAMETER, num_mels)
    };
    vec![mask(axis, parameter, size, random.random(), random.random())]
}
