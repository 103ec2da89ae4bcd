//! Plans, applied.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use ffsvc_audio::AudioFile;

use crate::cache::{Cache, CacheUse};
use crate::channel;
use crate::compat;
use crate::config::AugmentConfig;
use crate::convolution::{Convolver, Filter};
use crate::error::{Error, Result};
use crate::internet_call::InternetCall;
use crate::noise::{add_at_snr, add_talker, mean_power};
use crate::plan::{Channel, Noise, NoiseKind, Plan, Reverb};
use crate::reverb::{direct_path, room_filter};
use crate::sound_files::SoundStore;
use crate::speed::{self, SpeedChanger};

/// Crops that need sounds before their share of failures can stop a run: one bad file among the first few is no share.
const TRIAL_CROPS: u64 = 100;

/// Applies plans. Shared by all threads; its caches never change a sample.
pub struct Augmenter {
    sample_rate: u32,
    sounds: SoundStore,
    filters: Cache<FilterKey, Filter>,
    max_failed_share: f64,
    attempted: AtomicU64,
    failed: AtomicU64,
}

/// What one thread needs to apply plans, kept from crop to crop.
#[derive(Debug, Default)]
pub struct Scratch {
    convolver: Convolver,
    speed: SpeedChanger,
    /// The plan's noises, as long as the crop.
    noises: Vec<Vec<f32>>,
    talker: Vec<f32>,
}

/// How many crops needed sounds from files, and for how many of them one could not be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Failures {
    /// Crops whose plan named files.
    pub attempted: u64,
    /// Those that went without.
    pub failed: u64,
}

#[derive(Clone, PartialEq, Eq, Hash)]
struct FilterKey {
    response: ResponseKey,
    len: usize,
    compat: bool,
}

#[derive(Clone, PartialEq, Eq, Hash)]
enum ResponseKey {
    File(PathBuf, usize),
    /// The bits of a room's numbers.
    Simulated([u64; 12]),
    TelephoneBand,
}

impl std::fmt::Debug for Augmenter {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Augmenter")
            .field("sample_rate", &self.sample_rate)
            .field("sounds", &self.sounds.usage())
            .field("filters", &self.filters.usage())
            .field("failures", &self.failures())
            .finish()
    }
}

impl Augmenter {
    /// Augmentation of samples at `sample_rate` Hz with the memory that `config` allows.
    pub fn new(config: &AugmentConfig, sample_rate: u32) -> Self {
        let bytes = |mib: usize| mib.saturating_mul(1 << 20);
        Self {
            sample_rate,
            sounds: SoundStore::new(sample_rate, bytes(config.sound_cache_mib)),
            filters: Cache::new(bytes(config.rir_cache_mib)),
            max_failed_share: config.max_failed_share,
            attempted: AtomicU64::new(0),
            failed: AtomicU64::new(0),
        }
    }

    /// Does to `samples` what `plan` says, masks excepted ([`apply_masks`](crate::apply_masks)). The length stays, unless
    /// the speed changes: then it becomes [`speed::output_len`].
    ///
    /// # Errors
    /// A file cannot be read or is a silent impulse response, or a room cannot be simulated; `samples` are then as before.
    pub fn apply(&self, plan: &Plan, samples: &mut Vec<f32>, scratch: &mut Scratch) -> Result<()> {
        let len = speed::output_len(plan.speed, samples.len());
        // Everything that can fail comes first.
        let room = self.filter_of(plan.reverb.as_ref(), len, plan.compat, &mut scratch.convolver)?;
        let mut noise_rooms = Vec::with_capacity(plan.noises.len());
        scratch.noises.resize_with(plan.noises.len().max(scratch.noises.len()), Vec::new);
        for (noise, out) in plan.noises.iter().zip(&mut scratch.noises) {
            noise_rooms.push(self.filter_of(noise.reverb.as_ref(), len, false, &mut scratch.convolver)?);
            out.clear();
            out.resize(len, 0.0);
            self.read_noise(noise, plan.compat, out, &mut scratch.talker)?;
        }
        let band = plan
            .channel
            .telephone_band
            .then(|| self.telephone_band(len, &mut scratch.convolver))
            .transpose()?;
        let call = |kbps: f64| InternetCall::new(self.sample_rate, (1000.0 * kbps).round() as u32);
        let call = plan.channel.opus_kbps.map(call).transpose()?;
        scratch.speed.apply(plan.speed, samples)?;

        if let Some(room) = &room {
            scratch.convolver.apply(room, samples);
        }
        let speech_power = mean_power(samples);
        for ((noise, sound), room) in plan.noises.iter().zip(&mut scratch.noises).zip(&noise_rooms) {
            if let Some(room) = room {
                scratch.convolver.apply(room, sound);
            }
            if plan.compat {
                compat::add_noise(samples, sound, noise.snr_db);
            } else {
                add_at_snr(samples, sound, speech_power, noise.snr_db);
            }
        }
        transmit(&plan.channel, band.as_deref(), samples, &mut scratch.convolver);
        if let Some(call) = call {
            *samples = call.apply(samples)?;
        }
        Ok(())
    }

