//! Ranges from which rooms are drawn.

use std::f64::consts::TAU;

use ffsvc_ranges::{Range, Section};
use rand::{Rng, RngExt};
use serde::{Deserialize, Serialize};

use super::decay::WallRates;
use super::microphones::{self, Microphone};
use super::{
    Absorption, Error, MAX_ABSORPTION, MIN_DISTANCE_M, RT60_PER_OCTAVE, RT60_S, Result, Room, SIZE_M,
    check_bands, check_range,
};

/// Draws before ranges count as impossible.
const ATTEMPTS: usize = 10_000;

/// Ranges of rooms; every value is drawn uniformly between the two ends of its range, which may be equal.
///
/// A room is drawn in this order:
///
/// 1. one of the `distances_m`;
/// 2. the distance within it, the size, the heights, and the direction from the source to the microphone, again and
///    again until everything fits;
/// 3. the place of the pair in the room, the reverberation time, and how it depends on the frequency.
///
/// A long distance thus has larger rooms, while each of the distances keeps its share.
///
/// With `microphones`, rooms are drawn until all of them fit in, with a talker who looks in any direction.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields, default)]
pub struct RoomRanges {
    /// Length of the room, in m. Default 3 to 8.
    pub length_m: [f64; 2],
    /// Width of the room, in m. Default 3 to 6.
    pub width_m: [f64; 2],
    /// Height of the room, in m. Default 2.5 to 3.5.
    pub height_m: [f64; 2],
    /// Reverberation time, in s. Default 0.2 to 0.6.
    pub rt60_s: [f64; 2],
    /// Ranges of the distance from source to microphone, in m, each as likely as the others. Default one, 0.5
    /// to 5.
    pub distances_m: Vec<[f64; 2]>,
    /// Height of the source above the floor, in m. Default 1.1 to 1.7, from a seated to a standing talker.
    pub source_height_m: [f64; 2],
    /// Height of the microphone above the floor, in m. Default 0.5 to 1.5.
    pub microphone_height_m: [f64; 2],
    /// Smallest distance of source and microphone from every wall, floor and ceiling, in m. Default 0.3.
    pub wall_distance_m: f64,
    /// Reverberation time of each octave by that of the octave below ([`Room::rt60_per_octave`]). Default 1 to 1: the same at
    /// all frequencies.
    pub rt60_per_octave: [f64; 2],
    /// Whether the air absorbs ([`Room::air`]). Default false.
    pub air: bool,
    /// Microphones in places of their own, in the place of `distances_m` and `microphone_height_m`. A training crop is heard by
    /// one of them, a copy of a data directory by all. Default none.
    pub microphones: Vec<Microphone>,
}

impl Default for RoomRanges {
    fn default() -> Self {
        Self {
            length_m: [3.0, 8.0],
            width_m: [3.0, 6.0],
            height_m: [2.5, 3.5],
            rt60_s: [0.2, 0.6],
            distances_m: vec![[0.5, 5.0]],
            source_height_m: [1.1, 1.7],
            microphone_height_m: [0.5, 1.5],
            wall_distance_m: 0.3,
            rt60_per_octave: [1.0, 1.0],
            air: false,
            microphones: Vec::new(),
        }
    }
}

impl RoomRanges {
    /// The distances of the FFSVC recordings, all equally likely. In front of the talker: 0.25 m, 1 m, 3 m and 5 m. To
    /// the left and to the right: 3 m (L3M, R3M). Behind: 1.5 m (-1.5M). Sources here have no direction, so front,
    /// sides and back differ by the distance alone. 3 m has three places, so it is drawn most often.
    ///
    /// The rooms are those of [`default`](Self::default), but long enough for 5 m.
    pub fn ffsvc() -> Self {
        Self {
            length_m: [5.5, 9.0],
            width_m: [3.5, 7.0],
            distances_m: [0.25, 1.0, 3.0, 5.0, 3.0, 3.0, 1.5].map(|d| [d, d]).into(),
            ..Self::default()
        }
    }

    /// Adds every number with its range.
    pub(crate) fn add_numbers(&self, section: &mut Section<'_>) {
        let size = Range::of(SIZE_M[0], SIZE_M[1]);
        section.span("length_m", self.length_m, size);
        section.span("width_m", self.width_m, size);
        section.span("height_m", self.height_m, size);
        section.span("rt60_s", self.rt60_s, Range::of(RT60_S[0], RT60_S[1]));
        for distance in &self.distances_m {
            section.span("distances_m", *distance, Range::of(MIN_DISTANCE_M, SIZE_M[1]));
        }
        section.span("source_height_m", self.source_height_m, Range::of(0.0, SIZE_M[1]));
        section.span("microphone_height_m", self.microphone_height_m, Range::of(0.0, SIZE_M[1]));
        section.number("wall_distance_m", self.wall_distance_m, Range::above(0.0).at_most(SIZE_M[1]));
        let per_octave = Range::of(RT60_PER_OCTAVE[0], RT60_PER_OCTAVE[1]);
        section.span("rt60_per_octave", self.rt60_per_octave, per_octave);
        microphones::add_numbers(&self.microphones, section);
    }

