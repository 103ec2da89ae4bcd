"""Times networks here, in PyTorch and in ONNX Runtime in turns, and prints medians and ratios.

    cargo build --release --example models_server
    python3 benches/peers/models.py target/release/examples/models_server [--threads 1] [--rounds 7] [--models cam++,...]
        [--wespeaker DIR] [--three-d-speaker DIR]

Packages: torch, onnx, onnxruntime, numpy. The definitions in networks.py have the layers and shapes of ours and random weights; only
speed is compared. With checkouts of WeSpeaker and 3D-Speaker, the networks of toolkit_networks.py are there too. A round runs
each subject once, in turns; the ratio is the median over rounds of our time by theirs, so more than 1 is slower. CPU time is that of all threads of a process. Threads that wait in a loop count in it, as those of PyTorch
and ONNX Runtime do, so with 2 threads look at wall time too, on an otherwise idle machine.

With --memory it prints the most memory of each subject instead, in a process of its own that does the work twice, and how much
of it the process had before the first time.
"""

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
import time

parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
parser.add_argument("server")
parser.add_argument("--threads", type=int, default=1)
parser.add_argument("--rounds", type=int, default=7)
parser.add_argument("--models", default="resnet34-c32,ecapa-c512,ecapa-c1024,cam++")
parser.add_argument("--tasks", default="one,many,step", help="one is 4 s; two: 2 s; long: ten minutes")
parser.add_argument("--memory", action="store_true")
parser.add_argument("--wespeaker", metavar="DIR")
parser.add_argument("--three-d-speaker", metavar="DIR")
parser.add_argument("--alone", help=argparse.SUPPRESS)
ARGS = parser.parse_args()
for variable in ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "RAYON_NUM_THREADS"):
    os.environ[variable] = str(ARGS.threads)

import numpy as np
import onnxruntime
import torch

import toolkit_networks
from networks import MELS, MODELS, SPEAKERS, AamSoftmax

MODELS = {name: (*model, MELS) for name, model in MODELS.items()}
MODELS |= toolkit_networks.networks(ARGS.wespeaker, ARGS.three_d_speaker)

torch.set_num_threads(ARGS.threads)
# Batch and frames (10 ms each).
TASKS = {
    "two": ("forward", 1, 200), "one": ("forward", 1, 400), "many": ("forward", 16, 200), "step": ("step", 16, 200), "long": ("forward", 1, 60000)
}


class Clock:
    """CPU and wall seconds of a process: this one, or a child, all threads together."""

    def __init__(self, pid=None):
        self.pid = pid

    def cpu(self):
        if self.pid is None:
            return time.process_time()
        total = 0
        for task in os.listdir(f"/proc/{self.pid}/task"):
            with open(f"/proc/{self.pid}/task/{task}/schedstat") as file:
                total += int(file.read().split()[0])
        return total * 1e-9

    def time(self, work):
        cpu, wall = self.cpu(), time.perf_counter()
        work()
        return self.cpu() - cpu, time.perf_counter() - wall


class Ours:
    def __init__(self, program):
        pipe = subprocess.PIPE
        self.child = subprocess.Popen([program], stdin=pipe, stdout=pipe, text=True)
        assert self.child.stdout.readline() == "ready\n"
        self.clock = Clock(self.child.pid)

    def run(self, request, count):
        self.child.stdin.write(f"{request} {count}\n")
        self.child.stdin.flush()
        assert np.isfinite(float(self.child.stdout.readline()))

    def size(self, name):
        """Millions of weights, and thousand millions of products for 2 s."""
        self.child.stdin.write(f"{name} size 1 200 1\n")
        self.child.stdin.flush()
        weights, products = self.child.stdout.readline().split()
        return float(weights) / 1e6, float(products) / 1e9

    def close(self):
        self.child.stdin.close()
        self.child.wait()


def onnx_session(model, features, folder):
    path = os.path.join(folder, "model.onnx")
    torch.onnx.export(model, features, path, dynamo=False, input_names=["features"])
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = ARGS.threads
    return onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])


def request(name, task):
    what, batch, frames = TASKS[task]
    return f"{name} {what} {batch} {frames}"


