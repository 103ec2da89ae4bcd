//! A file that is opened once, and what can be asked of it.

use std::io::Read;
use std::path::{Path, PathBuf};

use crate::error::{Cause, Fallible, MAX_SAMPLES, Result};
use crate::lowpass::Lowpass;
use crate::options::{Audio, AudioInfo, ReadOptions};
use crate::resample::with_resampler;
use crate::source::Source;
use crate::stream::Stream;
use crate::{Limits, require_rate, stages};

/// No file has so many samples. Farther starts of a crop are looked for here, where a change of rate cannot overflow.
const FARTHEST: u64 = 1 << 48;

/// An open recording: says what it is, and gives crops and the whole.
///
/// The file is opened and its header read once, in [`open`](Self::open). Any number of reads may follow, in any order.
pub struct AudioFile {
    /// The path, or the name that stands for it in errors.
    name: PathBuf,
    source: Source,
    limits: Limits,
}

impl std::fmt::Debug for AudioFile {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("AudioFile")
            .field("name", &self.name)
            .field("info", self.info())
            .finish_non_exhaustive()
    }
}

impl AudioFile {
    /// Opens a file and reads its header. A pipe or device (`/dev/stdin`) is read into memory, once.
    ///
    /// A path `ARCHIVE:OFFSET` for which there is no file means the recording at that byte of a Kaldi archive or a tar file: a WAV
    /// file, the token `AUDIO` with any file behind it, as kaldiio and ESPnet write it, or the header of a tar file's entry.
    ///
    /// # Errors
    /// The file is missing, empty, not audio, or its header is damaged; a WAV file is shorter than its header says.
    pub fn open(path: impl AsRef<Path>) -> Result<Self> {
        Self::open_with(path, Limits::default())
    }

    /// As [`open`](Self::open), with other limits.
    ///
    /// # Errors
    /// As [`open`](Self::open), and for a pipe that gives more than [`Limits::max_bytes`].
    pub fn open_with(path: impl AsRef<Path>, limits: Limits) -> Result<Self> {
        let path = path.as_ref();
        Self::from_stream(path, limits, || Stream::open(path, &limits))
    }

    /// The bytes of a file, owned (`Vec<u8>`) or shared (`Arc<[u8]>`); `name` stands for the path in errors.
    ///
    /// # Errors
    /// As [`open`](Self::open).
    pub fn from_bytes(
        name: impl AsRef<Path>,
        bytes: impl AsRef<[u8]> + Send + Sync + 'static,
    ) -> Result<Self> {
        Self::from_stream(name.as_ref(), Limits::default(), || Ok(Stream::from_bytes(bytes)))
    }

    /// The bytes that `reader` gives until its end, read into memory; `name` stands for the path in errors.
    ///
    /// # Errors
    /// As [`open_with`](Self::open_with).
    pub fn from_reader(name: impl AsRef<Path>, reader: impl Read, limits: Limits) -> Result<Self> {
        Self::from_stream(name.as_ref(), limits, || Stream::from_reader(reader, &limits))
    }

    fn from_stream(name: &Path, limits: Limits, stream: impl FnOnce() -> Fallible<Stream>) -> Result<Self> {
        let _stage = stages::read();
        let source = stream().and_then(Source::open).map_err(|cause| cause.at(name))?;
        Ok(Self { name: name.to_path_buf(), source, limits })
    }

    /// Only the part from `start_s` to `end_s` seconds (`None`: to the end), as if it were a file of its own: nothing outside of
    /// it has an effect on a change of the sample rate. Only the bytes of the part are read later where a
    /// [`crop`](Self::crop) reads only its own.
    ///
    /// The rules are those of Kaldi's `extract-segments`. Times become samples of the file by rounding down. An end that is less
    /// than half a second past that of the recording is that of the recording.
    ///
    /// ```
    /// use ffsvc_audio::{AudioFile, ReadOptions, SampleFormat, write_wav};
    /// # let dir = tempfile::tempdir()?;
    /// # let path = dir.path().join("a.wav");
    /// write_wav(&path, &[0.5; 16_000], 16_000, SampleFormat::Pcm16)?;
    /// let mut part = AudioFile::open(&path)?.with_segment(0.25, Some(0.75))?;
    /// assert_eq!(part.frames(), Some(8000));
    /// assert_eq!(part.read(&ReadOptions::at_rate(8000))?.samples.len(), 4000);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// The part is past the end of the file or has no sample. A file whose header does not tell its length cannot be decoded.
    pub fn with_segment(mut self, start_s: f64, end_s: Option<f64>) -> Result<Self> {
        match self.source.cut(start_s, end_s) {
            Ok(()) => Ok(self),
            Err(cause) => Err(cause.at(&self.name)),
        }
    }

