//! The numbers of a configuration, each with its range.

use std::fmt;

use crate::{Number, OutOfRange, Range};

/// Every number of a configuration under its key. It is filled by the structs of the configuration, and says what is out of
/// range and what the ranges are.
///
/// ```
/// use ffsvc_ranges::{Checklist, Range};
///
/// let mut checklist = Checklist::default();
/// let mut optimizer = checklist.section("optimizer");
/// optimizer.number("learning_rate", 1e-3, Range::above(0.0));
/// optimizer.number("momentum", f64::NAN, Range::at_least(0.0).below(1.0));
/// let faults: Vec<String> = checklist.faults().map(ToString::to_string).collect();
/// assert_eq!(faults, ["optimizer.momentum = NaN is not a number, expected >= 0 and < 1"]);
/// assert_eq!(checklist.range("optimizer.learning_rate"), Some("> 0"));
/// ```
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Checklist {
    checked: Vec<Checked>,
}

#[derive(Debug, Clone, PartialEq)]
struct Checked {
    key: String,
    range: String,
    fault: Option<OutOfRange>,
}

impl Checklist {
    /// The part of it below `name`, for example `optimizer`.
    pub fn section(&mut self, name: &str) -> Section<'_> {
        Section { checklist: self, name: name.to_owned() }
    }

    /// What is out of range, in the order in which the numbers were added.
    pub fn faults(&self) -> impl Iterator<Item = &OutOfRange> {
        self.checked.iter().filter_map(|checked| checked.fault.as_ref())
    }

    /// The keys with their ranges, in the order in which they were added.
    pub fn ranges(&self) -> impl Iterator<Item = (&str, &str)> {
        self.checked.iter().map(|checked| (checked.key.as_str(), checked.range.as_str()))
    }

    /// The range of `key`, if it was added.
    pub fn range(&self, key: &str) -> Option<&str> {
        self.ranges().find(|(known, _)| *known == key).map(|(_, range)| range)
    }
}

/// The part of a [`Checklist`] below a key.
#[derive(Debug)]
pub struct Section<'a> {
    checklist: &'a mut Checklist,
    name: String,
}

impl Section<'_> {
    /// Adds the number under `key`.
    pub fn number<T: Number>(&mut self, key: &str, value: T, range: Range<T>) {
        let key = format!("{}.{key}", self.name);
        let fault = range.check_key(&key, value).err();
        self.checklist.checked.push(Checked { range: range.to_string(), key, fault });
    }

    /// Adds the numbers of a list under one key.
    pub fn numbers<T: Number>(&mut self, key: &str, values: &[T], range: Range<T>) {
        let key = format!("{}.{key}", self.name);
        let fault = values.iter().find_map(|value| range.check_key(&key, *value).err());
        self.checklist.checked.push(Checked { range: format!("each {range}"), key, fault });
    }

    /// Adds a pair of numbers under `key`: the least and the most of something, which may be equal.
    pub fn span<T: Number>(&mut self, key: &str, [low, high]: [T; 2], range: Range<T>) {
        let key = format!("{}.{key}", self.name);
        let expected = Ascending(range).to_string();
        let fault = (!(range.contains(low) && range.contains(high) && low <= high)).then(|| OutOfRange {
            key: Some(key.clone()),
            found: format!("[{low}, {high}]"),
            is_number: low.is_number() && high.is_number(),
            expected: expected.clone(),
        });
        self.checklist.checked.push(Checked { key, range: expected, fault });
    }

    /// The part below a further key.
    pub fn section(&mut self, name: &str) -> Section<'_> {
        Section { name: format!("{}.{name}", self.name), checklist: self.checklist }
    }
}

/// Two numbers of a range, the smaller first.
struct Ascending<T>(Range<T>);

impl<T: fmt::Display> fmt::Display for Ascending<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "two numbers in ascending order, each {}", self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn faults_name_the_whole_key() {
        let mut checklist = Checklist::default();
        let mut augment = checklist.section("augment");
        augment.number("sound_cache_mib", 256usize, Range::at_most(Range::any(), 1 << 20));
        let mut additive = augment.section("additive");
        additive.number("probability", 1.5, Range::of(0.0, 1.0));
        additive.span("count", [3usize, 2], Range::of(1, 100));
        additive.section("noise").span("snr_db", [0.0, f64::NAN], Range::of(-60.0, 100.0));
        additive.section("music").span("snr_db", [5.0, 5.0], Range::of(-60.0, 100.0));
        augment.section("speed").numbers("factors", &[0.9, 2.5], Range::of(0.5, 2.0));
        let faults: Vec<String> = checklist.faults().map(ToString::to_string).collect();
        assert_eq!(
            faults,
            [
                "augment.additive.probability = 1.5 is out of range, expected 0 to 1",
                "augment.additive.count = [3, 2] is out of range, expected two numbers in ascending order, each 1 to 100",
                "augment.additive.noise.snr_db = [0, NaN] is not a number, expected two numbers in ascending order, each \
                 -60 to 100",
                "augment.speed.factors = 2.5 is out of range, expected 0.5 to 2",
            ]
        );
        assert_eq!(checklist.range("augment.sound_cache_mib"), Some("<= 1048576"));
        assert_eq!(checklist.ranges().count(), 6);
    }
}
