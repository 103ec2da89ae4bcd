//! Analysis windows.

use std::f64::consts::TAU;

use serde::{Deserialize, Serialize};

/// Shape of the analysis window. With `w(i) = (1 - cos(2 pi i / P)) / 2` and the period `P` of [`Symmetry`]:
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case")]
pub enum WindowType {
    /// `w(i)^0.85`, Kaldi's own and its default: like Hamming, but zero at both ends.
    Povey,
    /// `0.54 - 0.46 cos(2 pi i / P)`; what WeSpeaker's models were trained on.
    Hamming,
    /// `w(i)`; what the baseline uses.
    Hann,
    /// 1 everywhere.
    Rectangular,
}

/// Period of the window's cosine.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Symmetry {
    /// `P = length`: the window of `torch.hann_window` and torchaudio's spectrograms.
    Periodic,
    /// `P = length - 1`: first and last value are equal, as in Kaldi.
    Symmetric,
}

impl WindowType {
    /// The window's `length` values.
    pub fn values(self, length: usize, symmetry: Symmetry) -> Vec<f64> {
        let period = match symmetry {
            Symmetry::Periodic => length,
            // One sample has no period; its window is then the value at i = 0.
            Symmetry::Symmetric => length.saturating_sub(1).max(1),
        };
        let step = TAU / period as f64;
        let value = |i: usize| {
            let cos = (step * i as f64).cos();
            match self {
                Self::Povey => (0.5 - 0.5 * cos).powf(0.85),
                Self::Hamming => 0.54 - 0.46 * cos,
                Self::Hann => 0.5 - 0.5 * cos,
                Self::Rectangular => 1.0,
            }
        };
        (0..length).map(value).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::goldens::Golden;

    fn assert_close(ours: &[f64], golden: &[f64], tolerance: f64) {
        assert_eq!(ours.len(), golden.len());
        for (i, (a, b)) in ours.iter().zip(golden).enumerate() {
            assert!((a - b).abs() <= tolerance, "[{i}]: {a} and {b}");
        }
    }

    #[test]
    fn periodic_hann_is_torchs() {
        let golden = Golden::committed("features/constants");
        let ours = WindowType::Hann.values(400, Symmetry::Periodic);
        assert_close(&ours, &golden.f64("window_f64"), 1e-15);
        assert_close(&ours, &golden.f64("window"), 3e-7);
    }

    #[test]
    fn povey_and_hamming_are_kaldis() {
        let golden = Golden::committed("kaldi_fbank/constants");
        let ours = |w: WindowType| w.values(400, Symmetry::Symmetric);
        // The goldens are float32 throughout, hence a few of its units.
        assert_close(&ours(WindowType::Povey), &golden.f64("povey"), 3e-7);
        assert_close(&ours(WindowType::Hamming), &golden.f64("hamming"), 3e-7);
    }

    #[test]
    fn tiny_windows_are_finite() {
        for kind in [WindowType::Povey, WindowType::Hamming, WindowType::Hann, WindowType::Rectangular] {
            for length in 0..4 {
                for symmetry in [Symmetry::Periodic, Symmetry::Symmetric] {
                    let w = kind.values(length, symmetry);
                    assert_eq!(w.len(), length);
                    assert!(w.iter().all(|v| v.is_finite()));
                }
            }
        }
    }
}
