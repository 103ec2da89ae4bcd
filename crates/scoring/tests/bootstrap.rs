//! Bootstrap intervals against a closed form, their coverage of a known truth, and their independence of threads.

use ffsvc_scoring::metrics::{
    BootstrapOptions, DcfParameters, Definition, Interval, Measures, Metrics, SpeakerBootstrap, SpeakerTrial,
    evaluate,
};
use rand::{Rng, RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

fn intervals(trials: &[SpeakerTrial], options: BootstrapOptions, measures: &Measures) -> Metrics {
    let of = |is_target| {
        trials.iter().filter(move |t| t.is_target == is_target).map(|t| t.score).collect::<Vec<_>>()
    };
    let mut metrics = evaluate(&of(true), &of(false), Definition::Tied, measures).unwrap();
    SpeakerBootstrap::new(trials.to_vec()).apply(options, measures, &mut metrics).unwrap();
    metrics
}

fn normal(rng: &mut impl Rng) -> f64 {
    let (u, v): (f64, f64) = (1.0 - rng.random::<f64>(), rng.random());
    (-2.0 * u.ln()).sqrt() * (std::f64::consts::TAU * v).cos()
}

/// Every pair of speakers, `own` target trials each; a speaker has an offset of the targets' scores, and one of all
/// scores with other speakers.
fn simulated(speakers: u32, own: usize, rng: &mut impl Rng) -> Vec<SpeakerTrial> {
    let mut offsets = || -> Vec<f64> { (0..speakers).map(|_| 0.7 * normal(rng)).collect() };
    let (of_targets, of_meeting) = (offsets(), offsets());
    let mut trials = Vec::new();
    for enrolment in 0..speakers {
        for _ in 0..own {
            let score = 3.0 + of_targets[enrolment as usize] + normal(rng);
            trials.push(SpeakerTrial { score, enrolment, test: enrolment, is_target: true });
        }
        for test in 0..enrolment {
            let score = of_meeting[enrolment as usize] + of_meeting[test as usize] + normal(rng);
            trials.push(SpeakerTrial { score, enrolment, test, is_target: false });
        }
    }
    trials
}

#[test]
fn the_spread_of_a_miss_rate_is_that_of_a_mean_over_speakers() {
    // No false alarm ever; the miss rate at the Bayes threshold is the mean of the speakers' miss rates, whose variance
    // under resampling is their own variance divided by their number.
    let misses =
        [0, 1, 4, 2, 0, 3, 1, 0, 5, 2, 1, 1, 0, 2, 3, 6, 0, 1, 2, 1, 0, 4, 1, 0, 2, 1, 3, 0, 1, 2_u32];
    let own = 10;
    let speakers = misses.len() as u32;
    let mut trials = Vec::new();
    for (enrolment, &missed) in (0..).zip(&misses) {
        for trial in 0..own {
            let score = if trial < missed { -1.0 } else { 1.0 };
            trials.push(SpeakerTrial { score, enrolment, test: enrolment, is_target: true });
        }
        let test = (enrolment + 1) % speakers;
        trials.push(SpeakerTrial { score: -5.0, enrolment, test, is_target: false });
    }
    let measures = Measures::new(&[DcfParameters::new(0.5, 1.0, 1.0).unwrap()]);
    // One standard deviation to either side.
    let options = BootstrapOptions { replicates: 4000, seed: 3, level: 0.6827 };
    let found = intervals(&trials, options, &measures).act_dcf[0];
    let rates: Vec<f64> = misses.iter().map(|&m| f64::from(m) / f64::from(own)).collect();
    let mean = rates.iter().sum::<f64>() / rates.len() as f64;
    let variance = rates.iter().map(|rate| (rate - mean).powi(2)).sum::<f64>() / rates.len() as f64;
    let deviation = (variance / rates.len() as f64).sqrt();
    assert!((found.cost - mean).abs() < 1e-12);
    let Interval { low, high } = found.interval.unwrap();
    let half = (high - low) / 2.0;
    assert!((half / deviation - 1.0).abs() < 0.08, "{half} {deviation}");
    assert!(((high + low) / 2.0 - mean).abs() < 0.2 * deviation);
}

#[test]
fn intervals_cover_the_truth_about_as_often_as_they_say() {
    // The truth: the EER of the population. Targets are N(3, 1 + 0.49), non-targets N(0, 1 + 0.98).
    let truth = {
        let phi = |x: f64| {
            // By Simpson's rule from -9.
            let (steps, from) = (2000, -9.0);
            let width = (x - from) / f64::from(steps);
            let density = |x: f64| (-x * x / 2.0).exp() / std::f64::consts::TAU.sqrt();
            let weight = |i: i32| {
                if i == 0 || i == steps {
                    1.0
                } else if i % 2 == 1 {
                    4.0
                } else {
                    2.0
                }
            };
            (0..=steps).map(|i| weight(i) * density(from + f64::from(i) * width)).sum::<f64>() * width / 3.0
        };
        phi(-3.0 / (1.49_f64.sqrt() + 1.98_f64.sqrt()))
    };
    let mut rng = ChaCha8Rng::seed_from_u64(11);
    let simulations = 150;
    let options = BootstrapOptions { replicates: 100, seed: 5, level: 0.9 };
    let covered = (0..simulations)
        .filter(|_| {
            let trials = simulated(25, 4, &mut rng);
            let Interval { low, high } =
                intervals(&trials, options, &Measures::default()).eer_interval.unwrap();
            (low..=high).contains(&truth)
        })
        .count();
    let share = covered as f64 / f64::from(simulations);
    // 0.9 is meant. Percentiles of 25 speakers fall somewhat short, pairs count somewhat too much.
    assert!((0.82..=0.99).contains(&share), "{share}");
}

#[test]
fn the_number_of_threads_changes_nothing() {
    let trials = simulated(12, 3, &mut ChaCha8Rng::seed_from_u64(1));
    let measures = Measures::new(&[DcfParameters::default()]).with_miss_at_fa(&[0.01]).unwrap();
    let options = BootstrapOptions { replicates: 50, seed: 9, level: 0.95 };
    let with = |threads| {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
        pool.install(|| intervals(&trials, options, &measures))
    };
    let (one, three) = (with(1), with(3));
    assert_eq!(one, three);
    let mut shuffled = trials.clone();
    shuffled.reverse();
    assert_eq!(intervals(&shuffled, options, &measures), one);
    let again = intervals(&trials, BootstrapOptions { seed: 10, ..options }, &measures);
    assert_ne!(again.eer_interval, one.eer_interval);
    let all =
        [one.eer_interval, one.min_dcf[0].interval, one.act_dcf[0].interval, one.miss_at_fa[0].interval];
    assert!(all.iter().all(Option::is_some));
    let cllr = one.cllr.unwrap();
    let (within, interval) = (cllr.minimum, cllr.minimum_interval.unwrap());
    assert!((interval.low..=interval.high).contains(&within), "{cllr:?}");
}

#[test]
fn odd_cases_have_no_interval_or_are_refused() {
    let mut trials = vec![
        SpeakerTrial { score: 1.0, enrolment: 7, test: 7, is_target: true },
        SpeakerTrial { score: 0.0, enrolment: 7, test: 7, is_target: false },
    ];
    let options = BootstrapOptions { replicates: 20, seed: 0, level: 0.95 };
    let one_speaker = intervals(&trials, options, &Measures::default());
    assert_eq!((one_speaker.eer_interval, one_speaker.bootstrap.unwrap().speakers), (None, 1));

    // Two speakers: when one is drawn twice, there is no non-target trial.
    trials = vec![
        SpeakerTrial { score: 1.0, enrolment: 7, test: 7, is_target: true },
        SpeakerTrial { score: 0.0, enrolment: 7, test: 9, is_target: false },
    ];
    let two = intervals(&trials, options, &Measures::default());
    let undefined = two.bootstrap.unwrap().undefined;
    assert!((1..20).contains(&undefined), "{undefined}");
    assert_eq!(two.eer_interval, Some(Interval { low: 0.0, high: 0.0 }));

    let refused = |options| {
        let mut metrics = two.clone();
        let bootstrap = SpeakerBootstrap::new(trials.clone());
        bootstrap.apply(options, &Measures::default(), &mut metrics).unwrap_err().to_string()
    };
    assert!(refused(BootstrapOptions { replicates: 0, ..options }).contains("replicates is 0"));
    assert!(refused(BootstrapOptions { level: 1.0, ..options }).contains("level is 1"));
}
