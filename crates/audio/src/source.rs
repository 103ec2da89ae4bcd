//! An opened file of any format, as a source of samples of one channel at its own rate.

use std::io::{Read, Seek, SeekFrom};
use std::ops::ControlFlow;

use crate::coded::{Coded, Ended};
use crate::error::{Cause, Fallible};
use crate::identify::{Content, PREFIX_LEN, identify};
use crate::layout::Layout;
use crate::stream::Stream;
use crate::wav::{self, Header};
use crate::{AudioInfo, Channel, Format};
use crate::{au, mp4_edits, sphere, w64};

/// Bytes at the end of an Ogg file that hold its last page, which is at most 65,307 bytes long.
const OGG_TAIL: u64 = 1 << 17;
/// Seconds by which a segment may end after its recording (`--max-overshoot` of Kaldi's `extract-segments`): times of
/// transcribers are not exact.
const MAX_OVERSHOOT_S: f64 = 0.5;

/// Samples of a file, or of a part of it.
pub(crate) struct Source {
    samples: Samples,
    /// Of the part, where there is one.
    info: AudioInfo,
    /// First sample of the part in the file: that of a segment, or behind what an encoder put first.
    first: u64,
}

enum Samples {
    Pcm { stream: Stream, layout: Layout },
    Coded(Box<Coded>),
}

impl Source {
    /// Identifies the content and reads the header.
    pub(crate) fn open(mut stream: Stream) -> Fallible<Self> {
        let mut prefix = [0; PREFIX_LEN];
        let prefix = &mut prefix[..stream.len().min(PREFIX_LEN as u64) as usize];
        if prefix.is_empty() {
            return Err(Cause::Empty);
        }
        stream.read_exact(prefix)?;
        let content = identify(prefix).map_err(|looks_like| Cause::NotAudio { looks_like })?;
        let layout = match content {
            Content::Wav => match wav::read_header(&mut stream)? {
                Header::Pcm(layout) => Some(layout),
                Header::Other => None,
            },
            Content::Au => Some(au::read_header(&mut stream)?),
            Content::Sphere => Some(sphere::read_header(&mut stream)?),
            Content::W64 => Some(w64::read_header(&mut stream)?),
            Content::Flac | Content::Mp4 | Content::Coded => None,
        };
        if let Some(layout) = layout {
            crate::require_rate(layout.sample_rate)?;
            let info = layout.info();
            return Ok(Self { samples: Samples::Pcm { stream, layout }, info, first: 0 });
        }
        let is_ogg = prefix.starts_with(b"OggS");
        if is_ogg && !ogg_is_complete(&mut stream)? {
            return Err(Cause::Malformed {
                format: Format::Ogg.name(),
                what: "truncated: the end-of-stream page is missing".to_owned(),
            });
        }
        let edit = if content == Content::Mp4 { mp4_edits::read(&mut stream)? } else { None };
        let coded = Box::new(Coded::open(stream, content)?);
        let mut info = *coded.info();
        let mut first = 0;
        if let Some(edit) = edit {
            (first, info.num_samples) = edit.samples(info.sample_rate, info.num_samples);
            if info.num_samples == Some(0) {
                return Err(Cause::NoSamples);
            }
        }
        Ok(Self { samples: Samples::Coded(coded), info, first })
    }

    pub(crate) fn info(&self) -> &AudioInfo {
        &self.info
    }

