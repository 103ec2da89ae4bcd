//! Means of domains, and speakers enrolled with several utterances.

use ffsvc_embeddings::Embeddings;
use ffsvc_kaldi_io::{Table, TrialColumns, TrialReader, Trials};
use ffsvc_scoring::backend::{
    Backend, Plda, PldaLengthNorm, PldaOptions, TrainOptions, TrainingSet, Transform,
};
use ffsvc_scoring::{Centre, EnrolmentList, Error, Scorer, Side, StreamOptions, cosine, score_trials};

fn store(rows: &[(&str, [f32; 2])]) -> Embeddings {
    let mut embeddings = Embeddings::new(2);
    for (utterance, row) in rows {
        embeddings.push(*utterance, row).unwrap();
    }
    embeddings
}

fn table(text: &str) -> Table {
    Table::parse("table", text.as_bytes().to_vec()).unwrap()
}

#[test]
fn the_mean_of_an_utterances_domain_is_subtracted() {
    let in_domain = store(&[("i1", [1.0, 0.0]), ("i2", [3.0, 2.0]), ("p1", [10.0, 10.0])]);
    let domains = table("i1 phone\ni2 phone\np1 pad\na phone\nb pad\nc tv\n");
    let centre = Centre::by_domain(&in_domain, domains).unwrap();
    assert_eq!(centre.count(), 2);
    let centred = centre.subtract(&store(&[("a.wav", [2.0, 2.0]), ("b", [11.0, 9.0])])).unwrap();
    assert_eq!(centred.data(), [0.0, 1.0, 1.0, -1.0]);

    let error = centre.subtract(&store(&[("c", [0.0, 0.0]), ("d", [0.0, 0.0])])).unwrap_err().to_string();
    assert!(error.contains("2 utterances") && error.contains("c (tv), d"), "{error}");
    assert!(matches!(Centre::by_domain(&in_domain, table("i1 phone\n")), Err(Error::NoDomain { .. })));
    assert!(matches!(Centre::global(&Embeddings::new(2)), Err(Error::EmptyMean)));
    let global = Centre::global(&store(&[("x", [1.0, 3.0]), ("y", [3.0, 3.0])])).unwrap();
    assert_eq!(global.subtract(&store(&[("a", [2.0, 2.0])])).unwrap().data(), [0.0, -1.0]);
}

#[test]
fn models_are_averages_of_embeddings_or_of_directions() {
    let list = EnrolmentList::new(table("m u1 u2\nn u3.wav\n")).unwrap();
    let embeddings = store(&[("u1", [3.0, 0.0]), ("u2", [0.0, 1.0]), ("u3", [1.0, 1.0])]);
    let average = list.average(&embeddings, false, false).unwrap();
    assert_eq!(average.embeddings.get("m").unwrap(), [1.5, 0.5]);
    assert_eq!(average.embeddings.get("n").unwrap(), [1.0, 1.0]);
    assert_eq!((average.utterances["m"], average.utterances["n"], average.incomplete), (2, 1, 0));
    let directions = list.average(&embeddings, true, false).unwrap();
    assert_eq!(directions.embeddings.get("m").unwrap(), [0.5, 0.5]);

    let list = EnrolmentList::new(table("m u1 x y\nn u2\n")).unwrap();
    let error = list.average(&embeddings, false, false).unwrap_err().to_string();
    assert!(error.contains("1 of 2 models") && error.contains("x, y"), "{error}");
    let skipping = list.average(&embeddings, false, true).unwrap();
    assert_eq!((skipping.embeddings.keys(), skipping.incomplete), (&["n".to_owned()][..], 1));
    let twice = EnrolmentList::new(table("k u2\nm u1 u1\n")).unwrap_err().to_string();
    assert!(twice.contains("table:2") && twice.contains("u1 is there twice"), "{twice}");
}

