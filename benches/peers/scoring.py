"""Times scoring by the baseline's loop, by vectorised numpy and by ours in turns, on one thread each, and prints medians and ratios.

    cargo build --release --example scoring_server
    python3 benches/peers/scoring.py target/release/examples/scoring_server

Packages: numpy 2.4, scipy 1.17. Time is processor time of the thread that works, where the system tells it (Linux), else time on
the clock.

What is timed:
  files    from a trial list (1 million trials of 5,000 utterances) and a file of embeddings (256 numbers) to EER and minDCF
  score    the same with the embeddings in memory
  metrics  EER and minDCF of 10 million scores
  as-norm  mean and standard deviation of the 300 highest of 5,994 cohort scores, for 68,543 embeddings of 256 numbers; beside
           it the matrix product alone, by numpy's BLAS
"""

import os

for variable in ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS", "RAYON_NUM_THREADS"):
    os.environ[variable] = "1"

import json
import statistics
import struct
import subprocess
import sys
import tempfile
import time

import numpy as np

DIM = 256
UTTERANCES = 5_000
TRIALS = 1_000_000
# The baseline's loops are timed on fewer.
LOOPED = 50_000
ROUNDS = 5


class Ours:
    def __init__(self, program, folder):
        pipe = subprocess.PIPE
        self.child = subprocess.Popen([program, folder], stdin=pipe, stdout=pipe, text=True)

    def seconds(self):
        """Processor time of all its threads."""
        folder = f"/proc/{self.child.pid}/task"
        try:
            total = 0
            for task in os.listdir(folder):
                with open(f"{folder}/{task}/schedstat") as file:
                    total += int(file.read().split()[0])
            return total * 1e-9
        except OSError:
            return time.perf_counter()

    def stage(self, name):
        def run():
            begun = self.seconds()
            self.child.stdin.write(f"{name} 1\n")
            self.child.stdin.flush()
            if self.child.stdout.readline() != "done\n":
                raise SystemExit(f"{self.child.args[0]} failed at {name}")
            return self.seconds() - begun

        return run


def theirs(function):
    def run():
        begun = time.process_time()
        function()
        return time.process_time() - begun

    return run


def write_safetensors(path, names, rows):
    header = {
        "__metadata__": {"keys": json.dumps(names)},
        "embeddings": {"dtype": "F32", "shape": list(rows.shape), "data_offsets": [0, rows.nbytes]},
    }
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    with open(path, "wb") as file:
        file.write(struct.pack("<Q", len(text)) + text + rows.tobytes())


def read_safetensors(path):
    with open(path, "rb") as file:
        content = file.read()
    (length,) = struct.unpack("<Q", content[:8])
    header = json.loads(content[8 : 8 + length])
    rows = np.frombuffer(content, dtype="<f4", offset=8 + length).reshape(header["embeddings"]["shape"])
    return json.loads(header["__metadata__"]["keys"]), rows


def unit(rows):
    return rows / np.linalg.norm(rows, axis=1, keepdims=True)


def make(folder):
    rng = np.random.default_rng(1)
    names = [f"id{n % 1251 + 10000}-x{n:010d}-{n:05d}" for n in range(UTTERANCES)]
    write_safetensors(f"{folder}/embeddings.safetensors", names, rng.standard_normal((UTTERANCES, DIM), np.float32))
    pairs = rng.integers(0, UTTERANCES, (TRIALS, 2))
    with open(f"{folder}/trials", "w") as file:
        file.writelines(f"{(a + b) % 2} {names[a]} {names[b]}\n" for a, b in pairs)
    for name, count in (("rows", 68_543), ("cohort", 5_994)):
        rows = unit(rng.standard_normal((count, DIM), np.float32))
        write_safetensors(f"{folder}/{name}.safetensors", [f"{name}{n}" for n in range(count)], rows)


def measure(target, nontarget):
    """EER and minDCF, vectorised: the points of the baseline's `compute_det_curve`."""
    scores = np.concatenate([target, nontarget])
    order = np.argsort(scores, kind="stable")
    is_target = order < len(target)
    misses = np.cumsum(is_target) / len(target)
    false_alarms = 1 - np.cumsum(~is_target) / len(nontarget)
    at = np.argmin(np.abs(misses - false_alarms))
    cost = np.min(0.01 * misses + 0.99 * false_alarms) / 0.01
    return (misses[at] + false_alarms[at]) / 2, cost


def measure_in_loops(target, nontarget):
    """The baseline's `ComputeMinDcf` with its lists and loops."""
    scores = [(score, True) for score in target] + [(score, False) for score in nontarget]
    scores.sort(key=lambda item: item[0])
    misses, false_alarms = 0, len(nontarget)
    best = float("inf")
    for _, is_target in scores:
        if is_target:
            misses += 1
        else:
            false_alarms -= 1
        cost = 0.01 * misses / len(target) + 0.99 * false_alarms / len(nontarget)
        best = min(best, cost)
    return best / 0.01


