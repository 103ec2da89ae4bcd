//! How scores are distributed.

use plotters::coord::Shift;
use plotters::prelude::*;
use plotters::style::text_anchor::{HPos, Pos, VPos};

use crate::canvas::FONT;
use crate::chart::{draw_axes, number, titled, with_labels};
use crate::legend::{self, Corner, TEXT};
use crate::stroke::Stroke;
use crate::{Error, Picture, Result};

/// The distributions of target and non-target trials' scores, each with an area of 1, and thresholds among them.
#[derive(Debug)]
pub struct HistogramPlot<'a> {
    /// Heading.
    pub title: Option<String>,
    /// Scores of the target trials.
    pub target: &'a [f64],
    /// Scores of the non-target trials.
    pub nontarget: &'a [f64],
    /// Names and places of vertical lines. Infinite ones are left out.
    pub thresholds: Vec<(String, f64)>,
}

const BINS: usize = 80;

impl Picture for HistogramPlot<'_> {
    fn size(&self) -> (u32, u32) {
        (760, 480)
    }

    fn draw<B: DrawingBackend>(&self, area: &DrawingArea<B, Shift>, unit: f64) -> Result<()> {
        let finite = || self.target.iter().chain(self.nontarget).copied().filter(|score| score.is_finite());
        let (low, high) =
            finite().fold((f64::INFINITY, f64::NEG_INFINITY), |(a, b), score| (a.min(score), b.max(score)));
        if low > high {
            return Err(Error::Empty("no finite score".to_owned()));
        }
        // A single value still gets a bin of some width.
        let margin = if high > low { 0.02 * (high - low) } else { 0.5 };
        let (low, high) = (low - margin, high + margin);
        let width = (high - low) / BINS as f64;
        let density = |scores: &[f64]| {
            let mut counts = vec![0_usize; BINS];
            for score in scores.iter().filter(|score| score.is_finite()) {
                counts[(((score - low) / width) as usize).min(BINS - 1)] += 1;
            }
            let all = scores.len().max(1) as f64;
            counts.into_iter().map(|count| count as f64 / all / width).collect::<Vec<f64>>()
        };
        let classes = [("target", density(self.target)), ("non-target", density(self.nontarget))];
        let highest = classes.iter().flat_map(|(_, density)| density).copied().fold(0.0, f64::max);

        let pixels = |units: f64| (units * unit).round() as u32;
        let font = (FONT, TEXT * unit).into_font();
        let area = titled(area, self.title.as_ref(), unit)?;
        let mut chart = with_labels(&area, unit).build_cartesian_2d(low..high, 0.0..1.4 * highest)?;
        let mut mesh = chart.configure_mesh();
        mesh.x_labels(9).x_label_formatter(&number).y_labels(6).disable_x_mesh();
        draw_axes(&mut mesh, ["Score", "Density"], unit)?;
        let plane = chart.plotting_area();
        let (x_pixels, y_pixels) = plane.get_pixel_range();
        let place = |score: f64, density: f64| {
            let (x, y) = plane.map_coordinate(&(score, density));
            (x - x_pixels.start, y - y_pixels.start)
        };
        let inner = plane.strip_coord_spec();
        let mut rows = Vec::new();
        for (number, (name, density)) in classes.iter().enumerate() {
            let stroke = Stroke::new(number, unit);
            let mut outline = vec![place(low, 0.0)];
            for (bin, &height) in density.iter().enumerate() {
                outline.push(place(low + bin as f64 * width, height));
                outline.push(place(low + (bin + 1) as f64 * width, height));
            }
            outline.push(place(high, 0.0));
            inner.draw(&Polygon::new(outline.clone(), stroke.colour().mix(0.18).filled()))?;
            stroke.line(&inner, outline)?;
            let count = if number == 0 { self.target.len() } else { self.nontarget.len() };
            rows.push((stroke, format!("{count} {name} trials")));
        }
        let upright = font.color(&BLACK).pos(Pos::new(HPos::Left, VPos::Center));
        let upright = upright.transform(FontTransform::Rotate90);
        for (name, threshold) in
            self.thresholds.iter().filter(|(_, threshold)| (low..high).contains(threshold))
        {
            let style = BLACK.stroke_width(pixels(1.2));
            let line = vec![place(*threshold, 0.0), place(*threshold, 1.35 * highest)];
            inner.draw(&PathElement::new(line, style))?;
            let (x, y) = place(*threshold, 1.35 * highest);
            let text = Text::new(name.as_str(), (x + pixels(TEXT * 0.7) as i32, y), upright.clone());
            inner.draw(&text)?;
        }
        legend::draw(&inner, Corner::TopLeft, &rows, false, unit)
    }
}
