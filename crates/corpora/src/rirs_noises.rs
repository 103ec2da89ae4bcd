//! RIRS_NOISES: room impulse responses, simulated and measured.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use crate::files::{in_words, is_number, sound_files};
use crate::missing::Missing;
use crate::sound_lists::Lists;
use crate::{Error, Prepared, Result, Tally};

/// The sizes of simulated rooms, each published with 20,000 responses.
const SIZES: [&str; 3] = ["smallroom", "mediumroom", "largeroom"];
const RESPONSES_A_SIZE: usize = 20_000;

/// Writes the lists
///
/// - `rirs`: simulated small and medium rooms, as the FFSVC2022 baseline and Kaldi's recipe use them;
/// - `rirs_simulated`: all simulated rooms;
/// - `rirs_real`: the measured responses.
///
/// `source` is the folder `RIRS_NOISES`. Simulated responses are known by the last four parts of their paths,
/// `simulated_rirs/mediumroom/Room129/Room129-00098.wav`. `real_rirs_isotropic_noises` has responses and noises. Its
/// list `rir_list` names the responses, in lines that end in `RIRS_NOISES/real_rirs_isotropic_noises/NAME.wav`.
///
/// # Errors
/// - There is no simulated response.
/// - `rir_list` cannot be read, or names missing files and `allow_missing` is false.
/// - A list exists and may not be replaced.
/// - A file cannot be written.
pub fn prepare_rirs_noises(source: &Path, allow_missing: bool, lists: &Lists<'_>) -> Result<Prepared> {
    let folders = [source.to_path_buf()];
    let mut prepared = Prepared::default();
    let mut simulated: [Vec<PathBuf>; SIZES.len()] = Default::default();
    for file in sound_files(&folders) {
        let file = file?;
        if let Some(size) = size_of(&file) {
            simulated[size].push(file);
        } else if file.strip_prefix(source).is_ok_and(|inner| inner.starts_with("simulated_rirs")) {
            prepared.surplus.add(file.display());
        }
    }
    let [small, medium, large] = simulated;
    if small.is_empty() || medium.is_empty() {
        return Err(Error::NothingFound {
            corpus: "RIRS_NOISES' simulated small and medium rooms",
            folders: in_words(&folders),
            example: "simulated_rirs/mediumroom/Room129/Room129-00098.wav",
            found: format!("found {} small, {} medium and {} large", small.len(), medium.len(), large.len()),
        });
    }
    for (size, files) in SIZES.iter().zip([&small, &medium, &large]) {
        if files.len() != RESPONSES_A_SIZE {
            let message = format!("{} responses of {size}, published with {RESPONSES_A_SIZE}", files.len());
            prepared.remarks.push(message);
        }
    }
    let real = real_responses(source, &folders, allow_missing, &mut prepared)?;
    let small_and_medium = [small, medium].concat();
    let simulated = [small_and_medium.as_slice(), &large].concat();
    lists.write(
        &[("rirs", small_and_medium), ("rirs_simulated", simulated), ("rirs_real", real)],
        &mut prepared,
    )?;
    Ok(prepared)
}

/// `simulated_rirs/mediumroom/Room129/Room129-00098.wav`
fn size_of(path: &Path) -> Option<usize> {
    let mut parts = path.iter().rev().map(|part| part.to_str());
    let (file, room, size, set) = (parts.next()??, parts.next()??, parts.next()??, parts.next()??);
    let number = file.strip_suffix(".wav")?.strip_prefix(room)?.strip_prefix('-')?;
    let is_room = room.strip_prefix("Room").is_some_and(|number| is_number(number, 3));
    let fits = is_room && is_number(number, 5) && set == "simulated_rirs";
    fits.then(|| SIZES.iter().position(|known| *known == size)).flatten()
}

/// The files of `rir_list`.
fn real_responses(
    source: &Path,
    folders: &[PathBuf],
    allow_missing: bool,
    prepared: &mut Prepared,
) -> Result<Vec<PathBuf>> {
    let folder = source.join("real_rirs_isotropic_noises");
    let list = folder.join("rir_list");
    let text =
        std::fs::read_to_string(&list).map_err(|error| ffsvc_kaldi_io::Error::io(&list, "read", error))?;
    let mut files = BTreeSet::new();
    let mut missing = Tally::default();
    for line in text.lines().filter(|line| !line.trim_ascii().is_empty()) {
        // --rir-id 00001 --room-id room RIRS_NOISES/real_rirs_isotropic_noises/NAME.wav
        let path = line.split_ascii_whitespace().next_back().unwrap_or_default();
        let Some(name) =
            path.strip_prefix("RIRS_NOISES/real_rirs_isotropic_noises/").filter(|n| !n.contains('/'))
        else {
            return Err(Error::Content {
                list,
                found: format!("the line {line:?}"),
                expected: "lines that end in RIRS_NOISES/real_rirs_isotropic_noises/NAME.wav",
            });
        };
        let file = folder.join(name);
        if file.is_file() {
            files.insert(file);
        } else {
            missing.add(name);
        }
    }
    let listed = files.len() + missing.count;
    Missing { list: &list, folders, allowed: allow_missing }.note(listed, missing, prepared)?;
    Ok(files.into_iter().collect())
}
