use std::borrow::Cow;
use std::collections::HashMap;

use ffsvc_pickle::{Argument, Token, Tokens, opcode as op};

use super::PickleError;
use super::heap::{Global, Heap, Item, Object};

/// Runs the pickle to its STOP; gives the heap and the item that was on top.
pub(crate) fn run(bytes: &[u8]) -> Result<(Heap<'_>, Item), PickleError> {
    let mut machine = Machine {
        tokens: Tokens::new(bytes),
        size: bytes.len(),
        heap: Heap::default(),
        stack: Vec::new(),
        marks: Vec::new(),
        memo: HashMap::new(),
        copied: 0,
    };
    loop {
        let offset = machine.tokens.offset();
        match machine.step() {
            Ok(Some(root)) => return Ok((machine.heap, root)),
            Ok(None) => {}
            Err(message) => return Err(PickleError { offset, message }),
        }
    }
}

/// The message of an error; [`run`] adds the place.
pub(crate) type Step<T> = Result<T, String>;

pub(crate) struct Machine<'a> {
    tokens: Tokens<'a>,
    /// Bytes of the pickle.
    size: usize,
    pub(crate) heap: Heap<'a>,
    stack: Vec<Item>,
    /// Heights of the stack; nothing under the last one can be popped.
    marks: Vec<usize>,
    memo: HashMap<i64, Item>,
    /// Bytes of strings that are not borrowed from the file.
    copied: usize,
}

impl<'a> Machine<'a> {
    /// One opcode; the root at STOP.
    fn step(&mut self) -> Step<Option<Item>> {
        let token = self.tokens.token()?;
        if token.offset == 0 {
            return protocol(token).map(|()| None);
        }
        let Token { opcode, argument, .. } = token;
        match (opcode, argument) {
            (op::STOP, _) => return self.pop().map(Some),
            (op::FRAME, _) => {}
            (op::MARK, _) => self.marks.push(self.stack.len()),
            (op::POP, _) => {
                // As in Python: a POP at a mark takes the mark.
                if self.marks.last() == Some(&self.stack.len()) {
                    self.marks.pop();
                } else {
                    self.pop()?;
                }
            }
            (op::POP_MARK, _) => {
                self.pop_mark()?;
            }
            (op::DUP, _) => self.push(self.top()?),
            (op::NONE, _) => self.push(Item::None),
            (op::NEWTRUE, _) => self.push(Item::Bool(true)),
            (op::NEWFALSE, _) => self.push(Item::Bool(false)),
            (op::BININT | op::BININT1 | op::BININT2, Argument::Number(value)) => self.push(Item::Int(value)),
            (op::LONG1 | op::LONG4, Argument::Bytes(bytes)) => {
                let value = integer(bytes)?;
                self.push(Item::Int(value));
            }
            (op::BINFLOAT, Argument::Float(value)) => self.push(Item::Float(value)),
            (
                op::SHORT_BINBYTES
                | op::SHORT_BINSTRING
                | op::BINBYTES
                | op::BINSTRING
                | op::BINBYTES8
                | op::BYTEARRAY8,
                Argument::Bytes(bytes),
            ) => self.push_object(Object::Bytes(Cow::Borrowed(bytes)))?,
            (op::SHORT_BINUNICODE | op::BINUNICODE | op::BINUNICODE8, Argument::Bytes(bytes)) => {
                let text = std::str::from_utf8(bytes).map_err(|_| "a str that is not UTF-8".to_owned())?;
                self.push_object(Object::Str(Cow::Borrowed(text)))?;
            }
            (op::EMPTY_TUPLE, _) => self.push_object(Object::Tuple(Box::default()))?,
            (op::TUPLE, _) => {
                let items = self.pop_mark()?;
                self.push_object(Object::Tuple(items.into()))?;
            }
            (op::TUPLE1, _) => self.tuple(1)?,
            (op::TUPLE2, _) => self.tuple(2)?,
            (op::TUPLE3, _) => self.tuple(3)?,
            (op::EMPTY_LIST, _) => self.push_object(Object::List(Vec::new()))?,
            (op::LIST, _) => {
                let items = self.pop_mark()?;
                self.push_object(Object::List(items))?;
            }
            (op::APPEND, _) => {
                let item = self.pop()?;
                self.append(&[item])?;
            }
            (op::APPENDS, _) => {
                let items = self.pop_mark()?;
                self.append(&items)?;
            }
            (op::EMPTY_DICT, _) => self.push_object(Object::Dict(Vec::new()))?,
            (op::DICT, _) => {
                let items = self.pop_mark()?;
                self.push_object(Object::Dict(Vec::new()))?;
                self.set_items(&items)?;
            }
            (op::SETITEM, _) => {
                let (value, key) = (self.pop()?, self.pop()?);
                self.set_items(&[key, value])?;
            }
            (op::SETITEMS, _) => {
                let items = self.pop_mark()?;
                self.set_items(&items)?;
            }
            (op::BINGET | op::LONG_BINGET, Argument::Number(number)) => self.recall(number)?,
            (op::BINPUT | op::LONG_BINPUT, Argument::Number(number)) => {
                self.memo.insert(number, self.top()?);
            }
            (op::MEMOIZE, _) => {
                self.memo.insert(self.memo.len() as i64, self.top()?);
            }
            (op::GLOBAL, Argument::Name(module, name)) => {
                let global = global(&String::from_utf8_lossy(module), &String::from_utf8_lossy(name))?;
                self.push(Item::Global(global));
            }
            (op::STACK_GLOBAL, _) => self.stack_global()?,
            (op::REDUCE, _) => {
                let (arguments, function) = (self.pop()?, self.pop()?);
                let result = self.call(function, arguments)?;
                self.push(result);
            }
            (op::BUILD, _) => {
                let state = self.pop()?;
                self.build(self.top()?, state)?;
            }
            (op::INST, Argument::Name(module, name)) => {
                return Err(refuse(&String::from_utf8_lossy(module), &String::from_utf8_lossy(name)));
            }
            (other, _) => {
                return Err(format!("opcode 0x{other:02x} is refused: {}", refusal(other)));
            }
        }
        Ok(None)
    }

