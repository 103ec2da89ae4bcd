//! A model that embeds and compares recordings.

use std::path::Path;

use burn::tensor::Device;
use ffsvc_audio::Channel;
use ffsvc_dataset::file_quality;
use ffsvc_embeddings::Embeddings;
use ffsvc_extraction::Extractor;
use ffsvc_features::{Quality, QualityLimits, Vad};
use ffsvc_kaldi_io::{TrialColumns, Trials, WavSource};
use ffsvc_scoring::report::SourceFile;
use ffsvc_scoring::{Side, score_trials};
use serde::Serialize;

use crate::decision::{Decision, Rule};
use crate::error::{Error, Result};

/// A recording as a verifier hears it.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Voice {
    /// Path of the recording.
    pub recording: String,
    /// Duration, speech, clipping and level.
    #[serde(flatten)]
    pub quality: Quality,
    /// Sentences about the recording that a person should read: silent, clipped, too little speech, several channels.
    pub warnings: Vec<String>,
    /// What of the recording was embedded, where that is its speech only ([`Verifier::with_speech_only`]).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub speech_only: Option<EmbeddedSpeech>,
    /// The embedding, `[embedding_size]`, as the network gives it. Empty if only speech is embedded and there is none.
    #[serde(skip)]
    pub embedding: Vec<f32>,
}

/// The speech of a recording that was embedded without the pauses.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct EmbeddedSpeech {
    /// Name of the detector: `noise-floor`, `energy` or `silero`.
    pub detector: &'static str,
    /// Length of what was embedded, s.
    pub embedded_s: f64,
    /// Length of what was left out, s.
    pub left_out_s: f64,
    /// The parts that were embedded, from one time to another in seconds, in order.
    pub parts: Vec<(f64, f64)>,
}

impl EmbeddedSpeech {
    fn new(detector: &'static str, parts: Vec<(f64, f64)>, duration_s: f64) -> Self {
        // A sum of nothing is -0 in Rust.
        let embedded_s = parts.iter().fold(0.0, |sum, (from_s, to_s)| sum + (to_s - from_s));
        Self { detector, embedded_s, left_out_s: (duration_s - embedded_s).max(0.0), parts }
    }
}

/// A model with its front end, ready to compare recordings.
#[derive(Debug)]
pub struct Verifier {
    extractor: Extractor,
    model: SourceFile,
    limits: QualityLimits,
    /// Finds the speech that is measured.
    vad: Vad,
    mean: Option<Vec<f64>>,
}

impl Verifier {
    /// Opens a model file on the CPU.
    ///
    /// # Errors
    /// The file is missing or is no model file.
    pub fn open(model: impl AsRef<Path>) -> Result<Self> {
        Self::open_on(model, &Device::flex())
    }

    /// Opens a model file on a device.
    ///
    /// # Errors
    /// As [`open`](Self::open).
    pub fn open_on(model: impl AsRef<Path>, device: &Device) -> Result<Self> {
        let path = model.as_ref();
        let extractor = Extractor::open(path, device).map_err(Error::Model)?;
        let limits = QualityLimits { min_sample_rate: extractor.sample_rate(), ..QualityLimits::default() };
        let model = match extractor.checksum() {
            Some(sha256) => SourceFile { path: path.display().to_string(), sha256: sha256.to_owned() },
            None => SourceFile::identify(path)?,
        };
        Ok(Self { extractor, model, limits, vad: Vad::default(), mean: None })
    }

    /// Which channel of recordings with several is heard. Default: the first.
    #[must_use]
    pub fn with_channel(mut self, channel: Channel) -> Self {
        let options = self.extractor.options().with_channel(channel);
        self.extractor = self.extractor.with_options(options);
        self
    }

    /// Seconds of speech below which a recording gets a warning. Default: 2.
    #[must_use]
    pub fn with_min_speech(mut self, seconds: f64) -> Self {
        self.limits.min_speech_s = seconds;
        self
    }

    /// Embeds only what `vad` takes for speech ([`Extractor::with_speech_only`]). The seconds of speech are then those that
    /// `vad` finds.
    ///
    /// # Errors
    /// The detector does not work at the model's sample rate, one of its options is out of range, or its model cannot be read.
    pub fn with_speech_only(mut self, vad: &Vad) -> Result<Self> {
        self.extractor = self.extractor.with_speech_only(vad).map_err(Error::Model)?;
        self.vad = vad.clone();
        Ok(self)
    }

