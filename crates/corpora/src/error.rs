use std::path::PathBuf;

use crate::Tally;

/// [`std::result::Result`] with this crate's [`Error`].
pub type Result<T> = std::result::Result<T, Error>;

/// Why a corpus could not be prepared. Nothing has been written then, unless it was writing that failed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A folder cannot be walked.
    #[error("cannot list {}", path.display())]
    List {
        /// The folder, or the entry in it.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// A file's path cannot stand in a list.
    #[error(
        "the path {} cannot stand in a list: expected UTF-8 that has no line break and no white space around it, and \
         does not end in `|`",
        path.display()
    )]
    Path {
        /// The path.
        path: PathBuf,
    },
    /// No file of the corpus is there.
    #[error(
        "no file of {corpus} in {folders} (expected names such as {example}); {found}. \
         Is it another corpus, or another folder of it?"
    )]
    NothingFound {
        /// The corpus.
        corpus: &'static str,
        /// Where it was looked for.
        folders: String,
        /// A name of the corpus.
        example: &'static str,
        /// What was there instead.
        found: String,
    },
    /// No recording of a tree has the layout that was asked for.
    #[error(
        "no recording in {folder} whose path is {layout}; {found}. Name the level of the speaker's folder, or a pattern \
         of the paths"
    )]
    NoRecording {
        /// The tree.
        folder: String,
        /// The layout in words.
        layout: String,
        /// What was there instead.
        found: String,
    },
    /// One recording is there twice.
    #[error("{utterance} is there twice: {} and {}", first.display(), second.display())]
    Twice {
        /// Its name.
        utterance: String,
        /// One file.
        first: PathBuf,
        /// The other.
        second: PathBuf,
    },
    /// Files that a list of the corpus names are not there.
    #[error(
        "{list} names {listed} recordings, of which {missing} are not in {folders}; the others can be \
         prepared without them"
    )]
    Missing {
        /// The list.
        list: String,
        /// How many it names.
        listed: usize,
        /// Those that are not there.
        missing: Tally,
        /// Where they were looked for.
        folders: String,
    },
    /// A list of the corpus says what it should not.
    #[error("{}: found {found}, expected {expected}", list.display())]
    Content {
        /// The list.
        list: PathBuf,
        /// What it says.
        found: String,
        /// What it should say.
        expected: &'static str,
    },
    /// A list that was to be written exists.
    #[error("{} exists already; name another folder, or let it be overwritten", path.display())]
    Exists {
        /// The list.
        path: PathBuf,
    },
    /// A list cannot be written.
    #[error("cannot write {}", path.display())]
    Write {
        /// The list.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// A table or a list of trials cannot be read or written.
    #[error(transparent)]
    Tables(#[from] ffsvc_kaldi_io::Error),
}
