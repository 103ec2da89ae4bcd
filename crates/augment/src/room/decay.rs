//! How the energy of a shoebox room decays, and the absorption that makes it decay in a given time.

use serde::{Deserialize, Serialize};

use super::SPEED_OF_SOUND;

/// Points of the quadrature along each angle of an octant of directions.
const ANGLES: usize = 16;

/// The formula that turns a reverberation time into the energy absorption `a` of the walls, which is the same
/// for all six of them and for all frequencies.
///
/// With `V` the volume, `S` the surface, `c` the speed of sound and `T` the reverberation time:
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Absorption {
    /// The absorption with which the image-source method itself has the reverberation time asked for.
    /// Default.
    ///
    /// A ray of direction `u` meets `q(u) = |ux|/Lx + |uy|/Ly + |uz|/Lz` walls a metre, so that the energy is
    /// the mean over all directions of `(1 - a)^(c t q(u))`. Rays that meet few walls outlive the others: the
    /// decay is slower than an exponential, and than both formulas below (Lehmann & Johansson 2008). `a` is
    /// solved for so that the Schroeder integral of this mean falls from -5 to -35 dB (ISO 3382's T30) in `T
    /// / 2`.
    #[default]
    Decay,
    /// Sabine: `a = 24 ln(10) V / (c S T)`, that is `0.161 V / (S T)`. What `inverse_sabine` of
    /// pyroomacoustics does.
    Sabine,
    /// Eyring: `a = 1 - exp(-24 ln(10) V / (c S T))`.
    Eyring,
}

impl Absorption {
    /// `-ln(1 - a)`, the energy exponent of one reflection: infinite or NaN where `a` would have to be 1 or
    /// more.
    pub(super) fn exponent(self, rt60_s: f64, rates: &WallRates) -> f64 {
        let reflections = SPEED_OF_SOUND * rt60_s;
        let diffuse = 6.0 * 10f64.ln() / (rates.mean_of_diffuse_field() * reflections);
        match self {
            Self::Decay => 2.0 * (rates.decay_length(35.0) - rates.decay_length(5.0)) / reflections,
            Self::Sabine => -(1.0 - diffuse).ln(),
            Self::Eyring => diffuse,
        }
    }

    /// The shortest reverberation time for an absorption of at most `limit`, in s.
    pub(super) fn shortest_rt60_s(self, limit: f64, rates: &WallRates) -> f64 {
        match self {
            // Sabine's absorption is inversely proportional to the time, the others' exponent is.
            Self::Sabine => Self::Eyring.exponent(1.0, rates) / limit,
            _ => self.exponent(1.0, rates) / -(1.0 - limit).ln(),
        }
    }
}

/// Walls met for each metre of the way, `q(u)`, over directions spread evenly on an octant of the sphere (the
/// other octants are its mirror images).
pub(super) struct WallRates {
    rates: Vec<f64>,
    size_m: [f64; 3],
}

impl WallRates {
    pub(super) fn of_room(size_m: [f64; 3]) -> Self {
        let mut rates = Vec::with_capacity(ANGLES * ANGLES);
        for i in 0..ANGLES {
            let cos_polar = (i as f64 + 0.5) / ANGLES as f64;
            let sin_polar = (1.0 - cos_polar * cos_polar).sqrt();
            for j in 0..ANGLES {
                let (sin, cos) = ((j as f64 + 0.5) / ANGLES as f64 * std::f64::consts::FRAC_PI_2).sin_cos();
                rates.push(sin_polar * cos / size_m[0] + sin_polar * sin / size_m[1] + cos_polar / size_m[2]);
            }
        }
        Self { rates, size_m }
    }

    /// `S / 4V`, the inverse of the mean free path.
    fn mean_of_diffuse_field(&self) -> f64 {
        self.size_m.iter().map(|length| 0.5 / length).sum()
    }

    /// Where the Schroeder integral `D(x) = sum exp(-q x) / q` lies `level_db` below its start, for walls of
    /// unit exponent.
    fn decay_length(&self, level_db: f64) -> f64 {
        let integral = |x: f64| {
            self.rates.iter().fold((0.0, 0.0), |(integral, power), q| {
                let e = (-q * x).exp();
                (integral + e / q, power + e)
            })
        };
        let target = integral(0.0).0.ln() - level_db / 10.0 * 10f64.ln();
        // ln D is convex and falls, so that Newton's iteration climbs to the root from the left.
        let mut x = 0.0;
        for _ in 0..30 {
            let (integral, power) = integral(x);
            let step = (integral.ln() - target) * integral / power;
            x += step;
            if step.abs() < 1e-6 * x {
                break;
            }
        }
        x
    }

    /// The mean energy of all directions after `step`, 2 `step`, 3 `step` ... reflections' worth of
    /// `exponent` times metres, beginning at `start`.
    pub(super) fn mean_energy(&self, start: f64, step: f64) -> impl Iterator<Item = f64> {
        let mut energy: Vec<f64> = self.rates.iter().map(|q| (-q * start).exp()).collect();
        let factor: Vec<f64> = self.rates.iter().map(|q| (-q * step).exp()).collect();
        std::iter::repeat_with(move || {
            let mean = energy.iter().sum::<f64>() / energy.len() as f64;
            energy.iter_mut().zip(&factor).for_each(|(e, f)| *e *= f);
            mean
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn mean_of_the_directions_is_that_of_a_diffuse_field() {
        let rates = WallRates::of_room([7.0, 4.0, 2.5]);
        let mean = rates.rates.iter().sum::<f64>() / rates.rates.len() as f64;
        assert!((mean / rates.mean_of_diffuse_field() - 1.0).abs() < 2e-3, "{mean}");
    }

    #[test]
    fn sabine_and_eyring_have_their_textbook_values() {
        // 6 x 5 x 4 m: V = 120 m3, S = 148 m2; 0.1611 V / (S T) = 0.2612 for 0.5 s.
        let rates = WallRates::of_room([6.0, 5.0, 4.0]);
        let absorption = |formula: Absorption| 1.0 - (-formula.exponent(0.5, &rates)).exp();
        assert!((absorption(Absorption::Sabine) - 0.2612).abs() < 2e-4);
        assert!((absorption(Absorption::Eyring) - (1.0 - (-0.2612f64).exp())).abs() < 2e-4);
        assert!(absorption(Absorption::Decay) > absorption(Absorption::Eyring));
    }

    #[test]
    fn shortest_time_has_the_largest_absorption() {
        let rates = WallRates::of_room([6.0, 5.0, 4.0]);
        for formula in [Absorption::Decay, Absorption::Sabine, Absorption::Eyring] {
            let shortest = formula.shortest_rt60_s(0.9, &rates);
            let absorption = 1.0 - (-formula.exponent(shortest, &rates)).exp();
            assert!((absorption - 0.9).abs() < 1e-9, "{formula:?}: {absorption}");
        }
    }
}
