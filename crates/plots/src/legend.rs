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
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Corner {
    TopRight,
    TopLeft,
    BottomLeft,
    BottomRight,
}

/// Size of the text of legends and axes, in units.
pub(crate) const TEXT: f64 = 15.0;

/// Room around the box and inside of it, in units.
const MARGIN: f64 = 8.0;

/// Upper left and lower right corner of a box, in pixels.
type Ends = [(i32, i32); 2];

/// The box with its rows, not yet in a place.
pub(crate) struct Legend<'a> {
    rows: &'a [Row],
    /// Whether the systems' markers are on their lines.
    with_markers: bool,
    unit: f64,
    width: i32,
    height: i32,
}

impl<'a> Legend<'a> {
    /// Measures the rows by the fonts of the area.
    pub(crate) fn new<B: DrawingBackend>(
        area: &DrawingArea<B, Shift>,
        rows: &'a [Row],
        with_markers: bool,
        unit: f64,
    ) -> Result<Self> {
        let mut legend = Self { rows, with_markers, unit, width: 0, height: 0 };
        let mut text_width = 0;
        for (_, text) in rows {
            text_width = text_width.max(area.estimate_text_size(text, &legend.font())?.0 as i32);
        }
        legend.width = legend.line() + text_width + 3 * legend.margin();
        legend.height = legend.row() * rows.len() as i32 + legend.margin();
        Ok(legend)
    }

    fn pixels(&self, units: f64) -> i32 {
        (units * self.unit).round() as i32
    }

    fn margin(&self) -> i32 {
        self.pixels(MARGIN)
    }

    /// Length of the line before a name.
    fn line(&self) -> i32 {
        self.pixels(44.0)
    }

    fn row(&self) -> i32 {
        self.pixels(TEXT * 1.5)
    }

    fn font(&self) -> TextStyle<'static> {
        let font = (FONT, TEXT * self.unit).into_font();
        font.color(&BLACK).pos(Pos::new(HPos::Left, VPos::Center))
    }

    /// Height in pixels of the box with the room around it.
    pub(crate) fn outer_height(&self) -> i32 {
        self.height + 2 * self.margin()
    }

    /// The box in a corner of an area of so many pixels.
    fn ends(&self, corner: Corner, (area_width, area_height): (u32, u32)) -> Ends {
        let margin = self.margin();
        let far = |size: u32, own: i32| (size as i32 - own - margin).max(0);
        let left = match corner {
            Corner::TopRight | Corner::BottomRight => far(area_width, self.width),
            Corner::TopLeft | Corner::BottomLeft => margin,
        };
        let top = match corner {
            Corner::TopLeft | Corner::TopRight => margin,
            Corner::BottomLeft | Corner::BottomRight => far(area_height, self.height),
        };
        [(left, top), (left + self.width, top + self.height)]
    }

    /// The first of these corners in which the box fits and covers none of the lines, not even their markers.
    pub(crate) fn free_corner(
        &self,
        corners: &[Corner],
        size: (u32, u32),
        lines: &[Vec<(i32, i32)>],
    ) -> Option<Corner> {
        let (width, height) = (size.0 as i32, size.1 as i32);
        let is_free = |corner: &&Corner| {
            let [(left, top), (right, bottom)] = self.ends(**corner, size);
            let room = self.margin();
            let around = [(left - room, top - room), (right + room, bottom + room)];
            right <= width && bottom <= height && !lines.iter().any(|line| meets(around, line))
        };
        corners.iter().find(is_free).copied()
    }

    /// Draws the box in a corner of the area.
    pub(crate) fn draw<B: DrawingBackend>(&self, area: &DrawingArea<B, Shift>, corner: Corner) -> Result<()> {
        let ends = self.ends(corner, area.dim_in_pixel());
        let frame = BLACK.stroke_width(self.pixels(0.8).max(1) as u32);
        area.draw(&Rectangle::new(ends, WHITE.mix(0.9).filled()))?;
        area.draw(&Rectangle::new(ends, frame))?;
        let (left, top) = ends[0];
        let (line, margin, row) = (self.line(), self.margin(), self.row());
        for (number, (stroke, text)) in self.rows.iter().enumerate() {
            let y = top + margin / 2 + row * number as i32 + row / 2;
            let x = left + margin;
            stroke.line(area, vec![(x, y), (x + line, y)])?;
            if self.with_markers {
                area.draw(&stroke.marker((x + line / 2, y), true))?;
            }
            area.draw(&Text::new(text.as_str(), (x + line + margin, y), self.font()))?;
        }
        Ok(())
    }
}

