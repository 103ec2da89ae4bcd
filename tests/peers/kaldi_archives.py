#!/usr/bin/env python3
"""Kaldi archives between this project and two other implementations, both ways.

    kaldi_archives.py fixtures DIR        write the fixtures of tests/data/archives with Kaldi's own code
    kaldi_archives.py check [--cargo ..]  write with each peer, copy with our copy_archive, read with each peer

The peers: kaldi_native_io (Kaldi's C++ code behind a Python module) and kaldiio (a Python implementation).
    pip install numpy kaldi_native_io kaldiio

`check` compares values bit for bit, and for FV, DV, FM and DM the bytes of the whole archive and of its scp table.
It prints one line a comparison and exits with 1 if one fails.
"""

import argparse
import json
import pathlib
import subprocess
import sys
import tempfile

import kaldi_native_io
import kaldiio
import numpy as np

ROOT = pathlib.Path(__file__).resolve().parents[2]


def material():
    """Values that are easy to get wrong: extremes, negative zero, one row, one column, empty."""
    rng = np.random.default_rng(20220707)
    special = np.array([0.0, -0.0, 1.0, -1.5, 3.4e38, -1.2e-38, 1e-45, 0.1, 16777217.0], np.float64)
    vectors = {"utt-a": special, "utt-b": rng.standard_normal(24), "é/1": np.array([2.0]), "empty": np.zeros(0)}
    matrices = {"utt-a": rng.standard_normal((3, 4)), "utt-b": special.reshape(9, 1), "row": special.reshape(1, 9)}
    features = {
        "long": rng.standard_normal((25, 6)) * 7 - 3,
        "short": rng.standard_normal((4, 3)),
        "constant": np.full((9, 2), 0.3),
        "unit": rng.random((12, 5)),
        "integers": rng.integers(0, 256, (10, 3)),
    }
    return vectors, matrices, {key: value.astype(np.float32) for key, value in features.items()}


def kaldi_write(kind, values, specifier):
    writer = getattr(kaldi_native_io, kind + "Writer")
    dtype = np.float64 if kind.startswith("Double") else np.float32
    with writer(specifier) as out:
        for key, value in values.items():
            out.write(key, value.astype(dtype))


def kaldi_write_compressed(values, specifier, methods):
    with kaldi_native_io.CompressedMatrixWriter(specifier) as out:
        for (key, value), method in zip(values.items(), methods):
            out.write(key, value, getattr(kaldi_native_io.CompressionMethod, method))


def kaldi_read(kind, specifier):
    with getattr(kaldi_native_io, f"Sequential{kind}Reader")(specifier) as entries:
        return {key: np.array(value) for key, value in entries}


COMPRESSED = {
    "cm": ["kSpeechFeature"] * 5,
    "cm2": ["kTwoByteAuto"] * 3 + ["kTwoByteAuto", "kTwoByteSignedInteger"],
    "cm3": ["kOneByteAuto"] * 3 + ["kOneByteZeroOne", "kOneByteUnsignedInteger"],
}
KINDS = ["FloatVector", "DoubleVector", "FloatMatrix", "DoubleMatrix"]


def bits(array):
    return array.view(np.uint32 if array.dtype == np.float32 else np.uint64).ravel().tolist()


def describe(values):
    return {key: {"shape": list(value.shape), "bits": bits(value)} for key, value in values.items()}


def fixtures(folder):
    folder.mkdir(parents=True, exist_ok=True)
    vectors, matrices, features = material()
    expected = {}
    for kind in KINDS:
        values = vectors if kind.endswith("Vector") else matrices
        for form in ("", ",t"):
            name = kind.lower() + (".text" if form else "")
            # Kaldi's text has seven digits: there the expected values are what Kaldi itself reads back.
            kaldi_write(kind, values, f"ark,scp{form}:{folder / name}.ark,{folder / name}.scp")
            expected[name] = {"kind": kind, "values": describe(kaldi_read(kind, f"ark:{folder / name}.ark"))}
    for name, methods in COMPRESSED.items():
        kaldi_write_compressed(features, f"ark,scp:{folder / name}.ark,{folder / name}.scp", methods)
        expected[name] = {"kind": "FloatMatrix", "values": describe(kaldi_read("FloatMatrix", f"ark:{folder / name}.ark"))}
    for table in folder.glob("*.scp"):
        # The committed tables name the archives beside them.
        table.write_text(table.read_text().replace(f"{folder}/", ""))
    (folder / "expected.json").write_text(json.dumps(expected) + "\n")


