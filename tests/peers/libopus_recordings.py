#!/usr/bin/env python3
"""Opus recordings by libopus, for crates/audio/tests/opus.rs.

    python3 tests/peers/libopus_recordings.py tests/data/audio/libopus

Needs numpy, scipy, safetensors, opus-tools and FFmpeg with libopus. A synthetic voice of 0.4 s is coded in each of Opus' modes
(speech at 10 kbit/s, hybrid at 24, music at 64) and in each container. expected.safetensors has what libopus decodes: 16-bit
samples at 48 kHz, [samples, channels], by opusdec; of Matroska by FFmpeg with libopus.
"""
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
from safetensors.numpy import save_file
from scipy.io import wavfile
from scipy.signal import lfilter

RATE = 48_000


def voice(seconds, pitch, seed):
    """Pulses through three resonances, with breath."""
    random = np.random.default_rng(seed)
    n = np.arange(int(seconds * RATE))
    phase = np.cumsum(pitch * (1 + 0.1 * np.sin(2 * np.pi * 3 * n / RATE)) / RATE)
    signal = np.diff(np.floor(phase), prepend=0) + 0.02 * random.standard_normal(len(n))
    for hz, width in ((600, 80), (1400, 120), (2600, 200)):
        r = np.exp(-np.pi * width / RATE)
        signal = lfilter([1 - r], [1, -2 * r * np.cos(2 * np.pi * hz / RATE), r * r], signal)
    return 0.5 * signal / np.abs(signal).max()


def run(*command):
    subprocess.run([str(part) for part in command], check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)


def main():
    folder = Path(sys.argv[1])
    folder.mkdir(parents=True, exist_ok=True)
    expected = {}
    with tempfile.TemporaryDirectory() as scratch:
        mono, stereo, decoded = (Path(scratch) / name for name in ("mono.wav", "stereo.wav", "decoded.wav"))
        left, right = voice(0.4, 120, 1), voice(0.4, 210, 2)
        wavfile.write(mono, RATE, (left * 32767).astype(np.int16))
        wavfile.write(stereo, RATE, (np.stack([left, right], 1) * 32767).astype(np.int16))
        for name, source, options in (
            ("speech.opus", mono, ["--bitrate", 10, "--framesize", 60]),
            ("hybrid.opus", mono, ["--bitrate", 24]),
            ("music.opus", stereo, ["--bitrate", 64]),
            ("short_frames.opus", mono, ["--bitrate", 48, "--framesize", 2.5]),
        ):
            run("opusenc", "--quiet", "--padding", 0, *options, source, folder / name)
            run("opusdec", "--quiet", "--rate", RATE, "--no-dither", folder / name, decoded)
            expected[name] = wavfile.read(decoded)[1]
        for name, options in (("voip.webm", ["-application", "voip"]), ("voip.mp4", ["-application", "voip"])):
            run("ffmpeg", "-y", "-i", mono, "-c:a", "libopus", "-b:a", "24k", *options, "-bitexact", folder / name)
        run("ffmpeg", "-y", "-c:a", "libopus", "-i", folder / "voip.webm", "-c:a", "pcm_s16le", decoded)
        expected["voip.webm"] = wavfile.read(decoded)[1]
    tensors = {name: np.atleast_2d(samples.T).T.copy() for name, samples in expected.items()}
    save_file(tensors, folder / "expected.safetensors")


if __name__ == "__main__":
    main()
