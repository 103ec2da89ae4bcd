//! Plans, drawn from a random stream of the caller.

use std::path::Path;
use std::sync::OnceLock;

use rand::seq::index;
use rand::{Rng, RngExt};

use crate::compat;
use crate::config::{AdditiveConfig, AugmentConfig, BabbleConfig, SimulatedConfig};
use crate::error::{Error, Result};
use crate::lists::{BabbleUtterance, CheckedFiles, SoundFile};
use crate::plan::{Channel, Noise, NoiseKind, Plan, Reverb, SoundCrop};
use crate::room::{Room, RoomRanges};

/// The crop that a plan is drawn for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Item {
    /// Its speaker's index, who never talks in its babble.
    pub speaker: u32,
    /// Rows of its features.
    pub num_mels: usize,
    /// Columns of its features.
    pub num_frames: usize,
}

/// Draws plans. It holds no mutable state: what is drawn depends on the stream alone, so give every (seed, epoch,
/// utterance) a stream of its own.
#[derive(Debug)]
pub struct Planner {
    config: AugmentConfig,
    files: CheckedFiles,
    /// Speakers of the babble, in order, with their utterances.
    talkers: Vec<(u32, Vec<BabbleUtterance>)>,
    rooms: Vec<DrawnRoom>,
    /// The kinds of noise that can be drawn, and their weights added up so far.
    kinds: Vec<(NoiseKind, f64)>,
}

#[derive(Debug, Clone)]
struct DrawnRoom {
    /// As each of the microphones hears the talker.
    speech: Vec<Room>,
    /// Where a noise comes from.
    noise_m: [f64; 3],
    /// At the sample rate that was asked for first.
    levels: OnceLock<(u32, Vec<Levels>)>,
}

/// What reaches a microphone, in dB beside the first one.
#[derive(Debug, Clone, Copy)]
struct Levels {
    speech_db: f64,
    noise_db: f64,
}

impl DrawnRoom {
    fn noise(&self, heard: &Room) -> Room {
        Room { source_m: self.noise_m, ..*heard }
    }

    /// The levels at microphone `number`. Responses are simulated once for all plans of a room.
    fn levels(&self, number: usize, sample_rate: u32) -> Result<Levels> {
        if let Some((rate, levels)) = self.levels.get()
            && *rate == sample_rate
        {
            return Ok(levels[number]);
        }
        let gains_db = |of: &dyn Fn(&Room) -> Room| -> Result<Vec<f64>> {
            let energy = |heard: &Room| of(heard).response_energy(sample_rate);
            let first = energy(&self.speech[0])?;
            let gain = |heard| Ok(10.0 * (energy(heard)? / first).log10());
            self.speech.iter().map(gain).collect()
        };
        let (speech, noise) = (gains_db(&|heard| *heard)?, gains_db(&|heard| self.noise(heard))?);
        let levels: Vec<Levels> = speech
            .into_iter()
            .zip(noise)
            .map(|(speech_db, noise_db)| Levels { speech_db, noise_db })
            .collect();
        let here = levels[number];
        // Another thread may have been first, with the same values.
        let _ = self.levels.set((sample_rate, levels));
        Ok(here)
    }
}

impl Planner {
    /// A planner for `config`. `random` draws the simulated rooms: give it a stream of the run's seed.
    ///
    /// # Errors
    /// What [`AugmentConfig::check`] refuses; a list that a step needs and that has no usable file; fewer speakers than
    /// babble needs; ranges into which no room fits.
    pub fn new(config: &AugmentConfig, files: CheckedFiles, random: &mut impl Rng) -> Result<Self> {
        config.check()?;
        let talkers: Vec<_> = files.babble.iter().map(|(speaker, all)| (*speaker, all.clone())).collect();
        let rooms = match &config.reverb.simulated {
            Some(simulated) if config.reverb.probability > 0.0 => draw_rooms(simulated, random)?,
            _ => Vec::new(),
        };
        let planner = Self { kinds: kinds(config), config: config.clone(), files, talkers, rooms };
        planner.require_files()?;
        Ok(planner)
    }

