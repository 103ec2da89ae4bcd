/// A numpy element type, as far as embedding stores need it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Dtype {
    pub(crate) kind: Kind,
    pub(crate) big_endian: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    Float32,
    Float64,
    /// Text of at most so many characters, four bytes each, filled up with zeros.
    Unicode(usize),
    /// Text of at most so many bytes, filled up with zeros.
    Bytes(usize),
    /// Python objects: a pickle.
    Object,
}

impl Dtype {
    /// Reads numpy's name of a type: `<f4`, `>f8`, `f4`, `<U12`, `|S7`, `|O`. `None` for any other.
    pub(crate) fn parse(name: &str) -> Option<Self> {
        let (big_endian, code) = match name.split_at_checked(1)? {
            (">", code) => (true, code),
            ("<" | "=" | "|", code) => (false, code),
            _ => (false, name),
        };
        let (kind, size) = code.split_at_checked(1)?;
        let size = || size.parse::<usize>().ok().filter(|size| (1..=1 << 24).contains(size));
        let kind = match (kind, code) {
            (_, "f4") => Kind::Float32,
            (_, "f8") => Kind::Float64,
            ("U", _) => Kind::Unicode(size()?),
            ("S", _) => Kind::Bytes(size()?),
            (_, "O" | "O8" | "O4") => Kind::Object,
            _ => return None,
        };
        Some(Self { kind, big_endian })
    }

    /// Bytes of one element, at least 1.
    pub(crate) fn size(self) -> usize {
        match self.kind {
            Kind::Float32 => 4,
            Kind::Float64 => 8,
            Kind::Unicode(chars) => 4 * chars,
            Kind::Bytes(bytes) => bytes,
            Kind::Object => 8,
        }
    }

    /// Whether the elements are numbers.
    pub(crate) fn is_float(self) -> bool {
        matches!(self.kind, Kind::Float32 | Kind::Float64)
    }

    /// The elements as floats, doubles rounded to the nearest; `None` if they are not numbers.
    pub(crate) fn floats(self, data: &[u8]) -> Option<Vec<f32>> {
        match self.kind {
            Kind::Float32 => Some(data.as_chunks().0.iter().map(|&word| self.float(word)).collect()),
            Kind::Float64 => Some(data.as_chunks().0.iter().map(|&word| self.double(word) as f32).collect()),
            _ => None,
        }
    }

    /// The elements as doubles; `None` if they are not numbers.
    pub(crate) fn doubles(self, data: &[u8]) -> Option<Vec<f64>> {
        match self.kind {
            Kind::Float32 => Some(data.as_chunks().0.iter().map(|&word| self.float(word).into()).collect()),
            Kind::Float64 => Some(data.as_chunks().0.iter().map(|&word| self.double(word)).collect()),
            _ => None,
        }
    }

    fn float(self, word: [u8; 4]) -> f32 {
        if self.big_endian { f32::from_be_bytes(word) } else { f32::from_le_bytes(word) }
    }

    fn double(self, word: [u8; 8]) -> f64 {
        if self.big_endian { f64::from_be_bytes(word) } else { f64::from_le_bytes(word) }
    }

    /// The elements as text.
    ///
    /// # Errors
    /// A message: they are not text, or not valid text.
    pub(crate) fn strings(self, data: &[u8]) -> Result<Vec<String>, String> {
        let invalid = || "text that is not Unicode".to_owned();
        match self.kind {
            Kind::Unicode(_) => data
                .chunks_exact(self.size())
                .map(|element| {
                    let codes = element.as_chunks().0.iter().map(|&word| {
                        if self.big_endian { u32::from_be_bytes(word) } else { u32::from_le_bytes(word) }
                    });
                    let text: Option<String> = codes.map(char::from_u32).collect();
                    text.map(|text| text.trim_end_matches('\0').to_owned()).ok_or_else(invalid)
                })
                .collect(),
            Kind::Bytes(_) => data
                .chunks_exact(self.size())
                .map(|element| {
                    let text = std::str::from_utf8(element).map_err(|_| invalid())?;
                    Ok(text.trim_end_matches('\0').to_owned())
                })
                .collect(),
            _ => Err("numbers where text belongs".to_owned()),
        }
    }
}
