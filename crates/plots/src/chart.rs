//! What charts with two axes of numbers share.

use plotters::coord::Shift;
use plotters::prelude::*;

use crate::canvas::FONT;
use crate::legend::TEXT;

/// A chart with room for labels and descriptions of both axes, and its title above.
pub(crate) fn framed<'a, 'b, B: DrawingBackend>(
    area: &'a DrawingArea<B, Shift>,
    title: Option<&String>,
    unit: f64,
) -> ChartBuilder<'a, 'b, B> {
    let pixels = |units: f64| (units * unit).round() as u32;
    let mut builder = ChartBuilder::on(area);
    builder.margin(pixels(14.0)).x_label_area_size(pixels(52.0)).y_label_area_size(pixels(70.0));
    if let Some(title) = title {
        builder.caption(title, (FONT, 1.2 * TEXT * unit));
    }
    builder
}

/// A number on an axis, without the noise of the last digits.
pub(crate) fn number(value: &f64) -> String {
    ((1e6 * value).round() / 1e6 + 0.0).to_string()
}
