use std::time::Duration;

/// How much one recording may bring into memory.
///
/// ```
/// use ffsvc_audio::Limits;
///
/// let limits = Limits::default().with_max_bytes(64 << 20).with_max_duration(std::time::Duration::from_secs(3600));
/// assert_eq!(limits.max_bytes, 64 << 20);
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub struct Limits {
    /// The most bytes that are read from something without a length: a pipe, a device, the output of a command. Default:
    /// 1 GiB.
    pub max_bytes: u64,
    /// The longest recording that is read whole; crops are free. Default: `None`, where
    /// [`MAX_SAMPLES`](crate::MAX_SAMPLES) is the only limit.
    pub max_duration: Option<Duration>,
}

impl Default for Limits {
    fn default() -> Self {
        Self { max_bytes: 1 << 30, max_duration: None }
    }
}

impl Limits {
    /// With another [`max_bytes`](Self::max_bytes).
    #[must_use]
    pub fn with_max_bytes(self, max_bytes: u64) -> Self {
        Self { max_bytes, ..self }
    }

    /// With a [`max_duration`](Self::max_duration).
    #[must_use]
    pub fn with_max_duration(self, max_duration: Duration) -> Self {
        Self { max_duration: Some(max_duration), ..self }
    }

    /// The most samples of a recording at `sample_rate` that is read whole.
    pub(crate) fn max_samples(&self, sample_rate: u32) -> u64 {
        match self.max_duration {
            Some(duration) => {
                // A float-to-integer cast saturates.
                let samples = (duration.as_secs_f64() * f64::from(sample_rate)) as u64;
                samples.min(crate::MAX_SAMPLES)
            }
            None => crate::MAX_SAMPLES,
        }
    }
}
