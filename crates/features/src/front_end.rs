//! The whole way from samples to what a model reads.

use serde::{Deserialize, Serialize};

use crate::waveform::check_samples;
use crate::{
    Cmn, Error, Fbank, FbankOptions, LibrosaMel, LibrosaMelOptions, LogMel, LogMelOptions, NemoMel,
    NemoMelOptions, Result, Scratch, SpeechBrainFbank, SpeechBrainFbankOptions, WaveformNorm,
};

/// Options of a [`FrontEnd`]. They travel with a model's weights: a model only understands the features it was
/// trained on. The default is the baseline's log-mel 80.
///
/// In TOML, every field may be left out:
///
/// ```
/// # let text = r#"
/// sample_rate = 16000
/// waveform_norm = "none"
/// kind = { type = "fbank", num_mels = 80, window = "hamming" }
/// cmn = { type = "utterance" }
/// # "#;
/// # let config: ffsvc_features::FrontEndConfig = toml::from_str(text)?;
/// # ffsvc_features::FrontEnd::new(&config)?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(default, deny_unknown_fields)]
pub struct FrontEndConfig {
    /// Sample rate of the signals in hertz, 1000 to 768000. Default 16000. Signals are not resampled here.
    pub sample_rate: u32,
    /// `"mean-std"`, `"none"` or `{ raise-to-dbfs = -30.0 }`. Default `"mean-std"`; Kaldi-style models want `"none"`.
    pub waveform_norm: WaveformNorm,
    /// `{ type = "log-mel", .. }` with the fields of [`LogMelOptions`] or `{ type = "fbank", .. }` with those of
    /// [`FbankOptions`], or `{ type = "speechbrain-fbank", .. }` with those of [`SpeechBrainFbankOptions`], or
    /// `{ type = "librosa-mel", .. }` with those of [`LibrosaMelOptions`], or `{ type = "nemo-mel", .. }` with those of
    /// [`NemoMelOptions`]. Default the baseline's log-mel.
    pub kind: Kind,
    /// `{ type = "utterance", .. }`, `{ type = "sliding", .. }`, `{ type = "per-feature" }` or `{ type = "none" }`. Default the mean over the utterance.
    pub cmn: Cmn,
}

impl Default for FrontEndConfig {
    fn default() -> Self {
        Self {
            sample_rate: 16000,
            waveform_norm: WaveformNorm::default(),
            kind: Kind::default(),
            cmn: Cmn::default(),
        }
    }
}

/// The features proper, between waveform normalisation and CMN.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(tag = "type", rename_all = "kebab-case")]
pub enum Kind {
    /// [`LogMel`]: torchaudio's conventions.
    LogMel(LogMelOptions),
    /// [`Fbank`]: Kaldi's conventions.
    Fbank(FbankOptions),
    /// [`SpeechBrainFbank`]: SpeechBrain's.
    #[serde(rename = "speechbrain-fbank")]
    SpeechBrainFbank(SpeechBrainFbankOptions),
    /// [`LibrosaMel`]: librosa's, without a logarithm.
    LibrosaMel(LibrosaMelOptions),
    /// [`NemoMel`]: NeMo's.
    NemoMel(NemoMelOptions),
}

impl Kind {
    /// The number of mel bands.
    pub fn num_mels_mut(&mut self) -> &mut usize {
        match self {
            Self::LogMel(options) => &mut options.num_mels,
            Self::Fbank(options) => &mut options.num_mels,
            Self::SpeechBrainFbank(options) => &mut options.num_mels,
            Self::LibrosaMel(options) => &mut options.num_mels,
            Self::NemoMel(options) => &mut options.num_mels,
        }
    }
}

impl Default for Kind {
    fn default() -> Self {
        Self::LogMel(LogMelOptions::default())
    }
}

/// Features of one signal.
#[derive(Debug, Clone, PartialEq)]
pub struct Features {
    /// `[num_mels, num_frames]`, row-major: all frames of band 0, then all of band 1.
    pub data: Vec<f32>,
    /// Rows.
    pub num_mels: usize,
    /// Columns.
    pub num_frames: usize,
}

impl Features {
    pub(crate) fn zeros(num_mels: usize, num_frames: usize) -> Self {
        Self { data: vec![0.0; num_mels * num_frames], num_mels, num_frames }
    }

    /// Leaves out all frames from `num_frames` on.
    fn truncate(&mut self, num_frames: usize) {
        if num_frames < self.num_frames {
            let rows = self.data.chunks_exact(self.num_frames);
            self.data = rows.flat_map(|row| &row[..num_frames]).copied().collect();
            self.num_frames = num_frames;
        }
    }

    /// All frames of one band.
    ///
    /// # Panics
    /// `mel` is not below `num_mels`.
    pub fn band(&self, mel: usize) -> &[f32] {
        assert!(mel < self.num_mels, "band {mel} of {}", self.num_mels);
        &self.data[mel * self.num_frames..][..self.num_frames]
    }

    pub(crate) fn check_shape(
        num_samples: usize,
        min_samples: usize,
        num_mels: usize,
        num_frames: usize,
        out: &[f32],
    ) -> Result<()> {
        if num_samples < min_samples {
            return Err(Error::TooShort { found: num_samples, minimum: min_samples });
        }
        let expected = num_mels * num_frames;
        if out.len() != expected {
            return Err(Error::OutputLength { found: out.len(), expected, num_mels, num_frames });
        }
        Ok(())
    }
}

