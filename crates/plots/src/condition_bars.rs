//! An error rate by condition.

use plotters::coord::Shift;
use plotters::prelude::*;
use plotters::style::text_anchor::{HPos, Pos, VPos};

use crate::canvas::FONT;
use crate::legend::TEXT;
use crate::stroke::Stroke;
use crate::{Error, Picture, Result};

/// A number and its interval.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Bar {
    /// How long the bar is.
    pub value: f64,
    /// Lower and upper end of its interval.
    pub interval: Option<(f64, f64)>,
}

/// One system's bars.
#[derive(Debug, Clone, PartialEq)]
pub struct ConditionSystem {
    /// Its name in the legend.
    pub name: String,
    /// A bar for each condition; `None` where there were too few trials.
    pub bars: Vec<Option<Bar>>,
}

/// Horizontal bars, a group for each condition, a bar for each system, with its number beside it.
#[derive(Debug, Clone, PartialEq)]
pub struct ConditionBars {
    /// Heading.
    pub title: Option<String>,
    /// What is measured: `EER (%)`.
    pub measure: String,
    /// Names of the conditions.
    pub conditions: Vec<String>,
    /// The systems.
    pub systems: Vec<ConditionSystem>,
}

const BAR: f64 = 20.0;
const GAP: f64 = 14.0;
const AROUND: f64 = 80.0;

impl ConditionBars {
    fn group(&self) -> f64 {
        self.systems.len() as f64 * BAR + GAP
    }
}

impl Picture for ConditionBars {
    fn size(&self) -> (u32, u32) {
        let legend = self.systems.len() as f64 * 1.5 * TEXT;
        let title = if self.title.is_some() { 2.0 * TEXT } else { 0.0 };
        (760, (AROUND + legend + title + self.group() * self.conditions.len() as f64).ceil() as u32)
    }

    fn draw<B: DrawingBackend>(&self, area: &DrawingArea<B, Shift>, unit: f64) -> Result<()> {
        let bars = || self.systems.iter().flat_map(|system| system.bars.iter().flatten());
        if bars().next().is_none() {
            return Err(Error::Empty("no condition with enough trials".to_owned()));
        }
        let end = |bar: &Bar| bar.interval.map_or(bar.value, |(_, high)| high.max(bar.value));
        let longest =
            bars().map(end).filter(|end| end.is_finite()).fold(0.0, f64::max).max(f64::MIN_POSITIVE);
        let pixels = |units: f64| (units * unit).round() as i32;
        let text = (FONT, TEXT * unit).into_font().color(&BLACK);
        let left_of = text.pos(Pos::new(HPos::Right, VPos::Center));
        let right_of = text.pos(Pos::new(HPos::Left, VPos::Center));
        let centred = text.pos(Pos::new(HPos::Center, VPos::Top));
        let mut names = 0;
        for condition in &self.conditions {
            names = names.max(area.estimate_text_size(condition, &text)?.0 as i32);
        }
        let (width, _) = area.dim_in_pixel();
        let mut top = pixels(14.0);
        if let Some(title) = &self.title {
            let heading = (FONT, 1.2 * TEXT * unit).into_font().color(&BLACK);
            let heading = heading.pos(Pos::new(HPos::Center, VPos::Top));
            area.draw(&Text::new(title.as_str(), (width as i32 / 2, top), heading))?;
            top += pixels(2.0 * TEXT);
        }
        let left = names + pixels(24.0);
        // Room for the number behind the longest bar.
        let right = width as i32 - pixels(80.0);
        for (number, system) in self.systems.iter().enumerate() {
            let y = top + pixels(0.75 * TEXT);
            let (from, to) = ((left, y - pixels(BAR / 3.0)), (left + pixels(40.0), y + pixels(BAR / 3.0)));
            self.bar(area, number, from, to, unit)?;
            area.draw(&Text::new(system.name.as_str(), (left + pixels(50.0), y), right_of.clone()))?;
            top += pixels(1.5 * TEXT);
        }
        top += pixels(6.0);
        let x =
            |value: f64| left + ((right - left) as f64 * (value / longest).clamp(0.0, 1.0)).round() as i32;
        let bottom = top + pixels(self.group() * self.conditions.len() as f64);
        for tick in ticks(longest / 5.0, longest) {
            let grid = BLACK.mix(0.2).stroke_width(pixels(0.8).max(1) as u32);
            area.draw(&PathElement::new(vec![(x(tick), top), (x(tick), bottom)], grid))?;
            let label = ((1e6 * tick).round() / 1e6).to_string();
            area.draw(&Text::new(label, (x(tick), bottom + pixels(5.0)), centred.clone()))?;
        }
        let axis = BLACK.stroke_width(pixels(1.2).max(1) as u32);
        let below = bottom + pixels(8.0 + 1.4 * TEXT);
        area.draw(&Text::new(self.measure.as_str(), ((left + right) / 2, below), centred))?;
        for (place, condition) in self.conditions.iter().enumerate() {
            let from = top + pixels(self.group() * place as f64 + GAP / 2.0);
            let middle = from + pixels(BAR * self.systems.len() as f64 / 2.0);
            area.draw(&Text::new(condition.as_str(), (left - pixels(10.0), middle), left_of.clone()))?;
            for (number, system) in self.systems.iter().enumerate() {
                let y = from + pixels(BAR * number as f64);
                let (mid, next) = (y + pixels(BAR / 2.0), y + pixels(BAR - 3.0));
                let Some(bar) = system.bars.get(place).copied().flatten() else {
                    let few = Text::new("too few trials", (left + pixels(6.0), mid), right_of.clone());
                    area.draw(&few)?;
                    continue;
                };
                self.bar(area, number, (left, y), (x(bar.value), next), unit)?;
                let mut behind = x(bar.value);
                if let Some((low, high)) = bar.interval {
                    let (a, b, half) = (x(low), x(high), pixels(4.0));
                    for line in [
                        vec![(a, mid), (b, mid)],
                        vec![(a, mid - half), (a, mid + half)],
                        vec![(b, mid - half), (b, mid + half)],
                    ] {
                        area.draw(&PathElement::new(line, axis))?;
                    }
                    behind = behind.max(b);
                }
                let number = format!("{:.*}", decimals(longest), bar.value);
                area.draw(&Text::new(number, (behind + pixels(7.0), mid), right_of.clone()))?;
            }
        }
        area.draw(&PathElement::new(vec![(left, top), (left, bottom)], axis))?;
        Ok(())
    }
}

