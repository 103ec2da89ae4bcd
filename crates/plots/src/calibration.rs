//! Whether scores are the log-likelihood ratios that they are taken for.

use ffsvc_scoring::Pav;
use plotters::coord::Shift;
use plotters::prelude::*;

use crate::chart::{draw_axes, number, titled, with_labels};
use crate::legend::{self, Corner};
use crate::stroke::Stroke;
use crate::{Error, Picture, Result};

/// One system's scores after [`Pav`].
#[derive(Debug)]
pub struct CalibrationSystem {
    /// Its name in the legend, with its Cllr if that is to be seen.
    pub name: String,
    /// The monotone map that calibrates its scores best.
    pub pav: Pav,
}

/// The empirical log-likelihood ratio of scores, by pool-adjacent-violators, against the score itself.
///
/// Calibrated scores lie on the diagonal. A steeper line means that the scores are too weak, a flatter one that they
/// are too strong. Above the diagonal scores are too low, below it too high. Where only one class has scores, the ratio
/// is infinite and the line leaves the plot.
#[derive(Debug)]
pub struct CalibrationPlot {
    /// Heading.
    pub title: Option<String>,
    /// The systems.
    pub systems: Vec<CalibrationSystem>,
}

impl Picture for CalibrationPlot {
    fn size(&self) -> (u32, u32) {
        (640, 640)
    }

    fn draw<B: DrawingBackend>(&self, area: &DrawingArea<B, Shift>, unit: f64) -> Result<()> {
        // Scores and finite ratios make the size of both axes.
        let mut ends = (f64::INFINITY, f64::NEG_INFINITY);
        for CalibrationSystem { pav, .. } in &self.systems {
            let ratios = pav.pools().iter().map(|pool| pav.log_likelihood_ratio(pool));
            let mixed = pav.pools().iter().filter(|pool| pool.target > 0 && pool.nontarget > 0);
            let scores = mixed.flat_map(|pool| [pool.low, pool.high]);
            for value in ratios.chain(scores).filter(|value| value.is_finite()) {
                ends = (ends.0.min(value), ends.1.max(value));
            }
        }
        if ends.0 > ends.1 {
            let message = "no score is shared by both classes or lies between them".to_owned();
            return Err(Error::Empty(message));
        }
        let margin = 0.1 * (ends.1 - ends.0).max(1.0);
        let (low, high) = (ends.0 - margin, ends.1 + margin);

        let pixels = |units: f64| (units * unit).round() as u32;
        let area = titled(area, self.title.as_ref(), unit)?;
        let mut chart = with_labels(&area, unit).build_cartesian_2d(low..high, low..high)?;
        let mut mesh = chart.configure_mesh();
        mesh.x_labels(9).x_label_formatter(&number).y_labels(9).y_label_formatter(&number);
        draw_axes(
            &mut mesh,
            ["Score, taken for a log-likelihood ratio", "Log-likelihood ratio that it has"],
            unit,
        )?;
        let plane = chart.plotting_area();
        let (x_pixels, y_pixels) = plane.get_pixel_range();
        let place = |x: f64, y: f64| {
            let (x, y) = plane.map_coordinate(&(x.clamp(low, high), y.clamp(low, high)));
            (x - x_pixels.start, y - y_pixels.start)
        };
        let inner = plane.strip_coord_spec();
        let diagonal = BLACK.mix(0.5).stroke_width(pixels(1.0).max(1));
        inner.draw(&PathElement::new(vec![place(low, low), place(high, high)], diagonal))?;
        let mut rows = Vec::new();
        for (number, CalibrationSystem { name, pav }) in self.systems.iter().enumerate() {
            let stroke = Stroke::new(number, unit);
            let mut line: Vec<(i32, i32)> = Vec::new();
            for pool in pav.pools() {
                let ratio = pav.log_likelihood_ratio(pool);
                for score in [pool.low, pool.high] {
                    let pixel = place(score, ratio);
                    if line.last() != Some(&pixel) {
                        line.push(pixel);
                    }
                }
            }
            // The marker that the legend shows, in the middle of the line.
            let middle = line[line.len() / 2];
            stroke.line(&inner, line)?;
            inner.draw(&stroke.marker(middle, true))?;
            rows.push((stroke, name.clone()));
        }
        legend::draw(&inner, Corner::TopLeft, &rows, true, unit)
    }
}
