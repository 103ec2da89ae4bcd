//! Everything but PCM WAV, decoded by Symphonia.

use std::io::{Seek, SeekFrom};
use std::ops::{ControlFlow, Range};
use std::panic::{AssertUnwindSafe, catch_unwind};

use symphonia::core::codecs::CodecParameters;
use symphonia::core::codecs::audio::well_known::{CODEC_ID_FLAC, CODEC_ID_OPUS};
use symphonia::core::codecs::audio::{
    AudioCodecParameters, AudioDecoder, AudioDecoderOptions, CODEC_ID_NULL_AUDIO,
};
use symphonia::core::errors::{Error as SymphoniaError, SeekErrorKind};
use symphonia::core::formats::probe::Hint;
use symphonia::core::formats::{FormatOptions, FormatReader, SeekMode, SeekTo, TrackType};
use symphonia::core::io::{MediaSourceStream, ReadBytes};
use symphonia::core::meta::MetadataOptions;
use symphonia::core::packet::Packet;
use symphonia::core::units::Timestamp;
use symphonia::default::formats::{FlacReader, IsoMp4Reader};
use symphonia::default::{get_codecs, get_probe};

use crate::error::{Cause, Fallible};
use crate::identify::Content;
use crate::opus::Opus;
use crate::stream::Stream;
use crate::{AudioInfo, Channel, Format, opus, stages};

/// Samples of all channels together that a packet may have: a second of 64 channels at 64 kHz. A decoder makes its buffer for
/// a whole packet on the word of the header.
const MAX_PACKET_SAMPLES: u64 = 1 << 22;
/// Packets without a single sample in a row before the stream counts as damaged.
const MAX_EMPTY_PACKETS: usize = 1 << 16;

/// A file that is being decoded.
pub(crate) struct Coded {
    stream: Stream,
    content: Content,
    reader: Box<dyn FormatReader>,
    decoder: Box<dyn AudioDecoder>,
    track: u32,
    info: AudioInfo,
    /// The first packet, where it had to be decoded to learn the number of channels or the rate.
    first: Option<Packet>,
    /// One buffer a channel, reused for every packet.
    planes: Vec<Vec<f32>>,
    is_flac: bool,
    /// Whether packets have been taken since it was opened: the next run then begins with a rewind.
    used: bool,
}

/// How a run over a file's samples ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Ended {
    /// The receiver had enough.
    Stopped,
    /// The stream is over after so many samples.
    AtEnd(u64),
}

impl Coded {
    pub(crate) fn open(stream: Stream, content: Content) -> Fallible<Self> {
        guarded("audio", 0, || Self::open_unguarded(stream, content))
    }

