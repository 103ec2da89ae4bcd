//! The opcodes of a pickle with their arguments, one after the other, without carrying any of them out.

use crate::opcode as op;

/// Longest line of an opcode: a module's or function's name, or a number in digits.
const LONGEST_LINE: usize = 4096;

/// One opcode of a pickle and what follows it.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Token<'a> {
    /// Where the opcode stands.
    pub offset: usize,
    /// The opcode, one of those of Python's `pickletools`.
    pub opcode: u8,
    /// What follows it.
    pub argument: Argument<'a>,
}

/// What follows an opcode.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Argument<'a> {
    /// Nothing.
    None,
    /// A number of a fixed size: an integer, an entry of the memo, an extension, the length of a frame, a protocol.
    Number(i64),
    /// A double.
    Float(f64),
    /// As many bytes as announced: a string, or an integer of any length.
    Bytes(&'a [u8]),
    /// A line, without its end: an entry of the memo, a number or a string of protocol 0.
    Line(&'a [u8]),
    /// Two lines: the module and the name of a class or function.
    Name(&'a [u8], &'a [u8]),
}

/// Reads the opcodes of a pickle of any protocol from its first byte to its STOP, after which it ends; bytes behind it are
/// not looked at. Nothing is allocated.
///
/// ```
/// use ffsvc_pickle::{Argument, Tokens};
/// let mut tokens = Tokens::new(b"\x80\x02cos\nsystem\n.rest");
/// let names = tokens.by_ref().filter_map(|token| match token.ok()?.argument {
///     Argument::Name(module, name) => Some((module, name)),
///     _ => None,
/// });
/// assert_eq!(names.collect::<Vec<_>>(), [(b"os".as_slice(), b"system".as_slice())]);
/// assert_eq!(tokens.offset(), 14);
/// ```
#[derive(Debug, Clone)]
pub struct Tokens<'a> {
    bytes: &'a [u8],
    at: usize,
    ended: bool,
}

impl<'a> Tokens<'a> {
    /// The pickle that begins with the first of these bytes.
    pub fn new(bytes: &'a [u8]) -> Self {
        Self { bytes, at: 0, ended: false }
    }

    /// Where the next opcode stands; after STOP, how long the pickle is.
    pub fn offset(&self) -> usize {
        self.at
    }

    /// The next opcode, as [`next`](Iterator::next) gives it until STOP.
    ///
    /// # Errors
    /// The pickle ends before its STOP, or has a byte that is no opcode.
    pub fn token(&mut self) -> Result<Token<'a>, String> {
        let offset = self.at;
        let [opcode] = self.array()?;
        let argument = match argument_of(opcode) {
            None => {
                return Err(format!(
                    "byte 0x{opcode:02x} is no opcode: the file is damaged, or not a pickle"
                ));
            }
            Some(Form::None) => Argument::None,
            Some(Form::Number(width)) => Argument::Number(self.number(width)? as i64),
            Some(Form::Int32) => Argument::Number(i32::from_le_bytes(self.array()?).into()),
            Some(Form::Float) => Argument::Float(f64::from_be_bytes(self.array()?)),
            Some(Form::Counted(width)) => {
                let len = self.number(width)?;
                Argument::Bytes(self.take(usize::try_from(len).unwrap_or(usize::MAX))?)
            }
            Some(Form::Line) => Argument::Line(self.line()?),
            Some(Form::Name) => Argument::Name(self.line()?, self.line()?),
        };
        Ok(Token { offset, opcode, argument })
    }

    fn take(&mut self, len: usize) -> Result<&'a [u8], String> {
        let rest = &self.bytes[self.at..];
        let piece = rest.get(..len).ok_or_else(|| {
            format!("the pickle ends {} bytes later, but {len} more are announced", rest.len())
        })?;
        self.at += len;
        Ok(piece)
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N], String> {
        let mut bytes = [0; N];
        bytes.copy_from_slice(self.take(N)?);
        Ok(bytes)
    }

    /// A little-endian number of up to eight bytes, not negative.
    fn number(&mut self, width: usize) -> Result<u64, String> {
        Ok(self.take(width)?.iter().rev().fold(0, |number, &byte| number << 8 | u64::from(byte)))
    }

    fn line(&mut self) -> Result<&'a [u8], String> {
        let rest = &self.bytes[self.at..];
        let rest = &rest[..rest.len().min(LONGEST_LINE)];
        let len = rest.iter().position(|&b| b == b'\n').ok_or_else(|| "a line without an end".to_owned())?;
        self.at += len + 1;
        Ok(&rest[..len])
    }
}

impl<'a> Iterator for Tokens<'a> {
    type Item = Result<Token<'a>, String>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.ended {
            return None;
        }
        let token = self.token();
        self.ended = token.as_ref().map_or(true, |token| token.opcode == op::STOP);
        Some(token)
    }
}

enum Form {
    None,
    /// So many bytes.
    Number(usize),
    Int32,
    Float,
    /// A length of so many bytes, and as many bytes as it says.
    Counted(usize),
    Line,
    Name,
}

/// What follows an opcode; `None` for a byte that is none.
fn argument_of(opcode: u8) -> Option<Form> {
    Some(match opcode {
        op::STOP | op::MARK | op::POP | op::POP_MARK | op::DUP | op::NONE | op::NEWTRUE | op::NEWFALSE => {
            Form::None
        }
        op::EMPTY_TUPLE | op::TUPLE | op::TUPLE1 | op::TUPLE2 | op::TUPLE3 => Form::None,
        op::EMPTY_LIST | op::LIST | op::APPEND | op::APPENDS => Form::None,
        op::EMPTY_DICT | op::DICT | op::SETITEM | op::SETITEMS => Form::None,
        op::EMPTY_SET | op::ADDITEMS | op::FROZENSET | op::MEMOIZE | op::STACK_GLOBAL => Form::None,
        op::REDUCE | op::BUILD | op::OBJ | op::NEWOBJ | op::NEWOBJ_EX | op::BINPERSID => Form::None,
        op::NEXT_BUFFER | op::READONLY_BUFFER => Form::None,
        op::PROTO | op::BININT1 | op::BINGET | op::BINPUT | op::EXT1 => Form::Number(1),
        op::BININT2 | op::EXT2 => Form::Number(2),
        op::LONG_BINGET | op::LONG_BINPUT | op::EXT4 => Form::Number(4),
        op::FRAME => Form::Number(8),
        op::BININT => Form::Int32,
        op::BINFLOAT => Form::Float,
        op::SHORT_BINBYTES | op::SHORT_BINSTRING | op::SHORT_BINUNICODE | op::LONG1 => Form::Counted(1),
        op::BINBYTES | op::BINSTRING | op::BINUNICODE | op::LONG4 => Form::Counted(4),
        op::BINBYTES8 | op::BYTEARRAY8 | op::BINUNICODE8 => Form::Counted(8),
        op::FLOAT | op::INT | op::LONG | op::STRING | op::UNICODE | op::PERSID | op::GET | op::PUT => {
            Form::Line
        }
        op::GLOBAL | op::INST => Form::Name,
        _ => return None,
    })
}
