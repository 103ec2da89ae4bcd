//! Error rates against their definitions, written out the slow way.

use ffsvc_scoring::Pav;
use ffsvc_scoring::metrics::{DcfParameters, Definition, DetCurve, Measures, OperatingPoint, evaluate};
use proptest::prelude::*;

/// Rates at every possible threshold, counted anew for each: O(N^2).
fn points(target: &[f64], nontarget: &[f64]) -> Vec<(f64, f64, f64)> {
    let mut thresholds: Vec<f64> = target.iter().chain(nontarget).copied().collect();
    thresholds.push(f64::INFINITY);
    thresholds.sort_by(f64::total_cmp);
    thresholds.dedup();
    let share = |scores: &[f64], accepted: bool, threshold: f64| {
        scores.iter().filter(|&&s| (s >= threshold) == accepted).count() as f64 / scores.len() as f64
    };
    thresholds.iter().map(|&t| (t, share(target, false, t), share(nontarget, true, t))).collect()
}

/// Where the segment between two points has equal rates, if it does.
fn crossing(a: (f64, f64), b: (f64, f64)) -> Option<f64> {
    let (da, db) = (a.0 - a.1, b.0 - b.1);
    if da * db > 0.0 || da == db {
        return None;
    }
    let share = da / (da - db);
    Some(a.0 + share * (b.0 - a.0))
}

/// The crossing of successive points: the EER.
fn eer(points: &[(f64, f64, f64)]) -> f64 {
    let mut all = points.windows(2).filter_map(|w| crossing((w[0].1, w[0].2), (w[1].1, w[1].2)));
    all.next().expect("the curve goes from (0, 1) to (1, 0)")
}

/// The lowest crossing of any two points' chord: that of the convex hull.
fn rocch_eer(points: &[(f64, f64, f64)]) -> f64 {
    let mut least = f64::INFINITY;
    for a in points {
        for b in points {
            if let Some(rate) = crossing((a.1, a.2), (b.1, b.2)) {
                least = least.min(rate);
            }
        }
    }
    least
}

/// Cllr of mapped scores, written out.
fn cllr(target: &[f64], nontarget: &[f64], map: &dyn Fn(f64) -> f64) -> f64 {
    let mean = |scores: &[f64], sign: f64| {
        scores.iter().map(|&s| (1.0 + (sign * map(s)).exp()).log2()).sum::<f64>() / scores.len() as f64
    };
    (mean(target, -1.0) + mean(nontarget, 1.0)) / 2.0
}

/// Few distinct values, so that ties are the rule; both zeros among them.
fn tied_scores() -> impl Strategy<Value = Vec<f64>> {
    prop::collection::vec((-6i32..6, any::<bool>()), 1..40).prop_map(|scores| {
        let score = |(n, negative): (i32, bool)| {
            if n == 0 && negative { -0.0 } else { f64::from(n) / 4.0 }
        };
        scores.into_iter().map(score).collect()
    })
}

fn continuous_scores() -> impl Strategy<Value = Vec<f64>> {
    prop::collection::vec(-1.0f64..1.0, 1..40)
}

fn both_classes() -> impl Strategy<Value = (Vec<f64>, Vec<f64>)> {
    prop_oneof![(tied_scores(), tied_scores()), (continuous_scores(), continuous_scores())]
}

fn costs() -> impl Strategy<Value = DcfParameters> {
    (0.001f64..0.999, 0.1f64..10.0, 0.1f64..10.0)
        .prop_map(|(p, c_miss, c_fa)| DcfParameters::new(p, c_miss, c_fa).unwrap())
}

