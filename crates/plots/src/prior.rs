//! What decisions cost over the prior probability of a target.

use ffsvc_scoring::metrics::{DcfParameters, Definition, Measures, evaluate};
use plotters::coord::Shift;
use plotters::prelude::*;

use crate::chart::{draw_axes, number, titled, with_labels};
use crate::legend::{self, Corner};
use crate::stroke::Stroke;
use crate::{Error, Picture, Result};

/// Natural log odds of the prior at either end, and points between them. Beyond 7 a million trials have too few errors.
const ENDS: f64 = 7.0;
const POINTS: usize = 71;

/// The highest cost that is shown: a little above that of no system at all, which is 1.
const HIGHEST: f64 = 1.2;

/// One system's costs.
#[derive(Debug, Clone, PartialEq)]
pub struct PriorSystem {
    /// Its name in the legend.
    pub name: String,
    /// Log odds of the prior, rising, each with the actual and the least normalised cost.
    costs: Vec<(f64, f64, f64)>,
}

impl PriorSystem {
    /// Measures scores at priors whose log odds go from -7 to 7, with costs of 1.
    ///
    /// # Errors
    /// A NaN score; a class without trials.
    pub fn new(name: impl Into<String>, target: &[f64], nontarget: &[f64]) -> ffsvc_scoring::Result<Self> {
        let log_odds = |at: usize| ENDS * (2.0 * at as f64 / (POINTS - 1) as f64 - 1.0);
        let at_prior = |at| DcfParameters::new(1.0 / (1.0 + f64::exp(-log_odds(at))), 1.0, 1.0);
        let parameters = (0..POINTS).map(at_prior).collect::<ffsvc_scoring::Result<Vec<_>>>()?;
        let measured = evaluate(target, nontarget, Definition::Tied, &Measures::new(&parameters))?;
        let costs = measured.act_dcf.iter().zip(&measured.min_dcf).enumerate();
        let costs = costs.map(|(at, (actual, least))| (log_odds(at), actual.cost, least.cost)).collect();
        Ok(Self { name: name.into(), costs })
    }

    /// Log odds of the prior, rising, each with the actual and the least normalised cost.
    pub fn costs(&self) -> &[(f64, f64, f64)] {
        &self.costs
    }
}

/// The normalised detection cost over the log odds of the prior (N. Brümmer and E. de Villiers, *The BOSARIS Toolkit*, 2011).
///
/// A thick line is the cost of decisions at the Bayes threshold, which takes scores for log-likelihood ratios. A thin line is
/// the least cost over all thresholds. Calibrated scores have both in one place.
#[derive(Debug, Clone, PartialEq)]
pub struct PriorPlot {
    /// Heading.
    pub title: Option<String>,
    /// The systems.
    pub systems: Vec<PriorSystem>,
    /// Operating points that upright lines mark.
    pub costs: Vec<DcfParameters>,
}

impl Picture for PriorPlot {
    fn size(&self) -> (u32, u32) {
        (640, 480)
    }

    fn draw<B: DrawingBackend>(&self, area: &DrawingArea<B, Shift>, unit: f64) -> Result<()> {
        if self.systems.is_empty() {
            return Err(Error::Empty("no system".to_owned()));
        }
        let values = self.systems.iter().flat_map(|system| &system.costs);
        let highest = values.flat_map(|&(_, actual, least)| [actual, least]).fold(0.1, f64::max);
        // The legend has the room above the curves.
        let head = 1.1 + 0.11 * self.systems.len() as f64;
        let top = head * highest.min(HIGHEST);
        let pixels = |units: f64| (units * unit).round().max(1.0) as u32;
        let area = titled(area, self.title.as_ref(), unit)?;
        let mut chart = with_labels(&area, unit).build_cartesian_2d(-ENDS..ENDS, 0.0..top)?;
        let mut mesh = chart.configure_mesh();
        mesh.x_labels(9).x_label_formatter(&number).y_labels(7).y_label_formatter(&number);
        draw_axes(&mut mesh, ["Log odds of the prior of a target", "Normalised DCF"], unit)?;
        let plane = chart.plotting_area();
        let (x_pixels, y_pixels) = plane.get_pixel_range();
        let place = |log_odds: f64, cost: f64| {
            let (x, y) = plane.map_coordinate(&(log_odds, cost.min(highest.min(HIGHEST))));
            (x - x_pixels.start, y - y_pixels.start)
        };
        let inner = plane.strip_coord_spec();
        let faint = BLACK.mix(0.5).stroke_width(pixels(1.0));
        let marks = self.costs.iter().map(|costs| -costs.bayes_threshold());
        for log_odds in marks.filter(|log_odds| log_odds.abs() <= ENDS) {
            inner.draw(&PathElement::new(vec![place(log_odds, 0.0), place(log_odds, highest)], faint))?;
        }
        let mut rows = Vec::new();
        for (number, system) in self.systems.iter().enumerate() {
            let stroke = Stroke::new(number, unit);
            let line = |of: fn(&(f64, f64, f64)) -> f64| -> Vec<(i32, i32)> {
                system.costs.iter().map(|costs| place(costs.0, of(costs))).collect()
            };
            let thin = stroke.colour().stroke_width(pixels(1.0));
            inner.draw(&PathElement::new(line(|&(_, _, least)| least), thin))?;
            stroke.line(&inner, line(|&(_, actual, _)| actual))?;
            rows.push((stroke, system.name.clone()));
        }
        legend::draw(&inner, Corner::TopLeft, &rows, false, unit)
    }
}