    /// Checks that every range is one, and that rooms can have it.
    ///
    /// # Errors
    /// The first field that is impossible, by name:
    ///
    /// - the ends of a range in the wrong order or out of bounds;
    /// - heights that the lowest room does not have;
    /// - a distance longer than the largest room or shorter than the heights allow;
    /// - a reverberation time too short for the largest room, at one of the octaves.
    pub fn validate(&self) -> Result<()> {
        let sizes = [("length_m", self.length_m), ("width_m", self.width_m), ("height_m", self.height_m)];
        for (field, range) in sizes {
            check_ends(field, range, SIZE_M, "m")?;
        }
        check_ends("rt60_s", self.rt60_s, RT60_S, "s")?;
        check_ends("rt60_per_octave", self.rt60_per_octave, RT60_PER_OCTAVE, "")?;
        let narrowest = sizes.iter().fold(f64::INFINITY, |narrowest, (_, range)| narrowest.min(range[0]));
        if !(self.wall_distance_m > 0.0 && 2.0 * self.wall_distance_m < narrowest) {
            let expected = format!("more than 0 and less than half the smallest room side, {narrowest} m");
            return Err(Error::value("wall_distance_m", self.wall_distance_m, expected));
        }
        let heights = [self.wall_distance_m, self.height_m[0] - self.wall_distance_m];
        check_ends(
            "source_height_m",
            self.source_height_m,
            heights,
            "m (wall_distance_m from floor and ceiling)",
        )?;
        if self.microphones.is_empty() {
            check_ends(
                "microphone_height_m",
                self.microphone_height_m,
                heights,
                "m (wall_distance_m from floor and ceiling)",
            )?;
            self.check_distances()?;
        }
        microphones::check(&self.microphones, heights)?;
        let largest = sizes.map(|(_, range)| range[1]);
        let shortest = Absorption::default().shortest_rt60_s(MAX_ABSORPTION, &WallRates::of_room(largest));
        for rt60_s in self.rt60_s {
            for per_octave in self.rt60_per_octave {
                check_bands(rt60_s, per_octave, shortest, largest)?;
            }
        }
        Ok(())
    }

    fn check_distances(&self) -> Result<()> {
        if self.distances_m.is_empty() {
            return Err(Error::value("distances_m", "[]", "at least one range, such as [[0.5, 5.0]]"));
        }
        let (source, microphone) = (self.source_height_m, self.microphone_height_m);
        // How far apart the heights are at least (0 where their ranges overlap), and at most.
        let least = (source[0] - microphone[1]).max(microphone[0] - source[1]).max(0.0);
        let most = (source[1] - microphone[0]).max(microphone[1] - source[0]);
        let [length, width] =
            [self.length_m, self.width_m].map(|range| range[1] - 2.0 * self.wall_distance_m);
        let longest = (length * length + width * width + most * most).sqrt();
        for range in &self.distances_m {
            check_ends("distances_m", *range, [MIN_DISTANCE_M, SIZE_M[1]], "m")?;
            if range[0] >= longest {
                let expected =
                    format!("less than {longest:.3} m, which the largest room has between its walls");
                return Err(Error::value("distances_m", format!("{range:?}"), expected));
            }
            if range[1] <= least {
                let expected = format!("more than {least:.3} m, the difference of the nearest heights");
                return Err(Error::value("distances_m", format!("{range:?}"), expected));
            }
        }
        Ok(())
    }

    /// Draws a room: the same one from the same random stream. Of several microphones, one hears.
    ///
    /// # Errors
    /// As [`draw_all`](Self::draw_all).
    pub fn draw(&self, random: &mut impl Rng) -> Result<Room> {
        let rooms = self.draw_all(random)?;
        Ok(if rooms.len() == 1 { rooms[0] } else { rooms[random.random_range(0..rooms.len())] })
    }

    /// Draws a room, as each of the microphones hears it: in their order; one without `microphones`.
    ///
    /// # Errors
    /// Ranges that [`validate`](Self::validate) refuses, and distances or microphones that fit into next to no room: none of
    /// 10,000 draws.
    pub fn draw_all(&self, random: &mut impl Rng) -> Result<Vec<Room>> {
        self.validate()?;
        if self.microphones.is_empty() {
            self.draw_by_distance(random)
        } else {
            self.draw_microphones(random)
        }
    }

