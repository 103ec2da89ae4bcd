use ffsvc_audio::{Channel, Limits};

/// How an [`Extractor`](crate::Extractor) works. Only [`channel`](Self::channel) changes embeddings; the others change them
/// by rounding at most.
///
/// ```
/// use ffsvc_extraction::ExtractorOptions;
///
/// let options = ExtractorOptions::default().with_batch_size(1);
/// assert_eq!((options.batch_size, options.jobs), (1, 64));
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct ExtractorOptions {
    /// Which channel of recordings with several. Default: the first.
    pub channel: Channel,
    /// At most so many recordings of the same number of frames go through the network together. Default: 16.
    pub batch_size: usize,
    /// Recordings whose frames differ by less than this go through the network together, padded, where the network can
    /// leave padding out ([`SpeakerModel::leaves_padding_out`](ffsvc_models::SpeakerModel)). Accelerators gain from it.
    /// Default: 1, which pads nothing.
    pub length_bucket: usize,
    /// At most so many recordings are in memory at once. Default: 64.
    pub jobs: usize,
    /// What one recording may bring into memory. Default: see [`Limits`].
    pub limits: Limits,
    /// Bytes that recordings may take together, with their features and the network's feature maps. Default: `None`: what
    /// the operating system has left (on Linux; no limit elsewhere).
    pub memory: Option<u64>,
}

impl Default for ExtractorOptions {
    fn default() -> Self {
        Self {
            channel: Channel::First,
            batch_size: 16,
            length_bucket: 1,
            jobs: 64,
            limits: Limits::default(),
            memory: None,
        }
    }
}

impl ExtractorOptions {
    /// With another [`channel`](Self::channel).
    #[must_use]
    pub fn with_channel(self, channel: Channel) -> Self {
        Self { channel, ..self }
    }

    /// With another [`batch_size`](Self::batch_size), at least 1.
    #[must_use]
    pub fn with_batch_size(self, batch_size: usize) -> Self {
        Self { batch_size: batch_size.max(1), ..self }
    }

    /// With another [`length_bucket`](Self::length_bucket), in frames, at least 1.
    #[must_use]
    pub fn with_length_bucket(self, length_bucket: usize) -> Self {
        Self { length_bucket: length_bucket.max(1), ..self }
    }

    /// With another number of [`jobs`](Self::jobs), at least 1.
    #[must_use]
    pub fn with_jobs(self, jobs: usize) -> Self {
        Self { jobs: jobs.max(1), ..self }
    }

    /// With other [`limits`](Self::limits).
    #[must_use]
    pub fn with_limits(self, limits: Limits) -> Self {
        Self { limits, ..self }
    }

    /// With a limit of [`memory`](Self::memory), in bytes.
    #[must_use]
    pub fn with_memory(self, bytes: u64) -> Self {
        Self { memory: Some(bytes), ..self }
    }
}
