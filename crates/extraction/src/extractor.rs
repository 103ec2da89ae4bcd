//! Recordings in, embeddings out.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use burn::module::Module;
use burn::tensor::{Device, Tensor, TensorData};
use ffsvc_audio::{AudioFile, Channel, ReadOptions};
use ffsvc_dataset::{Notice, ReadError, open_audio};
use ffsvc_embeddings::{AudioReading, Provenance};
use ffsvc_features::{Features, FrontEnd, FrontEndConfig, Vad};
use ffsvc_kaldi_io::AudioSource;
use ffsvc_models::{ModelConfig, ModelInfo, PreparedLayers, SpeakerModel, load_model};

use crate::error::{Error, Result};
use crate::memory::{self, Admission, Memory, Reservations};
use crate::options::ExtractorOptions;
use crate::precision::InferencePrecision;
use crate::speech_only::SpeechOnly;
use crate::windows;

/// An embedding and the recording that it stands for.
#[derive(Debug, Clone, PartialEq)]
pub struct Embedding {
    /// `[embedding_size]`, as the network gives it: not length-normalised.
    pub values: Vec<f32>,
    /// Duration of the recording in seconds.
    pub duration_s: f64,
    /// The parts that were embedded, from one time to another in seconds, in order: with
    /// [`with_speech_only`](Extractor::with_speech_only). `None`: the whole recording.
    pub speech_parts: Option<Vec<(f64, f64)>>,
    /// What a person should know about the recording.
    pub notices: Vec<Notice>,
}

/// A network with the front end that it was trained on, ready for recordings of any length.
#[derive(Debug)]
pub struct Extractor {
    model: SpeakerModel,
    front_end: FrontEnd,
    read: ReadOptions,
    device: Device,
    mean: Option<Vec<f32>>,
    options: ExtractorOptions,
    speech_only: Option<SpeechOnly>,
    precision: InferencePrecision,
    /// On the processor.
    layers: Option<Arc<PreparedLayers>>,
    memory: Memory,
    /// To estimate the memory of the network by.
    config: Option<ModelConfig>,
    /// The model file and its SHA-256.
    file: Option<(PathBuf, String)>,
}

/// A recording on its way into the network.
pub(crate) struct Prepared {
    pub(crate) index: usize,
    pub(crate) features: Features,
    duration_s: f64,
    speech_parts: Option<Vec<(f64, f64)>>,
    notices: Vec<Notice>,
}

impl Prepared {
    fn embedding(&self, values: Vec<f32>) -> Embedding {
        Embedding {
            values,
            duration_s: self.duration_s,
            speech_parts: self.speech_parts.clone(),
            notices: self.notices.clone(),
        }
    }
}

impl Extractor {
    /// The network of a model file with everything that belongs to it: the front end, and the mean to subtract if the
    /// file has one. If the model was trained with the baseline's low-pass, that belongs to it too.
    ///
    /// # Errors
    /// The file is missing or is no model file.
    pub fn open(model: impl AsRef<Path>, device: &Device) -> Result<Self> {
        let path = model.as_ref();
        let (model, _, info) = load_model(path, device)?;
        let extractor = Self::of_model(model.valid(), &info, device)?;
        Ok(Self { file: Some((path.to_path_buf(), crate::checksum(path)?)), ..extractor })
    }

    /// As [`open`](Self::open), of a model that is loaded: `model` in evaluation mode on `device` (one without gradients).
    ///
    /// # Errors
    /// The front end's options are wrong.
    pub fn of_model(model: SpeakerModel, info: &ModelInfo, device: &Device) -> Result<Self> {
        let read = ReadOptions::default().with_compat_lowpass(info.compat_lowpass);
        let extractor = Self::new(model, &info.front_end, &read, device)?;
        Ok(Self { mean: info.embedding_mean.clone(), config: Some(info.model.clone()), ..extractor })
    }

    /// A network without a model file, such as one in training. Nothing is subtracted from its embeddings. Recordings are
    /// read as `read` says, but at the front end's sample rate.
    ///
    /// # Errors
    /// The front end's options are wrong.
    pub fn new(
        model: SpeakerModel,
        front_end: &FrontEndConfig,
        read: &ReadOptions,
        device: &Device,
    ) -> Result<Self> {
        let options = ExtractorOptions::default().with_channel(read.channel);
        let at_rate = ReadOptions::at_rate(front_end.sample_rate);
        Ok(Self {
            layers: PreparedLayers::of(&model, device),
            model,
            front_end: FrontEnd::new(front_end)?,
            read: at_rate.with_channel(read.channel).with_compat_lowpass(read.compat_lowpass),
            device: device.clone(),
            mean: None,
            memory: Memory::from_now(options.memory),
            options,
            speech_only: None,
            precision: InferencePrecision::F32,
            config: None,
            file: None,
        })
    }

    /// With other options.
    #[must_use]
    pub fn with_options(mut self, options: ExtractorOptions) -> Self {
        self.read = self.read.with_channel(options.channel);
        self.memory = Memory::from_now(options.memory);
        self.options = options;
        self
    }

