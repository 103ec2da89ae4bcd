use std::io::BufRead;

use super::compressed;
use super::input::{Fault, Input, not_negative, shaped};
use super::{Matrix, Real, Value};

/// The byte that Kaldi puts before a 32-bit integer: its size.
pub(super) const INT32_MARK: u8 = 4;

/// Longest type token that is looked at; Kaldi's are two or three letters.
const LONGEST_TOKEN: usize = 16;

/// Reads an object whose `\0B` has been consumed.
pub(super) fn read<R: BufRead>(input: &mut Input<R>) -> Result<Value, Fault> {
    if input.peek()? == Some(INT32_MARK) {
        return Err(Fault::unexpected(
            "an integer or a vector of integers (alignments)",
            "a float or double vector or matrix",
        ));
    }
    let token = token(input)?;
    Ok(match token.as_str() {
        "FV" => Value::FloatVector(vector(input)?),
        "DV" => Value::DoubleVector(vector(input)?),
        "FM" => Value::FloatMatrix(matrix(input)?),
        "DM" => Value::DoubleMatrix(matrix(input)?),
        "CM" => Value::FloatMatrix(compressed::read_columns(input)?),
        "CM2" => Value::FloatMatrix(compressed::read_two_byte(input)?),
        "CM3" => Value::FloatMatrix(compressed::read_one_byte(input)?),
        other => {
            return Err(Fault::unexpected(
                format!("an object of type `{}`", other.escape_default()),
                "FV, DV, FM, DM (vectors and matrices) or CM, CM2, CM3 (compressed matrices)",
            ));
        }
    })
}

fn token<R: BufRead>(input: &mut Input<R>) -> Result<String, Fault> {
    let mut token = String::new();
    loop {
        match input.next()? {
            Some(b' ') => return Ok(token),
            Some(byte) if byte.is_ascii_graphic() && token.len() < LONGEST_TOKEN => {
                token.push(char::from(byte))
            }
            Some(byte) => {
                return Err(Fault::unexpected(
                    format!("byte 0x{byte:02x} in the type of a binary object"),
                    "a token such as `FV `",
                ));
            }
            None => {
                return Err(Fault::Truncated { what: "the type of a binary object".to_owned() });
            }
        }
    }
}

/// A dimension: the mark of a 32-bit integer and a number that is not negative.
fn dimension<R: BufRead>(input: &mut Input<R>, what: &str) -> Result<u32, Fault> {
    let [mark] = input.array::<1>(what)?;
    if mark != INT32_MARK {
        return Err(Fault::unexpected(
            format!("an integer of {mark} bytes for {what}"),
            "one of 4 bytes (is the archive from a big-endian machine?)",
        ));
    }
    not_negative(i32::from_le_bytes(input.array(what)?), what)
}

fn vector<T: Real, R: BufRead>(input: &mut Input<R>) -> Result<Vec<T>, Fault> {
    let len = dimension(input, "the vector's length")?;
    input.numbers(u64::from(len), &format!("{len} numbers of a vector"))
}

fn matrix<T: Real, R: BufRead>(input: &mut Input<R>) -> Result<Matrix<T>, Fault> {
    let rows = dimension(input, "the number of rows")?;
    let cols = dimension(input, "the number of columns")?;
    let count = u64::from(rows) * u64::from(cols);
    let numbers = input.numbers(count, &format!("{rows} x {cols} numbers of a matrix"))?;
    shaped(rows, cols, numbers)
}
