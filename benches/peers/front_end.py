"""Times other toolkits' front ends and ours in turns, on one thread each, and prints median rates and ratios.

    cargo build --release --example front_end_server
    python3 benches/peers/front_end.py target/release/examples/front_end_server

Packages: torch 2.11, torchaudio 2.11, kaldi-native-fbank 1.23, scipy 1.17, numpy 2.4 (the README has the command). Every
subject runs for some 0.3 s at a time, one after the other, over and over: what else the machine does hits all alike.
Time is processor time of the thread that works, where the system tells it (Linux), else time on the clock.

Input: 2 s of noise at 16 kHz, 80 bands; the convolution is with an impulse response of 0.5 s.
"""

import os

for variable in ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS"):
    os.environ[variable] = "1"

import statistics
import subprocess
import sys
import time

import numpy as np

SLICE_S = 0.3
ROUNDS = 25


def noise(samples, seed):
    n = np.arange(samples, dtype=np.uint32)
    value = ((n ^ np.uint32(seed * 40503)) * np.uint32(2654435761)) >> np.uint32(8)
    return (value / 16777216.0 * 0.6 - 0.3).astype(np.float32)


class Ours:
    def __init__(self, program):
        pipe = subprocess.PIPE
        self.child = subprocess.Popen([program], stdin=pipe, stdout=pipe, text=True)

    def seconds(self):
        try:
            with open(f"/proc/{self.child.pid}/schedstat") as file:
                return int(file.read().split()[0]) * 1e-9
        except OSError:
            return time.perf_counter()

    def stage(self, name):
        def run(count):
            begun = self.seconds()
            self.child.stdin.write(f"{name} {count}\n")
            self.child.stdin.flush()
            if self.child.stdout.readline() != "done\n":
                raise SystemExit(f"{self.child.args[0]} failed at {name}")
            return self.seconds() - begun

        return run


def theirs(function):
    def run(count):
        begun = time.thread_time()
        for _ in range(count):
            function()
        return time.thread_time() - begun

    return run


def peers():
    import kaldi_native_fbank
    import scipy.signal
    import torch
    import torchaudio

    torch.set_num_threads(1)
    crop = noise(32000, 1)
    response = noise(8000, 2) * np.exp(-6.9 * np.arange(8000) / 8000).astype(np.float32)
    tensor = torch.from_numpy(crop)[None]
    scaled = (crop * 32768).tolist()
    mel = torchaudio.transforms.MelSpectrogram(
        16000, n_fft=512, win_length=400, hop_length=160, n_mels=80, window_fn=torch.hann_window
    )
    options = kaldi_native_fbank.FbankOptions()
    options.frame_opts.dither = 0
    options.mel_opts.num_bins = 80

    def log_mel():
        with torch.no_grad():
            return (mel(tensor) + 1e-6).log()

    def fbank():
        with torch.no_grad():
            return torchaudio.compliance.kaldi.fbank(tensor * 32768, num_mel_bins=80)

    def native():
        computer = kaldi_native_fbank.OnlineFbank(options)
        computer.accept_waveform(16000, scaled)
        computer.input_finished()
        return np.stack([computer.get_frame(i) for i in range(computer.num_frames_ready)])

    def convolution():
        return scipy.signal.fftconvolve(crop, response)[:32000]

    versions = {m.__name__: m.__version__ for m in (torch, torchaudio, kaldi_native_fbank, scipy, np)}
    print(", ".join(f"{name} {version}" for name, version in versions.items()))
    return {
        "log-mel": {"torchaudio MelSpectrogram": theirs(log_mel)},
        "fbank": {"torchaudio kaldi.fbank": theirs(fbank), "kaldi-native-fbank": theirs(native)},
        "reverb": {"scipy fftconvolve": theirs(convolution)},
    }


def main():
    if len(sys.argv) != 2:
        raise SystemExit(__doc__)
    ours = Ours(sys.argv[1])
    print(f"load average {os.getloadavg()[0]:.1f} on {os.cpu_count()} processors")
    for stage, others in peers().items():
        subjects = {"ours": ours.stage(stage), **others}
        counts = {}
        for name, run in subjects.items():
            run(20)
            counts[name] = max(1, int(20 * SLICE_S / max(run(20), 1e-6)))
        rates = {name: [] for name in subjects}
        for _ in range(ROUNDS):
            for name, run in subjects.items():
                rates[name].append(counts[name] / run(counts[name]))
        for name in subjects:
            median = statistics.median(rates[name])
            ratio = statistics.median(a / b for a, b in zip(rates["ours"], rates[name]))
            low, high = min(rates[name]), max(rates[name])
            print(f"{stage:8} {name:28} {median:8.0f}/s ({low:.0f} to {high:.0f}); ours is {ratio:.2f} times it")


if __name__ == "__main__":
    main()
