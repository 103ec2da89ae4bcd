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
}

impl RangeArg for Arg {
    fn range<T>(self, range: Range<T>) -> Self
    where
        T: Number + FromStr + Send + Sync + 'static,
    {
        let with_range = |help: Option<&StyledStr>| {
            let help = help.map(|help| help.ansi().to_string()).unwrap_or_default();
            format!("{help} [range: {range}]").trim_start().to_owned()
        };
        let help = with_range(self.get_help());
        let long_help = self.get_long_help().map(|help| with_range(Some(help)));
        // A negative number is a value, not an option: it is refused for what it is.
        let arg =
            self.help(help).value_parser(move |text: &str| parse(range, text)).allow_negative_numbers(true);
        match long_help {
            Some(long_help) => arg.long_help(long_help),
            None => arg,
        }
    }
}

fn parse<T: Number + FromStr>(range: Range<T>, text: &str) -> Result<T, String> {
    let number = text.trim().parse().map_err(|_| format!("expected a number of the range: {range}"))?;
    range.check(number).map_err(|error| error.to_string())
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
