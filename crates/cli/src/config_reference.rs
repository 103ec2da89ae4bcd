//! All keys of a configuration with their meaning, from its JSON schema: what `--print-config` prints.

use std::fmt::Write as _;

use serde_json::{Map, Value};

/// Widest line.
const WIDTH: usize = 100;

/// Every section and key of a configuration as commented TOML: what it means, its range, its default.
///
/// `schema` is the JSON schema that `schemars` derives from the configuration's structs, so that the text is that of their
/// documentation. `range` gives the range of a number by its key, such as `train.epochs`. Lines of text begin with `# `, settings
/// with `#` alone: to use one, delete its `#`, and that of the section above it.
pub fn config_reference(schema: &Value, range: &dyn Fn(&str) -> Option<String>) -> String {
    let mut writer = Writer { schema, range, out: String::new() };
    writer.table("", schema);
    writer.out.trim_start().to_owned()
}

struct Writer<'a> {
    schema: &'a Value,
    range: &'a dyn Fn(&str) -> Option<String>,
    out: String,
}

impl Writer<'_> {
    /// A table: its plain keys first, then the tables in it.
    fn table(&mut self, path: &str, node: &Value) {
        let node = self.resolved(node);
        let empty = Map::new();
        let properties = node.get("properties").and_then(Value::as_object).unwrap_or(&empty);
        let required: Vec<&str> = node
            .get("required")
            .and_then(Value::as_array)
            .into_iter()
            .flatten()
            .filter_map(Value::as_str)
            .collect();
        let (tables, keys): (Vec<_>, Vec<_>) =
            properties.iter().partition(|(_, property)| self.is_table(property));
        for (key, property) in keys {
            self.key(path, key, property, required.contains(&key.as_str()));
        }
        self.variants(path, &node);
        for (key, property) in tables {
            let path = if path.is_empty() { key.clone() } else { format!("{path}.{key}") };
            self.section(&path, property, required.contains(&key.as_str()));
        }
    }

    fn section(&mut self, path: &str, property: &Value, is_required: bool) {
        let node = self.resolved(property);
        self.out.push('\n');
        self.text(&describe(property, &node));
        if property.get("anyOf").is_some() {
            self.text("Optional: without this section it is switched off.");
        }
        let sign = if is_required { "" } else { "#" };
        let _ = writeln!(self.out, "{sign}[{path}]");
        self.table(path, &node);
    }

    /// The forms that a table can take, told apart by the value of one key.
    fn variants(&mut self, path: &str, node: &Value) {
        let Some(forms) = node.get("oneOf").and_then(Value::as_array) else { return };
        let mut is_in_section = true;
        for form in forms {
            let form = self.resolved(form);
            let Some(properties) = form.get("properties").and_then(Value::as_object) else { continue };
            let tag = properties.iter().find_map(|(key, value)| Some((key, value.get("const")?)));
            let Some((tag, name)) = tag else { continue };
            self.out.push('\n');
            if let Some(text) = form.get("description").and_then(Value::as_str) {
                self.text(text);
            }
            // A section of the form before has ended this one.
            if !is_in_section {
                let _ = writeln!(self.out, "#[{path}]");
            }
            let _ = writeln!(self.out, "#{tag} = {name}");
            let others = properties.iter().filter(|(key, _)| *key != tag);
            let (tables, keys): (Vec<_>, Vec<_>) = others.partition(|(_, property)| self.is_table(property));
            for (key, property) in keys {
                self.key(path, key, property, false);
            }
            is_in_section = tables.is_empty();
            for (key, property) in tables {
                self.section(&format!("{path}.{key}"), property, false);
            }
        }
    }

    fn key(&mut self, path: &str, key: &str, property: &Value, is_required: bool) {
        let node = self.resolved(property);
        let whole = if path.is_empty() { key.to_owned() } else { format!("{path}.{key}") };
        let mut text = describe(property, &node);
        if let Some(range) = (self.range)(&whole) {
            let _ = write!(text, " Range: {range}.");
        }
        self.text(text.trim());
        for (value, meaning) in choices(&node) {
            self.text(&format!("  {value}: {meaning}"));
        }
        let default = property.get("default").or_else(|| node.get("default"));
        let value = match default {
            Some(Value::Null) | None => None,
            Some(value) => Some(toml_value(value)),
        };
        let _ = match (value, is_required) {
            (Some(value), _) => writeln!(self.out, "#{key} = {value}"),
            (None, true) => writeln!(self.out, "#{key} =          (required)"),
            (None, false) => writeln!(self.out, "#{key} =          (not set)"),
        };
    }

    /// Text as comment lines.
    fn text(&mut self, text: &str) {
        // Code and tables are for the documentation.
        let is_text = |part: &&str| !part.contains("```") && !part.trim_start().starts_with('|');
        for paragraph in text.split("\n\n").filter(is_text) {
            let indent = &paragraph[..paragraph.len() - paragraph.trim_start().len()];
            let mut line = format!("# {indent}");
            let mut is_empty = true;
            for word in plain(paragraph).split_whitespace() {
                if !is_empty && line.chars().count() + 1 + word.chars().count() > WIDTH {
                    let _ = writeln!(self.out, "{line}");
                    line = format!("# {indent}");
                    is_empty = true;
                }
                if !is_empty {
                    line.push(' ');
                }
                line.push_str(word);
                is_empty = false;
            }
            if !is_empty {
                let _ = writeln!(self.out, "{line}");
            }
        }
    }

    /// A node with what it refers to put in its place. An option is what it may hold.
    fn resolved(&self, node: &Value) -> Value {
        let mut node = node.clone();
        loop {
            let Some(object) = node.as_object_mut() else { return node };
            if let Some(Value::String(reference)) = object.remove("$ref") {
                let Some(Value::Object(target)) = self.schema.pointer(reference.trim_start_matches('#'))
                else {
                    return node;
                };
                merge(object, target.clone());
            } else if let Some(Value::Array(forms)) = object.get("anyOf")
                && let [held, null] = &forms[..]
                && null.get("type") == Some(&Value::from("null"))
                && let Value::Object(held) = held.clone()
            {
                object.remove("anyOf");
                merge(object, held);
            } else {
                return node;
            }
        }
    }

    /// Whether a property is a section of its own. A value of several forms is one if a key tells the forms apart.
    fn is_table(&self, property: &Value) -> bool {
        let node = self.resolved(property);
        let has_tag = |form: &Value| {
            let form = self.resolved(form);
            let properties = form.get("properties").and_then(Value::as_object);
            properties.is_some_and(|properties| properties.values().any(|value| value.get("const").is_some()))
        };
        let forms = node.get("oneOf").and_then(Value::as_array);
        node.get("properties").is_some() || forms.is_some_and(|forms| forms.iter().any(has_tag))
    }
}

