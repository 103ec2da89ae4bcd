//! LDA, PLDA and adaptation: against Kaldi's equations in numpy, closed forms, and data whose covariances are known.

use ffsvc_embeddings::Embeddings;
use ffsvc_kaldi_io::{Table, TrialColumns, Trials};
use ffsvc_scoring::backend::{
    Adaptation, Backend, Plda, PldaLengthNorm, PldaOptions, TrainOptions, TrainingSet, Transform,
};
use ffsvc_scoring::metrics::DetCurve;
use ffsvc_scoring::{Centre, Error, ListScores, Scorer, Side, TrialScores, score_trials};
use nalgebra::{DMatrix, DVector};
use proptest::prelude::*;
use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;
use rand_distr::{Distribution, StandardNormal};
use serde_json::Value;

/// Committed by `tests/peers/numpy_backends.py`.
fn peer() -> Value {
    serde_json::from_str(include_str!("../../../tests/data/scoring/backends.json")).unwrap()
}

fn matrix(value: &Value) -> DMatrix<f64> {
    let rows: Vec<Vec<f64>> = serde_json::from_value(value.clone()).unwrap();
    DMatrix::from_row_iterator(rows.len(), rows[0].len(), rows.iter().flatten().copied())
}

fn vector(value: &Value) -> DVector<f64> {
    DVector::from_vec(serde_json::from_value(value.clone()).unwrap())
}

fn store(rows: &DMatrix<f64>) -> Embeddings {
    let mut store = Embeddings::new(rows.ncols());
    for (at, row) in rows.row_iter().enumerate() {
        let row: Vec<f32> = row.iter().map(|&x| x as f32).collect();
        store.push(format!("u{at}"), &row).unwrap();
    }
    store
}

fn utt2spk(owners: &[usize]) -> Table {
    let lines: String = owners.iter().enumerate().map(|(at, owner)| format!("u{at} s{owner}\n")).collect();
    Table::parse("utt2spk", lines.into_bytes()).unwrap()
}

fn plain_plda(iterations: usize, length_norm: PldaLengthNorm) -> TrainOptions {
    let plda = PldaOptions { iterations, smoothing: 0.0, length_norm };
    TrainOptions { transform: Transform::None, length_norm: false, plda: Some(plda) }
}

struct Peer {
    values: Value,
    embeddings: DMatrix<f64>,
    set: TrainingSet,
}

impl Peer {
    fn load() -> Self {
        let values = peer();
        let embeddings = matrix(&values["embeddings"]);
        let owners: Vec<usize> = serde_json::from_value(values["speakers"].clone()).unwrap();
        let set = TrainingSet::new(&store(&embeddings), &utt2spk(&owners)).unwrap();
        Self { values, embeddings, set }
    }

    fn plda(&self) -> Backend {
        Backend::train(&self.set, plain_plda(10, PldaLengthNorm::None)).unwrap()
    }
}

fn assert_close(what: &str, found: &DMatrix<f64>, expected: &DMatrix<f64>, tolerance: f64) {
    assert_eq!(found.shape(), expected.shape(), "{what}");
    let error = (found - expected).amax() / expected.amax();
    assert!(error < tolerance, "{what}: relative error {error:e}");
}

#[test]
fn lda_is_kaldis() {
    let peer = Peer::load();
    let transform = Transform::Lda { dim: 3, total_covariance_factor: 0.1 };
    let options = TrainOptions { transform, length_norm: false, plda: None };
    let backend = Backend::train(&peer.set, options).unwrap();
    let processed = backend.process(&store(&peer.embeddings), None).unwrap();
    assert_eq!((processed.dim(), backend.dim(), backend.output_dim()), (3, 5, 3));
    let centred = &peer.embeddings
        - DMatrix::from_element(peer.embeddings.nrows(), 1, 1.0) * peer.embeddings.row_mean();
    let expected = centred * matrix(&peer.values["lda"]).transpose();
    let found =
        DMatrix::from_row_iterator(processed.len(), 3, processed.data().iter().map(|&x| f64::from(x)));
    // An eigenvector's sign is free.
    assert_close("LDA", &found.abs(), &expected.abs(), 1e-5);
}

