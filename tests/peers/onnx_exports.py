#!/usr/bin/env python3
"""ONNX files of the toolkits' own export scripts through ffsvc-model import: ffsvc-extract must give ONNX Runtime's embeddings.

    python3 tests/peers/onnx_exports.py target/debug A.wav B.wav --wespeaker DIR --three-d-speaker DIR [--only NAME ...]
    python3 tests/peers/onnx_exports.py --fixtures tests/data/onnx --wespeaker DIR --three-d-speaker DIR

The first argument is the folder of the programs, A and B are recordings of speech of at least 3 seconds with 16 kHz. Each DIR is
a checkout (wenet-e2e/wespeaker, modelscope/3D-Speaker). Networks with random weights, of which no statistic and no scale of
BatchNorm is left at its initial value, are exported by `wespeaker/bin/export_onnx.py` and by `export_onnx_file` of
`speakerlab/bin/export_speaker_embedding_onnx.py`: with PyTorch's exporter by TorchScript, with the one by torch.export ("dynamo"),
and once more without any name, as exporters before PyTorch 1.13 wrote them ("unnamed"). The features are computed by
kaldi-native-fbank by the front end that the import names. With --fixtures, small networks are written with features and
ONNX Runtime's embeddings of them.

Needs numpy, torch, onnx, onnxruntime, onnxscript, pyyaml, safetensors, kaldi-native-fbank, soundfile.
"""

import argparse
import contextlib
import json
import pathlib
import runpy
import subprocess
import sys
import tempfile
import types
import warnings

import numpy
import onnx
import onnxruntime
import torch
import yaml

from speaker_networks import package, perturb

EXPORTERS = ("torchscript", "dynamo", "unnamed")
# Of the cosine.
TOLERANCE = 1e-5
# In samples.
LENGTHS = (46000, 12345)


def module(name, **members):
    """A module that only has these members, in the place of one that imports much more."""
    made = types.ModuleType(name)
    made.__dict__.update(members)
    sys.modules[name] = made


@contextlib.contextmanager
def exporter(dynamo):
    """The toolkit's script takes PyTorch's default: here it is the one that is wanted."""
    export = torch.onnx.export
    torch.onnx.export = lambda *arguments, **options: export(*arguments, **options, dynamo=dynamo)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        torch.onnx.export = export


def by_wespeaker(root, make, sizes, path, mean=None):
    """Runs WeSpeaker's script."""
    module("wespeaker.models.speaker_model", get_speaker_model=lambda name: make)
    model = make(**sizes)
    perturb(model)
    folder = path.parent
    torch.save(model.state_dict(), folder / "avg_model.pt")
    (folder / "run.yaml").write_text(yaml.dump({"model": "of_this_test", "model_args": sizes, "dataset_args": {"num_frms": 200}}))
    sys.argv = ["export_onnx.py", "--config", str(folder / "run.yaml"), "--checkpoint", str(folder / "avg_model.pt")]
    sys.argv += ["--output_model", str(path)]
    if mean is not None:
        numpy.save(folder / "mean.npy", mean)
        sys.argv += ["--mean_vec", str(folder / "mean.npy")]
    runpy.run_path(str(pathlib.Path(root) / "wespeaker/bin/export_onnx.py"), run_name="__main__")


def by_three_d_speaker(root, make, sizes, path, mean=None):
    """Runs the exporting function of 3D-Speaker's script, which has 80 bands built in."""
    nothing = lambda *arguments: None
    module("speakerlab.utils.builder", build=nothing, dynamic_import=nothing)
    module("speakerlab.utils.utils", get_logger=lambda: types.SimpleNamespace(info=nothing))
    module("speakerlab.utils.config", build_config=nothing)
    module("speakerlab.utils.fileio", load_wav_scp=nothing)
    module("modelscope.hub.snapshot_download", snapshot_download=nothing)
    module("modelscope.pipelines.util", is_official_hub_path=nothing)
    script = runpy.run_path(str(pathlib.Path(root) / "speakerlab/bin/export_speaker_embedding_onnx.py"), run_name="script")
    model = make(**sizes)
    perturb(model)
    script["export_onnx_file"](model.eval(), str(path))


