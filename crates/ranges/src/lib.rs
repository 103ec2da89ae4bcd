#![doc = include_str!("../README.md")]

mod checklist;
#[cfg(feature = "clap")]
mod option;

use std::fmt;
use std::ops::Bound;

pub use checklist::{Checklist, Section};
#[cfg(feature = "clap")]
pub use option::{RangeArg, Span, is_number};

/// A type of numbers that can have a range.
pub trait Number: Copy + PartialOrd + fmt::Display {
    /// Whether it is a number at all: not-a-number is none.
    fn is_number(self) -> bool;
    /// Whether it is neither infinite nor not-a-number.
    fn is_finite(self) -> bool;
}

macro_rules! integers {
    ($($t:ty),*) => {$(
        impl Number for $t {
            fn is_number(self) -> bool { true }
            fn is_finite(self) -> bool { true }
        }
    )*};
}
integers!(u8, u16, u32, u64, usize, i8, i16, i32, i64, isize);

macro_rules! floats {
    ($($t:ty),*) => {$(
        impl Number for $t {
            fn is_number(self) -> bool { !self.is_nan() }
            fn is_finite(self) -> bool { <$t>::is_finite(self) }
        }
    )*};
}
floats!(f32, f64);

/// The numbers that are allowed somewhere. `Display` gives `> 0`, `>= 0 and < 1`, `1 to 100` or `any number`.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Range<T> {
    low: Bound<T>,
    high: Bound<T>,
    infinite: bool,
}

impl<T: Copy> Range<T> {
    /// Every finite number.
    pub const fn any() -> Self {
        Self { low: Bound::Unbounded, high: Bound::Unbounded, infinite: false }
    }

    /// Numbers above `low`.
    pub const fn above(low: T) -> Self {
        Self { low: Bound::Excluded(low), ..Self::any() }
    }

    /// `low` and numbers above it.
    pub const fn at_least(low: T) -> Self {
        Self { low: Bound::Included(low), ..Self::any() }
    }

    /// `low`, `high` and the numbers between them.
    pub const fn of(low: T, high: T) -> Self {
        Self::at_least(low).at_most(high)
    }

    /// The same, but below `high`.
    pub const fn below(self, high: T) -> Self {
        Self { high: Bound::Excluded(high), ..self }
    }

    /// The same, but at most `high`.
    pub const fn at_most(self, high: T) -> Self {
        Self { high: Bound::Included(high), ..self }
    }

    /// The same, and infinity on each end that has no bound.
    pub const fn or_infinite(self) -> Self {
        Self { infinite: true, ..self }
    }
}

impl<T: Number> Range<T> {
    /// Whether `value` is in the range.
    pub fn contains(&self, value: T) -> bool {
        let above = match self.low {
            Bound::Included(low) => value >= low,
            Bound::Excluded(low) => value > low,
            Bound::Unbounded => true,
        };
        let below = match self.high {
            Bound::Included(high) => value <= high,
            Bound::Excluded(high) => value < high,
            Bound::Unbounded => true,
        };
        value.is_number() && (value.is_finite() || self.infinite) && above && below
    }

    /// The value, if it is in the range.
    ///
    /// # Errors
    /// It is not, or it is not a number.
    pub fn check(&self, value: T) -> Result<T, OutOfRange> {
        if self.contains(value) { Ok(value) } else { Err(self.refuse(None, value)) }
    }

    /// Checks the value of a setting, a field or a function's argument; `key` is what the user calls it, such as
    /// `optimizer.epsilon`.
    ///
    /// # Errors
    /// It is out of the range, or not a number. The message names the key, the value and the range.
    pub fn check_key(&self, key: &str, value: T) -> Result<(), OutOfRange> {
        if self.contains(value) { Ok(()) } else { Err(self.refuse(Some(key), value)) }
    }

    fn refuse(&self, key: Option<&str>, value: T) -> OutOfRange {
        OutOfRange {
            key: key.map(str::to_owned),
            found: value.to_string(),
            is_number: value.is_number(),
            expected: self.to_string(),
        }
    }
}