    fn require_files(&self) -> Result<()> {
        let require = |list, wanted: bool, found: usize, expected: &str| {
            if wanted && found == 0 {
                let expected = format!("{expected}, or no {list} in the configuration");
                return Err(Error::List { list, found: "no usable file".into(), expected });
            }
            Ok(())
        };
        let kind = |kind| self.kinds.iter().any(|(known, _)| *known == kind);
        let reverb = &self.config.reverb;
        let rirs = reverb.list.is_some() && (self.config.compat || reverb.probability > 0.0);
        require("noise", kind(NoiseKind::Noise), self.files.noise.len(), "at least one file")?;
        require("music", kind(NoiseKind::Music), self.files.music.len(), "at least one file")?;
        require("rir", rirs, self.files.rirs.len(), "at least one file")?;
        let least = self.babble().talkers[0];
        if kind(NoiseKind::Babble) && self.talkers.len() <= least {
            return Err(Error::List {
                list: "babble",
                found: format!("{} speaker(s)", self.talkers.len()),
                expected: format!("{} or more, or no [augment.additive.babble]", least + 1),
            });
        }
        Ok(())
    }

    /// The plan of one crop.
    pub fn draw(&self, item: Item, random: &mut impl Rng) -> Plan {
        if self.config.compat {
            return self.draw_compat(item, random);
        }
        let AugmentConfig { speed, reverb, additive, spec_augment, .. } = &self.config;
        let mut plan = Plan::default();
        if happens(speed.probability, random) {
            plan.speed = pick(&speed.factors, random).copied().unwrap_or(1.0);
        }
        let mut elsewhere = None;
        if happens(reverb.probability, random) {
            let (of_speech, of_noise) = self.draw_reverb(random).unzip();
            (plan.reverb, elsewhere) = (of_speech, of_noise);
        }
        if happens(additive.probability, random) {
            for _ in 0..random.random_range(additive.count[0]..=additive.count[1]) {
                plan.noises.extend(self.draw_noise(item, elsewhere.as_ref(), random));
            }
        }
        plan.channel = self.draw_channel(random);
        if let Some(masks) = spec_augment {
            plan.masks = masks.draw(item.num_mels, item.num_frames, random);
        }
        plan
    }

    /// The same plan as the microphone of this number hears it. The noise's ratio is that of the plan at the first microphone. At
    /// the others, speech and noises of the room differ by what their responses pass on.
    ///
    /// # Errors
    /// The plan has no simulated room of this planner, or no such microphone; a room cannot be simulated.
    pub fn at_microphone(&self, plan: &Plan, number: usize, sample_rate: u32) -> Result<Plan> {
        let drawn = match &plan.reverb {
            Some(Reverb::Simulated(heard)) => self.rooms.iter().find(|room| room.speech.contains(heard)),
            _ => None,
        };
        let Some((room, heard)) = drawn.and_then(|room| Some((room, room.speech.get(number)?))) else {
            return Err(Error::Config {
                key: "reverb.simulated.ranges.microphones".into(),
                found: "given, and a crop is in none of the simulated rooms".into(),
                expected: "reverb.probability = 1, and no reverb.list".into(),
            });
        };
        let levels = room.levels(number, sample_rate)?;
        let mut plan = plan.clone();
        plan.reverb = Some(Reverb::Simulated(*heard));
        for noise in &mut plan.noises {
            let mut change_db = levels.speech_db;
            if noise.reverb.is_some() {
                change_db -= levels.noise_db;
                noise.reverb = Some(Reverb::Simulated(room.noise(heard)));
            }
            noise.snr_db = rounded(noise.snr_db + change_db, 2);
        }
        Ok(plan)
    }

    /// The speech's room, and what puts a noise into the same one.
    fn draw_reverb(&self, random: &mut impl Rng) -> Option<(Reverb, Reverb)> {
        let share = match &self.config.reverb.simulated {
            Some(_) if self.files.rirs.is_empty() => 1.0,
            Some(simulated) => simulated.share,
            None => 0.0,
        };
        if happens(share, random) {
            let room = pick(&self.rooms, random)?;
            // Nothing is drawn for a single microphone.
            let heard = if room.speech.len() == 1 { &room.speech[0] } else { pick(&room.speech, random)? };
            return Some((Reverb::Simulated(*heard), Reverb::Simulated(room.noise(heard))));
        }
        let measured = measured(pick(&self.files.rirs, random)?, random);
        Some((measured.clone(), measured))
    }

