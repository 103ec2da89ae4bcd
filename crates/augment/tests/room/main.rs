//! Simulated rooms beside pyroomacoustics (`tests/peers/pyroomacoustics_rooms.py`), closed forms, and the
//! reverberation time asked for.

mod bands;
mod microphones;

use std::f64::consts::PI;

use ffsvc_augment::room::{Absorption, Error, Late, Room, RoomRanges, SPEED_OF_SOUND, Simulation, TIME_ZERO};
use proptest::prelude::*;
use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;
use safetensors::SafeTensors;
use serde_json::Value;

const SAMPLE_RATE: u32 = 16_000;
/// What pyroomacoustics was run with: Sabine's absorption, images alone, no high-pass.
const PEER: Simulation = Simulation { absorption: Absorption::Sabine, late: Late::Images, high_pass_hz: 0.0 };
const OFFICE: Room = Room {
    size_m: [4.2, 3.4, 2.6],
    rt60_s: 0.3,
    source_m: [1.1, 2.3, 1.6],
    microphone_m: [3.05, 0.9, 0.75],
    rt60_per_octave: 1.0,
    air: false,
};

struct PeerRoom {
    room: Room,
    absorption: f64,
    /// Scaled to our unit source.
    response: Vec<f64>,
}

fn peer_rooms() -> Vec<PeerRoom> {
    let peers = read_peer_rooms("rooms");
    assert_eq!(peers.len(), 3);
    peers
}

fn read_peer_rooms(file: &str) -> Vec<PeerRoom> {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/../../tests/data/augment");
    let bytes = std::fs::read(format!("{folder}/{file}.safetensors")).unwrap();
    let tensors = SafeTensors::deserialize(&bytes).unwrap();
    let (_, header) = SafeTensors::read_metadata(&bytes).unwrap();
    let rooms = &header.metadata().as_ref().unwrap()["rooms"];
    let rooms: Vec<Value> = serde_json::from_str(rooms).unwrap();
    let numbers = |value: &Value| std::array::from_fn(|i| value[i].as_f64().unwrap());
    rooms
        .iter()
        .map(|room| PeerRoom {
            room: Room {
                size_m: numbers(&room["size_m"]),
                rt60_s: room["rt60_s"].as_f64().unwrap(),
                source_m: numbers(&room["source_m"]),
                microphone_m: numbers(&room["microphone_m"]),
                rt60_per_octave: room["rt60_per_octave"].as_f64().unwrap_or(1.0),
                air: false,
            },
            absorption: room["absorption"].as_f64().unwrap(),
            response: tensors
                .tensor(room["name"].as_str().unwrap())
                .unwrap()
                .data()
                .chunks_exact(4)
                .map(|b| f64::from(f32::from_le_bytes(b.try_into().unwrap())) / (4.0 * PI))
                .collect(),
        })
        .collect()
}

/// Schroeder's backward integral, in dB below its start.
fn energy_decay_db<T: Copy + Into<f64>>(response: &[T]) -> Vec<f64> {
    let mut energy = 0.0;
    let mut curve: Vec<f64> = response
        .iter()
        .rev()
        .map(|&sample| {
            energy += sample.into().powi(2);
            energy
        })
        .collect();
    curve.reverse();
    curve.iter().map(|e| 10.0 * (e / energy).log10()).collect()
}

/// ISO 3382's T30: the regression line of the decay from -5 to -35 dB, extended to 60 dB.
fn t30_s(response: &[f32]) -> f64 {
    let curve = energy_decay_db(response);
    let from = curve.iter().position(|&db| db <= -5.0).unwrap();
    let to = curve.iter().position(|&db| db <= -35.0).unwrap();
    let middle = (to - from - 1) as f64 / 2.0;
    let (mut xy, mut xx) = (0.0, 0.0);
    for (i, db) in curve[from..to].iter().enumerate() {
        let x = i as f64 - middle;
        xy += x * db;
        xx += x * x;
    }
    -60.0 / (xy / xx) / f64::from(SAMPLE_RATE)
}

