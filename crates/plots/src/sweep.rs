//! Measures of a clustering against the number of clusters.

use plotters::coord::Shift;
use plotters::prelude::*;
use plotters::style::text_anchor::{HPos, Pos, VPos};

use crate::canvas::FONT;
use crate::chart::{draw_axes, number, titled, with_labels};
use crate::legend::{self, Corner, TEXT};
use crate::stroke::Stroke;
use crate::{Error, Picture, Result};

/// One measure.
#[derive(Debug, Clone, PartialEq)]
pub struct SweepCurve {
    /// Its name in the legend.
    pub name: String,
    /// Numbers of clusters, rising, and the measure of each.
    pub values: Vec<(usize, f64)>,
}

/// Measures that share an axis.
#[derive(Debug, Clone, PartialEq)]
pub struct SweepPanel {
    /// What the axis shows.
    pub label: String,
    /// The measures.
    pub curves: Vec<SweepCurve>,
}

/// Measures of a clustering against the number of clusters, in panels one below the other. Upright lines are proposed numbers;
/// below the panels stands who proposes them.
#[derive(Debug, Clone, PartialEq)]
pub struct SweepPlot {
    /// Heading.
    pub title: Option<String>,
    /// The panels, from the top.
    pub panels: Vec<SweepPanel>,
    /// Who proposes which number of clusters.
    pub proposals: Vec<(String, usize)>,
}

/// Height of a panel and of the lines below all of them, in units.
const PANEL: u32 = 300;
const LINE: u32 = 24;

impl Picture for SweepPlot {
    fn size(&self) -> (u32, u32) {
        (760, PANEL * self.panels.len().max(1) as u32 + LINE * (self.proposed().len() as u32 + 1))
    }

    fn draw<B: DrawingBackend>(&self, area: &DrawingArea<B, Shift>, unit: f64) -> Result<()> {
        let all = || self.panels.iter().flat_map(|panel| &panel.curves).flat_map(|curve| &curve.values);
        let clusters = all().map(|&(clusters, _)| clusters);
        let (Some(from), Some(to)) = (clusters.clone().min(), clusters.max()) else {
            return Err(Error::Empty("no number of clusters".to_owned()));
        };
        if let Some((clusters, value)) = all().find(|(_, value)| !value.is_finite()) {
            return Err(Error::Empty(format!("the measure of {clusters} clusters is {value}")));
        }
        let pixels = |units: f64| (units * unit).round() as u32;
        let proposed = self.proposed();
        let (charts, below) = area.split_vertically(pixels(f64::from(PANEL)) * self.panels.len() as u32);
        let parts = charts.split_evenly((self.panels.len(), 1));
        for (at, (panel, part)) in self.panels.iter().zip(&parts).enumerate() {
            let title = self.title.as_ref().filter(|_| at == 0);
            panel.draw(part, title, (from, to.max(from + 1)), &proposed, unit)?;
        }
        let font = (FONT, TEXT * unit).into_font().color(&BLACK).pos(Pos::new(HPos::Left, VPos::Center));
        for (row, (clusters, by)) in proposed.iter().enumerate() {
            let y = pixels(f64::from(LINE) * (row as f64 + 0.5)) as i32;
            let text = format!("K = {clusters}: {}", by.join(", "));
            below.draw(&Text::new(text, (pixels(20.0) as i32, y), font.clone()))?;
        }
        Ok(())
    }
}

impl SweepPlot {
    /// The proposed numbers, rising, each with those who propose it.
    fn proposed(&self) -> Vec<(usize, Vec<&str>)> {
        let mut proposed = std::collections::BTreeMap::<usize, Vec<&str>>::new();
        for (name, clusters) in &self.proposals {
            proposed.entry(*clusters).or_default().push(name);
        }
        proposed.into_iter().collect()
    }
}

impl SweepPanel {
    fn draw<B: DrawingBackend>(
        &self,
        area: &DrawingArea<B, Shift>,
        title: Option<&String>,
        (from, to): (usize, usize),
        proposed: &[(usize, Vec<&str>)],
        unit: f64,
    ) -> Result<()> {
        let values = || self.curves.iter().flat_map(|curve| &curve.values).map(|&(_, value)| value);
        let (least, most) =
            values().fold((f64::INFINITY, f64::NEG_INFINITY), |(a, b), value| (a.min(value), b.max(value)));
        if least > most {
            return Err(Error::Empty(format!("no number of clusters has a {}", self.label)));
        }
        // The legend has the room above the curves.
        let height = (most - least).max(1e-6);
        let head = 0.14 + 0.13 * self.curves.len() as f64;
        let (low, high) = (least - 0.05 * height, most + head * height);
        let pixels = |units: f64| (units * unit).round() as u32;
        let area = titled(area, title, unit)?;
        let mut chart = with_labels(&area, unit).build_cartesian_2d(from as f64..to as f64, low..high)?;
        let mut mesh = chart.configure_mesh();
        mesh.x_labels(10).x_label_formatter(&number).y_labels(6).y_label_formatter(&number);
        draw_axes(&mut mesh, ["Number of clusters K", self.label.as_str()], unit)?;
        let plane = chart.plotting_area();
        let (x_pixels, y_pixels) = plane.get_pixel_range();
        let place = |clusters: usize, value: f64| {
            let (x, y) = plane.map_coordinate(&(clusters as f64, value));
            (x - x_pixels.start, y - y_pixels.start)
        };
        let inner = plane.strip_coord_spec();
        let upright = BLACK.mix(0.5).stroke_width(pixels(1.2).max(1));
        for &(clusters, _) in proposed.iter().filter(|(clusters, _)| (from..=to).contains(clusters)) {
            inner.draw(&PathElement::new(vec![place(clusters, low), place(clusters, high)], upright))?;
        }
        let mut rows = Vec::new();
        for (number, curve) in self.curves.iter().enumerate() {
            let stroke = Stroke::new(number, unit);
            let line: Vec<_> = curve.values.iter().map(|&(clusters, value)| place(clusters, value)).collect();
            stroke.line(&inner, line)?;
            rows.push((stroke, curve.name.clone()));
        }
        legend::draw(&inner, Corner::TopLeft, &rows, false, unit)
    }
}