    fn draw_noise(&self, item: Item, room: Option<&Reverb>, random: &mut impl Rng) -> Option<Noise> {
        let total = self.kinds.last().map_or(0.0, |(_, sum)| *sum);
        let point = random.random::<f64>() * total;
        let kind = self.kinds.iter().find(|(_, sum)| point < *sum).map(|(kind, _)| *kind)?;
        let AdditiveConfig { noise, music, .. } = &self.config.additive;
        let (range, sounds) = match kind {
            NoiseKind::Noise => (noise.snr_db, vec![sound(&pick(&self.files.noise, random)?.path, random)]),
            NoiseKind::Music => (music.snr_db, vec![sound(&pick(&self.files.music, random)?.path, random)]),
            NoiseKind::Babble => (self.babble().snr_db, self.draw_talkers(item.speaker, random)),
        };
        let snr_db = uniform(range, 2, random);
        let reverb = room.filter(|_| happens(self.config.additive.reverberated, random)).cloned();
        Some(Noise { kind, sounds, snr_db, reverb })
    }

    fn babble(&self) -> BabbleConfig {
        self.config.additive.babble.unwrap_or_default()
    }

    /// An utterance of each of several different speakers, who are not `speaker`.
    fn draw_talkers(&self, speaker: u32, random: &mut impl Rng) -> Vec<SoundCrop> {
        let target = self.talkers.binary_search_by_key(&speaker, |(speaker, _)| *speaker).ok();
        let others = self.talkers.len() - usize::from(target.is_some());
        let [least, most] = self.babble().talkers;
        let count = random.random_range(least..=most).min(others);
        index::sample(random, others, count)
            .into_iter()
            .map(|place| place + usize::from(target.is_some_and(|target| place >= target)))
            .collect::<Vec<_>>()
            .into_iter()
            .filter_map(|place| {
                let utterance = pick(&self.talkers[place].1, random)?;
                Some(SoundCrop { segment_s: utterance.segment_s, ..sound(&utterance.path, random) })
            })
            .collect()
    }

    fn draw_channel(&self, random: &mut impl Rng) -> Channel {
        let AugmentConfig { gain, clipping, channel, .. } = &self.config;
        let gain_db = happens(gain.probability, random).then(|| uniform(gain.gain_db, 2, random));
        let clip = happens(clipping.probability, random).then(|| uniform(clipping.level, 3, random));
        let telephone_band = happens(channel.telephone_band, random);
        let mu_law = telephone_band && happens(channel.mu_law, random);
        // Nothing is drawn without it: plans are those of former versions.
        let is_call = !telephone_band && channel.opus > 0.0 && happens(channel.opus, random);
        let opus_kbps = is_call.then(|| uniform(channel.opus_kbps, 1, random));
        Channel { gain_db, clip, telephone_band, mu_law, opus_kbps }
    }

    /// The baseline's distribution of steps.
    fn draw_compat(&self, item: Item, random: &mut impl Rng) -> Plan {
        let mut plan = Plan { compat: true, ..Default::default() };
        match compat::choose(random) {
            compat::Choice::Neither => {}
            compat::Choice::Reverberation => {
                // Its SoX chain takes the first channel of every file.
                let rir = pick(&self.files.rirs, random);
                plan.reverb = rir.map(|rir| Reverb::File { path: rir.path.clone(), channel: 0 });
            }
            compat::Choice::Noise => {
                let (kind, files) = match random.random_range(0..2) {
                    0 => (NoiseKind::Noise, &self.files.noise),
                    _ => (NoiseKind::Music, &self.files.music),
                };
                let sounds = pick(files, random).map(|file| sound(&file.path, random));
                let snr_db = uniform([compat::SNR_DB.0, compat::SNR_DB.1], 4, random);
                plan.noises =
                    vec![Noise { kind, sounds: sounds.into_iter().collect(), snr_db, reverb: None }];
            }
        }
        plan.masks = compat::draw_masks(item.num_mels, item.num_frames, random);
        plan
    }
}

