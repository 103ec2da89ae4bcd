//! A recording in a simulated room: `augment_room IN.wav OUT.wav SEED`.

use ffsvc_audio::{AudioFile, ReadOptions, SampleFormat, write_wav};
use ffsvc_augment::room::RoomRanges;
use ffsvc_augment::{AugmentConfig, Augmenter, Plan, Reverb, Scratch};
use rand::SeedableRng;

fn main() -> anyhow::Result<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [input, output, seed] = &arguments[..] else {
        anyhow::bail!("usage: augment_room IN.wav OUT.wav SEED")
    };
    let mut audio = AudioFile::open(input)?.read(&ReadOptions::default())?;
    let mut random = rand_chacha::ChaCha8Rng::seed_from_u64(seed.parse()?);
    // The distances of FFSVC.
    let room = RoomRanges::ffsvc().draw(&mut random)?;
    println!("{:.2} m from the microphone", room.distance_m());
    let plan = Plan { reverb: Some(Reverb::Simulated(room)), ..Plan::default() };
    let augmenter = Augmenter::new(&AugmentConfig::default(), audio.sample_rate);
    augmenter.apply(&plan, &mut audio.samples, &mut Scratch::default())?;
    write_wav(output, &audio.samples, audio.sample_rate, SampleFormat::Float32)?;
    Ok(())
}
