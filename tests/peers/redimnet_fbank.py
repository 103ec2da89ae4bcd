#!/usr/bin/env python3
"""ReDimNet's log-mel features, for crates/features/tests/log_mel.rs.

    python3 tests/peers/redimnet_fbank.py REDIMNET tests/data/features/crop200.safetensors tests/data/redimnet/log_mel.safetensors

REDIMNET is a checkout of IDRnD/ReDimNet, whose front end is run from there. Needs torch, torchaudio and safetensors. `bands` are
the logarithms of half a second, `mean_removed` is minus their mean over time, `[mel, frames]` each, with 72 bands.
"""

import pathlib
import sys
import types

import torch
from safetensors.torch import load_file, save_file


def main():
    folder, signal, out = sys.argv[1:]
    module = types.ModuleType("redimnet")
    module.__path__ = [str(pathlib.Path(folder) / "redimnet")]
    sys.modules["redimnet"] = module
    from redimnet.layers.features import MelBanks

    samples = load_file(signal)["input"][:8000]
    tensors = {"input": samples}
    for name, norm in [("bands", "none"), ("mean_removed", "mn")]:
        front_end = MelBanks(n_mels=72, spec_norm=norm)
        if norm == "none":
            front_end.spec_norm = torch.nn.Identity()
        tensors[name] = front_end.eval()(samples.unsqueeze(0))[0].contiguous()
    save_file(tensors, out)


if __name__ == "__main__":
    main()
