use std::collections::BTreeMap;
use std::path::PathBuf;

use anyhow::bail;
use burn::module::Module;
use burn::tensor::Device;
use clap::Args;
use ffsvc_cli::RunFiles;
use ffsvc_extraction::Extractor;
use ffsvc_models::{NamedTensor, load_model, named_tensors};
use serde::Serialize;

use crate::embedder;
use crate::import_first::import_first;

/// Show how two models differ
///
/// The largest difference of each tensor, and with --audio the cosine distance of the embeddings that the two give, each
/// with its own front end. The exit status is 0 whether or not they differ, and 1 if there was nothing to compare.
#[derive(Debug, Args)]
pub(crate) struct Compare {
    /// Model file
    a: PathBuf,

    /// Model file
    b: PathBuf,

    /// Recordings to embed with both
    #[arg(long, value_name = "FILE", num_args = 1..)]
    audio: Vec<PathBuf>,
}

#[derive(Debug, Serialize)]
struct Findings {
    /// What of the description differs.
    description: Vec<&'static str>,
    only_in_a: Vec<String>,
    only_in_b: Vec<String>,
    tensors: Vec<Difference>,
    embeddings: Vec<Distance>,
}

#[derive(Debug, Serialize)]
struct Difference {
    name: String,
    /// Absent where the shapes differ.
    max_difference: Option<f64>,
}

#[derive(Debug, Serialize)]
struct Distance {
    audio: PathBuf,
    cosine_distance: f64,
}

impl Compare {
    pub(crate) fn run(self, json: bool) -> anyhow::Result<()> {
        RunFiles::new()
            .input("A", [&self.a])
            .input("B", [&self.b])
            .input("--audio", &self.audio)
            .check(json)?;
        let device = Device::flex();
        let load = |path| load_model(path, &device).map_err(import_first);
        let ((a, _, info_a), (b, _, info_b)) = (load(&self.a)?, load(&self.b)?);
        let parts = [
            ("network", info_a.model != info_b.model),
            ("front end", info_a.front_end != info_b.front_end),
            ("reading of audio", info_a.compat_lowpass != info_b.compat_lowpass),
            ("mean to subtract", info_a.embedding_mean != info_b.embedding_mean),
            ("head", info_a.head != info_b.head),
            ("classes", info_a.speakers != info_b.speakers),
        ];
        let description = parts.into_iter().filter(|(_, differs)| *differs).map(|(what, _)| what).collect();
        let mut of_b: BTreeMap<String, NamedTensor> =
            named_tensors(&b).into_iter().map(|tensor| (tensor.name.clone(), tensor)).collect();
        let (mut tensors, mut only_in_a) = (Vec::new(), Vec::new());
        for tensor in named_tensors(&a) {
            match of_b.remove(&tensor.name) {
                None => only_in_a.push(tensor.name),
                Some(other) => tensors
                    .push(Difference { max_difference: difference(&tensor, &other), name: tensor.name }),
            }
        }
        let mut embeddings = Vec::new();
        if !self.audio.is_empty() {
            let sizes = (info_a.model.embedding_size(), info_b.model.embedding_size());
            if sizes.0 != sizes.1 {
                bail!(
                    "embeddings of {} and of {} numbers cannot be compared: leave --audio out",
                    sizes.0,
                    sizes.1
                );
            }
            let a = Extractor::of_model(a.valid(), &info_a, &device)?;
            let b = Extractor::of_model(b.valid(), &info_b, &device)?;
            for audio in self.audio {
                let cosine_distance = embedder::cosine_distance(
                    &embedder::embed(&a, audio.clone())?,
                    &embedder::embed(&b, audio.clone())?,
                );
                embeddings.push(Distance { audio, cosine_distance });
            }
        }
        let only_in_b = of_b.into_keys().collect();
        let findings = Findings { description, only_in_a, only_in_b, tensors, embeddings };
        if json {
            ffsvc_cli::print_json(&findings)?;
        } else {
            print(&findings);
        }
        let in_common = findings.tensors.iter().any(|tensor| tensor.max_difference.is_some());
        if !in_common && findings.embeddings.is_empty() {
            bail!(
                "nothing was compared: {} and {} have no tensor of one name and shape",
                self.a.display(),
                self.b.display()
            );
        }
        Ok(())
    }
}

/// `None` for different shapes. A number beside one that is none is infinitely far from it.
fn difference(a: &NamedTensor, b: &NamedTensor) -> Option<f64> {
    let differences = a.data.iter().zip(&b.data).map(|(&x, &y)| match (f64::from(x) - f64::from(y)).abs() {
        _ if x.to_bits() == y.to_bits() => 0.0,
        difference if difference.is_nan() => f64::INFINITY,
        difference => difference,
    });
    (a.shape == b.shape).then(|| differences.fold(0.0, f64::max))
}

fn print(findings: &Findings) {
    for what in &findings.description {
        println!("differs\t{what}");
    }
    for name in &findings.only_in_a {
        println!("only in the first\t{name}");
    }
    for name in &findings.only_in_b {
        println!("only in the second\t{name}");
    }
    let mut largest: Option<&Difference> = None;
    for tensor in &findings.tensors {
        match tensor.max_difference {
            None => println!("other shape\t{}", tensor.name),
            Some(0.0) => {}
            Some(difference) => println!("{difference:.3e}\t{}", tensor.name),
        }
        if tensor.max_difference > largest.and_then(|tensor| tensor.max_difference) {
            largest = Some(tensor);
        }
    }
    let equal = findings.tensors.iter().filter(|tensor| tensor.max_difference == Some(0.0)).count();
    println!("equal tensors\t{equal} of {}", findings.tensors.len());
    if let Some(Difference { name, max_difference: Some(difference) }) = largest
        && *difference > 0.0
    {
        println!("largest difference\t{difference:.3e} in {name}");
    }
    for Distance { audio, cosine_distance } in &findings.embeddings {
        println!("cosine distance\t{cosine_distance:.3e}\t{}", audio.display());
    }
}
