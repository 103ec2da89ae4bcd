//! The `.npy` form: a header in Python's notation, then the elements.

use super::dtype::Dtype;

pub(crate) const MAGIC: &[u8] = b"\x93NUMPY";

/// A file in memory: what its header says, and the bytes after it.
#[derive(Debug)]
pub(crate) struct NpyArray<'a> {
    pub(crate) dtype: Dtype,
    pub(crate) fortran_order: bool,
    pub(crate) shape: Vec<usize>,
    /// Where the dtype is not `object`: as many bytes as the shape asks for.
    pub(crate) data: &'a [u8],
}

/// Reads a `.npy` file.
///
/// # Errors
/// A message: it is not of this form, is cut short, or holds elements other than float, double, text or objects.
pub(crate) fn parse(bytes: &[u8]) -> Result<NpyArray<'_>, String> {
    let short = || "a numpy file that was cut short: save or copy it again".to_owned();
    let rest = bytes
        .strip_prefix(MAGIC)
        .ok_or_else(|| "not a numpy file: it does not begin with \\x93NUMPY".to_owned())?;
    let (&[major, _minor], rest) = rest.split_first_chunk().ok_or_else(short)?;
    let (len, rest) = match major {
        1 => rest.split_first_chunk().map(|(&len, rest)| (usize::from(u16::from_le_bytes(len)), rest)),
        2 | 3 => rest.split_first_chunk().map(|(&len, rest)| (u32::from_le_bytes(len) as usize, rest)),
        _ => {
            return Err(format!("version {major} of numpy's form: 1 to 3 can be read"));
        }
    }
    .ok_or_else(short)?;
    let (header, data) = rest.split_at_checked(len).ok_or_else(short)?;
    let header = std::str::from_utf8(header).map_err(|_| "a numpy header that is not text".to_owned())?;
    let Header { descr, fortran_order, shape } = Header::parse(header)
        .ok_or_else(|| format!("a numpy header that is not understood: `{}`", shortened(header)))?;
    let dtype = Dtype::parse(descr).ok_or_else(|| {
        format!(
            "a numpy array of type `{}`: float32 and float64 are read (use .astype('float32'))",
            shortened(descr)
        )
    })?;
    let count = shape.iter().try_fold(1_usize, |count, &n| count.checked_mul(n));
    let size = count.and_then(|count| count.checked_mul(dtype.size())).ok_or_else(short)?;
    let data = match dtype.kind {
        super::dtype::Kind::Object => data,
        _ => data.get(..size).ok_or_else(short)?,
    };
    Ok(NpyArray { dtype, fortran_order, shape, data })
}

impl NpyArray<'_> {
    /// Rows, columns and the numbers row after row.
    ///
    /// # Errors
    /// A message: the array has not two dimensions, or is not of numbers.
    pub(crate) fn matrix(&self) -> Result<(usize, usize, Vec<f32>), String> {
        let &[rows, cols] = self.shape.as_slice() else {
            return Err(format!("a numpy array of shape {:?} where [utterances, dim] belongs", self.shape));
        };
        let floats = self.floats()?;
        if !self.fortran_order || floats.is_empty() {
            return Ok((rows, cols, floats));
        }
        let mut data = vec![0.0; floats.len()];
        for (col, column) in floats.chunks_exact(rows).enumerate() {
            for (row, &number) in column.iter().enumerate() {
                data[row * cols + col] = number;
            }
        }
        Ok((rows, cols, data))
    }

    /// The numbers of an array with one dimension, or one that is not 1.
    ///
    /// # Errors
    /// A message: it has more.
    pub(crate) fn vector(&self) -> Result<Vec<f32>, String> {
        if !is_vector(&self.shape) {
            return Err(format!("a numpy array of shape {:?} where a vector belongs", self.shape));
        }
        self.floats()
    }

    fn floats(&self) -> Result<Vec<f32>, String> {
        self.dtype
            .floats(self.data)
            .ok_or_else(|| "a numpy array of text or objects where numbers belong".to_owned())
    }
}

