//! Trees of the corpora's real file names, prepared. No audio is opened, so the files need no content.

use std::fs;
use std::path::{Path, PathBuf};

use ffsvc_corpora::{
    CnCelebEval, CnCelebTrain, Ffsvc2020, Ffsvc2022Dev, Ffsvc2022Eval, LibriSpeech, Lists, Output, Prepared,
    Result, Voices, VoxCeleb, VoxCelebEdition, prepare_musan, prepare_rirs_noises,
};
use ffsvc_kaldi_io::{DataDir, TrialColumns, Trials, ValidateOptions};
use tempfile::TempDir;

struct Tree(TempDir);

impl Tree {
    fn new(files: &[&str]) -> Self {
        let tree = Self(tempfile::tempdir().unwrap());
        files.iter().for_each(|file| tree.write(file, "RIFF"));
        tree
    }

    fn at(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    fn write(&self, name: &str, content: &str) {
        let path = self.at(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, content).unwrap();
    }

    fn read(&self, name: &str) -> String {
        fs::read_to_string(self.at(name)).unwrap().replace(self.0.path().to_str().unwrap(), "")
    }

    /// The data directory `out`, which must be faultless.
    fn out(&self) -> DataDir {
        let report = DataDir::validate(self.at("out"), ValidateOptions::default()).unwrap();
        assert!(report.is_ok(), "{}", report.display(9));
        DataDir::open(self.at("out")).unwrap()
    }

    fn output(&self) -> Output {
        Output::new(self.at("out"))
    }

    fn voxceleb(&self, edition: VoxCelebEdition, lists: &[&str], allow_missing: bool) -> Result<Prepared> {
        let trials: Vec<PathBuf> = lists.iter().map(|list| self.at(list)).collect();
        let corpus = VoxCeleb { edition, sources: &[self.at("vox")], trials: &trials, allow_missing };
        corpus.prepare(&self.output())
    }
}

const VOX1: [&str; 4] = [
    "vox/dev/wav/id10001/1zcIwhmdeo4/00001.wav",
    "vox/test/wav/id10270/x6uYqmx31kE/00001.wav",
    "vox/test/wav/id10270/8jEAjG6SegY/00008.wav",
    "vox/test/wav/id10300/ize_eiCFEg0/00003.wav",
];

#[test]
fn voxceleb1_with_its_lists() {
    let tree = Tree::new(&VOX1);
    tree.write("vox/dev/wav/A.J._Buckley/1zcIwhmdeo4/0000001.wav", "RIFF");
    tree.write("vox/vox1_meta.csv", "VoxCeleb1 ID\tVGGFace1 ID");
    let trials = "1 id10270/x6uYqmx31kE/00001.wav id10270/8jEAjG6SegY/00008.wav\n\
                  0 id10270/x6uYqmx31kE/00001.wav id10300/ize_eiCFEg0/00003.wav\n";
    tree.write("veri_test.txt", trials);
    tree.write("list_test_hard2.txt", trials);
    let prepared =
        tree.voxceleb(VoxCelebEdition::One, &["veri_test.txt", "list_test_hard2.txt"], false).unwrap();
    let written: Vec<(String, usize)> = prepared
        .written
        .iter()
        .map(|written| (written.path.file_name().unwrap().to_str().unwrap().to_owned(), written.entries))
        .collect();
    let expected = [("out", 4), ("trials_o", 2), ("trials_h_cleaned", 2)];
    assert_eq!(written, expected.map(|(name, entries)| (name.to_owned(), entries)));
    assert_eq!((prepared.speakers, prepared.surplus.count), (Some(3), 1));
    assert!(prepared.surplus.first[0].contains("Buckley"));
    let remarks = prepared.remarks.join("\n");
    assert!(remarks.contains("test with 4874 of 40"), "{remarks}");
    assert!(
        remarks.contains("published with 37720") && remarks.contains("published with 550894"),
        "{remarks}"
    );
    let data = tree.out();
    assert_eq!(data.speakers(), ["id10001", "id10270", "id10300"]);
    let trials = Trials::read(tree.at("out/trials_o"), TrialColumns::LabelFirst).unwrap();
    assert_eq!(trials.counts(), Some((1, 1)));
    assert_eq!(trials.resolve(|name| data.position(name)).missing().count(), 0);
}

#[test]
fn voxceleb2_coded_or_converted() {
    let tree = Tree::new(&[
        "vox/dev/aac/id00012/21Uxsk56VDQ/00001.m4a",
        "vox/dev/aac/id00012/21Uxsk56VDQ/00002.m4a",
        "vox/wav/id00012/21Uxsk56VDQ/00002.wav",
        VOX1[0],
    ]);
    let prepared = tree.voxceleb(VoxCelebEdition::Two, &[], false).unwrap();
    assert_eq!(prepared.surplus.count, 1, "VoxCeleb1's");
    assert_eq!(
        tree.read("out/wav.scp"),
        "id00012-21Uxsk56VDQ-00001 /vox/dev/aac/id00012/21Uxsk56VDQ/00001.m4a\n\
         id00012-21Uxsk56VDQ-00002 /vox/wav/id00012/21Uxsk56VDQ/00002.wav\n"
    );
}

#[test]
fn what_is_missing_or_twice_stops_the_preparation_before_anything_is_written() {
    let tree = Tree::new(&VOX1);
    let gone = "1 id10270/x6uYqmx31kE/00001.wav id10270/gone_eiCFEg/00001.wav\n\
                1 id10270/x6uYqmx31kE/00001.wav id10270/8jEAjG6SegY/00008.wav\n";
    tree.write("mine.txt", gone);
    tree.write("other.txt", "1 a.wav b.wav\n");
    let error = |list| tree.voxceleb(VoxCelebEdition::One, &[list], false).unwrap_err().to_string();
    let message = error("mine.txt");
    for part in ["mine.txt names 3 recordings", "1 (id10270-gone_eiCFEg-00001)", "without them"] {
        assert!(message.contains(part), "{message}");
    }
    assert!(error("other.txt").contains("found \"a.wav\", expected names such as"));
    let none = tree.voxceleb(VoxCelebEdition::Two, &[], false).unwrap_err().to_string();
    assert!(none.contains("no file of VoxCeleb2") && none.contains("other sound files: 4"), "{none}");
    assert!(!tree.at("out").exists());

    let prepared = tree.voxceleb(VoxCelebEdition::One, &["mine.txt"], true).unwrap();
    assert_eq!((prepared.missing.count, prepared.dropped_trials), (1, 1));
    assert_eq!(tree.read("out/trials_mine"), "1 id10270-x6uYqmx31kE-00001 id10270-8jEAjG6SegY-00008\n");
    let again = tree.voxceleb(VoxCelebEdition::One, &[], false).unwrap_err().to_string();
    assert!(again.contains("overwritten"), "{again}");

    let twice = Tree::new(&[VOX1[0], "vox/copy/id10001/1zcIwhmdeo4/00001.wav"]);
    let message = twice.voxceleb(VoxCelebEdition::One, &[], false).unwrap_err().to_string();
    assert!(message.contains("id10001-1zcIwhmdeo4-00001 is there twice"), "{message}");
}

#[test]
fn ffsvc2020_arrays_telephones_and_the_close_microphone() {
    let tree = Tree::new(&[
        "wav/dev/T0549/549PCM5M/T0549_549PCM5M_recorded6_0305_normal.wav",
        "wav/dev/T0549/549I0.25M/T0549_549I0.25M_1_0305_normal.wav",
        "wav/dev/T0549/549MIC/T0549_549MIC_Tr2_0305_normal.wav",
        "wav/dev/S0138/138PAD-1.5M/S0138_138PAD-1.5M_1_0017_slow.wav",
        "wav/dev/SPEAKERINFO.wav",
    ]);
    let sources = [tree.at("wav")];
    let prepared = Ffsvc2020 { sources: &sources, unlabelled: false }.prepare(&tree.output()).unwrap();
    assert_eq!((prepared.speakers, prepared.surplus.count), (Some(2), 1));
    assert_eq!(tree.out().speakers(), ["0138", "0549"]);
    assert_eq!(
        tree.read("out/utt2device"),
        "S0138_138PAD-1.5M_1_0017_slow PAD\n\
         T0549_549I0.25M_1_0305_normal I\n\
         T0549_549MIC_Tr2_0305_normal MIC\n\
         T0549_549PCM5M_recorded6_0305_normal PCM\n"
    );
    assert_eq!(
        tree.read("out/utt2distance"),
        "S0138_138PAD-1.5M_1_0017_slow -1.5M\n\
         T0549_549I0.25M_1_0305_normal 0.25M\n\
         T0549_549PCM5M_recorded6_0305_normal 5M\n"
    );
    let groups = tree.read("out/utt2group");
    assert_eq!(groups.matches(" 3-0549-0305-normal\n").count(), 3, "{groups}");
    assert!(groups.contains("S0138_138PAD-1.5M_1_0017_slow 2-0138-0017-slow\n"));

    let output = tree.output().overwrite(true);
    let prepared = Ffsvc2020 { sources: &sources, unlabelled: true }.prepare(&output).unwrap();
    assert_eq!(prepared.speakers, None);
    assert!(!tree.out().has_speakers() && !tree.at("out/spk2utt").exists());
}

const META: &str = "Original_Name FFSVC2022_Name\n\
                    T0344_344I1M_1_0307_normal ffsvc22_dev_000000\n\
                    F0336_336I-1.5M_1_0009_fast ffsvc22_dev_000001\n\
                    T0344_344I0.25M_1_0308_normal ffsvc22_dev_000002\n";

fn dev(tree: &Tree, allow_missing: bool) -> Result<Prepared> {
    let (meta, trials) = (tree.at("dev_meta_list"), tree.at("trials_dev_keys"));
    let corpus = Ffsvc2022Dev { sources: &[tree.at("dev")], meta: &meta, trials: &trials, allow_missing };
    corpus.prepare(&tree.output())
}

#[test]
fn ffsvc2022_dev_by_its_lists() {
    let tree = Tree::new(&[
        "dev/ffsvc22_dev_000000.wav",
        "dev/ffsvc22_dev_000001.wav",
        "dev/ffsvc22_dev_000009.wav",
    ]);
    tree.write("dev_meta_list", META);
    tree.write(
        "trials_dev_keys",
        "1 ffsvc22_dev_000002.wav ffsvc22_dev_000000.wav\n0 ffsvc22_dev_000000.wav ffsvc22_dev_000001.wav\n",
    );
    let message = dev(&tree, false).unwrap_err().to_string();
    assert!(
        message.contains("dev_meta_list names 3 recordings, of which 1 (ffsvc22_dev_000002)"),
        "{message}"
    );
    assert!(!tree.at("out").exists());
    let partial = dev(&tree, true).unwrap();
    assert_eq!((partial.missing.count, partial.dropped_trials, partial.surplus.count), (1, 1, 1));

    fs::remove_dir_all(tree.at("out")).unwrap();
    tree.write("dev/ffsvc22_dev_000002.wav", "RIFF");
    let prepared = dev(&tree, false).unwrap();
    assert_eq!((prepared.written[0].entries, prepared.written[1].entries), (3, 2));
    assert_eq!(tree.out().speakers(), ["0336", "0344"]);
    assert_eq!(
        tree.read("out/trials"),
        "1 ffsvc22_dev_000002 ffsvc22_dev_000000\n0 ffsvc22_dev_000000 ffsvc22_dev_000001\n"
    );
    assert_eq!(
        tree.read("out/utt2visit"),
        "ffsvc22_dev_000000 3\nffsvc22_dev_000001 1\nffsvc22_dev_000002 3\n"
    );

    tree.write("trials_dev_keys", "1 ffsvc22_dev_000000.wav ffsvc22_dev_000009.wav\n");
    let message = dev(&tree, false).unwrap_err().to_string();
    assert!(message.contains("overwritten"), "{message}");
    fs::remove_dir_all(tree.at("out")).unwrap();
    let message = dev(&tree, false).unwrap_err().to_string();
    assert!(message.contains("found \"ffsvc22_dev_000009\", which"), "{message}");
}

#[test]
fn ffsvc2022_eval_keeps_the_order_of_trials_and_needs_all_of_them() {
    let tree = Tree::new(&["eval/ffsvc22_eval_000001.wav", "eval/ffsvc22_eval_000000.wav"]);
    let list = tree.at("trials_eval");
    let eval = || Ffsvc2022Eval { sources: &[tree.at("eval")], trials: &list }.prepare(&tree.output());
    tree.write("trials_eval", "ffsvc22_eval_000001.wav ffsvc22_eval_000002.wav\n");
    assert!(eval().unwrap_err().to_string().contains("1 (ffsvc22_eval_000002)"));
    tree.write(
        "trials_eval",
        "ffsvc22_eval_000001.wav ffsvc22_eval_000000.wav\nffsvc22_eval_000000.wav ffsvc22_eval_000001.wav\n",
    );
    eval().unwrap();
    assert_eq!(
        tree.read("out/trials"),
        "ffsvc22_eval_000001 ffsvc22_eval_000000\nffsvc22_eval_000000 ffsvc22_eval_000001\n"
    );
    assert!(!tree.out().has_speakers());
}

#[test]
fn musan_by_kind() {
    let tree = Tree::new(&[
        "musan/noise/free-sound/noise-free-sound-0000.wav",
        "musan/noise/sound-bible/noise-sound-bible-0000.wav",
        "musan/music/hd-classical/music-hd-0022.wav",
        "musan/music/hd-classical/README",
        "musan/music/fma/copy of music-fma-0000.wav",
    ]);
    let sources = [tree.at("musan")];
    let prepare = || prepare_musan(&sources, &Lists { folder: &tree.at("lists"), overwrite: false });
    let message = prepare().unwrap_err().to_string();
    assert!(message.contains("found 2 noise, 1 music, 0 speech and 1 ("), "{message}");
    tree.write("musan/speech/librivox/speech-librivox-0000.wav", "RIFF");
    let prepared = prepare().unwrap();
    assert_eq!(prepared.written.iter().map(|list| list.entries).collect::<Vec<_>>(), [2, 1, 1]);
    assert!(prepared.remarks.contains(&"2 files of noise, published with 930".to_owned()));
    assert_eq!(
        tree.read("lists/musan_noise"),
        "/musan/noise/free-sound/noise-free-sound-0000.wav\n/musan/noise/sound-bible/noise-sound-bible-0000.wav\n"
    );
    assert_eq!(ffsvc_kaldi_io::read_wav_list(tree.at("lists/musan_music")).unwrap().len(), 1);
    assert!(prepare().unwrap_err().to_string().contains("musan_noise exists already"));
}

#[test]
fn rirs_simulated_and_real() {
    let tree = Tree::new(&[
        "RIRS_NOISES/simulated_rirs/smallroom/Room001/Room001-00001.wav",
        "RIRS_NOISES/simulated_rirs/mediumroom/Room129/Room129-00098.wav",
        "RIRS_NOISES/simulated_rirs/largeroom/Room200/Room200-00100.wav",
        "RIRS_NOISES/simulated_rirs/largeroom/Room200/notes.wav",
        "RIRS_NOISES/pointsource_noises/noise-free-sound-0000.wav",
        "RIRS_NOISES/real_rirs_isotropic_noises/RWCP_type1_rir_cirline_jr1_imp010.wav",
        "RIRS_NOISES/real_rirs_isotropic_noises/RVB2014_type1_noise_largeroom1_1.wav",
    ]);
    let prepare = |allow_missing| {
        let lists = Lists { folder: &tree.at("lists"), overwrite: false };
        prepare_rirs_noises(Path::new(&tree.at("RIRS_NOISES")), allow_missing, &lists)
    };
    let list = "RIRS_NOISES/real_rirs_isotropic_noises/rir_list";
    assert!(prepare(false).unwrap_err().to_string().contains("rir_list: cannot read"));
    tree.write(list, "--rir-id 1 --room-id a b.wav\n");
    assert!(prepare(false).unwrap_err().to_string().contains("lines that end in RIRS_NOISES/"));
    let line = "--rir-id 00001 --room-id RWCP_type1_cirline_jr1 RIRS_NOISES/real_rirs_isotropic_noises/";
    let there = "RWCP_type1_rir_cirline_jr1_imp010.wav";
    tree.write(list, &format!("{line}{there}\n{line}gone.wav\n"));
    assert!(prepare(false).unwrap_err().to_string().contains("1 (gone.wav)"));
    assert!(!tree.at("lists").exists());
    let prepared = prepare(true).unwrap();
    assert_eq!((prepared.missing.count, prepared.surplus.count), (1, 1));
    assert_eq!(prepared.written.iter().map(|list| list.entries).collect::<Vec<_>>(), [2, 3, 1]);
    assert_eq!(
        tree.read("lists/rirs"),
        "/RIRS_NOISES/simulated_rirs/smallroom/Room001/Room001-00001.wav\n\
         /RIRS_NOISES/simulated_rirs/mediumroom/Room129/Room129-00098.wav\n"
    );
    assert_eq!(tree.read("lists/rirs_real"), format!("/RIRS_NOISES/real_rirs_isotropic_noises/{there}\n"));
}

/// The real lists, with a tree of the files that they name.
fn the_real_lists_of_ffsvc2022_and_vox1_o() {
    let lists = ffsvc_test_data::shared("lists");
    let tree = Tree::new(&[]);
    fs::copy(lists.join("ffsvc2022/dev_meta_list"), tree.at("dev_meta_list")).unwrap();
    fs::copy(lists.join("ffsvc2022/trials_dev_keys"), tree.at("trials_dev_keys")).unwrap();
    fs::create_dir(tree.at("dev")).unwrap();
    for number in 0..68_543 {
        fs::File::create(tree.at(&format!("dev/ffsvc22_dev_{number:06}.wav"))).unwrap();
    }
    let prepared = dev(&tree, false).unwrap();
    assert_eq!((prepared.written[0].entries, prepared.written[1].entries), (68_543, 72_000));
    // 30 people at three visits each. Whether a trial is a target follows from the names, whatever the visits.
    assert_eq!((prepared.speakers, prepared.surplus.count), (Some(30), 0));
    let data = tree.out();
    let trials = Trials::read(tree.at("out/trials"), TrialColumns::Auto).unwrap();
    let speaker: Vec<Option<usize>> = trials.names.iter().map(|name| data.speaker_index(name)).collect();
    for (&(enrol, test), &is_target) in trials.pairs.iter().zip(trials.labels.as_ref().unwrap()) {
        assert_eq!(speaker[enrol as usize] == speaker[test as usize], is_target);
    }

    // The baseline's Vox1-O has the utterances' names in our form; its wav.scp has the files' names.
    let names = fs::read_to_string(lists.join("vox1-o/wav.scp")).unwrap();
    let ours: Vec<&str> = names.lines().filter_map(|line| line.split(' ').next()).collect();
    for line in names.lines() {
        let path = line.split_once("/VoxCeleb1/").unwrap().1;
        let file = tree.at("vox").join(path);
        fs::create_dir_all(file.parent().unwrap()).unwrap();
        fs::File::create(file).unwrap();
    }
    let published = fs::read_to_string(lists.join("vox1-o/trials")).unwrap();
    let slashes = |name: &str| format!("{}/{}/{}.wav", &name[..7], &name[8..19], &name[20..]);
    let published: String = published
        .lines()
        .map(|line| {
            let words: Vec<&str> = line.split(' ').collect();
            format!("{} {} {}\n", words[0], slashes(words[1]), slashes(words[2]))
        })
        .collect();
    tree.write("veri_test2.txt", &published);
    fs::remove_dir_all(tree.at("out")).unwrap();
    let prepared = tree.voxceleb(VoxCelebEdition::One, &["veri_test2.txt"], false).unwrap();
    assert_eq!((prepared.written[0].entries, prepared.written[1].entries), (ours.len(), 37_611));
    assert!(!prepared.remarks.iter().any(|remark| remark.contains("trials")), "{:?}", prepared.remarks);
    let theirs = fs::read_to_string(lists.join("vox1-o/trials")).unwrap();
    assert_eq!(tree.read("out/trials_o_cleaned"), theirs);
}

ffsvc_test_data::shared_tests!(the_real_lists_of_ffsvc2022_and_vox1_o);

#[test]
fn cnceleb_trains_on_the_speakers_of_its_lists() {
    let tree = Tree::new(&[
        "one/data/id00010/singing-01-001.flac",
        "one/data/id00010/live_broadcast-02-003.flac",
        "one/data/id00800/singing-01-001.flac",
        "one/eval/enroll/id00800-enroll.flac",
        "two/data/id10001/drama-02-003.flac",
        "two/data/id10001/notes.wav",
    ]);
    tree.write("one/dev/dev.lst", "id00010\n");
    let train = |sources: &[PathBuf]| CnCelebTrain { sources }.prepare(&tree.output());
    let error = train(&[tree.at("one"), tree.at("two")]).unwrap_err().to_string();
    assert!(error.contains("two: found neither dev/dev.lst nor spk.lst"), "{error}");
    tree.write("two/spk.lst", "id10001\n");
    let prepared = train(&[tree.at("one"), tree.at("two")]).unwrap();
    // The speaker of the evaluation, and a file of another name.
    assert_eq!((prepared.speakers, prepared.surplus.count), (Some(2), 2));
    assert_eq!(tree.out().speakers(), ["id00010", "id10001"]);
    assert_eq!(
        tree.read("out/wav.scp"),
        "id00010-live_broadcast-02-003 /one/data/id00010/live_broadcast-02-003.flac\n\
         id00010-singing-01-001 /one/data/id00010/singing-01-001.flac\n\
         id10001-drama-02-003 /two/data/id10001/drama-02-003.flac\n"
    );
    assert!(tree.read("out/utt2genre").starts_with("id00010-live_broadcast-02-003 live_broadcast\n"));
    assert!(tree.read("out/utt2session").ends_with("id10001-drama-02-003 drama-02\n"));
}

#[test]
fn cnceleb_is_tested_with_its_enrolments() {
    let tree = Tree::new(&[
        "cn/eval/enroll/id00800-enroll.flac",
        "cn/eval/enroll/id00801-enroll.flac",
        "cn/eval/test/id00800-singing-01-005.flac",
        "cn/data/id00800/singing-01-001.flac",
    ]);
    let list = "id00800-enroll test/id00800-singing-01-005.wav 1\nid00801-enroll test/id00800-singing-01-005.wav 0\n";
    tree.write("cn/eval/lists/trials.lst", list);
    let eval = |allow_missing| CnCelebEval { source: &tree.at("cn"), allow_missing }.prepare(&tree.output());
    let prepared = eval(false).unwrap();
    assert_eq!((prepared.speakers, prepared.written.len()), (Some(2), 2));
    let data = tree.out();
    let trials = Trials::read(tree.at("out/trials"), TrialColumns::LabelFirst).unwrap();
    assert_eq!(trials.counts(), Some((1, 1)));
    assert_eq!(trials.resolve(|name| data.position(name)).missing().count(), 0);
    assert_eq!(tree.read("out/utt2genre"), "id00800-singing-01-005 singing\n");

    fs::remove_dir_all(tree.at("out")).unwrap();
    tree.write(
        "cn/eval/lists/trials.lst",
        &format!("{list}id00802-enroll test/id00800-singing-01-005.wav 0\n"),
    );
    let error = eval(false).unwrap_err().to_string();
    assert!(
        error.contains("trials.lst names 4 recordings") && error.contains("1 (id00802-enroll)"),
        "{error}"
    );
    assert!(!tree.at("out").exists());
    assert_eq!(eval(true).unwrap().dropped_trials, 1);
}

#[test]
fn librispeech_has_readers_and_chapters() {
    let tree = Tree::new(&[
        "LibriSpeech/train-clean-100/103/1240/103-1240-0000.flac",
        "LibriSpeech/dev-clean/84/121123/84-121123-0001.flac",
        "LibriSpeech/intro/intro.flac",
    ]);
    let sources = [
        tree.at("LibriSpeech/train-clean-100"),
        tree.at("LibriSpeech/dev-clean"),
        tree.at("LibriSpeech/intro"),
    ];
    let prepared = LibriSpeech { sources: &sources }.prepare(&tree.output()).unwrap();
    assert_eq!((prepared.speakers, prepared.surplus.count), (Some(2), 1));
    assert!(prepared.remarks[0].contains("SPEAKERS.TXT"));
    assert_eq!(tree.out().speakers(), ["103", "84"]);
    assert_eq!(tree.read("out/utt2chapter"), "103-1240-0000 1240\n84-121123-0001 121123\n");

    let lines = ";ID  |SEX| SUBSET           |MINUTES| NAME\n84   | F | dev-clean        |  8.02 | A | B\n103  | F | train-clean-100  | 25.03 | C\n14   | M | other | 1 | D\n";
    tree.write("LibriSpeech/SPEAKERS.TXT", lines);
    let again = || LibriSpeech { sources: &sources }.prepare(&tree.output().overwrite(true));
    again().unwrap();
    assert_eq!(tree.read("out/spk2gender"), "103 f\n84 f\n");
    tree.out();
    tree.write("LibriSpeech/SPEAKERS.TXT", "84 F\n");
    let error = again().unwrap_err().to_string();
    assert!(error.contains("found \"84 F\" on line 1, expected `READER | F or M | ...`"), "{error}");
}

#[test]
fn voices_of_rooms_and_microphones() {
    let tree = Tree::new(&[
        "v/distant-16k/speech/train/rm1/musi/sp0032/Lab41-SRI-VOiCES-rm1-musi-sp0032-ch004137-sg0005-mc05-stu-far-dg080.wav",
        "v/source-16k/train/sp0032/Lab41-SRI-VOiCES-src-sp0032-ch004137-sg0005.wav",
        "v/distant-16k/room-response/rm1/impulse/Lab41-SRI-VOiCES-rm1-impulse-mc01-stu-clo.wav",
    ]);
    let sources = [tree.at("v")];
    let prepared = Voices { sources: &sources }.prepare(&tree.output()).unwrap();
    assert_eq!((prepared.speakers, prepared.surplus.count), (Some(1), 1));
    tree.out();
    let (far, source) = ("rm1-musi-sp0032-ch004137-sg0005-mc05-stu-far-dg080", "src-sp0032-ch004137-sg0005");
    assert_eq!(tree.read("out/utt2spk"), format!("{far} sp0032\n{source} sp0032\n"));
    assert_eq!(tree.read("out/utt2room"), format!("{far} rm1\n{source} src\n"));
    for (table, value) in [("noise", "musi"), ("mic", "mc05"), ("device", "stu"), ("location", "far")] {
        assert_eq!(tree.read(&format!("out/utt2{table}")), format!("{far} {value}\n"));
    }
    let group = "sp0032-ch004137-sg0005";
    assert_eq!(tree.read("out/utt2group"), format!("{far} {group}\n{source} {group}\n"));
    let error =
        Voices { sources: &[tree.at("v/distant-16k/room-response")] }.prepare(&Output::new(tree.at("no")));
    assert!(error.unwrap_err().to_string().contains("no file of VOiCES"));
}
