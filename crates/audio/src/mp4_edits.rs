//! The edit list of an MP4 file: which part of its track is to be heard.
//!
//! Encoders of AAC need some samples before the first one (priming), and fill the last frame up. The edit list
//! (ISO/IEC 14496-12, `elst`) leaves both out; the decoder does not look at it.

use std::io::{Read, Seek, SeekFrom};

use crate::error::Fallible;
use crate::stream::Stream;

/// More boxes than any tool writes at one level, but for those of fragments, which come after `moov`.
const MAX_BOXES: usize = 1024;
/// Bytes of a box of numbers that are read; an edit list of more entries is not simple.
const MOST_BYTES: u64 = 4096;

/// The part of a track that is heard, in seconds as fractions.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Edit {
    /// Where it begins: so many units of the track, of which `track_timescale` make a second.
    pub(crate) media_time: u64,
    pub(crate) track_timescale: u32,
    /// How long it is: so many units of the movie, of which `movie_timescale` make a second. 0: to the end.
    pub(crate) duration: u64,
    pub(crate) movie_timescale: u32,
}

impl Edit {
    /// First sample and number of samples of the part of a track of `total` samples, where that is known.
    pub(crate) fn samples(&self, rate: u32, total: Option<u64>) -> (u64, Option<u64>) {
        let at_rate = |units: u64, timescale: u32| {
            let scaled = u128::from(units) * u128::from(rate) + u128::from(timescale) / 2;
            u64::try_from(scaled / u128::from(timescale)).unwrap_or(u64::MAX)
        };
        let first = at_rate(self.media_time, self.track_timescale);
        let left = total.map(|total| total.saturating_sub(first));
        let len = match self.duration {
            0 => left,
            duration => left.map(|left| left.min(at_rate(duration, self.movie_timescale))),
        };
        (first, len)
    }
}

/// The edit of the first audio track. `None` where there is none, or where the list is not one part at normal speed: such a
/// track is heard whole.
pub(crate) fn read(stream: &mut Stream) -> Fallible<Option<Edit>> {
    let end = stream.len();
    let Some(moov) = child(stream, 0..end, b"moov")? else { return Ok(None) };
    let Some(movie_timescale) = timescale(stream, moov.clone(), b"mvhd")? else { return Ok(None) };
    for (_, trak) in children(stream, moov)?.into_iter().filter(|(name, _)| name == b"trak") {
        let Some(mdia) = child(stream, trak.clone(), b"mdia")? else { continue };
        let Some(handler) = child(stream, mdia.clone(), b"hdlr")? else { continue };
        if numbers(stream, handler)?.get(8..12) != Some(b"soun") {
            continue;
        }
        let Some(track_timescale) = timescale(stream, mdia, b"mdhd")? else { return Ok(None) };
        let Some(edts) = child(stream, trak, b"edts")? else { return Ok(None) };
        let Some(elst) = child(stream, edts, b"elst")? else { return Ok(None) };
        let edit = simple_edit(&numbers(stream, elst)?);
        return Ok(edit.map(|(media_time, duration)| Edit {
            media_time,
            track_timescale,
            duration,
            movie_timescale,
        }));
    }
    Ok(None)
}

/// Start and duration of the only part of a list. Empty edits only say when the track begins.
fn simple_edit(elst: &[u8]) -> Option<(u64, u64)> {
    let (is_long, count) = (*elst.first()? == 1, u32_at(elst, 4)? as usize);
    let size = if is_long { 20 } else { 12 };
    let entries = elst.get(8..)?.get(..count.checked_mul(size)?)?;
    let mut parts = entries.chunks_exact(size).filter_map(|entry| {
        let (duration, start, speed) = if is_long {
            (u64_at(entry, 0)?, u64_at(entry, 8)? as i64, u32_at(entry, 16)?)
        } else {
            (u64::from(u32_at(entry, 0)?), i64::from(u32_at(entry, 4)? as i32), u32_at(entry, 8)?)
        };
        (start >= 0).then_some((start as u64, duration, speed))
    });
    match (parts.next(), parts.next()) {
        (Some((start, duration, 0x0001_0000)), None) => Some((start, duration)),
        _ => None,
    }
}

/// Units of a second, above 0, in the box `name`.
fn timescale(stream: &mut Stream, of: std::ops::Range<u64>, name: &[u8; 4]) -> Fallible<Option<u32>> {
    let Some(body) = child(stream, of, name)? else { return Ok(None) };
    let bytes = numbers(stream, body)?;
    // Behind version, flags and two dates, which are of eight bytes in version 1.
    let place = if bytes.first() == Some(&1) { 20 } else { 12 };
    Ok(u32_at(&bytes, place).filter(|&timescale| timescale > 0))
}

fn child(
    stream: &mut Stream,
    of: std::ops::Range<u64>,
    name: &[u8; 4],
) -> Fallible<Option<std::ops::Range<u64>>> {
    Ok(children(stream, of)?.into_iter().find(|(other, _)| other == name).map(|(_, body)| body))
}

/// Names and contents of the boxes in a range of the file, up to the first that is damaged.
fn children(stream: &mut Stream, of: std::ops::Range<u64>) -> Fallible<Vec<([u8; 4], std::ops::Range<u64>)>> {
    let mut found = Vec::new();
    let mut position = of.start;
    while found.len() < MAX_BOXES && position.saturating_add(8) <= of.end {
        let left = of.end - position;
        let head = bytes_at(stream, position, left.min(16))?;
        let name = [head[4], head[5], head[6], head[7]];
        let (head_len, size) = match u32_at(&head, 0) {
            Some(0) => (8, left),
            Some(1) => (16, u64_at(&head, 8).unwrap_or(0)),
            size => (8, u64::from(size.unwrap_or(0))),
        };
        if size < head_len || size > left {
            break;
        }
        found.push((name, position + head_len..position + size));
        position += size;
    }
    Ok(found)
}

