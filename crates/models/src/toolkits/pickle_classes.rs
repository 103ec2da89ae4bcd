//! Which classes and functions a pickle asks for: read from its opcodes, without carrying any of them out.

use std::collections::HashMap;

use ffsvc_pickle::{Argument, Token, Tokens, opcode as op};

/// Most bytes of one of a checkpoint's pickles. The description of ResNet293 with its optimiser takes some 0.5 MB.
pub(super) const LONGEST_PICKLE: usize = 4 << 20;

/// Reads one pickle from the start of `bytes` to its STOP and returns how many bytes it takes.
///
/// # Errors
/// The first name outside what `torch.load(weights_only=True)` takes for tensors and containers; or what is wrong with
/// the opcodes.
pub(super) fn check(bytes: &[u8]) -> Result<usize, String> {
    let mut scan = Scan { tokens: Tokens::new(bytes), last: [None, None], memo: HashMap::new() };
    loop {
        if scan.tokens.offset() > LONGEST_PICKLE {
            return Err(format!(
                "its pickle has more than {LONGEST_PICKLE} bytes; a network's has far fewer"
            ));
        }
        if scan.step()? {
            return Ok(scan.tokens.offset());
        }
    }
}

/// A value as far as it matters here: `Some` for a string.
type Value<'a> = Option<&'a str>;

struct Scan<'a> {
    tokens: Tokens<'a>,
    /// The two values pushed last, the newest last. STACK_GLOBAL takes its names from there.
    last: [Value<'a>; 2],
    /// The values that MEMOIZE and PUT kept, by their numbers.
    memo: HashMap<i64, Value<'a>>,
}

impl<'a> Scan<'a> {
    /// One opcode; true at STOP.
    fn step(&mut self) -> Result<bool, String> {
        let Token { opcode, argument, .. } = self.tokens.token()?;
        match (opcode, argument) {
            (op::STOP, _) => return Ok(true),
            (op::PROTO | op::FRAME, _) => {}
            (op::BINUNICODE | op::SHORT_BINUNICODE | op::BINUNICODE8, Argument::Bytes(text)) => {
                self.push(std::str::from_utf8(text).ok());
            }
            (op::BINGET | op::LONG_BINGET, Argument::Number(number)) => self.recall(number),
            (op::GET, Argument::Line(line)) => self.recall(memo_number(line)?),
            (op::BINPUT | op::LONG_BINPUT, Argument::Number(number)) => self.keep(number),
            (op::PUT, Argument::Line(line)) => self.keep(memo_number(line)?),
            (op::MEMOIZE, _) => self.keep(self.memo.len() as i64),
            (op::GLOBAL, Argument::Name(module, name)) => {
                allow(name_of(module)?, name_of(name)?)?;
                self.push(None);
            }
            (op::INST, Argument::Name(module, name)) => {
                let (module, name) = (name_of(module)?, name_of(name)?);
                allow(module, name)?;
                return Err(format!(
                    "it makes an instance of `{module}.{name}` by an opcode that is refused"
                ));
            }
            (op::STACK_GLOBAL, _) => {
                let [Some(module), Some(name)] = self.last else {
                    return Err("it asks for a class whose name is not written beside it".to_owned());
                };
                allow(module, name)?;
                self.push(None);
            }
            (op::EXT1 | op::EXT2 | op::EXT4, _) => {
                return Err("it asks for a class by a number of Python's extension registry".into());
            }
            _ => self.push(None),
        }
        Ok(false)
    }

    fn push(&mut self, value: Value<'a>) {
        self.last = [self.last[1], value];
    }

    fn keep(&mut self, number: i64) {
        self.memo.insert(number, self.last[1]);
    }

    fn recall(&mut self, number: i64) {
        let value = self.memo.get(&number).copied().flatten();
        self.push(value);
    }
}

fn name_of(name: &[u8]) -> Result<&str, String> {
    std::str::from_utf8(name).map_err(|_| "its pickle has a name that is not UTF-8".to_owned())
}

/// The line of PUT or GET.
fn memo_number(line: &[u8]) -> Result<i64, String> {
    let line = name_of(line)?;
    line.trim_end_matches('\r').parse().map_err(|_| format!("a memo number of `{}`", shown(line)))
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
