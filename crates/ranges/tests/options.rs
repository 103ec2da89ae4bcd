//! Options with a range: what clap accepts, refuses and shows.
#![cfg(feature = "clap")]

use clap::{CommandFactory, Parser};
use ffsvc_ranges::{Range, RangeArg as _, is_number};

const LEVEL: Range<f64> = Range::above(0.0).below(1.0);
const SIZE: Range<usize> = Range::at_least(1);
const OFFSET: Range<f32> = Range::any();

#[derive(Debug, Parser)]
struct Args {
    /// Confidence of the intervals
    #[arg(long, default_value_t = 0.95, range = LEVEL)]
    level: f64,

    /// Batch size
    ///
    /// How many recordings share a batch.
    #[arg(long, range = SIZE)]
    size: Option<usize>,

    /// Offsets
    #[arg(long, value_delimiter = ',', range = OFFSET)]
    offset: Vec<f32>,

    /// A name
    #[arg(long)]
    name: Option<String>,
}

fn parse(words: &[&str]) -> Result<Args, String> {
    Args::try_parse_from([&["program"], words].concat()).map_err(|error| error.to_string())
}

#[test]
fn values_of_the_range_are_taken() {
    let args = parse(&["--level", "0.5", "--size=3", "--offset", "-1.5"]).unwrap();
    assert_eq!((args.level, args.size, args.offset), (0.5, Some(3), vec![-1.5]));
    let args = parse(&[]).unwrap();
    assert_eq!((args.level, args.size, args.offset, args.name), (0.95, None, vec![], None));
}

#[test]
fn others_are_refused_with_the_option_the_value_and_the_range() {
    for (words, message) in [
        (
            ["--level", "1"],
            "invalid value '1' for '--level <LEVEL>': 1 is out of range, expected > 0 and < 1",
        ),
        (["--level", "nan"], "invalid value 'nan' for '--level <LEVEL>': not a number, expected > 0 and < 1"),
        (["--size", "0"], "invalid value '0' for '--size <SIZE>': 0 is out of range, expected >= 1"),
        (["--size", "-3"], "invalid value '-3' for '--size <SIZE>': expected a number of the range: >= 1"),
        (["--size", "x"], "invalid value 'x' for '--size <SIZE>': expected a number of the range: >= 1"),
        (
            ["--offset", "1,inf"],
            "invalid value 'inf' for '--offset <OFFSET>': inf is out of range, expected any number",
        ),
    ] {
        let error = parse(&words).unwrap_err();
        assert!(error.starts_with(&format!("error: {message}\n")), "{error}");
    }
}

#[test]
fn the_help_shows_the_range() {
    let help = Args::command().render_help().to_string();
    let long_help = Args::command().render_long_help().to_string();
    assert!(help.contains("Confidence of the intervals [range: > 0 and < 1] [default: 0.95]"), "{help}");
    assert!(help.contains("Batch size [range: >= 1]\n"), "{help}");
    assert!(long_help.contains("share a batch. [range: >= 1]"), "{long_help}");
}

#[test]
fn numbers_are_told_from_text() {
    let command = Args::command();
    let numbers: Vec<&str> =
        command.get_arguments().filter(|arg| is_number(arg)).map(|arg| arg.get_id().as_str()).collect();
    assert_eq!(numbers, ["level", "size", "offset"]);
}
