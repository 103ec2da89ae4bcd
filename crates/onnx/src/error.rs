/// Why a graph is not a valid model, or a file cannot be read.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[non_exhaustive]
pub enum Error {
    /// A node or an output reads what nothing before it gives.
    #[error(
        "{reader} reads {value:?}; expected the name of an input, a constant or an earlier node's output"
    )]
    Undefined {
        /// The node or output.
        reader: String,
        /// The name that it reads.
        value: String,
    },
    /// A name is given twice.
    #[error("{value:?} is defined twice; expected one input, constant or node output of a name")]
    DefinedTwice {
        /// The name.
        value: String,
    },
    /// A constant's bytes do not fill its shape.
    #[error("the constant {name:?} has {found} bytes; expected {expected} for the shape {shape:?}")]
    Size {
        /// Its name.
        name: String,
        /// Its shape.
        shape: Vec<i64>,
        /// Bytes that it has.
        found: usize,
        /// Bytes of its shape.
        expected: i64,
    },
    /// A constant is of a type that this crate does not write.
    #[error(
        "the constant {name:?} has the element type {found}; expected 1 (32-bit floats) or 7 (64-bit integers)"
    )]
    ElementType {
        /// Its name.
        name: String,
        /// The number of the type.
        found: i32,
    },
    /// The file would be larger than a protobuf message may be.
    #[error("the model has {bytes} bytes; expected fewer than 2 GiB, the most that the format can hold")]
    TooLarge {
        /// Size of the file.
        bytes: usize,
    },
    /// There is nothing to compute.
    #[error("the model has no graph")]
    NoGraph,
    /// The bytes are not those of a model.
    #[error("not an ONNX model: {cause}; is the file truncated?")]
    Malformed {
        /// What the decoder says.
        cause: String,
    },
    /// A graph of more parts than any network has.
    #[error("the model has more than {most} nodes, settings, names and constants")]
    TooManyParts {
        /// As many are read.
        most: usize,
    },
    /// A constant is not of floats.
    #[error("the constant {name:?} has the element type {found}; expected floats of 16, 32 or 64 bits")]
    NoFloats {
        /// Its name.
        name: String,
        /// The number of the type.
        found: i32,
    },
    /// The values of a constant are in a file of their own, and cannot be read from there.
    #[error("the values of the constant {name:?} are in another file: {cause}")]
    External {
        /// Name of the constant.
        name: String,
        /// What is wrong.
        cause: String,
    },
}

/// The result of this crate's fallible functions.
pub type Result<T> = std::result::Result<T, Error>;