    /// A room with one microphone, in one of the distances.
    fn draw_by_distance(&self, random: &mut impl Rng) -> Result<Vec<Room>> {
        let distances = self.distances_m[random.random_range(0..self.distances_m.len())];
        for _ in 0..ATTEMPTS {
            let distance = uniform(distances, random);
            let (size_m, source_height) = self.size_and_source_height(random);
            let height_m = uniform(self.microphone_height_m, random);
            let angle = random.random::<f64>() * TAU;
            let rise = height_m - source_height;
            let horizontal = (distance * distance - rise * rise).sqrt();
            // The heights alone may be further apart.
            if horizontal.is_nan() {
                continue;
            }
            let along_floor = [horizontal * angle.cos(), horizontal * angle.sin()];
            let place = FromSource { along_floor, height_m };
            if let Some(rooms) = self.place(size_m, source_height, &[place], random) {
                return Ok(rooms);
            }
        }
        let expected = format!("a distance that fits into the rooms drawn; none of {ATTEMPTS} had it");
        Err(Error::value("distances_m", format!("{distances:?}"), expected))
    }

    /// A room with all `microphones`.
    fn draw_microphones(&self, random: &mut impl Rng) -> Result<Vec<Room>> {
        for _ in 0..ATTEMPTS {
            let (size_m, source_height) = self.size_and_source_height(random);
            let angle = random.random::<f64>() * TAU;
            let place = |microphone: &Microphone| FromSource {
                along_floor: microphone.way(angle),
                height_m: microphone.height_m,
            };
            let places: Vec<FromSource> = self.microphones.iter().map(place).collect();
            if let Some(rooms) = self.place(size_m, source_height, &places, random) {
                return Ok(rooms);
            }
        }
        let found = format!("{} places", self.microphones.len());
        let expected = format!("places that fit into the rooms drawn; none of {ATTEMPTS} had them");
        Err(Error::value("microphones", found, expected))
    }

    fn size_and_source_height(&self, random: &mut impl Rng) -> ([f64; 3], f64) {
        let size_m = [self.length_m, self.width_m, self.height_m].map(|range| uniform(range, random));
        (size_m, uniform(self.source_height_m, random))
    }

    /// The room as each of `microphones` hears it, with the source in a place from which all of them are in the room, if there
    /// is one.
    fn place(
        &self,
        size_m: [f64; 3],
        source_height: f64,
        microphones: &[FromSource],
        random: &mut impl Rng,
    ) -> Option<Vec<Room>> {
        let places: [[f64; 2]; 2] = std::array::from_fn(|axis| {
            let ways = || microphones.iter().map(|microphone| microphone.along_floor[axis]);
            let (least, most) = (ways().fold(0.0, f64::min), ways().fold(0.0, f64::max));
            [self.wall_distance_m - least, size_m[axis] - self.wall_distance_m - most]
        });
        if places.iter().any(|[low, high]| low > high) {
            return None;
        }
        let [x, y] = places.map(|range| uniform(range, random));
        let rt60_s = uniform(self.rt60_s, random);
        // Nothing is drawn where there is nothing to choose: rooms of one band are those of former versions.
        let rt60_per_octave = match self.rt60_per_octave {
            [low, high] if low == high => low,
            range => uniform(range, random),
        };
        let heard = |microphone: &FromSource| Room {
            size_m,
            rt60_s,
            source_m: [x, y, source_height],
            microphone_m: [x + microphone.along_floor[0], y + microphone.along_floor[1], microphone.height_m],
            rt60_per_octave,
            air: self.air,
        };
        Some(microphones.iter().map(heard).collect())
    }
}

/// Where a microphone is.
struct FromSource {
    /// From the source to it, in m.
    along_floor: [f64; 2],
    /// Above the floor.
    height_m: f64,
}

/// Uniform between the ends, which may be equal.
fn uniform([low, high]: [f64; 2], random: &mut impl Rng) -> f64 {
    low + (high - low) * random.random::<f64>()
}

/// A range whose ends are in order and within `bounds`.
fn check_ends(field: &'static str, range: [f64; 2], bounds: [f64; 2], unit: &str) -> Result<()> {
    for end in range {
        check_range(field, end, bounds, unit)?;
    }
    if range[0] > range[1] {
        return Err(Error::value(field, format!("{range:?}"), "the smaller end first"));
    }
    Ok(())
}
