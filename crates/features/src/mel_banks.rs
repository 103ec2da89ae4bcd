//! Triangular mel filter banks, stored as the few weights of each band that are not zero.
//!
//! To change the filter bank, change or add a constructor here: everything behind it takes any
//! [`MelBanks`].

use std::ops::Range;

use crate::{Error, Result};

/// A bank of filters over the bins of a power spectrum.
#[derive(Debug, Clone, PartialEq)]
pub struct MelBanks {
    num_bins: usize,
    bands: Vec<Band>,
    weights: Vec<f32>,
}

/// Bins `first_bin ..` have the weights at `weights` of the bank; all others have zero.
#[derive(Debug, Clone, PartialEq)]
struct Band {
    first_bin: usize,
    weights: Range<usize>,
}

/// The HTK mel scale.
fn htk_mel(hz: f64) -> f64 {
    2595.0 * (1.0 + hz / 700.0).log10()
}

/// The frequency at a place of the HTK mel scale.
fn htk_hertz(mel: f64) -> f64 {
    700.0 * (10f64.powf(mel / 2595.0) - 1.0)
}

/// The mel scale of Slaney's Auditory Toolbox: straight up to 1000 Hz, which are 15 mel, and 27 mel for each factor of 6.4 above.
fn slaney_mel(hz: f64) -> f64 {
    if hz < 1000.0 { hz * 3.0 / 200.0 } else { 15.0 + (hz / 1000.0).ln() * 27.0 / 6.4f64.ln() }
}

/// The frequency at a place of Slaney's mel scale.
fn slaney_hertz(mel: f64) -> f64 {
    if mel < 15.0 { mel * 200.0 / 3.0 } else { 1000.0 * ((mel - 15.0) * 6.4f64.ln() / 27.0).exp() }
}

/// Kaldi's mel scale.
pub(crate) fn kaldi_mel(hz: f64) -> f64 {
    1127.0 * (1.0 + hz / 700.0).ln()
}

impl MelBanks {
    /// torchaudio's default bank (`melscale_fbanks`, HTK scale, no normalisation): edges equally spaced in
    /// mel, sides straight in hertz. Bins `0 ..= n_fft / 2`.
    ///
    /// A band may be too narrow to hold a bin; its output is then zero, as in torchaudio.
    ///
    /// # Errors
    /// `num_mels` or `n_fft` is out of range, or not `0 <= low_hz < high_hz <= sample_rate / 2`.
    pub fn htk(num_mels: usize, n_fft: usize, sample_rate: u32, low_hz: f64, high_hz: f64) -> Result<Self> {
        check(num_mels, n_fft, sample_rate, low_hz, high_hz)?;
        let (low, high) = (htk_mel(low_hz), htk_mel(high_hz));
        let edge = |i: usize| htk_hertz(low + (high - low) * i as f64 / (num_mels + 1) as f64);
        let edges: Vec<f64> = (0..num_mels + 2).map(edge).collect();
        let bin_hz = f64::from(sample_rate) / n_fft as f64;
        Ok(Self::from_weights(num_mels, n_fft / 2 + 1, |band, bin| {
            let hz = bin_hz * bin as f64;
            let (left, centre, right) = (edges[band], edges[band + 1], edges[band + 2]);
            ((hz - left) / (centre - left)).min((right - hz) / (right - centre)).max(0.0) as f32
        }))
    }

    /// Kaldi's bank (`MelBanks` of feat/mel-computations): edges equally spaced in mel, sides straight in mel.
    /// Bins `0 .. n_fft / 2`: the one at the Nyquist frequency is not used.
    ///
    /// Kaldi and its descendants evaluate this in 32 bits, which moves weights by up to 1e-5 and so the
    /// logarithm of a band by up to 1e-4. Models have been trained on those weights, so the rounding
    /// is part of the convention: each step here is rounded where theirs is.
    ///
    /// # Errors
    /// As [`Self::htk`]; also when a band is too narrow to hold a bin (fewer `num_mels` are needed), as in Kaldi.
    pub fn kaldi(num_mels: usize, n_fft: usize, sample_rate: u32, low_hz: f64, high_hz: f64) -> Result<Self> {
        check(num_mels, n_fft, sample_rate, low_hz, high_hz)?;
        let low = kaldi_mel(low_hz);
        let delta = ((kaldi_mel(high_hz) - low) / (num_mels + 1) as f64) as f32;
        let low = low as f32;
        let bin_hz = (f64::from(sample_rate) / n_fft as f64) as f32;
        let bin_mel: Vec<f32> = (0..n_fft / 2)
            .map(|bin| {
                let ratio = 1.0 + (bin_hz * bin as f32) / 700.0;
                1127.0 * f64::from(ratio).ln() as f32
            })
            .collect();
        let banks = Self::from_weights(num_mels, n_fft / 2, |band, bin| {
            let edge = |i: usize| low + (band as f32 + i as f32) * delta;
            let (left, centre, right) = (edge(0), edge(1), edge(2));
            let mel = bin_mel[bin];
            ((mel - left) / (centre - left)).min((right - mel) / (right - centre)).max(0.0)
        });
        match banks.bands.iter().position(|band| band.weights.is_empty()) {
            Some(empty) => Err(Error::option(
                "num_mels",
                num_mels,
                format!("fewer: band {empty} lies between two bins of a {n_fft}-point spectrum"),
            )),
            None => Ok(banks),
        }
    }

