//! Score normalisation: WeSpeaker's numbers, a plain computation beside ours, and what is refused.

use std::path::PathBuf;

use ffsvc_embeddings::Embeddings;
use ffsvc_kaldi_io::{Table, TrialColumns, Trials};
use ffsvc_scoring::metrics::{Definition, Measures, evaluate};
use ffsvc_scoring::{Cohort, CohortStatistics, Error, ScoreNorm, Scorer, Side};
use proptest::prelude::*;
use safetensors::{Dtype, SafeTensors};

fn golden() -> PathBuf {
    ffsvc_test_data::shared("golden/scoring")
}

fn numbers(file: &SafeTensors<'_>, name: &str) -> Vec<f64> {
    let view = file.tensor(name).unwrap();
    match view.dtype() {
        Dtype::F64 => view.data().chunks(8).map(|b| f64::from_le_bytes(b.try_into().unwrap())).collect(),
        Dtype::F32 => {
            view.data().chunks(4).map(|b| f32::from_le_bytes(b.try_into().unwrap()).into()).collect()
        }
        other => panic!("{name}: {other:?}"),
    }
}

fn farthest(a: impl IntoIterator<Item = f64>, b: &[f64]) -> f64 {
    let mut count = 0;
    let farthest = a.into_iter().zip(b).fold(0.0_f64, |most, (a, b)| {
        count += 1;
        most.max((a - b).abs())
    });
    assert_eq!(count, b.len());
    farthest
}

fn store(prefix: &str, dim: usize, data: Vec<f32>) -> Embeddings {
    let keys = (0..data.len() / dim).map(|n| format!("{prefix}{n}")).collect();
    Embeddings::from_parts(keys, dim, data).unwrap()
}

/// Embeddings as good as random.
fn random(prefix: &str, count: usize, dim: usize, seed: u32) -> Embeddings {
    let value = |n: u32| {
        let mixed = (n ^ seed.wrapping_mul(0x9E37_79B9)).wrapping_mul(0x85EB_CA6B);
        ((mixed ^ (mixed >> 13)).wrapping_mul(0xC2B2_AE35) >> 8) as f32 / (1 << 24) as f32 - 0.45
    };
    store(prefix, dim, (0..(count * dim) as u32).map(value).collect())
}

fn unit_rows(embeddings: &Embeddings, mean: Option<&[f64]>) -> Vec<f32> {
    let mut rows = Vec::new();
    for (_, embedding) in embeddings.iter() {
        let centred: Vec<f64> = embedding
            .iter()
            .enumerate()
            .map(|(i, &x)| f64::from(x) - mean.map_or(0.0, |mean| mean[i]))
            .collect();
        let norm = centred.iter().map(|x| x * x).sum::<f64>().sqrt();
        rows.extend(centred.iter().map(|x| (x / norm) as f32));
    }
    rows
}

fn as_wespeaker_computes_it() {
    let golden = golden();
    let embeddings = Embeddings::read_npy(golden.join("emb.npy"), golden.join("utts.txt")).unwrap();
    let trials = Trials::read(golden.join("trials_key_first"), TrialColumns::Auto).unwrap();
    let bytes = std::fs::read(golden.join("asnorm.safetensors")).unwrap();
    let file = SafeTensors::deserialize(&bytes).unwrap();
    let cohort_rows: Vec<f32> = numbers(&file, "cohort").into_iter().map(|x| x as f32).collect();
    let members = store("c", 64, cohort_rows);
    let mean = numbers(&file, "mean_vec");
    for (case, norm, top, mean, eer, min_dcf) in [
        ("asnorm300_f64", ScoreNorm::AsNorm, None, None, 0.13310226523505847, 0.826538100270048),
        (
            "asnorm300_mean_f64",
            ScoreNorm::AsNorm,
            Some(300),
            Some(&mean),
            0.1378065547227224,
            0.8401274374328268,
        ),
        ("snorm_f64", ScoreNorm::SNorm, None, None, 0.13287190530498033, 0.8210705286260059),
        ("asnorm20_f64", ScoreNorm::AsNorm, Some(20), None, 0.1372515663859447, 0.8140224076733411),
    ] {
        let of = |embeddings| Side { embeddings, mean: mean.map(Vec::as_slice) };
        let cohort = Cohort::new(norm, of(&members), None, top).unwrap();
        assert_eq!(cohort.size(), 1200);

        let statistics = cohort.statistics(&unit_rows(&embeddings, mean.map(Vec::as_slice)));
        let off = farthest(statistics.iter().map(|s| s.mean), &numbers(&file, &format!("{case}.mean")));
        assert!(off < 6e-8, "{case}: mean {off:e}");
        let off = farthest(statistics.iter().map(|s| s.std), &numbers(&file, &format!("{case}.std")));
        assert!(off < 6e-8, "{case}: std {off:e}");

        let side = of(&embeddings);
        let found =
            Scorer::new(side, side, Some(&cohort)).unwrap().score_trials(&trials, false).unwrap().scores;
        // The cosines' rounding, divided by a small deviation: relative to the score where that is large.
        let normed = numbers(&file, &format!("{case}.normed"));
        let relative =
            found.iter().zip(&normed).map(|((_, score), exact)| (score - exact) / (1.0 + exact.abs()));
        let off = farthest(relative, &vec![0.0; normed.len()]);
        assert!(off < 3e-6, "{case}: scores {off:e}");
        let (target, nontarget) = found.split(trials.labels.as_deref().unwrap()).unwrap();
        let metrics =
            evaluate(&target, &nontarget, Definition::Compat, &Measures::new(&[Default::default()])).unwrap();
        assert!((metrics.eer - eer).abs() < 1e-12, "{case}: EER {}", metrics.eer);
        assert!((metrics.min_dcf[0].cost - min_dcf).abs() < 1e-12, "{case}: {}", metrics.min_dcf[0].cost);
    }
}

