#!/usr/bin/env python3
"""NeMo's mel features, for crates/features/tests/nemo_mel.rs.

    python3 tests/peers/nemo_mel.py NEMO tests/data/features/crop200.safetensors tests/data/nemo/mel.safetensors

NEMO is a checkout of NVIDIA/NeMo, whose `FilterbankFeatures` is run from there with the settings of titanet-large.yaml, in
evaluation. Needs torch, librosa and safetensors. The signal is a quarter of a second, silence, and a quarter of a second scaled by
1e-4, so that the number under the logarithm is seen. `bands` are the logarithms, `[mel, frames]`, and `normalised` what the network
reads; the frames that NeMo adds behind the end are left out.
"""

import sys

import torch
from safetensors.torch import load_file, save_file

import nemo_definitions


def main():
    folder, signal, out = sys.argv[1:]
    nemo_definitions.load(folder)
    from nemo.collections.asr.parts.preprocessing.features import FilterbankFeatures

    samples = load_file(signal)["input"][:4000]
    samples = torch.cat([samples, torch.zeros(1000), samples * 1e-4])
    tensors = {"input": samples}
    for name, normalize in [("bands", None), ("normalised", "per_feature")]:
        sizes = dict(n_window_size=400, n_window_stride=160, n_fft=512, nfilt=80)
        front_end = FilterbankFeatures(**sizes, window="hann", normalize=normalize).eval()
        features, frames = front_end(samples.unsqueeze(0), torch.tensor([len(samples)]))
        tensors[name] = features[0, :, : frames.item()].contiguous()
    save_file(tensors, out)


if __name__ == "__main__":
    main()
