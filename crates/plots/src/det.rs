//! DET curves (A. Martin et al., *The DET curve in assessment of detection task performance*, 1997).

use std::ops::Range;

use ffsvc_scoring::metrics::{DcfParameters, DetCurve};
use plotters::coord::Shift;
use plotters::coord::cartesian::Cartesian2d;
use plotters::coord::ranged1d::{KeyPointHint, NoDefaultFormatting, Ranged, ValueFormatter};
use plotters::prelude::*;

use crate::chart::{draw_axes, titled, with_labels};
use crate::legend::{Corner, Legend, Row};
use crate::probit::probit;
use crate::stroke::Stroke;
use crate::{Error, Picture, Result};

/// One curve.
#[derive(Debug)]
pub struct DetSystem<'a> {
    /// Its name in the legend.
    pub name: String,
    /// Its scores.
    pub curve: &'a DetCurve,
}

/// Miss against false-alarm rate of several systems, axes in quantiles of the normal distribution: normally distributed scores
/// make a straight line. A filled marker is the EER, a hollow one the point of least cost.
#[derive(Debug)]
pub struct DetPlot<'a> {
    /// Heading.
    pub title: Option<String>,
    /// The curves.
    pub systems: Vec<DetSystem<'a>>,
    /// Operating points whose minimum is marked and named in the legend.
    pub costs: Vec<DcfParameters>,
}

/// Rates that an axis may be labelled with.
const TICKS: [f64; 20] = [
    1e-6, 1e-5, 1e-4, 1e-3, 2e-3, 5e-3, 0.01, 0.02, 0.05, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 0.95,
    0.99,
];

/// Rates between two ends, placed by the quantiles of the normal distribution.
#[derive(Debug, Clone)]
struct ProbitAxis {
    low: f64,
    high: f64,
}

impl Ranged for ProbitAxis {
    type FormatOption = NoDefaultFormatting;
    type ValueType = f64;

    fn map(&self, rate: &f64, (from, to): (i32, i32)) -> i32 {
        let (low, high) = (probit(self.low), probit(self.high));
        let share = (probit(rate.clamp(self.low, self.high)) - low) / (high - low);
        from + (share * f64::from(to - from)).round() as i32
    }

    fn key_points<Hint: KeyPointHint>(&self, _: Hint) -> Vec<f64> {
        TICKS.iter().copied().filter(|tick| (self.low..=self.high).contains(tick)).collect()
    }

    fn range(&self) -> Range<f64> {
        self.low..self.high
    }
}

impl ValueFormatter<f64> for ProbitAxis {
    /// In per cent, without the noise of the last digits.
    fn format_ext(&self, rate: &f64) -> String {
        ((1e8 * rate).round() / 1e6).to_string()
    }
}

impl Picture for DetPlot<'_> {
    fn size(&self) -> (u32, u32) {
        (640, 640)
    }

    fn draw<B: DrawingBackend>(&self, area: &DrawingArea<B, Shift>, unit: f64) -> Result<()> {
        if self.systems.is_empty() {
            return Err(Error::Empty("no system".to_owned()));
        }
        let area = titled(area, self.title.as_ref(), unit)?;
        let rows: Vec<Row> = self.systems.iter().enumerate().map(|(n, s)| self.row(n, s, unit)).collect();
        let legend = Legend::new(&area, &rows, true, unit)?;
        // Curves fall from the upper left to the lower right: these corners are free of good, and of poor systems.
        let corners = [Corner::TopRight, Corner::BottomLeft, Corner::TopLeft, Corner::BottomRight];
        let axes = self.axes();
        let plane = with_labels(&area, unit).build_cartesian_2d(axes.clone(), axes)?.plotting_area().clone();
        let lines: Vec<_> =
            self.systems.iter().flat_map(|system| self.shape(&plane, system).lines()).collect();
        match legend.free_corner(&corners, plane.dim_in_pixel(), &lines) {
            Some(corner) => legend.draw(&self.draw_curves(&area, unit)?, corner),
            // Above the axes, which have less room then.
            None => {
                let (above, below) = area.split_vertically(legend.outer_height());
                self.draw_curves(&below, unit)?;
                legend.draw(&above, Corner::TopRight)
            }
        }
    }
}

/// The area of the axes.
type Plane<B> = DrawingArea<B, Cartesian2d<ProbitAxis, ProbitAxis>>;

/// What is drawn of a system, in pixels of the plane itself.
struct Shape {
    curve: Vec<(i32, i32)>,
    /// Where the markers are, and whether they are filled.
    markers: Vec<((i32, i32), bool)>,
}