    /// The path, or the name given in its place.
    pub fn name(&self) -> &Path {
        &self.name
    }

    /// What the header says.
    pub fn info(&self) -> &AudioInfo {
        self.source.info()
    }

    /// Samples per second and channel.
    pub fn sample_rate(&self) -> u32 {
        self.info().sample_rate
    }

    /// Number of channels.
    pub fn channels(&self) -> usize {
        self.info().channels
    }

    /// Samples per channel at the file's own rate, where the header tells.
    pub fn frames(&self) -> Option<u64> {
        self.info().num_samples
    }

    /// Samples per channel at the file's own rate. Decodes the file where the header does not tell.
    ///
    /// # Errors
    /// As [`read`](Self::read), where the file is decoded.
    pub fn count_frames(&mut self) -> Result<u64> {
        let Self { name, source, .. } = self;
        source.count().map_err(|cause| cause.at(name))
    }

    /// One channel of the whole recording.
    ///
    /// # Errors
    /// The file is truncated or damaged, has no such channel, holds NaN or infinite samples, or is longer than
    /// [`Limits::max_duration`] or [`MAX_SAMPLES`].
    pub fn read(&mut self, options: &ReadOptions) -> Result<Audio> {
        let Self { name, source, limits } = self;
        read_whole(source, options, limits).map_err(|cause| cause.at(name))
    }

    /// `len` samples from `start` on, both counted at the output rate. The samples are those that [`read`](Self::read)
    /// returns at the same place (within 1e-6 of full scale where a rate change or the low-pass is involved).
    ///
    /// From PCM WAV and FLAC only the bytes around the crop are read; other formats are decoded from their start to the
    /// end of the crop. Faults elsewhere in the file may therefore go unseen, but a WAV file shorter than its header says
    /// is always an error.
    ///
    /// # Errors
    /// As [`read`](Self::read), and where the crop reaches past the end of the file.
    pub fn crop(&mut self, start: u64, len: usize, options: &ReadOptions) -> Result<Audio> {
        let Self { name, source, .. } = self;
        let mut samples = Vec::new();
        let cropped = check_crop(source.info(), start, len, options).and_then(|()| {
            if len as u64 > MAX_SAMPLES {
                return Err(Cause::TooLong);
            }
            samples.resize(len, 0.0);
            crop(source, start, &mut samples, options)
        });
        let sample_rate = cropped.map_err(|cause| cause.at(name))?;
        Ok(Audio { samples, sample_rate })
    }

    /// As [`crop`](Self::crop), into a buffer of the caller whose length is the crop's. Returns the output rate.
    ///
    /// # Errors
    /// As [`crop`](Self::crop); the buffer's content is then unspecified.
    pub fn crop_into(&mut self, start: u64, out: &mut [f32], options: &ReadOptions) -> Result<u32> {
        let Self { name, source, .. } = self;
        check_crop(source.info(), start, out.len(), options)
            .and_then(|()| crop(source, start, out, options))
            .map_err(|cause| cause.at(name))
    }
}

fn read_whole(source: &mut Source, options: &ReadOptions, limits: &Limits) -> Fallible<Audio> {
    let from = source.info().sample_rate;
    let to = options.sample_rate.unwrap_or(from);
    require_rate(to)?;
    let Some(mut samples) = source.read_all(options.channel, limits.max_samples(from))? else {
        return Err(too_long(source.info(), limits));
    };
    if let Some(lowpass) = lowpass(from, options) {
        let _stage = stages::resample();
        lowpass.apply(&mut samples);
    }
    if from != to {
        let _stage = stages::resample();
        let len = samples.len() as u64;
        samples = with_resampler(from, to, |resampler| resampler.process(&samples))?;
        if samples.is_empty() {
            return Err(Cause::TooShortToResample { samples: len, from, to });
        }
    }
    Ok(Audio { samples, sample_rate: to })
}