#[test]
fn plda_is_kaldis() {
    let peer = Peer::load();
    let backend = peer.plda();
    let plda = backend.plda().unwrap();
    let (within, between) = covariances(plda);
    let expected = &peer.values["plda"];
    assert_close("within", &within, &matrix(&expected["within"]), 1e-9);
    assert_close("between", &between, &matrix(&expected["between"]), 1e-9);
    assert!((DVector::from_column_slice(plda.mean()) - vector(&expected["mean"])).amax() < 1e-9);

    let centre = peer.embeddings.row_mean();
    for trial in peer.values["trials"].as_array().unwrap() {
        let row = |key: &str| {
            let at = trial[key].as_u64().unwrap() as usize;
            (peer.embeddings.row(at) - &centre).iter().copied().collect::<Vec<f64>>()
        };
        let n = trial["utterances"].as_u64().unwrap() as u32;
        for (key, length) in [
            ("llr", PldaLengthNorm::None),
            ("expected", PldaLengthNorm::Expected),
            ("simple", PldaLengthNorm::Simple),
        ] {
            let (enrolment, test) =
                (plda.project(&row("enrolment"), n, length), plda.project(&row("test"), 1, length));
            let found = plda.log_likelihood_ratio(&enrolment, n, &test);
            let expected = trial[key].as_f64().unwrap();
            assert!((found - expected).abs() < 1e-7 * expected.abs().max(1.0), "{key}: {found} {expected}");
        }
    }
}

#[test]
fn smoothing_and_the_recipes_chain_are_kaldis() {
    let peer = Peer::load();
    let psi = |backend: &Backend| {
        let (within, between) = covariances(backend.plda().unwrap());
        let lower = within.cholesky().unwrap().l();
        let whiten = lower.try_inverse().unwrap();
        let mut values: Vec<f64> =
            (&whiten * between * whiten.transpose()).symmetric_eigenvalues().iter().copied().collect();
        values.sort_by(|a, b| b.total_cmp(a));
        DVector::from_vec(values)
    };
    let mut options = plain_plda(10, PldaLengthNorm::None);
    options.plda.as_mut().unwrap().smoothing = peer.values["smoothed_psi"]["factor"].as_f64().unwrap();
    let smoothed = Backend::train(&peer.set, options).unwrap();
    assert!((psi(&smoothed) - vector(&peer.values["smoothed_psi"]["psi"])).amax() < 1e-8);

    let transform = Transform::Lda { dim: 3, total_covariance_factor: 0.1 };
    let options = TrainOptions { transform, length_norm: true, plda: Some(PldaOptions::default()) };
    let chain = Backend::train(&peer.set, options).unwrap();
    assert!((psi(&chain) - vector(&peer.values["chain_psi"])).amax() < 1e-8);
}

#[test]
fn adaptations_are_kaldis_and_the_papers() {
    let peer = Peer::load();
    let domain = store(&matrix(&peer.values["domain"]));
    let kaldi = Adaptation::Kaldi { within_scale: 0.3, between_scale: 0.7, mean_shift_scale: 1.0 };
    let plus = Adaptation::CoralPlus { within_scale: 0.8, between_scale: 0.6 };
    for (key, adaptation) in [("kaldi", kaldi), ("coral", Adaptation::Coral), ("coral_plus", plus)] {
        let mut backend = peer.plda();
        backend.adapt(&domain, adaptation).unwrap();
        let (within, between) = covariances(backend.plda().unwrap());
        let expected = &peer.values["adapted"][key];
        assert_close(key, &within, &matrix(&expected["within"]), 1e-8);
        assert_close(key, &between, &matrix(&expected["between"]), 1e-8);
        if adaptation == Adaptation::Coral {
            // What correlation alignment is: the model's total covariance becomes the domain's.
            assert_close("total", &(within + between), &matrix(&peer.values["adapted"]["variance"]), 1e-9);
        }
        // Both the mean of the embeddings and that of the PLDA are the domain's now.
        let processed = backend.process(&domain, None).unwrap();
        let sum: f64 = processed.iter().map(|(_, vector)| f64::from(vector[0])).sum();
        assert!(sum.abs() < 1e-3 && DVector::from_column_slice(backend.plda().unwrap().mean()).amax() < 1e-9);
    }
}

