#!/usr/bin/env python3
"""Voice activity by the rule of Kaldi's compute-vad, in numpy, for crates/features/tests/vad.rs.

    python3 tests/peers/kaldi_vad.py tests/data/vad/kaldi.safetensors

Needs numpy and safetensors. Energies are those of compute-mfcc-feats --use-energy=true --dither=0 (raw energy, after the
mean of the frame is subtracted, at the scale of 16-bit samples); the rule is that of ComputeVadEnergy in
src/ivector/voice-activity-detection.cc, in single precision as there.
"""
import sys

import numpy as np
from safetensors.numpy import save_file

RATE = 8000
# energy_threshold, energy_mean_scale, frames_context, proportion_threshold: the defaults, two recipes', and odd ones.
OPTIONS = [(5.0, 0.5, 0, 0.6), (5.5, 0.5, 2, 0.12), (5.5, 0.5, 0, 0.6), (12.0, 0.0, 5, 0.5), (0.0, 1.0, 3, 0.99),
           (4.0, 0.5, 2, 0.6), (2.0, 1.0, 40, 0.4)]


def signal(rng):
    """Noise in bursts of many levels, with an offset."""
    samples = np.concatenate([rng.standard_normal(RATE // 20) * 10 ** rng.uniform(0.3, 3.8) for _ in range(24)])
    return np.clip(np.round(samples + 40.0), -32768, 32767)


def log_energies(samples):
    length, shift = RATE * 25 // 1000, RATE * 10 // 1000
    frames = np.lib.stride_tricks.sliding_window_view(samples, length)[::shift]
    frames = frames - frames.mean(axis=1, keepdims=True)
    return np.log(np.maximum((frames**2).sum(axis=1), np.finfo(np.float32).eps)).astype(np.float32)


def decide(energies, threshold, mean_scale, context, proportion):
    cut = np.float32(np.float32(threshold) + np.float32(mean_scale) * energies.mean(dtype=np.float64))
    loud = np.concatenate([[0], np.cumsum(energies > cut)])
    first = np.maximum(np.arange(len(energies)) - context, 0)
    last = np.minimum(np.arange(len(energies)) + context + 1, len(energies))
    needed = (last - first).astype(np.float32) * np.float32(proportion)
    return ((loud[last] - loud[first]).astype(np.float32) >= needed).astype(np.float32)


def main():
    if len(sys.argv) != 2:
        raise SystemExit(__doc__)
    samples = signal(np.random.default_rng(5))
    energies = log_energies(samples)
    decisions = np.stack([decide(energies, *options) for options in OPTIONS])
    shares = decisions.mean(axis=1)
    if not np.all((shares > 0) & (shares < 1)):
        print(f"some options decide all frames alike: {shares}", file=sys.stderr)
    save_file(
        {
            "samples": (samples / 32768.0).astype(np.float32),
            "log_energies": energies,
            "options": np.array(OPTIONS, dtype=np.float32),
            "decisions": decisions,
        },
        sys.argv[1],
    )


if __name__ == "__main__":
    main()