/// Draws the rows in a corner of the area, whatever is below them.
pub(crate) fn draw<B: DrawingBackend>(
    area: &DrawingArea<B, Shift>,
    corner: Corner,
    rows: &[Row],
    with_markers: bool,
    unit: f64,
) -> Result<()> {
    Legend::new(area, rows, with_markers, unit)?.draw(area, corner)
}

/// Whether a line through points comes into a box. A line of one point is that point.
fn meets(ends: Ends, line: &[(i32, i32)]) -> bool {
    match line {
        [point] => segment_meets(ends, *point, *point),
        points => points.windows(2).any(|pair| segment_meets(ends, pair[0], pair[1])),
    }
}

/// The part of a segment that is inside of a box (Liang and Barsky's algorithm) is not empty.
fn segment_meets([low, high]: Ends, from: (i32, i32), to: (i32, i32)) -> bool {
    let (mut enters, mut leaves) = (0.0_f64, 1.0_f64);
    for (low, high, from, to) in [(low.0, high.0, from.0, to.0), (low.1, high.1, from.1, to.1)] {
        if from == to {
            if from < low || from > high {
                return false;
            }
            continue;
        }
        let at = |end: i32| f64::from(end - from) / f64::from(to - from);
        let (first, last) = if to > from { (at(low), at(high)) } else { (at(high), at(low)) };
        (enters, leaves) = (enters.max(first), leaves.min(last));
    }
    enters <= leaves
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn segments_and_a_box() {
        let ends = [(10, 10), (20, 30)];
        let meets = |line: &[(i32, i32)]| meets(ends, line);
        assert!(meets(&[(0, 20), (40, 20)]) && meets(&[(15, 0), (15, 90)]) && meets(&[(12, 12), (13, 29)]));
        assert!(meets(&[(0, 0), (5, 5), (40, 40)]) && meets(&[(20, 30)]) && meets(&[(0, 20), (10, 10)]));
        assert!(!meets(&[(0, 0), (9, 40), (25, 40)]) && !meets(&[(0, 15), (15, 0)]) && !meets(&[(21, 15)]));
        assert!(!meets(&[]));
    }

    #[test]
    fn the_first_corner_without_a_line() {
        let legend = Legend { rows: &[], with_markers: true, unit: 1.0, width: 30, height: 20 };
        let all = [Corner::TopRight, Corner::BottomLeft, Corner::TopLeft, Corner::BottomRight];
        let free = |size, lines: &[Vec<(i32, i32)>]| legend.free_corner(&all, size, lines);
        let line = |from, to| vec![from, to];
        assert_eq!(free((200, 100), &[]), Some(Corner::TopRight));
        let (falling, rising) = (line((0, 0), (199, 99)), line((0, 99), (199, 0)));
        assert_eq!(free((200, 100), std::slice::from_ref(&falling)), Some(Corner::TopRight));
        assert_eq!(free((200, 100), std::slice::from_ref(&rising)), Some(Corner::TopLeft));
        assert_eq!(free((200, 100), &[line((170, 0), (170, 99))]), Some(Corner::BottomLeft));
        assert_eq!(free((200, 100), &[falling, rising]), None);
        // A box that does not fit covers what is outside.
        assert_eq!(free((29, 100), &[]), None);
    }
}