/// The reverberation without the direct sound: from 5 ms after it on.
fn reverberation<'a>(room: &Room, response: &'a [f32]) -> &'a [f32] {
    &response[room.direct_path(SAMPLE_RATE) as usize + SAMPLE_RATE as usize / 200..]
}

fn drawn_rooms(ranges: &RoomRanges, count: usize) -> Vec<Room> {
    let mut random = ChaCha8Rng::seed_from_u64(20);
    (0..count).map(|_| ranges.draw(&mut random).unwrap()).collect()
}

#[test]
fn sabine_absorption_is_that_of_pyroomacoustics() {
    for peer in peer_rooms() {
        let found = peer.room.absorption(Absorption::Sabine).unwrap();
        assert!((found - peer.absorption).abs() < 1e-12, "{found}, expected {}", peer.absorption);
    }
}

#[test]
fn responses_agree_with_pyroomacoustics_sample_by_sample() {
    for peer in peer_rooms() {
        let found = peer.room.simulate(SAMPLE_RATE, &PEER).unwrap();
        assert!(found.len() >= peer.response.len());
        let peak = peer.response.iter().fold(0f64, |peak, x| peak.max(x.abs()));
        // The window of pyroomacoustics' sinc is centred on a sample instead of the delay, its sinc comes
        // from a table of 20 points a sample, and its times are 32-bit: together up to 0.3 % of the direct
        // path.
        let (mut difference, mut energy) = (0.0, 0.0);
        for (m, (a, b)) in found.iter().zip(&peer.response).enumerate() {
            let d = f64::from(*a) - b;
            assert!(d.abs() < 3e-3 * peak, "sample {m}: {a}, pyroomacoustics {b}, peak {peak}");
            difference += d * d;
            energy += b * b;
        }
        let relative = (difference / energy).sqrt();
        println!("{:?}: relative difference {relative:.1e}", peer.room.size_m);
        assert!(relative < 5e-3, "relative difference {relative}");
    }
}

#[test]
fn energy_decay_agrees_with_pyroomacoustics() {
    for peer in peer_rooms() {
        let compare = |options: &Simulation, expected: &[f64]| {
            let found = peer.room.simulate(SAMPLE_RATE, options).unwrap();
            let found = energy_decay_db(&found[..expected.len()]);
            let expected = energy_decay_db(expected);
            let above = found.iter().zip(&expected).filter(|(_, expected)| **expected > -30.0);
            let worst = above.fold(0f64, |worst, (a, b)| worst.max((a - b).abs()));
            println!("{:?}: {:?} differs by {worst:.3} dB", peer.room.size_m, options.late);
            worst
        };
        assert!(compare(&PEER, &peer.response) < 0.02);
        // The noise has no build-up at low frequencies, so that both are compared without it. Its energy is
        // that of the images of all places in the mean; beside the source, where images arrive in phase,
        // theirs is higher.
        let diffuse = Simulation { late: Late::Diffuse, high_pass_hz: 100.0, ..PEER };
        let tolerance_db = if peer.room.distance_m() > 1.0 { 1.5 } else { 2.5 };
        assert!(compare(&diffuse, &allen_berkley_high_pass(&peer.response)) < tolerance_db);
    }
}

/// The published filter for 100 Hz, as a difference equation of its transfer function.
fn allen_berkley_high_pass(x: &[f64]) -> Vec<f64> {
    let w = 2.0 * PI * 100.0 / f64::from(SAMPLE_RATE);
    let r = (-w).exp();
    let mut y = vec![0.0; x.len()];
    for n in 0..x.len() {
        let (x, y_before) =
            (|k: usize| if n < k { 0.0 } else { x[n - k] }, |k: usize| if n < k { 0.0 } else { y[n - k] });
        y[n] = x(0) - (1.0 + r) * x(1) + r * x(2) + 2.0 * r * w.cos() * y_before(1) - r * r * y_before(2);
    }
    y
}

