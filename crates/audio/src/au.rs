//! Sun's AU files: a header of six numbers, then samples.

use std::io::{Read, Seek, SeekFrom};

use crate::Format;
use crate::error::{Cause, Fallible};
use crate::layout::Layout;
use crate::pcm::Encoding;
use crate::stream::Stream;

/// A size that means "to the end of the file".
const UNKNOWN: u32 = u32::MAX;
const HEADER: usize = 24;

/// Reads the header. `.snd` files are big endian; libsndfile also writes `dns.`, which are little endian.
pub(crate) fn read_header(stream: &mut Stream) -> Fallible<Layout> {
    let malformed = |what: &str| Cause::Malformed { format: Format::Au.name(), what: what.to_owned() };
    let mut header = [0; HEADER];
    stream.seek(SeekFrom::Start(0))?;
    if stream.len() < HEADER as u64 {
        return Err(malformed("the file ends inside its header"));
    }
    stream.read_exact(&mut header)?;
    let big_endian = header.starts_with(b".snd");
    let number = |place: usize| {
        let bytes = [0, 1, 2, 3].map(|n| header[4 * place + n]);
        if big_endian { u32::from_be_bytes(bytes) } else { u32::from_le_bytes(bytes) }
    };
    let [data_offset, size, code, sample_rate, channels] = [1, 2, 3, 4, 5].map(number);
    let encoding = match code {
        1 => Encoding::MuLaw,
        2 => Encoding::I8,
        3 => Encoding::I16,
        4 => Encoding::I24,
        5 => Encoding::I32,
        6 => Encoding::F32,
        7 => Encoding::F64,
        27 => Encoding::ALaw,
        _ => {
            let what = format!("the encoding {code}");
            return Err(Cause::Unsupported { format: Format::Au.name(), what });
        }
    };
    if data_offset < HEADER as u32 {
        return Err(malformed("samples that begin inside the header"));
    }
    let channels = u16::try_from(channels).map_err(|_| malformed("more than 65535 channels"))?;
    let data_offset = u64::from(data_offset);
    let available = stream.len().saturating_sub(data_offset);
    let size = if size == UNKNOWN { available } else { u64::from(size) };
    let format = Format::Au;
    Layout { format, encoding, big_endian, channels, sample_rate, data_offset, num_samples: 0 }
        .with_bytes(size, available)
}
