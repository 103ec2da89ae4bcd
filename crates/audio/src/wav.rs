//! PCM, float and G.711 WAV: the chunks of a RIFF, RF64 or BW64 file, and samples by direct seek and read.
//!
//! Training reads a two-second crop of a WAV file some hundred times a second, so this one format is parsed here. It
//! takes one header read and one read of the crop's bytes, without packets or a 64 KiB ring buffer. Its rules for
//! damaged headers are also stricter than a player's.

use std::io::{Read, Seek, SeekFrom};

use crate::Format;
use crate::error::{Cause, Fallible};
use crate::layout::Layout;
use crate::pcm::Encoding;
use crate::stream::Stream;

const FORMAT: &str = "WAV";
/// Bytes read at once while looking for chunks; the whole header of nearly every file.
const WINDOW: usize = 1024;
/// More chunks than any tool writes; a hostile file could hold a hundred million.
const MAX_CHUNKS: usize = 4096;

/// Format tags.
const PCM: u16 = 1;
const FLOAT: u16 = 3;
const A_LAW: u16 = 6;
const MU_LAW: u16 = 7;
const EXTENSIBLE: u16 = 0xfffe;

/// What a WAV header says.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Header {
    /// PCM, float, A-law or mu-law.
    Pcm(Layout),
    /// Another codec, by its format tag (ADPCM, ...).
    Other,
}

#[derive(Debug, Clone, Copy)]
pub(crate) struct FormatChunk {
    tag: u16,
    pub(crate) channels: u16,
    pub(crate) sample_rate: u32,
    block_align: u16,
    bits: u16,
}

/// A format chunk without its head; the error says what is wrong with it.
pub(crate) fn parse_format(b: &[u8]) -> Result<FormatChunk, String> {
    if b.len() < 16 {
        return Err(format!("a fmt chunk of {} bytes, expected at least 16", b.len()));
    }
    let mut tag = le16(b);
    // The tag is the first field of a GUID.
    if tag == EXTENSIBLE {
        if b.len() < 40 {
            return Err(format!("an extensible fmt chunk of {} bytes, expected 40", b.len()));
        }
        tag = le16(&b[24..]);
    }
    let (channels, sample_rate) = (le16(&b[2..]), le32(&b[4..]));
    let format =
        FormatChunk { tag, channels, sample_rate, block_align: le16(&b[12..]), bits: le16(&b[14..]) };
    if format.is_plain() && channels == 0 {
        return Err("0 channels".to_owned());
    }
    Ok(format)
}

impl FormatChunk {
    /// Whether the samples are PCM, float, A-law or mu-law.
    fn is_plain(&self) -> bool {
        matches!(self.tag, PCM | FLOAT | A_LAW | MU_LAW)
    }

    /// How samples are stored; the error names what is not read.
    pub(crate) fn encoding(&self) -> Result<Encoding, String> {
        let Self { tag, bits, .. } = *self;
        // A sample of 20 bits takes 3 bytes: it is stored in their upper bits.
        match (tag, bits.div_ceil(8), bits) {
            (PCM, 1, _) => Ok(Encoding::U8),
            (PCM, 2, _) => Ok(Encoding::I16),
            (PCM, 3, _) => Ok(Encoding::I24),
            (PCM, 4, _) => Ok(Encoding::I32),
            (FLOAT, _, 32) => Ok(Encoding::F32),
            (FLOAT, _, 64) => Ok(Encoding::F64),
            (A_LAW, _, 8) => Ok(Encoding::ALaw),
            (MU_LAW, _, 8) => Ok(Encoding::MuLaw),
            (PCM, ..) => Err(format!("integer samples of {bits} bits")),
            (FLOAT, ..) => Err(format!("float samples of {bits} bits")),
            (A_LAW, ..) => Err(format!("A-law samples of {bits} bits")),
            (MU_LAW, ..) => Err(format!("mu-law samples of {bits} bits")),
            _ => Err(format!("the codec with the tag {tag:#x}")),
        }
    }
}

/// Reads chunks up to the first `data`.
pub(crate) fn read_header(stream: &mut Stream) -> Fallible<Header> {
    let mut window = Window { stream, start: 0, bytes: Vec::new() };
    let mut position = 12;
    let mut format = None;
    let mut size64 = None;
    for _ in 0..MAX_CHUNKS {
        let Some(chunk) = window.get(position, 8)? else {
            return Err(malformed(if format.is_some() { "no data chunk" } else { "no fmt chunk" }));
        };
        let (id, size) = ([chunk[0], chunk[1], chunk[2], chunk[3]], le32(&chunk[4..]));
        let body = position + 8;
        match &id {
            b"fmt " => format = Some(read_format(&mut window, body, size)?),
            b"ds64" => {
                size64 =
                    window.get(body, 16)?.map(|b| u64::from(le32(&b[8..])) | u64::from(le32(&b[12..])) << 32)
            }
            b"data" => {
                let format = format.ok_or_else(|| malformed("the data chunk comes before the fmt chunk"))?;
                return read_layout(&mut window, format, body, size, size64);
            }
            _ => {}
        }
        position = body + u64::from(size) + u64::from(size & 1);
    }
    Err(malformed(format!("no data chunk among the first {MAX_CHUNKS} chunks")))
}

