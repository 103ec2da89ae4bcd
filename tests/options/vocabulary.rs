//! One vocabulary: an option's name means one thing in all programs.

use std::collections::{BTreeMap, BTreeSet};

use crate::dump::{Opt, options};

/// Names that mean one thing everywhere, with the kind of their value.
const MEANINGS: &[(&str, &[&str])] = &[
    ("output", &["output-file", "output-path"]),
    ("model", &["path"]),
    ("calibration", &["path"]),
    ("report", &["path", "other"]),
    ("p-target", &["number"]),
    ("fa-rate", &["number"]),
    ("skip-missing", &["flag"]),
    ("allow-failures", &["flag"]),
    ("seed", &["number"]),
    ("show", &["number"]),
    ("device", &["other"]),
    ("channel", &["other"]),
    ("database", &["path"]),
    ("overwrite", &["flag"]),
    ("allow-pipes", &["flag"]),
    ("k", &["other", "number"]),
    ("by", &["other", "text"]),
];

/// Outputs whose names people know from elsewhere.
const NAMED_OTHERWISE: &[&str] = &["tensorboard"];

/// Names that are not used, with the one to use. `ffsvc-model` reads a form and writes a form: it has --from and --to.
const FORMER: &[(&str, &str)] = &[
    ("out", "--output"),
    ("prior", "--p-target"),
    ("far", "--fa-rate"),
    ("from", "--k 10..2000:10"),
    ("to", "--k 10..2000:10"),
    ("step", "--k 10..2000:10"),
    ("allow-missing", "--skip-missing"),
    ("drop-missing-audio", "--skip-missing"),
    ("others", "a word that says which"),
    ("stages", "a word that says which"),
    ("cold", "a word that says what"),
    ("near", "a word that says what"),
    ("at", "a word that says what"),
];

#[test]
fn former_names_are_gone() {
    let faults: Vec<String> = options()
        .iter()
        .filter_map(|option| {
            let long = option.long.as_deref()?;
            let (_, now) = FORMER.iter().find(|(former, _)| *former == long)?;
            if option.program == "ffsvc-model" && option.kind == "choice" {
                return None;
            }
            Some(format!("{option}: use {now}"))
        })
        .collect();
    assert!(faults.is_empty(), "{}", faults.join("\n"));
}

#[test]
fn names_have_the_meaning_of_the_table() {
    let mut faults = Vec::new();
    for option in options() {
        let Some(long) = option.long.as_deref() else { continue };
        if let Some((_, kinds)) = MEANINGS.iter().find(|(name, _)| *name == long)
            && !kinds.contains(&option.kind.as_str())
        {
            faults.push(format!("{option} is of the kind {}, expected {}", option.kind, kinds.join(" or ")));
        }
        let is_named_as_output =
            long == "output" || long.ends_with("-out") || NAMED_OTHERWISE.contains(&long);
        if option.is_output() && !is_named_as_output {
            faults.push(format!("{option} writes: call it --output, or --{long}-out"));
        }
        if is_named_as_output && !option.is_output() {
            faults.push(format!(
                "{option} is of the kind {}: an output is an OutputFile or OutputPath",
                option.kind
            ));
        }
    }
    assert!(faults.is_empty(), "{}", faults.join("\n"));
}

#[test]
fn a_name_has_one_kind_and_one_value_name_in_all_programs() {
    let mut uses: BTreeMap<&str, Vec<(Meaning, String)>> = BTreeMap::new();
    for option in options() {
        // What the main result is differs from program to program.
        if let Some(long) = option.long.as_deref().filter(|long| *long != "output") {
            uses.entry(long).or_default().push((Meaning::of(option), option.to_string()));
        }
    }
    let mut faults = Vec::new();
    for (long, uses) in uses {
        let (first, of_first) = &uses[0];
        let others = uses[1..].iter().filter(|(other, _)| !first.is_alike(other));
        faults.extend(
            others.map(|(other, of)| format!("--{long}: {first:?} in {of_first}, {other:?} in {of}")),
        );
    }
    assert!(faults.is_empty(), "{}", faults.join("\n"));
}

/// What a command line shows of an option's value.
#[derive(Debug, PartialEq, Eq)]
struct Meaning {
    form: &'static str,
    /// The alternatives of its name: `N|RANGE|auto`.
    value: BTreeSet<String>,
}

impl Meaning {
    fn of(option: &Opt) -> Self {
        let form = match option.kind.as_str() {
            "flag" | "count" => "no value",
            kind if kind.starts_with("output-") => "output",
            _ => "value",
        };
        // A list, a named value and the name of what was defined elsewhere are of the same things.
        let value = option.value_name.trim_end_matches(",...").trim_start_matches("[NAME=]");
        let value = value.trim_start_matches("[SIDES:]").trim_end_matches("=TABLE");
        Self { form, value: value.split('|').map(str::to_owned).collect() }
    }

    /// The same, or one of them has some of the other's alternatives.
    fn is_alike(&self, other: &Self) -> bool {
        self.form == other.form && (self.value.is_subset(&other.value) || other.value.is_subset(&self.value))
    }
}