    /// As [`apply`](Self::apply), but if files of a crop cannot be read, the rest of the plan is applied. The failure
    /// is counted and returned, for the caller to report.
    ///
    /// # Errors
    /// [`Error::TooManyFailures`] once the share of such crops is above `max_failed_share` (after the first hundred), and
    /// what [`apply`](Self::apply) refuses in a plan without files.
    pub fn apply_or_skip(
        &self,
        plan: &Plan,
        samples: &mut Vec<f32>,
        scratch: &mut Scratch,
    ) -> Result<Option<Error>> {
        if !plan.needs_files() {
            return self.apply(plan, samples, scratch).map(|()| None);
        }
        let attempted = self.attempted.fetch_add(1, Ordering::Relaxed) + 1;
        let Err(error) = self.apply(plan, samples, scratch) else { return Ok(None) };
        let failed = self.failed.fetch_add(1, Ordering::Relaxed) + 1;
        if failed as f64 > self.max_failed_share * attempted.max(TRIAL_CROPS) as f64 {
            let limit = self.max_failed_share;
            return Err(Error::TooManyFailures { failed, attempted, limit, last: Box::new(error) });
        }
        self.apply(&plan.without_files(), samples, scratch).map(|()| Some(error))
    }

    /// What [`apply_or_skip`](Self::apply_or_skip) has counted.
    pub fn failures(&self) -> Failures {
        Failures {
            attempted: self.attempted.load(Ordering::Relaxed),
            failed: self.failed.load(Ordering::Relaxed),
        }
    }

    /// How the caches of sounds and of filters have done.
    pub fn cache_use(&self) -> (CacheUse, CacheUse) {
        (self.sounds.usage(), self.filters.usage())
    }

    fn read_noise(&self, noise: &Noise, compat: bool, out: &mut [f32], talker: &mut Vec<f32>) -> Result<()> {
        // Training speech is far larger than any cache: it would only push the noises out.
        let keep = noise.kind != NoiseKind::Babble;
        if let [sound] = noise.sounds.as_slice() {
            return self.sounds.fill(sound, compat, keep, out);
        }
        talker.clear();
        talker.resize(out.len(), 0.0);
        for sound in &noise.sounds {
            self.sounds.fill(sound, compat, keep, talker)?;
            add_talker(out, talker);
        }
        Ok(())
    }

    fn filter_of(
        &self,
        reverb: Option<&Reverb>,
        len: usize,
        compat: bool,
        convolver: &mut Convolver,
    ) -> Result<Option<Arc<Filter>>> {
        let Some(reverb) = reverb else { return Ok(None) };
        let response = match reverb {
            Reverb::File { path, channel } => ResponseKey::File(path.clone(), *channel),
            Reverb::Simulated(room) => {
                let numbers = [room.size_m, room.source_m, room.microphone_m].into_iter().flatten().chain([
                    room.rt60_s,
                    room.rt60_per_octave,
                    f64::from(u8::from(room.air)),
                ]);
                let mut bits = [0; 12];
                bits.iter_mut().zip(numbers).for_each(|(bits, number)| *bits = number.to_bits());
                ResponseKey::Simulated(bits)
            }
        };
        let make = || match reverb {
            Reverb::File { path, channel } => self.measured_filter(path, *channel, len, compat, convolver),
            Reverb::Simulated(room) => {
                let taps = room.impulse_response(self.sample_rate)?;
                let direct = room.direct_path(self.sample_rate).round() as usize;
                // No response that was simulated is silent; if one were, the speech would pass as it is.
                Ok(room_filter(&taps, direct, len, convolver)
                    .unwrap_or_else(|| Filter::new(&[1.0], 0, len, convolver)))
            }
        };
        self.filters.get_or_make(&FilterKey { response, len, compat }, Filter::bytes, make).map(Some)
    }

    fn measured_filter(
        &self,
        path: &Path,
        channel: usize,
        len: usize,
        compat: bool,
        convolver: &mut Convolver,
    ) -> Result<Filter> {
        let options = self.sounds.options(compat).with_channel(ffsvc_audio::Channel::Index(channel));
        let taps = AudioFile::open(path)?.read(&options)?.samples;
        if compat {
            return Ok(compat::room_filter(&taps, len, convolver));
        }
        direct_path(&taps)
            .and_then(|direct| room_filter(&taps, direct, len, convolver))
            .ok_or_else(|| Error::SilentImpulseResponse { path: path.to_path_buf(), channel })
    }

    fn telephone_band(&self, len: usize, convolver: &mut Convolver) -> Result<Arc<Filter>> {
        let key = FilterKey { response: ResponseKey::TelephoneBand, len, compat: false };
        self.filters.get_or_make(&key, Filter::bytes, || {
            Ok(channel::telephone_band(self.sample_rate, len, convolver))
        })
    }
}

fn transmit(plan: &Channel, band: Option<&Filter>, samples: &mut [f32], convolver: &mut Convolver) {
    if let Some(gain_db) = plan.gain_db {
        channel::gain(samples, gain_db);
    }
    if let Some(level) = plan.clip {
        channel::clip(samples, level);
    }
    if let Some(band) = band {
        convolver.apply(band, samples);
    }
    if plan.mu_law {
        channel::mu_law(samples);
        // The receiver's filter takes off what the coding put outside of the band.
        if let Some(band) = band {
            convolver.apply(band, samples);
        }
    }
}
