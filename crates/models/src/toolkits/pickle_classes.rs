//! Which classes and functions a pickle asks for: read from its opcodes, without carrying any of them out.

use std::collections::HashMap;

/// Most bytes of one of a checkpoint's pickles. The description of ResNet293 with its optimiser takes some 0.5 MB.
pub(super) const LONGEST_PICKLE: usize = 4 << 20;

/// Reads one pickle from the start of `bytes` to its STOP and returns how many bytes it takes.
///
/// # Errors
/// The first name outside what `torch.load(weights_only=True)` takes for tensors and containers; or what is wrong with
/// the opcodes.
pub(super) fn check(bytes: &[u8]) -> Result<usize, String> {
    let mut scan = Scan { bytes, at: 0, last: [None, None], memo: HashMap::new() };
    loop {
        if scan.at > LONGEST_PICKLE {
            return Err(format!(
                "its pickle has more than {LONGEST_PICKLE} bytes; a network's has far fewer"
            ));
        }
        if scan.step()? {
            return Ok(scan.at);
        }
    }
}

/// A value as far as it matters here: `Some` for a string.
type Value<'a> = Option<&'a str>;

struct Scan<'a> {
    bytes: &'a [u8],
    at: usize,
    /// The two values pushed last, the newest last. STACK_GLOBAL takes its names from there.
    last: [Value<'a>; 2],
    /// The values that MEMOIZE and PUT kept, by their numbers.
    memo: HashMap<u32, Value<'a>>,
}

impl<'a> Scan<'a> {
    /// One opcode; true at STOP.
    fn step(&mut self) -> Result<bool, String> {
        let opcode = self.take(1)?[0];
        match opcode {
            b'.' => return Ok(true),
            // Strings.
            b'X' => self.text(4)?,
            0x8c => self.text(1)?,
            0x8d => self.text(8)?,
            // The memo.
            b'h' => self.recall(1)?,
            b'j' => self.recall(4)?,
            b'q' => self.keep(1)?,
            b'r' => self.keep(4)?,
            b'p' => {
                let number = self.memo_number()?;
                self.memo.insert(number, self.last[1]);
            }
            b'g' => {
                let number = self.memo_number()?;
                let value = self.memo.get(&number).copied().flatten();
                self.push(value);
            }
            0x94 => {
                let number = self.memo.len() as u32;
                self.memo.insert(number, self.last[1]);
            }
            // Names.
            b'c' => {
                let (module, name) = (self.line()?, self.line()?);
                allow(module, name)?;
                self.push(None);
            }
            b'i' => {
                let (module, name) = (self.line()?, self.line()?);
                allow(module, name)?;
                return Err(format!(
                    "it makes an instance of `{module}.{name}` by an opcode that is refused"
                ));
            }
            0x93 => {
                let [Some(module), Some(name)] = self.last else {
                    return Err("it asks for a class whose name is not written beside it".to_owned());
                };
                allow(module, name)?;
                self.push(None);
            }
            0x82..=0x84 => {
                return Err("it asks for a class by a number of Python's extension registry".into());
            }
            // What neither pushes nor pops anything.
            0x80 => self.skip(1)?,
            0x95 => self.skip(8)?,
            other => {
                match length(other).ok_or_else(|| format!("byte 0x{other:02x} is no opcode of a pickle"))? {
                    Length::Fixed(len) => self.skip(len)?,
                    Length::Counted(width) => {
                        self.counted(width)?;
                    }
                    Length::Line => {
                        self.line()?;
                    }
                }
                self.push(None);
            }
        }
        Ok(false)
    }

    fn push(&mut self, value: Value<'a>) {
        self.last = [self.last[1], value];
    }

    fn take(&mut self, len: usize) -> Result<&'a [u8], String> {
        let rest = &self.bytes[self.at..];
        let piece = rest.get(..len).ok_or_else(|| {
            format!("its pickle ends {} bytes later, but {len} more are announced", rest.len())
        })?;
        self.at += len;
        Ok(piece)
    }

    fn skip(&mut self, len: usize) -> Result<(), String> {
        self.take(len).map(|_| ())
    }

    fn number(&mut self, width: usize) -> Result<u64, String> {
        let bytes = self.take(width)?;
        Ok(bytes.iter().rev().fold(0, |number, &byte| number << 8 | u64::from(byte)))
    }

    fn counted(&mut self, width: usize) -> Result<&'a [u8], String> {
        let len = self.number(width)?;
        self.take(usize::try_from(len).unwrap_or(usize::MAX))
    }

    fn text(&mut self, width: usize) -> Result<(), String> {
        let text = std::str::from_utf8(self.counted(width)?).ok();
        self.push(text);
        Ok(())
    }

    fn line(&mut self) -> Result<&'a str, String> {
        let rest = &self.bytes[self.at..];
        let rest = &rest[..rest.len().min(4096)];
        let len = rest.iter().position(|&b| b == b'\n').ok_or("its pickle has a line without an end")?;
        self.at += len + 1;
        std::str::from_utf8(&rest[..len]).map_err(|_| "its pickle has a name that is not UTF-8".to_owned())
    }

    /// The line of PUT or GET.
    fn memo_number(&mut self) -> Result<u32, String> {
        let line = self.line()?;
        line.trim_end_matches('\r').parse().map_err(|_| format!("a memo number of `{}`", shown(line)))
    }

    fn keep(&mut self, width: usize) -> Result<(), String> {
        let number = self.number(width)? as u32;
        self.memo.insert(number, self.last[1]);
        Ok(())
    }

    fn recall(&mut self, width: usize) -> Result<(), String> {
        let number = self.number(width)? as u32;
        let value = self.memo.get(&number).copied().flatten();
        self.push(value);
        Ok(())
    }
}

