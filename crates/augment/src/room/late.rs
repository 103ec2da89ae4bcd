//! The late part of a response, where image sources are too dense to be heard apart: decaying noise.

use rand::distr::Distribution;
use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::SeedableRng;
use rand_distr::StandardNormal;

use super::decay::WallRates;
use super::{Losses, Room, SPEED_OF_SOUND, TIME_ZERO};

/// Image sources a second from which the field counts as diffuse: one for each sample at 16 kHz.
const DIFFUSE_DENSITY: f64 = 16_000.0;
/// Length of the cross-fade from the images to the noise, in s.
pub(super) const FADE_S: f64 = 0.01;
/// Samples for which the mean energy is computed once; it is interpolated geometrically in between.
const BLOCK: usize = 32;

/// The time since the emission from which on the response is diffuse, in s.
///
/// Images arrive at a rate of `4 pi c^3 t^2 / V`. This is the time when it reaches [`DIFFUSE_DENSITY`]: 5.6 ms times
/// the root of the volume in m3. In a room of 60 m3 that is 43 ms, nearly six times Polack's mixing time. It is later
/// for a distant source, so that its first reflections are always images.
pub(super) fn mixing_time_s(room: &Room) -> f64 {
    let volume: f64 = room.size_m.iter().product();
    let density = 4.0 * std::f64::consts::PI * SPEED_OF_SOUND.powi(3) / volume;
    (DIFFUSE_DENSITY / density).sqrt() + room.distance_m() / SPEED_OF_SOUND + FADE_S
}

/// The noise of a room, of unit power: `length` samples. All bands have the same.
pub(super) fn white(room: &Room, length: usize) -> Vec<f32> {
    let mut random = ChaCha8Rng::seed_from_u64(seed(room));
    (0..length).map(|_| StandardNormal.sample(&mut random)).collect()
}

/// Noise in the place of all images from `start_s` on, faded in over [`FADE_S`] before it: `length` samples,
/// zero up to there.
///
/// Its power is that of the images that it stands for. They arrive at a rate of `4 pi c^3 t^2 / V`, each with
/// the energy `(4 pi c t)^-2` times its reflections', so that the power at `t` is `c / (4 pi V)` times the
/// mean energy of all directions. `white` is the noise before it has that envelope, from the beginning of the fade on.
pub(super) fn noise(
    room: &Room,
    white: &[f32],
    sample_rate: u32,
    rates: &WallRates,
    losses: Losses,
    start_s: f64,
    length: usize,
) -> Vec<f32> {
    let rate = f64::from(sample_rate);
    let volume: f64 = room.size_m.iter().product();
    let power = SPEED_OF_SOUND / (4.0 * std::f64::consts::PI * volume * rate);
    let (start, fade) = fade_of(sample_rate, start_s);

    let metres = SPEED_OF_SOUND / rate;
    let [begin_m, block_m] = [start - TIME_ZERO, BLOCK].map(|samples| metres * samples as f64);
    let of_walls = rates.mean_energy(losses.walls * begin_m, losses.walls * block_m);
    let of_air = (0..).map(|block| (-losses.air * (begin_m + f64::from(block) * block_m)).exp());
    let mut energy = of_walls.zip(of_air).map(|(walls, air)| walls * air);
    let mut response = vec![0f32; length];
    let mut white = white.iter();
    let mut here = energy.next().unwrap_or_default();
    for block in response.get_mut(start..).unwrap_or_default().chunks_mut(BLOCK) {
        let next = energy.next().unwrap_or_default();
        let mut amplitude = (power * here).sqrt() as f32;
        let ratio = if here > 0.0 { (next / here).powf(0.5 / BLOCK as f64) as f32 } else { 0.0 };
        for (sample, value) in block.iter_mut().zip(&mut white) {
            *sample = amplitude * value;
            amplitude *= ratio;
        }
        here = next;
    }
    let fading = response.iter_mut().skip(start).take(fade);
    fading.enumerate().for_each(|(i, sample)| *sample *= fade_in(i, fade));
    response
}

/// Where the noise begins to fade in, and how long that takes, in samples.
pub(super) fn fade_of(sample_rate: u32, start_s: f64) -> (usize, usize) {
    let rate = f64::from(sample_rate);
    let fade = (FADE_S * rate) as usize;
    ((TIME_ZERO + (start_s * rate) as usize).saturating_sub(fade), fade)
}

/// Fades the end of the images out where [`noise`] fades in, the sum of their powers being constant.
pub(super) fn fade_out(images: &mut [f32], sample_rate: u32, start_s: f64) {
    let rate = f64::from(sample_rate);
    let end = (TIME_ZERO + (start_s * rate) as usize).min(images.len());
    let fade = (FADE_S * rate) as usize;
    images[end..].fill(0.0);
    let fading = images[..end].iter_mut().rev().take(fade);
    fading.enumerate().for_each(|(i, sample)| *sample *= fade_in(i, fade));
}

/// Gain at place `i` of a fade of `length` samples.
fn fade_in(i: usize, length: usize) -> f32 {
    ((i as f32 + 0.5) / length as f32 * std::f32::consts::FRAC_PI_2).sin()
}

/// The noise is a function of the room: the same room has the same response.
fn seed(room: &Room) -> u64 {
    let numbers = room.size_m.iter().chain(&room.source_m).chain(&room.microphone_m).chain([&room.rt60_s]);
    // The step of FNV-1a on words, with a rotation because the low bits of a round number are all zero.
    numbers.fold(0xcbf2_9ce4_8422_2325, |hash: u64, x| {
        (hash ^ x.to_bits()).wrapping_mul(0x0000_0100_0000_01b3).rotate_left(29)
    })
}
