//! How the systems of a picture are told apart: colour, dashes, marker.

use plotters::coord::Shift;
use plotters::element::{DashedPathElement, DynElement, IntoDynElement};
use plotters::prelude::*;

use crate::Result;

/// M. Okabe and K. Ito's colours, which the colour-blind can tell apart, in an order in which neighbours differ in grey.
const COLOURS: [RGBColor; 7] = [
    RGBColor(0, 0, 0),
    RGBColor(213, 94, 0),
    RGBColor(0, 114, 178),
    RGBColor(0, 158, 115),
    RGBColor(204, 121, 167),
    RGBColor(86, 180, 233),
    RGBColor(230, 159, 0),
];

/// Lengths of dash and gap in units; a solid line has none.
const DASHES: [Option<(f64, f64)>; 5] =
    [None, Some((9.0, 5.0)), Some((2.5, 3.5)), Some((16.0, 4.0)), Some((5.0, 2.5))];

/// The look of one system.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Stroke {
    number: usize,
    unit: f64,
}

impl Stroke {
    /// The look of the system with this number, from 0.
    pub(crate) fn new(number: usize, unit: f64) -> Self {
        Self { number, unit }
    }

    pub(crate) fn colour(self) -> RGBColor {
        COLOURS[self.number % COLOURS.len()]
    }

    fn pixels(self, units: f64) -> u32 {
        (units * self.unit).round().max(1.0) as u32
    }

    /// Draws a line through points in pixels of the area.
    pub(crate) fn line<B: DrawingBackend>(
        self,
        area: &DrawingArea<B, Shift>,
        points: Vec<(i32, i32)>,
    ) -> Result<()> {
        let style = self.colour().stroke_width(self.pixels(2.0));
        match DASHES[self.number % DASHES.len()] {
            None => area.draw(&PathElement::new(points, style))?,
            Some((dash, gap)) => {
                let (dash, gap) = (self.pixels(dash), self.pixels(gap));
                area.draw(&DashedPathElement::new(points, dash, gap, style))?;
            }
        }
        Ok(())
    }

    /// A marker of the system's shape, filled or hollow.
    pub(crate) fn marker<B: DrawingBackend>(
        self,
        at: (i32, i32),
        filled: bool,
    ) -> DynElement<'static, B, (i32, i32)> {
        let size = self.pixels(6.0) as i32;
        let hollow = self.colour().stroke_width(self.pixels(1.6));
        let style = if filled { self.colour().filled() } else { hollow };
        let offset = |(x, y): (i32, i32)| (at.0 + x, at.1 + y);
        let corners: &[(i32, i32)] = match self.number % 4 {
            0 => return Circle::new(at, size, style).into_dyn(),
            1 => &[(-1, -1), (1, -1), (1, 1), (-1, 1)],
            2 => &[(0, -1), (1, 1), (-1, 1)],
            _ => &[(0, -1), (1, 0), (0, 1), (-1, 0)],
        };
        let mut corners: Vec<_> = corners.iter().map(|&(x, y)| offset((size * x, size * y))).collect();
        if filled {
            return Polygon::new(corners, style).into_dyn();
        }
        corners.push(corners[0]);
        PathElement::new(corners, style).into_dyn()
    }
}