/// The kinds that `config` uses, with running sums of their weights.
fn kinds(config: &AugmentConfig) -> Vec<(NoiseKind, f64)> {
    let AdditiveConfig { probability, noise, music, babble, .. } = &config.additive;
    if config.compat {
        return vec![(NoiseKind::Noise, 1.0), (NoiseKind::Music, 2.0)];
    }
    let weights = [
        (NoiseKind::Noise, if noise.list.is_some() { noise.weight } else { 0.0 }),
        (NoiseKind::Music, if music.list.is_some() { music.weight } else { 0.0 }),
        (NoiseKind::Babble, babble.map_or(0.0, |babble| babble.weight)),
    ];
    let mut sum = 0.0;
    let used = weights.into_iter().filter(|(_, weight)| *weight > 0.0 && *probability > 0.0);
    used.map(|(kind, weight)| {
        sum += weight;
        (kind, sum)
    })
    .collect()
}

fn draw_rooms(config: &SimulatedConfig, random: &mut impl Rng) -> Result<Vec<DrawnRoom>> {
    (0..config.rooms)
        .map(|_| {
            let rounded_room = |room: Room| Room {
                size_m: room.size_m.map(|x| rounded(x, 3)),
                rt60_s: rounded(room.rt60_s, 3),
                source_m: room.source_m.map(|x| rounded(x, 3)),
                microphone_m: room.microphone_m.map(|x| rounded(x, 3)),
                rt60_per_octave: rounded(room.rt60_per_octave, 3),
                air: room.air,
            };
            let speech: Vec<Room> = config.ranges.draw_all(random)?.into_iter().map(rounded_room).collect();
            let noise_m = noise_source(&speech, &config.ranges, random);
            Ok(DrawnRoom { speech, noise_m, levels: OnceLock::new() })
        })
        .collect()
}

/// A place for a noise: anywhere in the room at the distance of speech sources from the walls, half a metre or more
/// from every microphone. If the room is too small for that, the speech's place.
fn noise_source(rooms: &[Room], ranges: &RoomRanges, random: &mut impl Rng) -> [f64; 3] {
    const ATTEMPTS: usize = 100;
    const LEAST_DISTANCE_M: f64 = 0.5;
    let wall = ranges.wall_distance_m;
    let room = rooms[0];
    for _ in 0..ATTEMPTS {
        let place =
            room.size_m.map(|size| uniform([wall.min(size / 2.0), size - wall.min(size / 2.0)], 3, random));
        let distance = |room: &Room| Room { source_m: place, ..*room }.distance_m();
        if rooms.iter().all(|room| distance(room) >= LEAST_DISTANCE_M) {
            return place;
        }
    }
    room.source_m
}

fn measured(rir: &SoundFile, random: &mut impl Rng) -> Reverb {
    Reverb::File { path: rir.path.clone(), channel: random.random_range(0..rir.channels.max(1)) }
}

fn sound(path: &Path, random: &mut impl Rng) -> SoundCrop {
    // Cut, not rounded: a place is below 1. A millionth is a quarter of a millisecond in a file of four minutes.
    let place = (random.random::<f64>() * 1e6).floor() / 1e6;
    SoundCrop { path: path.to_path_buf(), segment_s: None, place }
}

/// Whether something of this probability happens.
fn happens(probability: f64, random: &mut impl Rng) -> bool {
    random.random::<f64>() < probability
}

fn pick<'a, T>(all: &'a [T], random: &mut impl Rng) -> Option<&'a T> {
    if all.is_empty() { None } else { all.get(random.random_range(0..all.len())) }
}

/// Uniform in `[low, high]`, rounded to `decimals`: short in print, and the printed text is the exact value.
fn uniform([low, high]: [f64; 2], decimals: i32, random: &mut impl Rng) -> f64 {
    rounded(low + (high - low) * random.random::<f64>(), decimals).clamp(low, high)
}

fn rounded(value: f64, decimals: i32) -> f64 {
    let scale = 10f64.powi(decimals);
    (value * scale).round() / scale
}
