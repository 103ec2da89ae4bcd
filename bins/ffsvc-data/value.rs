//! `value`: single values of a JSON report, for scripts.

use std::path::PathBuf;

use anyhow::{Context, bail};
use clap::Args;
use ffsvc_cli::{Range, RangeArg as _, UsageError, print_json};
use serde_json::Value as Json;

/// Range of `--decimals`: a 64-bit number has no more.
const DECIMALS: Range<u8> = Range::of(0, 17);

/// Print single values of a JSON report
///
/// A pointer is the path to a value, as in RFC 6901: /metrics/eer, or /metrics/min_dcf/0/cost, where 0 is the first of a
/// list. One line is printed for each pointer. A value that is missing is an error.
#[derive(Debug, Args)]
#[command(after_long_help = "\
Examples:
  ffsvc-data value exp/dev.json /metrics/eer --percent
  ffsvc-data value exp/clusters/result.json /clusters /inertia")]
pub(crate) struct Value {
    /// A JSON file, of --report-out, --json or a result folder; - is standard input
    file: PathBuf,

    /// Which values
    #[arg(required = true, value_name = "POINTER")]
    pointers: Vec<String>,

    /// Print numbers with so many decimals
    #[arg(long, value_name = "N", range = DECIMALS)]
    decimals: Option<u8>,

    /// Print numbers times 100, with 2 decimals if --decimals is not given
    #[arg(long)]
    percent: bool,
}

impl Value {
    pub(crate) fn run(self, json: bool) -> anyhow::Result<()> {
        if json && (self.percent || self.decimals.is_some()) {
            let option = if self.percent { "--percent" } else { "--decimals" };
            return Err(UsageError::new(format!(
                "{option} is for printed numbers, and --json gives them as they are"
            ))
            .into());
        }
        let file = self.file.display();
        let read = if self.file.as_os_str() == "-" {
            std::io::read_to_string(std::io::stdin())
        } else {
            std::fs::read_to_string(&self.file)
        };
        let text = read.with_context(|| format!("cannot read {file}"))?;
        let report: Json = serde_json::from_str(&text).with_context(|| format!("{file} is not JSON"))?;
        let mut values = Vec::new();
        for pointer in &self.pointers {
            let Some(value) = report.pointer(pointer) else {
                bail!("{file} has nothing at {pointer}{}", nearest(&report, pointer));
            };
            values.push(value);
        }
        if json {
            return print_json(&values);
        }
        let shown = values.into_iter().zip(&self.pointers);
        let shown =
            shown.map(|(value, pointer)| self.shown(value).with_context(|| format!("{file} at {pointer}")));
        shown.collect::<anyhow::Result<Vec<_>>>()?.iter().for_each(|value| println!("{value}"));
        Ok(())
    }

    fn shown(&self, value: &Json) -> anyhow::Result<String> {
        let decimals = self.decimals.or(self.percent.then_some(2));
        match (value, decimals) {
            (Json::String(text), _) => Ok(text.clone()),
            (Json::Number(number), Some(decimals)) => {
                let number = number.as_f64().context("a number beyond 64 bits")?;
                let factor = if self.percent { 100.0 } else { 1.0 };
                Ok(format!("{:.*}", usize::from(decimals), number * factor))
            }
            (other, Some(_)) => bail!("found {other}, expected a number (--percent, --decimals)"),
            (other, None) => Ok(other.to_string()),
        }
    }
}

/// What there is as far as the pointer leads.
fn nearest(report: &Json, pointer: &str) -> String {
    if !pointer.starts_with('/') {
        return ": a pointer starts with /".to_owned();
    }
    let mut path = pointer;
    while let Some(at) = path.rfind('/') {
        path = &path[..at];
        match report.pointer(path) {
            Some(Json::Object(fields)) => {
                let names: Vec<&str> = fields.keys().map(String::as_str).collect();
                let place = if path.is_empty() { "it" } else { path };
                return format!("; {place} has {}", names.join(", "));
            }
            Some(Json::Array(items)) => return format!("; {path} is a list of {}", items.len()),
            _ => {}
        }
    }
    String::new()
}
