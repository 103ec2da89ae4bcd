//! What is said: random syllables as a list of sounds, and their pitch.

use rand::{Rng, RngExt};

use crate::random::{normal, uniform};
use crate::speaker::{NUM_FORMANTS, Speaker};
use crate::tract::NASAL_POLE_HZ;
use crate::voice::{FRAME_S, Frame};
use crate::vowel::{Sex, Vowel};

/// Women's formants relative to men's, for sounds that the vowel tables lack: the mean over the tables.
const WOMEN_OVER_MEN: f64 = 1.16;

/// Half the time that the tongue takes from one sound to the next, in frames.
const TONGUE_FRAMES: usize = 5;
/// The same for voice, breath and friction.
const FLOW_FRAMES: usize = 1;

/// A stretch of speech in which the targets do not change.
#[derive(Debug, Clone)]
struct Sound {
    seconds: f64,
    target: Frame,
    accent: bool,
}

/// Random syllables of a speaker that last at least `seconds`, as frames every [`FRAME_S`].
pub(crate) fn speak(speaker: &Speaker, seconds: f64, rng: &mut impl Rng) -> Vec<Frame> {
    let mut plan = Plan::new(speaker);
    let mut phrase_starts = Vec::new();
    plan.pause(uniform(rng, [0.05, 0.2]));
    while plan.seconds() < seconds {
        phrase_starts.push(plan.seconds());
        for _ in 0..rng.random_range(3..=8) {
            plan.syllable(rng);
        }
        plan.pause(uniform(rng, [0.12, 0.35]));
    }
    let pitch = Pitch::draw(speaker, &plan, phrase_starts, rng);
    frames(&plan.sounds, &pitch)
}

/// Median pitch of an utterance and what moves it.
struct Pitch {
    base_hz: f64,
    declination: f64,
    phrase_starts: Vec<f64>,
    /// Time and height in semitones.
    accents: Vec<(f64, f64)>,
}

impl Pitch {
    fn draw(speaker: &Speaker, plan: &Plan<'_>, phrase_starts: Vec<f64>, rng: &mut impl Rng) -> Self {
        let mut accents = Vec::new();
        let mut time = 0.0;
        for sound in &plan.sounds {
            if sound.accent {
                accents
                    .push((time + 0.5 * sound.seconds, speaker.accent_semitones * uniform(rng, [0.5, 1.2])));
            }
            time += sound.seconds;
        }
        // Nobody speaks at the same pitch every time.
        let mood = normal(rng, 0.0, 1.0);
        let base_hz = speaker.f0_hz * 2f64.powf(mood / 12.0);
        Self { base_hz, declination: speaker.declination_semitones, phrase_starts, accents }
    }

    fn at(&self, time: f64) -> f64 {
        let phrase = self.phrase_starts.iter().rev().find(|start| **start <= time);
        // A phrase lasts about a second and a half: its middle is at the speaker's pitch.
        let fall = self.declination * (0.7 - (time - phrase.unwrap_or(&0.0)).min(2.5));
        let accents: f64 =
            self.accents.iter().map(|(peak, height)| height * (-((time - peak) / 0.09).powi(2)).exp()).sum();
        self.base_hz * 2f64.powf((fall + accents) / 12.0)
    }
}

/// The sounds planned so far.
struct Plan<'a> {
    speaker: &'a Speaker,
    sounds: Vec<Sound>,
}

#[derive(Clone, Copy)]
enum Consonant {
    Plosive { place: Place, voiced: bool },
    Fricative { hz: f64, bandwidth_hz: f64, level: f64, place: Place, voiced: bool },
    Nasal { place: Place, zero_hz: f64 },
    Approximant([f64; 4]),
}

/// Where the tongue or the lips close the tract.
#[derive(Clone, Copy)]
enum Place {
    Lips,
    Ridge,
    Palate,
}

impl Place {
    /// F1 to F4 that the vowels bend towards, of a man (the loci of Klatt 1980, table III, rounded).
    fn locus(self) -> [f64; 4] {
        match self {
            Place::Lips => [250., 900., 2200., 3300.],
            Place::Ridge => [250., 1750., 2650., 3500.],
            Place::Palate => [250., 2000., 2300., 3400.],
        }
    }

