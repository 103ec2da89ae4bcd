//! Repeats one stage of the data path when asked to, for `benches/peers/front_end.py`: a line `STAGE COUNT` on standard
//! input is answered by `done` when the stage has run that often on one thread.

use std::hint::black_box;
use std::io::{BufRead, Write};

use ffsvc_audio::{SampleFormat, write_wav};
use ffsvc_augment::{AugmentConfig, Augmenter, Plan, Reverb, Scratch};
use ffsvc_features::{FbankOptions, FrontEnd, FrontEndConfig, Kind, WaveformNorm};

const CROP: usize = 32_000;

/// The same signals as in the script.
fn noise(samples: usize, seed: u32) -> Vec<f32> {
    let value = |n: u32| (n ^ seed.wrapping_mul(40_503)).wrapping_mul(2_654_435_761) >> 8;
    (0..samples as u32).map(|n| value(n) as f32 / 16_777_216.0 * 0.6 - 0.3).collect()
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let crop = noise(CROP, 1);
    // The script's programs neither normalise the waveform nor take means off.
    let plain = FrontEndConfig {
        waveform_norm: WaveformNorm::None,
        cmn: ffsvc_features::Cmn::None {},
        ..FrontEndConfig::default()
    };
    let log_mel = FrontEnd::new(&plain)?;
    let fbank = FrontEnd::new(&FrontEndConfig { kind: Kind::Fbank(FbankOptions::default()), ..plain })?;
    let mut features = vec![0.0; 80 * 201];
    let mut scratch = ffsvc_features::Scratch::new();

    let dir = tempfile::tempdir()?;
    let path = dir.path().join("rir.wav");
    let response: Vec<f32> =
        noise(8000, 2).iter().enumerate().map(|(n, v)| v * (-6.9 * n as f32 / 8000.0).exp()).collect();
    write_wav(&path, &response, 16_000, SampleFormat::Float32)?;
    let augmenter = Augmenter::new(&AugmentConfig::default(), 16_000);
    let room = Plan { reverb: Some(Reverb::File { path, channel: 0 }), ..Default::default() };
    let mut rooms = Scratch::default();

    for line in std::io::stdin().lock().lines() {
        let line = line?;
        let (stage, count) = line.split_once(' ').ok_or("expected STAGE COUNT")?;
        for _ in 0..count.parse::<u32>()? {
            let samples = black_box(crop.as_slice());
            match stage {
                "log-mel" => log_mel.compute_into(&mut scratch, samples, &mut features[..80 * 201])?,
                "fbank" => fbank.compute_into(&mut scratch, samples, &mut features[..80 * 198])?,
                "reverb" => augmenter.apply(&room, &mut samples.to_vec(), &mut rooms)?,
                other => return Err(format!("no stage {other}").into()),
            }
            black_box(&features);
        }
        println!("done");
        std::io::stdout().flush()?;
    }
    Ok(())
}
