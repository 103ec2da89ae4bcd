#![doc = include_str!("../README.md")]

mod coded;
mod error;
mod identify;
mod lowpass;
mod options;
mod pcm;
mod polyphase;
mod resample;
mod source;
mod stream;
mod watch;
mod wav;
mod write;

use std::path::Path;

use lowpass::Lowpass;
use resample::with_resampler;
use source::Source;
use stream::Stream;

pub use error::{Cause, Error, MAX_RATIO, MAX_SAMPLE_RATE, MAX_SAMPLES, Result};
pub use options::{Audio, AudioInfo, Channel, Format, ReadOptions, UnknownChannel};
pub use resample::Resampler;
pub use watch::{Stage, Watch};
pub use write::{SampleFormat, write_wav};

use error::Fallible;

/// Reads one channel of a whole file.
///
/// # Errors
/// The file is missing, empty, truncated, damaged or not audio, has no such channel, holds NaN or infinite samples, or is
/// longer than [`MAX_SAMPLES`].
pub fn read(path: impl AsRef<Path>, options: &ReadOptions) -> Result<Audio> {
    read_watched(path, options, &mut ())
}

/// As [`read`]; `watch` is told what it is doing.
///
/// # Errors
/// As [`read`].
pub fn read_watched(path: impl AsRef<Path>, options: &ReadOptions, watch: &mut dyn Watch) -> Result<Audio> {
    let path = path.as_ref();
    watch.enter(Stage::Read);
    Stream::open(path).and_then(|stream| read_stream(stream, options, watch)).map_err(|cause| cause.at(path))
}

/// As [`read`], from the bytes of a file; `name` stands for the path in errors.
///
/// # Errors
/// As [`read`].
pub fn read_bytes(name: &str, bytes: Vec<u8>, options: &ReadOptions) -> Result<Audio> {
    read_stream(Stream::from_bytes(bytes), options, &mut ()).map_err(|cause| cause.at(Path::new(name)))
}

/// Reads a file's header, without decoding any audio.
///
/// # Errors
/// As [`read`], as far as the header shows it; that includes a WAV file that is shorter than its header says.
pub fn probe(path: impl AsRef<Path>) -> Result<AudioInfo> {
    let path = path.as_ref();
    Stream::open(path).and_then(Source::open).map(|source| *source.info()).map_err(|cause| cause.at(path))
}

/// Samples per channel at the file's own rate. Decodes the file where the header does not tell.
///
/// # Errors
/// As [`probe`], and as [`read`] where the file is decoded.
pub fn count_samples(path: impl AsRef<Path>) -> Result<u64> {
    let path = path.as_ref();
    Stream::open(path)
        .and_then(Source::open)
        .and_then(|mut source| source.count())
        .map_err(|cause| cause.at(path))
}

/// Reads `len` samples from `start` on, both counted at the output rate. The samples are those that [`read`] returns at the
/// same place (within 1e-6 of full scale where a rate change or the low-pass is involved).
///
/// From PCM WAV and FLAC only the bytes around the crop are read; other formats are decoded from their start to the end of
/// the crop. Faults elsewhere in the file may therefore go unseen, but a WAV file shorter than its header says is always an
/// error.
///
/// # Errors
/// As [`read`], and where the crop reaches past the end of the file.
pub fn read_crop(path: impl AsRef<Path>, start: u64, len: usize, options: &ReadOptions) -> Result<Audio> {
    read_crop_watched(path, start, len, options, &mut ())
}

/// As [`read_crop`]; `watch` is told what it is doing.
///
/// # Errors
/// As [`read_crop`].
pub fn read_crop_watched(
    path: impl AsRef<Path>,
    start: u64,
    len: usize,
    options: &ReadOptions,
    watch: &mut dyn Watch,
) -> Result<Audio> {
    let path = path.as_ref();
    watch.enter(Stage::Read);
    let mut samples = Vec::new();
    let sample_rate = Stream::open(path)
        .and_then(Source::open)
        .and_then(|mut source| {
            if let Some(available) = output_samples(source.info(), options)? {
                require_inside(source.info(), options, start, len, available)?;
            }
            if len as u64 > MAX_SAMPLES {
                return Err(Cause::TooLong);
            }
            samples.resize(len, 0.0);
            crop(&mut source, start, &mut samples, options, watch)
        })
        .map_err(|cause| cause.at(path))?;
    Ok(Audio { samples, sample_rate })
}