/// What follows an opcode.
enum Length {
    /// So many bytes.
    Fixed(usize),
    /// A length of so many bytes, and as many bytes as it says.
    Counted(usize),
    /// A line.
    Line,
}

/// The opcodes that need no attention here.
fn length(opcode: u8) -> Option<Length> {
    Some(match opcode {
        b'(' | b')' | b'0' | b'1' | b'2' | b'N' | b'Q' | b'R' | b'a' | b'b' | b'd' | b'e' | b'l' | b'o'
        | b's' | b't' | b'u' | b']' | b'}' => Length::Fixed(0),
        0x81 | 0x85..=0x89 | 0x8f..=0x92 | 0x97 | 0x98 => Length::Fixed(0),
        b'K' => Length::Fixed(1),
        b'M' => Length::Fixed(2),
        b'J' => Length::Fixed(4),
        b'G' => Length::Fixed(8),
        b'C' | b'U' | 0x8a => Length::Counted(1),
        b'B' | b'T' | 0x8b => Length::Counted(4),
        0x8e | 0x96 => Length::Counted(8),
        b'F' | b'I' | b'L' | b'P' | b'S' | b'V' => Length::Line,
        _ => return None,
    })
}

/// The names of `torch.load(weights_only=True)` that stand for tensors, their parts, and containers.
fn allow(module: &str, name: &str) -> Result<(), String> {
    let allowed = match module {
        "collections" => matches!(name, "OrderedDict" | "Counter" | "defaultdict"),
        "torch" => {
            name.strip_suffix("Storage").is_some_and(|kind| kind.bytes().all(|b| b.is_ascii_alphanumeric()))
                || matches!(name, "Size" | "Tensor" | "device")
                || is_dtype(name)
        }
        "torch.storage" => matches!(name, "UntypedStorage" | "TypedStorage"),
        "torch.nn.parameter" => name == "Parameter",
        "torch._utils" => matches!(
            name,
            "_rebuild_tensor"
                | "_rebuild_tensor_v2"
                | "_rebuild_tensor_v3"
                | "_rebuild_parameter"
                | "_rebuild_parameter_with_state"
        ),
        "_codecs" => name == "encode",
        "builtins" | "__builtin__" => {
            matches!(name, "set" | "frozenset" | "dict" | "list" | "tuple" | "int" | "float" | "bytearray")
        }
        _ => false,
    };
    if allowed {
        return Ok(());
    }
    let (module, name) = (shown(module), shown(name));
    Err(format!(
        "it asks for `{module}.{name}`, which is neither a tensor nor a container; nothing of it was run. Save the weights \
         alone: torch.save(model.state_dict(), FILE)"
    ))
}

fn is_dtype(name: &str) -> bool {
    matches!(
        name,
        "float32"
            | "float64"
            | "float16"
            | "bfloat16"
            | "int64"
            | "int32"
            | "int16"
            | "int8"
            | "uint8"
            | "bool"
    )
}

/// A name fit to be printed.
fn shown(name: &str) -> String {
    name.chars().take(80).flat_map(char::escape_default).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_found_wherever_they_are_written() {
        let refused = |pickle: &[u8], name: &str| {
            let error = check(pickle).unwrap_err();
            assert!(error.contains(&format!("`{name}`")), "{error}");
        };
        refused(b"\x80\x02cos\nsystem\nX\x02\0\0\0id\x85R.", "os.system");
        refused(b"\x80\x04\x8c\x05posix\x94\x8c\x06system\x94\x93.", "posix.system");
        // The module's name comes from the memo, as where two classes of one module follow each other.
        refused(b"\x80\x04\x8c\x08builtins\x940h\x00\x8c\x04eval\x93.", "builtins.eval");
        refused(b"\x80\x02X\x02\0\0\0osq\x07X\x01\0\0\0ah\x07X\x06\0\0\0system\x93.", "os.system");
        // The memo of protocol 0.
        refused(b"\x80\x02X\x0b\0\0\0collectionsq\0X\x02\0\0\0osp0\nh\0X\x06\0\0\0system\x93.", "os.system");
        refused(b"\x80\x02X\x02\0\0\0osq\x07X\x01\0\0\0ag7\nX\x06\0\0\0system\x93.", "os.system");
        refused(b"(ios\nsystem\n.", "os.system");
        refused(b"\x80\x02c__main__\nNet\n)\x81.", "__main__.Net");
        refused(b"\x80\x02ctorch.storage\n_load_from_bytes\n.", "torch.storage._load_from_bytes");
        refused(b"\x80\x02cnumpy.core.multiarray\nscalar\n.", "numpy.core.multiarray.scalar");
    }

    #[test]
    fn a_pickle_is_followed_to_its_end() {
        assert_eq!(check(b"\x80\x02}q\x00X\x03\0\0\0abcK\x01s.rest"), Ok(17));
        assert!(check(b"\x80\x02ccollections\nOrderedDict\n)R.").is_ok());
        for (pickle, reason) in [
            (b"".as_slice(), "ends 0 bytes later"),
            (b"\x80\x02}", "ends 0 bytes later"),
            (b"\x80\x02X\xff\xff\xff\xffab.", "4294967295 more are announced"),
            (b"\x80\x02\x8e\xff\xff\xff\xff\xff\xff\xff\xff.", "more are announced"),
            (b"\x80\x02\xfe.", "0xfe is no opcode"),
            (b"\x80\x02\x82\x01.", "extension registry"),
            (b"\x80\x04NN\x93.", "name is not written"),
            (b"\x80\x02cos", "without an end"),
        ] {
            let error = check(pickle).unwrap_err();
            assert!(error.contains(reason), "{error}");
        }
        let long = vec![b'N'; LONGEST_PICKLE + 10];
        assert!(check(&long).unwrap_err().contains("more than"));
    }
}
