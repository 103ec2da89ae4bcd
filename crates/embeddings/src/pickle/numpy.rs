//! What numpy's constructors mean: how arrays, dtypes and scalars come out of a pickle.

use std::borrow::Cow;

use super::heap::{ArrayState, Global, Item, Object};
use super::machine::{Machine, Step};
use crate::dtype::{Dtype, Kind};

/// Most dimensions of an array, as in numpy 2.
const MOST_DIMENSIONS: usize = 64;

impl<'a> Machine<'a> {
    /// REDUCE: a known constructor applied to a tuple.
    pub(crate) fn call(&mut self, function: Item, arguments: Item) -> Step<Item> {
        let (Item::Global(function), Some(Object::Tuple(arguments))) = (function, self.heap.get(arguments))
        else {
            return Err("what is called is not a function with its arguments".to_owned());
        };
        match (function, &**arguments) {
            (Global::Reconstruct, &[Item::Global(Global::NdArray), _, _]) => {
                self.new_object(Object::Array(None))
            }
            (Global::FromBuffer, &[data, dtype, shape, _order]) => {
                let state = self.array_state(shape, dtype, data)?;
                self.new_object(Object::Array(Some(Box::new(state))))
            }
            (Global::Scalar, &[dtype, data]) => self.scalar(dtype, data),
            (Global::Dtype, &[name, _, _]) => {
                let name = self.text(name)?;
                let dtype = Dtype::parse(name).ok_or_else(|| {
                    format!("an array of type `{}`: float32 and float64 are read", name.escape_debug())
                })?;
                self.new_object(Object::Dtype(dtype))
            }
            (Global::Encode, &[text, encoding]) => self.encode(text, encoding),
            (Global::Bytes, &[]) => self.new_object(Object::Bytes(Cow::Borrowed(&[]))),
            (function, arguments) => {
                Err(format!("{function:?} is called with {} arguments", arguments.len()))
            }
        }
    }

    /// BUILD: the state of an array or of a dtype.
    pub(crate) fn build(&mut self, target: Item, state: Item) -> Step<()> {
        let Some(Object::Tuple(state)) = self.heap.get(state) else {
            return Err("a state that is not a tuple".to_owned());
        };
        match (self.heap.get(target), &**state) {
            (Some(Object::Array(None)), &[_version, shape, dtype, _fortran_order, data]) => {
                let state = self.array_state(shape, dtype, data)?;
                if let Some(Object::Array(slot)) = self.heap.get_mut(target) {
                    *slot = Some(Box::new(state));
                }
            }
            (Some(Object::Dtype(_)), &[_version, order, Item::None, Item::None, Item::None, ..]) => {
                let big_endian = self.text(order)? == ">";
                if let Some(Object::Dtype(dtype)) = self.heap.get_mut(target) {
                    dtype.big_endian = big_endian;
                }
            }
            (Some(Object::Dtype(_)), _) => {
                return Err("an array of records: plain float32 or float64 is read".to_owned());
            }
            _ => return Err("a state for what has none".to_owned()),
        }
        Ok(())
    }

    /// Shape, dtype and elements that agree. Order (C or Fortran) does not matter: only vectors are used.
    fn array_state(&self, shape: Item, dtype: Item, data: Item) -> Step<ArrayState> {
        let Some(&Object::Dtype(dtype)) = self.heap.get(dtype) else {
            return Err("an array without a dtype".to_owned());
        };
        let shape = self.shape(shape)?;
        let count = shape.iter().try_fold(1_usize, |count, &n| count.checked_mul(n));
        let wanted = count.and_then(|count| count.checked_mul(dtype.size()));
        match self.heap.get(data) {
            Some(Object::Bytes(bytes)) if dtype.kind != Kind::Object && wanted == Some(bytes.len()) => {}
            Some(Object::List(_)) if dtype.kind == Kind::Object && count.is_some() => {}
            Some(Object::Bytes(bytes)) => {
                return Err(format!("{} bytes for an array of shape {shape:?}", bytes.len()));
            }
            _ => return Err("an array without its elements".to_owned()),
        }
        Ok(ArrayState { dtype, shape, data })
    }

    fn shape(&self, shape: Item) -> Step<Vec<usize>> {
        let Some(Object::Tuple(items)) = self.heap.get(shape) else {
            return Err("a shape that is not a tuple".to_owned());
        };
        if items.len() > MOST_DIMENSIONS {
            return Err(format!("an array of {} dimensions", items.len()));
        }
        let length = |item: &Item| match *item {
            Item::Int(n) => usize::try_from(n).map_err(|_| format!("{n} in the shape of an array")),
            _ => Err("a shape that is not of integers".to_owned()),
        };
        items.iter().map(length).collect()
    }

    fn scalar(&mut self, dtype: Item, data: Item) -> Step<Item> {
        let (Some(&Object::Dtype(dtype)), Some(Object::Bytes(bytes))) =
            (self.heap.get(dtype), self.heap.get(data))
        else {
            return Err("a numpy scalar without dtype or value".to_owned());
        };
        if bytes.len() != dtype.size() || bytes.is_empty() {
            return Err(format!("{} bytes for a numpy scalar", bytes.len()));
        }
        if let Some(&value) = dtype.doubles(bytes).as_deref().and_then(<[f64]>::first) {
            return Ok(Item::Float(value));
        }
        let mut strings = dtype.strings(bytes)?;
        let text = strings.pop().unwrap_or_default();
        self.allow_copy(text.len())?;
        self.new_object(Object::Str(Cow::Owned(text)))
    }

    /// Bytes as protocol 2 writes them: a str, each character of which is one byte.
    fn encode(&mut self, text: Item, encoding: Item) -> Step<Item> {
        if !matches!(self.text(encoding)?, "latin1" | "latin-1") {
            return Err("`_codecs.encode` with an encoding other than latin1".to_owned());
        }
        let text = self.text(text)?;
        let len = text.len();
        let bytes: Option<Vec<u8>> = text.chars().map(|c| u8::try_from(u32::from(c)).ok()).collect();
        let bytes = bytes.ok_or_else(|| "bytes that are not bytes".to_owned())?;
        self.allow_copy(len)?;
        self.new_object(Object::Bytes(Cow::Owned(bytes)))
    }

    /// A str, or the ASCII bytes by which Python 2 writes one.
    fn text(&self, item: Item) -> Step<&str> {
        match self.heap.get(item) {
            Some(Object::Str(text)) => Ok(text),
            Some(Object::Bytes(bytes)) => {
                std::str::from_utf8(bytes).map_err(|_| "bytes where a str belongs".to_owned())
            }
            _ => Err("something else where a str belongs".to_owned()),
        }
    }
}
