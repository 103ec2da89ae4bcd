"""Writes what scikit-learn and scipy say about small partitions, for crates/clustering/tests/sklearn.rs.

    python3 tests/peers/sklearn_clusters.py > tests/data/clustering/sklearn.json

Packages: numpy 2, scipy 1.17, scikit-learn 1.9. Points are rounded to 3 digits, so that they are the same as text.
"""

import json

import numpy as np
from scipy.cluster.hierarchy import fcluster, linkage
from scipy.optimize import linear_sum_assignment
from scipy.spatial.distance import pdist
from sklearn import metrics
from sklearn.metrics.cluster import contingency_matrix, pair_confusion_matrix


def quality(clusters, classes):
    table = contingency_matrix(classes, clusters)
    rows, columns = linear_sum_assignment(table, maximize=True)
    (_, only_clusters), (only_classes, both) = pair_confusion_matrix(classes, clusters)
    precision = both / (both + only_clusters) if both + only_clusters else 0.0
    recall = both / (both + only_classes) if both + only_classes else 0.0
    return {
        "nmi": metrics.normalized_mutual_info_score(classes, clusters),
        "ari": metrics.adjusted_rand_score(classes, clusters),
        "homogeneity": metrics.homogeneity_score(classes, clusters),
        "completeness": metrics.completeness_score(classes, clusters),
        "v_measure": metrics.v_measure_score(classes, clusters),
        "purity": table.max(axis=0).sum() / table.sum(),
        "inverse_purity": table.max(axis=1).sum() / table.sum(),
        "pair_precision": precision,
        "pair_recall": recall,
        "pair_f": 2 * precision * recall / (precision + recall) if precision + recall else 0.0,
        "matched_accuracy": table[rows, columns].sum() / table.sum(),
    }


def first_seen(labels):
    numbers = {}
    return [numbers.setdefault(label, len(numbers)) for label in labels.tolist()]


def main():
    rng = np.random.default_rng(7)
    truth = rng.integers(6, size=120)
    noisy = np.where(rng.random(120) < 0.3, rng.integers(9, size=120), truth)
    split = truth * 2 + rng.integers(2, size=120)
    pairs = {
        "noisy": (noisy, truth),
        "split": (split, truth),
        "merged": (truth // 2, truth),
        "same": ((truth + 2) % 6, truth),
        "unrelated": (rng.integers(4, size=120), truth),
        "one cluster": (np.zeros(120, int), truth),
        "alone": (np.arange(120), truth),
        "one and one": (np.zeros(5, int), np.zeros(5, int)),
    }
    cases = [
        {"name": name, "clusters": a.tolist(), "classes": b.tolist(), **quality(a, b)} for name, (a, b) in pairs.items()
    ]
    means = rng.standard_normal((5, 8))
    labels = rng.integers(5, size=150)
    labels[labels == 4] = 3
    labels[17] = 4  # alone in its cluster
    points = np.round(means[labels] + rng.standard_normal((150, 8)), 3)
    unit = points / np.linalg.norm(points, axis=1, keepdims=True)
    validity = {
        "points": points.ravel().tolist(),
        "dim": 8,
        "labels": labels.tolist(),
        "silhouette": metrics.silhouette_score(unit, labels, metric="cosine"),
        "calinski_harabasz": metrics.calinski_harabasz_score(unit, labels),
        "davies_bouldin": metrics.davies_bouldin_score(unit, labels),
    }
    trees = {}
    for method in ("average", "complete", "single", "ward", "weighted"):
        tree = linkage(pdist(unit, "cosine"), method)
        limit = float((tree[-8, 2] + tree[-9, 2]) / 2)
        trees[method] = {
            "heights": tree[:, 2].tolist(),
            "k8": first_seen(fcluster(tree, 8, "maxclust")),
            "limit": limit,
            "cut": first_seen(fcluster(tree, limit, "distance")),
        }
    print(json.dumps({"quality": cases, "validity": validity, "ahc": trees}, default=float))


main()
