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
    #[cfg(feature = "linfa")]
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

    /// A store without an embedding.
    #[error("there is no embedding: nothing can be clustered")]
    NoEmbeddings,

    /// Embeddings with NaN or infinity.
    #[error("found a number that is not finite in {} embeddings: {}", .utterances.len(), first_names(.utterances))]
    NotFiniteEmbeddings {
        /// The utterances, by name.
        utterances: Vec<String>,
    },

    /// A store of zero embeddings.
    #[error("all {} embeddings are zero and have no direction: {}", .utterances.len(), first_names(.utterances))]
    AllZero {
        /// The utterances, by name.
        utterances: Vec<String>,
    },

    /// Recordings of one group whose embeddings sum to zero.
    #[error("the embeddings of group {group} sum to zero, and their mean has no direction")]
    ZeroGroup {
        /// The group.
        group: String,
    },

    /// Assignments that do not fit together.
    #[error("the assignment of {utterance}: found {found}, expected {expected}")]
    Assignment {
        /// The utterance.
        utterance: String,
        /// What is there.
        found: String,
        /// What has to be there.
        expected: &'static str,
    },

    /// A number of clusters that these points cannot have.
    #[error("{clusters} clusters of {points} points: expected from 1 to the number of points")]
    Clusters {
        /// How many clusters are wanted.
        clusters: usize,
        /// How many points there are.
        points: usize,
    },

    /// An option out of its range.
    #[error(transparent)]
    OutOfRange(#[from] ffsvc_ranges::OutOfRange),

    /// More points than a hierarchical clustering has room for.
    #[error(
        "found {points} points, expected at most {most} for a tree: cluster in two stages, K-means first"
    )]
    TooManyForTree {
        /// How many there are.
        points: usize,
        /// How many are possible.
        most: usize,
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

/// The first three of some names, and how many there are besides.
fn first_names(names: &[String]) -> String {
    let first = names.iter().take(3).map(String::as_str).collect::<Vec<_>>().join(", ");
    match names.len() {
        0..=3 => first,
        count => format!("{first} and {} more", count - 3),
    }
}