    fn push(&mut self, item: Item) {
        self.stack.push(item);
    }

    pub(crate) fn new_object(&mut self, object: Object<'a>) -> Step<Item> {
        self.heap.add(object).ok_or_else(|| "more objects than this reader takes".to_owned())
    }

    /// Allows for a string of `len` bytes that is not borrowed. Real files copy each of their bytes twice at most
    /// (protocol 2, numpy strings); one that makes copies of copies is hostile.
    pub(crate) fn allow_copy(&mut self, len: usize) -> Step<()> {
        self.copied = self.copied.saturating_add(len);
        if self.copied > 2 * self.size {
            return Err("it makes more text out of its strings than the file has bytes".to_owned());
        }
        Ok(())
    }

    fn push_object(&mut self, object: Object<'a>) -> Step<()> {
        let item = self.new_object(object)?;
        self.push(item);
        Ok(())
    }

    /// The lowest height that can be popped.
    fn floor(&self) -> usize {
        self.marks.last().copied().unwrap_or(0)
    }

    fn top(&self) -> Step<Item> {
        let item = self.stack.last().filter(|_| self.stack.len() > self.floor());
        item.copied().ok_or_else(|| "the stack is empty".to_owned())
    }

    fn pop(&mut self) -> Step<Item> {
        let item = self.top()?;
        self.stack.pop();
        Ok(item)
    }

    fn pop_mark(&mut self) -> Step<Vec<Item>> {
        let mark = self.marks.pop().ok_or_else(|| "there is no mark".to_owned())?;
        Ok(self.stack.split_off(mark))
    }

    fn tuple(&mut self, len: usize) -> Step<()> {
        let start = self.stack.len().checked_sub(len).filter(|&start| start >= self.floor());
        let items = self.stack.split_off(start.ok_or_else(|| "the stack is empty".to_owned())?);
        self.push_object(Object::Tuple(items.into()))
    }