    fn open_unguarded(mut stream: Stream, content: Content) -> Fallible<Self> {
        stream.seek(SeekFrom::Start(0))?;
        let reader = open_reader(stream.clone(), content).map_err(|error| {
            let format = match content {
                Content::Flac => "FLAC",
                Content::Mp4 => "MP4",
                _ => "audio",
            };
            header_error(format, error)
        })?;
        let format = format_of(reader.format_info().short_name);
        let Some(track) = reader.default_track(TrackType::Audio) else {
            return Err(Cause::Unsupported {
                format: format.name(),
                what: "no audio track of a known codec".into(),
            });
        };
        let Some(CodecParameters::Audio(parameters)) = &track.codec_params else {
            return Err(Cause::Unsupported {
                format: format.name(),
                what: "a track of an unknown codec".into(),
            });
        };
        if parameters.codec == CODEC_ID_NULL_AUDIO {
            return Err(Cause::Unsupported { format: format.name(), what: "an unknown codec".into() });
        }
        require_small_packets(format, parameters)?;
        let is_flac = format == Format::Flac && parameters.codec == CODEC_ID_FLAC;
        // Without the encoder's tag the number of samples in an MP3 is a guess from the bit rate, by which a decoder would
        // cut off the end.
        let exact = match format {
            Format::Mp3 => track.padding.is_some(),
            Format::Flac | Format::Ogg | Format::Mp4 | Format::Aiff | Format::Caf => true,
            _ => false,
        };
        let options = AudioDecoderOptions::default().gapless(exact || format != Format::Mp3);
        let decoder = match parameters.codec {
            CODEC_ID_OPUS => {
                Opus::new(parameters, format).map(|opus| Box::new(opus) as Box<dyn AudioDecoder>)
            }
            _ => get_codecs().make_audio_decoder(parameters, &options),
        };
        let decoder = decoder.map_err(|error| header_error(format.name(), error))?;
        let is_opus = parameters.codec == CODEC_ID_OPUS;
        // What Ogg counts for Opus begins before the recording.
        let before = track.delay.filter(|_| is_opus && format == Format::Ogg).unwrap_or(0);
        let num_samples = track.num_frames.filter(|_| exact).map(|count| count.saturating_sub(before.into()));
        let info = AudioInfo {
            // Matroska may name the rate of what was coded.
            sample_rate: if is_opus { opus::SAMPLE_RATE } else { parameters.sample_rate.unwrap_or(0) },
            channels: parameters.channels.as_ref().map_or(0, |channels| channels.count()),
            num_samples: num_samples.filter(|&count| count > 0),
            format,
            encoding: decoder.codec_info().short_name,
        };
        let track = track.id;
        let (first, planes, used) = (None, Vec::new(), false);
        let mut coded = Self { stream, content, reader, decoder, track, info, first, planes, is_flac, used };
        if coded.info.sample_rate == 0 || coded.info.channels == 0 {
            coded.learn_from_first_packet()?;
        }
        crate::require_rate(coded.info.sample_rate)?;
        Ok(coded)
    }

    /// Some headers leave the number of channels to the stream (AAC in MP4).
    fn learn_from_first_packet(&mut self) -> Fallible<()> {
        let Some(packet) = self.next_packet(0)? else {
            return Err(Cause::NoSamples);
        };
        let decoded =
            self.decoder.decode(&packet).map_err(|error| decode_error(self.info.format, 0, error))?;
        self.info.sample_rate = decoded.spec().rate();
        self.info.channels = decoded.num_planes();
        self.decoder.reset();
        self.first = Some(packet);
        Ok(())
    }

    pub(crate) fn info(&self) -> &AudioInfo {
        &self.info
    }

    /// Hands the samples of one channel from `start` on to `receive`, block by block, until it breaks.
    pub(crate) fn run(
        &mut self,
        start: u64,
        channel: Channel,
        mut receive: impl FnMut(&[f32]) -> ControlFlow<()>,
    ) -> Fallible<Ended> {
        let format = self.info.format.name();
        if self.used {
            *self = Self::open(self.stream.clone(), self.content)?;
        }
        self.used = true;
        // Only the decoder runs guarded: a panic of `receive` is no fault of the file.
        let mut position =
            if start > 0 && self.is_flac { guarded(format, start, || self.seek(start))? } else { 0 };
        while let Some(range) = guarded(format, position, || self.next_block(start, &mut position, channel))?
        {
            let block = &self.planes[channel.index().unwrap_or(0)][range];
            if !block.is_empty() && receive(block).is_break() {
                return Ok(Ended::Stopped);
            }
        }
        match self.info.num_samples {
            Some(total) if position < total => {
                Err(Cause::Truncated { found: position, expected: Some(total) })
            }
            _ => Ok(Ended::AtEnd(position)),
        }
    }

    /// Decodes the next packet that has samples. Returns which part of the channel's plane lies at or behind `start`, and
    /// moves `position` behind the packet; `None` at the end of the stream.
    fn next_block(
        &mut self,
        start: u64,
        position: &mut u64,
        channel: Channel,
    ) -> Fallible<Option<Range<usize>>> {
        for _ in 0..=MAX_EMPTY_PACKETS {
            let packet = {
                let _stage = stages::read();
                self.next_packet(*position)?
            };
            let Some(packet) = packet else { return Ok(None) };
            let _stage = stages::decode();
            let frames = self.decode(&packet, *position, channel)?;
            if frames == 0 {
                continue;
            }
            let first = start.saturating_sub(*position).min(frames as u64) as usize;
            // What the header does not count is the encoder's padding.
            let end = match self.info.num_samples {
                Some(total) if !self.is_flac => total.saturating_sub(*position).min(frames as u64) as usize,
                Some(total) if *position + frames as u64 > total => {
                    return Err(
                        self.damaged(*position, &format!("more samples than the {total} of the header"))
                    );
                }
                _ => frames,
            };
            let range = first.min(end)..end;
            let block = &self.planes[channel.index().unwrap_or(0)][range.clone()];
            crate::require_finite(block, *position + first as u64)?;
            *position += end as u64;
            return Ok(Some(range));
        }
        Err(self.damaged(*position, "nothing but empty packets"))
    }