proptest! {
    #[test]
    fn the_curve_is_the_counted_one((target, nontarget) in both_classes()) {
        let curve = DetCurve::new(&target, &nontarget).unwrap();
        let found: Vec<_> = curve.points().map(|p| (p.threshold, p.p_miss, p.p_fa)).collect();
        prop_assert_eq!(&found, &points(&target, &nontarget));
        for (threshold, p_miss, p_fa) in found {
            prop_assert_eq!(curve.rates_at(threshold), OperatingPoint { threshold, p_miss, p_fa });
        }
    }

    #[test]
    fn eer_is_the_crossing((target, nontarget) in both_classes()) {
        let curve = DetCurve::new(&target, &nontarget).unwrap();
        let (found, slow) = (curve.eer(), points(&target, &nontarget));
        prop_assert!((found.rate - eer(&slow)).abs() < 1e-12);
        // What the threshold promises.
        let accepted = curve.rates_at(found.threshold);
        let rejected = curve.rates_at(found.threshold.next_up());
        prop_assert!(accepted.p_miss <= accepted.p_fa + 1e-12);
        prop_assert!(rejected.p_miss >= rejected.p_fa - 1e-12);
        prop_assert!((accepted.p_miss - 1e-12..=rejected.p_miss + 1e-12).contains(&found.rate));
    }

    #[test]
    fn rocch_eer_is_the_lowest_chord((target, nontarget) in both_classes()) {
        let curve = DetCurve::new(&target, &nontarget).unwrap();
        let found = curve.rocch_eer();
        prop_assert!((found - rocch_eer(&points(&target, &nontarget))).abs() < 1e-12);
        prop_assert!(found <= 0.5 + 1e-12 && found <= curve.eer().rate + 1e-12);
    }

    #[test]
    fn the_hull_holds_every_optimum((target, nontarget) in both_classes(), costs in costs()) {
        let curve = DetCurve::new(&target, &nontarget).unwrap();
        let cost = |p: &OperatingPoint| costs.cost(p.p_miss, p.p_fa) / costs.normaliser();
        let on_hull = curve.rocch().iter().map(cost).fold(f64::INFINITY, f64::min);
        prop_assert!((on_hull - curve.min_dcf(&costs).cost).abs() < 1e-12);
    }

    #[test]
    fn min_dcf_is_the_least_of_all_costs((target, nontarget) in both_classes(), costs in costs()) {
        let curve = DetCurve::new(&target, &nontarget).unwrap();
        let found = curve.min_dcf(&costs);
        let (c_miss, c_fa, p) = (costs.c_miss(), costs.c_fa(), costs.p_target());
        let least = points(&target, &nontarget)
            .iter()
            .map(|(_, p_miss, p_fa)| c_miss * p * p_miss + c_fa * (1.0 - p) * p_fa)
            .fold(f64::INFINITY, f64::min);
        prop_assert!((found.cost - least / (c_miss * p).min(c_fa * (1.0 - p))).abs() < 1e-12);
        prop_assert!(found.cost <= 1.0 + 1e-12);
        let at = curve.rates_at(found.threshold);
        prop_assert_eq!((at.p_miss, at.p_fa), (found.p_miss, found.p_fa));
    }

    #[test]
    fn actual_costs_are_counted_at_the_bayes_threshold((target, nontarget) in both_classes(), costs in costs()) {
        let metrics =
            evaluate(&target, &nontarget, Definition::Tied, &Measures::new(&[costs])).unwrap();
        let (found, least) = (metrics.act_dcf[0], metrics.min_dcf[0]);
        let odds = costs.c_miss() * costs.p_target() / (costs.c_fa() * (1.0 - costs.p_target()));
        let missed = target.iter().filter(|s| s.exp() * odds < 1.0).count() as f64 / target.len() as f64;
        let accepted = nontarget.iter().filter(|s| s.exp() * odds >= 1.0).count() as f64 / nontarget.len() as f64;
        // A score that is the threshold to the last digits may fall to either side.
        if !target.iter().chain(&nontarget).any(|s| (s + odds.ln()).abs() < 1e-12) {
            prop_assert_eq!((found.p_miss, found.p_fa), (missed, accepted));
        }
        prop_assert!(found.cost >= least.cost - 1e-12);
    }

    #[test]
    fn miss_rates_keep_to_their_false_alarm_rates((target, nontarget) in both_classes(), rate in 0.0f64..=1.0) {
        let measures = Measures::new(&[]).with_miss_at_fa(&[rate]).unwrap();
        let found = evaluate(&target, &nontarget, Definition::Tied, &measures).unwrap().miss_at_fa[0];
        let least = points(&target, &nontarget)
            .iter()
            .filter(|(_, _, p_fa)| *p_fa <= rate)
            .map(|(_, p_miss, _)| *p_miss)
            .fold(f64::INFINITY, f64::min);
        prop_assert_eq!(found.p_miss, least);
        let at = DetCurve::new(&target, &nontarget).unwrap().rates_at(found.threshold);
        prop_assert_eq!((at.p_miss, at.p_fa), (found.p_miss, found.p_fa));
    }

    #[test]
    fn pools_rise_and_no_monotone_map_costs_less((target, nontarget) in both_classes(), steps in prop::collection::vec(-3.0f64..3.0, 100)) {
        let pav = Pav::fit(&target, &nontarget).unwrap();
        let ratios: Vec<f64> = pav.pools().iter().map(|pool| pav.log_likelihood_ratio(pool)).collect();
        prop_assert!(ratios.windows(2).all(|pair| pair[0] < pair[1]), "{:?}", ratios);
        prop_assert!(pav.pools().windows(2).all(|pair| pair[0].high < pair[1].low));
        let counts = pav.pools().iter().fold((0, 0), |sum, p| (sum.0 + p.target, sum.1 + p.nontarget));
        prop_assert_eq!(counts, (target.len() as u64, nontarget.len() as u64));
        // What the pools cost is what their ratios cost, score by score.
        let calibrated = |score: f64| {
            let pool = pav.pools().iter().position(|pool| score <= pool.high).unwrap();
            ratios[pool]
        };
        let cost = |map: &dyn Fn(f64) -> f64| cllr(&target, &nontarget, map);
        prop_assert!((cost(&calibrated) - pav.min_cllr()).abs() < 1e-12);
        // Any other map that never falls: a step for each distinct score, from -3 upwards.
        let mut distinct: Vec<f64> = target.iter().chain(&nontarget).map(|s| s + 0.0).collect();
        distinct.sort_by(f64::total_cmp);
        distinct.dedup();
        let mut values: Vec<f64> = steps[..distinct.len()].to_vec();
        values.sort_by(f64::total_cmp);
        let other = |score: f64| values[distinct.iter().position(|&d| d == score).unwrap()];
        prop_assert!(cost(&other) >= pav.min_cllr() - 1e-12);
        prop_assert!((0.0..=1.0 + 1e-12).contains(&pav.min_cllr()));
    }

    #[test]
    fn cllr_is_the_mean_cost_in_bits((target, nontarget) in both_classes()) {
        let found = evaluate(&target, &nontarget, Definition::Tied, &Measures::default()).unwrap().cllr.unwrap();
        prop_assert!((found.actual - cllr(&target, &nontarget, &|s| s)).abs() < 1e-12);
        prop_assert_eq!(found.minimum, Pav::fit(&target, &nontarget).unwrap().min_cllr());
        prop_assert!(found.minimum <= found.actual + 1e-12);
    }

    #[test]
    fn order_and_monotone_maps_change_nothing((target, nontarget) in both_classes(), costs in costs()) {
        let curve = DetCurve::new(&target, &nontarget).unwrap();
        let reversed = |scores: &[f64]| scores.iter().rev().copied().collect::<Vec<_>>();
        let permuted = DetCurve::new(&reversed(&target), &reversed(&nontarget)).unwrap();
        prop_assert_eq!(curve.eer(), permuted.eer());
        prop_assert_eq!(curve.min_dcf(&costs), permuted.min_dcf(&costs));
        // Strictly increasing on [-1.5, 1.5] and exact enough to keep distinct scores distinct.
        let map = |s: &f64| s.mul_add(2.0, 5.0).powi(3);
        let mapped = |scores: &[f64]| scores.iter().map(map).collect::<Vec<_>>();
        let distinct = |scores: &[f64]| { let mut s = scores.to_vec(); s.sort_by(f64::total_cmp); s.dedup(); s.len() };
        let all: Vec<f64> = target.iter().chain(&nontarget).copied().collect();
        prop_assume!(distinct(&all) == distinct(&mapped(&all)));
        let stretched = DetCurve::new(&mapped(&target), &mapped(&nontarget)).unwrap();
        prop_assert_eq!(curve.eer().rate, stretched.eer().rate);
        prop_assert_eq!(map(&curve.eer().threshold), stretched.eer().threshold);
        prop_assert_eq!(curve.rocch_eer(), stretched.rocch_eer());
        prop_assert_eq!(curve.min_dcf(&costs).cost, stretched.min_dcf(&costs).cost);
    }
}