/// Each side's scores with the cohort of the other side's domain, by the cohorts' own statistics.
#[test]
fn an_utterance_is_normalised_by_the_cohort_of_the_other_sides_domain() {
    let (enrolment, test) = (random("e", 3, 5, 1), random("t", 4, 5, 2));
    let members = [random("c", 9, 5, 3), random("d", 7, 5, 4)];
    let (enrolment_domains, test_domains) = ([1, 0, 1], [0, 1, 1, 0]);
    let pairs = [(0, 1), (2, 3), (1, 0), (1, 2)];
    let list: String = pairs.iter().map(|(a, b)| format!("e{a} t{b}\n")).collect();
    let trials = Trials::parse("trials", list.into_bytes(), TrialColumns::Auto).unwrap();
    for norm in [ScoreNorm::ZNorm, ScoreNorm::TNorm, ScoreNorm::AsNorm] {
        let cohorts = members.each_ref().map(|of| Cohort::new(norm, Side::new(of), None, Some(4)).unwrap());
        let sides = ((Side::new(&enrolment), &enrolment_domains[..]), (Side::new(&test), &test_domains[..]));
        let mut scorer = Scorer::by_domain(sides.0, sides.1, &cohorts).unwrap();
        let found = scorer.score_trials(&trials, false).unwrap().scores;
        let statistics =
            |of: &Embeddings| cohorts.each_ref().map(|cohort| cohort.statistics(&unit_rows(of, None)));
        let (e, t) = (statistics(&enrolment), statistics(&test));
        for (place, (a, b)) in pairs.into_iter().enumerate() {
            let cosine = ffsvc_scoring::cosine(&enrolment.data()[a * 5..][..5], &test.data()[b * 5..][..5]);
            let (a_by, b_by) = (test_domains[b] as usize, enrolment_domains[a] as usize);
            let expected = norm.apply(cosine.into(), e[a_by][a], t[b_by][b]);
            let off = (found.get(place).unwrap() - expected).abs();
            assert!(off < 1e-5, "{norm}, trial {place}: {off:e}");
        }
        let unknown = [1, 0, 2];
        let refused = Scorer::by_domain((sides.0.0, &unknown), sides.1, &cohorts);
        assert!(matches!(refused, Err(Error::Dimension { found: 2, expected: 2, .. })), "a third domain");
    }
}

#[test]
fn each_kind_normalises_by_its_side() {
    let (enrolment, test, cohort) = (random("e", 3, 5, 1), random("t", 4, 5, 2), random("c", 9, 5, 3));
    let trials = Trials::parse("trials", b"e0 t1\ne2 t3\ne1 t0\n".to_vec(), TrialColumns::Auto).unwrap();
    let statistics = |cohort: &Cohort, of: &Embeddings| cohort.statistics(&unit_rows(of, None));
    for norm in [ScoreNorm::ZNorm, ScoreNorm::TNorm, ScoreNorm::SNorm, ScoreNorm::AsNorm] {
        let cohort = Cohort::new(norm, Side::new(&cohort), None, Some(4)).unwrap();
        let (e, t) = (statistics(&cohort, &enrolment), statistics(&cohort, &test));
        let found = Scorer::new(Side::new(&enrolment), Side::new(&test), Some(&cohort))
            .unwrap()
            .score_trials(&trials, false)
            .unwrap()
            .scores;
        for (place, (a, b)) in [(0, 1), (2, 3), (1, 0)].into_iter().enumerate() {
            let cosine = ffsvc_scoring::cosine(&enrolment.data()[a * 5..][..5], &test.data()[b * 5..][..5]);
            let by = |s: CohortStatistics| (f64::from(cosine) - s.mean) / s.std;
            let expected = match norm {
                ScoreNorm::ZNorm => by(e[a]),
                ScoreNorm::TNorm => by(t[b]),
                ScoreNorm::SNorm | ScoreNorm::AsNorm => (by(e[a]) + by(t[b])) / 2.0,
            };
            let off = (found.get(place).unwrap() - expected).abs();
            assert!(off < 1e-5, "{norm}: {off:e}");
        }
    }
}

