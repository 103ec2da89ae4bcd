//! Images laid out so that every tap of a kernel is a shift.
//!
//! A row of an image is copied with its padding into a row of `pitch` values, and the rows follow one another. Then
//! "the value under tap t for output position p" is `plane[offset[t] + p]` for all p in all rows. A few positions at
//! the end of each row have no meaning. A stride of 2 splits the padded image into planes of even and odd rows and
//! columns first.

/// How one axis of an image becomes one axis of planes.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Axis {
    /// Length of the image along this axis.
    pub(crate) source: usize,
    /// Positions of the image from one position of a plane to the next.
    pub(crate) step: usize,
    /// Position of the image under position 0 of the plane of phase 0; negative where there is padding.
    pub(crate) start: isize,
    /// Length of a plane.
    pub(crate) len: usize,
}

impl Axis {
    /// The part of a plane that lies on the image, and the first position of the image in it, for one phase.
    fn overlap(&self, phase: usize) -> (std::ops::Range<usize>, usize) {
        let (start, step) = (self.start + phase as isize, self.step as isize);
        let first = if start >= 0 { 0 } else { (-start).div_ceil_positive(step) };
        let past = (self.source as isize - start).max(0).div_ceil_positive(step).min(self.len as isize);
        let first = first.min(past);
        (first as usize..past as usize, (start + first * step).max(0) as usize)
    }
}

trait DivCeilPositive {
    fn div_ceil_positive(self, by: isize) -> isize;
}

impl DivCeilPositive for isize {
    /// Both at least 0, `by` at least 1. (`isize::div_ceil` is not stable.)
    fn div_ceil_positive(self, by: isize) -> isize {
        (self + by - 1) / by
    }
}

/// Copies `image` (`[rows.source, columns.source]`) to the planes of `phases`, one after the other, zeros where there is no image.
pub(crate) fn lay_out(image: &[f32], rows: Axis, columns: Axis, phases: &[[usize; 2]], planes: &mut [f32]) {
    let plane = rows.len * columns.len;
    if plane == 0 {
        return;
    }
    for (&[row_phase, column_phase], plane) in phases.iter().zip(planes.chunks_exact_mut(plane)) {
        let (on_rows, first_row) = rows.overlap(row_phase);
        let (on_columns, first_column) = columns.overlap(column_phase);
        for (r, out) in plane.chunks_exact_mut(columns.len).enumerate() {
            if !on_rows.contains(&r) {
                out.fill(0.0);
                continue;
            }
            let row = (first_row + (r - on_rows.start) * rows.step) * columns.source;
            let row = &image[row..row + columns.source];
            out[..on_columns.start].fill(0.0);
            out[on_columns.end..].fill(0.0);
            let out = &mut out[on_columns.clone()];
            if columns.step == 1 {
                out.copy_from_slice(&row[first_column..first_column + out.len()]);
            } else if let Some(row) = row.get(first_column..) {
                out.iter_mut().zip(row.iter().step_by(columns.step)).for_each(|(o, i)| *o = *i);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_padded_image_is_split_into_even_and_odd_columns() {
        let image = [1.0, 2.0, 3.0, 4.0, 5.0];
        let rows = Axis { source: 1, step: 1, start: 0, len: 1 };
        let columns = Axis { source: 5, step: 2, start: -1, len: 4 };
        let mut planes = [9.0; 8];
        lay_out(&image, rows, columns, &[[0, 0], [0, 1]], &mut planes);
        assert_eq!(planes, [0.0, 2.0, 4.0, 0.0, 1.0, 3.0, 5.0, 0.0]);
    }

    #[test]
    fn rows_outside_the_image_are_zero() {
        let image = [1.0, 2.0, 3.0, 4.0];
        let rows = Axis { source: 2, step: 1, start: -1, len: 4 };
        let columns = Axis { source: 2, step: 1, start: 1, len: 2 };
        let mut planes = [9.0; 8];
        lay_out(&image, rows, columns, &[[0, 0]], &mut planes);
        assert_eq!(planes, [0.0, 0.0, 2.0, 0.0, 4.0, 0.0, 0.0, 0.0]);
    }
}