/// Samples to features: waveform normalisation, log-mel or fbank, CMN. One serves any number of threads,
/// each with its own [`Scratch`].
#[derive(Debug, Clone)]
pub struct FrontEnd {
    config: FrontEndConfig,
    computer: Computer,
}

#[derive(Debug, Clone)]
enum Computer {
    LogMel(LogMel),
    Fbank(Fbank),
    SpeechBrainFbank(SpeechBrainFbank),
    LibrosaMel(LibrosaMel),
    NemoMel(NemoMel),
}

/// `$body` for what the variant of a [`Computer`] holds.
macro_rules! each {
    ($computer:expr, $inner:ident => $body:expr) => {
        match $computer {
            Computer::LogMel($inner) => $body,
            Computer::Fbank($inner) => $body,
            Computer::SpeechBrainFbank($inner) => $body,
            Computer::LibrosaMel($inner) => $body,
            Computer::NemoMel($inner) => $body,
        }
    };
}

impl FrontEnd {
    /// Plans the computation.
    ///
    /// # Errors
    /// An option is out of range; the error names it and says what it may be.
    pub fn new(config: &FrontEndConfig) -> Result<Self> {
        let rate = config.sample_rate;
        if !(1000..=768_000).contains(&rate) {
            return Err(Error::option("sample_rate", rate, "1000 to 768000 Hz"));
        }
        config.waveform_norm.check()?;
        config.cmn.check()?;
        let computer = match &config.kind {
            Kind::LogMel(options) => Computer::LogMel(LogMel::new(rate, options)?),
            Kind::Fbank(options) => Computer::Fbank(Fbank::new(rate, options)?),
            Kind::SpeechBrainFbank(options) => {
                Computer::SpeechBrainFbank(SpeechBrainFbank::new(rate, options)?)
            }
            Kind::LibrosaMel(options) => Computer::LibrosaMel(LibrosaMel::new(rate, options)?),
            Kind::NemoMel(options) => Computer::NemoMel(NemoMel::new(rate, options)?),
        };
        Ok(Self { config: config.clone(), computer })
    }

    /// The options it was made from.
    pub fn config(&self) -> &FrontEndConfig {
        &self.config
    }

    /// Rows of the output (with an energy row, one more than there are mel bands).
    pub fn num_mels(&self) -> usize {
        each!(&self.computer, computer => computer.num_mels())
    }

    /// Columns of the output for a signal of `num_samples`; 0 below [`Self::min_samples`].
    pub fn num_frames(&self, num_samples: usize) -> usize {
        each!(&self.computer, computer => computer.num_frames(num_samples))
    }

    /// Shortest signal accepted, in samples.
    pub fn min_samples(&self) -> usize {
        each!(&self.computer, computer => computer.min_samples())
    }

    /// Samples from one frame to the next.
    pub fn frame_shift(&self) -> usize {
        each!(&self.computer, computer => computer.frame_shift())
    }

    /// Features of one signal.
    ///
    /// # Errors
    /// The signal is too short, or has a sample that is not finite or beyond all measure.
    pub fn compute(&self, samples: &[f32]) -> Result<Features> {
        let mut features = Features::zeros(self.num_mels(), self.num_frames(samples.len()));
        self.compute_into(&mut Scratch::new(), samples, &mut features.data)?;
        Ok(features)
    }

    /// Features of a signal with `num_frames` columns: where it has fewer, silence follows it; where it has more, the last are
    /// left out. Waveform normalisation is of the signal alone, CMN of the columns.
    ///
    /// # Errors
    /// As [`Self::compute`].
    pub fn compute_frames(&self, samples: &[f32], num_frames: usize) -> Result<Features> {
        check_samples(samples)?;
        let own = self.num_frames(samples.len());
        if own == 0 {
            return Err(Error::TooShort { found: samples.len(), minimum: self.min_samples() });
        }
        let mut waveform = Vec::new();
        self.config.waveform_norm.apply_into(samples, &mut waveform);
        waveform.resize(samples.len() + num_frames.saturating_sub(own) * self.frame_shift(), 0.0);
        let mut features = Features::zeros(self.num_mels(), own.max(num_frames));
        let mut scratch = Scratch::new();
        each!(&self.computer, computer => computer.compute_into(&mut scratch, &waveform, &mut features.data))?;
        features.truncate(num_frames);
        self.config.cmn.apply(&mut features.data, num_frames, &mut scratch.row);
        Ok(features)
    }

    /// [`Self::compute`] into the caller's `out`, `[num_mels, num_frames]`, without any allocation once `scratch` has grown.
    /// The result is the same to the bit, whatever `scratch` was used for before.
    ///
    /// # Errors
    /// As [`Self::compute`]; also when `out` has another length.
    pub fn compute_into(&self, scratch: &mut Scratch, samples: &[f32], out: &mut [f32]) -> Result<()> {
        check_samples(samples)?;
        let mut waveform = std::mem::take(&mut scratch.waveform);
        let normalised = match self.config.waveform_norm {
            WaveformNorm::None => samples,
            norm => {
                norm.apply_into(samples, &mut waveform);
                &waveform
            }
        };
        let result = each!(&self.computer, computer => computer.compute_into(scratch, normalised, out));
        scratch.waveform = waveform;
        result?;
        self.config.cmn.apply(out, self.num_frames(samples.len()), &mut scratch.row);
        Ok(())
    }
}
