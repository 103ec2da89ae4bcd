//! The numbers of a constant.

use half::{bf16, f16};

use crate::error::{Error, Result};
use crate::messages::{ElementType, Tensor};

impl Tensor {
    /// Sizes, outermost first; `None` if one is negative or there are more values than memory.
    pub fn shape(&self) -> Option<Vec<usize>> {
        let sizes: Option<Vec<usize>> = self.dims.iter().map(|&size| usize::try_from(size).ok()).collect();
        let sizes = sizes?;
        sizes.iter().try_fold(1usize, |product, &size| product.checked_mul(size))?;
        Some(sizes)
    }

    /// Whether its values are floats.
    pub fn has_floats(&self) -> bool {
        let kinds = [ElementType::Float, ElementType::Float16, ElementType::Double, ElementType::Bfloat16];
        ElementType::try_from(self.data_type).is_ok_and(|kind| kinds.contains(&kind))
    }

    /// The values, row-major, as 32-bit floats.
    ///
    /// # Errors
    /// [`Error::NoFloats`] for values of another type, [`Error::Size`] if they do not fill the shape.
    pub fn floats(&self) -> Result<Vec<f32>> {
        let raw = &self.raw_data[..];
        let bits = |number: fn(u16) -> f32| match raw.is_empty() {
            true => self.int32_data.iter().map(|&bits| number(bits as u16)).collect(),
            false => numbers(raw, |bytes| number(u16::from_le_bytes(bytes))),
        };
        let (values, bytes_of_one) = match ElementType::try_from(self.data_type) {
            Ok(ElementType::Float) if raw.is_empty() => (self.float_data.clone(), 4),
            Ok(ElementType::Float) => (numbers(raw, f32::from_le_bytes), 4),
            Ok(ElementType::Double) if raw.is_empty() => {
                (self.double_data.iter().map(|&value| value as f32).collect(), 8)
            }
            Ok(ElementType::Double) => (numbers(raw, |bytes| f64::from_le_bytes(bytes) as f32), 8),
            Ok(ElementType::Float16) => (bits(|bits| f16::from_bits(bits).to_f32()), 2),
            Ok(ElementType::Bfloat16) => (bits(|bits| bf16::from_bits(bits).to_f32()), 2),
            _ => return Err(Error::NoFloats { name: self.name.clone(), found: self.data_type }),
        };
        let expected = self.shape().map(|shape| shape.iter().product());
        if expected == Some(values.len()) && raw.len().is_multiple_of(bytes_of_one) {
            return Ok(values);
        }
        let found = if raw.is_empty() { values.len() * bytes_of_one } else { raw.len() };
        let product = |product: i64, &size: &i64| product.saturating_mul(size);
        let expected = self.dims.iter().fold(bytes_of_one as i64, product);
        Err(Error::Size { name: self.name.clone(), shape: self.dims.clone(), found, expected })
    }
}

fn numbers<const N: usize>(bytes: &[u8], number: impl Fn([u8; N]) -> f32) -> Vec<f32> {
    bytes.as_chunks::<N>().0.iter().map(|bytes| number(*bytes)).collect()
}