/// As [`read_crop`], into a buffer of the caller whose length is the crop's. Returns the output rate.
///
/// # Errors
/// As [`read_crop`]; the buffer's content is then unspecified.
pub fn read_crop_into(
    path: impl AsRef<Path>,
    start: u64,
    out: &mut [f32],
    options: &ReadOptions,
) -> Result<u32> {
    let path = path.as_ref();
    Stream::open(path)
        .and_then(Source::open)
        .and_then(|mut source| crop(&mut source, start, out, options, &mut ()))
        .map_err(|cause| cause.at(path))
}

fn read_stream(stream: Stream, options: &ReadOptions, watch: &mut dyn Watch) -> Fallible<Audio> {
    let mut source = Source::open(stream)?;
    let from = source.info().sample_rate;
    let to = options.sample_rate.unwrap_or(from);
    require_rate(to)?;
    let mut samples = source.read_all(options.channel, watch)?;
    if let Some(lowpass) = lowpass(from, options) {
        watch.enter(Stage::Resample);
        lowpass.apply(&mut samples);
    }
    if from != to {
        watch.enter(Stage::Resample);
        let len = samples.len() as u64;
        samples = with_resampler(from, to, |resampler| resampler.process(&samples))?;
        if samples.is_empty() {
            return Err(Cause::TooShortToResample { samples: len, from, to });
        }
    }
    Ok(Audio { samples, sample_rate: to })
}

/// Fills `out` with the samples from `start` on, at the output rate, which it returns.
fn crop(
    source: &mut Source,
    start: u64,
    out: &mut [f32],
    options: &ReadOptions,
    watch: &mut dyn Watch,
) -> Fallible<u32> {
    let from = source.info().sample_rate;
    let to = options.sample_rate.unwrap_or(from);
    require_rate(to)?;
    let len = out.len();
    if let Some(available) = output_samples(source.info(), options)? {
        require_inside(source.info(), options, start, len, available)?;
    }
    let lowpass = lowpass(from, options);
    if from == to && lowpass.is_none() {
        if let Some(available) = source.read_range(start, options.channel, out, watch)? {
            require_inside(source.info(), options, start, len, available)?;
        }
        return Ok(to);
    }
    let settling = lowpass.as_ref().map_or(0, Lowpass::memory);
    if from == to {
        let context = settling.min(start);
        let mut samples = vec![0.0; context as usize + len];
        if let Some(available) = source.read_range(start - context, options.channel, &mut samples, watch)? {
            require_inside(source.info(), options, start, len, available)?;
        }
        watch.enter(Stage::Resample);
        if let Some(lowpass) = lowpass {
            lowpass.apply(&mut samples);
        }
        out.copy_from_slice(&samples[context as usize..]);
        return Ok(to);
    }
    with_resampler(from, to, |resampler| {
        let range = resampler.input_range(start, len as u64);
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
        if let Some(total) = source.read_range(begin, options.channel, &mut samples, watch)? {
            require_inside(source.info(), options, start, len, resampler.output_len(total))?;
            samples.truncate(total.saturating_sub(begin) as usize);
        }
        watch.enter(Stage::Resample);
        if let Some(lowpass) = &lowpass {
            lowpass.apply(&mut samples);
        }
        resampler.process_range(&samples, begin, start, out)
    })?;
    Ok(to)
}

/// The low-pass of the baseline, where it is asked for and does anything.
fn lowpass(sample_rate: u32, options: &ReadOptions) -> Option<Lowpass> {
    if options.compat_lowpass { Lowpass::of_baseline(sample_rate) } else { None }
}

/// Samples of the file at the output rate, where its header tells.
fn output_samples(info: &AudioInfo, options: &ReadOptions) -> Fallible<Option<u64>> {
    let from = info.sample_rate;
    match (info.num_samples, options.sample_rate) {
        (Some(samples), Some(to)) if to != from => {
            with_resampler(from, to, |resampler| Ok(Some(resampler.output_len(samples))))
        }
        (samples, _) => Ok(samples),
    }
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

fn require_rate(rate: u32) -> Fallible<()> {
    if rate == 0 || rate > MAX_SAMPLE_RATE { Err(Cause::SampleRate { found: rate }) } else { Ok(()) }
}

/// `first` is the index of `samples[0]` in the file.
fn require_finite(samples: &[f32], first: u64) -> Fallible<()> {
    match samples.iter().position(|sample| !sample.is_finite()) {
        Some(index) => Err(Cause::NotFinite { index: first + index as u64, value: samples[index] }),
        None => Ok(()),
    }
}
