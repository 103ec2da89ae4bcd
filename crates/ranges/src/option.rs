//! Options of clap that have a range.

use std::any::TypeId;
use std::str::FromStr;

use clap::Arg;
use clap::builder::StyledStr;

use crate::{Number, Range};

/// Gives options a range: `#[arg(long, range = LEVEL)]`.
pub trait RangeArg {
    /// The option takes numbers of this range only, and its help shows the range.
    ///
    /// In a derive, this is written below the documentation comment as `#[arg(long, range = LEVEL)]`.
    #[must_use]
    fn range<T>(self, range: Range<T>) -> Self
    where
        T: Number + FromStr + Send + Sync + 'static;

    /// The option takes a [`Span`] whose ends are of this range, and its help shows the range: `#[arg(long, span = SECONDS)]`.
    #[must_use]
    fn span<T>(self, range: Range<T>) -> Self
    where
        T: Number + FromStr + Send + Sync + 'static;
}

/// Two numbers, of which the first is not above the second: the value `LOW,HIGH` of an option.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Span<T>(pub [T; 2]);

impl<T: Number + FromStr> FromStr for Span<T> {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        parse_span(Range::any(), text)
    }
}

impl RangeArg for Arg {
    fn range<T>(self, range: Range<T>) -> Self
    where
        T: Number + FromStr + Send + Sync + 'static,
    {
        // A negative number is a value, not an option: it is refused for what it is.
        with_range(self, &range)
            .value_parser(move |text: &str| parse(range, text))
            .allow_negative_numbers(true)
    }

    fn span<T>(self, range: Range<T>) -> Self
    where
        T: Number + FromStr + Send + Sync + 'static,
    {
        // `-5,5` is a value, and no number.
        with_range(self, &range)
            .value_parser(move |text: &str| parse_span(range, text))
            .allow_hyphen_values(true)
    }
}

/// The option with the range at the end of its help.
fn with_range<T: Number>(arg: Arg, range: &Range<T>) -> Arg {
    let with_range = |help: Option<&StyledStr>| {
        let help = help.map(|help| help.ansi().to_string()).unwrap_or_default();
        format!("{help} [range: {range}]").trim_start().to_owned()
    };
    let help = with_range(arg.get_help());
    let long_help = arg.get_long_help().map(|help| with_range(Some(help)));
    let arg = arg.help(help);
    match long_help {
        Some(long_help) => arg.long_help(long_help),
        None => arg,
    }
}

fn parse<T: Number + FromStr>(range: Range<T>, text: &str) -> Result<T, String> {
    let number = text.trim().parse().map_err(|_| format!("expected a number of the range: {range}"))?;
    range.check(number).map_err(|error| error.to_string())
}

fn parse_span<T: Number + FromStr>(range: Range<T>, text: &str) -> Result<Span<T>, String> {
    let Some((low, high)) = text.split_once(',') else {
        return Err(format!("expected two numbers of the range, with a comma between them: {range}"));
    };
    let ends = [parse(range, low)?, parse(range, high)?];
    if ends[0] > ends[1] {
        return Err(format!("{} is above {}, expected the lower number first", ends[0], ends[1]));
    }
    Ok(Span(ends))
}

/// Whether an option's value is a number.
pub fn is_number(arg: &Arg) -> bool {
    let value = arg.get_value_parser().type_id();
    macro_rules! is_any_of {
        ($($t:ty),*) => { $(value == TypeId::of::<$t>())||* };
    }
    arg.get_action().takes_values()
        && is_any_of!(u8, u16, u32, u64, usize, i8, i16, i32, i64, isize, f32, f64)
}
