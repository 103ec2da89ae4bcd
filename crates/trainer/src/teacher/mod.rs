//! A teacher: a trained network whose embeddings of clean speech the student learns to give in rooms and noise.

pub(crate) mod config;
mod loss;

pub use config::{TeacherConfig, TeacherLoss, TeacherTarget};

use std::path::{Path, PathBuf};

use burn::module::Module;
use burn::tensor::{Device, Tensor, TensorData};
use ffsvc_audio::ReadOptions;
use ffsvc_dataset::{Batch, FurtherView, TrainingSet, View};
use ffsvc_embeddings::Embeddings;
use ffsvc_models::{ModelInfo, SpeakerModel};

use crate::config::ExperimentConfig;
use crate::error::{Error, Result};
use crate::init_from::InitFrom;
use crate::recordings;

/// The model file that the section `[teacher]` of `config` means, if there is one. A run that is resumed has a copy, `kept`.
///
/// # Errors
/// No file is named and none is started from.
pub(crate) fn model_file(
    config: &ExperimentConfig,
    init: &InitFrom,
    kept: Option<PathBuf>,
) -> Result<Option<PathBuf>> {
    let Some(section) = &config.teacher else { return Ok(None) };
    match (init, &section.model) {
        (InitFrom::Checkpoint, _) if kept.is_some() => Ok(kept),
        (_, Some(path)) => Ok(Some(path.clone())),
        (InitFrom::Model { path, .. }, None) => Ok(Some(path.clone())),
        (InitFrom::Random | InitFrom::Checkpoint, None) => Err(Error::Config {
            key: "teacher.model",
            found: "absent in a run from random weights".into(),
            expected: "a model file, or a model to start from".into(),
        }),
    }
}

/// The view of each crop that the teacher of the model file `path` hears.
///
/// # Errors
/// The file cannot be read.
pub(crate) fn view(config: &TeacherConfig, path: &Path) -> Result<Option<FurtherView>> {
    Ok(match config.target {
        TeacherTarget::Crop => {
            let front_end = ffsvc_models::load_info(path)?.front_end;
            Some(FurtherView { view: View::Recorded, front_end })
        }
        TeacherTarget::Utterance => None,
    })
}

/// A network in evaluation mode, on every device of a run.
pub(crate) struct Teacher {
    config: TeacherConfig,
    /// Without gradients, beside the device with gradients that it teaches on.
    copies: Vec<(Device, SpeakerModel)>,
    info: ModelInfo,
    /// Embeddings of whole recordings, by the utterance's place in the training set.
    targets: Option<Targets>,
}

/// Embeddings of the utterances of a training set, in its order.
pub(crate) struct Targets {
    size: usize,
    values: Vec<f32>,
    /// The embeddings that are not zero, on each device.
    all: Vec<(Device, Tensor<2>)>,
}

impl Teacher {
    /// Loads the teacher of the model file `path` for a student of `config` on `devices`, which have gradients.
    ///
    /// # Errors
    /// The file cannot be read, or its embeddings cannot be compared with the student's.
    pub(crate) fn load(
        config: &TeacherConfig,
        path: &Path,
        student_size: usize,
        min_frames: usize,
        devices: &[Device],
    ) -> Result<Self> {
        let mut copies = Vec::new();
        let mut info = None;
        for device in devices {
            let plain = device.clone().without_autodiff();
            let (model, _, of_file) = ffsvc_models::load_model(path, &plain)?;
            copies.push((device.clone(), model.valid()));
            info = Some(of_file);
        }
        let Some(info) = info else {
            return Err(Error::Config {
                key: "device",
                found: "none".into(),
                expected: "one at least".into(),
            });
        };
        let size = info.model.embedding_size();
        if size != student_size && config.loss != TeacherLoss::Similarity {
            return Err(Error::Config {
                key: "model.embedding_size",
                found: format!("{student_size}; the teacher {} gives {size} numbers", path.display()),
                expected: format!("{size}, or teacher.loss = \"similarity\", which compares any sizes"),
            });
        }
        if config.target == TeacherTarget::Crop && min_frames < info.model.min_frames() {
            return Err(Error::Config {
                key: "train.max_frames",
                found: format!("crops of {min_frames} frames for the teacher"),
                expected: format!("at least its {} frames", info.model.min_frames()),
            });
        }
        Ok(Self { config: config.clone(), copies, info, targets: None })
    }

    /// Whether embeddings of whole recordings are needed before the first step.
    pub(crate) fn wants_targets(&self) -> bool {
        self.config.target == TeacherTarget::Utterance && self.targets.is_none()
    }