    fn append(&mut self, items: &[Item]) -> Step<()> {
        match self.heap.get_mut(self.top()?) {
            Some(Object::List(list)) => list.extend_from_slice(items),
            _ => return Err("items are added to what is not a list".to_owned()),
        }
        Ok(())
    }

    fn set_items(&mut self, items: &[Item]) -> Step<()> {
        if !items.len().is_multiple_of(2) {
            return Err("a key without a value".to_owned());
        }
        match self.heap.get_mut(self.top()?) {
            Some(Object::Dict(dict)) => dict.extend(items.chunks_exact(2).map(|pair| (pair[0], pair[1]))),
            _ => return Err("keys are set in what is not a dict".to_owned()),
        }
        Ok(())
    }

    fn recall(&mut self, number: i64) -> Step<()> {
        let item = self.memo.get(&number).copied();
        self.push(item.ok_or_else(|| format!("memo entry {number} is asked for, but was never made"))?);
        Ok(())
    }

    fn stack_global(&mut self) -> Step<()> {
        let (name, module) = (self.pop()?, self.pop()?);
        let global = match (self.heap.get(module), self.heap.get(name)) {
            (Some(Object::Str(module)), Some(Object::Str(name))) => global(module, name)?,
            _ => return Err("a function's name that is not a str".to_owned()),
        };
        self.push(Item::Global(global));
        Ok(())
    }
}

fn protocol(token: Token<'_>) -> Step<()> {
    match (token.opcode, token.argument) {
        (op::PROTO, Argument::Number(2..=5)) => Ok(()),
        (op::PROTO, Argument::Number(version)) => Err(format!("protocol {version}: 2 to 5 can be read")),
        _ => Err("no pickle of protocol 2 to 5 begins here".to_owned()),
    }
}

/// LONG1 and LONG4: little-endian two's complement of any length. Shapes and versions fit 64 bits.
fn integer(bytes: &[u8]) -> Step<i64> {
    let len = bytes.len();
    if len > 8 {
        return Err(format!("an integer of {len} bytes: 8 at most are read"));
    }
    let negative = bytes.last().is_some_and(|&byte| byte >= 0x80);
    let mut word = [if negative { 0xff } else { 0 }; 8];
    word[..len].copy_from_slice(bytes);
    Ok(i64::from_le_bytes(word))
}

/// The only names that have a meaning here.
fn global(module: &str, name: &str) -> Step<Global> {
    Ok(match (module, name) {
        ("numpy.core.multiarray" | "numpy._core.multiarray", "_reconstruct") => Global::Reconstruct,
        ("numpy.core.multiarray" | "numpy._core.multiarray", "scalar") => Global::Scalar,
        ("numpy.core.numeric" | "numpy._core.numeric", "_frombuffer") => Global::FromBuffer,
        ("numpy", "ndarray") => Global::NdArray,
        ("numpy", "dtype") => Global::Dtype,
        ("_codecs", "encode") => Global::Encode,
        ("__builtin__" | "builtins", "bytes") => Global::Bytes,
        _ => return Err(refuse(module, name)),
    })
}

fn refuse(module: &str, name: &str) -> String {
    let short = |text: &str| text.chars().take(100).collect::<String>().escape_debug().to_string();
    format!(
        "it asks for `{}.{}`, which is refused: only numpy arrays in dicts and lists are read, and no code is run",
        short(module),
        short(name)
    )
}

/// Why an opcode that numpy's pickles do not have is refused.
fn refusal(opcode: u8) -> &'static str {
    match opcode {
        op::OBJ | op::NEWOBJ | op::NEWOBJ_EX => "it builds an instance of a class",
        op::PERSID | op::BINPERSID => "it refers to an object outside the file",
        op::EXT1 | op::EXT2 | op::EXT4 => "it names a function of Python's extension registry",
        op::NEXT_BUFFER | op::READONLY_BUFFER => "it refers to a buffer outside the file",
        op::EMPTY_SET | op::ADDITEMS | op::FROZENSET => "it builds a set",
        op::FLOAT | op::INT | op::LONG | op::STRING | op::UNICODE | op::GET | op::PUT => {
            "it is of protocol 0; save again with numpy of today"
        }
        _ => "numpy's pickles do not have it",
    }
}
