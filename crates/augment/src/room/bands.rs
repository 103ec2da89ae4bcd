//! Octave bands, in which walls and air absorb differently.

use std::cell::RefCell;
use std::f64::consts::FRAC_PI_2;

use realfft::RealFftPlanner;
use realfft::num_complex::Complex;

/// Centres of the bands, in Hz. The first reaches down to 0, the last up to half the sample rate.
pub(super) const CENTRES_HZ: [f64; 7] = [125.0, 250.0, 500.0, 1000.0, 2000.0, 4000.0, 8000.0];

/// Temperature of the air in degrees Celsius, its relative humidity in %, and its pressure in kPa.
const AIR: (f64, f64, f64) = (20.0, 50.0, 101.325);
/// Zeros behind a response, so that what the bands' filters spread over its ends does not come in at the other: four
/// periods of the lowest centre, in s.
const SPREAD_S: f64 = 4.0 / CENTRES_HZ[0];

thread_local! {
    /// Plans of the sizes so far: a plan takes longer than a transform.
    static PLANNER: RefCell<Option<RealFftPlanner<f32>>> = const { RefCell::new(None) };
}

/// How far `hz` is above 1 kHz, in octaves.
pub(super) fn octaves(hz: f64) -> f64 {
    (hz / 1000.0).log2()
}

/// Energy that the air absorbs at `hz`, as an exponent a metre: `exp(-a d)` is left after `d` metres. Air of 20 degrees
/// Celsius with 50 % humidity.
pub(super) fn of_air(hz: f64) -> f64 {
    let (celsius, humidity, pressure) = AIR;
    attenuation_db_per_m(hz, celsius, humidity, pressure) * 10f64.ln() / 10.0
}

/// ISO 9613-1, equations 3 to 5 and B.3, in dB a metre: classical losses, and the relaxation of oxygen and nitrogen.
fn attenuation_db_per_m(hz: f64, celsius: f64, humidity: f64, pressure_kpa: f64) -> f64 {
    let pressure = pressure_kpa / 101.325;
    let kelvin = celsius + 273.15;
    let warmth = kelvin / 293.15;
    // Share of water molecules in the air, in %.
    let saturation = 10f64.powf(4.6151 - 6.8346 * (273.16 / kelvin).powf(1.261));
    let water = humidity * saturation / pressure;
    let oxygen_hz = pressure * (24.0 + 4.04e4 * water * (0.02 + water) / (0.391 + water));
    let nitrogen_hz = pressure
        * warmth.powf(-0.5)
        * (9.0 + 280.0 * water * (-4.17 * (warmth.powf(-1.0 / 3.0) - 1.0)).exp());
    let relaxation = |strength: f64, kelvins: f64, relaxation_hz: f64| {
        strength * (-kelvins / kelvin).exp() / (relaxation_hz + hz * hz / relaxation_hz)
    };
    let classical = 1.84e-11 * warmth.sqrt() / pressure;
    let relaxed = relaxation(0.012_75, 2239.1, oxygen_hz) + relaxation(0.1068, 3352.0, nitrogen_hz);
    8.686 * hz * hz * (classical + warmth.powf(-2.5) * relaxed)
}

/// The gains of the bands at `hz`, which add up to 1: squared cosines of the octaves between two centres.
fn gains(hz: f64) -> [f64; CENTRES_HZ.len()] {
    std::array::from_fn(|band| {
        let octaves = (hz / CENTRES_HZ[band]).log2();
        let is_outmost = (band == 0 && octaves < 0.0) || (band + 1 == CENTRES_HZ.len() && octaves > 0.0);
        let distance = if is_outmost { 0.0 } else { octaves.abs().min(1.0) };
        (FRAC_PI_2 * distance).cos().powi(2)
    })
}

