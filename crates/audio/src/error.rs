use std::io;
use std::path::{Path, PathBuf};

/// What went wrong, and with which file.
#[derive(Debug)]
pub struct Error {
    /// The file, or the name given to [`AudioFile::from_bytes`](crate::AudioFile::from_bytes).
    pub path: PathBuf,
    /// What was found and what was expected.
    pub cause: Cause,
}

/// The result of reading or writing an audio file.
pub type Result<T> = std::result::Result<T, Error>;

impl std::fmt::Display for Error {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}: {}", self.path.display(), self.cause)
    }
}

// Written by hand because the message already holds the cause: a chain that listed it again would say everything twice.
impl std::error::Error for Error {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        std::error::Error::source(&self.cause)
    }
}

/// Why a file could not be read or written. Counts of samples are per channel.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Cause {
    /// The operating system refused.
    #[error("{0}")]
    Io(#[source] io::Error),
    /// A folder was named where a file belongs.
    #[error("this is a folder, expected an audio file")]
    Folder,
    /// A file of no bytes.
    #[error("the file is empty (0 bytes)")]
    Empty,
    /// The content is no audio format that is known here. The file's name plays no part.
    #[error(
        "not audio: it looks like {looks_like}; expected WAV, FLAC, Ogg Vorbis, Opus, MP3, AAC, M4A, AIFF, AU, CAF, SPHERE, Wave64 or Matroska"
    )]
    NotAudio {
        /// A description of the content.
        looks_like: String,
    },
    /// The file breaks the rules of its format.
    #[error("damaged {format} file: {what}")]
    Malformed {
        /// The format that the content claims to be.
        format: &'static str,
        /// What was found, and what was expected.
        what: String,
    },
    /// A valid file in a form that cannot be decoded here.
    #[error(
        "unsupported {format} file: {what}; convert it, for example with `ffmpeg -i IN -c:a pcm_s16le OUT.wav`"
    )]
    Unsupported {
        /// The format of the file.
        format: &'static str,
        /// The codec or feature that is missing.
        what: String,
    },
    /// The file ends early.
    #[error("truncated: {found} samples found, {} expected", .expected.map_or_else(|| "more".to_owned(), |n| n.to_string()))]
    Truncated {
        /// Samples in the file.
        found: u64,
        /// Samples that the header promises; `None` where it does not tell but the end of the stream is missing.
        expected: Option<u64>,
    },
    /// The stream could not be decoded any further.
    #[error("damaged {format} file: {message} at sample {at_sample}")]
    Decode {
        /// The format of the file.
        format: &'static str,
        /// Samples decoded before the fault.
        at_sample: u64,
        /// The decoder's words.
        message: String,
    },
    /// The file holds no samples.
    #[error("the file holds no samples")]
    NoSamples,
    /// There are samples, but fewer than one at the rate asked for.
    #[error("{samples} samples at {from} Hz are less than one sample at {to} Hz")]
    TooShortToResample {
        /// Samples in the file.
        samples: u64,
        /// The file's rate in Hz.
        from: u32,
        /// The rate asked for in Hz.
        to: u32,
    },
    /// A sample rate of zero or beyond any audio hardware.
    #[error("sample rate {found} Hz, expected 1 to {MAX_SAMPLE_RATE} Hz")]
    SampleRate {
        /// The rate in the header or in the call.
        found: u32,
    },
    /// A rate change too large to be meant.
    #[error("cannot resample from {from} Hz to {to} Hz: the ratio is above {MAX_RATIO}")]
    Ratio {
        /// The file's rate in Hz.
        from: u32,
        /// The rate asked for in Hz.
        to: u32,
    },
    /// NaN or an infinity.
    #[error("sample {index} is {value}, expected a finite number")]
    NotFinite {
        /// The sample, counted from 0 in the file.
        index: u64,
        /// NaN, inf or -inf.
        value: f32,
    },
    /// A channel that the file does not have.
    #[error("channel {wanted} was asked for (counted from 0), the file has {channels}")]
    NoSuchChannel {
        /// The channel asked for.
        wanted: usize,
        /// Channels in the file.
        channels: usize,
    },
    /// A crop that reaches past the end of the file. Positions are at the rate asked for.
    #[error("samples {start} to {} were asked for, the file has {available} at {sample_rate} Hz", .start.saturating_add(*.len))]
    CropPastEnd {
        /// First sample asked for.
        start: u64,
        /// Samples asked for.
        len: u64,
        /// Samples that there are.
        available: u64,
        /// The rate at which all three are counted.
        sample_rate: u32,
    },
    /// A segment that reaches past the end of its recording. All times are in seconds.
    #[error("the segment from {} s to {} is past the end of the recording, at {} s{}", seconds(*.start_s), ending(*.end_s), seconds(*.duration_s), overshoot(*.end_s, *.duration_s))]
    SegmentPastEnd {
        /// Where the segment begins.
        start_s: f64,
        /// Where it ends; `None` for the end of the recording.
        end_s: Option<f64>,
        /// The duration of the recording.
        duration_s: f64,
    },
    /// A segment without a sample. Its times are in seconds.
    #[error("the segment from {} s to {} has no sample at {sample_rate} Hz", seconds(*.start_s), ending(*.end_s))]
    EmptySegment {
        /// Where the segment begins.
        start_s: f64,
        /// Where it ends; `None` for the end of the recording.
        end_s: Option<f64>,
        /// The recording's rate in Hz.
        sample_rate: u32,
    },
    /// No file has the name `ARCHIVE:OFFSET`, and there is no such archive either, or no such place in it.
    #[error("no recording at byte {offset} of the archive {}: {reason}", .archive.display())]
    Archive {
        /// The archive.
        archive: PathBuf,
        /// The place in it, in bytes.
        offset: u64,
        /// Why not.
        reason: String,
    },
    /// A range of a recording in an archive, `wav.ark:1234[0:99]`.
    #[error("ranges of a recording, as in `{range}`, are not read; name the part in a `segments` table")]
    ArchiveRange {
        /// The range.
        range: String,
    },
    /// More samples than one call returns.
    #[error(
        "more than {MAX_SAMPLES} samples in one call (2 GiB of f32; 9 hours at 16 kHz): read it in pieces with AudioFile::crop"
    )]
    TooLong,
    /// The whole recording was asked for, and it is longer than [`Limits::max_duration`](crate::Limits::max_duration).
    #[error("longer than the limit of {} s{}", .limit.as_secs_f64(), .found_s.map_or_else(String::new, |found| format!(": {found:.1} s")))]
    LongerThanLimit {
        /// Its duration in seconds, where the header tells.
        found_s: Option<f64>,
        /// The limit.
        limit: std::time::Duration,
    },
    /// A pipe, device or command gives more bytes than [`Limits::max_bytes`](crate::Limits::max_bytes).
    #[error("still not at its end after {limit} bytes, the limit for what is read from a pipe")]
    TooManyBytes {
        /// The limit.
        limit: u64,
    },
    /// More samples than a RIFF file of 4 GiB holds.
    #[error("{samples} samples do not fit into a WAV file (4 GiB): write it in pieces")]
    TooLongForWav {
        /// Samples to be written.
        samples: usize,
    },
}

