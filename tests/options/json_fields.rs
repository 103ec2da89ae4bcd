//! What programs print as JSON: the fields of every command with `--json` are those that docs/json.md lists.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use serde_json::Value;

use crate::modes::MODES;
use crate::workplace::{Place, said};

/// The lines of the page's list: `PROGRAM COMMAND: /pointer type`.
fn listed() -> BTreeSet<String> {
    let page = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/json.md")).unwrap();
    let mut lines = BTreeSet::new();
    let mut command = "";
    let mut is_list = false;
    for line in page.lines() {
        match line.strip_prefix("```") {
            Some(fence) => is_list = fence == "text",
            None if is_list && !line.starts_with(' ') => command = line.trim_end_matches(':'),
            None if is_list => drop(lines.insert(format!("{command}: {}", line.trim()))),
            None => {}
        }
    }
    lines
}

/// Each field with its type. A name that comes from the data is `*`, the place in a list `[]`.
fn fields(path: &str, value: &Value, into: &mut BTreeSet<String>) {
    let kind = match value {
        Value::Object(object) => {
            for (key, value) in object {
                let is_data =
                    key.bytes().filter(u8::is_ascii_digit).count() >= 5 || key == "ann" || key == "ipad";
                fields(&format!("{path}/{}", if is_data { "*" } else { key }), value, into);
            }
            return;
        }
        Value::Array(values) => {
            values.iter().for_each(|value| fields(&format!("{path}/[]"), value, into));
            return;
        }
        // A value that is absent now is of no type.
        Value::Null => return,
        Value::Bool(_) => "true or false",
        Value::Number(_) => "number",
        Value::String(_) => "text",
    };
    into.insert(format!("{path} {kind}"));
}

/// The fields of a failed run: of every command for a wrong command line, and of one for a file that is not there.
fn fields_of_failures() -> BTreeSet<String> {
    let place = Place::new();
    let mut found = BTreeSet::new();
    let mut fails = |program: &str, words: &str, status: i32| {
        let output = place.run(program, words);
        let printed: Value = serde_json::from_slice(&output.stdout)
            .unwrap_or_else(|error| panic!("{program} {words}: {error}: {}", said(&output)));
        assert_eq!(output.status.code(), Some(status), "{program} {words}: {}", said(&output));
        assert_eq!(printed["exit_status"], status, "{program} {words}: {printed}");
        let name = printed["program"].as_str().unwrap_or_default();
        assert!(name.starts_with(program), "{program} {words}: {printed}");
        let error = printed["error"].as_str().unwrap_or_default();
        assert!(!error.is_empty() && said(&output).contains(error), "{program} {words}: {printed}");
        fields("", &printed, &mut found);
    };
    let programs: BTreeSet<&str> = MODES.iter().map(|mode| mode.program).collect();
    for program in programs.into_iter().filter(|program| crate::dump::CHECKED.contains(program)) {
        fails(program, "--no-such-option --json", 2);
    }
    fails("ffsvc-data", "make-trials corpus/dev --same no-such-table --output new --json", 1);
    found.iter().map(|field| format!("PROGRAM that fails: {field}")).collect()
}

#[test]
fn the_fields_of_every_json_output_are_on_the_page() {
    let (mut found, mut faults) = (BTreeSet::new(), Vec::new());
    for mode in MODES.iter().filter(|mode| mode.ends) {
        // They print a part of another program's JSON, and JSON lines.
        if mode.command == "value" || mode.words.contains("--plan") {
            continue;
        }
        let place = Place::new();
        let output = place.run(mode.program, &format!("{} {} --json", mode.command, mode.words));
        let printed: Value = match serde_json::from_slice(&output.stdout) {
            Ok(printed) => printed,
            // The program has no --json.
            Err(_) if output.status.code() == Some(2) => continue,
            Err(error) => {
                faults.push(format!(
                    "{} {} {} --json: {error}: {}",
                    mode.program,
                    mode.command,
                    mode.words,
                    said(&output)
                ));
                continue;
            }
        };
        // This command has none while others of the program have it, or refuses it in this mode.
        let refused = printed["error"].as_str().filter(|_| output.status.code() == Some(2));
        if refused.is_some_and(|error| error.contains("--json")) {
            continue;
        }
        let command = format!("{} {}", mode.program, mode.command);
        let mut of_command = BTreeSet::new();
        fields("", &printed, &mut of_command);
        if printed.is_object() && printed["schema"] != 1 {
            faults.push(format!("{command} {}: no schema", mode.words));
        }
        found.extend(of_command.iter().map(|field| format!("{}: {field}", command.trim())));
    }
    assert!(faults.is_empty(), "{}", faults.join("\n"));
    found.extend(fields_of_failures());
    let listed = listed();
    assert!(found.len() > 100, "{} fields", found.len());
    let lines =
        |set: &mut dyn Iterator<Item = &String>| set.map(|line| format!("{line}\n")).collect::<String>();
    let gone = lines(&mut listed.difference(&found));
    assert!(gone.is_empty(), "programs that read these fields would fail without them:\n{gone}");
    let new = lines(&mut found.difference(&listed));
    assert!(new.is_empty(), "add these fields to docs/json.md:\n{new}");
}
