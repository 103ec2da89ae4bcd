//! The mean of several models' weights.

use std::path::Path;

use burn::tensor::Device;

use crate::error::{Error, Result};
use crate::heads::Head;
use crate::model::SpeakerModel;
use crate::model_file::load_model;
use crate::model_info::ModelInfo;
use crate::parameters::{NamedTensor, load_named, named_tensors};

/// The mean of each tensor over `sets`, running statistics included, summed in double precision in their order.
///
/// The weights of one run's last epochs, or of runs that began from the same model, are in one basin. Their mean is
/// often better than each of them ([Izmailov et al. 2018](https://arxiv.org/abs/1803.05407)). Those of unrelated runs
/// do not. The mean of running statistics is not the statistics of the mean: see the trainer's `reestimate_batch_norm`.
///
/// # Errors
/// [`Error::Config`] if there is none, or if two differ in names or shapes.
pub fn average_tensors(sets: &[Vec<NamedTensor>]) -> Result<Vec<NamedTensor>> {
    let Some((first, others)) = sets.split_first() else {
        return Err(Error::Config {
            field: "models",
            found: "none".into(),
            expected: "at least one to average",
        });
    };
    let mut mean = first.clone();
    for set in others {
        let alike = set.len() == first.len()
            && set.iter().zip(first).all(|(a, b)| a.name == b.name && a.shape == b.shape);
        if !alike {
            let differs = set.iter().zip(first).find(|(a, b)| a.name != b.name || a.shape != b.shape);
            let found = differs.map_or_else(
                || format!("{} and {} tensors", first.len(), set.len()),
                |(a, b)| format!("{} {:?} and {} {:?}", b.name, b.shape, a.name, a.shape),
            );
            return Err(Error::Config { field: "models", found, expected: "models with the same tensors" });
        }
    }
    for (index, tensor) in mean.iter_mut().enumerate() {
        for (position, value) in tensor.data.iter_mut().enumerate() {
            let sum: f64 = sets.iter().map(|set| f64::from(set[index].data[position])).sum();
            *value = (sum / sets.len() as f64) as f32;
        }
    }
    Ok(mean)
}

/// The mean of several models, see [`average_models`].
#[derive(Debug)]
#[non_exhaustive]
pub struct Averaged {
    /// The mean of the networks.
    pub model: SpeakerModel,
    /// The mean of the heads, where all have the same one for the same speakers.
    pub head: Option<Head>,
    /// The last file's, with the `training` of all.
    pub info: ModelInfo,
    /// Heads were left out: some files have none, or other ones.
    pub heads_left_out: bool,
    /// Means to subtract were left out: they are of the embeddings of other networks than this one.
    pub embedding_means_left_out: bool,
}

/// The mean of the models in `files` by [`average_tensors`], and of their heads where all have the same one for the same
/// speakers; otherwise there is none. The mean of several has no mean embedding to subtract.
///
/// # Errors
/// No file; as [`load_model`]; [`Error::Checkpoint`] for the first file with another network or front end than the first.
pub fn average_models<P: AsRef<Path>>(files: &[P], device: &Device) -> Result<Averaged> {
    let (mut of_models, mut of_heads, mut infos) = (Vec::new(), Vec::new(), Vec::<ModelInfo>::new());
    let mut last = None;
    for file in files {
        let (model, head, info) = load_model(file, device)?;
        if let Some(first) = infos.first() {
            let differs = [
                ("network", info.model != first.model),
                ("front end", info.front_end != first.front_end),
                ("reading of audio (compat_lowpass)", info.compat_lowpass != first.compat_lowpass),
            ];
            if let Some((what, _)) = differs.into_iter().find(|(_, differs)| *differs) {
                let cause = format!("its {what} is not that of {}", files[0].as_ref().display());
                return Err(Error::Checkpoint { path: file.as_ref().to_path_buf(), cause });
            }
        }
        of_models.push(named_tensors(&model));
        of_heads.extend(head.as_ref().map(named_tensors));
        infos.push(info);
        last = Some((model, head));
    }
    let mean = average_tensors(&of_models)?;
    let (Some((model, head)), Some(mut info)) = (last, infos.last().cloned()) else {
        return Err(Error::Config {
            field: "models",
            found: "none".into(),
            expected: "at least one to average",
        });
    };
    let same_head = of_heads.len() == infos.len()
        && infos.iter().all(|other| other.head == info.head && other.speakers == info.speakers);
    let head = match head {
        Some(head) if same_head => Some(load_named(head, average_tensors(&of_heads)?)?),
        _ => None,
    };
    if head.is_none() {
        info.head = None;
        info.speakers.clear();
    }
    let embedding_means_left_out = infos.len() > 1 && infos.iter().any(|info| info.embedding_mean.is_some());
    if embedding_means_left_out {
        info.embedding_mean = None;
    }
    let heads_left_out = head.is_none() && !of_heads.is_empty();
    let trainings: Vec<serde_json::Value> = infos.into_iter().map(|info| info.training).collect();
    info.training = serde_json::json!({ "average_of": trainings });
    let model = load_named(model, mean)?;
    Ok(Averaged { model, head, info, heads_left_out, embedding_means_left_out })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn set(name: &str, data: [f32; 2]) -> Vec<NamedTensor> {
        vec![NamedTensor { name: name.into(), shape: vec![2], data: data.to_vec() }]
    }

    #[test]
    fn the_mean_is_taken_number_by_number() {
        let sets = [set("a", [1.0, 1e8]), set("a", [2.0, 1.0]), set("a", [6.0, -1e8])];
        assert_eq!(average_tensors(&sets).unwrap(), set("a", [3.0, 1.0 / 3.0]));
        assert_eq!(average_tensors(&sets[..1]).unwrap(), sets[0]);
    }

    #[test]
    fn other_models_are_refused() {
        let error = average_tensors(&[set("a", [1.0, 2.0]), set("b", [1.0, 2.0])]).unwrap_err().to_string();
        assert!(error.contains("a [2] and b [2]"), "{error}");
        assert!(average_tensors(&[set("a", [1.0, 2.0]), Vec::new()]).is_err());
        assert!(average_tensors(&[]).is_err());
    }
}
