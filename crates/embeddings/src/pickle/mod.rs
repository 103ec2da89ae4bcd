//! Pickles that numpy writes for dictionaries of arrays, read as data. Nothing is run.
//!
//! A pickle is a program for a stack machine, and Python's own reader calls whatever function the program names.
//! Here a fixed list of names is known, each with one meaning that is data: numpy's array, dtype and scalar
//! constructors, and the way protocol 2 spells bytes. Any other name ends the reading with an error that says it.
//! Protocols 2 to 5 are read, as numpy 1 and 2 (and Python 2) write them.
//!
//! Memory is bounded by the file. Strings and arrays borrow from it. Every other object has a fixed size and needs at
//! least one byte of the file, and their number has a limit. Objects are in one heap and refer to each other by number.
//! So deep or circular structures need no recursion, neither here nor when they are dropped.

mod heap;
mod machine;
mod numpy;

use std::fmt;

pub(crate) use heap::{ArrayData, Item, View};

use heap::Heap;

/// A pickle that has been read.
#[derive(Debug)]
pub(crate) struct Pickle<'a> {
    heap: Heap<'a>,
    root: Item,
}

impl Pickle<'_> {
    /// The pickled object.
    pub(crate) fn root(&self) -> Item {
        self.root
    }

    /// What an item of this pickle is.
    pub(crate) fn view(&self, item: Item) -> View<'_> {
        self.heap.view(item)
    }
}

/// Reads a pickle. Bytes after its end are ignored, as Python does.
///
/// # Errors
/// It is damaged, of protocol 0 or 1, or asks for anything but the data types above.
pub(crate) fn load(bytes: &[u8]) -> Result<Pickle<'_>, PickleError> {
    let (heap, root) = machine::run(bytes)?;
    Ok(Pickle { heap, root })
}

/// Why a pickle was refused, and at which of its bytes.
#[derive(Debug)]
pub(crate) struct PickleError {
    offset: usize,
    message: String,
}

impl fmt::Display for PickleError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} (byte {} of the pickle)", self.message, self.offset)
    }
}
