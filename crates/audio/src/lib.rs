#![doc = include_str!("../README.md")]

mod archive;
mod archive_reader;
mod au;
mod audio_file;
mod coded;
mod error;
mod identify;
mod layout;
mod limits;
mod lowpass;
mod mp4_edits;
mod options;
mod opus;
mod pcm;
mod polyphase;
mod resample;
mod source;
mod sphere;
mod stages;
mod stream;
mod tar_header;
mod w64;
mod wav;
mod write;

pub use archive_reader::ArchiveReader;
pub use audio_file::AudioFile;
pub use error::{Cause, Error, MAX_RATIO, MAX_SAMPLE_RATE, MAX_SAMPLES, Result};
pub use limits::Limits;
pub use options::{Audio, AudioInfo, Channel, Format, ReadOptions, UnknownChannel};
pub use resample::Resampler;
pub use stream::recording_bytes;
pub use write::{SampleFormat, wav_bytes, write_wav};

use error::Fallible;

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
