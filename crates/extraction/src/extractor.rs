//! Recordings in, embeddings out.

use std::collections::BTreeMap;

use burn::tensor::{Device, Tensor, TensorData};
use ffsvc_audio::ReadOptions;
use ffsvc_dataset::{Recording, read_audio};
use ffsvc_features::{Features, FrontEnd, FrontEndConfig};
use ffsvc_kaldi_io::WavSource;
use ffsvc_models::SpeakerModel;
use rayon::prelude::*;

use crate::error::{Error, Result};

/// An embedding and the length of the speech that it stands for.
#[derive(Debug, Clone, PartialEq)]
pub struct Embedding {
    /// `[embedding_size]`, as the network gives it: not length-normalised.
    pub values: Vec<f32>,
    /// Duration of the recording in seconds.
    pub duration_s: f64,
}

/// A network with its front end, ready for recordings of any length.
#[derive(Debug)]
pub struct Extractor {
    model: SpeakerModel,
    front_end: FrontEnd,
    read: ReadOptions,
    device: Device,
    batch_size: usize,
    bucket_frames: usize,
    mean: Option<Vec<f32>>,
}

struct Prepared {
    index: usize,
    features: Features,
    duration_s: f64,
}

impl Extractor {
    /// An extractor for `model` in evaluation mode on `device` (one without gradients).
    ///
    /// `read.sample_rate` is set to the front end's. Recordings of the same number of frames go through the
    /// network together, at most `batch_size` of them; 1 sends each alone. The embeddings agree to rounding.
    ///
    /// # Errors
    /// The front end's options are wrong.
    pub fn new(
        model: SpeakerModel,
        front_end: &FrontEndConfig,
        read: &ReadOptions,
        batch_size: usize,
        device: &Device,
    ) -> Result<Self> {
        let read = ReadOptions { sample_rate: Some(front_end.sample_rate), ..*read };
        Ok(Self {
            model,
            front_end: FrontEnd::new(front_end)?,
            read,
            device: device.clone(),
            batch_size: batch_size.max(1),
            bucket_frames: 1,
            mean: None,
        })
    }

    /// Lets recordings whose frames differ by less than `frames` go through the network together, padded; has no effect where the
    /// network cannot leave padding out ([`SpeakerModel::supports_padding`]). Recordings of equal length alone fill few batches, which an
    /// accelerator feels. 1, the default, pads nothing.
    #[must_use]
    pub fn with_length_buckets(mut self, frames: usize) -> Self {
        self.bucket_frames = if self.model.supports_padding() { frames.max(1) } else { 1 };
        self
    }

    /// Subtracts `mean`, `[embedding]`, from every embedding: [`ModelInfo::embedding_mean`](ffsvc_models::ModelInfo).
    #[must_use]
    pub fn subtracting(mut self, mean: Option<Vec<f32>>) -> Self {
        self.mean = mean;
        self
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

    /// Embeds one recording.
    ///
    /// # Errors
    /// The recording cannot be read, or is too short.
    pub fn embed(&self, source: &WavSource) -> Result<Embedding> {
        let prepared = self.prepare(0, source)?;
        let mut values = self.forward(&[&prepared.features])?;
        let values = values.pop().ok_or(Error::NonFinite)?;
        Ok(Embedding { values, duration_s: prepared.duration_s })
    }

    /// Embeds a block of recordings on all threads; the results are in the order of the recordings, and do
    /// not depend on the number of threads.
    pub fn embed_block(&self, recordings: &[Recording]) -> Vec<Result<Embedding>> {
        let prepared: Vec<Result<Prepared>> = recordings
            .par_iter()
            .enumerate()
            .map(|(index, recording)| self.prepare(index, &recording.source))
            .collect();
        let mut results: Vec<Option<Result<Embedding>>> = Vec::new();
        results.resize_with(recordings.len(), || None);
        let mut by_bucket: BTreeMap<usize, Vec<Prepared>> = BTreeMap::new();
        for (index, item) in prepared.into_iter().enumerate() {
            match item {
                Ok(item) => {
                    by_bucket.entry(item.features.num_frames / self.bucket_frames).or_default().push(item)
                }
                Err(error) => results[index] = Some(Err(error)),
            }
        }
        let batches: Vec<&[Prepared]> =
            by_bucket.values().flat_map(|group| group.chunks(self.batch_size)).collect();
        let embedded: Vec<Result<Vec<Vec<f32>>>> = batches
            .par_iter()
            .map(|batch| self.forward(&batch.iter().map(|item| &item.features).collect::<Vec<_>>()))
            .collect();
        for (batch, embeddings) in batches.into_iter().zip(embedded) {
            match embeddings {
                Ok(embeddings) => {
                    for (item, values) in batch.iter().zip(embeddings) {
                        results[item.index] = Some(Ok(Embedding { values, duration_s: item.duration_s }));
                    }
                }
                // One recording of the batch is at fault: find it by sending each alone.
                Err(_) => {
                    for item in batch {
                        let alone = self.forward(&[&item.features]).and_then(|mut values| {
                            let values = values.pop().ok_or(Error::NonFinite)?;
                            Ok(Embedding { values, duration_s: item.duration_s })
                        });
                        results[item.index] = Some(alone);
                    }
                }
            }
        }
        results.into_iter().map(|result| result.unwrap_or(Err(Error::NonFinite))).collect()
    }

    fn prepare(&self, index: usize, source: &WavSource) -> Result<Prepared> {
        let audio = read_audio(source, &self.read)?;
        let features = self.features(&audio.samples)?;
        let duration_s = audio.samples.len() as f64 / f64::from(audio.sample_rate);
        Ok(Prepared { index, features, duration_s })
    }

    fn features(&self, samples: &[f32]) -> Result<Features> {
        let features = self.front_end.compute(samples)?;
        self.model.check_frames(features.num_frames)?;
        Ok(features)
    }

    fn forward(&self, batch: &[&Features]) -> Result<Vec<Vec<f32>>> {
        let Some(first) = batch.first() else { return Ok(Vec::new()) };
        let frames: Vec<usize> = batch.iter().map(|features| features.num_frames).collect();
        let longest = frames.iter().copied().max().unwrap_or_default();
        let mut data = Vec::with_capacity(batch.len() * first.num_mels * longest);
        for row in batch.iter().flat_map(|features| features.data.chunks_exact(features.num_frames)) {
            data.extend_from_slice(row);
            data.resize(data.len() + longest - row.len(), 0.0);
        }
        let shape = [batch.len(), first.num_mels, longest];
        let input = Tensor::<3>::from_data(TensorData::new(data, shape), &self.device);
        let output = if frames.iter().all(|&frames| frames == longest) {
            self.model.forward(input)
        } else if let Some(output) = self.model.forward_padded(input, &frames) {
            output
        } else {
            let alone = batch.iter().map(|features| self.forward(&[features]));
            return Ok(alone.collect::<Result<Vec<_>>>()?.concat());
        };
        let size = output.dims()[1];
        let mut values: Vec<f32> = output.into_data().iter::<f32>().collect();
        if let Some(mean) = &self.mean {
            for embedding in values.chunks_exact_mut(size) {
                embedding.iter_mut().zip(mean).for_each(|(value, mean)| *value -= mean);
            }
        }
        if values.iter().any(|value| !value.is_finite()) {
            return Err(Error::NonFinite);
        }
        Ok(values.chunks_exact(size).map(<[f32]>::to_vec).collect())
    }
}
