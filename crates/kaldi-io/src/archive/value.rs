use std::fmt;

/// A matrix of an archive, row-major, `[rows, cols]`. Kaldi's rows are frames and its columns are coefficients.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Matrix<T> {
    rows: usize,
    cols: usize,
    data: Vec<T>,
}

impl<T> Matrix<T> {
    /// A matrix of `rows * cols` numbers, row after row; `None` when `data` has another length, or when only one of
    /// the two dimensions is zero (Kaldi's empty matrix is 0 x 0).
    pub fn from_vec(rows: usize, cols: usize, data: Vec<T>) -> Option<Self> {
        let fits = rows.checked_mul(cols) == Some(data.len()) && (rows == 0) == (cols == 0);
        fits.then_some(Self { rows, cols, data })
    }

    /// The number of rows.
    pub fn rows(&self) -> usize {
        self.rows
    }

    /// The number of columns.
    pub fn cols(&self) -> usize {
        self.cols
    }

    /// All numbers, row after row.
    pub fn as_slice(&self) -> &[T] {
        &self.data
    }

    /// All numbers, row after row, without a copy.
    pub fn into_vec(self) -> Vec<T> {
        self.data
    }
}

/// What an archive holds under a key.
///
/// A text archive does not say how wide its numbers are: they are read as doubles, which loses no digit.
/// Compressed matrices decode to [`FloatMatrix`](Self::FloatMatrix).
#[derive(Debug, Clone, PartialEq)]
pub enum Value {
    /// Kaldi's `FV`.
    FloatVector(Vec<f32>),
    /// Kaldi's `DV`, or a text vector.
    DoubleVector(Vec<f64>),
    /// Kaldi's `FM`, or a compressed matrix.
    FloatMatrix(Matrix<f32>),
    /// Kaldi's `DM`, or a text matrix.
    DoubleMatrix(Matrix<f64>),
}

impl Value {
    /// The value as one `f32` vector: a vector, or a matrix of a single row (as some tools store embeddings).
    /// Doubles are rounded to the nearest float.
    ///
    /// # Errors
    /// A matrix of more than one row comes back as it was.
    pub fn into_f32_vector(self) -> Result<Vec<f32>, Self> {
        match self {
            Self::FloatVector(v) => Ok(v),
            Self::DoubleVector(v) => Ok(narrow(&v)),
            Self::FloatMatrix(m) if m.rows == 1 => Ok(m.data),
            Self::DoubleMatrix(m) if m.rows == 1 => Ok(narrow(&m.data)),
            matrix => Err(matrix),
        }
    }
}

/// Says what the value is, for messages: "a float matrix of 3 x 80".
impl fmt::Display for Value {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::FloatVector(v) => write!(f, "a float vector of {}", v.len()),
            Self::DoubleVector(v) => write!(f, "a double vector of {}", v.len()),
            Self::FloatMatrix(m) => write!(f, "a float matrix of {} x {}", m.rows, m.cols),
            Self::DoubleMatrix(m) => write!(f, "a double matrix of {} x {}", m.rows, m.cols),
        }
    }
}

fn narrow(doubles: &[f64]) -> Vec<f32> {
    doubles.iter().map(|&x| x as f32).collect()
}

/// The number types of an archive: `f32` and `f64`. Sealed: Kaldi has no others.
pub trait Real: Copy + fmt::Debug + sealed::Sealed {
    /// Bytes of one number.
    #[doc(hidden)]
    const SIZE: usize;
    /// The token that announces a binary vector.
    #[doc(hidden)]
    const VECTOR: &'static str;
    /// The token that announces a binary matrix.
    #[doc(hidden)]
    const MATRIX: &'static str;
    /// Decodes `SIZE` little-endian bytes.
    #[doc(hidden)]
    fn from_le(bytes: &[u8]) -> Self;
    /// Appends the little-endian bytes.
    #[doc(hidden)]
    fn append_le(self, out: &mut Vec<u8>);
}

mod sealed {
    pub trait Sealed {}
    impl Sealed for f32 {}
    impl Sealed for f64 {}
}

macro_rules! real {
    ($type:ty, $size:literal, $vector:literal, $matrix:literal) => {
        impl Real for $type {
            const SIZE: usize = $size;
            const VECTOR: &'static str = $vector;
            const MATRIX: &'static str = $matrix;

            fn from_le(bytes: &[u8]) -> Self {
                let mut word = [0; $size];
                word.copy_from_slice(bytes);
                Self::from_le_bytes(word)
            }

            fn append_le(self, out: &mut Vec<u8>) {
                out.extend_from_slice(&self.to_le_bytes());
            }
        }
    };
}

real!(f32, 4, "FV", "FM");
real!(f64, 8, "DV", "DM");
