//! The clusters of points that were not among those that made them.

use super::KMeans;
use super::assign::Assignment;
use crate::points::Points;
use crate::{Error, Result};

impl KMeans {
    /// The nearest centre of each of some points, of equally near ones the first.
    ///
    /// # Errors
    /// The points have another number of dimensions than the centres.
    pub fn nearest(&self, points: &Points) -> Result<Vec<u32>> {
        let (found, expected) = (points.dim(), self.centres.dim());
        if found != expected {
            return Err(Error::Mismatch { what: "dimensions of points", found, expected });
        }
        Ok(Assignment::once(points, &self.centres).0)
    }
}