    /// Embeds the whole recordings of the `members` of `set`; the others have zeros.
    ///
    /// # Errors
    /// A recording that cannot be read.
    pub(crate) fn embed(
        &mut self,
        set: &TrainingSet,
        members: impl Iterator<Item = u32>,
        read: &ReadOptions,
    ) -> Result<()> {
        let (device, model) = &self.copies[0];
        let device = device.clone().without_autodiff();
        let members: Vec<u32> = members.collect();
        let embeddings = recordings::embed((model, &self.info), &device, set, &members, read)?;
        let size = self.info.model.embedding_size();
        let mut values = vec![0.0; set.utterances.len() * size];
        for (index, embedding) in members.iter().zip(embeddings.chunks(size)) {
            values[*index as usize * size..][..size].copy_from_slice(embedding);
        }
        self.targets = Some(Targets::new(size, values, &self.copies));
        Ok(())
    }

    /// Writes the embeddings of whole recordings to `path`, where there are any.
    ///
    /// # Errors
    /// The file cannot be written.
    pub(crate) fn save_targets(&self, set: &TrainingSet, path: &Path) -> Result<()> {
        let Some(Targets { size, values, .. }) = &self.targets else { return Ok(()) };
        let ids = set.utterances.iter().map(|utterance| utterance.id.clone()).collect();
        Embeddings::from_parts(ids, *size, values.clone())?.write(path)?;
        Ok(())
    }

    /// Reads what [`save_targets`](Self::save_targets) wrote for the same training set.
    ///
    /// # Errors
    /// The file cannot be read, or is of another training set.
    pub(crate) fn read_targets(&mut self, set: &TrainingSet, path: &Path) -> Result<()> {
        let store = Embeddings::read(path)?;
        let ids = set.utterances.iter().map(|utterance| utterance.id.as_str());
        let size = self.info.model.embedding_size();
        if store.dim() != size || !store.keys().iter().map(String::as_str).eq(ids) {
            return Err(Error::DataSet {
                what: path.display().to_string(),
                found: format!("{} embeddings of {} numbers", store.len(), store.dim()),
                expected: format!(
                    "{size} numbers of each of the {} training utterances",
                    set.utterances.len()
                ),
            });
        }
        let (_, values) = store.into_parts();
        self.targets = Some(Targets::new(size, values, &self.copies));
        Ok(())
    }

    /// The loss of a batch whose embeddings `student` are on `device`, `[1]`, weighted.
    pub(crate) fn loss(&self, student: Tensor<2>, batch: &Batch, device: &Device) -> Tensor<1> {
        let teacher = match &self.targets {
            Some(targets) => targets.of(&batch.members, device),
            None => self.hear(batch, device),
        };
        let neighbours = || match &self.targets {
            Some(targets) => targets.all(device),
            None => teacher.clone(),
        };
        let TeacherConfig { loss, weight, .. } = self.config;
        loss.forward(student, teacher.clone(), neighbours, self.config.temperature_or_default()) * weight
    }

    /// The teacher's embeddings of the last view of a batch.
    fn hear(&self, batch: &Batch, device: &Device) -> Tensor<2> {
        let known = self.copies.iter().find(|(of, _)| of == device);
        let (_, model) = known.unwrap_or(&self.copies[0]);
        // Setup asks for the view.
        let Some(view) = batch.further.last() else { return Tensor::zeros([batch.members.len(), 1], device) };
        let shape = [batch.members.len(), view.num_mels, view.num_frames];
        let plain = device.clone().without_autodiff();
        let embeddings =
            model.forward(Tensor::<3>::from_data(TensorData::new(view.features.clone(), shape), &plain));
        let embeddings = match &self.info.embedding_mean {
            Some(mean) => {
                let mean = Tensor::<1>::from_floats(&mean[..], &plain);
                embeddings - mean.unsqueeze_dim(0)
            }
            None => embeddings,
        };
        Tensor::from_inner(embeddings)
    }
}

impl Targets {
    fn new(size: usize, values: Vec<f32>, copies: &[(Device, SpeakerModel)]) -> Self {
        let known = values.chunks(size).filter(|row| row.iter().any(|&x| x != 0.0));
        let known: Vec<f32> = known.flatten().copied().collect();
        let shape = [known.len() / size, size];
        let on = |device: &Device| {
            let plain = device.clone().without_autodiff();
            Tensor::<2>::from_data(TensorData::new(known.clone(), shape), &plain)
        };
        let all = copies.iter().map(|(device, _)| (device.clone(), on(device))).collect();
        Self { size, values, all }
    }

    /// All of them that are not zero.
    fn all(&self, device: &Device) -> Tensor<2> {
        let known = self.all.iter().find(|(of, _)| of == device);
        let (_, all) = known.unwrap_or(&self.all[0]);
        Tensor::from_inner(all.clone())
    }

    fn of(&self, members: &[u32], device: &Device) -> Tensor<2> {
        let rows = members.iter().map(|&index| &self.values[index as usize * self.size..][..self.size]);
        let values: Vec<f32> = rows.flatten().copied().collect();
        Tensor::from_data(TensorData::new(values, [members.len(), self.size]), device)
    }
}