#[test]
fn direct_path_has_the_delay_and_the_pressure_of_a_point_source() {
    // 1.715 m are 80 samples at 343 m/s and 16 kHz.
    let room = Room {
        size_m: [9.0, 8.0, 7.0],
        rt60_s: 0.5,
        source_m: [4.0, 4.0, 3.5],
        microphone_m: [5.715, 4.0, 3.5],
        ..OFFICE
    };
    let response = room.simulate(SAMPLE_RATE, &PEER).unwrap();
    let pressure = 1.0 / (4.0 * PI * 1.715);
    let direct = room.direct_path(SAMPLE_RATE);
    assert!((direct - (TIME_ZERO + 80) as f64).abs() < 1e-9, "{direct}");
    assert!((f64::from(response[TIME_ZERO + 80]) / pressure - 1.0).abs() < 1e-4);
    // Nothing before it, and nothing after it up to the first reflections (floor and ceiling: 363.8 samples).
    for m in (0..TIME_ZERO + 80).chain(TIME_ZERO + 81..TIME_ZERO + 300) {
        assert!(f64::from(response[m].abs()) < 1e-4 * pressure, "sample {m}: {}", response[m]);
    }
    let reflected = (1.715f64.powi(2) + 7.0f64.powi(2)).sqrt();
    let first = TIME_ZERO as f64 + reflected / SPEED_OF_SOUND * f64::from(SAMPLE_RATE);
    let strongest = (TIME_ZERO + 300..response.len())
        .take(100)
        .max_by(|&a, &b| response[a].abs().total_cmp(&response[b].abs()))
        .unwrap();
    assert!((strongest as f64 - first).abs() < 1.0, "{strongest}, expected {first}");
}

#[test]
fn reverberation_time_is_the_one_asked_for() {
    let lively = RoomRanges { rt60_s: [0.2, 1.0], ..Default::default() };
    let mut diffuse = drawn_rooms(&lively, 40);
    diffuse.extend(drawn_rooms(&RoomRanges::ffsvc(), 40));
    let images = drawn_rooms(&RoomRanges { rt60_s: [0.2, 0.4], ..RoomRanges::ffsvc() }, 20);
    for (late, rooms, bound_rms, bound) in
        [(Late::Diffuse, diffuse, 0.05, 0.16), (Late::Images, images, 0.08, 0.25)]
    {
        let (mut squares, mut worst) = (0.0, 0f64);
        for room in &rooms {
            let options = Simulation { late, ..Default::default() };
            let response = room.simulate(SAMPLE_RATE, &options).unwrap();
            let error = t30_s(reverberation(room, &response)) / room.rt60_s - 1.0;
            assert!(error.abs() < bound, "{late:?}, {room:?}: {error}");
            squares += error * error;
            worst = worst.max(error.abs());
        }
        let rms = (squares / rooms.len() as f64).sqrt();
        println!("{late:?}: error of T30 {:.1} % rms, {:.1} % at most", 100.0 * rms, 100.0 * worst);
        assert!(rms < bound_rms, "{late:?}: {rms}");
    }
}

#[test]
fn noise_tail_has_the_energy_of_the_images() {
    let rooms = drawn_rooms(&RoomRanges { rt60_s: [0.25, 0.4], ..RoomRanges::ffsvc() }, 30);
    let (mut sum_db, mut squares) = (0.0, 0.0);
    for room in &rooms {
        let energy = |late| {
            let options = Simulation { late, ..Default::default() };
            let response = room.simulate(SAMPLE_RATE, &options).unwrap();
            // From 125 ms on, where all is noise, for 75 ms.
            response[2000..3200].iter().map(|x| f64::from(*x).powi(2)).sum::<f64>()
        };
        let db = 10.0 * (energy(Late::Diffuse) / energy(Late::Images)).log10();
        sum_db += db;
        squares += db * db;
    }
    let mean_db = sum_db / rooms.len() as f64;
    let rms_db = (squares / rooms.len() as f64).sqrt();
    println!("noise tail: {mean_db:.2} dB beside the images, {rms_db:.2} dB rms");
    assert!(mean_db.abs() < 0.4 && rms_db < 1.0, "{mean_db} dB, {rms_db} dB rms");
}