#[test]
fn adaptation_refuses_what_it_cannot_do() {
    let peer = Peer::load();
    let few = store(&matrix(&peer.values["domain"]).rows(0, 4).into_owned());
    let mut backend = peer.plda();
    assert!(matches!(
        backend.adapt(&few, Adaptation::Coral),
        Err(Error::TooFewToAdapt { utterances: 4, dim: 5 })
    ));
    assert_eq!(backend, peer.plda(), "a failed adaptation leaves the back end alone");
    let wrong = Adaptation::CoralPlus { within_scale: -0.1, between_scale: 0.5 };
    assert!(backend.adapt(&few, wrong).unwrap_err().to_string().contains("-0.1"));
    let mut cosine = Backend::train(&peer.set, TrainOptions::default()).unwrap();
    assert!(matches!(cosine.adapt(&few, Adaptation::Coral), Err(Error::NoPlda)));
}

/// `speakers` speakers with `utterances` each: embeddings (a row each), and whose they are.
fn simulate(
    seed: u64,
    (speakers, utterances): (usize, usize),
    within: &DMatrix<f64>,
    between: &DMatrix<f64>,
) -> (DMatrix<f64>, Vec<usize>) {
    let mut random = ChaCha8Rng::seed_from_u64(seed);
    let dim = within.nrows();
    let (of_speaker, of_utterance) =
        (between.clone().cholesky().unwrap().l(), within.clone().cholesky().unwrap().l());
    let mut normal = || DVector::from_fn(dim, |_, _| StandardNormal.sample(&mut random));
    let (mut rows, mut owners) = (Vec::new(), Vec::new());
    for speaker in 0..speakers {
        let y = &of_speaker * normal();
        for _ in 0..utterances {
            rows.push((&y + &of_utterance * normal()).transpose());
            owners.push(speaker);
        }
    }
    (DMatrix::from_rows(&rows), owners)
}

/// Directions in which speakers differ little are those in which utterances vary much.
fn known() -> (DMatrix<f64>, DMatrix<f64>) {
    let within = DMatrix::from_row_slice(3, 3, &[4.0, 1.0, 0.0, 1.0, 1.0, 0.2, 0.0, 0.2, 0.3]);
    let between = DMatrix::from_row_slice(3, 3, &[0.5, 0.0, 0.1, 0.0, 0.8, 0.0, 0.1, 0.0, 1.2]);
    (within, between)
}

#[test]
fn em_ends_at_the_closed_form_of_balanced_data_and_recovers_the_truth() {
    let (within, between) = known();
    let (speakers, utterances) = (400, 4);
    let (rows, owners) = simulate(1, (speakers, utterances), &within, &between);
    let set = TrainingSet::new(&store(&rows), &utt2spk(&owners)).unwrap();
    let backend = Backend::train(&set, plain_plda(300, PldaLengthNorm::None)).unwrap();
    let (found_within, found_between) = covariances(backend.plda().unwrap());

    // With as many utterances of each speaker, the maximum of the likelihood has a closed form: the scatter about the
    // speakers' means, and the covariance of these means less what is left of the former in an average.
    let rows = rows.map(|x| f64::from(x as f32));
    let mut means = DMatrix::zeros(speakers, 3);
    let mut scatter = DMatrix::zeros(3, 3);
    for speaker in 0..speakers {
        let own = rows.rows(speaker * utterances, utterances);
        let mean = own.row_mean();
        for row in own.row_iter() {
            scatter += (row - &mean).transpose() * (row - &mean);
        }
        means.set_row(speaker, &mean);
    }
    let ml_within = scatter / (speakers * (utterances - 1)) as f64;
    let centred = &means - DMatrix::from_element(speakers, 1, 1.0) * means.row_mean();
    let ml_between = centred.transpose() * &centred / speakers as f64 - &ml_within / utterances as f64;
    assert_close("within, closed form", &found_within, &ml_within, 1e-6);
    assert_close("between, closed form", &found_between, &ml_between, 1e-6);
    assert_close("within, truth", &found_within, &within, 0.1);
    assert_close("between, truth", &found_between, &between, 0.2);
}

