//! Options with a range: what clap accepts, refuses and shows.
#![cfg(feature = "clap")]

use clap::{CommandFactory, Parser};
use ffsvc_ranges::{Range, RangeArg as _, Span, is_number};

const LEVEL: Range<f64> = Range::above(0.0).below(1.0);
const SIZE: Range<usize> = Range::at_least(1);
const OFFSET: Range<f32> = Range::any();
const SNR_DB: Range<f64> = Range::of(-30.0, 100.0);

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

    /// Noise
    #[arg(long, value_name = "LOW,HIGH", default_value = "10,30", span = SNR_DB)]
    snr_db: Span<f64>,

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
fn two_numbers_are_a_span() {
    assert_eq!(parse(&[]).unwrap().snr_db, Span([10.0, 30.0]));
    assert_eq!(parse(&["--snr-db", "-5,5"]).unwrap().snr_db, Span([-5.0, 5.0]));
    for (value, message) in [
        ("5", "expected two numbers of the range, with a comma between them: -30 to 100"),
        ("5,x", "expected a number of the range: -30 to 100"),
        ("5,101", "101 is out of range, expected -30 to 100"),
        ("nan,5", "not a number, expected -30 to 100"),
        ("5,4", "5 is above 4, expected the lower number first"),
    ] {
        let error = parse(&["--snr-db", value]).unwrap_err();
        let message = format!("error: invalid value '{value}' for '--snr-db <LOW,HIGH>': {message}\n");
        assert!(error.starts_with(&message), "{error}");
    }
}

#[test]
fn the_help_shows_the_range() {
    let help = Args::command().render_help().to_string();
    let long_help = Args::command().render_long_help().to_string();
    assert!(help.contains("Confidence of the intervals [range: > 0 and < 1] [default: 0.95]"), "{help}");
    assert!(help.contains("Batch size [range: >= 1]\n"), "{help}");
    assert!(help.contains("Noise [range: -30 to 100] [default: 10,30]"), "{help}");
    assert!(long_help.contains("share a batch. [range: >= 1]"), "{long_help}");
}

#[test]
fn numbers_are_told_from_text() {
    let command = Args::command();
    let numbers: Vec<&str> =
        command.get_arguments().filter(|arg| is_number(arg)).map(|arg| arg.get_id().as_str()).collect();
    assert_eq!(numbers, ["level", "size", "offset"]);
}
