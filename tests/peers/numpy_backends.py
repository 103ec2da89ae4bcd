#!/usr/bin/env python3
"""Expected LDA, PLDA, adaptation and calibration, for crates/scoring/tests/backends.rs and calibration.rs.

    python3 tests/peers/numpy_backends.py tests/data/scoring

Writes backends.json and calibration.json there. Needs numpy, scipy and scikit-learn. The back ends follow the equations
of Kaldi's ivector-compute-lda, ivector-compute-plda (PldaStats, PldaEstimator), Plda::LogLikelihoodRatio and
PldaUnsupervisedAdaptor step by step, speaker by speaker; CORAL and CORAL+ follow their papers; calibration is
minimised by scipy and compared with scikit-learn's logistic regression.
"""
import json
import sys
from pathlib import Path

import numpy as np
import scipy
import sklearn
from scipy.linalg import eigh, sqrtm
from scipy.optimize import minimize
from scipy.stats import multivariate_normal
from sklearn.linear_model import LogisticRegression

DIM = 5


def rounded(array, digits=5):
    """As it will be read: the program's embeddings are 32-bit floats."""
    return np.float64(np.float32(np.round(array, digits)))


def simulate(rng, speakers, mean, within, between):
    rows, owner = [], []
    for speaker in range(speakers):
        y = rng.multivariate_normal(mean, between)
        for _ in range(int(rng.integers(2, 6))):
            rows.append(rng.multivariate_normal(y, within))
            owner.append(speaker)
    return rounded(np.array(rows)), owner


def kaldi_lda(x, owner, dim, total_factor, floor=1e-6):
    x = x - x.mean(0)
    total_scatter, between_scatter = np.zeros((DIM, DIM)), np.zeros((DIM, DIM))
    for speaker in set(owner):
        rows = x[[o == speaker for o in owner]]
        total_scatter += rows.T @ rows
        between_scatter += len(rows) * np.outer(rows.mean(0), rows.mean(0))
    total = total_scatter / len(x)
    within = (total_scatter - between_scatter) / (len(x) - len(set(owner)))
    values, vectors = np.linalg.eigh(total_factor * total + (1 - total_factor) * within)
    values = np.maximum(values, floor * values.max())
    normalise = np.diag(values**-0.5) @ vectors.T
    values, vectors = np.linalg.eigh(normalise @ (total - within) @ normalise.T)
    return vectors[:, np.argsort(-values)[:dim]].T @ normalise


def length_norm(x):
    return x / np.linalg.norm(x, axis=1, keepdims=True) * np.sqrt(x.shape[1])


def kaldi_plda(x, owner, iterations):
    """mean, within, between"""
    dim = x.shape[1]
    scatter, total, info = np.zeros((dim, dim)), np.zeros(dim), []
    for speaker in sorted(set(owner)):
        rows = x[[o == speaker for o in owner]]
        mean = rows.mean(0)
        scatter += rows.T @ rows - len(rows) * np.outer(mean, mean)
        total += mean
        info.append((len(rows), mean))
    mean = total / len(info)
    within, between = np.eye(dim), np.eye(dim)
    for _ in range(iterations):
        within_stats, within_count = scatter.copy(), len(x) - len(info)
        between_stats, between_count = np.zeros((dim, dim)), 0
        for n, own in info:
            m = own - mean
            mixed = np.linalg.inv(np.linalg.inv(between) + n * np.linalg.inv(within))
            w = mixed @ (n * np.linalg.inv(within) @ m)
            between_stats += mixed + np.outer(w, w)
            between_count += 1
            within_stats += n * mixed + n * np.outer(m - w, m - w)
            within_count += 1
        within, between = within_stats / within_count, between_stats / between_count
    return mean, within, between


def diagonalise(within, between):
    """Kaldi's transform and psi. eigh solves the generalised problem, another way than ours."""
    psi, vectors = eigh(between, within)
    order = np.argsort(-psi)
    return vectors[:, order].T, psi[order]


