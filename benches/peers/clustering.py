"""Times K-means here and elsewhere in turns, from the same start, on one thread each (or THREADS), and prints medians.

    cargo build --release --example kmeans_server
    python3 benches/peers/clustering.py target/release/examples/kmeans_server [POINTS] [DIM] [K] [ROUNDS] [THREADS]

Packages: numpy, scikit-learn 1.9, faiss-cpu 1.14, fastcluster 1.3. Time is processor time, of all threads together. Points are
length-normalised: speakers' means with a spread of sizes, within-speaker noise, and a second kind of variation that many
speakers share (a room), so that clusters overlap as those of real embeddings do. `iteration` is the time of 12
iterations minus that of 2, over ten: what comes before and after cancels. `fit` runs until no label changes. With at most
10,000 points, `ahc` is average linkage by cosine distance, the distances included.
"""

import os
import sys

THREADS = int(sys.argv[6]) if len(sys.argv) > 6 else 1
for variable in ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS", "RAYON_NUM_THREADS"):
    os.environ[variable] = str(THREADS)

import statistics
import subprocess
import tempfile
import time
import warnings

import fastcluster
import faiss
import numpy as np
from scipy.spatial.distance import squareform
from sklearn.cluster import KMeans
from sklearn.exceptions import ConvergenceWarning

warnings.simplefilter("ignore", ConvergenceWarning)
POINTS, DIM, K, ROUNDS = (
    int(sys.argv[at]) if len(sys.argv) > at else default
    for at, default in ((2, 100_000), (3, 256), (4, 100), (5, 3))
)


def embeddings(points, dim, rng):
    speakers = max(points // 600, 20)
    means = rng.standard_normal((speakers, dim), dtype=np.float32)
    rooms = rng.standard_normal((50, dim), dtype=np.float32)
    sizes = rng.dirichlet(np.full(speakers, 2.0))
    speaker = rng.choice(speakers, points, p=sizes)
    room = rng.integers(50, size=points)
    data = rng.standard_normal((points, dim), dtype=np.float32) * 0.9
    data += means[speaker]
    data += 0.4 * rooms[room]
    data /= np.linalg.norm(data, axis=1, keepdims=True)
    return data


class Ours:
    def __init__(self, program, rows, dim, start):
        pipe = subprocess.PIPE
        self.child = subprocess.Popen([program, rows, str(dim), start], stdin=pipe, stdout=pipe, text=True)
        assert self.child.stdout.readline() == "ready\n"

    def seconds(self):
        with open(f"/proc/{self.child.pid}/stat") as file:
            fields = file.read().rsplit(")", 1)[1].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def run(self, request):
        begun = self.seconds()
        self.child.stdin.write(request + "\n")
        self.child.stdin.flush()
        iterations, inertia, checksum = self.child.stdout.readline().split()
        return self.seconds() - begun, int(iterations), float(inertia), int(checksum)


def checksum(labels):
    total = 0xCBF29CE484222325
    for label in labels.tolist():
        total = ((total ^ label) * 0x100000001B3) & 0xFFFFFFFFFFFFFFFF
    return total


def sklearn(data, centres, iterations, algorithm="lloyd"):
    fit = KMeans(K, init=centres, n_init=1, max_iter=iterations, tol=0.0, algorithm=algorithm)
    begun = time.process_time()
    fit.fit(data)
    return time.process_time() - begun, fit.n_iter_, fit.inertia_, checksum(fit.labels_)


def faiss_kmeans(data, centres, iterations):
    fit = faiss.Kmeans(DIM, K, niter=iterations, max_points_per_centroid=len(data))
    begun = time.process_time()
    fit.train(data, init_centroids=centres)
    return time.process_time() - begun, iterations, fit.obj[-1], 0


def hierarchical(data):
    begun = time.process_time()
    distances = squareform(np.maximum(1.0 - data @ data.T, 0.0), checks=False)
    fastcluster.linkage(distances, "average", preserve_input=False)
    return time.process_time() - begun


def main():
    faiss.omp_set_num_threads(THREADS)
    rng = np.random.default_rng(1)
    data = embeddings(POINTS, DIM, rng)
    start = rng.choice(POINTS, K, replace=False).astype(np.uint32)
    with tempfile.TemporaryDirectory() as folder:
        rows, starts = os.path.join(folder, "rows"), os.path.join(folder, "start")
        data.tofile(rows)
        start.tofile(starts)
        ours = Ours(sys.argv[1], rows, DIM, starts)
    centres = data[start]
    subjects = {
        "ours, without bounds": lambda count: ours.run(f"iterations={count} plain"),
        "scikit-learn lloyd": lambda count: sklearn(data, centres, count),
        "faiss": lambda count: faiss_kmeans(data, centres, count),
    }
    fits = {
        "ours": lambda: ours.run("fit"),
        "scikit-learn lloyd": lambda: sklearn(data, centres, 100_000),
        "scikit-learn elkan": lambda: sklearn(data, centres, 100_000, "elkan"),
    }
    print(f"{POINTS} x {DIM}, K = {K}, {THREADS} thread(s), {ROUNDS} rounds")
    times = {name: [] for name in subjects}
    for _ in range(ROUNDS):
        for name, run in subjects.items():
            few, many = run(2)[0], run(12)[0]
            times[name].append((many - few) / 10)
    for name, seconds in times.items():
        shown = " ".join(f"{value:.3f}" for value in seconds)
        print(f"iteration  {name:<22} {statistics.median(seconds):8.3f} s   ({shown})")
    times = {name: [] for name in fits}
    last = {}
    for _ in range(ROUNDS):
        for name, run in fits.items():
            seconds, *last[name] = run()
            times[name].append(seconds)
    for name, seconds in times.items():
        iterations, inertia, labels = last[name]
        same = "same labels as ours" if labels == last["ours"][2] else "OTHER labels than ours"
        print(f"fit        {name:<22} {statistics.median(seconds):8.3f} s   {iterations} iterations, "
              f"inertia {inertia:.4f}, {same}")
    if POINTS <= 10_000:
        trees = {"ours": lambda: ours.run("ahc")[0], "fastcluster": lambda: hierarchical(data)}
        for name, run in trees.items():
            times[name] = []
        for _ in range(ROUNDS):
            for name, run in trees.items():
                times[name].append(run())
        for name in trees:
            print(f"ahc        {name:<22} {statistics.median(times[name]):8.3f} s")


main()
