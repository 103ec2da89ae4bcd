//! Several microphones in one room.

use ffsvc_augment::room::Microphone;

use super::*;

fn microphone(name: &str, ahead_m: f64, left_m: f64, height_m: f64) -> Microphone {
    Microphone { name: name.into(), ahead_m, left_m, height_m }
}

/// Close to the mouth, in front, to the left and behind.
fn around() -> RoomRanges {
    let microphones = vec![
        microphone("25cm", 0.25, 0.0, 1.2),
        microphone("3m", 3.0, 0.0, 0.8),
        microphone("L3m", 0.0, 3.0, 0.8),
        microphone("B1.5m", -1.5, 0.0, 1.0),
    ];
    RoomRanges { length_m: [6.0, 9.0], width_m: [5.0, 7.0], microphones, ..RoomRanges::default() }
}

#[test]
fn every_microphone_is_in_its_place_from_the_talker() {
    let ranges = around();
    let mut random = ChaCha8Rng::seed_from_u64(7);
    let mut angles = Vec::new();
    for _ in 0..300 {
        let rooms = ranges.draw_all(&mut random).unwrap();
        assert_eq!(rooms.len(), 4);
        let from_talker = |room: &Room| [0, 1].map(|axis| room.microphone_m[axis] - room.source_m[axis]);
        let [x, y] = from_talker(&rooms[1]);
        // Where the talker looks: at the microphone in front.
        let ahead = [x / 3.0, y / 3.0];
        angles.push(y.atan2(x));
        let left = [-ahead[1], ahead[0]];
        for (room, microphone) in rooms.iter().zip(&ranges.microphones) {
            assert_eq!(
                (room.source_m, room.size_m, room.rt60_s),
                (rooms[0].source_m, rooms[0].size_m, rooms[0].rt60_s)
            );
            assert_eq!(room.microphone_m[2], microphone.height_m);
            let found = from_talker(room);
            for axis in 0..2 {
                let expected = microphone.ahead_m * ahead[axis] + microphone.left_m * left[axis];
                assert!((found[axis] - expected).abs() < 1e-9, "{}: {found:?}", microphone.name);
                for place in [room.source_m, room.microphone_m] {
                    assert!(place[axis] > 0.299 && place[axis] < room.size_m[axis] - 0.299, "{room:?}");
                }
            }
        }
    }
    // Not always along the room.
    for quarter in 0..4 {
        let begin = f64::from(quarter - 2) * PI / 2.0;
        let count = angles.iter().filter(|angle| (begin..begin + PI / 2.0).contains(*angle)).count();
        assert!(count > 40, "{quarter}: {count} of 300");
    }
    // A single room is one of these.
    let room = ranges.draw(&mut ChaCha8Rng::seed_from_u64(8)).unwrap();
    assert!(ranges.draw_all(&mut ChaCha8Rng::seed_from_u64(8)).unwrap().contains(&room));
}

#[test]
fn impossible_microphones_are_named() {
    let with = |microphones: Vec<Microphone>| RoomRanges { microphones, ..RoomRanges::default() };
    for (wrong, expected) in [
        (vec![microphone("a b", 1.0, 0.0, 1.0)], "microphones.name = \"a b\": expected letters"),
        (
            vec![microphone("a", 1.0, 0.0, 1.0), microphone("a", 2.0, 0.0, 1.0)],
            "microphones.name = \"a\" twice",
        ),
        (vec![microphone("a", 1.0, 0.0, 2.4)], "microphones.height_m = 2.4 of a: expected 0.3 to 2.2 m"),
        (vec![microphone("a", 0.0, 0.0, 1.0)], "microphones = a at 0 m: expected 0.01 to 1000 m"),
        (vec![microphone("a", f64::NAN, 0.0, 1.0)], "microphones = a at NaN m"),
    ] {
        let error = with(wrong).validate().unwrap_err().to_string();
        assert!(error.starts_with(expected), "{error}");
    }
    let ranges = with(vec![microphone("a", 20.0, 0.0, 1.0)]);
    let error = ranges.draw(&mut ChaCha8Rng::seed_from_u64(1)).unwrap_err().to_string();
    assert!(error.starts_with("microphones = 1 places: expected places that fit"), "{error}");
}
