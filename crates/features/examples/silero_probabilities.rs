//! Prints the probability of speech in each 32 ms of a recording, by Silero VAD.

use ffsvc_audio::{AudioFile, ReadOptions};
use ffsvc_features::SileroNetwork;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [model, recording] = &arguments[..] else {
        return Err("usage: silero_probabilities MODEL RECORDING".into());
    };
    let audio = AudioFile::open(recording)?.read(&ReadOptions::at_rate(16_000))?;
    for probability in SileroNetwork::open(model)?.probabilities(&audio.samples)? {
        println!("{probability}");
    }
    Ok(())
}
