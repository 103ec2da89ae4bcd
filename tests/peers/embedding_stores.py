#!/usr/bin/env python3
"""Embedding stores between this project and Python, both ways.

    embedding_stores.py fixtures DIR [--golden GOLDEN/scoring]   write the fixtures of tests/data/embeddings
    embedding_stores.py check [--cargo ..]                       read with numpy and safetensors what we write

Needs numpy and safetensors. The files of `fixtures` whose names hold `numpy1` are written by numpy below 2, which names
its modules differently in pickles: run it once with each numpy into the same folder.
"""

import argparse
import json
import pathlib
import pickle
import subprocess
import sys
import tempfile

import numpy as np

ROOT = pathlib.Path(__file__).resolve().parents[2]
OLD = np.lib.NumpyVersion(np.__version__) < "2.0.0"


def store():
    rng = np.random.default_rng(64)
    keys = ["spk1/utt-1", "spk1/utt-2", "spk2-utt 3", "δ4", "5"]
    return {key: rng.standard_normal(6).astype(np.float32) for key in keys}


def save_pickle(path, value, protocol):
    """As np.save writes an object array, with another protocol than its own."""
    array = np.empty((), dtype=object)
    array[()] = value
    with open(path, "wb") as out:
        np.lib.format.write_array_header_1_0(out, {"descr": "|O", "fortran_order": False, "shape": ()})
        pickle.dump(array, out, protocol=protocol)


def fixtures(folder, golden):
    folder.mkdir(parents=True, exist_ok=True)
    values = store()
    matrix = np.stack(list(values.values()))
    numpy = "numpy1" if OLD else "numpy2"
    np.save(folder / f"dict_{numpy}.npy", values)
    for protocol in range(2, 6):
        save_pickle(folder / f"dict_{numpy}_protocol{protocol}.npy", values, protocol)
    if OLD:
        return
    from safetensors.numpy import save_file

    np.save(folder / "dict_f64_rows.npy", {key: value.astype(np.float64)[None] for key, value in values.items()})
    np.save(folder / "dict_big_endian.npy", {key: value.astype(">f4") for key, value in values.items()})
    np.save(folder / "dict_lists.npy", {np.str_(key): [float(x) for x in value] for key, value in values.items()})
    np.savez(folder / "by_utterance.npz", **values)
    np.savez_compressed(folder / "by_utterance_compressed.npz", **values)
    np.savez(folder / "by_utterance_f64.npz", **{key: value.astype(np.float64) for key, value in values.items()})
    np.savez(folder / "two_arrays.npz", keys=np.array(list(values)), embeddings=matrix)
    np.savez_compressed(folder / "two_arrays_compressed.npz", embeddings=np.asfortranarray(matrix), keys=np.array(list(values)))
    np.save(folder / "matrix_c.npy", matrix)
    np.save(folder / "matrix_fortran.npy", np.asfortranarray(matrix))
    np.save(folder / "matrix_f64.npy", matrix.astype(np.float64))
    (folder / "keys.txt").write_text("\n".join(values) + "\n", encoding="utf-8")
    save_file({"embeddings": matrix}, folder / "matrix.safetensors", metadata={"keys": json.dumps(list(values))})
    save_file({key: value.astype(np.float64) for key, value in values.items()}, folder / "by_utterance.safetensors")
    expected = {key: value.view(np.uint32).tolist() for key, value in values.items()}
    (folder / "expected.json").write_text(json.dumps(expected, ensure_ascii=False) + "\n", encoding="utf-8")
    if golden:
        # The first utterances of the baseline's dict, written as it writes them.
        full = np.load(golden / "embd_dict.npy", allow_pickle=True).item()
        keys = (golden / "utts.txt").read_text().split()[:100]
        np.save(folder / "embd_dict.npy", {key: full[key] for key in keys})
        np.save(folder / "emb.npy", np.load(golden / "emb.npy")[:100])
        (folder / "utts.txt").write_text("\n".join(keys) + "\n")


def check(cargo):
    from safetensors import safe_open

    values = store()
    # Archives cannot hold a key with a blank.
    values = {key.replace(" ", "_"): value for key, value in values.items()}
    keys, matrix = list(values), np.stack(list(values.values()))
    failed = []

    def report(what, good):
        print(("same      " if good else "DIFFERENT ") + what)
        if not good:
            failed.append(what)

    def convert(source, target):
        command = [*cargo, "run", "-q", "-p", "ffsvc-kaldi-io", "--example", "convert_embeddings", "--"]
        subprocess.run([*command, str(source), str(target)], cwd=ROOT, check=True, stdout=subprocess.DEVNULL)

    with tempfile.TemporaryDirectory() as folder:
        folder = pathlib.Path(folder)
        np.save(folder / "dict.npy", values)
        convert(folder / "dict.npy", folder / "a.ark")
        convert(folder / "a.scp", folder / "a.npz")
        convert(folder / "a.npz", folder / "a.safetensors")
        with np.load(folder / "a.npz") as arrays:
            report("npz: keys", arrays["keys"].tolist() == keys)
            report("npz: embeddings", arrays["embeddings"].tobytes() == matrix.tobytes())
            report("npz: shape and type", (arrays["embeddings"].shape, arrays["embeddings"].dtype) == (matrix.shape, "<f4"))
        with safe_open(folder / "a.safetensors", "numpy") as tensors:
            report("safetensors: keys", json.loads(tensors.metadata()["keys"]) == keys)
            report("safetensors: embeddings", tensors.get_tensor("embeddings").tobytes() == matrix.tobytes())
    return 1 if failed else 0


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    commands = parser.add_subparsers(dest="command", required=True)
    write = commands.add_parser("fixtures")
    write.add_argument("folder", type=pathlib.Path)
    write.add_argument("--golden", type=pathlib.Path)
    commands.add_parser("check").add_argument("--cargo", nargs="+", default=["cargo"])
    arguments = parser.parse_args()
    if arguments.command == "fixtures":
        return fixtures(arguments.folder, arguments.golden)
    return check(arguments.cargo)


if __name__ == "__main__":
    sys.exit(main())