#[test]
fn a_cohort_of_speakers_is_their_mean_embeddings() {
    let utterances = store("u", 2, vec![1.0, 0.0, 0.0, 2.0, 3.0, 4.0, -1.0, 2.0]);
    let utt2spk = Table::parse("utt2spk", b"u0 a\nu1 b\nu2 a\nu3 c\n".to_vec()).unwrap();
    let speakers = store("s", 2, vec![2.0, 2.0, 0.0, 2.0, -1.0, 2.0]);
    let mean = [0.5, -0.25];
    let side = |embeddings| Side { embeddings, mean: Some(&mean) };
    let averaged = Cohort::new(ScoreNorm::SNorm, side(&utterances), Some(&utt2spk), None).unwrap();
    let given = Cohort::new(ScoreNorm::SNorm, side(&speakers), None, None).unwrap();
    assert_eq!((averaged.size(), averaged.top()), (3, 3));
    let rows = unit_rows(&random("x", 6, 2, 4), None);
    assert_eq!(averaged.statistics(&rows), given.statistics(&rows));

    let partial = Table::parse("utt2spk", b"u0 a\nu2 b\n".to_vec()).unwrap();
    let error =
        Cohort::new(ScoreNorm::SNorm, side(&utterances), Some(&partial), None).unwrap_err().to_string();
    assert_eq!(error, "2 of 4 cohort utterances have no speaker in utt2spk: u1, u3");
}

#[test]
fn cohorts_that_cannot_serve_are_refused() {
    let members = random("c", 7, 3, 5);
    let cohort = |top| Cohort::new(ScoreNorm::AsNorm, Side::new(&members), None, top);
    assert_eq!(cohort(None).unwrap().top(), 7);
    for top in [0, 1, 8] {
        let Err(Error::Cohort { size: 7, top: found }) = cohort(Some(top)) else { panic!("{top}") };
        assert_eq!(found, top);
    }
    let empty = Embeddings::new(3);
    assert!(matches!(
        Cohort::new(ScoreNorm::ZNorm, Side::new(&empty), None, None),
        Err(Error::Cohort { size: 0, .. })
    ));

    let cohort = cohort(None).unwrap();
    let wide = random("w", 2, 4, 6);
    let error = Scorer::new(Side::new(&wide), Side::new(&wide), Some(&cohort)).unwrap_err();
    assert!(matches!(error, Error::Dimension { found: 3, expected: 4, .. }), "{error}");

    let trials = Trials::parse("trials", b"a zero\n".to_vec(), TrialColumns::Auto).unwrap();
    let zero = Embeddings::from_parts(vec!["a".into(), "zero".into()], 3, vec![1.0, 2.0, 3.0, 0.0, 0.0, 0.0])
        .unwrap();
    let side = Side::new(&zero);
    let error = Scorer::new(side, side, Some(&cohort)).unwrap().score_trials(&trials, false).unwrap_err();
    assert!(matches!(&error, Error::NoSpread { utterance, .. } if utterance == "zero"), "{error}");
}

#[test]
fn neither_threads_nor_neighbours_change_a_bit() {
    let (embeddings, members) = (random("u", 300, 37, 7), random("c", 1500, 37, 8));
    let cohort = Cohort::new(ScoreNorm::AsNorm, Side::new(&members), None, Some(50)).unwrap();
    let rows = unit_rows(&embeddings, None);
    let with = |threads| {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
        pool.install(|| cohort.statistics(&rows))
    };
    let all = with(1);
    assert_eq!(all, with(5));
    for (row, &of) in rows.chunks(37).zip(&all).skip(123).take(20) {
        assert_eq!(cohort.statistics(row), [of]);
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]
    #[test]
    fn statistics_are_those_of_the_sorted_scores(
        count in 1..20_usize,
        size in 2..1200_usize,
        dim in 1..20_usize,
        top in 2..400_usize,
        seed in any::<u32>(),
    ) {
        let top = top.min(size);
        let (embeddings, members) = (random("u", count, dim, seed), random("c", size, dim, seed ^ 1));
        let cohort = Cohort::new(ScoreNorm::ZNorm, Side::new(&members), None, Some(top)).unwrap();
        let rows = unit_rows(&embeddings, None);
        let members = unit_rows(&members, None);
        for (row, found) in rows.chunks(dim).zip(cohort.statistics(&rows)) {
            let dot = |member: &[f32]| -> f64 {
                row.iter().zip(member).map(|(&a, &b)| f64::from(a) * f64::from(b)).sum()
            };
            let mut scores: Vec<f64> = members.chunks(dim).map(dot).collect();
            scores.sort_by(|a, b| b.total_cmp(a));
            let mean = scores[..top].iter().sum::<f64>() / top as f64;
            let std = (scores[..top].iter().map(|s| (s - mean).powi(2)).sum::<f64>() / top as f64).sqrt();
            prop_assert!((found.mean - mean).abs() < 1e-6, "{} {}", found.mean, mean);
            prop_assert!((found.std - std).abs() < 1e-6, "{} {}", found.std, std);
        }
    }
}

ffsvc_test_data::shared_tests!(as_wespeaker_computes_it);
