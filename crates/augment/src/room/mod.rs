//! Simulated rooms: impulse responses of shoebox rooms by the image-source method (Allen & Berkley 1979). It is fast
//! enough to make a new room for each training utterance, so no corpus of measured responses is needed.
//!
//! A [`Room`] is data: size, reverberation time, and where source and microphone are.
//! [`Room::impulse_response`] makes its response; [`Simulation`] has the options. [`RoomRanges`] draws rooms.
//!
//! ```
//! use ffsvc_augment::room::Room;
//!
//! let room = Room {
//!     size_m: [6.0, 5.0, 3.0],
//!     rt60_s: 0.4,
//!     source_m: [1.5, 2.0, 1.6],
//!     microphone_m: [4.5, 2.0, 0.8],
//!     rt60_per_octave: 1.0,
//!     air: false,
//! };
//! let response = room.impulse_response(16_000)?;
//! // The direct sound arrives first, with the pressure 1 / (4 pi d).
//! let direct = room.direct_path(16_000).round() as usize;
//! assert!(response[direct].abs() > 0.01 && response[direct - 20].abs() < 0.001);
//! # Ok::<(), ffsvc_augment::room::Error>(())
//! ```
//!
//! # The model, and what it leaves out
//! - Six flat walls with one absorption, found from the reverberation time by [`Absorption`]. By default it is the same at
//!   all frequencies. With [`Room::rt60_per_octave`] it is that of seven octave bands.
//! - Source and microphone have no direction. A talker who turns their back differs from one who faces the microphone
//!   by the distance alone. That is right for low frequencies only.
//! - By default the air absorbs nothing. With [`Room::air`] it absorbs as ISO 9613-1 says for 20 degrees Celsius and 50 %
//!   humidity: 0.03 dB a metre at 4 kHz and 0.11 dB at 8 kHz. After 0.2 s that is 2 and 7 dB.
//! - The speed of sound is [`SPEED_OF_SOUND`].
//! - Fractional delays are sincs of 81 taps with a Hann window, as in pyroomacoustics.
//! - All images are positive, so they add up at low frequencies. Allen & Berkley's own high-pass of 100 Hz removes
//!   that.
//! - From the mixing time on, noise with the energy of the images replaces them by default ([`Late`]). That is 4 to 15
//!   times as fast. It also has no sweeping echoes, which regular images have and real rooms do not.
//!
//! # Figures
//! On one core of a 2-core server, a room of 90 m3 at 16 kHz takes 0.24 ms for 0.3 s of reverberation and 0.31 ms for
//! 0.6 s. With images alone it takes 1.1 and 4.7 ms. Octave bands take some twelve times as long: seven responses, and the
//! transforms that join them.
//!
//! The table gives the error of T30 (ISO 3382, from 5 ms after the direct sound on) against the requested reverberation
//! time. It is the mean and root mean square of 60 drawn rooms.
//!
//! | absorption | late: diffuse | late: images |
//! | --- | --- | --- |
//! | `decay` | +3 %, 4 % | +5 %, 6 % |
//! | `sabine` | +12 %, 16 % | +13 %, 18 % |
//! | `eyring` | +31 %, 33 % | +32 %, 34 % |
//!
//! With the options of pyroomacoustics, the responses of three rooms differ from its own by less than 0.3 % of their
//! peak at every sample. Their energy decay differs by less than 0.01 dB down to -30 dB.
//!
//! The mean energy of the noise tails of 200 drawn rooms equals that of the images (0.0 dB), with 0.7 dB root mean
//! square a room. Fitting it to the images just before the mixing time was no improvement.

mod bands;
mod decay;
mod error;
mod images;
mod late;
mod microphones;
mod ranges;

use serde::{Deserialize, Serialize};

pub use decay::Absorption;
use decay::WallRates;
pub use error::{Error, Result};
pub use microphones::Microphone;
pub use ranges::RoomRanges;

/// Speed of sound in air of 20 degrees Celsius, in m/s.
pub const SPEED_OF_SOUND: f64 = 343.0;
/// The sample of a response at which the source emits: half the length of a fractional delay, so that no part
/// of it is cut off. The direct sound follows after the distance ([`Room::direct_path`]).
pub const TIME_ZERO: usize = 40;

