//! What charts with two axes of numbers share.

use plotters::chart::MeshStyle;
use plotters::coord::Shift;
use plotters::coord::ranged1d::{Ranged, ValueFormatter};
use plotters::prelude::*;

use crate::Result;
use crate::canvas::FONT;
use crate::legend::TEXT;

/// The area without its margin and its title, which is drawn.
pub(crate) fn titled<B: DrawingBackend>(
    area: &DrawingArea<B, Shift>,
    title: Option<&String>,
    unit: f64,
) -> Result<DrawingArea<B, Shift>> {
    let margin = (14.0 * unit).round() as i32;
    let inside = area.margin(margin, margin, margin, margin);
    Ok(match title {
        Some(title) => inside.titled(title, (FONT, 1.2 * TEXT * unit))?,
        None => inside,
    })
}

/// A chart with room for labels and descriptions of both axes. It draws nothing yet.
pub(crate) fn with_labels<'a, 'b, B: DrawingBackend>(
    area: &'a DrawingArea<B, Shift>,
    unit: f64,
) -> ChartBuilder<'a, 'b, B> {
    let pixels = |units: f64| (units * unit).round() as u32;
    let mut builder = ChartBuilder::on(area);
    builder.x_label_area_size(pixels(52.0)).y_label_area_size(pixels(70.0));
    builder
}

/// Draws axes with their descriptions, and faint lines at their labels.
pub(crate) fn draw_axes<'b, X, Y, B>(
    mesh: &mut MeshStyle<'_, 'b, X, Y, B>,
    [x, y]: [&str; 2],
    unit: f64,
) -> Result<()>
where
    X: Ranged + ValueFormatter<X::ValueType>,
    Y: Ranged + ValueFormatter<Y::ValueType>,
    B: DrawingBackend,
{
    let pixels = |units: f64| (units * unit).round() as u32;
    let font = (FONT, TEXT * unit).into_font();
    mesh.light_line_style(TRANSPARENT)
        .bold_line_style(BLACK.mix(0.2).stroke_width(pixels(0.8).max(1)))
        .axis_style(BLACK.stroke_width(pixels(1.2)))
        .x_desc(x)
        .y_desc(y)
        .label_style(font.clone())
        .axis_desc_style(font)
        .draw()?;
    Ok(())
}

/// A number on an axis, without the noise of the last digits.
pub(crate) fn number(value: &f64) -> String {
    ((1e6 * value).round() / 1e6 + 0.0).to_string()
}
