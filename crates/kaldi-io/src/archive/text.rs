use std::io::BufRead;

use super::input::{Fault, Input};
use super::{Matrix, Value};

/// Longest number that is read: a double written out in full (`%f`) has some 300 digits before the point and as many
/// after it as was asked for.
const LONGEST_NUMBER: usize = 1024;

/// Reads `[ 1 2 3 ]`, a vector, or `[`, line break, rows, `]`, a matrix, with the rest of the last line.
///
/// As in Kaldi a line break (or `;`) between the brackets is what makes a matrix of it, and ends a row.
pub(super) fn read<R: BufRead>(input: &mut Input<R>) -> Result<Value, Fault> {
    opening(input)?;
    let mut numbers: Vec<f64> = Vec::new();
    let mut rows = Rows::default();
    loop {
        match input.peek()? {
            None => {
                return Err(Fault::Truncated { what: "`]`".to_owned() });
            }
            Some(b']') => {
                input.bump();
                break;
            }
            Some(b'\n' | b';') => {
                input.bump();
                rows.end_row(numbers.len())?;
            }
            Some(byte) if byte.is_ascii_whitespace() => input.bump(),
            Some(_) => numbers.push(number(input)?),
        }
    }
    rest_of_line(input)?;
    if !rows.is_matrix {
        return Ok(Value::DoubleVector(numbers));
    }
    rows.end_row(numbers.len())?;
    let (count, cols) = (rows.count, rows.cols);
    Matrix::from_vec(count, cols, numbers)
        .map(Value::DoubleMatrix)
        .ok_or_else(|| Fault::unexpected("rows of different lengths", "a matrix"))
}

/// Counts rows and sees to it that all have the length of the first.
#[derive(Default)]
struct Rows {
    is_matrix: bool,
    count: usize,
    cols: usize,
    counted: usize,
}

impl Rows {
    /// A line ended after `total` numbers. Lines without a number do not count.
    fn end_row(&mut self, total: usize) -> Result<(), Fault> {
        self.is_matrix = true;
        let cols = total - self.counted;
        if cols == 0 {
            return Ok(());
        }
        if self.count == 0 {
            self.cols = cols;
        } else if cols != self.cols {
            return Err(Fault::unexpected(
                format!("{cols} numbers in row {} of a matrix", self.count + 1),
                format!("{} as in its first row", self.cols),
            ));
        }
        self.count += 1;
        self.counted = total;
        Ok(())
    }
}

fn opening<R: BufRead>(input: &mut Input<R>) -> Result<(), Fault> {
    loop {
        match input.next()? {
            Some(b'[') => return Ok(()),
            Some(b' ' | b'\t') => {}
            Some(byte) => {
                return Err(Fault::unexpected(
                    format!("`{}`", byte.escape_ascii()),
                    "`[` of a text vector or matrix, or a binary object",
                ));
            }
            None => {
                return Err(Fault::Truncated { what: "a vector or a matrix".to_owned() });
            }
        }
    }
}

fn number<R: BufRead>(input: &mut Input<R>) -> Result<f64, Fault> {
    let mut digits = String::new();
    while let Some(byte) = input.peek()? {
        if byte.is_ascii_whitespace() || matches!(byte, b']' | b';') {
            break;
        }
        if digits.len() == LONGEST_NUMBER {
            let start = digits.chars().take(20).collect::<String>().escape_default().to_string();
            return Err(Fault::unexpected(
                format!("`{start}...`, over {LONGEST_NUMBER} characters"),
                "a number",
            ));
        }
        // A character for each byte: what is not ASCII is no number and ends up in the message.
        digits.push(char::from(byte));
        input.bump();
    }
    digits.parse().map_err(|_| Fault::unexpected(format!("`{}`", digits.escape_default()), "a number or `]`"))
}

fn rest_of_line<R: BufRead>(input: &mut Input<R>) -> Result<(), Fault> {
    loop {
        match input.next()? {
            None | Some(b'\n') => return Ok(()),
            Some(byte) if byte.is_ascii_whitespace() => {}
            Some(byte) => {
                return Err(Fault::unexpected(
                    format!("`{}` after `]`", byte.escape_ascii()),
                    "the end of the line",
                ));
            }
        }
    }
}
