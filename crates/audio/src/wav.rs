//! PCM, float and G.711 WAV: the chunks of a RIFF, RF64 or BW64 file, and samples by direct seek and read.
//!
//! Training reads a two-second crop of a WAV file some hundred times a second, so this one format is parsed here. It
//! takes one header read and one read of the crop's bytes, without packets or a 64 KiB ring buffer. Its rules for
//! damaged headers are also stricter than a player's.

use std::io::{Read, Seek, SeekFrom};

use crate::error::{Cause, Fallible};
use crate::pcm::Encoding;
use crate::stream::Stream;
use crate::{AudioInfo, Channel, Format, stages};

const FORMAT: &str = "WAV";
/// Bytes read at once while looking for chunks; the whole header of nearly every file.
const WINDOW: usize = 1024;
/// Bytes decoded at once.
const BLOCK: usize = 1 << 18;
/// More chunks than any tool writes; a hostile file could hold a hundred million.
const MAX_CHUNKS: usize = 4096;

/// Format tags.
const PCM: u16 = 1;
const FLOAT: u16 = 3;
const A_LAW: u16 = 6;
const MU_LAW: u16 = 7;
const EXTENSIBLE: u16 = 0xfffe;

/// Where the samples of a WAV file are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Layout {
    pub(crate) encoding: Encoding,
    pub(crate) channels: u16,
    pub(crate) sample_rate: u32,
    pub(crate) data_offset: u64,
    /// Samples per channel.
    pub(crate) num_samples: u64,
}

/// What a WAV header says.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Header {
    /// PCM, float, A-law or mu-law.
    Pcm(Layout),
    /// Another codec, by its format tag (ADPCM, ...).
    Other,
}

#[derive(Debug, Clone, Copy)]
struct FormatChunk {
    tag: u16,
    channels: u16,
    sample_rate: u32,
    block_align: u16,
    bits: u16,
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
    if size < 16 {
        return Err(malformed(format!("a fmt chunk of {size} bytes, expected at least 16")));
    }
    let len = if size >= 40 { 40 } else { 16 };
    let Some(b) = window.get(body, len)? else {
        return Err(malformed("the file ends inside the fmt chunk"));
    };
    let mut tag = le16(b);
    // The tag is the first field of a GUID.
    if tag == EXTENSIBLE {
        if len < 40 {
            return Err(malformed(format!("an extensible fmt chunk of {size} bytes, expected 40")));
        }
        tag = le16(&b[24..]);
    }
    Ok(FormatChunk {
        tag,
        channels: le16(&b[2..]),
        sample_rate: le32(&b[4..]),
        block_align: le16(&b[12..]),
        bits: le16(&b[14..]),
    })
}

fn read_layout(
    window: &mut Window<'_>,
    format: FormatChunk,
    data_offset: u64,
    size: u32,
    size64: Option<u64>,
) -> Fallible<Header> {
    let FormatChunk { tag, channels, sample_rate, block_align, bits } = format;
    if !matches!(tag, PCM | FLOAT | A_LAW | MU_LAW) {
        return Ok(Header::Other);
    }
    if channels == 0 {
        return Err(malformed("0 channels"));
    }
    // A sample of 20 bits takes 3 bytes: it is stored in their upper bits.
    let bytes = bits.div_ceil(8);
    let encoding = match (tag, bytes, bits) {
        (PCM, 1, _) => Encoding::U8,
        (PCM, 2, _) => Encoding::I16,
        (PCM, 3, _) => Encoding::I24,
        (PCM, 4, _) => Encoding::I32,
        (FLOAT, _, 32) => Encoding::F32,
        (FLOAT, _, 64) => Encoding::F64,
        (A_LAW, _, 8) => Encoding::ALaw,
        (MU_LAW, _, 8) => Encoding::MuLaw,
        _ => {
            let kind = match tag {
                PCM => "integer",
                FLOAT => "float",
                A_LAW => "A-law",
                _ => "mu-law",
            };
            return Err(Cause::Unsupported {
                format: FORMAT,
                what: format!("{kind} samples of {bits} bits"),
            });
        }
    };
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
    if data_len % block != 0 {
        return Err(malformed(format!(
            "{data_len} bytes of samples, expected a multiple of {block} ({channels} channels of {})",
            encoding.name()
        )));
    }
    let num_samples = data_len / block;
    if num_samples == 0 {
        return Err(Cause::NoSamples);
    }
    Ok(Header::Pcm(Layout { encoding, channels, sample_rate, data_offset, num_samples }))
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

impl Layout {
    pub(crate) fn info(&self) -> AudioInfo {
        AudioInfo {
            sample_rate: self.sample_rate,
            channels: usize::from(self.channels),
            num_samples: Some(self.num_samples),
            format: Format::Wav,
            encoding: self.encoding.name(),
        }
    }

    /// Fills `out` with the samples of one channel from `start` on. The caller has checked that they exist.
    pub(crate) fn read(
        &self,
        stream: &mut Stream,
        start: u64,
        channel: Channel,
        out: &mut [f32],
    ) -> Fallible<()> {
        let channels = usize::from(self.channels);
        let frame = channels * self.encoding.bytes();
        let frames_at_once = (BLOCK / frame).max(1).min(out.len().max(1));
        let mut bytes = vec![0; frames_at_once * frame];
        stream.seek(SeekFrom::Start(self.data_offset + start * frame as u64))?;
        let mut done = start;
        for out in out.chunks_mut(frames_at_once) {
            let bytes = &mut bytes[..out.len() * frame];
            {
                let _stage = stages::read();
                stream.read_exact(bytes)?;
            }
            let _stage = stages::decode();
            self.encoding.decode(bytes, channels, channel, out);
            if self.encoding.is_float() {
                crate::require_finite(out, done)?;
            }
            done += out.len() as u64;
        }
        Ok(())
    }
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
