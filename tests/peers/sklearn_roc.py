#!/usr/bin/env python3
"""Expected error rates from scikit-learn and numpy, for crates/scoring/tests/sklearn.rs.

    python3 tests/peers/sklearn_roc.py > tests/data/scoring/sklearn.json

Needs numpy, scipy and scikit-learn. Scores are rounded so that some cases have many ties.
"""
import json
import sys

import numpy as np
import scipy
import sklearn
from scipy.interpolate import interp1d
from scipy.optimize import brentq
from sklearn.isotonic import IsotonicRegression
from sklearn.metrics import roc_curve

PRIORS = [(0.01, 1.0, 1.0), (0.05, 1.0, 1.0), (0.5, 1.0, 1.0), (0.01, 10.0, 1.0), (0.9, 1.0, 2.0)]


FALSE_ALARM_RATES = [0.0, 0.01, 0.1, 1.0]


def cllr(target, nontarget):
    """Bruemmer and du Preez's Cllr of natural log-likelihood ratios, infinite ones included."""
    return float((np.logaddexp(0, -target).mean() + np.logaddexp(0, nontarget).mean()) / (2 * np.log(2)))


def min_cllr(labels, scores):
    """Cllr after isotonic regression, with the sample's log odds of a target taken off."""
    share = IsotonicRegression().fit_transform(scores, labels)
    with np.errstate(divide="ignore"):
        ratios = np.log(share) - np.log1p(-share) - np.log(labels.sum() / (1 - labels).sum())
    return cllr(ratios[labels == 1], ratios[labels == 0])


def case(name, target, nontarget):
    scores = np.concatenate([target, nontarget])
    labels = np.concatenate([np.ones(len(target)), np.zeros(len(nontarget))])
    fpr, tpr, thresholds = roc_curve(labels, scores, drop_intermediate=False)
    if tpr[0] == tpr[-1] or fpr[0] == fpr[-1]:
        raise SystemExit(f"{name}: degenerate")
    # interp1d keeps one value for each abscissa, which is wrong on the vertical parts of the curve: walk along it.
    along = np.arange(len(fpr), dtype=float)
    f, t = interp1d(along, fpr), interp1d(along, tpr)
    eer = float(f(brentq(lambda x: 1.0 - t(x) - f(x), 0.0, along[-1], xtol=1e-14, rtol=1e-14)))
    dcf = []
    for p, c_miss, c_fa in PRIORS:
        cost = (c_miss * p * (1 - tpr) + c_fa * (1 - p) * fpr) / min(c_miss * p, c_fa * (1 - p))
        threshold = np.log(c_fa * (1 - p) / (c_miss * p))
        p_miss, p_fa = np.mean(target < threshold), np.mean(nontarget >= threshold)
        actual = (c_miss * p * p_miss + c_fa * (1 - p) * p_fa) / min(c_miss * p, c_fa * (1 - p))
        dcf.append({"p_target": p, "c_miss": c_miss, "c_fa": c_fa, "min": float(cost.min()), "actual": float(actual)})
    misses = [{"p_fa": rate, "p_miss": float((1 - tpr)[fpr <= rate].min())} for rate in FALSE_ALARM_RATES]
    return {
        "name": name,
        "target": target.tolist(),
        "nontarget": nontarget.tolist(),
        # roc_curve runs from "reject all" (threshold inf) downwards.
        "thresholds": ["inf"] + thresholds[1:].tolist(),
        "fpr": fpr.tolist(),
        "tpr": tpr.tolist(),
        "eer": eer,
        "min_dcf": dcf,
        "miss_at_fa": misses,
        "cllr": cllr(target, nontarget),
        "min_cllr": min_cllr(labels, scores),
    }


def main():
    rng = np.random.default_rng(20220722)

    def normal(n_target, n_nontarget, shift, digits):
        return (
            np.round(rng.normal(shift, 1.0, n_target), digits),
            np.round(rng.normal(0.0, 1.0, n_nontarget), digits),
        )

    cases = [
        case("continuous", *normal(120, 200, 1.5, 6)),
        case("ties", *normal(150, 250, 1.0, 1)),
        case("heavy ties", *normal(100, 300, 0.7, 0)),
        case("unbalanced", *normal(7, 311, 2.0, 3)),
        case("separable", np.round(rng.uniform(0.6, 1.0, 20), 3), np.round(rng.uniform(0.0, 0.5, 30), 3)),
        case("inverted", np.round(rng.uniform(0.0, 0.4, 20), 3), np.round(rng.uniform(0.5, 1.0, 30), 3)),
        case("identical", np.full(5, 0.25), np.full(8, 0.25)),
    ]
    versions = {"numpy": np.__version__, "scipy": scipy.__version__, "scikit-learn": sklearn.__version__}
    json.dump({"versions": versions, "cases": cases}, sys.stdout, separators=(",", ":"))
    print()


if __name__ == "__main__":
    main()
