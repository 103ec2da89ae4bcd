//! From frames of articulation to samples.

use rand::Rng;

use crate::SAMPLE_RATE;
use crate::biquad::Biquad;
use crate::glottis::Glottis;
use crate::random::{Purpose, gaussian, stream};
use crate::speaker::{NUM_FORMANTS, Speaker};
use crate::tract::{NASAL_POLE_HZ, Tract};
use crate::vowel::Vowel;

/// Time between two frames of articulation (Klatt 1980).
pub(crate) const FRAME_S: f64 = 0.005;

/// The state of glottis and tract at one moment.
#[derive(Debug, Clone)]
pub(crate) struct Frame {
    pub(crate) f0_hz: f64,
    pub(crate) formants: [f64; NUM_FORMANTS],
    /// 0 to about 1.
    pub(crate) voicing: f64,
    pub(crate) aspiration: f64,
    pub(crate) frication: f64,
    pub(crate) frication_hz: f64,
    pub(crate) frication_bandwidth_hz: f64,
    pub(crate) nasal_pole_hz: f64,
    /// Equal to the pole while the nose is shut off.
    pub(crate) nasal_zero_hz: f64,
}

impl Frame {
    /// A tract in position, and no sound.
    pub(crate) fn silent(formants: [f64; NUM_FORMANTS], nasal_pole_hz: f64) -> Self {
        Self {
            f0_hz: 100.0,
            formants,
            voicing: 0.0,
            aspiration: 0.0,
            frication: 0.0,
            frication_hz: 4_000.0,
            frication_bandwidth_hz: 2_000.0,
            nasal_pole_hz,
            nasal_zero_hz: nasal_pole_hz,
        }
    }
}

/// Filters are tuned this often: 1.25 ms, so that formants glide without steps.
const TUNING_SAMPLES: usize = 20;

/// `num_samples` samples of a speaker's articulation; after the last frame, its state stays.
pub(crate) fn render(
    speaker: &Speaker,
    frames: &[Frame],
    num_samples: usize,
    rng: &mut impl Rng,
) -> Vec<f64> {
    let Some(last) = frames.last() else {
        return vec![0.0; num_samples];
    };
    let mut glottis = Glottis::new(speaker);
    let mut tract = Tract::default();
    let mut friction = Biquad::default();
    let frame_samples = FRAME_S * f64::from(SAMPLE_RATE);
    let mut samples = Vec::with_capacity(num_samples);
    for n in 0..num_samples {
        let position = n as f64 / frame_samples;
        let index = position as usize;
        let (a, b) = (frames.get(index).unwrap_or(last), frames.get(index + 1).unwrap_or(last));
        let between = |a: f64, b: f64| a + (b - a) * position.fract();
        if n % TUNING_SAMPLES == 0 {
            let formants = std::array::from_fn(|i| between(a.formants[i], b.formants[i]));
            let zero_hz = between(a.nasal_zero_hz, b.nasal_zero_hz);
            tract.tune(&formants, |hz| speaker.bandwidth_hz(hz), a.nasal_pole_hz, zero_hz);
            friction.tune_band(a.frication_hz, a.frication_bandwidth_hz);
        }
        let voicing = between(a.voicing, b.voicing);
        let aspiration = between(a.aspiration, b.aspiration);
        let source = glottis.next(between(a.f0_hz, b.f0_hz), voicing, aspiration, rng);
        let noise = friction.next(gaussian(rng)) * between(a.frication, b.frication);
        samples.push(tract.next(source) + noise);
    }
    samples
}

/// A vowel that a speaker holds at a constant pitch: clean, at [`SAMPLE_RATE`], peak at 0.5.
///
/// It is what one listens to or measures to get to know a speaker.
///
/// ```
/// use ffsvc_synth::{Speaker, Vowel, sustained_vowel};
///
/// let speaker = Speaker::draw(0, 1);
/// let samples = sustained_vowel(&speaker, Vowel::Hod, speaker.f0_hz, 0.5);
/// assert_eq!(samples.len(), 8_000);
/// ```
pub fn sustained_vowel(speaker: &Speaker, vowel: Vowel, f0_hz: f64, seconds: f64) -> Vec<f32> {
    let silent = Frame::silent(speaker.vowel_formants(vowel), NASAL_POLE_HZ);
    let frame = Frame { f0_hz, voicing: 1.0, ..silent };
    let num_samples = (seconds.max(0.0) * f64::from(SAMPLE_RATE)).round() as usize;
    let rng = &mut stream(0, Purpose::Speech, vowel as u64, 0);
    let samples = render(speaker, &[frame], num_samples, rng);
    let peak = samples.iter().fold(f64::MIN_POSITIVE, |peak, x| peak.max(x.abs()));
    samples.into_iter().map(|x| (0.5 * x / peak) as f32).collect()
}