def without_names(path):
    """Nodes and constants get numbers, as in files of old exporters."""
    model = onnx.load(path)
    names = {}
    for node in model.graph.node:
        for name in (*node.input, *node.output):
            if name and name not in ("feats", "embs", "feature", "embedding"):
                names.setdefault(name, str(len(names)))
    rename = lambda name: names.get(name, name)
    for tensor in model.graph.initializer:
        tensor.name = rename(tensor.name)
    for place, node in enumerate(model.graph.node):
        node.name = f"{node.op_type}_{place}"
        node.input[:] = [rename(name) for name in node.input]
        node.output[:] = [rename(name) for name in node.output]
    del model.graph.value_info[:]
    onnx.save(model, path)


def networks(arguments):
    """Name, script, definition, sizes: as published, or some of them with other stages."""
    found = []
    if arguments.wespeaker:
        package("wespeaker", arguments.wespeaker)
        from wespeaker.models import ecapa_tdnn, gemini_dfresnet, repvgg, res2net, resnet, samresnet

        def add(name, make, **sizes):
            found.append((name, by_wespeaker, arguments.wespeaker, make, dict(feat_dim=80, embed_dim=64) | sizes))

        for depth in (18, 34, 50, 293):
            add(f"wespeaker-resnet{depth}", getattr(resnet, f"ResNet{depth}"))
        add("wespeaker-resnet34-astp", resnet.ResNet34, pooling_func="ASTP")
        add("wespeaker-resnet34-mqmha", resnet.ResNet34, pooling_func="MQMHASTP")
        add("wespeaker-ecapa", ecapa_tdnn.ECAPA_TDNN_c512)
        add("wespeaker-ecapa-glob", ecapa_tdnn.ECAPA_TDNN_GLOB_c1024)
        add("wespeaker-res2net", res2net.Res2Net34_Base)
        add("wespeaker-gemini", gemini_dfresnet.Gemini_DF_ResNet114)
        add("wespeaker-repvgg", repvgg.REPVGG_TINY_A0)
        # Its definition takes the number of bands by another name, which the script does not know.
        simam = lambda feat_dim, embed_dim: samresnet.SimAM_ResNet34_ASP(embed_dim=embed_dim, acoustic_dim=feat_dim)
        add("wespeaker-simam", simam)
    if arguments.three_d_speaker:
        package("speakerlab", arguments.three_d_speaker)
        from speakerlab.models.campplus.DTDNN import CAMPPlus
        from speakerlab.models.eres2net import ERes2Net, ERes2NetV2

        def add(name, make, **sizes):
            sizes = dict(feat_dim=80, embedding_size=64) | sizes
            found.append((name, by_three_d_speaker, arguments.three_d_speaker, make, sizes))

        add("3dspeaker-campplus", CAMPPlus)
        add("3dspeaker-eres2net", ERes2Net.ERes2Net)
        add("3dspeaker-eres2netv2", ERes2NetV2.ERes2NetV2)
    return found


def export(script, root, make, sizes, path, how, mean=None):
    torch.manual_seed(20)
    with exporter(how == "dynamo"), contextlib.redirect_stdout(sys.stderr):
        script(root, make, sizes, path, mean)
    if how == "unnamed":
        without_names(path)


def check(name, how, programs, folder, recordings, script, root, make, sizes):
    from onnx_models import cosine_distance, embed, features

    run = lambda program, *arguments: subprocess.run(
        [programs / program, *map(str, arguments)], check=True, cwd=folder, stdout=subprocess.PIPE
    )
    path = folder / "network.onnx"
    mean = numpy.linspace(-0.1, 0.1, 64, dtype=numpy.float32) if name == "wespeaker-resnet34" else None
    export(script, root, make, sizes, path, how, mean)
    imported = json.loads(run("ffsvc-model", "import", path, "network.safetensors", "--json").stdout)
    session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    (given,) = session.get_inputs()
    worst = 0.0
    for length in LENGTHS:
        for samples in recordings:
            feats = features(samples[:length], imported["front_end"])
            theirs = session.run(None, {given.name: feats[None]})[0][0]
            ours = embed(run, folder, folder / "network.safetensors", samples[:length])
            worst = max(worst, cosine_distance(theirs, ours))
    opset = onnx.load(path, load_external_data=False).opset_import[0].version
    print(f"{name}, {how} (opset {opset}): {imported['toolkit']}, cosine distance {worst:.1e}", flush=True)
    assert worst <= TOLERANCE, (name, how, worst)