    /// Only the samples from `start_s` to `end_s` seconds (`None`: to the end), by the rules of Kaldi's `extract-segments`:
    /// times become samples by rounding down, and an end at most [`MAX_OVERSHOOT_S`] past that of the recording is that of the
    /// recording.
    pub(crate) fn cut(&mut self, start_s: f64, end_s: Option<f64>) -> Fallible<()> {
        let total = self.count()?;
        let rate = f64::from(self.info.sample_rate);
        let past_end = |total: u64| Cause::SegmentPastEnd { start_s, end_s, duration_s: total as f64 / rate };
        // A float-to-integer cast saturates.
        let first = (start_s * rate) as u64;
        let end = end_s.map_or(total, |end_s| (end_s * rate) as u64);
        let is_part = start_s >= 0.0 && end_s.is_none_or(|end_s| end_s > start_s);
        if !is_part || end <= first && first < total {
            return Err(Cause::EmptySegment { start_s, end_s, sample_rate: self.info.sample_rate });
        }
        let overshoot = (MAX_OVERSHOOT_S * rate) as u64;
        if first >= total || (end > total && end - total >= overshoot) {
            return Err(past_end(total));
        }
        self.first += first;
        self.info.num_samples = Some(end.min(total) - first);
        Ok(())
    }

    /// All samples of one channel, if there are at most `most`.
    pub(crate) fn read_all(&mut self, channel: Channel, most: u64) -> Fallible<Option<Vec<f32>>> {
        self.require_channel(channel)?;
        let (first, count) = (self.first, self.info.num_samples);
        if count.is_some_and(|count| count > most) {
            return Ok(None);
        }
        match &mut self.samples {
            Samples::Pcm { stream, layout } => {
                let mut samples = vec![0.0; count.unwrap_or(0) as usize];
                layout.read(stream, first, channel, &mut samples)?;
                Ok(Some(samples))
            }
            Samples::Coded(coded) => {
                // The whole file is decoded to its end, which shows whether all of it is there. A part ends with its last sample.
                let wanted = count.filter(|_| coded.info().num_samples != count);
                // The header's count is a claim: memory grows with what is really there.
                let mut samples = Vec::new();
                let ended = coded.run(first, channel, |block| {
                    let left = wanted.map_or(usize::MAX, |wanted| wanted as usize - samples.len());
                    let block = &block[..block.len().min(left)];
                    if (samples.len() + block.len()) as u64 > most {
                        return ControlFlow::Break(());
                    }
                    samples.extend_from_slice(block);
                    if block.len() == left { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
                })?;
                match ended {
                    Ended::Stopped if wanted == Some(samples.len() as u64) => Ok(Some(samples)),
                    Ended::Stopped => Ok(None),
                    Ended::AtEnd(_) if samples.is_empty() => Err(Cause::NoSamples),
                    Ended::AtEnd(_) => Ok(Some(samples)),
                }
            }
        }
    }

    /// Fills `out` from sample `start` on. Where the file turns out to end before that (which a header that tells its length
    /// rules out beforehand), returns the file's number of samples.
    pub(crate) fn read_range(
        &mut self,
        start: u64,
        channel: Channel,
        out: &mut [f32],
    ) -> Fallible<Option<u64>> {
        self.require_channel(channel)?;
        let first = self.first;
        // Where the header tells no length, a start may be any number: it is past the end then.
        let start = first.saturating_add(start);
        match &mut self.samples {
            Samples::Pcm { stream, layout } => {
                layout.read(stream, start, channel, out)?;
                Ok(None)
            }
            Samples::Coded(_) if out.is_empty() => Ok(None),
            Samples::Coded(coded) => {
                let mut filled = 0;
                let ended = coded.run(start, channel, |block| {
                    let count = block.len().min(out.len() - filled);
                    out[filled..filled + count].copy_from_slice(&block[..count]);
                    filled += count;
                    if filled == out.len() { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
                })?;
                Ok(match ended {
                    Ended::Stopped => None,
                    Ended::AtEnd(total) => Some(total.saturating_sub(first)),
                })
            }
        }
    }

    /// Samples per channel, decoded where the header does not tell.
    pub(crate) fn count(&mut self) -> Fallible<u64> {
        let first = self.first;
        match (self.info.num_samples, &mut self.samples) {
            (Some(samples), _) => Ok(samples),
            (None, Samples::Pcm { layout, .. }) => Ok(layout.num_samples),
            (None, Samples::Coded(coded)) => {
                let mut samples = 0;
                coded.run(first, Channel::First, |block| {
                    samples += block.len() as u64;
                    ControlFlow::Continue(())
                })?;
                if samples == 0 { Err(Cause::NoSamples) } else { Ok(samples) }
            }
        }
    }

    fn require_channel(&self, channel: Channel) -> Fallible<()> {
        let channels = self.info.channels;
        match channel.index() {
            Some(wanted) if wanted >= channels => Err(Cause::NoSuchChannel { wanted, channels }),
            _ => Ok(()),
        }
    }
}

/// Whether the last page of an Ogg file is whole and marked as the last one of its stream. A file cut between pages is
/// otherwise just a shorter file.
fn ogg_is_complete(stream: &mut Stream) -> Fallible<bool> {
    let start = stream.len().saturating_sub(OGG_TAIL);
    let mut tail = vec![0; (stream.len() - start) as usize];
    stream.seek(SeekFrom::Start(start))?;
    stream.read_exact(&mut tail)?;
    // "OggS" may also occur inside a page: the one whose page ends with the file is the last page.
    let is_last = |page: &[u8]| {
        let segments = usize::from(*page.get(26)?);
        let body: usize = page.get(27..27 + segments)?.iter().map(|&len| usize::from(len)).sum();
        (page.len() == 27 + segments + body).then_some(page[5] & 4 != 0)
    };
    let pages = tail.windows(4).enumerate().filter(|(_, magic)| magic == b"OggS").map(|(at, _)| &tail[at..]);
    Ok(pages.filter_map(is_last).any(|ends| ends))
}

#[cfg(test)]
mod tests {
    use std::io::{self, Cursor};
    use std::sync::Arc;
    use std::sync::atomic::{AtomicU64, Ordering};

    use symphonia::core::io::MediaSource;

    use super::*;

    /// Counts the bytes that are read from it.
    struct Counted(Cursor<Vec<u8>>, Arc<AtomicU64>);

    impl Read for Counted {
        fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
            let count = self.0.read(buf)?;
            self.1.fetch_add(count as u64, Ordering::Relaxed);
            Ok(count)
        }
    }

    impl Seek for Counted {
        fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
            self.0.seek(to)
        }
    }