fn too_long(info: &AudioInfo, limits: &Limits) -> Cause {
    match limits.max_duration {
        Some(limit) if limits.max_samples(info.sample_rate) < MAX_SAMPLES => {
            Cause::LongerThanLimit { found_s: info.duration_s(), limit }
        }
        _ => Cause::TooLong,
    }
}

/// Fills `out` with the samples from `start` on, at the output rate, which it returns.
fn crop(source: &mut Source, start: u64, out: &mut [f32], options: &ReadOptions) -> Fallible<u32> {
    let from = source.info().sample_rate;
    let to = options.sample_rate.unwrap_or(from);
    require_rate(to)?;
    let len = out.len();
    let lowpass = lowpass(from, options);
    if from == to && lowpass.is_none() {
        if let Some(available) = source.read_range(start, options.channel, out)? {
            require_inside(source.info(), options, start, len, available)?;
        }
        return Ok(to);
    }
    let settling = lowpass.as_ref().map_or(0, Lowpass::memory);
    if from == to {
        let context = settling.min(start);
        let mut samples = vec![0.0; context as usize + len];
        if let Some(available) = source.read_range(start - context, options.channel, &mut samples)? {
            require_inside(source.info(), options, start, len, available)?;
        }
        let _stage = stages::resample();
        if let Some(lowpass) = lowpass {
            lowpass.apply(&mut samples);
        }
        out.copy_from_slice(&samples[context as usize..]);
        return Ok(to);
    }
    with_resampler(from, to, |resampler| {
        let range = resampler.input_range(start.min(FARTHEST), len as u64);
        let begin = u64::try_from(range.start).unwrap_or(0).saturating_sub(settling);
        let mut end = u64::try_from(range.end).unwrap_or(0);
        if let Some(total) = source.info().num_samples {
            end = end.min(total);
        }
        let wanted = end.saturating_sub(begin);
        if wanted > MAX_SAMPLES {
            return Err(Cause::TooLong);
        }
        let mut samples = vec![0.0; wanted as usize];
        if let Some(total) = source.read_range(begin, options.channel, &mut samples)? {
            require_inside(source.info(), options, start, len, resampler.output_len(total))?;
            samples.truncate(total.saturating_sub(begin) as usize);
        }
        let _stage = stages::resample();
        if let Some(lowpass) = &lowpass {
            lowpass.apply(&mut samples);
        }
        // No file reaches `FARTHEST`, so here `start` is before it.
        resampler.process_range(&samples, begin, start, out)
    })?;
    Ok(to)
}

/// The low-pass of the baseline, where it is asked for and does anything.
fn lowpass(sample_rate: u32, options: &ReadOptions) -> Option<Lowpass> {
    if options.compat_lowpass { Lowpass::of_baseline(sample_rate) } else { None }
}

/// Refuses a crop that reaches past the end that the header tells.
fn check_crop(info: &AudioInfo, start: u64, len: usize, options: &ReadOptions) -> Fallible<()> {
    let from = info.sample_rate;
    let available = match (info.num_samples, options.sample_rate) {
        (Some(samples), Some(to)) if to != from => {
            with_resampler(from, to, |resampler| Ok(resampler.output_len(samples)))?
        }
        (Some(samples), _) => samples,
        (None, _) => return Ok(()),
    };
    require_inside(info, options, start, len, available)
}

fn require_inside(
    info: &AudioInfo,
    options: &ReadOptions,
    start: u64,
    len: usize,
    available: u64,
) -> Fallible<()> {
    let len = len as u64;
    if start.checked_add(len).is_some_and(|end| end <= available) {
        return Ok(());
    }
    Err(Cause::CropPastEnd {
        start,
        len,
        available,
        sample_rate: options.sample_rate.unwrap_or(info.sample_rate),
    })
}
