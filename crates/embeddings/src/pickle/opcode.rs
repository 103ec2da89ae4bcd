//! All opcodes of protocols 0 to 5, by the names of Python's `pickletools`.
#![allow(missing_docs, reason = "Python's documentation says what each does")]

pub const PROTO: u8 = 0x80;
pub const FRAME: u8 = 0x95;
pub const STOP: u8 = b'.';
pub const MARK: u8 = b'(';
pub const POP: u8 = b'0';
pub const POP_MARK: u8 = b'1';
pub const DUP: u8 = b'2';
pub const NONE: u8 = b'N';
pub const NEWTRUE: u8 = 0x88;
pub const NEWFALSE: u8 = 0x89;
pub const BININT: u8 = b'J';
pub const BININT1: u8 = b'K';
pub const BININT2: u8 = b'M';
pub const LONG1: u8 = 0x8a;
pub const LONG4: u8 = 0x8b;
pub const BINFLOAT: u8 = b'G';
pub const BINSTRING: u8 = b'T';
pub const SHORT_BINSTRING: u8 = b'U';
pub const BINBYTES: u8 = b'B';
pub const SHORT_BINBYTES: u8 = b'C';
pub const BINBYTES8: u8 = 0x8e;
pub const BYTEARRAY8: u8 = 0x96;
pub const BINUNICODE: u8 = b'X';
pub const SHORT_BINUNICODE: u8 = 0x8c;
pub const BINUNICODE8: u8 = 0x8d;
pub const EMPTY_TUPLE: u8 = b')';
pub const TUPLE: u8 = b't';
pub const TUPLE1: u8 = 0x85;
pub const TUPLE2: u8 = 0x86;
pub const TUPLE3: u8 = 0x87;
pub const EMPTY_LIST: u8 = b']';
pub const LIST: u8 = b'l';
pub const APPEND: u8 = b'a';
pub const APPENDS: u8 = b'e';
pub const EMPTY_DICT: u8 = b'}';
pub const DICT: u8 = b'd';
pub const SETITEM: u8 = b's';
pub const SETITEMS: u8 = b'u';
pub const BINGET: u8 = b'h';
pub const LONG_BINGET: u8 = b'j';
pub const BINPUT: u8 = b'q';
pub const LONG_BINPUT: u8 = b'r';
pub const MEMOIZE: u8 = 0x94;
pub const GLOBAL: u8 = b'c';
pub const STACK_GLOBAL: u8 = 0x93;
pub const REDUCE: u8 = b'R';
pub const BUILD: u8 = b'b';

pub const INST: u8 = b'i';
pub const OBJ: u8 = b'o';
pub const NEWOBJ: u8 = 0x81;
pub const NEWOBJ_EX: u8 = 0x92;
pub const PERSID: u8 = b'P';
pub const BINPERSID: u8 = b'Q';
pub const EXT1: u8 = 0x82;
pub const EXT2: u8 = 0x83;
pub const EXT4: u8 = 0x84;
pub const NEXT_BUFFER: u8 = 0x97;
pub const READONLY_BUFFER: u8 = 0x98;
pub const EMPTY_SET: u8 = 0x8f;
pub const ADDITEMS: u8 = 0x90;
pub const FROZENSET: u8 = 0x91;
pub const FLOAT: u8 = b'F';
pub const INT: u8 = b'I';
pub const LONG: u8 = b'L';
pub const STRING: u8 = b'S';
pub const UNICODE: u8 = b'V';
pub const GET: u8 = b'g';
pub const PUT: u8 = b'p';

/// Why an opcode that numpy's pickles do not have is refused.
pub(super) fn refusal(opcode: u8) -> &'static str {
    match opcode {
        OBJ | NEWOBJ | NEWOBJ_EX => "it builds an instance of a class",
        PERSID | BINPERSID => "it refers to an object outside the file",
        EXT1 | EXT2 | EXT4 => "it names a function of Python's extension registry",
        NEXT_BUFFER | READONLY_BUFFER => "it refers to a buffer outside the file",
        EMPTY_SET | ADDITEMS | FROZENSET => "it builds a set",
        FLOAT | INT | LONG | STRING | UNICODE | GET | PUT => {
            "it is of protocol 0; save again with numpy of today"
        }
        _ => "numpy's pickles do not have it",
    }
}