    /// The name of the detector of [`with_speech_only`](Self::with_speech_only), if there is one.
    pub fn speech_only(&self) -> Option<&'static str> {
        self.extractor.speech_only()
    }

    /// Subtracts this mean embedding, `[embedding_size]`, from all before they are compared.
    #[must_use]
    pub fn with_mean(mut self, mean: Vec<f64>) -> Self {
        self.mean = Some(mean);
        self
    }

    /// The model file and its SHA-256.
    pub fn model(&self) -> &SourceFile {
        &self.model
    }

    /// Reads a recording once, measures it and embeds it.
    ///
    /// # Errors
    /// The recording cannot be read, or it (or its speech) is too short for the model.
    pub fn embed(&self, recording: impl AsRef<Path>) -> Result<Voice> {
        let path = recording.as_ref();
        let name = path.display().to_string();
        let of_this = |source: ffsvc_extraction::Error| Error::Recording { recording: name.clone(), source };
        let options = self.extractor.options();
        let mut file = ffsvc_dataset::open_audio(&WavSource::File(path.to_path_buf()).into(), options.limits)
            .map_err(|error| of_this(error.into()))?;
        let quality = file_quality(&mut file, &name, options.channel, &self.vad)?;
        let (embedding, parts) = match self.extractor.embed_file(&mut file) {
            Ok(embedding) => (embedding.values, embedding.speech_parts),
            // Nothing to compare, which is known about the recording and no failure.
            Err(ffsvc_extraction::Error::NoSpeech { .. }) => (Vec::new(), Some(Vec::new())),
            Err(error) => return Err(of_this(error)),
        };
        let speech_only = parts
            .zip(self.speech_only())
            .map(|(parts, detector)| EmbeddedSpeech::new(detector, parts, quality.duration_s));
        let mut warnings: Vec<String> =
            quality.warnings(&self.limits).iter().map(ToString::to_string).collect();
        if let Some(words) = channel_taken(file.info().channels, options.channel) {
            warnings.push(words);
        }
        Ok(Voice { recording: name, quality, warnings, speech_only, embedding })
    }

    /// The cosine of two embeddings, as a trial list of the two gives it.
    ///
    /// # Errors
    /// Embeddings of different sizes, or of length zero.
    pub fn score(&self, enrolment: &[f32], test: &[f32]) -> Result<f64> {
        let mut embeddings = Embeddings::new(0);
        embeddings.push("enrolment", enrolment)?;
        embeddings.push("test", test)?;
        let trials = Trials::parse("the pair", b"enrolment test\n".to_vec(), TrialColumns::NoLabel)?;
        let side = Side { embeddings: &embeddings, mean: self.mean.as_deref() };
        let scores = score_trials(&trials, side, side, false)?;
        scores.scores.get(0).ok_or_else(|| Error::Enrolment {
            speaker: "the pair".to_owned(),
            reason: "it has no score".to_owned(),
        })
    }

    /// Compares two recordings. Without a rule there is a score and no decision. Where a recording has no embedding there is
    /// neither.
    ///
    /// # Errors
    /// As [`score`](Self::score) and [`Rule::accepts`].
    pub fn decide(&self, enrolment: &Voice, test: &Voice, rule: Option<&Rule>) -> Result<Decision> {
        let has_both = !enrolment.embedding.is_empty() && !test.embedding.is_empty();
        let score = has_both.then(|| self.score(&enrolment.embedding, &test.embedding)).transpose()?;
        self.judge(score, [enrolment, test], rule)
    }

    /// The decision on a score that came from these recordings; `None` where one of them has no embedding.
    ///
    /// # Errors
    /// As [`Rule::accepts`].
    pub fn judge<'a>(
        &self,
        score: Option<f64>,
        voices: impl IntoIterator<Item = &'a Voice>,
        rule: Option<&Rule>,
    ) -> Result<Decision> {
        Decision::of(score, rule, voices.into_iter().find_map(|voice| self.why_undecidable(voice)))
    }

    /// Why a recording can have no decision: it is silent, or nobody speaks in it.
    pub fn why_undecidable(&self, voice: &Voice) -> Option<String> {
        if voice.quality.is_silent(&self.limits) {
            return Some(format!("{} is silent", voice.recording));
        }
        (voice.quality.speech_s <= 0.0 || voice.embedding.is_empty())
            .then(|| format!("{} has no speech", voice.recording))
    }
}

/// Which of several channels was heard.
fn channel_taken(channels: usize, channel: Channel) -> Option<String> {
    (channels > 1).then(|| match channel {
        Channel::Mix => format!("{channels} channels: their mean was taken"),
        Channel::First => format!("{channels} channels: the first was taken"),
        Channel::Index(index) => format!("{channels} channels: channel {index} was taken, counted from 0"),
    })
}