def llr(within, between, enrolment, n, test):
    """Of a zero-mean average of n utterances and one test utterance: the ratio of joint to separate densities."""
    joint = np.block([[between + within / n, between], [between, between + within]])
    zeros = np.zeros(len(test))
    return float(
        multivariate_normal.logpdf(np.concatenate([enrolment, test]), np.zeros(2 * len(test)), joint)
        - multivariate_normal.logpdf(enrolment, zeros, between + within / n)
        - multivariate_normal.logpdf(test, zeros, between + within)
    )


def kaldi_llr(psi, enrolment, n, test):
    mean = n * psi / (n * psi + 1) * enrolment
    variance = 1 + psi / (n * psi + 1)
    given = -0.5 * np.sum(np.log(2 * np.pi * variance) + (test - mean) ** 2 / variance)
    without = -0.5 * np.sum(np.log(2 * np.pi * (1 + psi)) + test**2 / (1 + psi))
    return float(given - without)


def kaldi_adapt(mean, within, between, x, within_scale, between_scale, shift_scale):
    transform, psi = diagonalise(within, between)
    new_mean = x.mean(0)
    variance = x.T @ x / len(x) - np.outer(new_mean, new_mean)
    variance += shift_scale * np.outer(new_mean - mean, new_mean - mean)
    transform = transform / np.sqrt(1 + psi)[:, None]
    s, p = np.linalg.eigh(transform @ variance @ transform.T)
    w, b = p.T @ np.diag(1 / (1 + psi)) @ p, p.T @ np.diag(psi / (1 + psi)) @ p
    excess = np.diag(np.maximum(s - 1, 0))
    back = np.linalg.inv(p.T @ transform)
    return new_mean, back @ (w + within_scale * excess) @ back.T, back @ (b + between_scale * excess) @ back.T


def coral(within, between, domain):
    a = np.real(sqrtm(domain)) @ np.linalg.inv(np.real(sqrtm(within + between)))
    return a @ within @ a.T, a @ between @ a.T


def coral_plus(out, image, scale):
    values, vectors = eigh(image, out)
    back = np.linalg.inv(vectors.T)
    return out + scale * back @ np.diag(np.maximum(values - 1, 0)) @ back.T


def backends():
    rng = np.random.default_rng(6)

    def covariance(scale):
        a = rng.normal(size=(DIM, DIM))
        return scale * (a @ a.T / DIM + 0.2 * np.eye(DIM))

    x, owner = simulate(rng, 40, np.full(DIM, 0.5), covariance(0.5), covariance(1.0))
    domain, _ = simulate(rng, 20, np.full(DIM, -0.3), covariance(1.0), covariance(2.0))
    out = {"embeddings": x.tolist(), "speakers": owner, "domain": domain.tolist()}
    out["lda"] = kaldi_lda(x, owner, 3, 0.1).tolist()

    mean, within, between = kaldi_plda(x - x.mean(0), owner, 10)
    transform, psi = diagonalise(within, between)
    out["plda"] = {"mean": mean.tolist(), "within": within.tolist(), "between": between.tolist(), "psi": psi.tolist()}

    trials = []
    for _ in range(20):
        a, b, n = int(rng.integers(len(x))), int(rng.integers(len(x))), int(rng.integers(1, 6))
        u, v = x[a] - x.mean(0) - mean, x[b] - x.mean(0) - mean
        direct, projected = llr(within, between, u, n, v), kaldi_llr(psi, transform @ u, n, transform @ v)
        assert abs(direct - projected) < 1e-8 * max(1, abs(direct)), (direct, projected)

        def normalised(t, utterances):
            t = transform @ t
            return t * np.sqrt(DIM / np.sum(t**2 / (psi + 1 / utterances)))

        def simple(t):
            return (transform @ t) / np.linalg.norm(transform @ t) * np.sqrt(DIM)

        trials.append({
            "enrolment": a, "test": b, "utterances": n, "llr": direct,
            "expected": kaldi_llr(psi, normalised(u, n), n, normalised(v, 1)),
            "simple": kaldi_llr(psi, simple(u), n, simple(v)),
        })
    out["trials"] = trials

    smoothing = 0.2
    smoothed = psi / (1 + smoothing * psi)
    out["smoothed_psi"] = {"factor": smoothing, "psi": smoothed.tolist()}

    # The recipe's chain: centre, LDA, length, PLDA.
    projected = length_norm((x - x.mean(0)) @ np.array(out["lda"]).T)
    out["chain_psi"] = diagonalise(*kaldi_plda(projected, owner, 10)[1:])[1].tolist()

    centred = domain - domain.mean(0)
    variance = centred.T @ centred / len(centred)
    new_mean, w, b = kaldi_adapt(mean, within, between, centred, 0.3, 0.7, 1.0)
    cw, cb = coral(within, between, variance)
    pw, pb = coral_plus(within, cw, 0.8), coral_plus(between, cb, 0.6)
    out["adapted"] = {
        "variance": variance.tolist(),
        "kaldi": {"mean": new_mean.tolist(), "within": w.tolist(), "between": b.tolist()},
        "coral": {"within": cw.tolist(), "between": cb.tolist()},
        "coral_plus": {"within": pw.tolist(), "between": pb.tolist()},
    }
    return out


