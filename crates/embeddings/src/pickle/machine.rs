use std::borrow::Cow;
use std::collections::HashMap;

use super::PickleError;
use super::heap::{Global, Heap, Item, Object};
use super::opcode as op;

/// Longest module or function name that is read.
const LONGEST_NAME: usize = 256;

/// Runs the pickle to its STOP; gives the heap and the item that was on top.
pub(crate) fn run(bytes: &[u8]) -> Result<(Heap<'_>, Item), PickleError> {
    let mut machine = Machine {
        bytes,
        at: 0,
        heap: Heap::default(),
        stack: Vec::new(),
        marks: Vec::new(),
        memo: HashMap::new(),
        copied: 0,
    };
    loop {
        let offset = machine.at;
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
    bytes: &'a [u8],
    at: usize,
    pub(crate) heap: Heap<'a>,
    stack: Vec<Item>,
    /// Heights of the stack; nothing under the last one can be popped.
    marks: Vec<usize>,
    memo: HashMap<u32, Item>,
    /// Bytes of strings that are not borrowed from the file.
    copied: usize,
}

impl<'a> Machine<'a> {
    /// One opcode; the root at STOP.
    fn step(&mut self) -> Step<Option<Item>> {
        if self.at == 0 {
            return self.protocol().map(|()| None);
        }
        let [opcode] = self.array()?;
        match opcode {
            op::STOP => return self.pop().map(Some),
            op::FRAME => {
                self.long_length()?;
            }
            op::MARK => self.marks.push(self.stack.len()),
            op::POP => {
                // As in Python: a POP at a mark takes the mark.
                if self.marks.last() == Some(&self.stack.len()) {
                    self.marks.pop();
                } else {
                    self.pop()?;
                }
            }
            op::POP_MARK => {
                self.pop_mark()?;
            }
            op::DUP => self.push(self.top()?),
            op::NONE => self.push(Item::None),
            op::NEWTRUE => self.push(Item::Bool(true)),
            op::NEWFALSE => self.push(Item::Bool(false)),
            op::BININT => {
                let value = i32::from_le_bytes(self.array()?);
                self.push(Item::Int(value.into()));
            }
            op::BININT1 => {
                let [value] = self.array()?;
                self.push(Item::Int(value.into()));
            }
            op::BININT2 => {
                let value = u16::from_le_bytes(self.array()?);
                self.push(Item::Int(value.into()));
            }
            op::LONG1 | op::LONG4 => self.long(opcode == op::LONG1)?,
            op::BINFLOAT => {
                let value = f64::from_be_bytes(self.array()?);
                self.push(Item::Float(value));
            }
            op::SHORT_BINBYTES | op::SHORT_BINSTRING => self.push_bytes(1)?,
            op::BINBYTES | op::BINSTRING => self.push_bytes(4)?,
            op::BINBYTES8 | op::BYTEARRAY8 => self.push_bytes(8)?,
            op::SHORT_BINUNICODE => self.push_text(1)?,
            op::BINUNICODE => self.push_text(4)?,
            op::BINUNICODE8 => self.push_text(8)?,
            op::EMPTY_TUPLE => self.push_object(Object::Tuple(Box::default()))?,
            op::TUPLE => {
                let items = self.pop_mark()?;
                self.push_object(Object::Tuple(items.into()))?;
            }
            op::TUPLE1 => self.tuple(1)?,
            op::TUPLE2 => self.tuple(2)?,
            op::TUPLE3 => self.tuple(3)?,
            op::EMPTY_LIST => self.push_object(Object::List(Vec::new()))?,
            op::LIST => {
                let items = self.pop_mark()?;
                self.push_object(Object::List(items))?;
            }
            op::APPEND => {
                let item = self.pop()?;
                self.append(&[item])?;
            }
            op::APPENDS => {
                let items = self.pop_mark()?;
                self.append(&items)?;
            }
            op::EMPTY_DICT => self.push_object(Object::Dict(Vec::new()))?,
            op::DICT => {
                let items = self.pop_mark()?;
                self.push_object(Object::Dict(Vec::new()))?;
                self.set_items(&items)?;
            }
            op::SETITEM => {
                let (value, key) = (self.pop()?, self.pop()?);
                self.set_items(&[key, value])?;
            }
            op::SETITEMS => {
                let items = self.pop_mark()?;
                self.set_items(&items)?;
            }
            op::BINGET => {
                let [number] = self.array()?;
                self.recall(number.into())?;
            }
            op::LONG_BINGET => {
                let number = u32::from_le_bytes(self.array()?);
                self.recall(number)?;
            }
            op::BINPUT => {
                let [number] = self.array()?;
                self.memo.insert(number.into(), self.top()?);
            }
            op::LONG_BINPUT => {
                let number = u32::from_le_bytes(self.array()?);
                self.memo.insert(number, self.top()?);
            }
            op::MEMOIZE => {
                let number =
                    u32::try_from(self.memo.len()).map_err(|_| "the memo is too large".to_owned())?;
                self.memo.insert(number, self.top()?);
            }
            op::GLOBAL => {
                let (module, name) = (self.line()?, self.line()?);
                self.push(Item::Global(global(&module, &name)?));
            }
            op::STACK_GLOBAL => self.stack_global()?,
            op::REDUCE => {
                let (arguments, function) = (self.pop()?, self.pop()?);
                let result = self.call(function, arguments)?;
                self.push(result);
            }
            op::BUILD => {
                let state = self.pop()?;
                self.build(self.top()?, state)?;
            }
            op::INST => {
                let (module, name) = (self.line()?, self.line()?);
                return Err(refuse(&module, &name));
            }
            other => {
                return Err(match op::refusal(other) {
                    Some(why) => format!("opcode 0x{other:02x} is refused: {why}"),
                    None => format!("byte 0x{other:02x} is no opcode: the file is damaged, or not a pickle"),
                });
            }
        }
        Ok(None)
    }

    fn protocol(&mut self) -> Step<()> {
        match self.array()? {
            [op::PROTO, 2..=5] => Ok(()),
            [op::PROTO, version] => Err(format!("protocol {version}: 2 to 5 can be read")),
            _ => Err("no pickle of protocol 2 to 5 begins here".to_owned()),
        }
    }

    /// The next `len` bytes, borrowed from the file.
    fn take(&mut self, len: usize) -> Step<&'a [u8]> {
        let rest = &self.bytes[self.at..];
        let piece = rest.get(..len).ok_or_else(|| {
            format!("the pickle ends {} bytes later, but {len} more are announced", rest.len())
        })?;
        self.at += len;
        Ok(piece)
    }

    fn array<const N: usize>(&mut self) -> Step<[u8; N]> {
        let mut bytes = [0; N];
        bytes.copy_from_slice(self.take(N)?);
        Ok(bytes)
    }

    fn long_length(&mut self) -> Step<usize> {
        let len = u64::from_le_bytes(self.array()?);
        usize::try_from(len).map_err(|_| format!("a length of {len}"))
    }

    /// A string whose length has `width` bytes.
    fn counted(&mut self, width: usize) -> Step<&'a [u8]> {
        let len = match width {
            1 => usize::from(self.array::<1>()?[0]),
            4 => u32::from_le_bytes(self.array()?) as usize,
            _ => self.long_length()?,
        };
        self.take(len)
    }

    fn push_bytes(&mut self, width: usize) -> Step<()> {
        let bytes = self.counted(width)?;
        self.push_object(Object::Bytes(Cow::Borrowed(bytes)))
    }

    fn push_text(&mut self, width: usize) -> Step<()> {
        let text =
            std::str::from_utf8(self.counted(width)?).map_err(|_| "a str that is not UTF-8".to_owned())?;
        self.push_object(Object::Str(Cow::Borrowed(text)))
    }

    /// LONG1 and LONG4: little-endian two's complement of any length. Shapes and versions fit 64 bits.
    fn long(&mut self, short: bool) -> Step<()> {
        let len = if short {
            usize::from(self.array::<1>()?[0])
        } else {
            u32::from_le_bytes(self.array()?) as usize
        };
        let bytes = self.take(len)?;
        if len > 8 {
            return Err(format!("an integer of {len} bytes: 8 at most are read"));
        }
        let negative = bytes.last().is_some_and(|&byte| byte >= 0x80);
        let mut word = [if negative { 0xff } else { 0 }; 8];
        word[..len].copy_from_slice(bytes);
        self.push(Item::Int(i64::from_le_bytes(word)));
        Ok(())
    }

    /// A line of GLOBAL or INST, without its end.
    fn line(&mut self) -> Step<String> {
        let rest = &self.bytes[self.at..];
        let rest = &rest[..rest.len().min(LONGEST_NAME)];
        let len = rest.iter().position(|&b| b == b'\n').ok_or_else(|| "a name without an end".to_owned())?;
        self.at += len + 1;
        Ok(String::from_utf8_lossy(&rest[..len]).into_owned())
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
        if self.copied > 2 * self.bytes.len() {
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

    fn recall(&mut self, number: u32) -> Step<()> {
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
