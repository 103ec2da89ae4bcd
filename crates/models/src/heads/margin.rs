//! The options that margin heads share.

use crate::error::{Result, require};

/// 0.2, the baseline's margin.
pub(super) const MARGIN: f64 = 0.2;

/// 32, the baseline's scale.
pub(super) const SCALE: f64 = 32.0;

/// Checks a margin, which has to be less than `limit`, and a scale.
pub(super) fn validate(margin: f64, scale: f64, limit: f64) -> Result<()> {
    require(
        (0.0..limit).contains(&margin),
        "head.margin",
        margin,
        "a number from 0 to less than pi (angular margins) or 2 (am-softmax)",
    )?;
    require(scale > 0.0 && scale <= 1e6, "head.scale", scale, "a positive number up to 1e6")
}