/// The beginning of a box of numbers.
fn numbers(stream: &mut Stream, body: std::ops::Range<u64>) -> Fallible<Vec<u8>> {
    bytes_at(stream, body.start, (body.end - body.start).min(MOST_BYTES))
}

fn bytes_at(stream: &mut Stream, position: u64, len: u64) -> Fallible<Vec<u8>> {
    let mut bytes = vec![0; len as usize];
    stream.seek(SeekFrom::Start(position))?;
    stream.read_exact(&mut bytes)?;
    Ok(bytes)
}

fn u32_at(bytes: &[u8], place: usize) -> Option<u32> {
    bytes.get(place..place + 4).map(|b| u32::from_be_bytes([b[0], b[1], b[2], b[3]]))
}

fn u64_at(bytes: &[u8], place: usize) -> Option<u64> {
    Some(u64::from(u32_at(bytes, place)?) << 32 | u64::from(u32_at(bytes, place + 4)?))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn boxed(name: &[u8; 4], body: &[u8]) -> Vec<u8> {
        [&(body.len() as u32 + 8).to_be_bytes()[..], name, body].concat()
    }

    /// A list in version 0: durations, starts and speeds.
    fn list(entries: &[(u32, i32, u32)]) -> Vec<u8> {
        let mut bytes = [0_u32.to_be_bytes(), (entries.len() as u32).to_be_bytes()].concat();
        for (duration, start, speed) in entries {
            bytes.extend([duration.to_be_bytes(), start.to_be_bytes(), speed.to_be_bytes()].concat());
        }
        bytes
    }

    fn movie(elst: &[u8], handler: &[u8; 4]) -> Vec<u8> {
        let header = |timescale: u32| [&[0; 12][..], &timescale.to_be_bytes(), &[0; 4]].concat();
        let mdia = [boxed(b"mdhd", &header(16_000)), boxed(b"hdlr", &[&[0; 8], &handler[..]].concat())];
        let trak = [boxed(b"edts", &boxed(b"elst", elst)), boxed(b"mdia", &mdia.concat())].concat();
        let moov = [boxed(b"mvhd", &header(1000)), boxed(b"trak", &trak)].concat();
        [boxed(b"ftyp", b"M4A "), boxed(b"mdat", &[7; 33]), boxed(b"moov", &moov)].concat()
    }

    fn edit_of(file: Vec<u8>) -> Option<Edit> {
        read(&mut Stream::from_bytes(file)).unwrap()
    }

    const NORMAL: u32 = 0x0001_0000;

    #[test]
    fn one_part_at_normal_speed_is_an_edit() {
        let edit = edit_of(movie(&list(&[(300, 1024, NORMAL)]), b"soun")).unwrap();
        let expected =
            Edit { media_time: 1024, track_timescale: 16_000, duration: 300, movie_timescale: 1000 };
        assert_eq!(edit, expected);
        assert_eq!(edit.samples(16_000, Some(5824)), (1024, Some(4800)));
        assert_eq!(edit.samples(32_000, Some(11_000)), (2048, Some(8952)), "no more than there are");
        assert_eq!(edit.samples(16_000, None), (1024, None));
        let to_the_end = Edit { duration: 0, ..edit };
        assert_eq!(to_the_end.samples(16_000, Some(5824)), (1024, Some(4800)));
        // The track begins late: that is nothing to hear.
        let late = list(&[(50, -1, NORMAL), (300, 1024, NORMAL)]);
        assert_eq!(edit_of(movie(&late, b"soun")), Some(expected));
        let mut long = vec![1, 0, 0, 0, 0, 0, 0, 1];
        long.extend([300_u64.to_be_bytes(), 1024_u64.to_be_bytes()].concat());
        long.extend(NORMAL.to_be_bytes());
        assert_eq!(edit_of(movie(&long, b"soun")), Some(expected));
    }

    #[test]
    fn other_lists_are_none() {
        for entries in [
            &[(300, 1024, NORMAL), (10, 9000, NORMAL)][..],
            &[(300, 1024, 2 * NORMAL)],
            &[(300, -1, NORMAL)],
            &[],
        ] {
            assert_eq!(edit_of(movie(&list(entries), b"soun")), None, "{entries:?}");
        }
        assert_eq!(edit_of(movie(&list(&[(300, 1024, NORMAL)]), b"vide")), None);
        assert_eq!(edit_of(boxed(b"ftyp", b"M4A ")), None);
    }

    proptest! {
        #[test]
        fn any_change_is_an_edit_or_none(changes in prop::collection::vec((0..250_usize, any::<u8>()), 0..6)) {
            let mut file = movie(&list(&[(300, 1024, NORMAL)]), b"soun");
            let len = file.len();
            changes.iter().for_each(|&(place, byte)| file[place % len] = byte);
            if let Some(edit) = edit_of(file) {
                let (first, count) = edit.samples(768_000, Some(1000));
                prop_assert!(count.is_none_or(|count| count <= 1000_u64.saturating_sub(first)));
            }
        }
    }
}
