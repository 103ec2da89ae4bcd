//! Image sources of a shoebox, and their sum with fractional delays.
//!
//! Each image is a pulse at a time between two samples. There may be up to a million images. A windowed sinc of 81 taps
//! for each would be slow. Instead the pulses are laid onto a grid of [`PHASES`] points a sample by cubic
//! interpolation, with four additions an image. The grid is then filtered with the windowed sinc and decimated, once.
//! The result differs from the direct sum by less than 2e-5 of a pulse.

use std::f32::consts::PI;
use std::sync::LazyLock;

use super::{Losses, Room, SPEED_OF_SOUND, TIME_ZERO};

/// Grid points a sample.
const PHASES: usize = 16;
/// Length of the low-pass on the grid, padded by zeros to whole samples.
const FILTER: usize = (2 * TIME_ZERO + 1) * PHASES;

/// `sinc(x) * hann(x)` for `|x| <= TIME_ZERO` samples, as pyroomacoustics' fractional delays.
static WINDOWED_SINC: LazyLock<[f32; FILTER]> = LazyLock::new(|| {
    let half_width = TIME_ZERO as f64;
    std::array::from_fn(|i| {
        let x = i as f64 / PHASES as f64 - half_width;
        let phase = std::f64::consts::PI * x;
        let sinc = if x == 0.0 { 1.0 } else { phase.sin() / phase };
        if x.abs() > half_width { 0.0 } else { (sinc * 0.5 * (1.0 + (phase / half_width).cos())) as f32 }
    })
});

/// Images of the source along one axis: squared distance from the microphone, and gain of the reflections.
fn images_along(size: f64, source: f64, microphone: f64, reflection: f64, reach: f64) -> Vec<(f64, f64)> {
    let periods = (reach / (2.0 * size)).ceil() as i32 + 1;
    let mut images = Vec::new();
    for n in -periods..=periods {
        // Allen & Berkley (1979), equation 9: (1 - 2q) s + 2 n L, reflected |n - q| and |n| times.
        for q in [0, 1] {
            let distance = f64::from(1 - 2 * q) * source + 2.0 * f64::from(n) * size - microphone;
            if distance.abs() <= reach {
                let reflections = (n - q).abs() + n.abs();
                images.push((distance * distance, reflection.powi(reflections)));
            }
        }
    }
    images.sort_by(|a, b| a.0.total_cmp(&b.0));
    images
}

/// The response of `length` samples to all images that arrive within `reach_m`, beginning [`TIME_ZERO`]
/// samples before the source emits.
pub(super) fn response(
    room: &Room,
    sample_rate: u32,
    losses: Losses,
    reach_m: f64,
    length: usize,
) -> Vec<f32> {
    // Losses are those of the energy, the pressure has half of them.
    let reflection = (-0.5 * losses.walls).exp();
    let air = -0.5 * losses.air;
    let [xs, ys, zs] = std::array::from_fn(|axis| {
        images_along(room.size_m[axis], room.source_m[axis], room.microphone_m[axis], reflection, reach_m)
    });
    // Output sample m is the product of the filter with the grid from m * PHASES on.
    let mut grid = vec![0f32; length * PHASES + FILTER];
    let origin = (2 * TIME_ZERO * PHASES) as f64;
    let points_per_metre = f64::from(sample_rate) / SPEED_OF_SOUND * PHASES as f64;
    let reach2 = reach_m * reach_m;
    for &(x2, x_gain) in &xs {
        for &(y2, y_gain) in &ys {
            let xy2 = x2 + y2;
            if xy2 > reach2 {
                break;
            }
            let xy_gain = x_gain * y_gain;
            for &(z2, z_gain) in &zs {
                let distance2 = xy2 + z2;
                if distance2 > reach2 {
                    break;
                }
                let distance = distance2.sqrt();
                let position = distance * points_per_metre + origin;
                let mut gain = xy_gain * z_gain / distance;
                if air != 0.0 {
                    gain *= (air * distance).exp();
                }
                add_pulse(&mut grid, position, gain as f32);
            }
        }
    }
    let scale = 0.25 / PI;
    (0..length).map(|m| scale * dot(&grid[m * PHASES..][..FILTER], &WINDOWED_SINC)).collect()
}