    /// Moves to the FLAC frame that holds sample `start`, or to the first one; returns its first sample.
    fn seek(&mut self, start: u64) -> Fallible<u64> {
        let mut to = |sample: u64| {
            let ts = Timestamp::new(i64::try_from(sample).unwrap_or(i64::MAX));
            self.reader.seek(SeekMode::Accurate, SeekTo::Timestamp { ts, track_id: self.track })
        };
        let position = match to(start) {
            Ok(place) => u64::try_from(place.actual_ts.get()).ok().filter(|&position| position <= start),
            // Past the end of a stream whose header does not tell its length: count.
            Err(SymphoniaError::SeekError(SeekErrorKind::OutOfRange)) => None,
            Err(error) => return Err(decode_error(self.info.format, start, error)),
        };
        let position = match position {
            Some(position) => position,
            None => {
                to(0).map_err(|error| decode_error(self.info.format, 0, error))?;
                0
            }
        };
        self.decoder.reset();
        Ok(position)
    }

    /// Decodes into `planes` (of which the one for `channel` is then valid) and returns the samples per channel.
    fn decode(&mut self, packet: &Packet, position: u64, channel: Channel) -> Fallible<usize> {
        let format = self.info.format;
        if self.is_flac && u64::try_from(packet.pts.get()).ok() != Some(position) {
            return Err(
                self.damaged(position, &format!("a gap: the next frame is for sample {}", packet.pts.get()))
            );
        }
        let decoded = match self.decoder.decode(packet) {
            Ok(decoded) => decoded,
            Err(error) => return Err(decode_error(format, position, error)),
        };
        let frames = decoded.frames();
        if frames == 0 {
            return Ok(0);
        }
        let (rate, channels) = (decoded.spec().rate(), decoded.num_planes());
        if rate != self.info.sample_rate || channels != self.info.channels {
            let what = format!(
                "the stream changes from {} Hz, {} channels to {rate} Hz, {channels} channels at sample {position}",
                self.info.sample_rate, self.info.channels
            );
            return Err(Cause::Unsupported { format: format.name(), what });
        }
        decoded.copy_to_vecs_planar(&mut self.planes);
        if channel.index().is_none() {
            mix(&mut self.planes);
        }
        // The last packet of an MP4 track is cut to its duration, counted in samples like everything in such a file.
        let duration = packet.dur.get();
        let cut = format == Format::Mp4 && self.info.num_samples.is_some() && duration > 0;
        Ok(if cut { frames.min(usize::try_from(duration).unwrap_or(frames)) } else { frames })
    }

    /// The next packet of the track, or `None` at the end.
    fn next_packet(&mut self, position: u64) -> Fallible<Option<Packet>> {
        if let Some(packet) = self.first.take() {
            return Ok(Some(packet));
        }
        loop {
            match self.reader.next_packet() {
                Ok(Some(packet)) if packet.track_id == self.track => return Ok(Some(packet)),
                Ok(Some(_)) => {}
                Ok(None) => return Ok(None),
                Err(SymphoniaError::IoError(error)) if error.kind() == std::io::ErrorKind::UnexpectedEof => {
                    return Err(Cause::Truncated { found: position, expected: self.info.num_samples });
                }
                Err(error) => return Err(decode_error(self.info.format, position, error)),
            }
        }
    }

    fn damaged(&self, at_sample: u64, message: &str) -> Cause {
        Cause::Decode { format: self.info.format.name(), at_sample, message: message.to_owned() }
    }
}