    /// Centre and bandwidth of the burst, Hz.
    fn burst(self) -> (f64, f64) {
        match self {
            Place::Lips => (1_000., 1_600.),
            Place::Ridge => (4_200., 2_200.),
            Place::Palate => (2_000., 900.),
        }
    }
}

const CONSONANTS: [Consonant; 16] = {
    use Consonant::{Approximant, Fricative, Nasal, Plosive};
    use Place::{Lips, Palate, Ridge};
    [
        Plosive { place: Lips, voiced: false },
        Plosive { place: Ridge, voiced: false },
        Plosive { place: Palate, voiced: false },
        Plosive { place: Lips, voiced: true },
        Plosive { place: Ridge, voiced: true },
        Plosive { place: Palate, voiced: true },
        Fricative { hz: 5_600., bandwidth_hz: 2_400., level: 0.30, place: Ridge, voiced: false },
        Fricative { hz: 3_000., bandwidth_hz: 1_500., level: 0.32, place: Palate, voiced: false },
        Fricative { hz: 5_000., bandwidth_hz: 6_000., level: 0.07, place: Lips, voiced: false },
        Fricative { hz: 5_600., bandwidth_hz: 2_400., level: 0.15, place: Ridge, voiced: true },
        Nasal { place: Lips, zero_hz: 1_000. },
        Nasal { place: Ridge, zero_hz: 1_600. },
        Approximant([330., 1_100., 2_600., 3_300.]),
        Approximant([300., 650., 2_200., 3_300.]),
        Approximant([280., 2_150., 2_900., 3_500.]),
        Approximant([330., 1_100., 1_500., 3_200.]),
    ]
};

impl<'a> Plan<'a> {
    fn new(speaker: &'a Speaker) -> Self {
        Self { speaker, sounds: Vec::new() }
    }

    fn seconds(&self) -> f64 {
        self.sounds.iter().map(|sound| sound.seconds).sum()
    }

    fn silent(&self, formants: [f64; NUM_FORMANTS]) -> Frame {
        Frame::silent(formants, self.nasal_pole_hz())
    }

    fn nasal_pole_hz(&self) -> f64 {
        NASAL_POLE_HZ * self.sex_factor()
    }

    fn sex_factor(&self) -> f64 {
        if self.speaker.sex == Sex::Female { WOMEN_OVER_MEN } else { 1.0 }
    }

    /// Formants of this speaker for F1 to F4 of an average man.
    fn formants(&self, man: [f64; 4]) -> [f64; NUM_FORMANTS] {
        self.speaker.formants(man.map(|hz| hz * self.sex_factor()))
    }

    fn push(&mut self, seconds: f64, target: Frame) {
        self.sounds.push(Sound { seconds: seconds * self.speaker.slowness, target, accent: false });
    }

    fn pause(&mut self, seconds: f64) {
        let rest = [500., 1_500., 2_500., 3_500.];
        let formants = self.sounds.last().map_or(self.formants(rest), |sound| sound.target.formants);
        let target = self.silent(formants);
        self.push(seconds, target);
    }

    fn syllable(&mut self, rng: &mut impl Rng) {
        if rng.random_bool(self.speaker.onset_probability) {
            self.consonant(CONSONANTS[rng.random_range(0..CONSONANTS.len())], rng);
        }
        let vowel = Vowel::ALL[rng.random_range(0..Vowel::ALL.len())];
        let accented = rng.random_bool(0.35);
        let formants = self.speaker.vowel_formants(vowel);
        // No two tokens of a vowel are alike.
        let formants = formants.map(|hz| hz * normal(rng, 0.0, 0.025).exp());
        let loudness = normal(rng, if accented { 1.0 } else { 0.75 }, 0.1);
        let seconds = uniform(rng, [0.08, 0.16]) * if accented { 1.35 } else { 1.0 };
        let target = Frame { voicing: loudness, ..self.silent(formants) };
        self.push(seconds, target);
        if let Some(sound) = self.sounds.last_mut() {
            sound.accent = accented;
        }
        if rng.random_bool(0.3) {
            self.consonant(CONSONANTS[rng.random_range(6..12)], rng);
        }
    }

