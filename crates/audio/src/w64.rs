//! Sony's Wave64: the chunks of a WAV file with names of 16 bytes and sizes of 8, for files of more than 4 GiB.

use std::io::{Read, Seek, SeekFrom};

use crate::Format;
use crate::error::{Cause, Fallible};
use crate::layout::Layout;
use crate::stream::Stream;
use crate::wav::{FormatChunk, parse_format};

/// What the file begins with: the name of its outermost chunk.
pub(crate) const RIFF: [u8; 16] = *b"riff\x2e\x91\xcf\x11\xa5\xd6\x28\xdb\x04\xc1\x00\x00";
/// The rest of the name of a chunk that has one in WAV.
const OF_WAV: [u8; 12] = *b"\xf3\xac\xd3\x11\x8c\xd1\x00\xc0\x4f\x8e\xdb\x8a";
/// Name and size of a chunk. The size counts them too.
const HEAD: u64 = 24;
/// Chunks begin at multiples of so many bytes.
const ALIGNMENT: u64 = 8;
/// More chunks than any tool writes.
const MAX_CHUNKS: usize = 4096;
/// Bytes of a format chunk that are looked at.
const FORMAT_BYTES: u64 = 40;

/// Reads chunks up to the first `data`. `None` for a codec other than PCM, float and G.711.
pub(crate) fn read_header(stream: &mut Stream) -> Fallible<Layout> {
    let malformed = |what: String| Cause::Malformed { format: Format::W64.name(), what };
    // Behind the outermost chunk's head and the name `wave`.
    let mut position = HEAD + 16;
    let mut format: Option<FormatChunk> = None;
    for _ in 0..MAX_CHUNKS {
        let Some(head) = bytes_at(stream, position, HEAD)? else {
            return Err(malformed(
                if format.is_some() { "no data chunk" } else { "no fmt chunk" }.to_owned(),
            ));
        };
        let size = u64::from_le_bytes([16, 17, 18, 19, 20, 21, 22, 23].map(|place| head[place]));
        if size < HEAD {
            return Err(malformed(format!("a chunk of {size} bytes, expected at least {HEAD}")));
        }
        let (body, len) = (position + HEAD, size - HEAD);
        match (&head[..4], head[4..16] == OF_WAV) {
            (b"fmt ", true) => {
                let bytes = bytes_at(stream, body, len.min(FORMAT_BYTES))?;
                let bytes =
                    bytes.ok_or_else(|| malformed("the file ends inside the fmt chunk".to_owned()))?;
                format = Some(parse_format(&bytes).map_err(malformed)?);
            }
            (b"data", true) => {
                let format = format
                    .ok_or_else(|| malformed("the data chunk comes before the fmt chunk".to_owned()))?;
                let encoding = format
                    .encoding()
                    .map_err(|what| Cause::Unsupported { format: Format::W64.name(), what })?;
                let layout = Layout {
                    format: Format::W64,
                    encoding,
                    big_endian: false,
                    channels: format.channels,
                    sample_rate: format.sample_rate,
                    data_offset: body,
                    num_samples: 0,
                };
                return layout.with_bytes(len, stream.len().saturating_sub(body));
            }
            _ => {}
        }
        position = match size.checked_next_multiple_of(ALIGNMENT).and_then(|size| position.checked_add(size))
        {
            Some(next) => next,
            None => return Err(malformed(format!("a chunk of {size} bytes"))),
        };
    }
    Err(malformed(format!("no data chunk among the first {MAX_CHUNKS} chunks")))
}

/// `len` bytes at `position`, or `None` where the file ends before.
fn bytes_at(stream: &mut Stream, position: u64, len: u64) -> Fallible<Option<Vec<u8>>> {
    if position.checked_add(len).is_none_or(|end| end > stream.len()) {
        return Ok(None);
    }
    let mut bytes = vec![0; len as usize];
    stream.seek(SeekFrom::Start(position))?;
    stream.read_exact(&mut bytes)?;
    Ok(Some(bytes))
}
