#!/usr/bin/env python3
"""Checkpoints of other toolkits through ffsvc-model and back into PyTorch: the weights must not have changed by a bit.

    python3 tests/peers/exported_models.py target/debug/ffsvc-model --baseline DIR --wespeaker DIR --three-d-speaker DIR \\
        --speechbrain DIR --redimnet DIR --redimnet2 DIR --nemo DIR

Each DIR is a checkout (FFSVC2022_Baseline_System, wenet-e2e/wespeaker, modelscope/3D-Speaker, speechbrain/speechbrain,
IDRnD/ReDimNet, PalabraAI/redimnet2, NVIDIA/NeMo) and may be left out. A network of its own definition with random weights is saved by torch.save in the zip and in the legacy format,
imported, exported in both forms, loaded by torch.load(weights_only=True) and safetensors, put into the definition with
load_state_dict, and compared. Needs torch, safetensors and what the definitions import.
"""

import argparse
import pathlib
import subprocess
import sys
import tempfile
import types

import torch
from safetensors.torch import load_file

import nemo_definitions


def package(name, folder):
    """Makes the modules of a package importable without running its __init__."""
    module = types.ModuleType(name)
    module.__path__ = [str(pathlib.Path(folder) / name)]
    sys.modules[name] = module


def check(program, toolkit, make, nested, beside=()):
    torch.manual_seed(3)
    model = make()
    for _ in range(2):
        for module in model.modules():
            if isinstance(module, torch.nn.modules.batchnorm._BatchNorm):
                torch.nn.init.uniform_(module.running_mean, -0.2, 0.2)
                torch.nn.init.uniform_(module.running_var, 0.6, 1.4)
    state = model.state_dict()
    content = {"model": state, "classifier": {"weight": torch.randn(7, 5)}, "epoch": 3} if nested else state
    with tempfile.TemporaryDirectory() as folder:
        folder = pathlib.Path(folder)
        for legacy in (False, True):
            torch.save(content, folder / "in.pt", _use_new_zipfile_serialization=not legacy)
            run = lambda *arguments: subprocess.run([program, *map(str, arguments)], check=True, stdout=subprocess.DEVNULL)
            run("import", "--from", toolkit, folder / "in.pt", folder / "model.safetensors")
            run("export", "--to", toolkit, folder / "model.safetensors", folder / "out.pt")
            run("export", "--to", "safetensors", folder / "model.safetensors", folder / "out.safetensors")
            out = torch.load(folder / "out.pt", weights_only=True)
            for weights in (out["model"] if nested else out, load_file(folder / "out.safetensors")):
                other = make()
                missing, surplus = other.load_state_dict(weights, strict=False)
                # The front end of ReDimNet is inside the network, and not in the file.
                assert not surplus and all(name.startswith(beside) for name in missing), (missing, surplus)
                for name, value in other.state_dict().items():
                    if not name.endswith("num_batches_tracked"):
                        assert torch.equal(value, state[name]), (toolkit, name)
    print(f"{toolkit}: {type(model).__name__}: {len(state)} tensors unchanged, from zip and legacy files")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("program")
    for name in ("baseline", "wespeaker", "three-d-speaker", "speechbrain", "redimnet", "redimnet2", "nemo"):
        parser.add_argument(f"--{name}")
    args = parser.parse_args()
    if args.three_d_speaker:
        package("speakerlab", args.three_d_speaker)
        from speakerlab.models.campplus.DTDNN import CAMPPlus

        check(args.program, "3dspeaker", lambda: CAMPPlus(feat_dim=80, embedding_size=192), False)
        from speakerlab.models.eres2net import ERes2Net, ERes2Net_huge, ERes2NetV2
        from speakerlab.models.res2net import Res2Net

        large = dict(baseWidth=24, scale=4, expansion=4)
        for make in (
            lambda: ERes2Net.ERes2Net(),
            lambda: ERes2Net.ERes2Net(m_channels=64, embedding_size=512),
            lambda: ERes2Net_huge.ERes2Net(),
            lambda: ERes2NetV2.ERes2NetV2(),
            lambda: ERes2NetV2.ERes2NetV2(**large),
            lambda: Res2Net.Res2Net(),
        ):
            check(args.program, "3dspeaker", make, False)
    if args.wespeaker:
        package("wespeaker", args.wespeaker)
        from wespeaker.models import ecapa_tdnn, gemini_dfresnet, repvgg, res2net, resnet, samresnet

        for network in ("SimAM_ResNet34_ASP", "SimAM_ResNet100_ASP"):
            check(args.program, "wespeaker", getattr(samresnet, network), False)
        networks = [getattr(resnet, f"ResNet{depth}") for depth in (34, 50, 293)]
        networks += [res2net.Res2Net34_Base, res2net.Res2Net34_Large]
        networks += [getattr(gemini_dfresnet, f"Gemini_DF_ResNet{depth}") for depth in (60, 114, 183, 237)]
        networks += [getattr(repvgg, f"REPVGG_{size}") for size in ("TINY_A0", "A0", "A1", "A2", "B0")]
        for network in networks:
            check(args.program, "wespeaker", lambda: network(feat_dim=80, embed_dim=64), False)
        for network in ("ECAPA_TDNN_c512", "ECAPA_TDNN_GLOB_c1024"):
            check(args.program, "wespeaker", lambda: getattr(ecapa_tdnn, network)(feat_dim=80, embed_dim=192), False)
    if args.speechbrain:
        package("speechbrain", args.speechbrain)
        from speechbrain.lobes.models.ECAPA_TDNN import ECAPA_TDNN

        channels = [1024, 1024, 1024, 1024, 3072]
        check(args.program, "speechbrain", lambda: ECAPA_TDNN(80, channels=channels, lin_neurons=192), False)
    if args.redimnet:
        package("redimnet", args.redimnet)
        from redimnet.model import ReDimNetWrap

        options = dict(block_1d_type="conv+att", global_context_att=True)
        stages = [(1, 2, 1, [(3, 3)], 30), (2, 3, 2, [(3, 3)], 30), (1, 3, 3, [(3, 3)], 30)]
        stages += [(2, 4, 2, [(3, 3)], 10), (1, 3, 1, [(3, 3)], 10)]
        b0 = dict(F=60, C=10, stages_setup=stages, block_2d_type="basic_resnet", group_divisor=1, **options)
        # The default stages are those of B2.
        for sizes in (b0, options):
            check(args.program, "redimnet", lambda: ReDimNetWrap(**sizes), False, beside=("spec.",))
    if args.redimnet2:
        package("redimnet2", args.redimnet2)
        from redimnet2.redimnet2 import ReDimNet2Wrap

        # The stages of B0.
        rest = [((1, 2), 4, 1, [(3, 3)], 36), ((2, 1), 5, 1, [(3, 3)], 36)]
        rest += [((1, 2), 4, 1, [(3, 3)], 18), ((2, 1), 3, 1, [(3, 3)], 18)]
        stages = [((1, 1), 2, 2, [(3, 3)], 36), ((2, 1), 3, 1, [(3, 3)], 36)] + rest
        b0 = dict(C=12, out_channels=64, causal="none", stages_setup=stages)
        check(args.program, "redimnet", lambda: ReDimNet2Wrap(**b0), False, beside=("spec.",))
    if args.nemo:
        nemo_definitions.load(args.nemo)
        for sizes in ({}, dict(filters=256)):
            check(args.program, "nemo", lambda: nemo_definitions.TitaNet(**sizes), False)
    if args.baseline:
        # Its folder `model` has no __init__.
        sys.path.insert(0, args.baseline)
        from model import resnet as baseline_resnet
        from model import tdnn as baseline_tdnn

        check(args.program, "ffsvc", lambda: baseline_resnet.ResNet34StatsPool(32, 256, dropout=0.5), True)
        ecapa = dict(in_dim=80, hidden_dim=512, scale=8, bottleneck=128, embedding_size=192)
        check(args.program, "ffsvc", lambda: baseline_tdnn.ECAPA_TDNN(**ecapa), True)


if __name__ == "__main__":
    main()