fn all_trials(owners: &[usize]) -> Trials {
    let mut list = String::new();
    for a in 0..owners.len() {
        for b in 0..a {
            list += &format!("{} u{a} u{b}\n", u8::from(owners[a] == owners[b]));
        }
    }
    Trials::parse("trials", list.into_bytes(), TrialColumns::LabelFirst).unwrap()
}

fn eer(trials: &Trials, scores: &TrialScores) -> f64 {
    let (target, nontarget) = scores.split(trials.labels.as_deref().unwrap()).unwrap();
    DetCurve::new(&target, &nontarget).unwrap().eer().rate
}

#[test]
fn plda_beats_the_cosine_where_its_model_holds() {
    let (within, between) = known();
    let (rows, owners) = simulate(2, (200, 5), &within, &between);
    let set = TrainingSet::new(&store(&rows), &utt2spk(&owners)).unwrap();
    let (rows, owners) = simulate(3, (40, 4), &within, &between);
    let (test, trials) = (store(&rows), all_trials(&owners));

    let side = Side::new(&test);
    let cosine = eer(&trials, &score_trials(&trials, side, side, false).unwrap().scores);
    let score = |backend: &Backend| {
        let processed = backend.process(&test, None).unwrap();
        eer(&trials, &by_plda(&trials, backend, &processed, false).unwrap().scores)
    };
    let plda = score(&Backend::train(&set, plain_plda(10, PldaLengthNorm::None)).unwrap());
    assert!(plda < 0.8 * cosine, "PLDA {plda}, cosine {cosine}");

    // The same model from the covariances that made the data can hardly do better.
    let truth = Plda::from_covariances(&[0.0; 3], within.as_slice(), between.as_slice()).unwrap();
    let project =
        |at: usize| truth.project(&rows.row(at).iter().copied().collect::<Vec<_>>(), 1, PldaLengthNorm::None);
    let projected: Vec<Vec<f64>> = (0..rows.nrows()).map(project).collect();
    let of_name = |id: u32| &projected[trials.names[id as usize][1..].parse::<usize>().unwrap()];
    let ideal = trials.pairs.iter().map(|&(a, b)| truth.log_likelihood_ratio(of_name(a), 1, of_name(b)));
    let ideal = TrialScores::new(&trials, ideal.collect(), Vec::new()).unwrap();
    assert!((plda - eer(&trials, &ideal)).abs() < 0.02);
}

#[test]
fn whitening_and_wccn_make_covariances_the_identity() {
    let (within, between) = known();
    let (rows, owners) = simulate(4, (60, 4), &within, &between);
    let (embeddings, table) = (store(&rows), utt2spk(&owners));
    let set = TrainingSet::new(&embeddings, &table).unwrap();
    for transform in [Transform::Whiten, Transform::Wccn] {
        let options = TrainOptions { transform, length_norm: false, plda: None };
        let processed = Backend::train(&set, options).unwrap().process(&embeddings, None).unwrap();
        let vectors = DMatrix::from_column_slice(
            3,
            rows.nrows(),
            &processed.data().iter().map(|&x| f64::from(x)).collect::<Vec<_>>(),
        );
        let mut covariance = &vectors * vectors.transpose() / rows.nrows() as f64;
        if transform == Transform::Wccn {
            covariance.fill(0.0);
            for speaker in 0..60 {
                let own = vectors.columns(speaker * 4, 4);
                for column in own.column_iter() {
                    let from_mean = column - own.column_mean();
                    covariance += &from_mean * from_mean.transpose() / (60.0 * 3.0);
                }
            }
        }
        assert_close("covariance", &covariance, &DMatrix::identity(3, 3), 1e-5);
    }
}

