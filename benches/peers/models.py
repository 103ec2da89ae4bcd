"""Times networks here, in PyTorch and in ONNX Runtime in turns, and prints medians and ratios.

    cargo build --release --example models_server
    python3 benches/peers/models.py target/release/examples/models_server [--threads 1] [--rounds 7] [--models cam++,...]

Packages: torch, onnx, onnxruntime, numpy. The definitions below have the layers and shapes of ours and random weights; only
speed is compared. A round runs each subject once, in turns; the ratio is the median over rounds of our time by theirs, so more
than 1 is slower. CPU time is that of all threads of a process. Threads that wait in a loop count in it, as those of PyTorch
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
parser.add_argument("--tasks", default="one,many,step", help="and long: one recording of ten minutes")
parser.add_argument("--memory", action="store_true")
parser.add_argument("--alone", help=argparse.SUPPRESS)
ARGS = parser.parse_args()
for variable in ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "RAYON_NUM_THREADS"):
    os.environ[variable] = str(ARGS.threads)

import numpy as np
import onnxruntime
import torch
from torch import nn
from torch.nn import functional as F

torch.set_num_threads(ARGS.threads)
MELS, SPEAKERS = 80, 1000
# Batch and frames (10 ms each).
TASKS = {
    "one": ("forward", 1, 400), "many": ("forward", 16, 200), "step": ("step", 16, 200), "long": ("forward", 1, 60000)
}


class BasicBlock(nn.Module):
    def __init__(self, inputs, outputs, stride):
        super().__init__()
        self.conv1 = nn.Conv2d(inputs, outputs, 3, stride, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(outputs)
        self.conv2 = nn.Conv2d(outputs, outputs, 3, 1, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(outputs)
        self.shortcut = nn.Sequential()
        if stride != 1 or inputs != outputs:
            self.shortcut = nn.Sequential(
                nn.Conv2d(inputs, outputs, 1, stride, bias=False), nn.BatchNorm2d(outputs)
            )

    def forward(self, x):
        hidden = F.relu(self.bn1(self.conv1(x)))
        return F.relu(self.bn2(self.conv2(hidden)) + self.shortcut(x))


class ResNet34(nn.Module):
    def __init__(self, channels=32, embedding=256):
        super().__init__()
        self.stem = nn.Conv2d(1, channels, 3, 1, 1, bias=False)
        self.bn = nn.BatchNorm2d(channels)
        blocks, inputs = [], channels
        for stage, count in enumerate([3, 4, 6, 3]):
            outputs = channels << stage
            for block in range(count):
                blocks.append(BasicBlock(inputs, outputs, 2 if stage and not block else 1))
                inputs = outputs
        self.blocks = nn.Sequential(*blocks)
        self.embedding = nn.Linear(2 * inputs * MELS // 8, embedding)

    def forward(self, features):
        hidden = self.blocks(F.relu(self.bn(self.stem(features.unsqueeze(1)))))
        hidden = hidden.flatten(1, 2)
        std = (hidden.var(dim=2) + 1e-7).sqrt()
        return self.embedding(torch.cat([hidden.mean(dim=2), std], dim=1))


class SeRes2Block(nn.Module):
    def __init__(self, channels, dilation, scale=8, bottleneck=128):
        super().__init__()
        width = channels // scale
        self.conv1, self.bn1 = nn.Conv1d(channels, channels, 1), nn.BatchNorm1d(channels)
        self.convs = nn.ModuleList(
            nn.Conv1d(width, width, 3, padding=dilation, dilation=dilation, bias=False) for _ in range(scale - 1)
        )
        self.bns = nn.ModuleList(nn.BatchNorm1d(width) for _ in range(scale - 1))
        self.conv3, self.bn3 = nn.Conv1d(channels, channels, 1), nn.BatchNorm1d(channels)
        self.fc1, self.fc2 = nn.Linear(channels, bottleneck), nn.Linear(bottleneck, channels)
        self.scale = scale

    def forward(self, x):
        first, *groups = torch.chunk(self.bn1(F.relu(self.conv1(x))), self.scale, dim=1)
        outputs = [first]
        for index, (group, conv, bn) in enumerate(zip(groups, self.convs, self.bns)):
            outputs.append(bn(F.relu(conv(group + outputs[-1] if index else group))))
        hidden = self.bn3(F.relu(self.conv3(torch.cat(outputs, dim=1))))
        gain = torch.sigmoid(self.fc2(F.relu(self.fc1(hidden.mean(dim=2)))))
        return hidden * gain.unsqueeze(2) + x


class EcapaTdnn(nn.Module):
    def __init__(self, channels, embedding=192):
        super().__init__()
        rows = 3 * channels
        self.conv1, self.bn1 = nn.Conv1d(MELS, channels, 5, padding=2), nn.BatchNorm1d(channels)
        self.blocks = nn.ModuleList(SeRes2Block(channels, dilation) for dilation in (2, 3, 4))
        self.conv2 = nn.Conv1d(rows, rows, 1)
        self.attention1, self.attention2 = nn.Conv1d(3 * rows, 128, 1), nn.Conv1d(128, rows, 1)
        self.bn2 = nn.BatchNorm1d(2 * rows)
        self.fc, self.bn3 = nn.Linear(2 * rows, embedding), nn.BatchNorm1d(embedding)

    def forward(self, features):
        total = self.bn1(F.relu(self.conv1(features)))
        outputs = []
        for block in self.blocks:
            outputs.append(block(total))
            total = total + outputs[-1]
        hidden = F.relu(self.conv2(torch.cat(outputs, dim=1)))
        mean, std = hidden.mean(dim=2, keepdim=True), (hidden.var(dim=2, keepdim=True) + 1e-7).sqrt()
        seen = torch.cat([hidden, mean.expand_as(hidden), std.expand_as(hidden)], dim=1)
        weights = torch.softmax(self.attention2(torch.tanh(self.attention1(seen))), dim=2)
        mean = (weights * hidden).sum(dim=2)
        variance = (weights * hidden * hidden).sum(dim=2) - mean * mean
        pooled = torch.cat([mean, variance.clamp(min=1e-7).sqrt()], dim=1)
        return self.bn3(self.fc(self.bn2(pooled)))


class FrontBlock(BasicBlock):
    def __init__(self, channels, stride):
        super().__init__(channels, channels, (stride, 1))
        if stride == 1:
            self.shortcut = nn.Sequential()


class CamDenseLayer(nn.Module):
    def __init__(self, inputs, dilation, growth=32, inner=128):
        super().__init__()
        self.bn1, self.linear1 = nn.BatchNorm1d(inputs), nn.Conv1d(inputs, inner, 1, bias=False)
        self.bn2 = nn.BatchNorm1d(inner)
        self.local = nn.Conv1d(inner, growth, 3, padding=dilation, dilation=dilation, bias=False)
        self.context1, self.context2 = nn.Conv1d(inner, inner // 2, 1), nn.Conv1d(inner // 2, growth, 1)

    def forward(self, x):
        hidden = F.relu(self.bn2(self.linear1(F.relu(self.bn1(x)))))
        frames = hidden.shape[2]
        segments = F.avg_pool1d(hidden, 100, 100, ceil_mode=True)
        segments = segments.unsqueeze(3).expand(-1, -1, -1, 100).flatten(2)[:, :, :frames]
        context = hidden.mean(dim=2, keepdim=True) + segments
        mask = torch.sigmoid(self.context2(F.relu(self.context1(context))))
        return torch.cat([x, self.local(hidden) * mask], dim=1)


class CamPlusPlus(nn.Module):
    def __init__(self, embedding=192):
        super().__init__()
        self.front = nn.Sequential(
            nn.Conv2d(1, 32, 3, 1, 1, bias=False), nn.BatchNorm2d(32), nn.ReLU(),
            *(FrontBlock(32, stride) for stride in (2, 1, 2, 1)),
            nn.Conv2d(32, 32, 3, (2, 1), 1, bias=False), nn.BatchNorm2d(32), nn.ReLU(),
        )
        layers = [nn.Conv1d(32 * MELS // 8, 128, 5, 2, 2, bias=False), nn.BatchNorm1d(128), nn.ReLU()]
        channels = 128
        for count, dilation in ((12, 1), (24, 2), (16, 2)):
            layers += [CamDenseLayer(channels + 32 * layer, dilation) for layer in range(count)]
            channels += 32 * count
            layers += [nn.BatchNorm1d(channels), nn.ReLU(), nn.Conv1d(channels, channels // 2, 1, bias=False)]
            channels //= 2
        self.layers = nn.Sequential(*layers, nn.BatchNorm1d(channels), nn.ReLU())
        self.dense = nn.Linear(2 * channels, embedding, bias=False)
        self.bn = nn.BatchNorm1d(embedding, affine=False)

    def forward(self, features):
        hidden = self.layers(self.front(features.unsqueeze(1)).flatten(1, 2))
        statistics = torch.cat([hidden.mean(dim=2), hidden.var(dim=2).clamp(min=1e-14).sqrt()], dim=1)
        return self.bn(self.dense(statistics))


class AamSoftmax(nn.Module):
    def __init__(self, embedding, margin=0.2, scale=32.0):
        super().__init__()
        self.weight = nn.Parameter(torch.randn(SPEAKERS, embedding) * 0.1)
        self.cos, self.sin, self.scale = np.cos(margin), np.sin(margin), scale

    def forward(self, embeddings, speakers):
        cosine = F.linear(F.normalize(embeddings), F.normalize(self.weight))
        sine = (1.0 - cosine.square()).clamp(min=1e-9).sqrt()
        target = F.one_hot(speakers, SPEAKERS)
        logits = torch.where(target > 0, cosine * self.cos - sine * self.sin, cosine)
        return F.cross_entropy(self.scale * logits, speakers)


MODELS = {
    "resnet34-c32": (ResNet34, 256),
    "ecapa-c512": (lambda: EcapaTdnn(512), 192),
    "ecapa-c1024": (lambda: EcapaTdnn(1024), 192),
    "cam++": (CamPlusPlus, 192),
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
    make, embedding = MODELS[name]
    torch.manual_seed(1)
    model = make()
    features = torch.rand(batch, MELS, frames)
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
    with tempfile.TemporaryDirectory() as folder:
        session = onnx_session(model, features, folder)
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
