//! Quality measures: what is known of the utterances of a trial besides its score.

use std::fmt;
use std::str::FromStr;

use ffsvc_kaldi_io::{Error as FileError, NameList, Table, Trials};
use serde::{Deserialize, Serialize};

use crate::{Error, Result};

/// How the values of the two sides of a trial become one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Sides {
    Enrolment,
    Test,
    Least,
    Greatest,
    Mean,
    Difference,
}

/// A quality measure of a trial, made of one value for each utterance (or enrolled model): its duration, the length of its embedding,
/// the mean of its cohort scores. In text: `enrol`, `test`, `min`, `max`, `mean` or `difference` (without sign) of the two sides,
/// with `log-` before it for the natural logarithm of the values.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct QualityMeasure {
    sides: Sides,
    log: bool,
}

const SIDES: [(&str, Sides); 6] = [
    ("enrol", Sides::Enrolment),
    ("test", Sides::Test),
    ("min", Sides::Least),
    ("max", Sides::Greatest),
    ("mean", Sides::Mean),
    ("difference", Sides::Difference),
];

impl FromStr for QualityMeasure {
    type Err = String;

    fn from_str(text: &str) -> std::result::Result<Self, String> {
        let (log, name) = match text.strip_prefix("log-") {
            Some(name) => (true, name),
            None => (false, text),
        };
        match SIDES.iter().find(|(known, _)| *known == name) {
            Some(&(_, sides)) => Ok(Self { sides, log }),
            None => Err(format!(
                "found {text:?}, expected enrol, test, min, max, mean or difference, or one of them after log-"
            )),
        }
    }
}

impl TryFrom<String> for QualityMeasure {
    type Error = String;

    fn try_from(text: String) -> std::result::Result<Self, String> {
        text.parse()
    }
}

impl fmt::Display for QualityMeasure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = SIDES.iter().find(|(_, sides)| *sides == self.sides).map_or("", |(name, _)| name);
        write!(f, "{}{name}", if self.log { "log-" } else { "" })
    }
}

impl From<QualityMeasure> for String {
    fn from(measure: QualityMeasure) -> Self {
        measure.to_string()
    }
}

impl QualityMeasure {
    /// The measure of every trial, from a table of lines `name value`. Names that differ by a `.wav` suffix match.
    ///
    /// # Errors
    /// A name of the trials has no value on the side that counts; a value is no finite number, or not positive where its
    /// logarithm is asked for.
    pub fn of_trials(self, trials: &Trials, table: &Table) -> Result<Vec<f64>> {
        let found = trials.resolve(|name| table.position(name));
        let (mut needed_enrolment, mut needed_test) =
            (vec![false; found.values.len()], vec![false; found.values.len()]);
        for &(enrolment, test) in &trials.pairs {
            needed_enrolment[enrolment as usize] = self.sides != Sides::Test;
            needed_test[test as usize] = self.sides != Sides::Enrolment;
        }
        let mut missing = NameList::default();
        let mut values = vec![f64::NAN; found.values.len()];
        for (id, value) in values.iter_mut().enumerate() {
            match found.values[id] {
                _ if !needed_enrolment[id] && !needed_test[id] => {}
                None => missing.push(|| trials.names[id].clone()),
                Some(position) => *value = self.value(table, position)?,
            }
        }
        if missing.total() > 0 {
            return Err(Error::NoQuality { table: table.path().display().to_string(), names: missing });
        }
        let of_pair = |&(enrolment, test): &(u32, u32)| {
            let (a, b) = (values[enrolment as usize], values[test as usize]);
            match self.sides {
                Sides::Enrolment => a,
                Sides::Test => b,
                Sides::Least => a.min(b),
                Sides::Greatest => a.max(b),
                Sides::Mean => (a + b) / 2.0,
                Sides::Difference => (a - b).abs(),
            }
        };
        Ok(trials.pairs.iter().map(of_pair).collect())
    }

    fn value(self, table: &Table, position: usize) -> Result<f64> {
        let text = table.entry(position).map_or("", |(_, value)| value);
        let parsed = text.parse::<f64>().ok().filter(|value| value.is_finite());
        let (usable, expected) = match self.log {
            true => (parsed.filter(|&value| value > 0.0), "a positive number, whose logarithm can be taken"),
            false => (parsed, "a number"),
        };
        let refuse =
            || FileError::parse(table.path(), format!("{text:?}"), expected).at_line(table.line(position));
        let value = usable.ok_or_else(refuse)?;
        Ok(if self.log { value.ln() } else { value })
    }
}