#[test]
fn a_centre_replaces_the_training_mean_and_lengths_are_the_root_of_the_dimension() {
    let peer = Peer::load();
    let backend = Backend::train(&peer.set, TrainOptions::default()).unwrap();
    let embeddings = store(&peer.embeddings);
    let domain = store(&matrix(&peer.values["domain"]));
    let centre = Centre::global(&domain).unwrap();
    let processed = backend.process(&embeddings, Some(&centre)).unwrap();
    let subtracted = centre.subtract(&embeddings).unwrap();
    for ((_, found), (_, expected)) in processed.iter().zip(subtracted.iter()) {
        let norm = |v: &[f32]| v.iter().map(|&x| f64::from(x) * f64::from(x)).sum::<f64>().sqrt();
        assert!((norm(found) - 5.0_f64.sqrt()).abs() < 1e-5);
        assert!((f64::from(found[0]) / norm(found) - f64::from(expected[0]) / norm(expected)).abs() < 1e-5);
    }
    let narrow = store(&peer.embeddings.columns(0, 4).into_owned());
    assert!(matches!(backend.process(&narrow, None), Err(Error::Dimension { found: 4, expected: 5, .. })));
}

#[test]
fn files_bring_the_same_back_end_back_and_damaged_ones_are_refused() {
    let peer = Peer::load();
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("backend.safetensors");
    let transform = Transform::Lda { dim: 3, total_covariance_factor: 0.0 };
    for options in [
        TrainOptions { transform, length_norm: true, plda: Some(PldaOptions::default()) },
        TrainOptions::default(),
    ] {
        let backend = Backend::train(&peer.set, options).unwrap();
        backend.write(&path).unwrap();
        let bytes = std::fs::read(&path).unwrap();
        let read = Backend::read(&path).unwrap();
        assert_eq!(read, backend);
        read.write(&path).unwrap();
        assert_eq!(std::fs::read(&path).unwrap(), bytes);
        for cut in [0, 7, 100, bytes.len() - 1] {
            std::fs::write(&path, &bytes[..cut]).unwrap();
            let error = Backend::read(&path).unwrap_err().to_string();
            assert!(error.contains("backend.safetensors"), "{error}");
        }
    }
    peer_store_is_no_backend(&dir.path().join("store.safetensors"), &store(&peer.embeddings));
}

fn peer_store_is_no_backend(path: &std::path::Path, embeddings: &Embeddings) {
    embeddings.write(path).unwrap();
    assert!(Backend::read(path).unwrap_err().to_string().contains("it is not a back end"));
}

#[test]
fn options_and_sets_that_make_no_sense_are_refused() {
    let peer = Peer::load();
    let train = |options| Backend::train(&peer.set, options).unwrap_err().to_string();
    let lda = |dim, total_covariance_factor| {
        let transform = Transform::Lda { dim, total_covariance_factor };
        TrainOptions { transform, length_norm: true, plda: None }
    };
    assert!(train(lda(0, 0.0)).contains("dimension is 0"));
    assert!(train(lda(6, 0.0)).contains("dimension is 6"));
    assert!(train(lda(3, 1.5)).contains("is 1.5"));
    assert!(train(plain_plda(0, PldaLengthNorm::None)).contains("iterations is 0"));
    let embeddings = store(&peer.embeddings);
    for owners in [vec![0; 5], (0..5).collect()] {
        assert!(matches!(
            TrainingSet::new(&embeddings, &utt2spk(&owners)),
            Err(Error::TrainingSet { utterances: 5, .. })
        ));
    }
    let set = TrainingSet::new(&embeddings, &utt2spk(&[0, 0, 1])).unwrap();
    assert_eq!((set.utterances(), set.speaker_count()), (3, 2));
    assert_eq!(set.without_speaker(), embeddings.len() - 3);
}