#[test]
fn high_pass_removes_the_build_up_and_keeps_the_rest() {
    let options = |high_pass_hz| Simulation { high_pass_hz, late: Late::Images, ..Default::default() };
    let gain_at = |response: &[f32], frequency: f64| {
        let step = 2.0 * PI * frequency / f64::from(SAMPLE_RATE);
        let (mut re, mut im) = (0.0, 0.0);
        for (n, x) in response.iter().enumerate() {
            re += f64::from(*x) * (step * n as f64).cos();
            im += f64::from(*x) * (step * n as f64).sin();
        }
        re.hypot(im)
    };
    let plain = OFFICE.simulate(SAMPLE_RATE, &options(0.0)).unwrap();
    let filtered = OFFICE.simulate(SAMPLE_RATE, &options(100.0)).unwrap();
    assert!(gain_at(&filtered, 0.0) < 0.01 * gain_at(&plain, 0.0));
    for frequency in [1000.0, 3000.0, 7000.0] {
        let ratio = gain_at(&filtered, frequency) / gain_at(&plain, frequency);
        assert!((ratio - 1.0).abs() < 0.03, "{frequency} Hz: {ratio}");
    }
}

#[test]
fn same_room_has_the_same_response_and_another_room_another() {
    let response = OFFICE.impulse_response(SAMPLE_RATE).unwrap();
    assert_eq!(response, OFFICE.impulse_response(SAMPLE_RATE).unwrap());
    let moved = Room { microphone_m: [3.05, 0.9, 0.76], ..OFFICE };
    let moved = moved.impulse_response(SAMPLE_RATE).unwrap();
    let tail = 2000..3000;
    let product: f32 = response[tail.clone()].iter().zip(&moved[tail.clone()]).map(|(a, b)| a * b).sum();
    let energy: f32 = response[tail].iter().map(|a| a * a).sum();
    assert!(product.abs() < 0.2 * energy, "tails correlate: {}", product / energy);
}

#[test]
fn impossible_rooms_say_what_is_wrong() {
    let message = |room: Room| room.impulse_response(SAMPLE_RATE).unwrap_err().to_string();
    assert_eq!(
        message(Room { source_m: [1.1, 3.4, 1.6], ..OFFICE }),
        "source_m: y = 3.4 m is outside of the room; expected more than 0 and less than 3.4 m"
    );
    assert_eq!(
        message(Room { microphone_m: [1.1, 1.0, f64::NAN], ..OFFICE }),
        "microphone_m: z = NaN m is outside of the room; expected more than 0 and less than 2.6 m"
    );
    assert_eq!(
        message(Room { microphone_m: OFFICE.source_m, ..OFFICE }),
        "source and microphone are 0 m apart; expected at least 0.01 m"
    );
    assert_eq!(message(Room { rt60_s: -1.0, ..OFFICE }), "rt60_s = -1: expected 0.01 to 10 s");
    assert_eq!(
        message(Room { size_m: [f64::INFINITY, 3.0, 3.0], ..OFFICE }),
        "size_m = inf: expected 0.5 to 1000 m"
    );
    assert_eq!(message(Room { rt60_per_octave: 0.4, ..OFFICE }), "rt60_per_octave = 0.4: expected 0.5 to 2");
    let error = message(Room { rt60_s: 0.1, rt60_per_octave: 0.5, ..OFFICE });
    assert!(error.starts_with("rt60_per_octave = 0.5: expected reverberation times from 0.0"), "{error}");
    let dead = Room { rt60_s: 0.015, ..OFFICE }.impulse_response(SAMPLE_RATE).unwrap_err();
    let Error::TooDead { shortest, .. } = dead else { panic!("{dead}") };
    Room { rt60_s: shortest * 1.001, ..OFFICE }.impulse_response(SAMPLE_RATE).unwrap();
    assert!(Room { rt60_s: shortest * 0.999, ..OFFICE }.impulse_response(SAMPLE_RATE).is_err());

    let live = Room { rt60_s: 10.0, ..OFFICE };
    live.impulse_response(SAMPLE_RATE).unwrap();
    let error = live.simulate(SAMPLE_RATE, &PEER).unwrap_err();
    assert!(matches!(error, Error::TooManyImages { .. }), "{error}");
    assert!(OFFICE.impulse_response(0).is_err());
    let options = Simulation { high_pass_hz: 8000.0, ..Default::default() };
    let error = OFFICE.simulate(SAMPLE_RATE, &options).unwrap_err().to_string();
    assert!(error.starts_with("high_pass_hz = 8000: expected"), "{error}");
}

