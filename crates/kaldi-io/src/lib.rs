#![doc = include_str!("../README.md")]

pub mod archive;
mod data_dir;
mod error;
mod list_file;
mod matching;
mod name_index;
mod name_list;
mod names;
mod problem;
mod table;
mod text;
mod trials;
mod wav;

pub use archive::{ArkForm, ArkReader, ArkWriter, Matrix, ScpReader, Value};
pub use data_dir::{
    CombineOptions, Combined, DataDir, Dropped, FixOptions, FixReport, OpenOptions, Output, Part, Pick,
    Report, Segment, Selection, Source, SplitBy, Utterance, ValidateOptions, spk2utt_to_utt2spk,
    utt2spk_to_spk2utt,
};
pub use error::{Cause, Error, Result};
pub use list_file::ListFile;
pub use matching::{Match, Resolved, find_name, find_names};
pub use name_index::Names;
pub use name_list::NameList;
pub use names::read_name_list;
pub use problem::{Problem, ProblemKind};
pub use table::{Table, write_table};
pub use trials::{
    Condition, MadeTrials, Nontargets, Relation, Trial, TrialBlock, TrialColumns, TrialFindings, TrialLayout,
    TrialOptions, TrialReader, Trials,
};
pub use wav::{AudioSource, WavSource, read_wav_list};