impl ConditionBars {
    /// A bar in its system's colour, light enough for the interval on it to be seen, with a dark edge. Every second
    /// system's is almost white.
    fn bar<B: DrawingBackend>(
        &self,
        area: &DrawingArea<B, Shift>,
        number: usize,
        from: (i32, i32),
        to: (i32, i32),
        unit: f64,
    ) -> Result<()> {
        let colour = Stroke::new(number + 1, unit).colour();
        let share = if number.is_multiple_of(2) { 0.65 } else { 0.2 };
        area.draw(&Rectangle::new([from, to], colour.mix(share).filled()))?;
        let edge = colour.stroke_width((1.2 * unit).round().max(1.0) as u32);
        area.draw(&Rectangle::new([from, to], edge))?;
        Ok(())
    }
}

/// Digits behind the point that show three digits of the longest bar.
fn decimals(longest: f64) -> usize {
    (2.0 - longest.log10().floor()).clamp(0.0, 6.0) as usize
}

/// Round values from 0 on, about as far apart as asked for.
fn ticks(about: f64, end: f64) -> impl Iterator<Item = f64> {
    let power = 10_f64.powf(about.log10().floor());
    let step = [1.0, 2.0, 5.0, 10.0].map(|step| step * power).into_iter().find(|&step| step >= about);
    let step = step.unwrap_or(about);
    (0..).map(move |tick| f64::from(tick) * step).take_while(move |&tick| tick <= end)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ticks_are_round() {
        assert_eq!(ticks(1.5, 7.5).collect::<Vec<_>>(), [0.0, 2.0, 4.0, 6.0]);
        assert_eq!(
            ticks(0.02, 0.1).map(|t| (1e3 * t).round()).collect::<Vec<_>>(),
            [0.0, 20.0, 40.0, 60.0, 80.0, 100.0]
        );
    }

    #[test]
    fn three_digits_are_shown() {
        assert_eq!([7.5, 0.75, 75.0, 1000.0].map(decimals), [2, 3, 1, 0]);
    }
}