impl<T: fmt::Display> fmt::Display for Range<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        use Bound::{Excluded, Included, Unbounded};
        match (&self.low, &self.high) {
            (Unbounded, Unbounded) if self.infinite => f.write_str("any number, also inf"),
            (Unbounded, Unbounded) => f.write_str("any number"),
            (Included(low), Included(high)) => write!(f, "{low} to {high}"),
            (low, high) => {
                match low {
                    Included(low) => write!(f, ">= {low}")?,
                    Excluded(low) => write!(f, "> {low}")?,
                    Unbounded => {}
                }
                if !matches!(low, Unbounded) && !matches!(high, Unbounded) {
                    f.write_str(" and ")?;
                }
                match high {
                    Included(high) => write!(f, "<= {high}")?,
                    Excluded(high) => write!(f, "< {high}")?,
                    Unbounded => {}
                }
                if self.infinite { f.write_str(", also inf") } else { Ok(()) }
            }
        }
    }
}

/// A number that is not in its range.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{}, expected {expected}", found_as(key.as_deref(), found, *is_number))]
pub struct OutOfRange {
    /// What the user calls the number, where that is known.
    pub key: Option<String>,
    /// The number.
    pub found: String,
    /// Whether it is a number at all.
    pub is_number: bool,
    /// The range.
    pub expected: String,
}

fn found_as(key: Option<&str>, found: &str, is_number: bool) -> String {
    match (key, is_number) {
        (Some(key), true) => format!("{key} = {found} is out of range"),
        (Some(key), false) => format!("{key} = {found} is not a number"),
        (None, true) => format!("{found} is out of range"),
        (None, false) => "not a number".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ends_belong_or_not() {
        type Case<'a> = (Range<f64>, &'a str, &'a [f64], &'a [f64]);
        let cases: [Case; 8] = [
            (Range::any(), "any number", &[-1e300, 0.0], &[]),
            (Range::above(0.0), "> 0", &[1e-300], &[0.0, -0.0, -1.0]),
            (Range::at_least(0.5), ">= 0.5", &[0.5], &[0.49]),
            (Range::of(0.0, 1.0), "0 to 1", &[0.0, 1.0], &[-1e-9, 1.000_001]),
            (Range::above(0.0).below(1.0), "> 0 and < 1", &[0.5], &[0.0, 1.0]),
            (Range::at_least(0.0).below(1.0), ">= 0 and < 1", &[0.0], &[1.0]),
            (Range::above(0.0).at_most(1.0), "> 0 and <= 1", &[1.0], &[0.0]),
            (Range::any().below(2.0), "< 2", &[-9.0], &[2.0]),
        ];
        for (range, text, inside, outside) in cases {
            assert_eq!(range.to_string(), text);
            for &value in inside {
                assert_eq!(range.check(value), Ok(value), "{range}");
            }
            for &value in outside.iter().chain(&[f64::NAN, f64::INFINITY, f64::NEG_INFINITY]) {
                assert!(range.check(value).is_err(), "{value} {range}");
            }
        }
    }

    #[test]
    fn infinities_only_where_they_are_allowed_and_no_bound_is_in_their_way() {
        let range = Range::above(0.0).or_infinite();
        assert_eq!(range.to_string(), "> 0, also inf");
        assert!(
            range.contains(f64::INFINITY) && !range.contains(f64::NEG_INFINITY) && !range.contains(f64::NAN)
        );
        assert!(!Range::of(0.0, 1.0).or_infinite().contains(f64::INFINITY));
        assert!(Range::any().or_infinite().contains(f32::NEG_INFINITY));
    }

    #[test]
    fn messages_say_what_was_found_and_what_is_allowed() {
        const FOLDS: Range<usize> = Range::of(2, 100);
        for (error, message) in [
            (FOLDS.check(1).unwrap_err(), "1 is out of range, expected 2 to 100"),
            (
                FOLDS.check_key("calibration.folds", 100_000).unwrap_err(),
                "calibration.folds = 100000 is out of range, expected 2 to 100",
            ),
            (Range::at_least(1.0).check(f32::NAN).unwrap_err(), "not a number, expected >= 1"),
            (Range::any().check(f64::INFINITY).unwrap_err(), "inf is out of range, expected any number"),
            (Range::any().check(f64::NAN).unwrap_err(), "not a number, expected any number"),
        ] {
            assert_eq!(error.to_string(), message);
        }
    }
}