#[test]
fn plda_trials_without_embedding_fail_or_are_skipped() {
    let peer = Peer::load();
    let backend = peer.plda();
    let processed = backend.process(&store(&peer.embeddings), None).unwrap();
    let trials =
        Trials::parse("t", b"1 u0 u1.wav\n0 u0 x\n0 y u1.wav\n".to_vec(), TrialColumns::Auto).unwrap();
    let error = by_plda(&trials, &backend, &processed, false).unwrap_err().to_string();
    assert!(error.contains("2 of 3 trials") && error.contains("x, y"), "{error}");
    let scored = by_plda(&trials, &backend, &processed, true).unwrap();
    assert_eq!((scored.scores.skipped(), scored.matched_by_suffix), (&[1, 2][..], 1));
}

fn covariances(plda: &Plda) -> (DMatrix<f64>, DMatrix<f64>) {
    let (within, between) = plda.covariances().unwrap();
    let matrix = |values: &[f64]| DMatrix::from_row_slice(plda.dim(), plda.dim(), values);
    (matrix(&within), matrix(&between))
}

fn by_plda(
    trials: &Trials,
    backend: &Backend,
    processed: &Embeddings,
    skip_missing: bool,
) -> ffsvc_scoring::Result<ListScores> {
    Scorer::plda(backend, processed, None, processed)?.score_trials(trials, skip_missing)
}

fn density(x: &DVector<f64>, covariance: &DMatrix<f64>) -> f64 {
    let cholesky = covariance.clone().cholesky().unwrap();
    let log_determinant = 2.0 * cholesky.l().diagonal().map(f64::ln).sum();
    -0.5 * (log_determinant + x.dot(&cholesky.solve(x)) + x.len() as f64 * std::f64::consts::TAU.ln())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn the_score_is_the_log_ratio_of_gaussian_densities(
        a in prop::collection::vec(-1.0..1.0_f64, 16),
        b in prop::collection::vec(-1.0..1.0_f64, 16),
        mean in prop::collection::vec(-2.0..2.0_f64, 4),
        x in prop::collection::vec(-3.0..3.0_f64, 4),
        y in prop::collection::vec(-3.0..3.0_f64, 4),
        n in 1_u32..8,
    ) {
        let square = |a: &[f64], ridge| {
            let a = DMatrix::from_row_slice(4, 4, a);
            &a * a.transpose() + ridge * DMatrix::identity(4, 4)
        };
        let (within, between): (DMatrix<f64>, DMatrix<f64>) = (square(&a, 0.2), square(&b, 0.01));
        let mean = DVector::from_vec(mean);
        let plda = Plda::from_covariances(mean.as_slice(), within.as_slice(), between.as_slice()).unwrap();
        let (enrolment, test) = (plda.project(&x, n, PldaLengthNorm::None), plda.project(&y, 1, PldaLengthNorm::None));
        let found = plda.log_likelihood_ratio(&enrolment, n, &test);

        let (x, y) = (DVector::from_vec(x) - &mean, DVector::from_vec(y) - &mean);
        let (of_average, of_one) = (&between + &within / f64::from(n), &between + &within);
        let mut joint = DMatrix::zeros(8, 8);
        joint.view_mut((0, 0), (4, 4)).copy_from(&of_average);
        joint.view_mut((4, 4), (4, 4)).copy_from(&of_one);
        joint.view_mut((0, 4), (4, 4)).copy_from(&between);
        joint.view_mut((4, 0), (4, 4)).copy_from(&between);
        let both = DVector::from_iterator(8, x.iter().chain(y.iter()).copied());
        let expected = density(&both, &joint) - density(&x, &of_average) - density(&y, &of_one);
        prop_assert!((found - expected).abs() < 1e-7 * expected.abs().max(1.0), "{found} {expected}");
    }

    #[test]
    fn arbitrary_bytes_are_no_back_end(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("b");
        std::fs::write(&path, bytes).unwrap();
        prop_assert!(Backend::read(&path).is_err());
    }
}
