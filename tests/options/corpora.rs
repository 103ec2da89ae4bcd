//! Trees of published corpora: their file names and lists. No audio is opened, so the files need no content.

use std::fs;
use std::path::Path;

const RECORDINGS: &[&str] = &[
    "vox1/dev/wav/id10001/1zcIwhmdeo4/00001.wav",
    "vox1/test/wav/id10270/8jEAjG6SegY/00008.wav",
    "vox1/test/wav/id10270/x6uYqmx31kE/00001.wav",
    "vox2/dev/aac/id00012/21Uxsk56VDQ/00001.m4a",
    "ffsvc2020/dev/T0549/549I0.25M/T0549_549I0.25M_1_0305_normal.wav",
    "ffsvc2020/dev/T0549/549PCM5M/T0549_549PCM5M_recorded6_0305_normal.wav",
    "ffsvc2022-dev/ffsvc22_dev_000000.wav",
    "ffsvc2022-dev/ffsvc22_dev_000001.wav",
    "ffsvc2022-eval/ffsvc22_eval_000000.wav",
    "ffsvc2022-eval/ffsvc22_eval_000001.wav",
    "CN-Celeb_flac/data/id00010/singing-01-001.flac",
    "CN-Celeb_flac/eval/enroll/id00800-enroll.flac",
    "CN-Celeb_flac/eval/test/id00800-singing-01-005.flac",
    "CN-Celeb2_flac/data/id10001/drama-02-003.flac",
    "LibriSpeech/train-clean-100/103/1240/103-1240-0000.flac",
    "VOiCES/distant-16k/speech/Lab41-SRI-VOiCES-rm1-musi-sp0032-ch004137-sg0005-mc05-stu-far-dg080.wav",
    "musan/music/hd-classical/music-hd-0022.wav",
    "musan/noise/free-sound/noise-free-sound-0000.wav",
    "musan/speech/librivox/speech-librivox-0000.wav",
    "RIRS_NOISES/real_rirs_isotropic_noises/RWCP_type1_rir_cirline_jr1_imp010.wav",
    "RIRS_NOISES/simulated_rirs/mediumroom/Room129/Room129-00098.wav",
    "RIRS_NOISES/simulated_rirs/smallroom/Room001/Room001-00001.wav",
    "tree/ann/monday/phone_1.wav",
    "tree/bob/monday/phone_1.wav",
];

const LISTS: &[(&str, &str)] = &[
    ("veri_test2.txt", "1 id10270/x6uYqmx31kE/00001.wav id10270/8jEAjG6SegY/00008.wav\n"),
    (
        "dev_meta_list",
        "Original_Name FFSVC2022_Name\n\
         T0344_344I1M_1_0307_normal ffsvc22_dev_000000\n\
         F0336_336I-1.5M_1_0009_fast ffsvc22_dev_000001\n",
    ),
    ("CN-Celeb_flac/dev/dev.lst", "id00010\n"),
    ("CN-Celeb_flac/eval/lists/trials.lst", "id00800-enroll test/id00800-singing-01-005.wav 1\n"),
    ("CN-Celeb2_flac/spk.lst", "id10001\n"),
    ("LibriSpeech/SPEAKERS.TXT", "; id | sex | subset\n103 | F | train-clean-100 | 25.03 | a reader\n"),
    ("shard.list", "shard.tar\n"),
    ("trials_dev_keys", "0 ffsvc22_dev_000000.wav ffsvc22_dev_000001.wav\n"),
    ("trials_eval", "ffsvc22_eval_000000.wav ffsvc22_eval_000001.wav\n"),
    (
        "RIRS_NOISES/real_rirs_isotropic_noises/rir_list",
        "--rir-id 00001 --room-id RWCP_type1_cirline_jr1 \
         RIRS_NOISES/real_rirs_isotropic_noises/RWCP_type1_rir_cirline_jr1_imp010.wav\n",
    ),
];

/// Writes all of them below `folder`.
pub(crate) fn write(folder: &Path) {
    for (name, text) in RECORDINGS.iter().map(|name| (*name, "RIFF")).chain(LISTS.iter().copied()) {
        let path = folder.join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }
    let shard = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/shards/shards_000000000.tar");
    fs::copy(shard, folder.join("shard.tar")).unwrap();
}
