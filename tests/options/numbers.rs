//! Every option that takes a number has a range, shows it and refuses what lies outside.

use crate::dump::{Opt, options, program};

/// Whole numbers of which each one from 0 on is fine.
const FROM_ZERO: &[&str] = &["seed", "refinements", "nearest-clusters", "silhouette-sample", "round"];

/// Values that the range excludes. An end is written as in the help: `> 0`, `>= 1 and < 5`, `0 to 1`.
fn outside(range: &str) -> Vec<String> {
    let mut values = vec!["nan".to_owned(), "not-a-number".to_owned()];
    if !range.contains("inf") {
        values.push("inf".to_owned());
    }
    if let Some((low, high)) = range.split_once(" to ") {
        values.extend([beside(low, -1.0), beside(high, 1.0)]);
        return values;
    }
    for end in range.trim_end_matches(", also inf").split(" and ") {
        match end.split_once(' ') {
            Some((">", end)) => values.push(end.to_owned()),
            Some(("<", end)) => values.push(end.to_owned()),
            Some((">=", end)) => values.push(beside(end, -1.0)),
            Some(("<=", end)) => values.push(beside(end, 1.0)),
            _ => assert_eq!(end, "any number", "a range that this test cannot read"),
        }
    }
    values
}

fn beside(end: &str, step: f64) -> String {
    (end.parse::<f64>().unwrap_or_else(|_| panic!("{end} is no number")) + step).to_string()
}

#[test]
fn every_number_has_a_range_in_its_help_and_refuses_what_lies_outside() {
    let mut faults = Vec::new();
    for option in options().iter().filter(|option| option.kind == "number") {
        let is_whole = option.long.as_deref().is_some_and(|long| FROM_ZERO.contains(&long));
        let Some(range) = option.range.as_deref().or(is_whole.then_some(">= 0")) else {
            faults.push(format!("{option} shows no range: give it one with `#[arg(range = ...)]`"));
            continue;
        };
        faults.extend(outside(range).iter().filter_map(|value| accepted(option, value)));
    }
    assert!(faults.is_empty(), "{}", faults.join("\n"));
}

/// Two numbers, of which the first is not above the second.
#[test]
fn every_span_has_a_range_in_its_help_and_refuses_what_lies_outside() {
    let mut faults = Vec::new();
    for option in options().iter().filter(|option| option.value_name == "LOW,HIGH") {
        let Some(range) = option.range.as_deref() else {
            faults.push(format!("{option} shows no range: give it one with `#[arg(span = ...)]`"));
            continue;
        };
        let (low, high) = range.split_once(" to ").expect("a span has two ends");
        let outside = outside(range);
        let beside = outside.iter().flat_map(|value| [format!("{low},{value}"), format!("{value},{high}")]);
        let unordered = [format!("{high},{low}"), low.to_owned()];
        faults.extend(beside.chain(unordered).filter_map(|value| accepted(option, &value)));
    }
    assert!(faults.is_empty(), "{}", faults.join("\n"));
}

/// What is wrong if the program does not refuse `value` as wrong usage, with the option's name.
fn accepted(option: &Opt, value: &str) -> Option<String> {
    let long = option.long.as_ref()?;
    let mut command = program(option.program);
    let output =
        command.args(option.command.split_whitespace()).arg(format!("--{long}={value}")).output().unwrap();
    let stderr = String::from_utf8_lossy(&output.stderr).into_owned();
    let is_refused =
        output.status.code() == Some(2) && stderr.contains(&format!("invalid value '{value}' for '--{long}"));
    (!is_refused).then(|| format!("{option}={value} is not refused for its value: {}", stderr.trim()))
}