    /// SpeechBrain's bank (`Filterbank` with triangular filters). Centres are equally spaced in mel between 0 Hz and
    /// the Nyquist frequency. Each triangle is as wide to the right as it is to the left. Bins `0 ..= n_fft / 2`.
    ///
    /// # Errors
    /// As [`Self::htk`].
    pub fn speechbrain(num_mels: usize, n_fft: usize, sample_rate: u32) -> Result<Self> {
        let nyquist = f64::from(sample_rate) / 2.0;
        check(num_mels, n_fft, sample_rate, 0.0, nyquist)?;
        let step = htk_mel(nyquist) / (num_mels + 1) as f64;
        let edges: Vec<f64> = (0..num_mels + 1).map(|i| htk_hertz(step * i as f64)).collect();
        let bin_hz = f64::from(sample_rate) / n_fft as f64;
        Ok(Self::from_weights(num_mels, n_fft / 2 + 1, |band, bin| {
            let (left, centre) = (edges[band], edges[band + 1]);
            let slope = (bin_hz * bin as f64 - centre) / (centre - left);
            (1.0 - slope.abs()).max(0.0) as f32
        }))
    }

    /// librosa's default bank (`librosa.filters.mel`): edges equally spaced on Slaney's mel scale between 0 Hz and the Nyquist
    /// frequency, sides straight in hertz, and each triangle of area 1. Bins `0 ..= n_fft / 2`.
    ///
    /// # Errors
    /// As [`Self::htk`].
    pub fn slaney(num_mels: usize, n_fft: usize, sample_rate: u32) -> Result<Self> {
        let nyquist = f64::from(sample_rate) / 2.0;
        check(num_mels, n_fft, sample_rate, 0.0, nyquist)?;
        let step = slaney_mel(nyquist) / (num_mels + 1) as f64;
        let edges: Vec<f64> = (0..num_mels + 2).map(|i| slaney_hertz(step * i as f64)).collect();
        let bin_hz = f64::from(sample_rate) / n_fft as f64;
        Ok(Self::from_weights(num_mels, n_fft / 2 + 1, |band, bin| {
            let hz = bin_hz * bin as f64;
            let (left, centre, right) = (edges[band], edges[band + 1], edges[band + 2]);
            let height = ((hz - left) / (centre - left)).min((right - hz) / (right - centre)).max(0.0);
            (height * 2.0 / (right - left)) as f32
        }))
    }

    /// A bank of any shape: `weight(band, bin)` for each of `num_mels` bands and `num_bins` bins. Weights
    /// between the first and the last that is not zero are stored.
    pub fn from_weights(
        num_mels: usize,
        num_bins: usize,
        mut weight: impl FnMut(usize, usize) -> f32,
    ) -> Self {
        let mut banks = Self { num_bins, bands: Vec::with_capacity(num_mels), weights: Vec::new() };
        let mut row = vec![0.0; num_bins];
        for band in 0..num_mels {
            for (bin, w) in row.iter_mut().enumerate() {
                *w = weight(band, bin);
            }
            let first_bin = row.iter().position(|&w| w != 0.0).unwrap_or(0);
            let end = row.iter().rposition(|&w| w != 0.0).map_or(first_bin, |last| last + 1);
            let start = banks.weights.len();
            banks.weights.extend_from_slice(&row[first_bin..end]);
            banks.bands.push(Band { first_bin, weights: start..banks.weights.len() });
        }
        banks
    }

    /// Number of bands.
    pub fn num_mels(&self) -> usize {
        self.bands.len()
    }

