//! Kaldi data directories, and each of their tables. The parts of an input between NUL bytes are the files, in the order of
//! `FILES`.
#![no_main]

use ffsvc_fuzz::with_folder;
use ffsvc_kaldi_io::{
    DataDir, OpenOptions, Segment, Table, ValidateOptions, WavSource, read_name_list, read_wav_list,
    spk2utt_to_utt2spk, utt2spk_to_spk2utt,
};

const FILES: [&str; 6] = ["wav.scp", "utt2spk", "spk2utt", "utt2dur", "spk2gender", "segments"];

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    with_folder(|folder| {
        let mut parts = data.split(|&byte| byte == 0);
        for name in FILES {
            match parts.next() {
                Some(part) => drop(folder.write(name, part)),
                None => drop(std::fs::remove_file(folder.path().join(name))),
            }
        }
        let first = folder.path().join(FILES[0]);
        let _ = read_wav_list(&first);
        let _ = read_name_list(&first);
        if let Ok(table) = Table::read(&first) {
            for (position, (key, value)) in table.iter().enumerate() {
                assert_eq!(table.position(key), Some(position));
                table.line(position);
                WavSource::parse(value).on_disk();
                if let Some((recording, segment)) = Segment::parse(value) {
                    assert_eq!(Segment::parse(&segment.line_of(recording)), Some((recording, segment)));
                }
            }
            let _ = utt2spk_to_spk2utt(&table).map(|spk2utt| spk2utt.len());
            let _ = spk2utt_to_utt2spk(&table).map(|utt2spk| utt2spk.len());
        }
        let report = DataDir::validate(folder.path(), ValidateOptions::default());
        let _ = report.map(|report| report.display(3).to_string());
        let mut options = OpenOptions::default();
        options.allow_pipes = true;
        if let Ok(dir) = DataDir::open_with(folder.path(), options) {
            for (position, utterance) in dir.utterances().enumerate() {
                assert_eq!(dir.position(utterance.id), Some(position));
                assert_eq!(dir.speaker_index_at(position).is_some(), utterance.speaker.is_some());
            }
        }
    });
});