/// Largest share of the energy that the walls may absorb.
const MAX_ABSORPTION: f64 = 0.99;
/// Sides of a room, in m.
const SIZE_M: [f64; 2] = [0.5, 1000.0];
/// Reverberation times, in s.
const RT60_S: [f64; 2] = [0.01, 10.0];
/// Sample rates, in Hz.
const SAMPLE_RATES: [u32; 2] = [1000, 192_000];
/// Smallest distance between source and microphone, in m.
const MIN_DISTANCE_M: f64 = 0.01;
/// Reverberation times of an octave by that of the octave below.
const RT60_PER_OCTAVE: [f64; 2] = [0.5, 2.0];
/// Most image sources of one response; they take about a second.
const MAX_IMAGES: f64 = 5e7;

/// A shoebox room with a source and a microphone in it. One corner is the origin; z points upwards.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Room {
    /// Length, width and height, in m; 0.5 to 1000 each.
    pub size_m: [f64; 3],
    /// Time in which the reverberation decays by 60 dB, in s; 0.01 to 10. Of the walls alone, at 1 kHz.
    pub rt60_s: f64,
    /// Place of the source, in m; strictly inside of the room.
    pub source_m: [f64; 3],
    /// Place of the microphone, in m; strictly inside of the room.
    pub microphone_m: [f64; 3],
    /// Reverberation time of each octave by that of the octave below; 0.5 to 2. With 1 it is the same at all frequencies. Rooms
    /// with furniture and curtains have 0.8 to 0.95: high frequencies decay faster.
    #[serde(default = "same_in_all_octaves", skip_serializing_if = "is_same_in_all_octaves")]
    pub rt60_per_octave: f64,
    /// Whether the air absorbs, which matters above 2 kHz.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub air: bool,
}

fn same_in_all_octaves() -> f64 {
    1.0
}

fn is_same_in_all_octaves(ratio: &f64) -> bool {
    *ratio == same_in_all_octaves()
}

/// What is absorbed in one band.
#[derive(Debug, Clone, Copy)]
struct Losses {
    /// `-ln(1 - absorption)` of a wall, of the energy.
    walls: f64,
    /// Of the energy, a metre.
    air: f64,
}

/// What the responses of all bands have in common.
struct Course {
    sample_rate: u32,
    high_pass: f64,
    rates: WallRates,
    /// Where noise takes the place of the images; `None` for images alone.
    mixing_s: Option<f64>,
    /// The noise, of unit power.
    white: Vec<f32>,
    /// Way of the last image.
    reach_m: f64,
    /// Samples of the images and of the whole response.
    images_length: usize,
    length: usize,
}

/// How the late part of a response is made.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Late {
    /// From the mixing time on (16,000 images a second: `5.6 sqrt(V)` ms, plus the direct path and 10 ms),
    /// Gaussian noise with the energy envelope of the images. It is seeded from the room, so that a room has
    /// one response. Default.
    #[default]
    Diffuse,
    /// Image sources for the whole reverberation time: the method as published, for comparison with other
    /// programs.
    Images,
}

/// Options of the simulation.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Simulation {
    /// Formula that gives the absorption of the walls. Default `"decay"`.
    pub absorption: Absorption,
    /// How the late part is made. Default `"diffuse"`.
    pub late: Late,
    /// Cut-off of Allen & Berkley's high-pass, in Hz; 0 for none. Default 100, as in their paper. Without it
    /// the early part has a build-up below some 100 Hz that the noise of a diffuse late part does not
    /// continue.
    pub high_pass_hz: f64,
}

impl Default for Simulation {
    fn default() -> Self {
        Self { absorption: Absorption::default(), late: Late::default(), high_pass_hz: 100.0 }
    }
}

impl Room {
    /// The response from the source to the microphone with the default [`Simulation`]. It is the pressure at
    /// `sample_rate` Hz for a pulse of a unit source. The direct path alone gives `1 / (4 pi d)`. It starts
    /// [`TIME_ZERO`] samples before the emission and ends `rt60_s` after the direct sound.
    ///
    /// # Errors
    /// The room or the rate is out of its range, a place is not in the room, or the walls cannot absorb
    /// enough in one of the bands.
    pub fn impulse_response(&self, sample_rate: u32) -> Result<Vec<f32>> {
        self.simulate(sample_rate, &Simulation::default())
    }

