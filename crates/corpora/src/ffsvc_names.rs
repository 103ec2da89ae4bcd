//! The names of the FFSVC corpora's recordings, and FFSVC2022's list that ties its anonymous names to them.

use std::path::Path;

use ffsvc_kaldi_io::{Error, Result, Table};

/// The parts of the name of an FFSVC2020 or FFSVC2022 recording, such as `T0344_344I1M_1_0307_normal` or
/// `F0336_336PAD-1.5M_1_0009_fast`. They are a letter and the speaker, the speaker again with device and distance, the
/// channel, the sentence, and the speed.
///
/// The letters are F, S and T. They stand for the visit: first, second or third. Each speaker of the corpus came to
/// record three times, 7 to 15 days apart. Each speaker of the development list has recordings of all three, each with
/// sentences numbered from 1.
///
/// FFSVC2022 and the supplement have telephones and tablets, whose only channel is `1`. FFSVC2020 itself also has the
/// microphones `recorded2`, `6`, `10` and `14` of its arrays (`T0549_549PCM5M_recorded6_0305_normal`). It also has a
/// close-talking one without a distance (`T0549_549MIC_Tr2_0305_normal`).
///
/// ```
/// use ffsvc_corpora::FfsvcName;
/// let name = FfsvcName::parse("T0344_344PADL3M_1_0307_slow").unwrap();
/// assert_eq!((name.visit, name.speaker, name.device, name.distance), (3, "0344", "PAD", "L3M"));
/// assert_eq!((name.sentence, name.speed), ("0307", "slow"));
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FfsvcName<'a> {
    /// Visit at which it was recorded, 1 to 3.
    pub visit: u8,
    /// Speaker, four digits.
    pub speaker: &'a str,
    /// Device: `I` an iPhone, `PAD` an iPad, `PCM` a microphone array, `MIC` the close-talking microphone.
    pub device: &'a str,
    /// Distance in metres as the corpus writes it: `0.25M`, `1M`, `3M`, `5M`, `-1.5M` (behind the speaker), `L3M`,
    /// `R3M` (to the left and right); empty for the close-talking microphone.
    pub distance: &'a str,
    /// Channel of the device: `1`, `recorded6`, `Tr2`.
    pub channel: &'a str,
    /// Number of the sentence, four digits.
    pub sentence: &'a str,
    /// Speaking rate: `normal`, `fast` or `slow`.
    pub speed: &'a str,
}

impl<'a> FfsvcName<'a> {
    /// Takes a name apart; a suffix `.wav` is ignored. `None` if it is not of this form, or names two speakers.
    pub fn parse(name: &'a str) -> Option<Self> {
        let name = name.strip_suffix(".wav").unwrap_or(name);
        let mut parts = name.split('_');
        let mut next = || parts.next();
        let (first, place, channel, sentence, speed) = (next()?, next()?, next()?, next()?, next()?);
        if parts.next().is_some() {
            return None;
        }
        let visit = match first.as_bytes().first()? {
            b'F' => 1,
            b'S' => 2,
            b'T' => 3,
            _ => return None,
        };
        let speaker = &first[1..];
        let (again, place) = place.split_at(place.bytes().position(|byte| !byte.is_ascii_digit())?);
        let same_speaker = speaker.trim_start_matches('0') == again.trim_start_matches('0');
        let (device, distance) = split_place(place)?;
        let is_number = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
        let is_speed = matches!(speed, "normal" | "fast" | "slow");
        let is_channel =
            is_number(channel.strip_prefix("recorded").or(channel.strip_prefix("Tr")).unwrap_or(channel));
        let fits = same_speaker && is_number(speaker) && is_channel && is_number(sentence) && is_speed;
        fits.then_some(Self { visit, speaker, device, distance, channel, sentence, speed })
    }
}

/// `PADL3M` into `PAD` and `L3M`: the distance is a number of metres, with a side or a minus sign before it. `MIC` is a
/// device without a distance.
fn split_place(place: &str) -> Option<(&str, &str)> {
    if place == "MIC" {
        return Some((place, ""));
    }
    let metres = place.strip_suffix('M')?;
    let number = metres.find(|c: char| c.is_ascii_digit())?;
    metres[number..].parse::<f64>().ok().filter(|metres| metres.is_finite())?;
    let start = number - usize::from(metres[..number].ends_with(['-', 'L', 'R']));
    let (device, distance) = place.split_at(start);
    let is_device = !device.is_empty() && device.bytes().all(|byte| byte.is_ascii_uppercase());
    is_device.then_some((device, distance))
}

/// FFSVC2022's `dev_meta_list`: the recording's name and the anonymous name under which it was given out, a line each.
#[derive(Debug, Clone)]
pub struct FfsvcMeta {
    table: Table,
}

/// The list's first line.
const HEADER: (&str, &str) = ("Original_Name", "FFSVC2022_Name");

