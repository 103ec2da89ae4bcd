"""Networks that are timed in their toolkits' own definitions: WeSpeaker's, 3D-Speaker's and Resemblyzer's layers, random weights."""

import importlib
import pathlib
import sys
import types

import torch
from torch import nn


class Transposed(nn.Module):
    """The toolkits have the frames before the bands."""

    def __init__(self, network):
        super().__init__()
        self.network = network

    def forward(self, features):
        output = self.network(features.transpose(1, 2))
        return output[-1] if isinstance(output, tuple) else output


class Embedding(nn.Module):
    """`VoiceEncoder` of Resemblyzer, whose constructor wants a file of weights."""

    def __init__(self):
        super().__init__()
        self.lstm, self.linear = nn.LSTM(40, 256, 3, batch_first=True), nn.Linear(256, 256)

    def forward(self, features):
        _, (hidden, _) = self.lstm(features)
        embedding = torch.relu(self.linear(hidden[-1]))
        return embedding / torch.norm(embedding, dim=1, keepdim=True)


def package(name, folder):
    """Makes the modules of a package importable without running its __init__, which needs much that is not used here."""
    module = types.ModuleType(name)
    module.__path__ = [str(pathlib.Path(folder) / name)]
    sys.modules[name] = module


def networks(wespeaker, three_d_speaker):
    """Functions that make a network, size of its embedding, rows of its features; by the names of `networks/mod.rs`."""
    found = {"ge2e-lstm": (lambda: Transposed(Embedding()), 256, 40)}

    def add(name, module, kind, embedding=256, mels=80, **options):
        def make():
            network = getattr(importlib.import_module(module), kind)(**options)
            return Transposed(network) if mels == 80 or "redimnet2" not in name else network

        found[name] = (make, embedding, mels)

    if wespeaker:
        package("wespeaker", wespeaker)
        # Only its own features need it.
        sys.modules.setdefault("wespeaker.frontend", types.ModuleType("wespeaker.frontend"))
        tfmel = types.ModuleType("wespeaker.frontend.tfmel")
        for name in ("TFMelBanks", "TFSpectrogram", "NormalizeAudio", "PreEmphasis", "FbankAug"):
            setattr(tfmel, name, nn.Identity)
        sys.modules["wespeaker.frontend.tfmel"] = tfmel
        models = "wespeaker.models."
        sizes = dict(feat_dim=80, embed_dim=256)
        add("res2net", models + "res2net", "Res2Net34_Base", **sizes)
        add("gemini-df-resnet114", models + "gemini_dfresnet", "Gemini_DF_ResNet114", **sizes)
        add("repvgg", models + "repvgg", "REPVGG_TINY_A0", deploy=True, **sizes)
        add("simam-resnet34", models + "samresnet", "SimAM_ResNet34_ASP", embed_dim=256)
        add("redimnet-b2", models + "redimnet", "ReDimNetB2", 192, 72, embed_dim=192)
        add("redimnet2-b2", models + "redimnet2", "ReDimNet2B2", 192, 72, embed_dim=192)
    if three_d_speaker:
        package("speakerlab", three_d_speaker)
        models = "speakerlab.models.eres2net."
        add("eres2net", models + "ERes2Net", "ERes2Net", 512, embedding_size=512)
        add("eres2net-v2", models + "ERes2NetV2", "ERes2NetV2", 192, embedding_size=192)
    return found