    /// [`impulse_response`](Self::impulse_response) with options.
    ///
    /// # Errors
    /// As there; and a high-pass that is not below half the rate, or more images than can be simulated.
    pub fn simulate(&self, sample_rate: u32, options: &Simulation) -> Result<Vec<f32>> {
        let rates = WallRates::of_room(self.size_m);
        self.check(options.absorption, &rates)?;
        if !(SAMPLE_RATES[0]..=SAMPLE_RATES[1]).contains(&sample_rate) {
            let expected = format!("{} to {} Hz", SAMPLE_RATES[0], SAMPLE_RATES[1]);
            return Err(Error::value("sample_rate", sample_rate, expected));
        }
        let rate = f64::from(sample_rate);
        if !(0.0..0.5 * rate).contains(&options.high_pass_hz) {
            let expected = format!("0 (none) or less than half the sample rate, {} Hz", 0.5 * rate);
            return Err(Error::value("high_pass_hz", options.high_pass_hz, expected));
        }

        let end_s = self.distance_m() / SPEED_OF_SOUND + self.longest_rt60_s();
        let length = TIME_ZERO + (end_s * rate) as usize + 1;
        let mixing_s = match options.late {
            Late::Diffuse => Some(late::mixing_time_s(self)).filter(|mixing_s| *mixing_s < end_s),
            Late::Images => None,
        };
        // Images a little behind the mixing time still reach into the fade by their fractional delays.
        let images_s = mixing_s.map_or(end_s, |mixing_s| mixing_s + TIME_ZERO as f64 / rate);
        let reach_m = images_s * SPEED_OF_SOUND;
        let volume: f64 = self.size_m.iter().product();
        let num_images = 4.0 / 3.0 * std::f64::consts::PI * reach_m.powi(3) / volume;
        if num_images > MAX_IMAGES {
            return Err(Error::TooManyImages { found: num_images, limit: MAX_IMAGES });
        }

        let images_length = mixing_s.map_or(length, |s| length.min(TIME_ZERO + (s * rate) as usize + 1));
        let high_pass = options.high_pass_hz / rate;
        let white = mixing_s.map_or_else(Vec::new, |mixing_s| {
            let (begin, _) = late::fade_of(sample_rate, mixing_s);
            late::white(self, length.saturating_sub(begin))
        });
        let course =
            Course { sample_rate, high_pass, rates, mixing_s, white, reach_m, images_length, length };
        let losses = |hz: f64| Losses {
            walls: options.absorption.exponent(self.rt60_at(hz), &course.rates),
            air: if self.air { bands::of_air(hz) } else { 0.0 },
        };
        Ok(if self.is_one_band() {
            self.band(&course, losses(1000.0))
        } else {
            let bands = bands::CENTRES_HZ.map(|hz| self.band(&course, losses(hz)));
            bands::joined(&bands, sample_rate)
        })
    }

    /// The response of one band, before it is filtered to the band.
    fn band(&self, course: &Course, losses: Losses) -> Vec<f32> {
        let &Course { sample_rate, high_pass, mixing_s, reach_m, images_length, length, .. } = course;
        let mut response = images::response(self, sample_rate, losses, reach_m, images_length);
        high_pass_by(&mut response, high_pass);
        if let Some(mixing_s) = mixing_s {
            late::fade_out(&mut response, sample_rate, mixing_s);
            let Course { white, rates, .. } = course;
            let mut noise = late::noise(self, white, sample_rate, rates, losses, mixing_s, length);
            high_pass_by(&mut noise, high_pass);
            noise.iter_mut().zip(&response).for_each(|(sum, image)| *sum += image);
            response = noise;
        }
        response
    }

    /// The energy absorption of the walls that `formula` gives for this room at 1 kHz, more than 0 and at most 0.99.
    ///
    /// # Errors
    /// The room is out of range, or would have to absorb more.
    pub fn absorption(&self, formula: Absorption) -> Result<f64> {
        let rates = WallRates::of_room(self.size_m);
        self.check(formula, &rates)?;
        Ok(-(-formula.exponent(self.rt60_s, &rates)).exp_m1())
    }

    /// Energy of the response with the default [`Simulation`]: what a microphone gets of a source, whatever its spectrum.
    ///
    /// # Errors
    /// As [`impulse_response`](Self::impulse_response).
    pub fn response_energy(&self, sample_rate: u32) -> Result<f64> {
        let response = self.impulse_response(sample_rate)?;
        Ok(response.iter().map(|&sample| f64::from(sample).powi(2)).sum())
    }

