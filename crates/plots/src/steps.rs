//! Numbers of a training run over its steps.

use plotters::coord::Shift;
use plotters::prelude::*;

use crate::chart::{draw_axes, number, titled, with_labels};
use crate::legend::{self, Corner};
use crate::stroke::Stroke;
use crate::{Error, Picture, Result};

/// Parts of the axis of steps in each of which a curve is one point.
const PARTS: usize = 300;

/// A curve with fewer points than this has a marker at each.
const FEW: usize = 40;

/// One number.
#[derive(Debug, Clone, PartialEq)]
pub struct StepCurve {
    /// Its name in the legend.
    pub name: String,
    /// Steps, rising, and the number after each. One that is not finite is left out.
    pub values: Vec<(usize, f64)>,
}

/// Numbers over training steps.
///
/// Where a curve has more points than the picture can show, the line is the mean of the steps of each part of the axis, and the
/// area behind it is their range.
#[derive(Debug, Clone, PartialEq)]
pub struct StepsPlot {
    /// Heading.
    pub title: Option<String>,
    /// What the upright axis shows.
    pub label: String,
    /// The numbers.
    pub curves: Vec<StepCurve>,
    /// Whether the upright axis begins at 0.
    pub from_zero: bool,
}

/// What is drawn of a curve: steps with the mean of their part, and its range where it has several steps.
struct Shape {
    line: Vec<(f64, f64)>,
    /// Step, lowest and highest number.
    range: Vec<(f64, f64, f64)>,
}

impl StepCurve {
    fn finite(&self) -> impl Iterator<Item = (usize, f64)> + Clone {
        self.values.iter().copied().filter(|(_, value)| value.is_finite())
    }

    fn shape(&self, (first, last): (usize, usize)) -> Shape {
        let values: Vec<(usize, f64)> = self.finite().collect();
        if values.len() <= 2 * PARTS {
            let line = values.iter().map(|&(step, value)| (step as f64, value)).collect();
            return Shape { line, range: Vec::new() };
        }
        let part = |step: usize| (step - first) * PARTS / (last - first + 1);
        let (mut line, mut range) = (Vec::new(), Vec::new());
        for part in values.chunk_by(|a, b| part(a.0) == part(b.0)) {
            let count = part.len() as f64;
            let step = part.iter().map(|&(step, _)| step as f64).sum::<f64>() / count;
            line.push((step, part.iter().map(|(_, value)| value).sum::<f64>() / count));
            let low = part.iter().map(|(_, value)| *value).fold(f64::INFINITY, f64::min);
            let high = part.iter().map(|(_, value)| *value).fold(f64::NEG_INFINITY, f64::max);
            range.push((step, low, high));
        }
        Shape { line, range }
    }
}

impl Picture for StepsPlot {
    fn size(&self) -> (u32, u32) {
        (760, 320)
    }

    fn draw<B: DrawingBackend>(&self, area: &DrawingArea<B, Shift>, unit: f64) -> Result<()> {
        let all = || self.curves.iter().flat_map(StepCurve::finite);
        let steps = all().map(|(step, _)| step);
        let (Some(first), Some(last)) = (steps.clone().min(), steps.max()) else {
            return Err(Error::Empty(format!("no step has a number for {:?}", self.label)));
        };
        let (least, most) =
            all().fold((f64::INFINITY, f64::NEG_INFINITY), |(low, high), (_, y)| (low.min(y), high.max(y)));
        let least = if self.from_zero { least.min(0.0) } else { least };
        // A number that stays the same is in the middle.
        let height = if most > least { most - least } else { most.abs().max(1e-6) };
        let has_legend = self.curves.len() > 1;
        let head = if has_legend { 0.1 + 0.14 * self.curves.len() as f64 } else { 0.08 };
        let low = if self.from_zero && least == 0.0 { 0.0 } else { least - 0.06 * height };
        let high = most + head * height;

        let area = titled(area, self.title.as_ref(), unit)?;
        let ends = (first as f64, last.max(first + 1) as f64);
        let mut builder = with_labels(&area, unit);
        // Half of the last label stands behind the axis.
        builder.margin_right((20.0 * unit).round() as u32);
        let mut chart = builder.build_cartesian_2d(ends.0..ends.1, low..high)?;
        let mut mesh = chart.configure_mesh();
        mesh.x_labels(9).x_label_formatter(&number).y_labels(6).y_label_formatter(&short);
        draw_axes(&mut mesh, ["Step", self.label.as_str()], unit)?;
        let plane = chart.plotting_area();
        let (x_pixels, y_pixels) = plane.get_pixel_range();
        let place = |step: f64, value: f64| {
            let (x, y) = plane.map_coordinate(&(step, value));
            (x - x_pixels.start, y - y_pixels.start)
        };
        let inner = plane.strip_coord_spec();
        let mut rows = Vec::new();
        for (number, curve) in self.curves.iter().enumerate() {
            let stroke = Stroke::new(number, unit);
            let Shape { line, range } = curve.shape((first, last));
            if !range.is_empty() {
                let above = range.iter().map(|&(step, _, high)| place(step, high));
                let below = range.iter().rev().map(|&(step, low, _)| place(step, low));
                let outline: Vec<_> = above.chain(below).collect();
                inner.draw(&Polygon::new(outline, stroke.colour().mix(0.18).filled()))?;
            }
            let line: Vec<_> = line.into_iter().map(|(step, value)| place(step, value)).collect();
            if line.len() < FEW {
                for &point in &line {
                    inner.draw(&stroke.marker(point, true))?;
                }
            }
            stroke.line(&inner, line)?;
            rows.push((stroke, curve.name.clone()));
        }
        if has_legend { legend::draw(&inner, Corner::TopLeft, &rows, false, unit) } else { Ok(()) }
    }
}

/// A number on the upright axis: learning rates are small.
fn short(value: &f64) -> String {
    if value.abs() >= 1e-3 || value.abs() < 1e-12 {
        return number(value);
    }
    let rounded = format!("{value:.3e}").parse().unwrap_or(*value);
    format!("{rounded:e}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn small_numbers_are_short() {
        assert_eq!(
            [0.0, 1e-17, 0.25, 2e-5, 0.00012, -3e-4].map(|v| short(&v)),
            ["0", "0", "0.25", "2e-5", "1.2e-4", "-3e-4"]
        );
    }

    #[test]
    fn many_steps_become_means_and_ranges() {
        let curve = |count: usize| StepCurve {
            name: String::new(),
            values: (1..=count).map(|step| (step, (step % 2) as f64)).collect(),
        };
        let few = curve(600).shape((1, 600));
        assert_eq!((few.line.len(), few.range.len()), (600, 0));
        let many = curve(3000).shape((1, 3000));
        assert_eq!((many.line.len(), many.range.len()), (PARTS, PARTS));
        // Ten steps a part: the first part has the steps 1 to 10.
        assert_eq!((many.line[0], many.range[0]), ((5.5, 0.5), (5.5, 0.0, 1.0)));
    }
}
