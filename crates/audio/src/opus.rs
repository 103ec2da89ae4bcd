//! Opus ([RFC 6716](https://www.rfc-editor.org/rfc/rfc6716)) for Symphonia, which finds the packets in Ogg, Matroska (WebM) and MP4
//! and cannot decode them. Always at 48 kHz, whatever the rate of what was coded.

use std::sync::Mutex;

use opus_pure::{MAX_PACKET_SAMPLES, OpusDecoder};
use symphonia::core::audio::{
    AsGenericAudioBufferRef, AudioBuffer, AudioMut, AudioSpec, GenericAudioBufferRef,
};
use symphonia::core::codecs::CodecInfo;
use symphonia::core::codecs::audio::{AudioCodecParameters, AudioDecoder, FinalizeResult};
use symphonia::core::errors::{Error, Result};
use symphonia::core::packet::PacketRef;

use crate::Format;

/// Of everything that is decoded, Hz.
pub(crate) const SAMPLE_RATE: u32 = 48_000;
const INFO: CodecInfo = CodecInfo { short_name: "opus", long_name: "Opus", profiles: &[] };

/// The identification header, [RFC 7845, section 5.1](https://www.rfc-editor.org/rfc/rfc7845#section-5.1).
struct Head {
    channels: usize,
    /// Samples before the recording begins.
    pre_skip: usize,
    /// What the samples are multiplied by.
    gain: f32,
}

impl Head {
    /// MP4 has the highest bytes of its numbers first, the other containers the lowest.
    fn read(bytes: &[u8], format: Format) -> Result<Self> {
        let Some(header) = bytes.strip_prefix(b"OpusHead").and_then(|rest| rest.first_chunk::<11>()) else {
            return Err(Error::DecodeError("opus: no identification header"));
        };
        let &[_, channels, skip_0, skip_1, _, _, _, _, gain_0, gain_1, mapping] = header;
        if mapping != 0 || !(1..=2).contains(&channels) {
            return Err(Error::Unsupported("Opus with more than two channels"));
        }
        let read: fn([u8; 2]) -> u16 =
            if format == Format::Mp4 { u16::from_be_bytes } else { u16::from_le_bytes };
        let gain_db = f32::from(read([gain_0, gain_1]) as i16) / 256.0;
        Ok(Self {
            channels: usize::from(channels),
            pre_skip: usize::from(read([skip_0, skip_1])),
            gain: 10f32.powf(gain_db / 20.0),
        })
    }
}

/// A decoder of one stream.
pub(crate) struct Opus {
    /// Behind a lock that is never waited for: the decoder may move between threads, but not be shared.
    decoder: Mutex<OpusDecoder>,
    parameters: AudioCodecParameters,
    head: Head,
    /// Samples that are still to be left out.
    skip: usize,
    /// Whether the first samples are left out here. In MP4 the edit list says where the recording begins.
    skips: bool,
    interleaved: Vec<f32>,
    buffer: AudioBuffer<f32>,
}

impl Opus {
    pub(crate) fn new(parameters: &AudioCodecParameters, format: Format) -> Result<Self> {
        let head = Head::read(parameters.extra_data.as_deref().unwrap_or_default(), format)?;
        let Some(channels) = parameters.channels.clone() else {
            return Err(Error::DecodeError("opus: no channels"));
        };
        if channels.count() != head.channels {
            return Err(Error::DecodeError("opus: the headers have different numbers of channels"));
        }
        let decoder = OpusDecoder::new(SAMPLE_RATE as i32, head.channels).map_err(error)?;
        let skips = format != Format::Mp4;
        Ok(Self {
            decoder: Mutex::new(decoder),
            parameters: parameters.clone(),
            skip: if skips { head.pre_skip } else { 0 },
            skips,
            interleaved: vec![0.0; MAX_PACKET_SAMPLES * head.channels],
            buffer: AudioBuffer::new(AudioSpec::new(SAMPLE_RATE, channels), MAX_PACKET_SAMPLES),
            head,
        })
    }

    fn decode_packet(&mut self, packet: &PacketRef<'_>) -> Result<()> {
        self.buffer.clear();
        let Ok(decoder) = self.decoder.get_mut() else {
            return Err(Error::DecodeError("opus: the decoder has failed before"));
        };
        // An empty packet would stand for a lost one.
        if packet.data.is_empty() {
            return Err(Error::DecodeError("opus: an empty packet"));
        }
        let frames = decoder.decode(packet.data, MAX_PACKET_SAMPLES, &mut self.interleaved).map_err(error)?;
        let channels = self.head.channels;
        self.buffer.render_uninit(Some(frames));
        for channel in 0..channels {
            let Some(plane) = self.buffer.plane_mut(channel) else {
                return Err(Error::DecodeError("opus: a channel is missing"));
            };
            for (sample, frame) in plane.iter_mut().zip(self.interleaved.chunks_exact(channels)) {
                *sample = frame[channel] * self.head.gain;
            }
        }
        let skipped = self.skip.min(frames);
        self.skip -= skipped;
        let at_end = usize::try_from(packet.trim_end.get()).unwrap_or(frames).min(frames - skipped);
        self.buffer.trim(skipped, if self.skips { at_end } else { 0 });
        Ok(())
    }
}

impl AudioDecoder for Opus {
    fn reset(&mut self) {
        // It fails for rates and channels that it was not made for.
        if let Ok(decoder) = self.decoder.get_mut() {
            let _ = decoder.reset_state();
        }
        self.skip = if self.skips { self.head.pre_skip } else { 0 };
    }

    fn codec_info(&self) -> &CodecInfo {
        &INFO
    }

    fn codec_params(&self) -> &AudioCodecParameters {
        &self.parameters
    }

    fn decode_ref(&mut self, packet: &PacketRef<'_>) -> Result<GenericAudioBufferRef<'_>> {
        match self.decode_packet(packet) {
            Ok(()) => Ok(self.buffer.as_generic_audio_buffer_ref()),
            Err(error) => {
                self.buffer.clear();
                Err(error)
            }
        }
    }

    fn finalize(&mut self) -> FinalizeResult {
        FinalizeResult::default()
    }

    fn last_decoded(&self) -> GenericAudioBufferRef<'_> {
        self.buffer.as_generic_audio_buffer_ref()
    }
}

fn error(error: opus_pure::Error) -> Error {
    use opus_pure::Error::{Internal, InvalidArgument, InvalidPacket};
    Error::DecodeError(match error {
        InvalidPacket(what) | Internal(what) | InvalidArgument(what) => what,
        _ => "opus: the decoder failed",
    })
}