    /// Number of spectrum bins, from 0 Hz, that the bank looks at.
    pub fn num_bins(&self) -> usize {
        self.num_bins
    }

    /// The first bin of a band and the weights from there on.
    ///
    /// # Panics
    /// `band` is not below [`Self::num_mels`].
    #[inline]
    pub fn band(&self, band: usize) -> (usize, &[f32]) {
        let band = &self.bands[band];
        (band.first_bin, &self.weights[band.weights.clone()])
    }

    /// The whole matrix, `[num_mels, num_bins]`.
    pub fn to_dense(&self) -> Vec<f32> {
        let mut dense = vec![0.0; self.num_mels() * self.num_bins];
        for (row, index) in dense.chunks_mut(self.num_bins.max(1)).zip(0..) {
            let (first, weights) = self.band(index);
            row[first..first + weights.len()].copy_from_slice(weights);
        }
        dense
    }
}

/// Turns Kaldi's way to give the upper edge of the bands into hertz: values up to 0 count from the Nyquist frequency.
pub fn upper_edge_hz(high_frequency_hz: f64, sample_rate: u32) -> f64 {
    if high_frequency_hz > 0.0 { high_frequency_hz } else { f64::from(sample_rate) / 2.0 + high_frequency_hz }
}

fn check(num_mels: usize, n_fft: usize, sample_rate: u32, low_hz: f64, high_hz: f64) -> Result<()> {
    let nyquist = f64::from(sample_rate) / 2.0;
    if !(1..=4096).contains(&num_mels) {
        return Err(Error::option("num_mels", num_mels, "1 to 4096"));
    }
    if !(2..=1 << 16).contains(&n_fft) || !n_fft.is_multiple_of(2) {
        return Err(Error::option("n_fft", n_fft, "an even number, 2 to 65536"));
    }
    if !(0.0..nyquist).contains(&low_hz) {
        return Err(Error::option(
            "low_frequency_hz",
            low_hz,
            format!("0 to below the Nyquist frequency, {nyquist}"),
        ));
    }
    if !(high_hz > low_hz && high_hz <= nyquist) {
        return Err(Error::option(
            "high_frequency_hz",
            format!("{high_hz} Hz"),
            format!(
                "above low_frequency_hz ({low_hz}) and up to the Nyquist frequency ({nyquist}); values up to 0 count down from there"
            ),
        ));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::goldens::Golden;

    #[test]
    fn htk_is_torchaudios() {
        let golden = Golden::committed("features/constants").f64("mel_fb_f64"); // [257, 80]
        let ours = MelBanks::htk(80, 512, 16000, 0.0, 8000.0).unwrap();
        assert_eq!((ours.num_mels(), ours.num_bins()), (80, 257));
        for (i, w) in ours.to_dense().iter().enumerate() {
            let (band, bin) = (i / 257, i % 257);
            let golden = golden[bin * 80 + band];
            assert!((f64::from(*w) - golden).abs() < 6e-8, "band {band} bin {bin}: {w} and {golden}");
        }
    }

    #[test]
    fn kaldi_is_torchaudios_compliance_bank_to_the_bit() {
        let golden = Golden::committed("kaldi_fbank/constants").f32("mel_banks"); // [80, 256]
        let ours = MelBanks::kaldi(80, 512, 16000, 20.0, 8000.0).unwrap();
        assert_eq!(ours.to_dense(), golden);
    }

    #[test]
    fn too_many_kaldi_bands_is_an_error_that_names_the_option() {
        let error = MelBanks::kaldi(400, 512, 16000, 20.0, 8000.0).unwrap_err().to_string();
        assert!(error.contains("num_mels = 400") && error.contains("512-point"), "{error}");
    }

    #[test]
    fn bad_edges_are_errors() {
        for (low, high) in [
            (-1.0, 8000.0),
            (8000.0, 8000.0),
            (100.0, 50.0),
            (0.0, 8001.0),
            (f64::NAN, 100.0),
            (0.0, f64::NAN),
        ] {
            assert!(MelBanks::htk(80, 512, 16000, low, high).is_err(), "{low} {high}");
            assert!(MelBanks::kaldi(80, 512, 16000, low, high).is_err(), "{low} {high}");
        }
        assert_eq!(upper_edge_hz(-400.0, 16000), 7600.0);
        assert_eq!(upper_edge_hz(0.0, 16000), 8000.0);
        assert_eq!(upper_edge_hz(7000.0, 16000), 7000.0);
    }
}