    /// From source to microphone, in m.
    pub fn distance_m(&self) -> f64 {
        let squares = self.source_m.iter().zip(&self.microphone_m).map(|(s, m)| (s - m).powi(2));
        squares.sum::<f64>().sqrt()
    }

    /// Where the direct sound has its peak in the response, in samples; between two of them as a rule.
    pub fn direct_path(&self, sample_rate: u32) -> f64 {
        TIME_ZERO as f64 + self.distance_m() / SPEED_OF_SOUND * f64::from(sample_rate)
    }

    /// The reverberation time of the walls at `hz`, in s.
    fn rt60_at(&self, hz: f64) -> f64 {
        self.rt60_s * self.rt60_per_octave.powf(bands::octaves(hz))
    }

    /// Of all bands.
    fn longest_rt60_s(&self) -> f64 {
        if self.is_one_band() {
            return self.rt60_s;
        }
        bands::CENTRES_HZ.into_iter().map(|hz| self.rt60_at(hz)).fold(0.0, f64::max)
    }

    /// Whether walls and air absorb the same at all frequencies.
    fn is_one_band(&self) -> bool {
        is_same_in_all_octaves(&self.rt60_per_octave) && !self.air
    }

    /// Checks that there can be such a room.
    fn check(&self, formula: Absorption, rates: &WallRates) -> Result<()> {
        for length in self.size_m {
            check_range("size_m", length, SIZE_M, "m")?;
        }
        check_range("rt60_s", self.rt60_s, RT60_S, "s")?;
        check_range("rt60_per_octave", self.rt60_per_octave, RT60_PER_OCTAVE, "")?;
        for (field, place) in [("source_m", self.source_m), ("microphone_m", self.microphone_m)] {
            for (axis, (found, size)) in ['x', 'y', 'z'].into_iter().zip(place.into_iter().zip(self.size_m)) {
                if !(found > 0.0 && found < size) {
                    return Err(Error::Outside { field, axis, found, size });
                }
            }
        }
        let distance = self.distance_m();
        if distance < MIN_DISTANCE_M {
            return Err(Error::TooClose { found: distance, minimum: MIN_DISTANCE_M });
        }
        let shortest = formula.shortest_rt60_s(MAX_ABSORPTION, rates);
        check_bands(self.rt60_s, self.rt60_per_octave, shortest, self.size_m)
    }
}

/// `found` is a number in `range`.
fn check_range(field: &'static str, found: f64, range: [f64; 2], unit: &str) -> Result<()> {
    if (range[0]..=range[1]).contains(&found) {
        return Ok(());
    }
    let expected = format!("{} to {} {unit}", range[0], range[1]);
    Err(Error::value(field, found, expected.trim_end()))
}

/// No band of a room of this size decays in less than `shortest` seconds, or in more than can be.
fn check_bands(rt60_s: f64, per_octave: f64, shortest: f64, size_m: [f64; 3]) -> Result<()> {
    if rt60_s < shortest {
        return Err(Error::TooDead { found: rt60_s, shortest, size_m });
    }
    for hz in bands::CENTRES_HZ {
        let found = rt60_s * per_octave.powf(bands::octaves(hz));
        if found < shortest || found > RT60_S[1] {
            let expected = format!(
                "reverberation times from {shortest:.3} s, the shortest of {size_m:?} m, to {} s at all octaves; {hz} Hz has \
                 {found:.3} s with rt60_s = {rt60_s}",
                RT60_S[1]
            );
            return Err(Error::value("rt60_per_octave", per_octave, expected));
        }
    }
    Ok(())
}

/// The high-pass in Allen & Berkley's programme, with the cut-off as a share of the sample rate.
fn high_pass_by(samples: &mut [f32], cut_off: f64) {
    if cut_off == 0.0 {
        return;
    }
    let w = 2.0 * std::f64::consts::PI * cut_off;
    let r = (-w).exp();
    let (b1, b2) = (2.0 * r * w.cos(), -r * r);
    let (a1, a2) = (-(1.0 + r), r);
    let (mut y1, mut y2) = (0.0, 0.0);
    for sample in samples {
        let y0 = b1 * y1 + b2 * y2 + f64::from(*sample);
        *sample = (y0 + a1 * y1 + a2 * y2) as f32;
        (y2, y1) = (y1, y0);
    }
}
