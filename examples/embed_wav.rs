//! The embedding of a recording: `embed_wav MODEL IN.wav`.

use burn::tensor::Device;
use ffsvc_extraction::Extractor;
use ffsvc_kaldi_io::WavSource;

fn main() -> anyhow::Result<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [model, recording] = &arguments[..] else { anyhow::bail!("usage: embed_wav MODEL IN.wav") };
    let extractor = Extractor::open(model, &Device::flex())?;
    let embedding = extractor.embed(&WavSource::File(recording.into()).into())?;
    println!("{} numbers from {:.2} s", embedding.values.len(), embedding.duration_s);
    println!("{:?} ...", &embedding.values[..embedding.values.len().min(5)]);
    Ok(())
}