#[test]
fn an_average_of_cosines_is_the_cosine_with_the_average_direction_but_for_its_length() {
    let list = EnrolmentList::new(table("m u1 u2\nn u3\n")).unwrap();
    let embeddings = store(&[
        ("u1", [3.0, 0.5]),
        ("u2", [0.5, 1.0]),
        ("u3", [1.0, 1.0]),
        ("t1", [0.2, 1.0]),
        ("t2", [-1.0, 1.0]),
    ]);
    let trials = Trials::parse("t", b"m t1\nm t2\nn t1\n".to_vec(), TrialColumns::NoLabel).unwrap();
    let side = Side::new(&embeddings);
    let score = |trials: &Trials, skip_missing: bool| {
        let scorer = Scorer::new(side, side, None).unwrap().with_models(&list, false);
        scorer.unwrap().score_trials(trials, skip_missing)
    };
    let averaged = score(&trials, false).unwrap().scores;

    let directions = list.average(&embeddings, true, false).unwrap().embeddings;
    let of_directions = score_trials(&trials, Side::new(&directions), side, false).unwrap().scores;
    let length = directions.get("m").unwrap().iter().map(|x| f64::from(x * x)).sum::<f64>().sqrt();
    for (place, length) in [(0, length), (1, length), (2, 1.0)] {
        let (found, expected) = (averaged.get(place).unwrap(), length * of_directions.get(place).unwrap());
        assert!((found - expected).abs() < 1e-6, "{found} {expected}");
    }

    // By hand: m is u1 and u2.
    let single = |a: &str, b: &str| f64::from(cosine(embeddings.get(a).unwrap(), embeddings.get(b).unwrap()));
    let expected = (single("u1", "t2") + single("u2", "t2")) / 2.0;
    assert!((averaged.get(1).unwrap() - expected).abs() < 1e-6);

    let unknown = Trials::parse("t", b"o t1\n".to_vec(), TrialColumns::NoLabel).unwrap();
    assert!(matches!(score(&unknown, false), Err(Error::UnknownModels { .. })));
    let missing = Trials::parse("t", b"m t1\nm t9\n".to_vec(), TrialColumns::NoLabel).unwrap();
    assert_eq!(score(&missing, true).unwrap().scores.skipped(), [1]);
    let partial = EnrolmentList::new(table("m u1 x\nn u3\n")).unwrap();
    let with = |skip_missing| Scorer::new(side, side, None).unwrap().with_models(&partial, skip_missing);
    assert!(matches!(with(false), Err(Error::IncompleteModels { models: 1, of: 2, .. })));
    let skipping = with(true).unwrap().score_trials(&trials, true).unwrap().scores;
    assert_eq!((skipping.skipped(), skipping.get(2)), (&[0, 1][..], averaged.get(2)));
}

#[test]
fn a_streamed_list_of_models_is_scored_as_one_in_memory() {
    let list = EnrolmentList::new(table("m u1 u2\nn u3\n")).unwrap();
    let embeddings = store(&[("u1", [3.0, 0.5]), ("u2", [0.5, 1.0]), ("u3", [1.0, 1.0]), ("t1", [0.2, 1.0])]);
    let side = Side::new(&embeddings);
    let text = "1 n t1\n0 m t1.wav\n1 n u3\n";
    let trials = Trials::parse("t", text.as_bytes().to_vec(), TrialColumns::Auto).unwrap();
    let scorer = || Scorer::new(side, side, None).unwrap().with_models(&list, false).unwrap();
    let expected = scorer().score_trials(&trials, false).unwrap();
    let reader = TrialReader::new("t", text.as_bytes(), TrialColumns::Auto).unwrap();
    let options = StreamOptions::new().keeping_trials(true);
    let found = scorer().score_stream(reader, options, &mut []).unwrap();
    let (kept, scores) = found.kept.unwrap();
    assert_eq!(scores, expected.scores);
    let pairs: Vec<_> =
        kept.pairs.iter().map(|&(a, b)| (&*kept.names[a as usize], &*kept.names[b as usize])).collect();
    assert_eq!(pairs, [("n", "t1"), ("m", "t1"), ("n", "u3")]);
    assert_eq!((kept.labels, found.counts.matched_by_suffix), (trials.labels, 1));
}

#[test]
fn plda_knows_how_many_utterances_a_model_has() {
    let embeddings = store(&[
        ("a1", [2.0, 1.0]),
        ("a2", [2.2, -0.4]),
        ("a3", [1.5, 0.1]),
        ("b1", [-2.0, 0.5]),
        ("b2", [-1.4, -0.6]),
        ("c1", [0.2, 0.7]),
        ("c2", [-0.3, -1.1]),
    ]);
    let speakers = table("a1 a\na2 a\na3 a\nb1 b\nb2 b\nc1 c\nc2 c\n");
    let set = TrainingSet::new(&embeddings, &speakers).unwrap();
    let plda = PldaOptions { length_norm: PldaLengthNorm::Expected, ..PldaOptions::default() };
    let options = TrainOptions { transform: Transform::None, length_norm: false, plda: Some(plda) };
    let backend = Backend::train(&set, options).unwrap();
    let processed = backend.process(&embeddings, None).unwrap();
    let list = EnrolmentList::new(table("m a1 a2\n")).unwrap();
    let models = list.average(&processed, false, false).unwrap();
    let trials = Trials::parse("t", b"m.wav a3\nm.wav b1\n".to_vec(), TrialColumns::NoLabel).unwrap();
    let mut scorer =
        Scorer::plda(&backend, &models.embeddings, Some(&models.utterances), &processed).unwrap();
    let scores = scorer.score_trials(&trials, false).unwrap().scores;
    let plda: &Plda = backend.plda().unwrap();
    let doubles = |vector: &[f32]| vector.iter().map(|&x| f64::from(x)).collect::<Vec<_>>();
    let enrolment = plda.project(&doubles(models.embeddings.get("m").unwrap()), 2, PldaLengthNorm::Expected);
    for (place, test) in ["a3", "b1"].into_iter().enumerate() {
        let test = plda.project(&doubles(processed.get(test).unwrap()), 1, PldaLengthNorm::Expected);
        let expected = plda.log_likelihood_ratio(&enrolment, 2, &test);
        assert!((scores.get(place).unwrap() - expected).abs() < 1e-6);
    }
}
