use std::path::PathBuf;

/// The result of anything here that can fail.
pub type Result<T> = std::result::Result<T, Error>;

/// What went wrong while augmentation was set up or applied.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A value of the configuration that cannot be used.
    #[error("augment.{key} = {found}, expected {expected}")]
    Config {
        /// The key below `[augment]`.
        key: String,
        /// Its value.
        found: String,
        /// What is accepted.
        expected: String,
    },
    /// A number of the configuration that is out of its range.
    #[error(transparent)]
    Range(#[from] ffsvc_ranges::OutOfRange),
    /// A list without which a configured step cannot be done.
    #[error("the {list} list has {found}, expected {expected}")]
    List {
        /// Which list.
        list: &'static str,
        /// What it holds.
        found: String,
        /// What is needed, and the way out.
        expected: String,
    },
    /// A sound file that cannot be read.
    #[error(transparent)]
    Audio(#[from] ffsvc_audio::Error),
    /// A room impulse response without any energy.
    #[error("{path} (channel {channel}): every sample is zero, expected a room impulse response")]
    SilentImpulseResponse {
        /// The file.
        path: PathBuf,
        /// The channel that was read, from 0.
        channel: usize,
    },
    /// A simulated room, or ranges of rooms, that cannot be.
    #[error("simulated room: {0}")]
    Room(#[from] crate::room::Error),
    /// Opus failed on a crop.
    #[error("coding by Opus: {what}")]
    Opus {
        /// The codec's words.
        what: String,
    },
    /// A change of speed that the rate converter refuses.
    #[error("speed {factor}: {what}")]
    Speed {
        /// The factor of the plan.
        factor: f64,
        /// The converter's words.
        what: String,
    },
    /// More files failed during training than the configuration allows.
    #[error(
        "augmentation failed for {failed} of {attempted} crops, more than the share of {limit} that \
         augment.max_failed_share allows; the last failure: {last}"
    )]
    TooManyFailures {
        /// Crops whose sounds could not be read.
        failed: u64,
        /// Crops that asked for sounds.
        attempted: u64,
        /// The largest share allowed.
        limit: f64,
        /// The failure that passed it.
        last: Box<Error>,
    },
}
