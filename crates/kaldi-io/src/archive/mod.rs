//! Kaldi archives: `ark` files of keyed vectors and matrices, and the `scp` tables that point into them.
//!
//! An archive is a sequence of `key SPACE object`. An object is binary (it starts with a NUL byte and `B`) or text
//! (`[ 1 2 3 ]`); both kinds may stand in one file. Objects read: float and double vectors and matrices, and the
//! three kinds of compressed matrix. Objects written: float and double vectors and matrices.
//!
//! Nothing is allocated on the word of a header: memory grows with the bytes that the file really holds.

mod binary;
mod compressed;
mod input;
mod reader;
mod scp;
mod text;
mod value;
mod writer;

pub use reader::ArkReader;
pub use scp::ScpReader;
pub use value::{Matrix, Real, Value};
pub use writer::{ArkForm, ArkWriter};
