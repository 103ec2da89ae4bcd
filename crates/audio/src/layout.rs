//! Where the samples of a file are that is PCM behind a header, and how they are read.

use std::io::{Read, Seek, SeekFrom};

use crate::error::{Cause, Fallible};
use crate::pcm::Encoding;
use crate::stream::Stream;
use crate::{AudioInfo, Channel, Format, stages};

/// Bytes decoded at once.
const BLOCK: usize = 1 << 18;

/// Samples one after the other, those of all channels together.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Layout {
    pub(crate) format: Format,
    pub(crate) encoding: Encoding,
    /// Whether the first byte of a sample is its highest.
    pub(crate) big_endian: bool,
    pub(crate) channels: u16,
    pub(crate) sample_rate: u32,
    pub(crate) data_offset: u64,
    /// Samples per channel.
    pub(crate) num_samples: u64,
}

impl Layout {
    /// With the number of samples that `data_len` bytes hold, of which `available` are there.
    ///
    /// # Errors
    /// No channel, no sample, fewer bytes than there should be, or half a frame.
    pub(crate) fn with_bytes(self, data_len: u64, available: u64) -> Fallible<Self> {
        let malformed = |what: String| Cause::Malformed { format: self.format.name(), what };
        if self.channels == 0 {
            return Err(malformed("0 channels".to_owned()));
        }
        let frame = u64::from(self.channels) * self.encoding.bytes() as u64;
        if data_len > available {
            return Err(Cause::Truncated { found: available / frame, expected: Some(data_len / frame) });
        }
        if !data_len.is_multiple_of(frame) {
            return Err(malformed(format!(
                "{data_len} bytes of samples, expected a multiple of {frame} ({} channels of {})",
                self.channels,
                self.encoding.name()
            )));
        }
        match data_len / frame {
            0 => Err(Cause::NoSamples),
            num_samples => Ok(Self { num_samples, ..self }),
        }
    }

    pub(crate) fn info(&self) -> AudioInfo {
        AudioInfo {
            sample_rate: self.sample_rate,
            channels: usize::from(self.channels),
            num_samples: Some(self.num_samples),
            format: self.format,
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
            if self.big_endian {
                bytes.chunks_exact_mut(self.encoding.bytes()).for_each(<[u8]>::reverse);
            }
            self.encoding.decode(bytes, channels, channel, out);
            if self.encoding.is_float() {
                crate::require_finite(out, done)?;
            }
            done += out.len() as u64;
        }
        Ok(())
    }
}
