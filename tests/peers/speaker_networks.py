"""Small networks of other toolkits with random weights, and what they answer: tests/data/models/peer_*.safetensors.

    python speaker_networks.py --wespeaker DIR --three-d-speaker DIR --speechbrain DIR --redimnet DIR --redimnet2 DIR --nemo DIR OUT

Each DIR is a checkout of the toolkit (wenet-e2e/wespeaker, modelscope/3D-Speaker, speechbrain/speechbrain, IDRnD/ReDimNet,
PalabraAI/redimnet2, NVIDIA/NeMo), and may be left out; its own definitions are run from there. Needs torch, numpy and safetensors; SpeechBrain also hyperpyyaml, tqdm, sentencepiece, scipy,
joblib, packaging, huggingface_hub and requests; ReDimNet torchaudio. A file has the `state_dict` under the toolkit's names as `model.*`, and
features `[batch, mel, frames]` as `x_N` with the embeddings `y_N` that the network gives in double precision. Newer files also have `grad_0`, the gradient of the
sum of squares of `y_0` with respect to `x_0`.
"""

import argparse
import pathlib
import sys
import types

import torch
from safetensors.torch import save_file

import nemo_definitions

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


def reach_the_cap(model):
    """Values above 20, where the networks with Res2 blocks cut off their ReLUs."""
    block = model.layer2[0]
    with torch.no_grad():
        block.bn1.bias.add_(20)
        block.conv3.weight.mul_(0.05)


def write(out, name, make, mels, answer=lambda output: output, adjust=lambda model: None):
    torch.manual_seed(20260)
    model = make().eval()
    perturb(model)
    adjust(model)
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
    # The gradient of the sum of the squared embeddings, by the statistics of BatchNorm that are in the file.
    features = tensors["x_0"].double().requires_grad_()
    # A definition may change its input in place.
    answer(model(features.clone().transpose(1, 2))).square().sum().backward()
    tensors["grad_0"] = features.grad.float()
    path = out / f"peer_{name}.safetensors"
    save_file(tensors, path)
    print(path.name, path.stat().st_size, "bytes,", len(tensors), "tensors, largest value", float(tensors["y_0"].abs().max()))


def package(name, folder):
    """Makes the modules of a package importable without running its __init__, which needs much that is not used here."""
    module = types.ModuleType(name)
    module.__path__ = [str(pathlib.Path(folder) / name)]
    sys.modules[name] = module


def three_d_speaker(out):
    from speakerlab.models.campplus.DTDNN import CAMPPlus
    from speakerlab.models.eres2net.ERes2Net import ERes2Net
    from speakerlab.models.eres2net.ERes2NetV2 import ERes2NetV2

    sizes = dict(embedding_size=6, growth_rate=2, bn_size=2, init_channels=8)
    write(out, "cam_plus_plus", lambda: CAMPPlus(feat_dim=16, **sizes), mels=16)
    sizes = dict(num_blocks=[1, 2, 1, 2], m_channels=2, embedding_size=6)
    write(out, "eres2net", lambda: ERes2Net(feat_dim=16, **sizes), mels=16, adjust=reach_the_cap)
    from speakerlab.models.res2net.Res2Net import Res2Net

    make = lambda: Res2Net(feat_dim=16, **sizes)
    write(out, "three_d_speaker_res2net", make, mels=16, adjust=reach_the_cap)
    sizes = dict(num_blocks=[2, 1, 2, 1], m_channels=2, embedding_size=6, baseWidth=40, scale=3, expansion=3)
    write(out, "eres2net_v2", lambda: ERes2NetV2(feat_dim=16, **sizes), mels=16, adjust=reach_the_cap)


