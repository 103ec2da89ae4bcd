//! Features of a WAV file: `fbank IN.wav`.

use ffsvc_audio::{AudioFile, ReadOptions};
use ffsvc_features::{FrontEnd, FrontEndConfig};

fn main() -> anyhow::Result<()> {
    let path = std::env::args().nth(1).ok_or_else(|| anyhow::anyhow!("usage: fbank IN.wav"))?;
    // The baseline's log-mel: 80 bands, 25 ms windows every 10 ms, at 16 kHz.
    let front_end = FrontEnd::new(&FrontEndConfig::default())?;
    let audio = AudioFile::open(path)?.read(&ReadOptions::at_rate(front_end.config().sample_rate))?;
    let features = front_end.compute(&audio.samples)?;
    println!("{} bands, {} frames", features.num_mels, features.num_frames);
    for band in features.data.chunks(features.num_frames).take(3) {
        println!("{:?} ...", &band[..band.len().min(5)]);
    }
    Ok(())
}
