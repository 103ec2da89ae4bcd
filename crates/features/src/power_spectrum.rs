//! Power spectrum of a real frame.
//!
//! `realfft` has the same transform, but unpacks it one value at a time into a complex spectrum that is not needed
//! here. Here unpacking and power are one loop over plain arrays, which compilers turn into vectors.

use std::fmt;
use std::sync::Arc;

use rustfft::num_complex::Complex;
use rustfft::num_traits::AsPrimitive;
use rustfft::{Fft, FftNum, FftPlanner};

/// Precision of the transform: `f32` or `f64`.
pub(crate) trait Real: FftNum + AsPrimitive<f32> + Default {
    /// The nearest value of this precision.
    fn rounded(x: f64) -> Self;
}

impl Real for f32 {
    fn rounded(x: f64) -> Self {
        x as f32
    }
}

impl Real for f64 {
    fn rounded(x: f64) -> Self {
        x
    }
}

/// Planned transform of `n_fft` real values, `n_fft` even: as `n_fft / 2` complex ones, even samples real, odd imaginary.
#[derive(Clone)]
pub(crate) struct PowerSpectrum<T: Real> {
    fft: Arc<dyn Fft<T>>,
    /// Half the cosine and half the sine of `2 pi k / n_fft`, for `k` below `n_fft / 2`.
    half_cos: Vec<T>,
    half_sin: Vec<T>,
}

/// Buffers of a transform in precision `T`.
#[derive(Debug, Default)]
pub(crate) struct FftScratch<T> {
    /// The windowed frame with its zero padding, `[n_fft]`: input of [`PowerSpectrum::compute`].
    pub(crate) frame: Vec<T>,
    /// Power of each bin, `[n_fft / 2 + 1]`: its output.
    pub(crate) power: Vec<f32>,
    packed: Vec<Complex<T>>,
    transformed: Vec<Complex<T>>,
    fft: Vec<Complex<T>>,
    re: Vec<T>,
    im: Vec<T>,
    mirrored_re: Vec<T>,
    mirrored_im: Vec<T>,
}

impl<T: Real> PowerSpectrum<T> {
    pub(crate) fn new(n_fft: usize) -> Self {
        let half = n_fft / 2;
        let angle = |k: usize| std::f64::consts::TAU * k as f64 / n_fft as f64;
        Self {
            fft: FftPlanner::new().plan_fft_forward(half),
            half_cos: (0..half).map(|k| T::rounded(0.5 * angle(k).cos())).collect(),
            half_sin: (0..half).map(|k| T::rounded(0.5 * angle(k).sin())).collect(),
        }
    }

    /// Gives the buffers their lengths; allocates only when they are too small.
    pub(crate) fn prepare(&self, scratch: &mut FftScratch<T>) {
        let half = self.half_cos.len();
        let zero = T::zero();
        for buffer in [&mut scratch.packed, &mut scratch.transformed] {
            buffer.resize(half, Complex::new(zero, zero));
        }
        scratch.fft.resize(self.fft.get_outofplace_scratch_len(), Complex::new(zero, zero));
        for buffer in [&mut scratch.re, &mut scratch.im, &mut scratch.mirrored_re, &mut scratch.mirrored_im] {
            buffer.resize(half, zero);
        }
        scratch.frame.resize(2 * half, zero);
        scratch.power.resize(half + 1, 0.0);
    }

    /// `scratch.power` of `scratch.frame`; `scratch` is [prepared](Self::prepare).
    #[inline(always)]
    pub(crate) fn compute(&self, scratch: &mut FftScratch<T>) {
        let s = scratch;
        for (packed, &[even, odd]) in s.packed.iter_mut().zip(s.frame.as_chunks::<2>().0) {
            *packed = Complex::new(even, odd);
        }
        self.fft.process_outofplace_with_scratch(&mut s.packed, &mut s.transformed, &mut s.fft);

        // Z[k] as two arrays, and Z[half - k] as two more, so that the next loop reads forward only.
        let half = self.half_cos.len();
        for ((re, im), z) in s.re.iter_mut().zip(&mut s.im).zip(&s.transformed) {
            (*re, *im) = (z.re, z.im);
        }
        (s.mirrored_re[0], s.mirrored_im[0]) = (s.re[0], s.im[0]);
        for (mirrored, plain) in [(&mut s.mirrored_re, &s.re), (&mut s.mirrored_im, &s.im)] {
            for (m, &x) in mirrored[1..].iter_mut().zip(plain[1..].iter().rev()) {
                *m = x;
            }
        }

        // X[k] = E + exp(-2 pi i k / n) O, with the spectra E of the even samples and O of the odd ones.
        let one_half = T::rounded(0.5);
        let (cos, sin) = (&self.half_cos[..half], &self.half_sin[..half]);
        let (re, im) = (&s.re[..half], &s.im[..half]);
        let (mirrored_re, mirrored_im) = (&s.mirrored_re[..half], &s.mirrored_im[..half]);
        let power = &mut s.power[..=half];
        for k in 0..half {
            let (sum_re, difference_re) = (re[k] + mirrored_re[k], re[k] - mirrored_re[k]);
            let (sum_im, difference_im) = (im[k] + mirrored_im[k], im[k] - mirrored_im[k]);
            let x_re = one_half * sum_re + (cos[k] * sum_im - sin[k] * difference_re);
            let x_im = one_half * difference_im - (cos[k] * difference_re + sin[k] * sum_im);
            power[k] = (x_re * x_re + x_im * x_im).as_();
        }
        let nyquist = re[0] - im[0];
        power[half] = (nyquist * nyquist).as_();
    }
}

impl<T: Real> fmt::Debug for PowerSpectrum<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PowerSpectrum").field("n_fft", &(2 * self.half_cos.len())).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn against_realfft<T: Real>(n_fft: usize, tolerance: f32) {
        let spectrum = PowerSpectrum::<T>::new(n_fft);
        let mut scratch = FftScratch::default();
        spectrum.prepare(&mut scratch);
        for (i, x) in scratch.frame.iter_mut().enumerate() {
            *x = T::rounded(((i * i * 31 + 7 * i) % 101) as f64 / 50.0 - 1.0);
        }
        let mut input: Vec<f64> =
            scratch.frame.iter().map(|&x| f64::from(AsPrimitive::<f32>::as_(x))).collect();
        let fft = realfft::RealFftPlanner::new().plan_fft_forward(n_fft);
        let mut expected = fft.make_output_vec();
        fft.process(&mut input, &mut expected).unwrap();
        spectrum.compute(&mut scratch);
        assert_eq!(scratch.power.len(), expected.len());
        let peak = expected.iter().map(|x| x.norm_sqr() as f32).fold(0.0, f32::max);
        for (k, (power, x)) in scratch.power.iter().zip(&expected).enumerate() {
            let difference = (power - x.norm_sqr() as f32).abs();
            assert!(difference <= tolerance * peak, "n_fft {n_fft}, bin {k}: off by {difference}");
        }
    }

    #[test]
    fn equals_realfft_at_every_even_length() {
        for n_fft in (2..70).step_by(2).chain([200, 400, 402, 512, 1024]) {
            against_realfft::<f32>(n_fft, 2e-6);
            against_realfft::<f64>(n_fft, 3e-7);
        }
    }
}