def wespeaker(out):
    from wespeaker.models import ecapa_tdnn, gemini_dfresnet, pooling_layers, repvgg, res2net, resnet, samresnet

    last = lambda output: output[-1]
    depths = {18: [2, 2, 2, 2], 34: [3, 4, 6, 3], 50: [3, 4, 6, 3], 101: [3, 4, 23, 3], 152: [3, 8, 36, 3]}
    depths |= {221: [6, 16, 48, 3], 293: [10, 20, 64, 3]}
    for depth, blocks in depths.items():
        # The definition of each depth has no argument for the width; its blocks are checked here instead.
        whole = getattr(resnet, f"ResNet{depth}")(feat_dim=8, embed_dim=4)
        assert [len(whole.layer1), len(whole.layer2), len(whole.layer3), len(whole.layer4)] == blocks
        block = type(whole.layer1[0])
        sizes = dict(m_channels=2 if depth in (18, 50) else 1, feat_dim=16, embed_dim=5)
        make = lambda: resnet.ResNet(block, blocks, **sizes)
        write(out, f"wespeaker_resnet{depth}", make, mels=16, answer=last)

    for name, pooling in (("astp", "ASTP"), ("mqmha", "MQMHASTP")):
        sizes = dict(m_channels=1, feat_dim=16, embed_dim=5, pooling_func=pooling)
        make = lambda: resnet.ResNet(resnet.BasicBlock, depths[18], **sizes)
        write(out, f"wespeaker_resnet18_{name}", make, mels=16, answer=last)

    def rep_vgg(deploy):
        sizes = dict(num_blocks=[2, 1, 3, 2], strides=[1, 1, 2, 2, 2], width_multiplier=[1, 1, 1, 1], base_width=2)
        return repvgg.RepVGG(**sizes, deploy=deploy, pooling_func="TSTP", feat_dim=16, embed_dim=6)

    def make_small(model):
        """Its initial weights let values grow from block to block."""
        with torch.no_grad():
            model.seg.weight.mul_(0.01)

    write(out, "wespeaker_repvgg", lambda: rep_vgg(False), mels=16, adjust=make_small)
    write(out, "wespeaker_repvgg_deploy", lambda: rep_vgg(True), mels=16)

    make = lambda: res2net.Res2Net(2, [1, 2, 1, 2], feat_dim=16, embed_dim=6)
    write(out, "wespeaker_res2net", make, mels=16, adjust=reach_the_cap)
    make = lambda: gemini_dfresnet.Gemini_DF_ResNet([3, 3, 9, 3], [2, 2, 4, 8, 16], feat_dim=16, embed_dim=6)
    assert [len(stage) for stage in gemini_dfresnet.Gemini_DF_ResNet60(80, 4).stages] == [3, 3, 9, 3]
    write(out, "wespeaker_gemini_df_resnet60", make, mels=16, answer=last)

    for depth in (34, 100):
        definition = getattr(samresnet, f"SimAM_ResNet{depth}_ASP")
        sizes = dict(in_planes=1, embed_dim=6, acoustic_dim=16)
        write(out, f"wespeaker_simam_resnet{depth}", lambda: definition(**sizes), mels=16)

    def ecapa(global_context, emb_bn):
        model = ecapa_tdnn.ECAPA_TDNN(channels=16, feat_dim=12, embed_dim=6, emb_bn=emb_bn)
        # 1536 channels are more than a small file can hold.
        model.conv = torch.nn.Conv1d(48, 20, kernel_size=1)
        model.pool = pooling_layers.ASTP(in_dim=20, global_context_att=global_context)
        model.bn = torch.nn.BatchNorm1d(40)
        model.linear = torch.nn.Linear(40, 6)
        return model

    write(out, "wespeaker_ecapa", lambda: ecapa(False, False), mels=12, answer=last)

    def xi():
        model = ecapa(False, False)
        model.pool = pooling_layers.XI(in_dim=20)
        model.bn = torch.nn.BatchNorm1d(20)
        model.linear = torch.nn.Linear(20, 6)
        return model

    def draw_prior(model):
        with torch.no_grad():
            model.pool.prior_mean.normal_()
            model.pool.prior_logprec.normal_()

    write(out, "wespeaker_ecapa_xi", xi, mels=12, answer=last, adjust=draw_prior)
    write(out, "wespeaker_ecapa_glob", lambda: ecapa(True, True), mels=12, answer=last)


