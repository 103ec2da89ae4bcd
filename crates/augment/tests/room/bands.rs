//! Walls and air that absorb differently in each octave.

use realfft::RealFftPlanner;

use super::*;

/// Octaves whose decay is compared. Below them a room has a few modes, and no exponential decay.
const OCTAVES_HZ: [f64; 5] = [250.0, 500.0, 1000.0, 2000.0, 4000.0];

/// The octave around `hz` alone, without delay: edges of a quarter of an octave.
fn octave(response: &[f64], hz: f64) -> Vec<f32> {
    let size = (4 * response.len()).next_power_of_two();
    let mut planner = RealFftPlanner::<f64>::new();
    let mut padded = vec![0.0; size];
    padded[..response.len()].copy_from_slice(response);
    let forward = planner.plan_fft_forward(size);
    let mut bins = forward.make_output_vec();
    forward.process(&mut padded, &mut bins).unwrap();
    for (index, bin) in bins.iter_mut().enumerate() {
        let frequency = index as f64 / size as f64 * f64::from(SAMPLE_RATE);
        let distance = (frequency / hz).log2().abs();
        *bin *= (1.0 - ((distance - 0.375) / 0.25)).clamp(0.0, 1.0) / size as f64;
    }
    planner.plan_fft_inverse(size).process(&mut bins, &mut padded).unwrap();
    padded[..response.len()].iter().map(|&sample| sample as f32).collect()
}

fn octave_of(response: &[f32], hz: f64) -> Vec<f32> {
    octave(&Vec::from_iter(response.iter().map(|&sample| f64::from(sample))), hz)
}

fn energy(response: &[f32]) -> f64 {
    response.iter().map(|&sample| f64::from(sample).powi(2)).sum()
}

#[test]
fn every_octave_has_its_reverberation_time() {
    let ranges = RoomRanges { rt60_s: [0.3, 0.8], rt60_per_octave: [0.8, 1.1], ..Default::default() };
    let rooms = drawn_rooms(&ranges, 30);
    assert!(rooms.iter().any(|room| room.rt60_per_octave < 0.85));
    assert!(rooms.iter().any(|room| room.rt60_per_octave > 1.05));
    let responses: Vec<_> = rooms.iter().map(|room| room.impulse_response(SAMPLE_RATE).unwrap()).collect();
    for hz in OCTAVES_HZ {
        let (mut squares, mut sum) = (0.0, 0.0);
        for (room, response) in rooms.iter().zip(&responses) {
            let response = octave_of(response, hz);
            let expected = room.rt60_s * room.rt60_per_octave.powf((hz / 1000.0).log2());
            let error = t30_s(reverberation(room, &response)) / expected - 1.0;
            (sum, squares) = (sum + error, squares + error * error);
        }
        let (mean, rms) = (sum / rooms.len() as f64, (squares / rooms.len() as f64).sqrt());
        println!("{hz} Hz: error of T30 {:.1} % mean, {:.1} % rms", 100.0 * mean, 100.0 * rms);
        // One octave of noise has fewer independent values than all of them.
        assert!(mean.abs() < 0.08 && rms < 0.15, "{hz} Hz: {mean}, {rms}");
    }
}

#[test]
fn octaves_that_are_nearly_equal_are_the_room_of_one_band() {
    for room in drawn_rooms(&RoomRanges::ffsvc(), 10) {
        let one = room.impulse_response(SAMPLE_RATE).unwrap();
        let near = Room { rt60_per_octave: 1.0 + 1e-7, ..room }.impulse_response(SAMPLE_RATE).unwrap();
        let peak = one.iter().fold(0f32, |peak, sample| peak.max(sample.abs()));
        assert!(one.len().abs_diff(near.len()) <= 1);
        for (sample, (a, b)) in one.iter().zip(&near).enumerate() {
            assert!((a - b).abs() < 1e-5 * peak, "sample {sample}: {a}, {b}, peak {peak}");
        }
    }
}

/// pyroomacoustics has other filters for its octaves, so responses differ; their octaves carry the same energy, and lose it
/// alike.
#[test]
fn octaves_decay_as_those_of_pyroomacoustics() {
    let peers = read_peer_rooms("room_bands");
    assert_eq!(peers.len(), 2);
    for peer in peers {
        let found = peer.room.simulate(SAMPLE_RATE, &PEER).unwrap();
        for hz in OCTAVES_HZ {
            let (found, expected) =
                (octave_of(&found[..peer.response.len()], hz), octave(&peer.response, hz));
            let level_db = 10.0 * (energy(&found) / energy(&expected)).log10();
            let (found, expected) = (energy_decay_db(&found), energy_decay_db(&expected));
            let above = found.iter().zip(&expected).filter(|(_, expected)| **expected > -25.0);
            let worst = above.fold(0f64, |worst, (a, b)| worst.max((a - b).abs()));
            println!("{:?}, {hz} Hz: level {level_db:+.2} dB, decay {worst:.2} dB", peer.room.size_m);
            assert!(level_db.abs() < 0.1 && worst < 0.6, "{hz} Hz: {level_db}, {worst}");
        }
    }
}

/// `exp(-a c t)` of the energy is left after `t` seconds, whatever the walls do.
#[test]
fn air_takes_its_share_of_every_octave() {
    // dB a metre of ISO 9613-1 at 20 degrees Celsius and 50 %, of the centres.
    for (hz, db_per_m) in [(1000.0, 0.0047), (4000.0, 0.0297)] {
        let mut differences = Vec::new();
        for room in drawn_rooms(&RoomRanges { rt60_s: [0.8, 1.0], ..Default::default() }, 10) {
            let decay = |air: bool| {
                let response = Room { air, ..room }.impulse_response(SAMPLE_RATE).unwrap();
                let octave = octave_of(&response, hz);
                // Levels of 50 ms, half a second apart, where all is noise.
                let level = |from_s: f64| {
                    let from = (room.direct_path(SAMPLE_RATE) + from_s * f64::from(SAMPLE_RATE)) as usize;
                    10.0 * energy(&octave[from..][..SAMPLE_RATE as usize / 20]).log10()
                };
                level(0.1) - level(0.6)
            };
            differences.push(decay(true) - decay(false));
        }
        let mean = differences.iter().sum::<f64>() / differences.len() as f64;
        let expected = db_per_m * SPEED_OF_SOUND * 0.5;
        println!("{hz} Hz: {mean:.2} dB, expected {expected:.2} dB");
        // Not a single frequency: an octave loses most at its upper edge first.
        assert!((mean - expected).abs() < 0.12 * expected + 0.1, "{hz} Hz: {mean}, expected {expected}");
    }
}