/// The highest sample rate that is believed, in Hz.
pub const MAX_SAMPLE_RATE: u32 = 768_000;
/// The largest change of rate, up or down.
pub const MAX_RATIO: u32 = 256;
/// The most samples that one call returns. It bounds the memory that a small hostile file (a FLAC of digital silence
/// unpacks by a factor of ten thousand) can take.
pub const MAX_SAMPLES: u64 = 1 << 29;

impl Cause {
    pub(crate) fn at(self, path: &Path) -> Error {
        Error { path: path.to_path_buf(), cause: self }
    }
}

impl From<io::Error> for Cause {
    fn from(error: io::Error) -> Self {
        Self::Io(error)
    }
}

/// To a tenth of a millisecond, without trailing zeros.
fn seconds(seconds: f64) -> f64 {
    (seconds * 1e4).round() / 1e4
}

fn ending(end_s: Option<f64>) -> String {
    end_s.map_or_else(|| "the end".to_owned(), |end_s| format!("{} s", seconds(end_s)))
}

fn overshoot(end_s: Option<f64>, duration_s: f64) -> String {
    end_s.map_or_else(String::new, |end_s| format!(", by {} s", seconds(end_s - duration_s)))
}

pub(crate) type Fallible<T> = std::result::Result<T, Cause>;
