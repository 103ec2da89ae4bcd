//! Room impulse responses, brought to one form.

use crate::convolution::{Convolver, Filter};

/// The tap of the direct path: the largest in absolute value, the first of several; `None` where every tap is zero.
pub(crate) fn direct_path(taps: &[f32]) -> Option<usize> {
    let mut best = None;
    let mut largest = 0.0;
    for (index, tap) in taps.iter().enumerate() {
        if tap.abs() > largest {
            (best, largest) = (Some(index), tap.abs());
        }
    }
    best
}

/// A room impulse response as a filter for signals of `len` samples. It is scaled to unit energy, so that speech keeps
/// about its level. It is aligned on the tap `direct`, so that speech keeps its place in the crop. `None` for a silent
/// response.
pub(crate) fn room_filter(
    taps: &[f32],
    direct: usize,
    len: usize,
    convolver: &mut Convolver,
) -> Option<Filter> {
    let energy: f64 = taps.iter().map(|tap| f64::from(*tap) * f64::from(*tap)).sum();
    let gain = energy.sqrt().recip();
    if !gain.is_finite() {
        return None;
    }
    let taps: Vec<f32> = taps.iter().map(|tap| (f64::from(*tap) * gain) as f32).collect();
    Some(Filter::new(&taps, direct, len, convolver))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_impulse_stays_where_it_is_and_gets_unit_energy() {
        let mut convolver = Convolver::default();
        let mut taps = vec![0.0f32; 900];
        for (k, tap) in taps.iter_mut().enumerate().skip(120) {
            *tap = -3.0 * (-((k - 120) as f32) / 150.0).exp() * if k % 3 == 0 { 1.0 } else { -0.7 };
        }
        assert_eq!(direct_path(&taps), Some(120));
        let filter = room_filter(&taps, 120, 4000, &mut convolver).unwrap();
        let mut signal = vec![0.0f32; 4000];
        signal[1000] = 1.0;
        convolver.apply(&filter, &mut signal);
        assert_eq!(direct_path(&signal), Some(1000));
        let energy: f32 = signal.iter().map(|v| v * v).sum();
        assert!((energy - 1.0).abs() < 1e-5, "{energy}");
    }

    #[test]
    fn silent_responses_are_refused() {
        assert!(room_filter(&[0.0; 10], 0, 100, &mut Convolver::default()).is_none());
        assert!(room_filter(&[], 0, 100, &mut Convolver::default()).is_none());
        assert_eq!(direct_path(&[0.0, -2.0, 2.0]), Some(1));
    }
}