def same(left, right):
    return list(left) == list(right) and all(
        left[k].dtype == right[k].dtype and left[k].shape == right[k].shape and bits(left[k]) == bits(right[k]) for k in left
    )


def check(cargo):
    failed = []

    def report(what, good):
        print(("same      " if good else "DIFFERENT ") + what)
        if not good:
            failed.append(what)

    def ours(source, target, *options):
        command = [*cargo, "run", "-q", "-p", "ffsvc-kaldi-io", "--example", "copy_archive", "--"]
        subprocess.run([*command, str(source), str(target), *options], cwd=ROOT, check=True)

    vectors, matrices, features = material()
    with tempfile.TemporaryDirectory(prefix="kaldi archives ") as folder:
        folder = pathlib.Path(folder)
        for kind in KINDS:
            values = vectors if kind.endswith("Vector") else matrices
            dtype = np.float64 if kind.startswith("Double") else np.float32
            exact = {key: value.astype(dtype) for key, value in values.items()}
            ark, scp = folder / f"{kind}.kaldi.ark", folder / f"{kind}.kaldi.scp"
            kaldi_write(kind, values, f"ark,scp:{ark},{scp}")
            copy, table = folder / f"{kind}.ours.ark", folder / f"{kind}.ours.scp"
            ours(ark, copy)
            report(f"{kind}: bytes of our archive and of Kaldi's", copy.read_bytes() == ark.read_bytes())
            report(f"{kind}: our scp and Kaldi's", table.read_text() == scp.read_text().replace(str(ark), str(copy)))
            report(f"{kind}: Kaldi reads our archive", same(kaldi_read(kind, f"ark:{copy}"), exact))
            report(f"{kind}: Kaldi reads through our scp", same(kaldi_read(kind, f"scp:{table}"), exact))
            # kaldiio has no empty vectors.
            full = {key: value for key, value in exact.items() if value.size}
            kaldiio.save_ark(str(folder / "kaldiio.ark"), full, scp=str(folder / "kaldiio.scp"))
            ours(folder / "kaldiio.scp", copy)
            report(f"{kind}: bytes of our archive and of kaldiio's", copy.read_bytes() == (folder / "kaldiio.ark").read_bytes())
            report(f"{kind}: kaldiio reads through our scp", same(dict(kaldiio.load_scp(str(table))), full))
            ours(ark, folder / "text.ark", "--text")
            # As a double, because Kaldi's own text has seven digits.
            double = "Double" + kind.removeprefix("Float").removeprefix("Double")
            back = kaldi_read(double, f"ark:{folder / 'text.ark'}")
            report(f"{kind}: Kaldi reads our text archive", same({k: v.astype(dtype) for k, v in back.items()}, exact))
        for name, methods in COMPRESSED.items():
            ark, copy = folder / f"{name}.kaldi.ark", folder / f"{name}.ours.ark"
            kaldi_write_compressed(features, f"ark:{ark}", methods)
            ours(ark, copy)
            back, decoded = kaldi_read("FloatMatrix", f"ark:{copy}"), kaldi_read("FloatMatrix", f"ark:{ark}")
            report(f"{name.upper()}: our decoding and Kaldi's", same(back, decoded))
    return 1 if failed else 0


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    commands = parser.add_subparsers(dest="command", required=True)
    commands.add_parser("fixtures").add_argument("folder", type=pathlib.Path)
    commands.add_parser("check").add_argument("--cargo", nargs="+", default=["cargo"])
    arguments = parser.parse_args()
    if arguments.command == "fixtures":
        return fixtures(arguments.folder)
    return check(arguments.cargo)


if __name__ == "__main__":
    sys.exit(main())