#[test]
fn impossible_ranges_name_the_field() {
    let default = RoomRanges::default;
    let cases = [
        ("length_m", RoomRanges { length_m: [8.0, 3.0], ..default() }),
        ("width_m", RoomRanges { width_m: [f64::NAN, 3.0], ..default() }),
        ("height_m", RoomRanges { height_m: [0.1, 3.0], ..default() }),
        ("rt60_s", RoomRanges { rt60_s: [0.4, 100.0], ..default() }),
        ("rt60_s", RoomRanges { rt60_s: [0.02, 0.4], ..default() }),
        ("rt60_per_octave", RoomRanges { rt60_per_octave: [0.9, 0.8], ..default() }),
        ("rt60_per_octave", RoomRanges { rt60_per_octave: [0.5, 1.0], ..default() }),
        ("wall_distance_m", RoomRanges { wall_distance_m: 1.25, ..default() }),
        ("source_height_m", RoomRanges { source_height_m: [1.1, 2.3], ..default() }),
        ("microphone_height_m", RoomRanges { microphone_height_m: [0.2, 1.0], ..default() }),
        ("distances_m", RoomRanges { distances_m: vec![], ..default() }),
        ("distances_m", RoomRanges { distances_m: vec![[1.0, 1.0], [12.0, 12.0]], ..default() }),
        (
            "distances_m",
            RoomRanges {
                distances_m: vec![[0.25, 0.25]],
                source_height_m: [1.5, 1.7],
                microphone_height_m: [0.5, 1.0],
                ..default()
            },
        ),
    ];
    for (field, ranges) in cases {
        let error = ranges.validate().unwrap_err();
        assert!(error.to_string().starts_with(&format!("{field} = ")), "{field}: {error}");
        assert_eq!(
            ranges.draw(&mut ChaCha8Rng::seed_from_u64(1)).unwrap_err().to_string(),
            error.to_string()
        );
    }
    // As long as the diagonal of the largest room, nearly: possible, but never drawn.
    let ranges = RoomRanges { distances_m: vec![[9.18, 9.18]], ..default() };
    ranges.validate().unwrap();
    let error = ranges.draw(&mut ChaCha8Rng::seed_from_u64(1)).unwrap_err();
    assert!(error.to_string().starts_with("distances_m = [9.18, 9.18]"), "{error}");
}

#[test]
fn ffsvc_distances_keep_their_shares() {
    let rooms = drawn_rooms(&RoomRanges::ffsvc(), 7000);
    for (distance, places) in [(0.25, 1.0), (1.0, 1.0), (1.5, 1.0), (3.0, 3.0), (5.0, 1.0)] {
        let count = rooms.iter().filter(|room| (room.distance_m() - distance).abs() < 1e-9).count();
        // The standard deviation is at most 41.
        assert!((count as f64 - 1000.0 * places).abs() < 165.0, "{distance} m: {count}");
    }
}