/// Adds what `object` lacks; the properties of both are brought together.
fn merge(object: &mut Map<String, Value>, other: Map<String, Value>) {
    for (key, value) in other {
        match (object.get_mut(&key), value) {
            (Some(Value::Object(here)), Value::Object(there)) if key == "properties" => merge(here, there),
            (Some(Value::Array(here)), Value::Array(there)) if key == "required" => here.extend(there),
            (Some(_), _) => {}
            (None, value) => {
                object.insert(key, value);
            }
        }
    }
}

/// What a property says of itself, or else what its type says.
fn describe(property: &Value, node: &Value) -> String {
    let own = property.get("description").or_else(|| node.get("description"));
    own.and_then(Value::as_str).unwrap_or_default().trim().to_owned()
}

/// The values of an enumeration with their meanings.
fn choices(node: &Value) -> Vec<(String, String)> {
    let forms = node.get("oneOf").and_then(Value::as_array).into_iter().flatten();
    forms
        .filter_map(|form| {
            let value = form.get("const")?;
            let meaning = form.get("description").and_then(Value::as_str).unwrap_or_default();
            Some((value.to_string(), meaning.to_owned()))
        })
        .collect()
}

/// Markdown without its links and code marks.
fn plain(text: &str) -> String {
    let mut out = String::new();
    let mut rest = text;
    while let Some(start) = rest.find('[') {
        let Some(end) = rest[start..].find(']').map(|end| start + end) else { break };
        let after = &rest[end + 1..];
        // A link is `[name]`, `[name](target)` or `[name][target]`; a list of numbers is none.
        let is_link = rest[start + 1..end].starts_with('`') || after.starts_with('(');
        if !is_link {
            out.push_str(&rest[..=end]);
            rest = after;
            continue;
        }
        out.push_str(&rest[..start]);
        out.push_str(&rest[start + 1..end]);
        rest = match after.strip_prefix('(').and_then(|after| after.find(')').map(|end| &after[end + 1..])) {
            Some(after) => after,
            None => after,
        };
    }
    out.push_str(rest);
    out.replace('`', "")
}