def others(name, task, with_onnx=True):
    """Functions that do the work so many times in PyTorch and ONNX Runtime, and their clocks."""
    what, batch, frames = TASKS[task]
    make, embedding, mels = MODELS[name]
    torch.manual_seed(1)
    model = make()
    features = torch.rand(batch, mels, frames)
    found = {}
    if what == "step":
        head = AamSoftmax(embedding)
        optimizer = torch.optim.SGD([*model.parameters(), *head.parameters()], lr=1e-3, momentum=0.9)
        speakers = torch.arange(batch) * 7 % SPEAKERS

        def steps(count):
            for _ in range(count):
                optimizer.zero_grad()
                head(model(features), speakers).backward()
                optimizer.step()

        found["PyTorch"] = (steps, Clock())
        return found
    model.eval()

    def forward(count):
        with torch.inference_mode():
            for _ in range(count):
                model(features)

    found["PyTorch"] = (forward, Clock())
    if not with_onnx:
        return found
    try:
        with tempfile.TemporaryDirectory() as folder:
            session = onnx_session(model, features, folder)
    except Exception as error:
        print(f"{name}: PyTorch cannot export it: {str(error).splitlines()[0]}", file=sys.stderr)
        return found
    array = features.numpy()

    def onnx(count):
        for _ in range(count):
            session.run(None, {"features": array})

    found["ONNX Runtime"] = (onnx, Clock())
    return found


def megabytes(key, pid="self"):
    """Of /proc/PID/status: VmRSS, memory now, or VmHWM, the most so far."""
    with open(f"/proc/{pid}/status") as file:
        return next(int(line.split()[1]) for line in file if line.startswith(key)) // 1024


def memory():
    """Peaks, each in a process of its own."""
    if ARGS.alone:
        run, _ = others(ARGS.models, ARGS.tasks, ARGS.alone != "PyTorch")[ARGS.alone]
        before = megabytes("VmRSS")
        run(2)
        print(before, megabytes("VmHWM"))
        return
    for name in ARGS.models.split(","):
        for task in ARGS.tasks.split(","):
            what, batch, frames = TASKS[task]
            ours = Ours(ARGS.server)
            before = megabytes("VmRSS", ours.child.pid)
            ours.run(request(name, task), 2)
            peaks = {"ours": (before, megabytes("VmHWM", ours.child.pid))}
            ours.close()
            for subject in ["PyTorch"] + ["ONNX Runtime"] * (what == "forward"):
                command = [sys.executable, __file__, ARGS.server, "--memory", "--alone", subject, "--models", name,
                           "--tasks", task, "--threads", str(ARGS.threads)]
                out = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, check=True)
                peaks[subject] = tuple(map(int, out.stdout.split()))
            parts = [f"{subject} {peak} MB, {before} before" for subject, (before, peak) in peaks.items()]
            print(f"{name:<13} {what:<8}{batch:>3} x {frames / 100:g} s   " + "   ".join(parts), flush=True)


def main():
    if ARGS.memory:
        return memory()
    ours = Ours(ARGS.server)
    print(f"torch {torch.__version__}, onnxruntime {onnxruntime.__version__}, {ARGS.threads} thread(s), "
          f"{ARGS.rounds} rounds; ratios are ours by theirs")
    for name in ARGS.models.split(","):
        weights, products = ours.size(name)
        print(f"{name}: {weights:.2f} million weights, {products:.2f} GMAC for 2 s", flush=True)
        for task in ARGS.tasks.split(","):
            what, batch, frames = TASKS[task]
            found = {"ours": (lambda count: ours.run(request(name, task), count), ours.clock), **others(name, task)}
            times = {subject: [] for subject in found}
            counts = {}
            for subject, (run, clock) in found.items():
                run(1)
                seconds, _ = clock.time(lambda: run(1))
                counts[subject] = max(1, round(0.3 / max(seconds, 1e-3)))
            for _ in range(ARGS.rounds):
                for subject, (run, clock) in found.items():
                    count = counts[subject]
                    times[subject].append([t / count for t in clock.time(lambda: run(count))])
            line = f"{name:<13} {what:<8}{batch:>3} x {frames / 100:g} s"
            for subject, measured in times.items():
                line += f"   {subject} {1e3 * statistics.median(cpu for cpu, _ in measured):.0f} ms"
                if subject != "ours":
                    cpu, wall = (
                        statistics.median(a[i] / b[i] for a, b in zip(times["ours"], measured)) for i in (0, 1)
                    )
                    line += f" ({cpu:.2f}, wall {wall:.2f})"
            print(line, flush=True)


main()
