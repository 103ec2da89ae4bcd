#!/usr/bin/env python3
"""SpeechBrain's filter-bank features, for crates/features/tests/speechbrain_fbank.rs.

    python3 tests/peers/speechbrain_fbank.py SPEECHBRAIN tests/data/features/crop200.safetensors \\
        tests/data/speechbrain/fbank.safetensors

SPEECHBRAIN is a checkout of speechbrain/speechbrain, whose modules are run from there. Needs torch, torchaudio, safetensors
and what SpeechBrain imports. `bands` are the features of the signal's first second after a second of it scaled by 1e-5 (so
that the floor of 80 dB is seen), `[mel, frames]`; `mean_removed` is minus their mean over time.
"""

import pathlib
import sys
import types

import torch
from safetensors.torch import load_file, save_file


def main():
    folder, signal, out = sys.argv[1:]
    module = types.ModuleType("speechbrain")
    module.__path__ = [str(pathlib.Path(folder) / "speechbrain")]
    sys.modules["speechbrain"] = module
    from speechbrain.processing.features import STFT, Filterbank, spectral_magnitude

    samples = load_file(signal)["input"][:12000]
    samples = torch.cat([samples, samples * 1e-5]).unsqueeze(0)
    # As speechbrain.lobes.features.Fbank puts them together, with the settings of spkrec-ecapa-voxceleb.
    stft = STFT(sample_rate=16000, n_fft=400, win_length=25, hop_length=10)
    bands = Filterbank(n_fft=400, n_mels=80, f_min=0, f_max=8000, sample_rate=16000)
    features = bands(spectral_magnitude(stft(samples)))[0].T.contiguous()
    removed = features - features.mean(1, keepdim=True)
    save_file({"input": samples[0], "bands": features, "mean_removed": removed}, out)


if __name__ == "__main__":
    main()