fn read_format(window: &mut Window<'_>, body: u64, size: u32) -> Fallible<FormatChunk> {
    let len = size.min(40) as usize;
    match window.get(body, len)? {
        Some(bytes) => parse_format(bytes).map_err(malformed),
        None => Err(malformed("the file ends inside the fmt chunk")),
    }
}

fn read_layout(
    window: &mut Window<'_>,
    format: FormatChunk,
    data_offset: u64,
    size: u32,
    size64: Option<u64>,
) -> Fallible<Header> {
    if !format.is_plain() {
        return Ok(Header::Other);
    }
    let FormatChunk { channels, sample_rate, block_align, .. } = format;
    let encoding = format.encoding().map_err(|what| Cause::Unsupported { format: FORMAT, what })?;
    let expected = usize::from(channels) * encoding.bytes();
    if usize::from(block_align) != expected {
        return Err(malformed(format!(
            "a frame of {block_align} bytes, expected {expected} ({channels} channels of {})",
            encoding.name()
        )));
    }
    let block = u64::from(block_align);
    let available = window.stream.len().saturating_sub(data_offset);
    let declared = match size64 {
        Some(size64) if size == u32::MAX => size64,
        _ => u64::from(size),
    };
    let data_len = if declared > available || declared == 0 {
        if is_open_ended(size, size64, data_offset, block) && !(size == 0 && window.chunk_at(data_offset)?) {
            available
        } else {
            return match declared {
                0 => Err(Cause::NoSamples),
                _ => Err(Cause::Truncated { found: available / block, expected: Some(declared / block) }),
            };
        }
    } else {
        declared
    };
    let layout = Layout {
        format: Format::Wav,
        encoding,
        big_endian: false,
        channels,
        sample_rate,
        data_offset,
        num_samples: 0,
    };
    layout.with_bytes(data_len, available).map(Header::Pcm)
}

/// Sizes that programs write when they cannot go back to fill in the true one. They mean "to the end of the file": 0
/// and 2^32 - 1 with its neighbours (ffmpeg, GStreamer), 2^31 - 1 and 2^31, and 0x7ffff000 in whole frames (SoX).
fn is_open_ended(size: u32, size64: Option<u64>, data_offset: u64, block: u64) -> bool {
    let size = u64::from(size);
    let max = u64::from(u32::MAX);
    let whole = |n: u64| n / block * block;
    let written_by_streams =
        [0, max, whole(max), max - (data_offset - 8), max - data_offset, 1 << 31, (1 << 31) - 1];
    size64.is_none_or(|n| n == 0 || n == u64::MAX)
        && (written_by_streams.contains(&size) || size == whole(0x7fff_f000) || size == whole((1 << 31) - 1))
}

/// A piece of the file around the chunk that is being read.
struct Window<'a> {
    stream: &'a mut Stream,
    start: u64,
    bytes: Vec<u8>,
}

impl Window<'_> {
    /// `len` bytes (fewer than [`WINDOW`]) at `position`, or `None` where the file ends before.
    fn get(&mut self, position: u64, len: usize) -> Fallible<Option<&[u8]>> {
        let inside = position >= self.start && position + len as u64 <= self.start + self.bytes.len() as u64;
        if !inside {
            if position.saturating_add(len as u64) > self.stream.len() {
                return Ok(None);
            }
            let wanted = (self.stream.len() - position).min(WINDOW as u64) as usize;
            self.bytes.resize(wanted, 0);
            self.stream.seek(SeekFrom::Start(position))?;
            self.stream.read_exact(&mut self.bytes)?;
            self.start = position;
        }
        let offset = (position - self.start) as usize;
        Ok(Some(&self.bytes[offset..offset + len]))
    }

    /// Whether the bytes at `position` are chunks up to the end of the file rather than samples.
    fn chunk_at(&mut self, mut position: u64) -> Fallible<bool> {
        for _ in 0..MAX_CHUNKS {
            let end = self.stream.len();
            if position == end {
                return Ok(true);
            }
            let Some(chunk) = self.get(position, 8)? else {
                return Ok(false);
            };
            if !chunk[..4].iter().all(|byte| byte.is_ascii_graphic() || *byte == b' ') {
                return Ok(false);
            }
            let size = le32(&chunk[4..]);
            position += 8 + u64::from(size) + u64::from(size & 1);
            if position > end {
                return Ok(false);
            }
        }
        Ok(false)
    }
}

fn malformed(what: impl Into<String>) -> Cause {
    Cause::Malformed { format: FORMAT, what: what.into() }
}

fn le16(bytes: &[u8]) -> u16 {
    u16::from_le_bytes([bytes[0], bytes[1]])
}

fn le32(bytes: &[u8]) -> u32 {
    u32::from_le_bytes([bytes[0], bytes[1], bytes[2], bytes[3]])
}
