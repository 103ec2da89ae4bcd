//! What the folders and names of a path mean: `{speaker}/{session}/{utterance}`.

use std::fmt;
use std::str::FromStr;

/// A pattern of paths: a part for each level, in which `{name}` stands for what is named and `*` for what is not.
///
/// ```
/// use ffsvc_corpora::PathPattern;
/// let pattern: PathPattern = "{speaker}/*/{device}_{utterance}".parse()?;
/// let found = pattern.read(&["ann", "2020-01-01", "phone_001"]).unwrap();
/// assert_eq!(found, [("speaker", "ann"), ("device", "phone"), ("utterance", "001")]);
/// assert_eq!(pattern.read(&["ann", "phone_001"]), None);
/// # Ok::<(), String>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PathPattern {
    text: String,
    levels: Vec<Vec<Piece>>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Piece {
    Literal(String),
    /// At least one character; as few as the next literal allows.
    Named(String),
    /// As many characters as the next literal allows, or none.
    Any,
}

impl FromStr for PathPattern {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let levels: Vec<_> = text.split('/').map(pieces).collect::<Result<_, _>>()?;
        let pattern = Self { text: text.to_owned(), levels };
        let names: Vec<&str> = pattern.names().collect();
        if let Some(name) = names.iter().enumerate().find(|(at, name)| names[..*at].contains(name)) {
            return Err(format!("{{{}}} is there twice", name.1));
        }
        if !names.contains(&"speaker") {
            return Err("a pattern needs {speaker}, such as {speaker}/{session}/{utterance}".to_owned());
        }
        Ok(pattern)
    }
}

fn pieces(level: &str) -> Result<Vec<Piece>, String> {
    let (mut pieces, mut rest) = (Vec::new(), level);
    if level.is_empty() {
        return Err(
            "a pattern has no empty level: write {speaker}/{utterance}, without / at its ends".to_owned()
        );
    }
    while let Some(first) = rest.chars().next() {
        let piece = match first {
            '{' => {
                let (name, after) =
                    rest[1..].split_once('}').ok_or_else(|| format!("{rest:?} has a {{ without its }}"))?;
                let is_name = |name: &str| name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_');
                if name.is_empty() || !is_name(name) {
                    return Err(format!("{{{name}}} is no name: letters, digits and _ are"));
                }
                rest = after;
                Piece::Named(name.to_owned())
            }
            '*' => {
                rest = &rest[1..];
                Piece::Any
            }
            _ => {
                let end = rest.find(['{', '*']).unwrap_or(rest.len());
                let (literal, after) = rest.split_at(end);
                rest = after;
                Piece::Literal(literal.to_owned())
            }
        };
        if let (Some(Piece::Named(_) | Piece::Any), Piece::Named(_) | Piece::Any) = (pieces.last(), &piece) {
            return Err(format!("{level:?}: nothing says where one part ends and the next begins"));
        }
        pieces.push(piece);
    }
    Ok(pieces)
}

impl PathPattern {
    /// The names of its parts.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.levels.iter().flatten().filter_map(|piece| match piece {
            Piece::Named(name) => Some(name.as_str()),
            _ => None,
        })
    }

    /// The parts of a path, given level by level, without the ending of the file's name; `None` if it does not fit.
    pub fn read<'a>(&self, path: &[&'a str]) -> Option<Vec<(&str, &'a str)>> {
        let mut found = Vec::new();
        if path.len() != self.levels.len() {
            return None;
        }
        for (pieces, &text) in self.levels.iter().zip(path) {
            read_level(pieces, text, &mut found)?;
        }
        Some(found)
    }
}

fn read_level<'p, 'a>(pieces: &'p [Piece], text: &'a str, found: &mut Vec<(&'p str, &'a str)>) -> Option<()> {
    match pieces {
        [] => text.is_empty().then_some(()),
        [Piece::Literal(literal), after @ ..] => {
            read_level(after, text.strip_prefix(literal.as_str())?, found)
        }
        [piece, after @ ..] => {
            let part = |end: usize, found: &mut Vec<(&'p str, &'a str)>| {
                if let Piece::Named(name) = piece {
                    found.push((name, &text[..end]));
                }
            };
            let shortest = usize::from(matches!(piece, Piece::Named(_)));
            let Some(Piece::Literal(next)) = after.first() else {
                // The last piece takes all.
                part(text.len(), found);
                return (text.len() >= shortest).then_some(());
            };
            // The first place of the next literal from which the rest fits.
            let places = text.match_indices(next.as_str()).map(|(at, _)| at).filter(|&at| at >= shortest);
            for at in places {
                let before = found.len();
                part(at, found);
                if read_level(after, &text[at..], found).is_some() {
                    return Some(());
                }
                found.truncate(before);
            }
            None
        }
    }
}

impl fmt::Display for PathPattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read<'a>(pattern: &str, path: &[&'a str]) -> Option<Vec<(String, &'a str)>> {
        let pattern: PathPattern = pattern.parse().unwrap();
        let found = pattern.read(path)?;
        Some(found.into_iter().map(|(name, value)| (name.to_owned(), value)).collect())
    }

    #[test]
    fn paths_are_read_by_levels_and_by_separators() {
        let value = |pattern, path: &[&str], name: &str| {
            read(pattern, path)
                .and_then(|found| found.iter().find(|(n, _)| n == name).map(|(_, v)| (*v).to_owned()))
        };
        assert_eq!(value("{speaker}/{utterance}", &["a", "b-c"], "utterance").as_deref(), Some("b-c"));
        assert_eq!(value("{speaker}-{utterance}", &["a-b-c"], "speaker").as_deref(), Some("a"));
        assert_eq!(value("{speaker}-{utterance}", &["a-b-c"], "utterance").as_deref(), Some("b-c"));
        assert_eq!(value("spk{speaker}_*", &["spk12_x_y"], "speaker").as_deref(), Some("12"));
        // The first separator does not fit, the second does.
        assert_eq!(value("{speaker}-x{utterance}", &["a-b-xc"], "speaker").as_deref(), Some("a-b"));
        assert_eq!(value("*-{speaker}", &["-s"], "speaker").as_deref(), Some("s"));
        assert_eq!(read("{speaker}-{utterance}", &["-b"]), None, "a named part is not empty");
        assert_eq!(read("{speaker}-{utterance}", &["ab"]), None);
        assert_eq!(read("{speaker}", &["a", "b"]), None);
    }

    #[test]
    fn patterns_that_mean_nothing_are_refused() {
        for (pattern, reason) in [
            ("{session}/{utterance}", "needs {speaker}"),
            ("{speaker}/{speaker}", "twice"),
            ("{speaker}{utterance}", "nothing says where"),
            ("{speaker}*", "nothing says where"),
            ("{speaker", "without its }"),
            ("{}/{speaker}", "is no name"),
            ("{the speaker}", "is no name"),
            ("/{speaker}", "no empty level"),
            ("", "no empty level"),
        ] {
            let error = pattern.parse::<PathPattern>().unwrap_err();
            assert!(error.contains(reason), "{pattern}: {error}");
        }
    }
}
