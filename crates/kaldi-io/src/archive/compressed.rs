//! Kaldi's compressed matrices, with the arithmetic of its `compressed-matrix.cc` operation by operation, in the same
//! precisions, so that the decoded floats are Kaldi's to the last bit.

use std::io::BufRead;

use super::Matrix;
use super::input::{Fault, Input, not_negative, shaped};

/// 1/65535 as Kaldi writes it.
const ONE_OVER_U16_MAX: f32 = 1.525_902_2e-5;

/// What stands before the codes of every kind.
struct Header {
    min: f32,
    range: f32,
    rows: u32,
    cols: u32,
}

impl Header {
    fn read<R: BufRead>(input: &mut Input<R>) -> Result<Self, Fault> {
        let what = "the header of a compressed matrix";
        let min = f32::from_le_bytes(input.array(what)?);
        let range = f32::from_le_bytes(input.array(what)?);
        let rows = not_negative(i32::from_le_bytes(input.array(what)?), "the number of rows")?;
        let cols = not_negative(i32::from_le_bytes(input.array(what)?), "the number of columns")?;
        Ok(Self { min, range, rows, cols })
    }

    fn count(&self) -> u64 {
        u64::from(self.rows) * u64::from(self.cols)
    }

    fn what(&self) -> String {
        format!("{} x {} codes of a compressed matrix", self.rows, self.cols)
    }

    /// Kaldi's `Uint16ToFloat`.
    fn percentile(&self, code: u16) -> f32 {
        self.min + self.range * ONE_OVER_U16_MAX * f32::from(code)
    }
}

/// `CM`: every column has four percentiles in 16 bits, and its numbers are 8-bit places between them.
pub(super) fn read_columns<R: BufRead>(input: &mut Input<R>) -> Result<Matrix<f32>, Fault> {
    let header = Header::read(input)?;
    let (rows, cols) = (header.rows as usize, header.cols as usize);
    let percentiles = input.bytes(u64::from(header.cols) * 8, &header.what())?;
    let codes = input.bytes(header.count(), &header.what())?;
    let mut data = vec![0.0; codes.len()];
    if rows > 0 {
        for (col, (codes, words)) in codes.chunks_exact(rows).zip(percentiles.chunks_exact(8)).enumerate() {
            let at = |i: usize| header.percentile(u16::from_le_bytes([words[2 * i], words[2 * i + 1]]));
            let percentiles = [at(0), at(1), at(2), at(3)];
            for (row, &code) in codes.iter().enumerate() {
                data[row * cols + col] = between_percentiles(percentiles, code);
            }
        }
    }
    shaped(header.rows, header.cols, data)
}

/// Kaldi's `CharToFloat`: codes 0 to 64, 64 to 192 and 192 to 255 run from one percentile (0, 25, 75, 100) to the next.
/// Its differences and products are in single precision and its fractions are double constants, so that the rest
/// happens in double.
fn between_percentiles([p0, p25, p75, p100]: [f32; 4], code: u8) -> f32 {
    let value = f32::from(code);
    let (from, rise, fraction) = match code {
        0..=64 => (p0, (p25 - p0) * value, 1.0 / 64.0),
        65..=192 => (p25, (p75 - p25) * (value - 64.0), 1.0 / 128.0),
        _ => (p75, (p100 - p75) * (value - 192.0), 1.0 / 63.0),
    };
    (f64::from(from) + f64::from(rise) * fraction) as f32
}

/// `CM2`: 16-bit numbers between the matrix's least and greatest, row-major.
pub(super) fn read_two_byte<R: BufRead>(input: &mut Input<R>) -> Result<Matrix<f32>, Fault> {
    let header = Header::read(input)?;
    let step = (f64::from(header.range) * (1.0 / 65535.0)) as f32;
    let codes = input.bytes(header.count() * 2, &header.what())?;
    let data = codes
        .chunks_exact(2)
        .map(|word| header.min + f32::from(u16::from_le_bytes([word[0], word[1]])) * step)
        .collect();
    shaped(header.rows, header.cols, data)
}

/// `CM3`: 8-bit numbers between the matrix's least and greatest, row-major.
pub(super) fn read_one_byte<R: BufRead>(input: &mut Input<R>) -> Result<Matrix<f32>, Fault> {
    let header = Header::read(input)?;
    let step = (f64::from(header.range) * (1.0 / 255.0)) as f32;
    let codes = input.bytes(header.count(), &header.what())?;
    let data = codes.iter().map(|&code| header.min + f32::from(code) * step).collect();
    shaped(header.rows, header.cols, data)
}
