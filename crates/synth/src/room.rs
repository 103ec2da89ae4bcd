//! Where it is said: a room and a microphone at a distance.

use rand::{Rng, RngExt};

use crate::SAMPLE_RATE;
use crate::random::{gaussian, uniform};

/// Speed of sound in air, m/s.
const SPEED_OF_SOUND: f64 = 343.0;

/// A shoebox room with a talker and a microphone in it.
#[derive(Debug, Clone)]
pub(crate) struct Room {
    /// Length, width and height, m.
    size: [f64; 3],
    talker: [f64; 3],
    microphone: [f64; 3],
    rt60_s: f64,
}

impl Room {
    /// A random living room or office with this reverberation time; the talker is `distance_m` from the
    /// microphone, or as far as the room allows.
    pub(crate) fn draw(rt60_s: f64, distance_m: f64, rng: &mut impl Rng) -> Self {
        let size = [uniform(rng, [3.0, 8.0]), uniform(rng, [2.5, 6.0]), uniform(rng, [2.4, 3.2])];
        let microphone = size.map(|side| side * uniform(rng, [0.2, 0.8]));
        let angle = uniform(rng, [0.0, std::f64::consts::TAU]);
        let rise = uniform(rng, [-0.2, 0.2]);
        let direction = [angle.cos(), angle.sin(), rise];
        let talker = std::array::from_fn(|axis| {
            let wished = microphone[axis] + distance_m * direction[axis] / (1.0 + rise * rise).sqrt();
            wished.clamp(0.1, size[axis] - 0.1)
        });
        Self { size, talker, microphone, rt60_s }
    }

    /// The response from talker to microphone. The direct sound is a unit pulse at sample 0. The six first reflections
    /// follow at the times of the image sources (Allen and Berkley 1979). Then comes a noise tail that decays by 60 dB
    /// in the reverberation time. Its energy is that of the diffuse field at this distance (critical distance `0.057
    /// sqrt(V / RT60)`, Kuttruff, "Room Acoustics").
    pub(crate) fn impulse_response(&self, rng: &mut impl Rng) -> Vec<f64> {
        let rate = f64::from(SAMPLE_RATE);
        let [length, width, height] = self.size;
        let volume = length * width * height;
        let surface = 2.0 * (length * width + width * height + height * length);
        // Eyring's formula, solved for the reflected part of the energy.
        let reflected = (-0.161 * volume / (surface * self.rt60_s)).exp();
        let distance = between(self.talker, self.microphone).max(0.05);

        let num_samples = ((self.rt60_s * rate).ceil() as usize).max(1);
        let mut response = vec![0.0; num_samples];
        response[0] = 1.0;
        for axis in 0..3 {
            for wall in [0.0, self.size[axis]] {
                let mut image = self.talker;
                image[axis] = 2.0 * wall - image[axis];
                let path = between(image, self.microphone);
                let delay = ((path - distance) / SPEED_OF_SOUND * rate).round() as usize;
                if let Some(sample) = response.get_mut(delay) {
                    *sample += reflected.sqrt() * distance / path;
                }
            }
        }

        // The tail sets in after a mean free path, and its high frequencies are absorbed first.
        let onset = (4.0 * volume / surface / SPEED_OF_SOUND * rate) as usize;
        let critical_distance = 0.057 * (volume / self.rt60_s).sqrt();
        let energy = (distance / critical_distance).powi(2);
        let decay = 6.908 / (self.rt60_s * rate);
        let smoothing = rng.random_range(0.3..0.7);
        let mut smoothed = 0.0;
        let tail: Vec<f64> = (onset..num_samples)
            .map(|n| {
                smoothed = (1.0 - smoothing) * gaussian(rng) + smoothing * smoothed;
                smoothed * (-decay * n as f64).exp()
            })
            .collect();
        let gain = (energy / tail.iter().map(|x| x * x).sum::<f64>().max(f64::MIN_POSITIVE)).sqrt();
        for (sample, x) in response[onset.min(num_samples)..].iter_mut().zip(tail) {
            *sample += gain * x;
        }
        response
    }
}

fn between(a: [f64; 3], b: [f64; 3]) -> f64 {
    a.iter().zip(b).map(|(a, b)| (a - b).powi(2)).sum::<f64>().sqrt()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::random::{Purpose, stream};

    #[test]
    fn the_tail_decays_by_60_db_in_the_reverberation_time() {
        for (i, rt60) in [0.2, 0.4, 0.8].into_iter().enumerate() {
            let rng = &mut stream(1, Purpose::Recording, i as u64, 0);
            let response = Room::draw(rt60, 2.0, rng).impulse_response(rng);
            // Schroeder's backward integral, and its slope between 5 and 25 dB below the start.
            let mut left = 0.0;
            let mut curve: Vec<f64> = response
                .iter()
                .rev()
                .map(|x| {
                    left += x * x;
                    left
                })
                .collect();
            curve.reverse();
            let time_below = |db: f64| {
                let level = curve[400] * 10f64.powf(-db / 10.0);
                curve.iter().position(|x| *x < level).unwrap() as f64 / f64::from(SAMPLE_RATE)
            };
            let measured = 3.0 * (time_below(25.0) - time_below(5.0));
            assert!((measured / rt60 - 1.0).abs() < 0.15, "asked {rt60} s, measured {measured} s");
        }
    }

    #[test]
    fn more_distance_is_more_reverberation() {
        let reverberation = |distance| {
            let rng = &mut stream(1, Purpose::Recording, 0, 0);
            let response = Room::draw(0.5, distance, rng).impulse_response(rng);
            response[1..].iter().map(|x| x * x).sum::<f64>()
        };
        assert!(reverberation(2.0) > 4.0 * reverberation(0.3));
    }
}