    impl MediaSource for Counted {
        fn is_seekable(&self) -> bool {
            true
        }

        fn byte_len(&self) -> Option<u64> {
            Some(self.0.get_ref().len() as u64)
        }
    }

    /// Bytes read to get a crop.
    fn bytes_for_crop(file: Vec<u8>, start: u64, len: usize) -> u64 {
        let count = Arc::new(AtomicU64::new(0));
        let file_len = file.len() as u64;
        let stream = Stream::new(Box::new(Counted(Cursor::new(file), count.clone())), file_len);
        let mut source = Source::open(stream).unwrap();
        assert_eq!(source.read_range(start, Channel::First, &mut vec![0.0; len]).unwrap(), None);
        count.load(Ordering::Relaxed)
    }

    #[test]
    fn a_crop_of_a_wav_file_reads_its_header_and_the_crop() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("a.wav");
        crate::write_wav(&path, &vec![0.1; 600_000], 16_000, crate::SampleFormat::Pcm16).unwrap();
        let read = bytes_for_crop(std::fs::read(path).unwrap(), 500_000, 32_000);
        assert!(read <= 64_000 + 1024 + PREFIX_LEN as u64, "{read} bytes");
    }

    fn a_crop_of_a_flac_file_reads_a_part_of_it() {
        let path = ffsvc_test_data::shared("corpora/music/loop_garzul.flac");
        let file = std::fs::read(&path).unwrap();
        let (len, samples) = (file.len() as u64, crate::AudioFile::open(&path).unwrap().frames().unwrap());
        let read = bytes_for_crop(file, samples / 2, 4000);
        println!("{read} of {len} bytes");
        assert!(read < len / 4, "{read} of {len} bytes");
    }

    ffsvc_test_data::shared_tests!(a_crop_of_a_flac_file_reads_a_part_of_it);
}
