//! Numbers that may be infinite or NaN in JSON, which has neither: `"inf"`, `"-inf"`, `"nan"`.

use serde::{Deserialize, Deserializer, Serializer};

/// A finite number as itself, another as its name.
pub(crate) fn serialize<S: Serializer>(value: &f64, serializer: S) -> Result<S::Ok, S::Error> {
    if value.is_finite() {
        serializer.serialize_f64(*value)
    } else if value.is_nan() {
        serializer.serialize_str("nan")
    } else {
        serializer.serialize_str(if *value > 0.0 { "inf" } else { "-inf" })
    }
}

#[derive(Deserialize)]
#[serde(untagged)]
enum NumberOrName {
    Number(f64),
    Name(String),
}

/// The inverse of [`serialize`].
pub(crate) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<f64, D::Error> {
    match NumberOrName::deserialize(deserializer)? {
        NumberOrName::Number(number) => Ok(number),
        NumberOrName::Name(name) => match name.as_str() {
            "nan" => Ok(f64::NAN),
            "inf" => Ok(f64::INFINITY),
            "-inf" => Ok(f64::NEG_INFINITY),
            _ => Err(serde::de::Error::custom(format!(
                "found \"{name}\", expected a number, \"inf\", \"-inf\" or \"nan\""
            ))),
        },
    }
}
