use std::io::Write;
use std::path::Path;

use ffsvc_atomic_file::AtomicFile;

use crate::error::{Cause, Fallible, Result};

/// How samples are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum SampleFormat {
    /// 16-bit PCM: `sample * 32768`, rounded to nearest (a half away from zero) and saturated.
    #[default]
    Pcm16,
    /// 32-bit float, as they are.
    Float32,
}

/// Writes a mono WAV file, completely or not at all.
///
/// A file read as 16-bit PCM and written as [`SampleFormat::Pcm16`] keeps every sample.
///
/// # Errors
/// A sample is not finite, the rate is zero, the samples do not fit into 4 GiB, or the file cannot be written.
pub fn write_wav(
    path: impl AsRef<Path>,
    samples: &[f32],
    sample_rate: u32,
    format: SampleFormat,
) -> Result<()> {
    let path = path.as_ref();
    write(path, samples, sample_rate, format).map_err(|cause| cause.at(path))
}

/// The bytes of a mono WAV file, as [`write_wav`] writes it.
///
/// # Errors
/// As [`write_wav`], but for the file. The error has no path.
pub fn wav_bytes(samples: &[f32], sample_rate: u32, format: SampleFormat) -> Result<Vec<u8>> {
    let mut bytes = Vec::new();
    write_to(&mut bytes, samples, sample_rate, format).map_err(|cause| cause.at(Path::new("")))?;
    Ok(bytes)
}

fn write(path: &Path, samples: &[f32], sample_rate: u32, format: SampleFormat) -> Fallible<()> {
    let mut file = AtomicFile::create(path)?;
    write_to(&mut file, samples, sample_rate, format)?;
    Ok(file.commit()?)
}

fn write_to(out: &mut impl Write, samples: &[f32], sample_rate: u32, format: SampleFormat) -> Fallible<()> {
    crate::require_rate(sample_rate)?;
    crate::require_finite(samples, 0)?;
    out.write_all(&header(samples.len(), sample_rate, format)?)?;
    for sample in samples {
        match format {
            SampleFormat::Pcm16 => out.write_all(&to_i16(*sample).to_le_bytes())?,
            SampleFormat::Float32 => out.write_all(&sample.to_le_bytes())?,
        }
    }
    Ok(())
}

fn to_i16(sample: f32) -> i16 {
    // A float-to-integer cast saturates.
    (sample * 32_768.0).round() as i16
}

fn header(samples: usize, sample_rate: u32, format: SampleFormat) -> Fallible<Vec<u8>> {
    let (tag, bytes, fmt_len): (u16, u16, u32) = match format {
        SampleFormat::Pcm16 => (1, 2, 16),
        // Any format but PCM has an extension field and a fact chunk.
        SampleFormat::Float32 => (3, 4, 18),
    };
    let too_long = || Cause::TooLongForWav { samples };
    let data_len =
        samples.checked_mul(usize::from(bytes)).and_then(|n| u32::try_from(n).ok()).ok_or_else(too_long)?;
    let fact_len = if tag == 1 { 0 } else { 12 };
    let riff_len = data_len.checked_add(4 + 8 + fmt_len + fact_len + 8).ok_or_else(too_long)?;
    let mut header = Vec::with_capacity(64);
    header.extend_from_slice(b"RIFF");
    header.extend_from_slice(&riff_len.to_le_bytes());
    header.extend_from_slice(b"WAVEfmt ");
    header.extend_from_slice(&fmt_len.to_le_bytes());
    header.extend_from_slice(&tag.to_le_bytes());
    header.extend_from_slice(&1u16.to_le_bytes());
    header.extend_from_slice(&sample_rate.to_le_bytes());
    header.extend_from_slice(&(sample_rate * u32::from(bytes)).to_le_bytes());
    header.extend_from_slice(&bytes.to_le_bytes());
    header.extend_from_slice(&(8 * bytes).to_le_bytes());
    if tag != 1 {
        header.extend_from_slice(&0u16.to_le_bytes());
        header.extend_from_slice(b"fact");
        header.extend_from_slice(&4u32.to_le_bytes());
        header.extend_from_slice(&(data_len / u32::from(bytes)).to_le_bytes());
    }
    header.extend_from_slice(b"data");
    header.extend_from_slice(&data_len.to_le_bytes());
    Ok(header)
}
