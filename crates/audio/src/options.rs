/// Which samples of a file with several channels.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum Channel {
    /// The first channel, as the baseline's SoX `remix 1` does.
    #[default]
    First,
    /// One channel, counted from 0.
    Index(usize),
    /// The mean of all channels. Between the microphones of an array this is a fixed beamformer that looks broadside and
    /// cancels what arrives from elsewhere out of phase: rarely what one wants of far-field speech.
    Mix,
}

impl Channel {
    /// The channel to take; `None` for the mean.
    pub(crate) fn index(self) -> Option<usize> {
        match self {
            Self::First => Some(0),
            Self::Index(index) => Some(index),
            Self::Mix => None,
        }
    }
}

/// `first`, `mix` or an index from 0, as programs and configurations spell it.
impl std::str::FromStr for Channel {
    type Err = UnknownChannel;

    fn from_str(text: &str) -> Result<Self, UnknownChannel> {
        match text {
            "first" => Ok(Self::First),
            "mix" => Ok(Self::Mix),
            index => index.parse().map(Self::Index).map_err(|_| UnknownChannel { found: text.to_owned() }),
        }
    }
}

impl std::fmt::Display for Channel {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::First => f.write_str("first"),
            Self::Index(index) => index.fmt(f),
            Self::Mix => f.write_str("mix"),
        }
    }
}

/// A text that names no channel.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("channel `{found}`; expected `first`, `mix` or an index from 0")]
pub struct UnknownChannel {
    found: String,
}

/// What to make of a file while reading it.
///
/// ```
/// use ffsvc_audio::{Channel, ReadOptions};
///
/// let options = ReadOptions::at_rate(16_000).with_channel(Channel::Mix);
/// assert_eq!(options.sample_rate, Some(16_000));
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
#[non_exhaustive]
pub struct ReadOptions {
    /// The rate to convert to, in Hz; `None` (the default) leaves the file's own.
    pub sample_rate: Option<u32>,
    /// Which channel to read, or their mean. Default: the first.
    pub channel: Channel,
    /// The baseline's filter chain: SoX `lowpass 8000` (12 dB per octave, -3 dB at 8 kHz) before the rate change. It
    /// takes 1.9 dB off at 7 kHz in a 48 kHz file and nothing in a 16 kHz file. Models of the baseline expect it,
    /// others do not. Files of 16 kHz and less are not filtered. At 16 kHz the filter is the identity. Below 16 kHz the
    /// baseline stops with an error. Default: off.
    pub compat_lowpass: bool,
}

impl ReadOptions {
    /// Convert to `sample_rate` Hz; all else by default.
    pub fn at_rate(sample_rate: u32) -> Self {
        Self { sample_rate: Some(sample_rate), ..Self::default() }
    }

    /// With another [`channel`](Self::channel).
    #[must_use]
    pub fn with_channel(self, channel: Channel) -> Self {
        Self { channel, ..self }
    }

    /// With or without the baseline's [low-pass](Self::compat_lowpass).
    #[must_use]
    pub fn with_compat_lowpass(self, compat_lowpass: bool) -> Self {
        Self { compat_lowpass, ..self }
    }
}

/// The container of a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Format {
    /// RIFF/WAVE, RF64 or BW64.
    Wav,
    /// Sony's Wave64.
    W64,
    /// Sun's AU.
    Au,
    /// NIST SPHERE, not compressed.
    Sphere,
    /// Native FLAC.
    Flac,
    /// Ogg (Vorbis or FLAC inside).
    Ogg,
    /// MPEG-1 and -2 audio, layers 1 to 3.
    Mp3,
    /// MP4 and M4A (AAC or ALAC inside).
    Mp4,
    /// A raw AAC stream.
    Adts,
    /// AIFF or AIFC.
    Aiff,
    /// Apple's Core Audio Format.
    Caf,
    /// Matroska or WebM.
    Matroska,
}

impl Format {
    /// The name that messages use.
    pub fn name(self) -> &'static str {
        match self {
            Self::Wav => "WAV",
            Self::W64 => "Wave64",
            Self::Au => "AU",
            Self::Sphere => "SPHERE",
            Self::Flac => "FLAC",
            Self::Ogg => "Ogg",
            Self::Mp3 => "MP3",
            Self::Mp4 => "MP4",
            Self::Adts => "AAC",
            Self::Aiff => "AIFF",
            Self::Caf => "CAF",
            Self::Matroska => "Matroska",
        }
    }
}

/// What a file's header says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct AudioInfo {
    /// Samples per second and channel.
    pub sample_rate: u32,
    /// Number of channels.
    pub channels: usize,
    /// Samples per channel at the file's own rate, where the header tells exactly.
    pub num_samples: Option<u64>,
    /// The container.
    pub format: Format,
    /// The coding of the samples, for example `16-bit PCM` or `vorbis`.
    pub encoding: &'static str,
}

impl AudioInfo {
    /// Samples per channel after a conversion to `sample_rate` (`None`: as stored), where the header tells:
    /// `num_samples * sample_rate / self.sample_rate` rounded to nearest, a half up, as SoX does.
    pub fn num_samples_at(&self, sample_rate: Option<u32>) -> Option<u64> {
        let to = u128::from(sample_rate.unwrap_or(self.sample_rate));
        let from = u128::from(self.sample_rate.max(1));
        self.num_samples.map(|n| ((2 * u128::from(n) * to + from) / (2 * from)) as u64)
    }

    /// Duration in seconds, where the number of samples is known.
    pub fn duration_s(&self) -> Option<f64> {
        self.num_samples.map(|samples| samples as f64 / f64::from(self.sample_rate))
    }
}

/// One channel of audio.
#[derive(Debug, Clone, PartialEq)]
pub struct Audio {
    /// The samples, full scale 1.0: an integer sample `v` of `b` bits is `v / 2^(b-1)`.
    pub samples: Vec<f32>,
    /// Samples per second.
    pub sample_rate: u32,
}