#[test]
fn textbook_cases() {
    let eer = |target: &[f64], nontarget: &[f64]| DetCurve::new(target, nontarget).unwrap().eer();
    let rocch = |target: &[f64], nontarget: &[f64]| DetCurve::new(target, nontarget).unwrap().rocch_eer();
    // Separable, inverted, identical.
    assert_eq!((eer(&[3.0, 4.0], &[1.0, 2.0]).rate, rocch(&[3.0, 4.0], &[1.0, 2.0])), (0.0, 0.0));
    assert_eq!(eer(&[3.0, 4.0], &[1.0, 2.0]).threshold, 3.0);
    assert_eq!((eer(&[1.0, 2.0], &[3.0, 4.0]).rate, rocch(&[1.0, 2.0], &[3.0, 4.0])), (1.0, 0.5));
    assert_eq!((eer(&[1.0; 3], &[1.0; 5]).rate, rocch(&[1.0; 3], &[1.0; 5])), (0.5, 0.5));
    // Infinite scores are ordered like others.
    let infinite = [f64::NEG_INFINITY, f64::INFINITY];
    assert_eq!(eer(&infinite, &[0.0, 1.0]).rate, 0.5);
}

#[test]
fn what_is_undefined_is_an_error() {
    let message = |r: Result<DetCurve, ffsvc_scoring::Error>| r.unwrap_err().to_string();
    assert!(message(DetCurve::new(&[1.0], &[])).contains("1 target and 0 non-target"));
    assert!(message(DetCurve::new(&[], &[1.0])).contains("0 target and 1 non-target"));
    assert!(message(DetCurve::new::<f64>(&[], &[])).contains("0 target and 0 non-target"));
    assert!(message(DetCurve::new(&[1.0, f64::NAN], &[1.0])).contains("target trial 2 is NaN"));
}
