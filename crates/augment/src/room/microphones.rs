//! Several microphones that hear one talker: an array, or devices all over a room.

use ffsvc_ranges::{Range, Section};
use serde::{Deserialize, Serialize};

use super::{Error, MIN_DISTANCE_M, Result, SIZE_M};

/// Most microphones of a room.
const MOST: usize = 256;

/// A microphone, placed from the talker.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct Microphone {
    /// Its name: letters, digits, `.`, `_` and `-`. What it hears is named UTTERANCE-NAME.
    pub name: String,
    /// How far it is in front of the talker, in m; less than 0 is behind.
    pub ahead_m: f64,
    /// How far it is to the talker's left, in m; less than 0 is to the right. Default 0.
    #[serde(default)]
    pub left_m: f64,
    /// Height above the floor, in m.
    pub height_m: f64,
}

impl Microphone {
    /// From the talker along the floor, who looks in the direction `angle` (in radians from the room's length).
    pub(super) fn way(&self, angle: f64) -> [f64; 2] {
        let (sin, cos) = angle.sin_cos();
        [self.ahead_m * cos - self.left_m * sin, self.ahead_m * sin + self.left_m * cos]
    }
}

/// Adds every number with its range.
pub(super) fn add_numbers(microphones: &[Microphone], section: &mut Section<'_>) {
    let (distance, height) = (Range::of(-SIZE_M[1], SIZE_M[1]), Range::of(0.0, SIZE_M[1]));
    for microphone in microphones {
        section.number("microphones.ahead_m", microphone.ahead_m, distance);
        section.number("microphones.left_m", microphone.left_m, distance);
        section.number("microphones.height_m", microphone.height_m, height);
    }
}

/// Checks names and places. `heights` are those that the lowest room has.
///
/// # Errors
/// A name that is none or that another microphone has, a height that the lowest room does not have, a place at the talker's.
pub(super) fn check(microphones: &[Microphone], heights: [f64; 2]) -> Result<()> {
    if microphones.len() > MOST {
        return Err(Error::value("microphones", microphones.len(), format!("at most {MOST}")));
    }
    for (index, microphone) in microphones.iter().enumerate() {
        let Microphone { name, ahead_m, left_m, height_m } = microphone;
        let is_word = |c: char| c.is_ascii_alphanumeric() || "._-".contains(c);
        if name.is_empty() || !name.chars().all(is_word) {
            let expected = "letters, digits, `.`, `_` and `-`";
            return Err(Error::value("microphones.name", format!("{name:?}"), expected));
        }
        if microphones[..index].iter().any(|other| other.name == *name) {
            return Err(Error::value(
                "microphones.name",
                format!("{name:?} twice"),
                "a name for each microphone",
            ));
        }
        let expected = format!("{} to {} m (wall_distance_m from floor and ceiling)", heights[0], heights[1]);
        if !(heights[0]..=heights[1]).contains(height_m) {
            return Err(Error::value("microphones.height_m", format!("{height_m} of {name}"), expected));
        }
        let distance = ahead_m.hypot(*left_m);
        if !(MIN_DISTANCE_M..=SIZE_M[1]).contains(&distance) {
            let expected = format!("{MIN_DISTANCE_M} to {} m from the talker along the floor", SIZE_M[1]);
            return Err(Error::value("microphones", format!("{name} at {distance} m"), expected));
        }
    }
    Ok(())
}
