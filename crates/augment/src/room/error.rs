use super::MAX_ABSORPTION;

/// A `Result` whose error is [`Error`].
pub type Result<T> = std::result::Result<T, Error>;

/// Why a room cannot be simulated, or not be drawn.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A number is out of its range, or is no number.
    #[error("{field} = {found}: expected {expected}")]
    Value {
        /// Field of [`Room`](super::Room), [`Simulation`](super::Simulation) or
        /// [`RoomRanges`](super::RoomRanges).
        field: &'static str,
        /// The value given.
        found: String,
        /// What is accepted.
        expected: String,
    },
    /// The source or the microphone is not inside the room.
    #[error(
        "{field}: {axis} = {found} m is outside of the room; expected more than 0 and less than {size} m"
    )]
    Outside {
        /// `source_m` or `microphone_m`.
        field: &'static str,
        /// `x`, `y` or `z`.
        axis: char,
        /// The coordinate, in m.
        found: f64,
        /// Size of the room along that axis, in m.
        size: f64,
    },
    /// Source and microphone are (almost) in one place, where the sound pressure has no bound.
    #[error("source and microphone are {found} m apart; expected at least {minimum} m")]
    TooClose {
        /// Their distance, in m.
        found: f64,
        /// Smallest distance accepted, in m.
        minimum: f64,
    },
    /// The walls would have to absorb more than all of the sound.
    #[error(
        "rt60_s = {found}: a room of {} x {} x {} m cannot decay so fast, its walls absorb at most {MAX_ABSORPTION} \
         of the energy; expected at least {shortest:.3} s, or a smaller room",
        size_m[0], size_m[1], size_m[2]
    )]
    TooDead {
        /// The reverberation time asked for, in s.
        found: f64,
        /// The shortest one of this room, in s.
        shortest: f64,
        /// Its size, in m.
        size_m: [f64; 3],
    },
    /// The full image-source method would take minutes.
    #[error(
        "the room has {found:.2e} image sources within its reverberation time, at most {limit:.0e} are simulated; \
         use late = \"diffuse\", or a shorter rt60_s"
    )]
    TooManyImages {
        /// Image sources, estimated.
        found: f64,
        /// Most that are accepted.
        limit: f64,
    },
}

impl Error {
    pub(super) fn value(field: &'static str, found: impl ToString, expected: impl Into<String>) -> Self {
        Self::Value { field, found: found.to_string(), expected: expected.into() }
    }
}
