//! NIST SPHERE files: a header of text, then samples.

use std::io::{Read, Seek, SeekFrom};

use crate::Format;
use crate::error::{Cause, Fallible};
use crate::layout::Layout;
use crate::pcm::Encoding;
use crate::stream::Stream;

/// The two lines that every header begins with: `NIST_1A` and its length in seven characters.
const FIRST_LINES: usize = 16;
/// Headers have 1024 bytes, or a few times as many.
const LONGEST_HEADER: usize = 1 << 20;

/// Reads the header, lines `NAME -i NUMBER` or `NAME -sLENGTH TEXT`. Compressed samples (shorten) are refused.
pub(crate) fn read_header(stream: &mut Stream) -> Fallible<Layout> {
    let format = Format::Sphere;
    let malformed = |what: String| Cause::Malformed { format: format.name(), what };
    let unsupported = |what: String| Cause::Unsupported { format: format.name(), what };
    let text = read_text(stream)?.ok_or_else(|| malformed("no header of text".to_owned()))?;
    let value = |name: &str| {
        let lines = text.lines().take_while(|line| !is_end(line));
        lines.filter_map(|line| line.split_once(' ')).find(|(key, _)| *key == name).and_then(|(_, rest)| {
            let (_, value) = rest.trim_start().split_once(' ')?;
            Some(value.trim())
        })
    };
    let number = |name: &str| -> Fallible<Option<u64>> {
        let parse = |text: &str| text.parse().map_err(|_| malformed(format!("{name} is {text:?}")));
        value(name).map(parse).transpose()
    };
    let needed = |name: &str| number(name)?.ok_or_else(|| malformed(format!("its header has no {name}")));
    let sample_rate = u32::try_from(needed("sample_rate")?).unwrap_or(u32::MAX);
    let channels = number("channel_count")?.unwrap_or(1);
    let channels =
        u16::try_from(channels).map_err(|_| malformed(format!("{channels} channels in its header")))?;
    let (coding, bytes) = (value("sample_coding").unwrap_or("pcm"), needed("sample_n_bytes")?);
    let encoding = match (coding, bytes) {
        ("pcm", 1) => Encoding::I8,
        ("pcm", 2) => Encoding::I16,
        ("pcm", 3) => Encoding::I24,
        ("pcm", 4) => Encoding::I32,
        ("ulaw" | "mu-law", 1) => Encoding::MuLaw,
        ("alaw" | "a-law", 1) => Encoding::ALaw,
        _ if coding.contains("shorten") || coding.contains("pack") => {
            return Err(unsupported(format!("samples compressed as {coding:?} (sph2pipe expands them)")));
        }
        _ => return Err(unsupported(format!("samples of {bytes} bytes coded as {coding:?}"))),
    };
    let big_endian = match value("sample_byte_format") {
        Some("10" | "210" | "3210") => true,
        Some("01" | "012" | "0123" | "1") | None => false,
        Some(other) => return Err(unsupported(format!("the byte format {other:?}"))),
    };
    if big_endian && encoding.bytes() == 1 {
        return Err(malformed("a byte format of two bytes for samples of one".to_owned()));
    }
    let data_offset = header_length(&text).unwrap_or_default() as u64;
    let available = stream.len().saturating_sub(data_offset);
    let frame = u64::from(channels) * encoding.bytes() as u64;
    let size = number("sample_count")?.map_or(available / frame.max(1) * frame, |n| n.saturating_mul(frame));
    Layout { format, encoding, big_endian, channels, sample_rate, data_offset, num_samples: 0 }
        .with_bytes(size, available)
}

/// The header, as long as its second line says; `None` if it is not there, is no text, or does not end.
fn read_text(stream: &mut Stream) -> Fallible<Option<String>> {
    let mut first = [0; FIRST_LINES];
    stream.seek(SeekFrom::Start(0))?;
    if stream.len() < FIRST_LINES as u64 {
        return Ok(None);
    }
    stream.read_exact(&mut first)?;
    let length = std::str::from_utf8(&first).ok().and_then(header_length);
    let Some(length) = length.filter(|length| (FIRST_LINES..=LONGEST_HEADER).contains(length)) else {
        return Ok(None);
    };
    if (length as u64) > stream.len() {
        return Ok(None);
    }
    let mut bytes = vec![0; length];
    stream.seek(SeekFrom::Start(0))?;
    stream.read_exact(&mut bytes)?;
    let text = String::from_utf8_lossy(&bytes).into_owned();
    Ok(text.lines().any(is_end).then_some(text))
}

/// The last line of the header. What is left of its length is spaces, line ends or zeros.
fn is_end(line: &str) -> bool {
    line.trim_matches(|c: char| c.is_whitespace() || c == '\0') == "end_head"
}

fn header_length(text: &str) -> Option<usize> {
    text.strip_prefix("NIST_1A\n")?.lines().next()?.trim().parse().ok()
}