    fn consonant(&mut self, consonant: Consonant, rng: &mut impl Rng) {
        let factor = self.sex_factor() * self.speaker.frication_factor;
        match consonant {
            Consonant::Plosive { place, voiced } => {
                let closed = self.silent(self.formants(place.locus()));
                let bar = if voiced { 0.12 } else { 0.0 };
                self.push(uniform(rng, [0.045, 0.08]), Frame { voicing: bar, ..closed.clone() });
                let (hz, bandwidth_hz) = place.burst();
                let burst = Frame {
                    frication: if voiced { 0.3 } else { 0.5 },
                    frication_hz: (hz * factor).min(6_500.0),
                    frication_bandwidth_hz: bandwidth_hz,
                    ..closed.clone()
                };
                self.push(0.010, burst);
                if !voiced {
                    self.push(uniform(rng, [0.02, 0.05]), Frame { aspiration: 0.7, ..closed });
                }
            }
            Consonant::Fricative { hz, bandwidth_hz, level, place, voiced } => {
                let target = Frame {
                    voicing: if voiced { 0.25 } else { 0.0 },
                    frication: level * normal(rng, 1.0, 0.15),
                    frication_hz: (hz * factor).min(6_500.0),
                    frication_bandwidth_hz: bandwidth_hz,
                    ..self.silent(self.formants(place.locus()))
                };
                self.push(uniform(rng, [0.06, 0.12]), target);
            }
            Consonant::Nasal { place, zero_hz } => {
                let target = Frame {
                    voicing: 0.5,
                    nasal_zero_hz: zero_hz * self.sex_factor(),
                    ..self.silent(self.formants(place.locus()))
                };
                self.push(uniform(rng, [0.05, 0.09]), target);
            }
            Consonant::Approximant(formants) => {
                let target = Frame { voicing: 0.6, ..self.silent(self.formants(formants)) };
                self.push(uniform(rng, [0.05, 0.08]), target);
            }
        }
    }
}

/// Samples the sounds at the frame rate and lets each parameter move as fast as its articulator can.
fn frames(sounds: &[Sound], pitch: &Pitch) -> Vec<Frame> {
    let mut frames: Vec<Frame> = Vec::new();
    let mut end = 0.0;
    for sound in sounds {
        end += sound.seconds;
        while (frames.len() as f64) * FRAME_S < end {
            let f0_hz = pitch.at(frames.len() as f64 * FRAME_S);
            frames.push(Frame { f0_hz, ..sound.target.clone() });
        }
    }
    for i in 0..NUM_FORMANTS {
        smooth(&mut frames, TONGUE_FRAMES, |frame| &mut frame.formants[i]);
    }
    smooth(&mut frames, FLOW_FRAMES, |frame| &mut frame.voicing);
    smooth(&mut frames, FLOW_FRAMES, |frame| &mut frame.aspiration);
    smooth(&mut frames, FLOW_FRAMES, |frame| &mut frame.frication);
    smooth(&mut frames, FLOW_FRAMES, |frame| &mut frame.nasal_zero_hz);
    frames
}

/// Two moving averages over `2 * half + 1` frames: a bell-shaped transition without overshoot.
fn smooth(frames: &mut [Frame], half: usize, mut parameter: impl FnMut(&mut Frame) -> &mut f64) {
    let mut track: Vec<f64> = frames.iter_mut().map(|frame| *parameter(frame)).collect();
    for _ in 0..2 {
        let before = track.clone();
        for (i, value) in track.iter_mut().enumerate() {
            let window = &before[i.saturating_sub(half)..(i + half + 1).min(before.len())];
            *value = window.iter().sum::<f64>() / window.len() as f64;
        }
    }
    for (frame, value) in frames.iter_mut().zip(track) {
        *parameter(frame) = value;
    }
}
