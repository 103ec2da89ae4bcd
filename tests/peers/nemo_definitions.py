"""NVIDIA NeMo's TitaNet and its features, by NeMo's own definitions from a checkout, without what they import and do not need.

For `speaker_networks.py`, `exported_models.py` and `nemo_mel.py`.
"""

import pathlib
import sys
import types

import torch


class Anything:
    """In the place of a class or a value that is only named."""

    def __init__(self, *arguments, **named):
        pass


class Access:
    """Of `AccessMixin`: nothing is to be kept of what the layers compute."""

    def is_access_enabled(self, guid=None):
        return False


class Adapters:
    """Of `AdapterModuleMixin`: there are none."""

    def is_adapter_available(self):
        return False


def module(name, **content):
    found = types.ModuleType(name)
    found.__dict__.update(content)
    sys.modules[name] = found
    return found


def load(folder):
    """Makes `nemo.collections.asr` importable: `folder` is a checkout of NVIDIA/NeMo."""
    for name in ("nemo", "nemo.collections", "nemo.collections.asr", "nemo.collections.asr.modules"):
        module(name).__path__ = [str(pathlib.Path(folder).joinpath(*name.split(".")))]
    for part in ("parts", "parts.submodules", "parts.preprocessing"):
        name = f"nemo.collections.asr.{part}"
        module(name).__path__ = [str(pathlib.Path(folder).joinpath(*name.split(".")))]
    quiet = lambda *arguments, **named: None
    module("nemo.utils", logging=types.SimpleNamespace(info=quiet, warning=quiet, debug=quiet))
    module("omegaconf", MISSING=None, DictConfig=Anything, ListConfig=Anything, OmegaConf=Anything)
    module("nemo.collections.asr.parts.utils", adapter_utils=None)
    module("nemo.collections.common.parts.utils", activation_registry={"relu": torch.nn.ReLU})
    module("nemo.core.classes.common", typecheck=lambda: lambda function: function)
    module("nemo.core.classes.exportable", Exportable=Anything)
    module("nemo.core.classes.module", NeuralModule=torch.nn.Module)
    adapters = module(
        "nemo.core.classes.mixins.adapter_mixins",
        AdapterModuleMixin=Adapters,
        get_registered_adapter=lambda base: Anything,
    )
    module("nemo.core.classes.mixins", AccessMixin=Access, adapter_mixins=adapters)
    kinds = ("AcousticEncodedRepresentation", "LengthsType", "LogitsType", "LogprobsType", "NeuralType", "SpectrogramType")
    module("nemo.core.neural_types", **dict.fromkeys(kinds, Anything))
    module("nemo.collections.asr.parts.preprocessing.perturb", AudioAugmentor=Anything)
    module("nemo.collections.asr.parts.preprocessing.segment", AudioSegment=Anything)


class TitaNet(torch.nn.Module):
    """Encoder and decoder as examples/speaker_tasks/recognition/conf/titanet-large.yaml puts them together, without the layer of
    the speakers. Features are `[batch, frames, mel]`, and all of an utterance's frames are valid."""

    def __init__(self, mels=80, filters=1024, aggregated=3072, kernels=(7, 11, 15), repeat=3, attention=128, embedding=192):
        super().__init__()
        from nemo.collections.asr.modules.conv_asr import ConvASREncoder, SpeakerDecoder

        def block(filters, kernel, repeat, residual):
            each = dict(stride=[1], dilation=[1], separable=True, se=True, se_context_size=-1, kernel_size_factor=1.0)
            dropout = 0.1 if residual else 0.0
            return dict(filters=filters, repeat=repeat, kernel=[kernel], dropout=dropout, residual=residual, **each)

        mega_blocks = [block(filters, kernel, repeat, True) for kernel in kernels]
        blocks = [block(filters, 3, 1, False), *mega_blocks, block(aggregated, 1, 1, False)]
        self.encoder = ConvASREncoder(blocks, activation="relu", feat_in=mels, conv_mask=True)
        sizes = dict(feat_in=aggregated, num_classes=1, emb_sizes=embedding, attention_channels=attention)
        self.decoder = SpeakerDecoder(pool_mode="attention", **sizes)
        self.decoder.final = torch.nn.Identity()

    def forward(self, features):
        lengths = torch.full((len(features),), features.shape[1])
        encoded, lengths = self.encoder(features.transpose(1, 2), lengths)
        _, embedding = self.decoder(encoded, lengths)
        return embedding


def wide_squeeze_excitation():
    """`SqueezeExcite` changes its input to 32 bits. This leaves 64 bits as they are."""
    from nemo.collections.asr.parts.submodules import jasper

    jasper.torch = types.SimpleNamespace(**{**vars(torch), "float32": torch.float64})
