//! `--k`: one number of clusters, a range of them, or a range that follows from the number of embeddings.

use std::fmt;
use std::str::FromStr;

/// A speaker has at least so many utterances, as `--k auto` has it.
const AUTO_UTTERANCES: usize = 4;
/// The most clusters and the most numbers of clusters that `--k auto` tries.
const AUTO_MOST: usize = 2000;
const AUTO_VALUES: usize = 20;

/// The numbers of clusters that `--k` asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Number {
    /// `100`
    Given(usize),
    /// `10..2000:10`
    Range(Range),
    /// `auto`
    Auto,
}

/// Numbers of clusters from `from` to `to`, both included, `step` apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Range {
    pub(crate) from: usize,
    pub(crate) to: usize,
    pub(crate) step: usize,
}

impl Range {
    /// About 20 numbers, up to a quarter of the points and 2,000 at most.
    fn auto(points: usize) -> Self {
        let to = (points / AUTO_UTTERANCES).clamp(2, AUTO_MOST).min(points);
        let step = to.div_ceil(AUTO_VALUES);
        Self { from: step.clamp(1, to).max(2.min(to)), to, step }
    }
}

impl fmt::Display for Range {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}..{}:{}", self.from, self.to, self.step)
    }
}

impl Number {
    /// The range to try; of one number if one is given.
    pub(crate) fn range(self, points: usize) -> Range {
        match self {
            Self::Given(k) => Range { from: k, to: k, step: 1 },
            Self::Range(range) => range,
            Self::Auto => Range::auto(points),
        }
    }
}

impl FromStr for Number {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let number = |text: &str| text.parse().ok().filter(|&number: &usize| number > 0);
        let wrong = || {
            format!(
                "found {text:?}, expected a number (100), a range FROM..TO or FROM..TO:STEP (10..2000:10), or auto"
            )
        };
        if text == "auto" {
            return Ok(Self::Auto);
        }
        let Some((from, rest)) = text.split_once("..") else {
            return number(text).map(Self::Given).ok_or_else(wrong);
        };
        let (to, step) = rest.split_once(':').unwrap_or((rest, "1"));
        match (number(from), number(to), number(step)) {
            (Some(from), Some(to), _) if from > to => {
                Err(format!("found {text:?}, expected a range that begins at its smaller end"))
            }
            (Some(from), Some(to), Some(step)) => Ok(Self::Range(Range { from, to, step })),
            _ => Err(wrong()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_number_a_range_and_auto_are_read() {
        let range = |from, to, step| Ok(Number::Range(Range { from, to, step }));
        for (text, expected) in [
            ("100", Ok(Number::Given(100))),
            ("auto", Ok(Number::Auto)),
            ("10..2000:10", range(10, 2000, 10)),
            ("2..12", range(2, 12, 1)),
            ("5..5", range(5, 5, 1)),
        ] {
            assert_eq!(text.parse::<Number>(), expected, "{text}");
        }
        for wrong in [
            "", "0", "-1", "1.5", "none", "..", "2..", "..5", "5..2", "2..5:0", "2..5:", "2..=5", "1..2..3",
            "2:5", "AUTO",
        ] {
            assert!(wrong.parse::<Number>().is_err(), "{wrong}");
        }
    }

    #[test]
    fn auto_stays_among_the_points() {
        for points in (1..200).chain([1000, 8000, 823_726]) {
            let Range { from, to, step } = Range::auto(points);
            assert!(
                1 <= from && from <= to && to <= points && step >= 1,
                "{points} points: {from}..{to}:{step}"
            );
            assert!((to - from) / step < AUTO_VALUES, "{points} points: {from}..{to}:{step}");
        }
        assert_eq!(Range::auto(1000).to_string(), "13..250:13");
        assert_eq!(Range::auto(823_726).to_string(), "100..2000:100");
    }
}
