use std::borrow::Cow;

use crate::dtype::Dtype;

/// Most objects that a pickle may have: five for each of thirteen million utterances.
const MOST_OBJECTS: usize = 1 << 26;

/// A value on the machine's stack: small ones are here, the others are in the heap.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Item {
    None,
    Bool(bool),
    Int(i64),
    Float(f64),
    Global(Global),
    Object(u32),
}

/// The names that a pickle may ask for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Global {
    /// `numpy.core.multiarray._reconstruct`
    Reconstruct,
    /// `numpy.core.numeric._frombuffer`, of protocol 5
    FromBuffer,
    /// `numpy.core.multiarray.scalar`
    Scalar,
    /// `numpy.ndarray`, only as an argument
    NdArray,
    /// `numpy.dtype`
    Dtype,
    /// `_codecs.encode`, by which protocol 2 writes bytes as text
    Encode,
    /// `bytes`, by which protocol 2 writes no bytes
    Bytes,
}

#[derive(Debug)]
pub(crate) enum Object<'a> {
    Str(Cow<'a, str>),
    Bytes(Cow<'a, [u8]>),
    Tuple(Box<[Item]>),
    List(Vec<Item>),
    Dict(Vec<(Item, Item)>),
    Dtype(Dtype),
    /// `None` until its state is there.
    Array(Option<Box<ArrayState>>),
}

#[derive(Debug)]
pub(crate) struct ArrayState {
    pub(crate) dtype: Dtype,
    pub(crate) shape: Vec<usize>,
    /// The elements: bytes, or a list where the dtype is `object`.
    pub(crate) data: Item,
}

/// An item as its reader sees it.
#[derive(Debug)]
pub(crate) enum View<'v> {
    None,
    Bool(bool),
    Int(i64),
    Float(f64),
    Str(&'v str),
    Bytes(&'v [u8]),
    Tuple(&'v [Item]),
    List(&'v [Item]),
    Dict(&'v [(Item, Item)]),
    Array(Array<'v>),
    /// A dtype, a function's name, or an array without its state.
    Other,
}

impl View<'_> {
    /// For messages.
    pub(crate) fn what(&self) -> String {
        match self {
            View::None => "None".to_owned(),
            View::Bool(b) => format!("the bool {b}"),
            View::Int(i) => format!("the integer {i}"),
            View::Float(x) => format!("the number {x}"),
            View::Str(_) => "a str".to_owned(),
            View::Bytes(_) => "bytes".to_owned(),
            View::Tuple(items) => format!("a tuple of {}", items.len()),
            View::List(items) => format!("a list of {}", items.len()),
            View::Dict(pairs) => format!("a dict of {}", pairs.len()),
            View::Array(array) => format!("a numpy array of shape {:?}", array.shape),
            View::Other => "a numpy dtype or function".to_owned(),
        }
    }
}

/// A numpy array.
#[derive(Debug)]
pub(crate) struct Array<'v> {
    pub(crate) dtype: Dtype,
    pub(crate) shape: &'v [usize],
    pub(crate) data: ArrayData<'v>,
}

#[derive(Debug)]
pub(crate) enum ArrayData<'v> {
    /// As many bytes as shape and dtype ask for.
    Raw(&'v [u8]),
    /// As many items as the shape asks for; the dtype is `object`.
    Items(&'v [Item]),
}

#[derive(Debug, Default)]
pub(crate) struct Heap<'a> {
    objects: Vec<Object<'a>>,
}

impl<'a> Heap<'a> {
    /// Stores an object; `None` when the heap is full.
    pub(crate) fn add(&mut self, object: Object<'a>) -> Option<Item> {
        if self.objects.len() >= MOST_OBJECTS {
            return None;
        }
        let number = u32::try_from(self.objects.len()).ok()?;
        self.objects.push(object);
        Some(Item::Object(number))
    }

    pub(crate) fn get(&self, item: Item) -> Option<&Object<'a>> {
        match item {
            Item::Object(number) => self.objects.get(number as usize),
            _ => None,
        }
    }

    pub(crate) fn get_mut(&mut self, item: Item) -> Option<&mut Object<'a>> {
        match item {
            Item::Object(number) => self.objects.get_mut(number as usize),
            _ => None,
        }
    }

    pub(crate) fn view(&self, item: Item) -> View<'_> {
        match item {
            Item::None => View::None,
            Item::Bool(b) => View::Bool(b),
            Item::Int(i) => View::Int(i),
            Item::Float(x) => View::Float(x),
            Item::Global(_) => View::Other,
            Item::Object(_) => match self.get(item) {
                Some(Object::Str(s)) => View::Str(s),
                Some(Object::Bytes(b)) => View::Bytes(b),
                Some(Object::Tuple(items)) => View::Tuple(items),
                Some(Object::List(items)) => View::List(items),
                Some(Object::Dict(pairs)) => View::Dict(pairs),
                Some(Object::Array(Some(state))) => self.view_array(state),
                Some(Object::Dtype(_) | Object::Array(None)) | None => View::Other,
            },
        }
    }

    /// The length of a list is checked here, not when the array is built: a pickle can add to the list later.
    fn view_array<'v>(&'v self, state: &'v ArrayState) -> View<'v> {
        let data = match self.get(state.data) {
            Some(Object::Bytes(bytes)) => ArrayData::Raw(bytes),
            Some(Object::List(items)) if state.shape.iter().product::<usize>() == items.len() => {
                ArrayData::Items(items)
            }
            _ => return View::Other,
        };
        View::Array(Array { dtype: state.dtype, shape: &state.shape, data })
    }
}