/// Whether a shape is that of one vector: `[dim]`, `[1, dim]`, `[dim, 1]`.
pub(crate) fn is_vector(shape: &[usize]) -> bool {
    !shape.is_empty() && shape.iter().filter(|&&n| n != 1).count() <= 1
}

/// A `.npy` header of version 1 for little-endian elements in C order, filled up so that the elements begin at a
/// multiple of 64 bytes as numpy has it.
pub(crate) fn header(descr: &str, shape: &str) -> Vec<u8> {
    let mut text = format!("{{'descr': '{descr}', 'fortran_order': False, 'shape': {shape}, }}");
    let unpadded = MAGIC.len() + 4 + text.len() + 1;
    text.extend(std::iter::repeat_n(' ', unpadded.next_multiple_of(64) - unpadded));
    text.push('\n');
    let mut out = MAGIC.to_vec();
    out.extend_from_slice(&[1, 0]);
    // The names and numbers here make a header of at most some hundred bytes.
    out.extend_from_slice(&(text.len() as u16).to_le_bytes());
    out.extend_from_slice(text.as_bytes());
    out
}

#[derive(Debug, PartialEq)]
struct Header<'a> {
    descr: &'a str,
    fortran_order: bool,
    shape: Vec<usize>,
}

impl<'a> Header<'a> {
    /// Reads a Python dict with the three entries that numpy writes, in any order.
    fn parse(text: &'a str) -> Option<Self> {
        let mut rest = text.trim().strip_prefix('{')?.strip_suffix('}')?.trim();
        let (mut descr, mut fortran_order, mut shape) = (None, None, None);
        while !rest.is_empty() {
            let (key, value) = quoted(rest)?;
            let value = value.trim_start().strip_prefix(':')?.trim_start();
            rest = match key {
                "descr" => {
                    let (name, rest) = quoted(value)?;
                    descr = Some(name);
                    rest
                }
                "fortran_order" => match value.strip_prefix("True") {
                    Some(rest) => {
                        fortran_order = Some(true);
                        rest
                    }
                    None => {
                        fortran_order = Some(false);
                        value.strip_prefix("False")?
                    }
                },
                "shape" => {
                    let (numbers, rest) = value.strip_prefix('(')?.split_once(')')?;
                    // Python 2 writes long integers as `3L`.
                    let lengths =
                        numbers.split(',').map(|n| n.trim().trim_end_matches('L')).filter(|n| !n.is_empty());
                    shape = Some(lengths.map(|n| n.parse().ok()).collect::<Option<Vec<usize>>>()?);
                    rest
                }
                _ => return None,
            };
            rest = rest.trim_start();
            rest = rest.strip_prefix(',').unwrap_or(rest).trim_start();
        }
        Some(Self { descr: descr?, fortran_order: fortran_order?, shape: shape? })
    }
}

/// A Python string at the start of `text`, and what follows it.
fn quoted(text: &str) -> Option<(&str, &str)> {
    let quote = text.chars().next().filter(|&c| c == '\'' || c == '"')?;
    text[1..].split_once(quote)
}

fn shortened(text: &str) -> String {
    text.chars().take(120).collect::<String>().escape_debug().to_string()
}

#[cfg(test)]
mod tests {
    use super::Header;

    #[test]
    fn headers_of_numpy_old_and_new() {
        let header = |descr, fortran_order, shape: &[usize]| {
            Some(Header { descr, fortran_order, shape: shape.to_vec() })
        };
        let new = "{'descr': '<f4', 'fortran_order': False, 'shape': (3, 4), }        \n";
        assert_eq!(Header::parse(new), header("<f4", false, &[3, 4]));
        assert_eq!(
            Header::parse("{'shape': (5L,), 'fortran_order': True, 'descr': '|O'}"),
            header("|O", true, &[5])
        );
        assert_eq!(
            Header::parse("{'descr': '|O', 'fortran_order': False, 'shape': (), }"),
            header("|O", false, &[])
        );
        assert_eq!(Header::parse("{'descr': [('a', '<f4')], 'fortran_order': False, 'shape': (), }"), None);
        assert_eq!(Header::parse("{'descr': '<f4', 'fortran_order': False, 'shape': (-1,), }"), None);
        assert_eq!(Header::parse("{"), None);
    }
}
