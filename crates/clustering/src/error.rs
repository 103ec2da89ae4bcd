//! What can go wrong between embeddings and pseudo-labels.

/// What every fallible function of this crate returns.
pub type Result<T> = std::result::Result<T, Error>;

/// Why there are no clusters, labels or measures of them.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A table, store or data directory could not be read or written.
    #[error(transparent)]
    File(#[from] ffsvc_kaldi_io::Error),

    /// Data that are no matrix with at least one row.
    #[error("found {values} numbers, expected at least one row of {dim}, and whole rows")]
    Shape {
        /// How many numbers there are.
        values: usize,
        /// How many a row has.
        dim: usize,
    },

    /// A linfa data set that linfa itself refuses.
    #[error(transparent)]
    DataSet(#[from] linfa::Error),

    /// More points than labels of 32 bits can tell apart.
    #[error("found {points} points, expected fewer than 4294967295")]
    TooMany {
        /// How many there are.
        points: usize,
    },

    /// NaN or infinity among the data.
    #[error("row {row} has a number that is not finite")]
    NotFinite {
        /// The row, counted from 0.
        row: usize,
    },

    /// A zero vector has no direction.
    #[error("row {row} is zero, and cannot be brought to length 1")]
    ZeroLength {
        /// The row, counted from 0.
        row: usize,
    },

    /// A zero embedding has no direction.
    #[error("the embedding of {utterance} is zero, and cannot be brought to length 1")]
    ZeroEmbedding {
        /// The utterance.
        utterance: String,
    },

    /// A number of clusters that these points cannot have.
    #[error("{clusters} clusters of {points} points: expected from 1 to the number of points")]
    Clusters {
        /// How many clusters are wanted.
        clusters: usize,
        /// How many points there are.
        points: usize,
    },

    /// An option out of range.
    #[error("{name} is {value}, expected {expected}")]
    Option {
        /// The option.
        name: &'static str,
        /// What was given.
        value: f64,
        /// What is possible.
        expected: &'static str,
    },

    /// Two things that do not belong together.
    #[error("{what}: found {found}, expected {expected}")]
    Mismatch {
        /// Of what.
        what: &'static str,
        /// The number found.
        found: usize,
        /// The number expected.
        expected: usize,
    },
}
