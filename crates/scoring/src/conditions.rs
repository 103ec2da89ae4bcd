//! Trials grouped by what a table says of their utterances: device, distance, gender, visit.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::str::FromStr;

use ffsvc_kaldi_io::{Error as FileError, NameList, Table, Trials};
use serde::{Deserialize, Serialize};

use crate::{Error, Result};

/// What of a trial's two values makes its condition.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Sides {
    /// The enrolment utterance's value.
    Enrolment,
    /// The test utterance's value.
    Test,
    /// The pair of both, in this order: `I-PAD`.
    #[default]
    Both,
    /// Whether they are the `same` or `different`.
    Relation,
    /// Their absolute difference; values must be numbers.
    Gap,
}

impl Sides {
    /// Every way to look at two values, with its word in a [`By`].
    const ALL: [(&'static str, Self); 5] = [
        ("enrol", Self::Enrolment),
        ("test", Self::Test),
        ("both", Self::Both),
        ("relation", Self::Relation),
        ("gap", Self::Gap),
    ];

    /// The ways that any values can be looked at, but this one: differences need numbers that are measured.
    pub(crate) fn others(self) -> impl Iterator<Item = Self> {
        let others = Self::ALL.into_iter().map(|(_, sides)| sides);
        others.filter(move |&sides| sides != self && sides != Self::Gap)
    }

    /// What makes a condition, in words.
    pub fn in_words(self) -> &'static str {
        match self {
            Self::Enrolment => "of the enrolment",
            Self::Test => "of the test",
            Self::Both => "enrolment-test",
            Self::Relation => "enrolment and test",
            Self::Gap => "difference of enrolment and test",
        }
    }

    /// Its word in a [`By`].
    pub fn word(self) -> &'static str {
        Self::ALL.iter().find(|(_, sides)| *sides == self).map_or("both", |(word, _)| word)
    }
}

/// A break-down that is asked for: `NAME=TABLE`, or `SIDES:NAME=TABLE` with sides `enrol`, `test`, `both` (the
/// default), `relation` or `gap`. With `SIDES:NAME:EDGES=TABLE`, such as `test:snr:5,10,20=utt2snr`, numbers fall into the
/// intervals between the edges.
#[derive(Debug, Clone, PartialEq)]
pub struct By {
    /// What the table tells, as results name it.
    pub name: String,
    /// A table of values by utterance, or by speaker.
    pub table: PathBuf,
    /// What makes a condition.
    pub sides: Sides,
    /// The edges of the intervals that numbers fall into, ascending; none: every value is a condition.
    pub edges: Vec<f64>,
}

impl FromStr for By {
    type Err = String;

    fn from_str(text: &str) -> std::result::Result<Self, String> {
        let expected = || {
            format!("found {text:?}, expected NAME=TABLE or SIDES:NAME=TABLE such as test:device=utt2device")
        };
        let (what, table) = text.split_once('=').ok_or_else(expected)?;
        let (sides, name, edges) = match what.split_once(':') {
            None => (Sides::default(), what, None),
            Some((word, name)) => match Sides::ALL.iter().find(|(known, _)| *known == word) {
                Some((_, sides)) => match name.split_once(':') {
                    Some((name, edges)) => (*sides, name, Some(edges)),
                    None => (*sides, name, None),
                },
                None => {
                    return Err(format!(
                        "found the sides {word:?}, expected enrol, test, both, relation or gap"
                    ));
                }
            },
        };
        if name.is_empty() || table.is_empty() {
            return Err(expected());
        }
        let edges = edges.map_or(Ok(Vec::new()), ascending)?;
        Ok(Self { name: name.to_owned(), table: table.into(), sides, edges })
    }
}

/// Edges of intervals: numbers with commas between them.
fn ascending(text: &str) -> std::result::Result<Vec<f64>, String> {
    let wrong = || format!("found the edges {text:?}, expected ascending numbers such as 5,10,20");
    let edges = text.split(',').map(|edge| edge.parse().ok().filter(|edge: &f64| edge.is_finite()));
    let edges = edges.collect::<Option<Vec<f64>>>().ok_or_else(wrong)?;
    if edges.windows(2).all(|pair| pair[0] < pair[1]) { Ok(edges) } else { Err(wrong()) }
}

/// The name of interval `place` of those that the edges make: `<5`, `5..10` (from 5 to below 10), `>=10`.
fn interval(edges: &[f64], place: usize) -> String {
    match (place.checked_sub(1).and_then(|low| edges.get(low)), edges.get(place)) {
        (None, Some(high)) => format!("<{high}"),
        (Some(low), Some(high)) => format!("{low}..{high}"),
        (Some(low), None) => format!(">={low}"),
        (None, None) => String::new(),
    }
}

/// The trials of one condition.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Group {
    /// The condition: a value, a pair of values, a relation or a difference.
    pub value: String,
    /// Places of its trials in the list, ascending.
    pub trials: Vec<usize>,
}