def calibrations():
    rng = np.random.default_rng(22)
    labels = np.arange(400) % 5 == 0
    shift = np.where(labels, 1.0, 0.0)
    first = np.round(0.1 + 0.2 * shift + 0.12 * rng.normal(size=400), 5)
    second = np.round(3.0 + 2.0 * shift + 1.5 * rng.normal(size=400), 4)
    duration = np.round(np.exp(rng.normal(1.0, 0.5, size=400)), 3)
    cases = []
    for name, columns, prior, ridge in [
        ("one system", [first], 0.5, 0.0),
        ("low prior", [first], 0.01, 0.0),
        ("fusion", [first, second], 0.05, 0.0),
        ("fusion with quality", [first, second, np.log(duration)], 0.1, 0.0),
        ("ridge", [first, second], 0.05, 0.01),
    ]:
        x = np.column_stack(columns)
        scaled = np.column_stack([(x - x.mean(0)) / x.std(0), np.ones(len(x))])
        tau = np.log(prior / (1 - prior))
        weight = np.where(labels, prior / labels.sum(), (1 - prior) / (~labels).sum())
        sign = np.where(labels, -1.0, 1.0)

        def cost(w):
            z = sign * (scaled @ w + tau)
            value = np.sum(weight * np.logaddexp(0, z)) + 0.5 * ridge * np.sum(w[:-1] ** 2)
            error = weight * sign / (1 + np.exp(-z))
            return value, scaled.T @ error + ridge * np.append(w[:-1], 0)

        best = minimize(cost, np.zeros(scaled.shape[1]), jac=True, method="BFGS", options={"gtol": 1e-12})
        w = best.x
        if ridge == 0.0:
            # The same minimum by another program, with the prior's logit in the intercept.
            other = LogisticRegression(C=np.inf, tol=1e-12, max_iter=10000)
            other.fit(scaled[:, :-1], labels, sample_weight=weight * len(x))
            found = np.append(other.coef_[0], other.intercept_[0] - tau)
            assert np.allclose(found, w, rtol=1e-3, atol=1e-4), (name, found, w)
        z = sign * (scaled @ w + tau)
        weights = w[:-1] / x.std(0)
        cases.append({
            "name": name, "prior": prior, "ridge": ridge, "inputs": [c.tolist() for c in columns],
            "weights": weights.tolist(), "offset": float(w[-1] - weights @ x.mean(0)),
            "cost": float(np.sum(weight * np.logaddexp(0, z)) / np.log(2)),
        })
    return {"labels": labels.tolist(), "cases": cases}


def main():
    folder = Path(sys.argv[1])
    versions = {"numpy": np.__version__, "scipy": scipy.__version__, "scikit-learn": sklearn.__version__}
    for name, content in [("backends", backends()), ("calibration", calibrations())]:
        text = json.dumps({"versions": versions, **content}, separators=(",", ":"))
        (folder / f"{name}.json").write_text(text + "\n")


if __name__ == "__main__":
    main()