def numpy_scores(folder, embeddings=None):
    names, rows = embeddings or read_safetensors(f"{folder}/embeddings.safetensors")
    place = dict(zip(names, range(len(names))))
    with open(f"{folder}/trials") as file:
        words = file.read().split()
    labels = np.array(words[0::3]) == "1"
    a = np.fromiter(map(place.__getitem__, words[1::3]), np.int64, TRIALS)
    b = np.fromiter(map(place.__getitem__, words[2::3]), np.int64, TRIALS)
    rows = unit(rows)
    scores = np.empty(TRIALS, np.float32)
    for at in range(0, TRIALS, 10_000):
        part = slice(at, at + 10_000)
        np.einsum("ij,ij->i", rows[a[part]], rows[b[part]], out=scores[part])
    return measure(scores[labels], scores[~labels])


def baseline_scores(folder):
    """The baseline's `scoring.py`: scipy's cosine distance, trial by trial."""
    from scipy.spatial.distance import cosine

    names, rows = read_safetensors(f"{folder}/embeddings.safetensors")
    embeddings = dict(zip(names, rows))
    target, nontarget = [], []
    with open(f"{folder}/trials") as file:
        for _, line in zip(range(LOOPED), file):
            label, a, b = line.split()
            score = 1 - cosine(embeddings[a], embeddings[b])
            (target if label == "1" else nontarget).append(score)
    return measure_in_loops(target, nontarget)


def formula_scores(folder):
    """The same loop without scipy's checks: the formula alone."""
    names, rows = read_safetensors(f"{folder}/embeddings.safetensors")
    embeddings = dict(zip(names, rows))
    target, nontarget = [], []
    with open(f"{folder}/trials") as file:
        for _, line in zip(range(LOOPED), file):
            label, a, b = line.split()
            x, y = embeddings[a], embeddings[b]
            score = np.dot(x, y) / np.sqrt(np.dot(x, x) * np.dot(y, y))
            (target if label == "1" else nontarget).append(score)
    return measure_in_loops(target, nontarget)


def as_norm(rows, cohort, top=300):
    """WeSpeaker's `get_mean_std`, in blocks, by a partition where it sorts."""
    for at in range(0, len(rows), 1000):
        scores = rows[at : at + 1000] @ cohort.T
        highest = np.partition(scores, -top, axis=1)[:, -top:]
        highest.mean(axis=1), highest.std(axis=1)


def product(rows, cohort):
    for at in range(0, len(rows), 1000):
        rows[at : at + 1000] @ cohort.T


def stages(folder):
    embeddings = read_safetensors(f"{folder}/embeddings.safetensors")
    rows, cohort = (read_safetensors(f"{folder}/{name}.safetensors")[1] for name in ("rows", "cohort"))
    rng = np.random.default_rng(2)
    draw = lambda count, shift: (shift + rng.random((4, count), np.float32).sum(axis=0) / 8).astype(np.float32)
    target, nontarget = draw(1_000_000, 0.2), draw(9_000_000, 0.0)
    return {
        "files": (
            TRIALS,
            "trials",
            {
                "the baseline's loop (scipy)": (theirs(lambda: baseline_scores(folder)), LOOPED),
                "the loop, formula alone": (theirs(lambda: formula_scores(folder)), LOOPED),
                "numpy": (theirs(lambda: numpy_scores(folder)), TRIALS),
            },
        ),
        "score": (TRIALS, "trials", {"numpy": (theirs(lambda: numpy_scores(folder, embeddings)), TRIALS)}),
        "metrics": (
            len(target) + len(nontarget),
            "scores",
            {"numpy": (theirs(lambda: measure(target, nontarget)), len(target) + len(nontarget))},
        ),
        "as-norm": (
            len(rows),
            "embeddings",
            {
                "numpy": (theirs(lambda: as_norm(rows, cohort)), len(rows)),
                "numpy, product alone": (theirs(lambda: product(rows, cohort)), len(rows)),
            },
        ),
    }


def main():
    if len(sys.argv) < 2:
        raise SystemExit(__doc__)
    only = sys.argv[2:]
    print(f"numpy {np.__version__}; load average {os.getloadavg()[0]:.1f} on {os.cpu_count()} processors")
    with tempfile.TemporaryDirectory() as folder:
        make(folder)
        ours = Ours(sys.argv[1], folder)
        for stage, (count, unit_name, others) in stages(folder).items():
            if only and stage not in only:
                continue
            subjects = {"ours": (ours.stage(stage), count), **others}
            rates = {name: [] for name in subjects}
            subjects["ours"][0]()
            for _ in range(ROUNDS):
                for name, (run, done) in subjects.items():
                    rates[name].append(done / run())
            for name in subjects:
                ratio = statistics.median(a / b for a, b in zip(rates["ours"], rates[name]))
                low, median, high = min(rates[name]), statistics.median(rates[name]), max(rates[name])
                print(
                    f"{stage:8} {name:28} {median:12,.0f} {unit_name}/s ({low:,.0f} to {high:,.0f}); "
                    f"ours is {ratio:.2f} times it",
                    flush=True,
                )


if __name__ == "__main__":
    main()