/// Refuses a header by which a decoder would take memory that the file does not account for.
fn require_small_packets(format: Format, parameters: &AudioCodecParameters) -> Fallible<()> {
    let channels = parameters.channels.as_ref().map_or(1, |channels| channels.count());
    let frames = parameters.max_frames_per_packet.unwrap_or(0);
    if frames.saturating_mul(channels as u64) <= MAX_PACKET_SAMPLES {
        return Ok(());
    }
    let what = format!(
        "packets of {frames} samples of {channels} channels, expected at most {MAX_PACKET_SAMPLES} in all"
    );
    Err(Cause::Malformed { format: format.name(), what })
}

/// The mean of the channels into the first plane.
fn mix(planes: &mut [Vec<f32>]) {
    let channels = planes.len() as f32;
    if let [first, rest @ ..] = planes {
        for (index, value) in first.iter_mut().enumerate() {
            *value = (*value + rest.iter().map(|plane| plane[index]).sum::<f32>()) / channels;
        }
    }
}

fn open_reader(stream: Stream, content: Content) -> Result<Box<dyn FormatReader>, SymphoniaError> {
    let mut source = MediaSourceStream::new(Box::new(stream), Default::default());
    let options = FormatOptions::default();
    Ok(match content {
        // Not through the probe, which also looks for metadata at the end of the file.
        Content::Flac => Box::new(FlacReader::try_new(source, options)?),
        // Nor this one: the probe looks for `ftyp`, which comes after the four bytes of a length, and logs for every
        // good file that it skipped four bytes of junk. The reader expects to be behind that length, too.
        Content::Mp4 => {
            source.ignore_bytes(4)?;
            Box::new(IsoMp4Reader::try_new(source, options)?)
        }
        _ => get_probe().probe(&Hint::new(), source, options, MetadataOptions::default())?,
    })
}

fn format_of(short_name: &str) -> Format {
    match short_name {
        "flac" => Format::Flac,
        "ogg" => Format::Ogg,
        "isomp4" => Format::Mp4,
        "aac" => Format::Adts,
        "aiff" => Format::Aiff,
        "caf" => Format::Caf,
        "matroska" | "webm" => Format::Matroska,
        "wave" => Format::Wav,
        _ => Format::Mp3,
    }
}

/// A fault of the container's header. An early end means a truncated file whatever the words.
fn header_error(format: &'static str, error: SymphoniaError) -> Cause {
    match error {
        // "missing moov atom": an MP4 that was cut before its index.
        SymphoniaError::Unsupported(what) if what.contains("missing") => {
            Cause::Malformed { format, what: format!("{what}: is the file truncated?") }
        }
        SymphoniaError::Unsupported(what) => Cause::Unsupported { format, what: what.to_owned() },
        SymphoniaError::IoError(error) if error.kind() == std::io::ErrorKind::UnexpectedEof => {
            Cause::Malformed { format, what: "the file ends inside its header".to_owned() }
        }
        SymphoniaError::IoError(error) => Cause::Io(error),
        error => Cause::Malformed { format, what: error.to_string() },
    }
}

fn decode_error(format: Format, at_sample: u64, error: SymphoniaError) -> Cause {
    match error {
        SymphoniaError::Unsupported(what) => {
            Cause::Unsupported { format: format.name(), what: what.to_owned() }
        }
        SymphoniaError::ResetRequired => Cause::Unsupported {
            format: format.name(),
            what: format!("a second stream follows the first one at sample {at_sample}"),
        },
        error => Cause::Decode { format: format.name(), at_sample, message: error.to_string() },
    }
}

/// A crafted file can make the arithmetic of a decoder panic, for example a FLAC seek table with huge offsets. That
/// must not end a training run.
fn guarded<T>(format: &'static str, at_sample: u64, work: impl FnOnce() -> Fallible<T>) -> Fallible<T> {
    catch_unwind(AssertUnwindSafe(work)).unwrap_or_else(|_| {
        Err(Cause::Decode { format, at_sample, message: "the decoder failed on this content".to_owned() })
    })
}