/// A JSON value as TOML writes it.
fn toml_value(value: &Value) -> String {
    match value {
        Value::Array(values) => {
            format!("[{}]", values.iter().map(toml_value).collect::<Vec<_>>().join(", "))
        }
        Value::Object(fields) => {
            let fields = fields.iter().filter(|(_, value)| !value.is_null());
            let fields: Vec<String> =
                fields.map(|(key, value)| format!("{key} = {}", toml_value(value))).collect();
            format!("{{ {} }}", fields.join(", "))
        }
        Value::Number(number) if number.is_f64() => number.as_f64().map_or_else(String::new, shortest),
        other => other.to_string(),
    }
}

/// A number in as few digits as its type needs: JSON has the digits of 64 bits also for one that had 32.
fn shortest(number: f64) -> String {
    let narrow = number as f32;
    let is_small = number != 0.0 && number.abs() < 1e-3;
    match (f64::from(narrow) == number, is_small) {
        (true, true) => format!("{narrow:e}"),
        (true, false) => format!("{narrow:?}"),
        (false, true) => format!("{number:e}"),
        (false, false) => format!("{number:?}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn every_key_has_its_meaning_range_and_default() {
        let schema = json!({
            "properties": {
                "train": {"description": "Length.", "$ref": "#/$defs/Train"},
                "model": {"$ref": "#/$defs/Model"},
                "teacher": {"description": "A [`Teacher`](Self::x).", "anyOf": [{"$ref": "#/$defs/Teacher"}, {"type": "null"}]},
            },
            "required": ["model"],
            "$defs": {
                "Train": {"properties": {
                    "epochs": {"description": "Passes.", "default": 50, "type": "integer"},
                    "rate": {"description": "Rate.\n\n```toml\ncode\n```", "default": 0.9f32},
                    "epsilon": {"default": 1e-8f32},
                    "factors": {"default": [0.5, 2.0]},
                }},
                "Model": {"description": "Network.", "oneOf": [
                    {"description": "The first.", "properties": {"kind": {"const": "a"}}, "$ref": "#/$defs/A", "required": ["kind"]},
                    {"properties": {"kind": {"const": "b"}}},
                ]},
                "A": {"properties": {
                    "parts": {"properties": {"count": {"default": 2}}},
                    "size": {"description": "Size.", "type": "integer"},
                }},
                "Teacher": {"properties": {"loss": {"description": "Loss.", "default": "x", "oneOf": [
                    {"const": "x", "description": "As they are."},
                ]}}},
            },
        });
        let range = |key: &str| (key == "train.epochs").then(|| "1 to 9".to_owned());
        let expected = "\
# Network.
[model]

# The first.
#kind = \"a\"
# Size.
#size =          (not set)

#[model.parts]
#count = 2

#[model]
#kind = \"b\"

# A Teacher.
# Optional: without this section it is switched off.
#[teacher]
# Loss.
#   \"x\": As they are.
#loss = \"x\"

# Length.
#[train]
# Passes. Range: 1 to 9.
#epochs = 50
#epsilon = 1e-8
#factors = [0.5, 2.0]
# Rate.
#rate = 0.9
";
        assert_eq!(config_reference(&schema, &range), expected);
    }

    #[test]
    fn numbers_have_the_digits_of_their_type() {
        for (number, text) in
            [(f64::from(0.9f32), "0.9"), (0.05, "0.05"), (1e-5, "1e-5"), (0.0, "0.0"), (128.0, "128.0")]
        {
            assert_eq!(shortest(number), text);
        }
    }
}
