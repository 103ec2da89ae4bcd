#![doc = include_str!("../README.md")]

mod cnceleb;
mod error;
mod ffsvc2020;
mod ffsvc2022;
mod ffsvc_names;
mod files;
mod folders;
mod librispeech;
mod missing;
mod musan;
mod path_pattern;
mod prepared;
mod rirs_noises;
mod shards;
mod sound_lists;
mod voices;
mod voxceleb;

pub use cnceleb::{CnCelebEval, CnCelebTrain};
pub use error::{Error, Result};
pub use ffsvc_kaldi_io::Output;
pub use ffsvc_names::{FfsvcMeta, FfsvcName};
pub use ffsvc2020::Ffsvc2020;
pub use ffsvc2022::{Ffsvc2022Dev, Ffsvc2022Eval};
pub use folders::{Folders, Layout};
pub use librispeech::LibriSpeech;
pub use musan::prepare_musan;
pub use path_pattern::PathPattern;
pub use prepared::{Prepared, Tally, Written};
pub use rirs_noises::prepare_rirs_noises;
pub use shards::Shards;
pub use sound_lists::Lists;
pub use voices::{Voices, VoicesName};
pub use voxceleb::{VoxCeleb, VoxCelebEdition};
