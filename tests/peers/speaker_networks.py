"""Small networks of other toolkits with random weights, and what they answer: tests/data/models/peer_*.safetensors.

    python speaker_networks.py --wespeaker DIR --three-d-speaker DIR --speechbrain DIR OUT

Each DIR is a checkout of the toolkit (wenet-e2e/wespeaker, modelscope/3D-Speaker, speechbrain/speechbrain); its own
definitions are run from there. Needs torch, numpy and safetensors; SpeechBrain also hyperpyyaml, tqdm, sentencepiece, scipy,
joblib, packaging, huggingface_hub and requests. A file has the `state_dict` under the toolkit's names as `model.*`, and
features `[batch, mel, frames]` as `x_N` with the embeddings `y_N` that the network gives in double precision.
"""

import argparse
import pathlib
import sys
import types

import torch
from safetensors.torch import save_file

FRAMES = [(2, 64), (1, 150), (1, 317)]


def perturb(model):
    """BatchNorm as after some training: no statistic and no scale is left at its initial value."""
    for module in model.modules():
        if isinstance(module, torch.nn.modules.batchnorm._BatchNorm):
            torch.nn.init.uniform_(module.running_mean, -0.2, 0.2)
            torch.nn.init.uniform_(module.running_var, 0.6, 1.4)
            if module.affine:
                torch.nn.init.uniform_(module.weight, 0.7, 1.3)
                torch.nn.init.uniform_(module.bias, -0.2, 0.2)


def write(out, name, make, mels, answer=lambda output: output):
    torch.manual_seed(20260)
    model = make().eval()
    perturb(model)
    tensors = {
        f"model.{key}": value.clone().contiguous()
        for key, value in model.state_dict().items()
        if not key.endswith("num_batches_tracked")
    }
    model = model.double()
    for index, (batch, frames) in enumerate(FRAMES):
        features = torch.randn(batch, mels, frames)
        with torch.no_grad():
            embedding = answer(model(features.double().transpose(1, 2)))
        tensors[f"x_{index}"] = features
        tensors[f"y_{index}"] = embedding.reshape(batch, -1).contiguous()
    path = out / f"peer_{name}.safetensors"
    save_file(tensors, path)
    print(path.name, path.stat().st_size, "bytes,", len(tensors), "tensors, largest value", float(tensors["y_0"].abs().max()))


def package(name, folder):
    """Makes the modules of a package importable without running its __init__, which needs much that is not used here."""
    module = types.ModuleType(name)
    module.__path__ = [str(pathlib.Path(folder) / name)]
    sys.modules[name] = module


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--wespeaker", required=True)
    parser.add_argument("--three-d-speaker", required=True)
    parser.add_argument("--speechbrain", required=True)
    parser.add_argument("out", type=pathlib.Path)
    args = parser.parse_args()
    for name, folder in [
        ("wespeaker", args.wespeaker),
        ("speakerlab", args.three_d_speaker),
        ("speechbrain", args.speechbrain),
    ]:
        package(name, folder)

    from speakerlab.models.campplus.DTDNN import CAMPPlus
    from wespeaker.models import ecapa_tdnn, pooling_layers, resnet

    write(
        args.out,
        "cam_plus_plus",
        lambda: CAMPPlus(feat_dim=16, embedding_size=6, growth_rate=2, bn_size=2, init_channels=8),
        mels=16,
    )

    depths = {18: [2, 2, 2, 2], 34: [3, 4, 6, 3], 50: [3, 4, 6, 3], 101: [3, 4, 23, 3], 152: [3, 8, 36, 3]}
    depths |= {221: [6, 16, 48, 3], 293: [10, 20, 64, 3]}
    for depth, blocks in depths.items():
        # The definition of each depth has no argument for the width; its blocks are checked here instead.
        whole = getattr(resnet, f"ResNet{depth}")(feat_dim=8, embed_dim=4)
        assert [len(whole.layer1), len(whole.layer2), len(whole.layer3), len(whole.layer4)] == blocks
        block = type(whole.layer1[0])
        width = 2 if depth in (18, 50) else 1
        write(
            args.out,
            f"wespeaker_resnet{depth}",
            lambda: resnet.ResNet(block, blocks, m_channels=width, feat_dim=16, embed_dim=5),
            mels=16,
            answer=lambda output: output[-1],
        )

    def ecapa(global_context, emb_bn):
        model = ecapa_tdnn.ECAPA_TDNN(channels=16, feat_dim=12, embed_dim=6, emb_bn=emb_bn)
        # 1536 channels are more than a small file can hold.
        model.conv = torch.nn.Conv1d(48, 20, kernel_size=1)
        model.pool = pooling_layers.ASTP(in_dim=20, global_context_att=global_context)
        model.bn = torch.nn.BatchNorm1d(40)
        model.linear = torch.nn.Linear(40, 6)
        return model

    write(args.out, "wespeaker_ecapa", lambda: ecapa(False, False), mels=12, answer=lambda output: output[-1])
    write(args.out, "wespeaker_ecapa_glob", lambda: ecapa(True, True), mels=12, answer=lambda output: output[-1])

    from speechbrain.lobes.models.ECAPA_TDNN import ECAPA_TDNN

    write(
        args.out,
        "speechbrain_ecapa",
        lambda: ECAPA_TDNN(
            12,
            lin_neurons=6,
            channels=[16, 16, 16, 16, 24],
            attention_channels=10,
            res2net_scale=4,
            se_channels=8,
        ),
        mels=12,
    )


if __name__ == "__main__":
    main()