def speechbrain(out):
    from speechbrain.lobes.models.ECAPA_TDNN import ECAPA_TDNN

    sizes = dict(channels=[16, 16, 16, 16, 24], attention_channels=10, res2net_scale=4, se_channels=8)
    write(out, "speechbrain_ecapa", lambda: ECAPA_TDNN(12, lin_neurons=6, **sizes), mels=12)


class Features(torch.nn.Module):
    """In the place of a front end inside the network: the features are given."""

    def forward(self, features):
        return features.transpose(1, 2)


def draw_weights(model):
    """What starts at 0 or 1 in ReDimNet: the weights of the sums, LayerNorm."""
    with torch.no_grad():
        for name, value in model.named_parameters():
            if name.endswith(".w"):
                value.normal_()
            elif name.endswith(("red_dim_conv.1.weight", "layer_norm.weight", "stem.1.weight")):
                value.uniform_(0.7, 1.3)
            elif name.endswith(("red_dim_conv.1.bias", "layer_norm.bias", "stem.1.bias")):
                value.uniform_(-0.2, 0.2)


def redimnet(out):
    from redimnet.model import ReDimNetWrap

    def network(**options):
        model = ReDimNetWrap(F=12, C=2, block_1d_type="conv+att", embed_dim=6, **options)
        model.spec = Features()
        return model

    # Stride, blocks, expansion, kernel (not used), reduction.
    stages = [(1, 1, 1, [(3, 3)], 6), (2, 1, 2, [(3, 3)], 3), (3, 2, 1, [(3, 3)], None)]
    options = [
        ("basic", dict(block_2d_type="basic_resnet", group_divisor=1, global_context_att=True)),
        ("basic_se", dict(block_2d_type="basic_resnet_fwse", group_divisor=2, global_context_att=True)),
        ("convnext", dict(block_2d_type="convnext_like", group_divisor=2, emb_bn=True)),
    ]
    for name, kind in options:
        make = lambda: network(stages_setup=stages, **kind)
        write(out, f"redimnet_{name}", make, mels=12, adjust=draw_weights)


def redimnet2(out):
    from redimnet2.redimnet2 import ReDimNet2Wrap

    def network(**options):
        # Strides of frequency and time, blocks, expansion, kernel (not used), reduction.
        stages = [((1, 1), 1, 2, [(3, 3)], 6), ((2, 2), 2, 0.75, [(3, 3)], None), ((1, 2), 1, 1, [(3, 3)], 3)]
        model = ReDimNet2Wrap(F=12, C=2, causal="none", stages_setup=stages, embed_dim=6, **options)
        model.spec = Features()
        return model

    for name, options in [
        ("redimnet2", {}),
        ("redimnet2_head", dict(out_channels=5)),
        ("redimnet2_planar", dict(out_channels=5, return_2d_output=True)),
    ]:
        write(out, name, lambda: network(**options), mels=12, adjust=draw_weights)


def nemo(out):
    nemo_definitions.wide_squeeze_excitation()
    sizes = dict(mels=16, filters=16, aggregated=24, attention=10, embedding=6)
    write(out, "nemo_titanet", lambda: nemo_definitions.TitaNet(**sizes), mels=16)
    sizes |= dict(filters=24, kernels=[5], repeat=2)
    write(out, "nemo_titanet_short", lambda: nemo_definitions.TitaNet(**sizes), mels=16)


# The package of each toolkit, and its networks.
TOOLKITS = {
    "three_d_speaker": ("speakerlab", three_d_speaker),
    "wespeaker": ("wespeaker", wespeaker),
    "speechbrain": ("speechbrain", speechbrain),
    "redimnet": ("redimnet", redimnet),
    "redimnet2": ("redimnet2", redimnet2),
    "nemo": (None, nemo),
}


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    for toolkit in TOOLKITS:
        parser.add_argument(f"--{toolkit.replace('_', '-')}", metavar="DIR")
    parser.add_argument("out", type=pathlib.Path)
    arguments = parser.parse_args()
    for toolkit, (name, write_networks) in TOOLKITS.items():
        if folder := getattr(arguments, toolkit):
            package(name, folder) if name else nemo_definitions.load(folder)
            write_networks(arguments.out)


if __name__ == "__main__":
    main()