def write_fixtures(out, arguments):
    """Networks so small that a file has some tens of kB, with features and embeddings."""
    from safetensors.numpy import save_file
    from wespeaker.models import ecapa_tdnn, pooling_layers, resnet
    from speakerlab.models.campplus.DTDNN import CAMPPlus
    from speakerlab.models.eres2net.ERes2NetV2 import ERes2NetV2

    def narrow_resnet(feat_dim, embed_dim):
        return resnet.ResNet(resnet.BasicBlock, [2, 2, 2, 2], m_channels=1, feat_dim=feat_dim, embed_dim=embed_dim)

    def narrow_ecapa(feat_dim, embed_dim):
        model = ecapa_tdnn.ECAPA_TDNN(channels=8, feat_dim=feat_dim, embed_dim=embed_dim)
        model.conv = torch.nn.Conv1d(24, 12, kernel_size=1)
        model.pool = pooling_layers.ASTP(in_dim=12, global_context_att=True)
        model.bn = torch.nn.BatchNorm1d(24)
        model.linear = torch.nn.Linear(24, embed_dim)
        return model

    sizes = dict(num_blocks=[1, 1, 1, 1], m_channels=2, baseWidth=40, scale=2, expansion=2)
    eres2net = lambda feat_dim, embedding_size: ERes2NetV2(feat_dim=feat_dim, embedding_size=embedding_size, **sizes)
    wespeaker = (by_wespeaker, arguments.wespeaker)
    three_d_speaker = (by_three_d_speaker, arguments.three_d_speaker)
    ours = dict(feat_dim=16, embed_dim=5)
    for name, how, (script, root), make, size in [
        ("wespeaker_resnet18_torchscript", "torchscript", wespeaker, narrow_resnet, ours),
        ("wespeaker_resnet18_unnamed", "unnamed", wespeaker, narrow_resnet, ours),
        ("wespeaker_ecapa_dynamo", "dynamo", wespeaker, narrow_ecapa, ours),
        ("3dspeaker_eres2netv2_torchscript", "torchscript", three_d_speaker, eres2net, dict(feat_dim=80, embedding_size=5)),
    ]:
        path = out / f"{name}.onnx"
        with tempfile.TemporaryDirectory() as folder:
            made = pathlib.Path(folder) / "network.onnx"
            mean = numpy.linspace(-0.5, 0.5, 5, dtype=numpy.float32) if how == "torchscript" else None
            export(script, root, make, size, made, how, mean)
            # In one file, without the lines of code that "dynamo" writes to every node.
            model = onnx.load(made)
            graph = model.graph
            for part in (graph, *graph.node, *graph.input, *graph.output, *graph.initializer):
                del part.metadata_props[:]
            del model.graph.value_info[:]
            onnx.save(model, path)
        session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
        (given,) = session.get_inputs()
        feats = numpy.random.default_rng(5).standard_normal((1, 40, size["feat_dim"]), dtype=numpy.float32)
        embedding = session.run(None, {given.name: feats})[0]
        save_file({"feats": feats, "embs": embedding}, out / f"{name}.safetensors")
        print(path.name, path.stat().st_size, "bytes")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("programs", type=pathlib.Path, nargs="?")
    parser.add_argument("audio", nargs="*")
    parser.add_argument("--wespeaker")
    parser.add_argument("--three-d-speaker")
    parser.add_argument("--only", nargs="*", default=[])
    parser.add_argument("--how", nargs="*", choices=EXPORTERS, default=EXPORTERS)
    parser.add_argument("--fixtures", type=pathlib.Path)
    arguments = parser.parse_args()
    found = networks(arguments)
    if arguments.fixtures:
        return write_fixtures(arguments.fixtures, arguments)

    import soundfile

    recordings = [soundfile.read(path, dtype="float32")[0] for path in arguments.audio]
    programs = arguments.programs.resolve()
    for name, script, root, make, sizes in found:
        if arguments.only and name not in arguments.only:
            continue
        for how in arguments.how:
            with tempfile.TemporaryDirectory() as folder:
                check(name, how, programs, pathlib.Path(folder), recordings, script, root, make, sizes)


if __name__ == "__main__":
    main()