impl Shape {
    /// The curve, and each marker as a line of one point.
    fn lines(self) -> impl Iterator<Item = Vec<(i32, i32)>> {
        let markers = self.markers.into_iter().map(|(at, _)| vec![at]);
        std::iter::once(self.curve).chain(markers)
    }
}

impl DetPlot<'_> {
    /// Both axes.
    fn axes(&self) -> ProbitAxis {
        ProbitAxis { low: self.lowest(), high: self.highest() }
    }

    /// Draws axes and curves. Returns the area of the plane.
    fn draw_curves<B: DrawingBackend>(
        &self,
        area: &DrawingArea<B, Shift>,
        unit: f64,
    ) -> Result<DrawingArea<B, Shift>> {
        let axes = self.axes();
        let (low, high) = (axes.low, axes.high);
        let mut chart = with_labels(area, unit).build_cartesian_2d(axes.clone(), axes)?;
        let mut mesh = chart.configure_mesh();
        mesh.x_labels(TICKS.len()).y_labels(TICKS.len());
        draw_axes(&mut mesh, ["False-alarm rate (%)", "Miss rate (%)"], unit)?;
        let plane = chart.plotting_area();
        let inner = plane.strip_coord_spec();
        let diagonal = BLACK.mix(0.35).stroke_width((0.8 * unit).round().max(1.0) as u32);
        let ends = vec![place(plane, low, low), place(plane, high, high)];
        inner.draw(&PathElement::new(ends, diagonal))?;
        for (number, system) in self.systems.iter().enumerate() {
            let stroke = Stroke::new(number, unit);
            let shape = self.shape(plane, system);
            stroke.line(&inner, shape.curve)?;
            for (at, filled) in shape.markers {
                inner.draw(&stroke.marker(at, filled))?;
            }
        }
        Ok(inner)
    }

    /// What is to be seen of a system on this plane.
    fn shape<B: DrawingBackend>(&self, plane: &Plane<B>, system: &DetSystem<'_>) -> Shape {
        let high = self.highest();
        let inside = |p_miss: f64, p_fa: f64| p_miss <= high && p_fa <= high;
        let mut curve: Vec<(i32, i32)> = Vec::new();
        for point in system.curve.points().filter(|point| inside(point.p_miss, point.p_fa)) {
            let pixel = place(plane, point.p_fa, point.p_miss);
            // Equal pixels, and all but the ends of a run along one row or column, change nothing.
            if curve.last() == Some(&pixel) {
                continue;
            }
            if let [.., a, b] = curve[..]
                && ((a.0, b.0) == (b.0, pixel.0) || (a.1, b.1) == (b.1, pixel.1))
            {
                curve.pop();
            }
            curve.push(pixel);
        }
        let eer = system.curve.eer().rate;
        let least = self.costs.iter().map(|costs| system.curve.min_dcf(costs));
        let points =
            std::iter::once((eer, eer, true)).chain(least.map(|least| (least.p_fa, least.p_miss, false)));
        let markers = points.filter(|&(p_fa, p_miss, _)| inside(p_miss, p_fa));
        let markers = markers.map(|(p_fa, p_miss, filled)| (place(plane, p_fa, p_miss), filled)).collect();
        Shape { curve, markers }
    }

    /// The legend's row of a system.
    fn row(&self, number: usize, system: &DetSystem<'_>, unit: f64) -> Row {
        let mut text = format!("{}: EER {:.2} %", system.name, 100.0 * system.curve.eer().rate);
        for costs in &self.costs {
            let least = system.curve.min_dcf(costs);
            text += &format!(", minDCF({}) {:.3}", costs.p_target(), least.cost);
        }
        (Stroke::new(number, unit), text)
    }

    /// Where the axes begin: at the tick below the finest rate that any system's trials can tell from 0.
    fn lowest(&self) -> f64 {
        let finest = |system: &DetSystem<'_>| {
            let (target, nontarget) = system.curve.counts();
            1.0 / target.max(nontarget) as f64
        };
        let finest = self.systems.iter().map(finest).fold(0.01, f64::min);
        TICKS.iter().copied().filter(|&tick| tick <= finest).fold(TICKS[0], f64::max)
    }

    /// Where the axes end: at 50 %, unless some system is worse than that allows to see.
    fn highest(&self) -> f64 {
        let worst = self.systems.iter().map(|system| system.curve.eer().rate).fold(0.0, f64::max);
        if worst > 0.4 { 0.99 } else { 0.6 }
    }
}

/// From rates to pixels of the plane itself.
fn place<B: DrawingBackend>(plane: &Plane<B>, p_fa: f64, p_miss: f64) -> (i32, i32) {
    let (x_pixels, y_pixels) = plane.get_pixel_range();
    let (x, y) = plane.map_coordinate(&(p_fa, p_miss));
    (x - x_pixels.start, y - y_pixels.start)
}