    /// Embeds only what `vad` takes for speech, without pauses of 0.1 s and more
    /// ([`SpeechParts`](ffsvc_features::SpeechParts)). The speech is found in the recording at the front end's sample rate.
    ///
    /// # Errors
    /// The detector does not work at that rate, one of its options is out of range, or its model cannot be read.
    pub fn with_speech_only(self, vad: &Vad) -> Result<Self> {
        let speech_only = Some(SpeechOnly::new(self.sample_rate(), vad)?);
        Ok(Self { speech_only, ..self })
    }

    /// Computes in `precision`.
    ///
    /// # Errors
    /// 8 bits on an accelerator: they are for processors.
    pub fn with_precision(self, precision: InferencePrecision) -> Result<Self> {
        let layers = match precision {
            InferencePrecision::F32 => PreparedLayers::of(&self.model, &self.device),
            InferencePrecision::Int8 => {
                Some(PreparedLayers::in_8_bits(&self.model, &self.device).ok_or(Error::Int8Device)?)
            }
        };
        Ok(Self { precision, layers, ..self })
    }

    /// What the network computes in.
    pub fn precision(&self) -> InferencePrecision {
        self.precision
    }

    /// The name of the detector of [`with_speech_only`](Self::with_speech_only), if there is one.
    pub fn speech_only(&self) -> Option<&'static str> {
        self.speech_only.as_ref().map(SpeechOnly::name)
    }

    pub(crate) fn speech_rule(&self) -> Option<&Vad> {
        self.speech_only.as_ref().map(SpeechOnly::vad)
    }

    /// The options.
    pub fn options(&self) -> &ExtractorOptions {
        &self.options
    }

    /// How recordings are read: the front end's sample rate, the channel, the baseline's low-pass.
    pub fn read_options(&self) -> &ReadOptions {
        &self.read
    }

    /// Sample rate of the front end, Hz.
    pub fn sample_rate(&self) -> u32 {
        self.front_end.config().sample_rate
    }

    /// SHA-256 of the model file, hexadecimal, where there is one ([`open`](Self::open)).
    pub fn checksum(&self) -> Option<&str> {
        self.file.as_ref().map(|(_, checksum)| checksum.as_str())
    }

    /// What a store says about embeddings of this model, where there is a model file ([`open`](Self::open)).
    pub fn provenance(&self) -> Option<Provenance> {
        let (path, checksum) = self.file.as_ref()?;
        let mut provenance = Provenance::new(path.display().to_string(), checksum);
        // Both are read from and written to JSON.
        provenance.architecture = serde_json::to_value(&self.config).unwrap_or_default();
        provenance.front_end = serde_json::to_value(self.front_end.config()).unwrap_or_default();
        let channel = match self.read.channel {
            Channel::First => "first".to_owned(),
            Channel::Index(index) => index.to_string(),
            Channel::Mix => "mix".to_owned(),
        };
        provenance.audio = AudioReading::new(channel, self.read.compat_lowpass);
        provenance.audio.speech_only = self.speech_only().map(str::to_owned);
        provenance.precision =
            (self.precision != InferencePrecision::F32).then(|| self.precision.to_string());
        provenance.mean_subtracted = self.mean.is_some();
        provenance.program = concat!("ffsvc-extraction ", env!("CARGO_PKG_VERSION")).to_owned();
        Some(provenance)
    }

    /// Whether recordings of different lengths can share a batch
    /// ([`ExtractorOptions::length_bucket`]).
    pub fn supports_padding(&self) -> bool {
        self.model.supports_padding() || self.model.windows().is_some()
    }

    /// Embeds samples at the front end's sample rate (full scale 1.0).
    ///
    /// # Errors
    /// Too few samples, or samples that are not finite.
    pub fn embed_samples(&self, samples: &[f32]) -> Result<Vec<f32>> {
        let features = self.features(samples)?;
        let mut embeddings = self.forward(&[&features])?;
        embeddings.pop().ok_or(Error::NonFinite)
    }

    /// Embeds one recording, or a segment of one.
    ///
    /// # Errors
    /// The recording cannot be read, is too short, or needs more memory than there is.
    pub fn embed(&self, source: &AudioSource) -> Result<Embedding> {
        let mut file = open_audio(source, self.options.limits)?;
        self.embed_file(&mut file)
    }

    /// Embeds an open file.
    ///
    /// # Errors
    /// As [`embed`](Self::embed).
    pub fn embed_file(&self, file: &mut AudioFile) -> Result<Embedding> {
        let reservations = Reservations::new(self.memory.available());
        // Nothing else is in work: there is no later.
        self.admit(file, &reservations)?;
        let prepared = self.prepare(0, file)?;
        let mut values = self.forward(&[&prepared.features])?;
        Ok(prepared.embedding(values.pop().ok_or(Error::NonFinite)?))
    }

    pub(crate) fn available_memory(&self) -> u64 {
        self.memory.available()
    }

    /// Whether the recording can be read now, beside those that were admitted before.
    pub(crate) fn admit(&self, file: &mut AudioFile, reservations: &Reservations) -> Result<bool> {
        let (rate, to) = (u64::from(file.sample_rate()), u64::from(self.front_end.config().sample_rate));
        let samples = file.count_frames().map_err(ReadError::from)?;
        let converted = samples.saturating_mul(to) / rate.max(1) + 1;
        let frames = self.front_end.num_frames(usize::try_from(converted).unwrap_or(usize::MAX)) as u64;
        let recording = memory::recording_bytes(samples, converted, self.front_end.num_mels(), frames);
        let network = self.network_bytes(frames);
        match reservations.admit(recording, network) {
            Admission::Granted => Ok(true),
            Admission::Later => Ok(false),
            Admission::Never => Err(Error::Memory {
                duration_s: samples as f64 / rate.max(1) as f64,
                needed: recording.saturating_add(network),
                available: reservations.available(),
            }),
        }
    }

    /// Bytes for one recording while the network runs.
    pub(crate) fn network_bytes(&self, frames: u64) -> u64 {
        self.config
            .as_ref()
            .map_or(0, |config| memory::network_bytes(config, self.front_end.num_mels(), frames))
    }

    pub(crate) fn prepare(&self, index: usize, file: &mut AudioFile) -> Result<Prepared> {
        let audio = file.read(&self.read).map_err(ReadError::from)?;
        let notices = Notice::of(file.info(), &self.read, &audio.samples);
        let (features, speech_parts) = match &self.speech_only {
            None => (self.features(&audio.samples)?, None),
            Some(speech) => {
                let (samples, parts) = speech.of(&audio.samples)?;
                (self.features(&samples)?, Some(parts))
            }
        };
        let duration_s = audio.samples.len() as f64 / f64::from(audio.sample_rate);
        Ok(Prepared { index, features, duration_s, speech_parts, notices })
    }

    /// The frames that the network sees: those of the recording, or those that its windows reach over.
    fn features(&self, samples: &[f32]) -> Result<Features> {
        let features = match self.model.windows() {
            None => self.front_end.compute(samples)?,
            Some(windows) => {
                let count = windows.count(self.front_end.num_frames(samples.len()));
                self.front_end.compute_frames(samples, windows.reach(count))?
            }
        };
        self.model.check_frames(features.num_frames)?;
        Ok(features)
    }

    /// The embeddings of a batch, each with the recording's index.
    pub(crate) fn embed_batch(&self, batch: &[Prepared]) -> Vec<(usize, Result<Embedding>)> {
        let features: Vec<&Features> = batch.iter().map(|item| &item.features).collect();
        match self.forward(&features) {
            Ok(embeddings) => {
                let pairs = batch.iter().zip(embeddings);
                pairs.map(|(item, values)| (item.index, Ok(item.embedding(values)))).collect()
            }
            // One recording of the batch is at fault: find it by sending each alone.
            Err(_) => batch
                .iter()
                .map(|item| {
                    let alone = self
                        .forward(&[&item.features])
                        .and_then(|mut values| Ok(item.embedding(values.pop().ok_or(Error::NonFinite)?)));
                    (item.index, alone)
                })
                .collect(),
        }
    }

    /// The embeddings of a batch, less the mean of the model.
    fn forward(&self, batch: &[&Features]) -> Result<Vec<Vec<f32>>> {
        let mut embeddings = match self.model.windows() {
            None => self.of_recordings(batch),
            Some(windows) => windows::embeddings(windows, batch, &self.device, |input| self.network(input)),
        };
        if let Some(mean) = &self.mean {
            for embedding in &mut embeddings {
                embedding.iter_mut().zip(mean).for_each(|(value, mean)| *value -= mean);
            }
        }
        if embeddings.iter().flatten().any(|value| !value.is_finite()) {
            return Err(Error::NonFinite);
        }
        Ok(embeddings)
    }

    fn network(&self, input: Tensor<3>) -> Tensor<2> {
        PreparedLayers::scope(self.layers.as_ref(), || self.model.forward(input))
    }

    /// What the network makes of whole recordings.
    fn of_recordings(&self, batch: &[&Features]) -> Vec<Vec<f32>> {
        let Some(first) = batch.first() else { return Vec::new() };
        let frames: Vec<usize> = batch.iter().map(|features| features.num_frames).collect();
        let longest = frames.iter().copied().max().unwrap_or_default();
        let mut data = Vec::with_capacity(batch.len() * first.num_mels * longest);
        for row in batch.iter().flat_map(|features| features.data.chunks_exact(features.num_frames)) {
            data.extend_from_slice(row);
            data.resize(data.len() + longest - row.len(), 0.0);
        }
        let shape = [batch.len(), first.num_mels, longest];
        let input = Tensor::<3>::from_data(TensorData::new(data, shape), &self.device);
        let same_length = frames.iter().all(|&frames| frames == longest);
        // On a thread of the pool. A thread outside of it would hand over each loop of the network and wait.
        let output = rayon::scope(|_| {
            if same_length {
                Some(self.network(input))
            } else {
                PreparedLayers::scope(self.layers.as_ref(), || self.model.forward_padded(input, &frames))
            }
        });
        let Some(output) = output else {
            return batch.iter().flat_map(|features| self.of_recordings(&[features])).collect();
        };
        windows::rows(output)
    }
}