/// Adds a pulse at a `position` between grid points by Lagrange's cubic; out of the grid it is dropped.
#[inline(always)]
fn add_pulse(grid: &mut [f32], position: f64, gain: f32) {
    let index = position as usize;
    let f = (position - index as f64) as f32;
    if let Some([a, b, c, d]) = grid.get_mut(index - 1..index + 3) {
        let (before, after, after2) = (f + 1.0, f - 1.0, f - 2.0);
        *a += gain * f * after * after2 * (-1.0 / 6.0);
        *b += gain * before * after * after2 * 0.5;
        *c += gain * before * f * after2 * -0.5;
        *d += gain * before * f * after * (1.0 / 6.0);
    }
}

/// Inner product in sixteen partial sums, so that the compiler can use vectors.
fn dot(a: &[f32], b: &[f32; FILTER]) -> f32 {
    const LANES: usize = 16;
    let mut sums = [0f32; LANES];
    for (a, b) in a.chunks_exact(LANES).zip(b.chunks_exact(LANES)) {
        for lane in 0..LANES {
            sums[lane] += a[lane] * b[lane];
        }
    }
    sums.iter().sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The definition: one windowed sinc at the exact time of each image.
    fn by_definition(delays: &[(f64, f64)], length: usize) -> Vec<f64> {
        let half_width = TIME_ZERO as f64;
        (0..length)
            .map(|m| {
                let mut sum = 0.0;
                for (delay, gain) in delays {
                    let x = m as f64 - half_width - delay;
                    let phase = std::f64::consts::PI * x;
                    if x.abs() < half_width {
                        let sinc = if x == 0.0 { 1.0 } else { phase.sin() / phase };
                        sum += gain * sinc * 0.5 * (1.0 + (phase / half_width).cos());
                    }
                }
                sum
            })
            .collect()
    }

    #[test]
    fn grid_agrees_with_the_sum_of_windowed_sincs() {
        let room = Room {
            size_m: [5.0, 4.0, 3.0],
            rt60_s: 0.3,
            source_m: [1.2, 3.1, 1.5],
            microphone_m: [3.9, 0.7, 1.1],
            rt60_per_octave: 1.0,
            air: true,
        };
        // Half of the energy's exponents is the pressure's.
        let losses = Losses { walls: -2.0 * 0.8f64.ln(), air: 0.02 };
        let (reach, length) = (7.0, 380);
        let mut delays = Vec::new();
        let signs = [-1.0, 1.0];
        for nx in -2..=2 {
            for ny in -2..=2 {
                for nz in -3..=3 {
                    for corner in 0..8 {
                        let side = [corner & 1, corner >> 1 & 1, corner >> 2];
                        let n = [nx, ny, nz];
                        let d2: f64 = (0..3)
                            .map(|i| {
                                let image = signs[1 - side[i]] * room.source_m[i]
                                    + 2.0 * f64::from(n[i]) * room.size_m[i];
                                (image - room.microphone_m[i]).powi(2)
                            })
                            .sum();
                        let order: i32 = (0..3).map(|i| (n[i] - side[i] as i32).abs() + n[i].abs()).sum();
                        if d2.sqrt() <= reach {
                            let gain = 0.8f64.powi(order) * (-0.01 * d2.sqrt()).exp()
                                / (4.0 * std::f64::consts::PI * d2.sqrt());
                            delays.push((d2.sqrt() / SPEED_OF_SOUND * 16_000.0, gain));
                        }
                    }
                }
            }
        }
        assert!(delays.len() > 20, "{}", delays.len());
        let expected = by_definition(&delays, length);
        let found = response(&room, 16_000, losses, reach, length);
        let peak = expected.iter().fold(0f64, |m, x| m.max(x.abs()));
        for (m, (a, b)) in found.iter().zip(&expected).enumerate() {
            assert!((f64::from(*a) - b).abs() < 2e-5 * peak, "sample {m}: {a}, expected {b}");
        }
    }
}
