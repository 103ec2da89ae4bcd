//! The box that says which line is which.

use plotters::coord::Shift;
use plotters::prelude::*;
use plotters::style::text_anchor::{HPos, Pos, VPos};

use crate::Result;
use crate::canvas::FONT;
use crate::stroke::Stroke;

/// A row: the look of a line and its name.
pub(crate) type Row = (Stroke, String);

/// Where in its area the box stands.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Corner {
    TopRight,
    TopLeft,
}

/// Size of the text of legends and axes, in units.
pub(crate) const TEXT: f64 = 15.0;

/// Draws the rows in a corner of the area, with the systems' markers on their lines if these have them.
pub(crate) fn draw<B: DrawingBackend>(
    area: &DrawingArea<B, Shift>,
    corner: Corner,
    rows: &[Row],
    with_markers: bool,
    unit: f64,
) -> Result<()> {
    let pixels = |units: f64| (units * unit).round() as i32;
    let font = (FONT, TEXT * unit).into_font().color(&BLACK).pos(Pos::new(HPos::Left, VPos::Center));
    let mut text_width = 0;
    for (_, text) in rows {
        text_width = text_width.max(area.estimate_text_size(text, &font)?.0 as i32);
    }
    let (line, margin, row) = (pixels(44.0), pixels(8.0), pixels(TEXT * 1.5));
    let (width, height) = (line + text_width + 3 * margin, row * rows.len() as i32 + margin);
    let (area_width, _) = area.dim_in_pixel();
    let left = match corner {
        Corner::TopRight => (area_width as i32 - width - margin).max(0),
        Corner::TopLeft => margin,
    };
    let (top_left, bottom_right) = ((left, margin), (left + width, margin + height));
    area.draw(&Rectangle::new([top_left, bottom_right], WHITE.mix(0.9).filled()))?;
    area.draw(&Rectangle::new([top_left, bottom_right], BLACK.stroke_width(pixels(0.8).max(1) as u32)))?;
    for (number, (stroke, text)) in rows.iter().enumerate() {
        let y = top_left.1 + margin / 2 + row * number as i32 + row / 2;
        let x = left + margin;
        stroke.line(area, vec![(x, y), (x + line, y)])?;
        if with_markers {
            area.draw(&stroke.marker((x + line / 2, y), true))?;
        }
        area.draw(&Text::new(text.as_str(), (x + line + margin, y), font.clone()))?;
    }
    Ok(())
}