/// The sum of one response for each band, each filtered to its band without delay. All have one length.
pub(super) fn joined(responses: &[Vec<f32>; CENTRES_HZ.len()], sample_rate: u32) -> Vec<f32> {
    let length = responses[0].len();
    let rate = f64::from(sample_rate);
    let size = (length + (SPREAD_S * rate) as usize).next_power_of_two();
    let (forward, inverse) = PLANNER.with_borrow_mut(|planner| {
        let planner = planner.get_or_insert_with(RealFftPlanner::new);
        (planner.plan_fft_forward(size), planner.plan_fft_inverse(size))
    });
    let mut work = vec![Complex::default(); forward.get_scratch_len().max(inverse.get_scratch_len())];
    let mut bins = forward.make_output_vec();
    let mut sum = vec![Complex::default(); bins.len()];
    let gains: Vec<_> = (0..bins.len()).map(|bin| gains(bin as f64 * rate / size as f64)).collect();
    let mut padded = vec![0f32; size];
    for (band, response) in responses.iter().enumerate() {
        padded[..length].copy_from_slice(response);
        padded[length..].fill(0.0);
        let done = forward.process_with_scratch(&mut padded, &mut bins, &mut work);
        debug_assert!(done.is_ok(), "buffers have the plan's sizes");
        for ((sum, bin), gains) in sum.iter_mut().zip(&bins).zip(&gains) {
            *sum += bin * (gains[band] / size as f64) as f32;
        }
    }
    // Rounding leaves imaginary parts that a real signal's first and last bin cannot have.
    if let [first, .., last] = sum.as_mut_slice() {
        (first.im, last.im) = (0.0, 0.0);
    }
    let done = inverse.process_with_scratch(&mut sum, &mut padded, &mut work);
    debug_assert!(done.is_ok(), "buffers have the plan's sizes");
    padded.truncate(length);
    padded
}

#[cfg(test)]
mod tests {
    use super::*;

    /// ISO 9613-2, table 2: dB a kilometre at the octaves from 63 Hz to 8 kHz. Its numbers have two digits.
    #[test]
    fn air_absorbs_what_the_table_of_iso_9613_says() {
        let rows = [
            (10.0, 70.0, [0.1, 0.4, 1.0, 1.9, 3.7, 9.7, 32.8, 117.0]),
            (20.0, 70.0, [0.1, 0.3, 1.1, 2.8, 5.0, 9.0, 22.9, 76.6]),
            (30.0, 70.0, [0.1, 0.3, 1.0, 3.1, 7.4, 12.7, 23.1, 59.3]),
            (15.0, 20.0, [0.3, 0.6, 1.2, 2.7, 8.2, 28.2, 88.8, 202.0]),
            (15.0, 50.0, [0.1, 0.5, 1.2, 2.2, 4.2, 10.8, 36.2, 129.0]),
            (15.0, 80.0, [0.1, 0.3, 1.1, 2.4, 4.1, 8.3, 23.7, 82.8]),
        ];
        for (celsius, humidity, expected) in rows {
            for (octave, expected) in expected.into_iter().enumerate() {
                // The exact centres of the octaves.
                let hz = 1000.0 * 10f64.powf(0.3 * (octave as f64 - 4.0));
                let found = 1000.0 * attenuation_db_per_m(hz, celsius, humidity, 101.325);
                let tolerance = 0.06f64.max(0.007 * expected);
                assert!((found - expected).abs() < tolerance, "{celsius} C, {hz} Hz: {found}, {expected}");
            }
        }
    }

    #[test]
    fn bands_share_every_frequency() {
        for step in 0..2000 {
            let hz = f64::from(step) * 12.0;
            let sum: f64 = gains(hz).iter().sum();
            assert!((sum - 1.0).abs() < 1e-12, "{hz} Hz: {sum}");
        }
        for (band, hz) in CENTRES_HZ.into_iter().enumerate() {
            assert!((gains(hz)[band] - 1.0).abs() < 1e-12);
        }
    }

    #[test]
    fn equal_responses_are_joined_to_themselves() {
        let response: Vec<f32> = (0..1000).map(|n| ((n * n) as f32 * 0.37).sin()).collect();
        let found = joined(&std::array::from_fn(|_| response.clone()), 16_000);
        assert_eq!(found.len(), response.len());
        for (found, expected) in found.iter().zip(&response) {
            assert!((found - expected).abs() < 1e-5);
        }
    }
}