/// A trial list by conditions.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Groups {
    /// The conditions that occur, in the order of their values: intervals and numbers by size, then text by bytes.
    pub groups: Vec<Group>,
    /// Trials left out because an utterance has no value.
    pub without_value: usize,
}

/// Groups the trials of a list by the values that `table` has of their utterances.
///
/// With `utt2spk`, the table may be one of speakers instead (`spk2gender`): an utterance that it lacks has its speaker's
/// value. Names that differ by a `.wav` suffix match. Only the sides that matter need a value.
///
/// # Errors
/// Utterances have no value, unless `skip_missing` says to leave out their trials; for [`Sides::Gap`] and with edges, a value is
/// no number.
pub fn group(
    trials: &Trials,
    by: &By,
    table: &Table,
    utt2spk: Option<&Table>,
    skip_missing: bool,
) -> Result<Groups> {
    let of_speaker = |name: &str| utt2spk?.get(name).and_then(|speaker| table.get(speaker));
    let values = trials.resolve(|name| table.get(name).or_else(|| of_speaker(name))).values;
    let (needs_enrolment, needs_test) = (by.sides != Sides::Test, by.sides != Sides::Enrolment);
    let mut without = vec![false; trials.names.len()];
    let mut without_value = 0;
    let mut groups: BTreeMap<(Vec<usize>, Cow<'_, str>), Vec<usize>> = BTreeMap::new();
    for (place, &(enrolment, test)) in trials.pairs.iter().enumerate() {
        let value = |id: u32, needed: bool| match values[id as usize] {
            _ if !needed => Some(""),
            None => None,
            found => found,
        };
        let (of_enrolment, of_test) = (value(enrolment, needs_enrolment), value(test, needs_test));
        let (Some(a), Some(b)) = (of_enrolment, of_test) else {
            without[enrolment as usize] |= of_enrolment.is_none();
            without[test as usize] |= of_test.is_none();
            without_value += 1;
            continue;
        };
        let condition = match by.sides {
            _ if !by.edges.is_empty() => by.interval_of(table, a, b)?,
            Sides::Enrolment => (Vec::new(), Cow::Borrowed(a)),
            Sides::Test => (Vec::new(), Cow::Borrowed(b)),
            Sides::Both => (Vec::new(), Cow::Owned(format!("{a}-{b}"))),
            Sides::Relation => (Vec::new(), Cow::Borrowed(if a == b { "same" } else { "different" })),
            Sides::Gap => (Vec::new(), Cow::Owned((number(table, a)? - number(table, b)?).abs().to_string())),
        };
        groups.entry(condition).or_default().push(place);
    }
    if without_value > 0 && !skip_missing {
        let mut utterances = NameList::default();
        for (name, _) in trials.names.iter().zip(&without).filter(|(_, without)| **without) {
            utterances.push(|| name.clone());
        }
        let (table, of) = (table.path().display().to_string(), trials.len());
        return Err(Error::MissingValues { table, trials: without_value, of, utterances });
    }
    let mut groups: Vec<Group> =
        groups.into_iter().map(|((_, value), trials)| Group { value: value.into_owned(), trials }).collect();
    // A stable sort: intervals and text stay in their order, behind the numbers.
    let size = |group: &Group| group.value.parse().unwrap_or(f64::INFINITY);
    groups.sort_by(|a, b| size(a).total_cmp(&size(b)));
    Ok(Groups { groups, without_value })
}

impl By {
    /// The condition of a trial whose values are numbers: its places among the intervals, and its name.
    fn interval_of(&self, table: &Table, a: &str, b: &str) -> Result<(Vec<usize>, Cow<'static, str>)> {
        let place = |value: f64| self.edges.partition_point(|&edge| edge <= value);
        let (of, name) = (|value| number(table, value).map(place), |place| interval(&self.edges, place));
        Ok(match self.sides {
            Sides::Enrolment => of(a).map(|a| (vec![a], name(a).into()))?,
            Sides::Test => of(b).map(|b| (vec![b], name(b).into()))?,
            Sides::Both => {
                let (a, b) = (of(a)?, of(b)?);
                (vec![a, b], format!("{}-{}", name(a), name(b)).into())
            }
            Sides::Relation => (Vec::new(), if of(a)? == of(b)? { "same" } else { "different" }.into()),
            Sides::Gap => {
                let gap = place((number(table, a)? - number(table, b)?).abs());
                (vec![gap], name(gap).into())
            }
        })
    }
}

fn number(table: &Table, value: &str) -> Result<f64> {
    value.parse().ok().filter(|number: &f64| number.is_finite()).ok_or_else(|| {
        let place = table.iter().position(|(_, other)| other == value).unwrap_or_default();
        FileError::parse(table.path(), format!("{value:?}"), "a number, for gaps and intervals")
            .at_line(table.line(place))
            .into()
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use ffsvc_kaldi_io::TrialColumns;

    fn trials() -> Trials {
        Trials::parse("trials", b"1 a b\n0 a c\n0 b c\n1 c c.wav\n".to_vec(), TrialColumns::Auto).unwrap()
    }

    fn table(text: &str) -> Table {
        Table::parse("utt2x", text.as_bytes().to_vec()).unwrap()
    }

    fn groups(
        by: &str,
        table: &Table,
        utt2spk: Option<&Table>,
        skip: bool,
    ) -> Result<Vec<(String, Vec<usize>)>> {
        let found = group(&trials(), &by.parse().unwrap(), table, utt2spk, skip)?;
        Ok(found.groups.into_iter().map(|group| (group.value, group.trials)).collect())
    }

    fn expected(groups: &[(&str, &[usize])]) -> Vec<(String, Vec<usize>)> {
        groups.iter().map(|&(value, trials)| (value.to_owned(), trials.to_vec())).collect()
    }

    #[test]
    fn each_way_of_looking_at_two_values() {
        let visits = table("a 10\nb 9\nc 1\n");
        let by = |by: &str| groups(by, &visits, None, false).unwrap();
        assert_eq!(by("test:visit=t"), expected(&[("1", &[1, 2, 3]), ("9", &[0])]));
        assert_eq!(by("enrol:visit=t"), expected(&[("1", &[3]), ("9", &[2]), ("10", &[0, 1])]));
        assert_eq!(by("gap:visit=t"), expected(&[("0", &[3]), ("1", &[0]), ("8", &[2]), ("9", &[1])]));
        assert_eq!(by("relation:visit=t"), expected(&[("different", &[0, 1, 2]), ("same", &[3])]));
        let pairs = expected(&[("1-1", &[3]), ("10-1", &[1]), ("10-9", &[0]), ("9-1", &[2])]);
        assert_eq!(by("visit=t"), pairs);
        assert_eq!(by("both:visit=t"), pairs);
    }

    #[test]
    fn numbers_fall_into_intervals() {
        let snr = table("a -3.5\nb 5\nc 12\n");
        let by = |by: &str| groups(by, &snr, None, false).unwrap();
        assert_eq!(by("enrol:snr:0,5,10=t"), expected(&[("<0", &[0, 1]), ("5..10", &[2]), (">=10", &[3])]));
        assert_eq!(by("test:snr:5=t"), expected(&[(">=5", &[0, 1, 2, 3])]));
        let pairs =
            expected(&[("<0-5..10", &[0]), ("<0->=10", &[1]), ("5..10->=10", &[2]), (">=10->=10", &[3])]);
        assert_eq!(by("both:snr:0,5,10=t"), pairs);
        assert_eq!(by("relation:snr:0=t"), expected(&[("different", &[0, 1]), ("same", &[2, 3])]));
        assert_eq!(by("gap:snr:8=t"), expected(&[("<8", &[2, 3]), (">=8", &[0, 1])]));
        let error = groups("test:snr:0=t", &table("b loud\nc 1\n"), None, false).unwrap_err().to_string();
        assert!(error.starts_with("utt2x:1: found \"loud\", expected a number"), "{error}");
        for bad in ["test:snr:=t", "test:snr:5,x=t", "test:snr:5,5=t", "test:snr:nan=t", "snr:5=t"] {
            assert!(bad.parse::<By>().is_err(), "{bad}");
        }
    }

    #[test]
    fn a_table_of_speakers_serves_through_utt2spk() {
        let (gender, utt2spk) = (table("ann f\nbob m\n"), table("a ann\nb ann\nc bob\n"));
        let found = groups("gender=t", &gender, Some(&utt2spk), false).unwrap();
        assert_eq!(found, expected(&[("f-f", &[0]), ("f-m", &[1, 2]), ("m-m", &[3])]));
    }

    #[test]
    fn missing_values_and_values_that_are_no_numbers_are_named() {
        let partial = table("a x\nb y\n");
        let error = groups("test:d=t", &partial, None, false).unwrap_err().to_string();
        assert!(error.contains("3 of 4 trials") && error.contains("utt2x for c, c.wav"), "{error}");
        assert_eq!(groups("test:d=t", &partial, None, true).unwrap(), expected(&[("y", &[0])]));
        // The side that does not matter needs no value.
        assert_eq!(groups("enrol:d=t", &partial, None, true).unwrap().len(), 2);
        let error = groups("gap:d=t", &partial, None, true).unwrap_err().to_string();
        assert!(error.starts_with("utt2x:1: found \"x\""), "{error}");
    }

    #[test]
    fn what_is_asked_for_is_checked() {
        for bad in ["device", "=t", "device=", "x:device=t", "test:=t"] {
            assert!(bad.parse::<By>().is_err(), "{bad}");
        }
    }
}
