//! How clusters change with their number.

use plotters::coord::Shift;
use plotters::prelude::*;
use plotters::style::text_anchor::{HPos, Pos, VPos};

use crate::canvas::FONT;
use crate::chart::{framed, number};
use crate::legend::{self, Corner, TEXT};
use crate::stroke::Stroke;
use crate::{Error, Picture, Result};

/// One measure of the clusters.
#[derive(Debug, Clone, PartialEq)]
pub struct SweepCurve {
    /// Its name in the legend.
    pub name: String,
    /// A value for each number of clusters; `None` where there is none.
    pub values: Vec<Option<f64>>,
}

/// Measures of clusters (cosines with the centres, silhouette) against the number of clusters K, and the values of K that are
/// proposed as vertical lines.
#[derive(Debug, Clone, PartialEq)]
pub struct SweepPlot {
    /// Heading.
    pub title: Option<String>,
    /// The numbers of clusters, rising.
    pub clusters: Vec<usize>,
    /// The measures.
    pub curves: Vec<SweepCurve>,
    /// Who proposes which number of clusters. Those of the same number share a line.
    pub proposals: Vec<(String, usize)>,
}

impl Picture for SweepPlot {
    fn size(&self) -> (u32, u32) {
        (760, 560)
    }

    fn draw<B: DrawingBackend>(&self, area: &DrawingArea<B, Shift>, unit: f64) -> Result<()> {
        let finite = |value: &Option<f64>| value.filter(|value| value.is_finite());
        let values = || self.curves.iter().flat_map(|curve| curve.values.iter().filter_map(finite));
        let (low, high) =
            values().fold((f64::INFINITY, f64::NEG_INFINITY), |(a, b), value| (a.min(value), b.max(value)));
        let (Some(&first), Some(&last)) = (self.clusters.first(), self.clusters.last()) else {
            return Err(Error::Empty("no number of clusters".to_owned()));
        };
        if low > high {
            return Err(Error::Empty("no finite measure".to_owned()));
        }
        let span = (high - low).max(0.01);
        // Room for the legend above the curves.
        let (bottom, top) = (low - 0.05 * span, high + 0.4 * span);
        let margin = (0.02 * (last - first) as f64).max(0.5);
        let (left, right) = (first as f64 - margin, last as f64 + margin);

        let pixels = |units: f64| (units * unit).round() as u32;
        let font = (FONT, TEXT * unit).into_font();
        let mut chart =
            framed(area, self.title.as_ref(), unit).build_cartesian_2d(left..right, bottom..top)?;
        chart
            .configure_mesh()
            .x_labels(9)
            .x_label_formatter(&number)
            .y_labels(9)
            .y_label_formatter(&number)
            .light_line_style(TRANSPARENT)
            .bold_line_style(BLACK.mix(0.2).stroke_width(pixels(0.8).max(1)))
            .axis_style(BLACK.stroke_width(pixels(1.2)))
            .x_desc("Number of clusters")
            .y_desc("Cosine, silhouette")
            .label_style(font.clone())
            .axis_desc_style(font)
            .draw()?;
        let plane = chart.plotting_area();
        let (x_pixels, y_pixels) = plane.get_pixel_range();
        let place = |x: f64, y: f64| {
            let (x, y) = plane.map_coordinate(&(x, y));
            (x - x_pixels.start, y - y_pixels.start)
        };
        let inner = plane.strip_coord_spec();

        let mut proposals: Vec<(usize, String)> = Vec::new();
        let mut sorted: Vec<&(String, usize)> = self.proposals.iter().collect();
        sorted.sort_by_key(|(_, clusters)| *clusters);
        for (name, clusters) in sorted {
            match proposals.last_mut() {
                Some((same, names)) if same == clusters => *names += &format!(", {name}"),
                _ => proposals.push((*clusters, format!("{clusters}: {name}"))),
            }
        }
        let small = 0.75 * TEXT;
        let text = (FONT, small * unit).into_font().color(&BLACK).pos(Pos::new(HPos::Left, VPos::Center));
        let upright = text.transform(FontTransform::Rotate90);
        // Beside its line, unless the text of the line before is there.
        let mut free = i32::MIN;
        for (clusters, names) in proposals {
            let (x, y) = place(clusters as f64, high + 0.05 * span);
            let line = vec![(x, y), place(clusters as f64, bottom)];
            inner.draw(&PathElement::new(line, BLACK.mix(0.6).stroke_width(pixels(1.2))))?;
            let at = free.max(x + pixels(0.7 * small) as i32);
            inner.draw(&Text::new(names, (at, y), upright.clone()))?;
            free = at + pixels(1.2 * small) as i32;
        }

        let mut rows = Vec::new();
        for (number, curve) in self.curves.iter().enumerate() {
            let stroke = Stroke::new(number, unit);
            let known = self.clusters.iter().zip(&curve.values);
            let known = known.filter_map(|(&clusters, value)| Some((clusters, finite(value)?)));
            let line: Vec<(i32, i32)> =
                known.map(|(clusters, value)| place(clusters as f64, value)).collect();
            // Markers where they do not hide the line.
            if line.len() <= 40 {
                for &at in &line {
                    inner.draw(&stroke.marker(at, true))?;
                }
            }
            stroke.line(&inner, line)?;
            rows.push((stroke, curve.name.clone()));
        }
        let with_markers = self.clusters.len() <= 40;
        legend::draw(&inner, Corner::TopLeft, &rows, with_markers, unit)
    }
}