#[test]
fn options_are_read_from_toml_with_defaults_and_no_unknown_keys() {
    let ranges: RoomRanges = toml::from_str("rt60_s = [0.3, 0.4]\ndistances_m = [[1.0, 1.0]]").unwrap();
    let expected = RoomRanges { rt60_s: [0.3, 0.4], distances_m: vec![[1.0, 1.0]], ..RoomRanges::default() };
    assert_eq!(ranges, expected);
    assert!(toml::from_str::<RoomRanges>("rt60 = [0.3, 0.4]").is_err());
    let options: Simulation = toml::from_str("late = \"images\"\nabsorption = \"eyring\"").unwrap();
    let expected = Simulation { late: Late::Images, absorption: Absorption::Eyring, ..Simulation::default() };
    assert_eq!(options, expected);
    assert!(toml::from_str::<Simulation>("late = \"none\"").is_err());
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, failure_persistence: None, ..Default::default() })]

    #[test]
    fn drawn_rooms_are_within_their_ranges(
        seed: u64,
        length in 3.0..10.0f64,
        width in 3.0..10.0f64,
        spread in 0.0..3.0f64,
        wall in 0.01..0.5f64,
        distance in 0.05..3.0f64,
    ) {
        let ranges = RoomRanges {
            length_m: [length, length + spread],
            width_m: [width, width + spread],
            distances_m: vec![[distance, distance + spread], [0.3, 0.3]],
            wall_distance_m: wall,
            ..RoomRanges::default()
        };
        let room = ranges.draw(&mut ChaCha8Rng::seed_from_u64(seed)).unwrap();
        prop_assert_eq!(room, ranges.draw(&mut ChaCha8Rng::seed_from_u64(seed)).unwrap());
        let within = |x: f64, [low, high]: [f64; 2]| (low - 1e-9..=high + 1e-9).contains(&x);
        prop_assert!(within(room.size_m[0], ranges.length_m));
        prop_assert!(within(room.size_m[1], ranges.width_m));
        prop_assert!(within(room.size_m[2], ranges.height_m));
        prop_assert!(within(room.rt60_s, ranges.rt60_s));
        prop_assert!(within(room.source_m[2], ranges.source_height_m));
        prop_assert!(within(room.microphone_m[2], ranges.microphone_height_m));
        prop_assert!(ranges.distances_m.iter().any(|range| within(room.distance_m(), *range)));
        for place in [room.source_m, room.microphone_m] {
            for (x, size) in place.into_iter().zip(room.size_m) {
                prop_assert!(within(x, [wall, size - wall]));
            }
        }
        let response = room.impulse_response(SAMPLE_RATE).unwrap();
        prop_assert!(response.iter().all(|x| x.is_finite()));
        let whole = room.direct_path(SAMPLE_RATE) + room.rt60_s * f64::from(SAMPLE_RATE);
        prop_assert!((response.len() as f64 - whole).abs() <= 2.0);
    }

    #[test]
    fn hostile_rooms_are_errors_or_finite(
        size_m in prop::array::uniform3(-1.0..30.0f64),
        source_m in prop::array::uniform3(0.0..3.0f64),
        microphone_m in prop::array::uniform3(0.0..3.0f64),
        rt60_s in -0.1..2.0f64,
        rt60_per_octave in prop_oneof![Just(1.0), 0.4..2.2f64],
        air: bool,
        sample_rate in prop::sample::select(vec![0u32, 1, 1000, 8000, 48_000, u32::MAX]),
    ) {
        let room = Room { size_m, rt60_s, source_m, microphone_m, rt60_per_octave, air };
        if let Ok(response) = room.impulse_response(sample_rate) {
            prop_assert!(response.iter().all(|x| x.is_finite()));
        }
    }
}