impl FfsvcMeta {
    /// Reads the list, with or without its header line.
    ///
    /// # Errors
    /// The file is no [`Table`], a name is not of the form of [`FfsvcName`], or nothing is listed.
    pub fn read(path: impl AsRef<Path>) -> Result<Self> {
        Self::check(Table::read(path)?)
    }

    fn check(table: Table) -> Result<Self> {
        let wrong = |place: usize, found: String, expected: &'static str| {
            Err(Error::parse(table.path(), found, expected).at_line(table.line(place)))
        };
        for (place, (original, anonymous)) in table.iter().enumerate() {
            if (place, (original, anonymous)) == (0, HEADER) {
                continue;
            }
            if FfsvcName::parse(original).is_none() {
                return wrong(place, format!("{original:?}"), "a name such as T0344_344I1M_1_0307_normal");
            }
            if anonymous.contains(|c: char| c.is_ascii_whitespace()) {
                return wrong(place, format!("{anonymous:?}"), "one name without white space");
            }
        }
        let meta = Self { table };
        if meta.iter().next().is_none() {
            let expected = "lines 'T0344_344I1M_1_0307_normal ffsvc22_dev_000000'";
            return Err(Error::parse(meta.table.path(), "no recording", expected));
        }
        Ok(meta)
    }

    /// Each recording's anonymous name and what its own name says, in the order of the list.
    pub fn iter(&self) -> impl Iterator<Item = (&str, FfsvcName<'_>)> + Clone {
        // `check` has refused every other line that does not parse.
        self.table.iter().filter_map(|(original, anonymous)| Some((anonymous, FfsvcName::parse(original)?)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn names_of_the_list_are_taken_apart() {
        let name = FfsvcName::parse("F0336_336I-1.5M_1_0009_fast.wav").unwrap();
        let expected = FfsvcName {
            visit: 1,
            speaker: "0336",
            device: "I",
            distance: "-1.5M",
            channel: "1",
            sentence: "0009",
            speed: "fast",
        };
        assert_eq!(name, expected);
        let place = |name| FfsvcName::parse(name).map(|name| (name.device, name.distance));
        assert_eq!(place("S0046_046PAD0.25M_1_0001_slow"), Some(("PAD", "0.25M")));
        assert_eq!(place("S0046_046IR3M_1_0001_normal"), Some(("I", "R3M")));
        assert_eq!(place("T0549_549PCM-1.5M_recorded6_0305_normal"), Some(("PCM", "-1.5M")));
        assert_eq!(place("T0549_549MIC_Tr2_0305_normal"), Some(("MIC", "")));
    }

    #[test]
    fn other_names_are_refused() {
        for name in [
            "",
            "ffsvc22_dev_000000",
            "X0344_344I1M_1_0307_normal",
            "T0344_345I1M_1_0307_normal",
            "T0344_344I1_1_0307_normal",
            "T0344_3441M_1_0307_normal",
            "T0344_344L3M_1_0307_normal",
            "T0344_344I1M_1_0307_quick",
            "T0344_344I1M_recorded_0307_normal",
            "T0344_344I1M_left_0307_normal",
            "T0344_344MICM_1_0307_normal",
            "T0344_344I1M_1_0307",
            "T0344_344I1M_1_0307_normal_1",
            "T0344_344I1.2.3M_1_0307_normal",
            "Té344_344I1M_1_0307_normal",
        ] {
            assert_eq!(FfsvcName::parse(name), None, "{name}");
        }
    }

    #[test]
    fn the_list_is_read_with_its_header_and_errors_name_the_line() {
        let parse = |text: &str| FfsvcMeta::check(Table::parse("meta", text.as_bytes().to_vec())?);
        let meta =
            parse("Original_Name FFSVC2022_Name\nT0344_344I1M_1_0307_normal ffsvc22_dev_000000\n").unwrap();
        let rows: Vec<_> = meta.iter().map(|(name, said)| (name, said.speaker, said.visit)).collect();
        assert_eq!(rows, [("ffsvc22_dev_000000", "0344", 3)]);
        let error = |text| parse(text).unwrap_err().to_string();
        assert!(error("Original_Name FFSVC2022_Name\nx y\n").starts_with("meta:2: found \"x\""));
        assert!(error("Original_Name FFSVC2022_Name\n").contains("no recording"));
        assert!(error("T0344_344I1M_1_0307_normal a b\n").contains("one name"));
    }

    proptest! {
        #[test]
        fn any_text_is_taken_apart_or_refused(name in "\\PC*") {
            let _ = FfsvcName::parse(&name);
        }

        #[test]
        fn any_near_miss_is_taken_apart_or_refused(name in "[FST]?[0-9]{0,4}_?[0-9A-Zé.-]{0,8}M?_[0-9]?_[0-9]*_(normal|fast|x)?") {
            let _ = FfsvcName::parse(&name);
        }
    }
}
