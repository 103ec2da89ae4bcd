#!/usr/bin/env python3
"""Counts what the programs ask of a CUDA device, on the stub driver, without a GPU.

    cargo build --release --features cuda
    CUDA_PATH=TOOLKIT benches/gpu/count.py target/release --ptxas TOOLKIT/bin/ptxas
    CUDA_PATH=TOOLKIT benches/gpu/count.py target/release --networks tiny --check benches/gpu/counts.json

TOOLKIT has nvvm/libdevice/libdevice.10.bc: a CUDA toolkit, or the PyPI packages nvidia-nvvm and nvidia-cuda-nvcc, which
install site-packages/nvidia/cu13. Needs gcc, and the programs ffsvc-data, ffsvc-train and ffsvc-extract.

A training step is the difference between runs of 3 and of 5 steps, halved: what is compiled, tuned or saved once cancels. An
utterance of extraction is the difference between 2 and 4 recordings of one length, each in a batch of its own. Launches
compute nothing, so every choice that a measured time decides (Burn's autotune) is arbitrary. On a GPU some steps of a
network are launched as another kernel, and the counts differ by that. CubeCL's own measurements of the device are left out of
the launches, but not of waits and of copies to the device: take the waits as noise.
"""

import argparse
import concurrent.futures
import glob
import json
import os
import shutil
import subprocess
import sys
import tempfile

HERE = os.path.dirname(os.path.abspath(__file__))
# As many speakers as VoxCeleb2's training set has.
SPEAKERS = 5994
STEPS = (3, 5)
UTTERANCES = (2, 4)

NETWORKS = {
    "tiny": 'architecture = "resnet"\nin_planes = 8\ndepth = 18\nembedding_size = 64\npooling = "tstp"\ndropout = 0.0',
    "resnet34-c32": 'architecture = "resnet"\nin_planes = 32\ndepth = 34\nembedding_size = 256\npooling = "tstp"\ndropout = 0.0',
    "ecapa-c1024": 'architecture = "ecapa-tdnn"\nhidden_dim = 1024\nscale = 8\nbottleneck = 128\nembedding_size = 192',
    "cam++": 'architecture = "cam-plus-plus"',
}
CONFIG = """
[data]
train = "data"
[features.kind]
type = "log-mel"
num_mels = 80
[model]
{model}
[head]
kind = "aam-softmax"
[optimizer]
kind = "adam"
[train]
# The stub computes nothing, and the check would say so.
check_device = false
epochs = 1
batch_size = {batch}
max_frames = 200
"""


def parse():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("programs", help="folder of the programs")
    parser.add_argument("--networks", default="resnet34-c32,ecapa-c1024,cam++", help=f"of {', '.join(NETWORKS)}")
    parser.add_argument("--batch", type=int, default=128, help="utterances of a training batch, of 2 s each")
    parser.add_argument("--capability", default="9.0", help="compute capability that the stub claims")
    parser.add_argument("--ptxas", help="assemble every module with this program")
    parser.add_argument("--check", metavar="FILE", help="fail if a count is higher than in this file")
    parser.add_argument("--write", metavar="FILE", help="write the counts to this file")
    parser.add_argument("--kernels", metavar="N", type=int, default=0, help="list the N kernels launched most in a step")
    parser.add_argument("--work", help="folder to work in, kept; else a temporary one")
    return parser.parse_args()


def build_stub(folder):
    os.makedirs(folder, exist_ok=True)
    library = os.path.join(folder, "libcuda.so.1")
    subprocess.run(
        ["gcc", "-O1", "-shared", "-fPIC", "-o", library, os.path.join(HERE, "stub", "cuda.c")], check=True
    )
    link = os.path.join(folder, "libcuda.so")
    if not os.path.lexists(link):
        os.symlink("libcuda.so.1", link)


class Bench:
    def __init__(self, args, work):
        self.args, self.work = args, work
        self.programs = os.path.abspath(args.programs)
        self.ptx = os.path.join(work, "ptx")
        os.makedirs(self.ptx)
        build_stub(os.path.join(work, "stub"))
        synth = [os.path.join(self.programs, "ffsvc-data"), "synth", "corpus", "--train-speakers", "2",
                 "--train-utterances", "2", "--dev-speakers", "2", "--dev-utterances", "2", "--seconds", "2.5,3"]
        subprocess.run(synth, cwd=work, check=True, stdout=subprocess.DEVNULL)
        wavs = sorted(glob.glob(os.path.join(work, "corpus", "wav", "*", "*.wav")))
        self.data("data", [wavs[number % len(wavs)] for number in range(SPEAKERS)])
        for count in UTTERANCES:
            self.data(f"data-{count}", [wavs[0]] * count)

    def data(self, name, wavs):
        """A data directory with a speaker for every utterance."""
        folder = os.path.join(self.work, name)
        os.makedirs(folder)
        names = [f"s{number:04}" for number in range(len(wavs))]
        with open(os.path.join(folder, "wav.scp"), "w") as file:
            file.writelines(f"{name}-a {wav}\n" for name, wav in zip(names, wavs))
        with open(os.path.join(folder, "utt2spk"), "w") as file:
            file.writelines(f"{name}-a {name}\n" for name in names)
        with open(os.path.join(folder, "spk2utt"), "w") as file:
            file.writelines(f"{name} {name}-a\n" for name in names)

    def run(self, label, program, *arguments):
        """Runs a program on the stub, and returns its counts and those of its kernels."""
        report = os.path.join(self.work, f"{label}.counts")
        ptx = os.path.join(self.ptx, label)
        os.makedirs(ptx)
        stub = os.path.join(self.work, "stub")
        environment = {
            **os.environ,
            "LD_LIBRARY_PATH": f"{stub}:{os.environ.get('LD_LIBRARY_PATH', '')}",
            "FFSVC_STUB_REPORT": report,
            "FFSVC_STUB_PTX": ptx,
            "FFSVC_STUB_CAPABILITY": self.args.capability,
            # Every run tunes anew, so that runs differ in their length alone; with few candidates, since times are arbitrary.
            "CUBECL_AUTOTUNE_CACHE": "0",
            "CUBECL_AUTOTUNE_LEVEL": "minimal",
            # What CubeCL remembers of a device must not be what it saw of the stub.
            "XDG_CACHE_HOME": os.path.join(self.work, "cache"),
            "HOME": self.work,
        }
        command = [os.path.join(self.programs, program), *arguments, "--device", "cuda:0"]
        done = subprocess.run(command, cwd=self.work, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
        log = os.path.join(self.work, f"{label}.log")
        with open(log, "wb") as file:
            file.write(done.stdout)
        if done.returncode or not os.path.exists(report):
            sys.exit(f"{label}: {' '.join(command)} ended with {done.returncode}:\n{done.stdout.decode()[-2000:]}")
        counts, kernels = {}, {}
        with open(report) as file:
            for line in file:
                name, *rest = line.split(None, 2)
                if name == "kernel":
                    kernels[rest[1].strip()] = kernels.get(rest[1].strip(), 0) + int(rest[0])
                else:
                    counts[name] = int(rest[0])
        return counts, kernels

    def step(self, network):
        with open(os.path.join(self.work, f"{network}.toml"), "w") as file:
            file.write(CONFIG.format(model=NETWORKS[network], batch=self.args.batch))
        runs = [
            self.run(f"{network}-step-{steps}", "ffsvc-train", f"{network}.toml", f"exp-{network}-{steps}",
                     "--overfit", str(steps))
            for steps in STEPS
        ]
        return difference(*runs, STEPS[1] - STEPS[0])

    def utterance(self, network):
        model = f"exp-{network}-{STEPS[0]}/final.safetensors"
        runs = [
            self.run(f"{network}-extract-{count}", "ffsvc-extract", "--model", model, "--batch-size", "1",
                     f"data-{count}", f"{network}-{count}.ark", "--allow-failures")
            for count in UTTERANCES
        ]
        return difference(*runs, UTTERANCES[1] - UTTERANCES[0])


def difference(shorter, longer, by):
    """The counts of one more step or utterance, and of its kernels."""
    (few, few_kernels), (many, many_kernels) = shorter, longer
    each = {name: (many[name] - few[name]) / by for name in many}
    # CubeCL measures the device for as long as a wall clock says.
    kernels = {
        name: (count - few_kernels.get(name, 0)) / by for name, count in many_kernels.items() if "throughput" not in name
    }
    counts = {
        "launches": sum(kernels.values()),
        "waits": each["stream_waits"] + each["event_waits"] + each["context_waits"],
        "copies_to_host": each["to_host"],
        "bytes_to_host": each["to_host_bytes"],
        "copies_to_device": each["to_device"],
        "bytes_to_device": each["to_device_bytes"],
        "new_modules": each["modules"],
        "peak_device_bytes": many["device_peak_bytes"],
        "modules_in_all": many["modules"],
        "launches_in_all": many["launches"],
    }
    return counts, kernels


def assemble(args, folder):
    """Assembles every module once; the name of the target is in each."""
    arch = "sm_" + args.capability.replace(".", "") + ("a" if args.capability == "9.0" else "")
    texts = {}
    for path in glob.glob(os.path.join(folder, "*", "*.ptx")):
        with open(path) as file:
            texts.setdefault(file.read(), path)

    def failure(path):
        done = subprocess.run([args.ptxas, f"-arch={arch}", "-o", "/dev/null", path], stderr=subprocess.STDOUT,
                              stdout=subprocess.PIPE, text=True)
        return (path, done.stdout) if done.returncode else None

    with concurrent.futures.ThreadPoolExecutor(os.cpu_count()) as pool:
        failures = [found for found in pool.map(failure, texts.values()) if found]
    print(f"\n{len(texts)} different modules, {len(texts) - len(failures)} assemble for {arch}")
    for path, text in failures[:5]:
        print(f"{path}:\n{text[:500]}")
    return not failures


def check(found, path):
    """Whether no count of a step or an utterance is higher than in the file."""
    with open(path) as file:
        most = json.load(file)
    within = True
    for network, by_what in found.items():
        for what, counts in by_what.items():
            for name, limit in most[network][what].items():
                if counts[name] > limit:
                    print(f"{network}, {what}: {name} {counts[name]:g}, expected at most {limit:g} ({path})")
                    within = False
    print(f"counts are {'within' if within else 'above'} those of {path}")
    return within


def main():
    args = parse()
    if not os.environ.get("CUDA_PATH"):
        sys.exit("count.py: CUDA_PATH is not set: the folder with nvvm/libdevice/libdevice.10.bc")
    unknown = [name for name in args.networks.split(",") if name not in NETWORKS]
    if unknown:
        sys.exit(f"count.py: no network {unknown[0]}; expected some of {', '.join(NETWORKS)}")
    work = os.path.abspath(args.work) if args.work else tempfile.mkdtemp(prefix="ffsvc-count-")
    if args.work:
        os.makedirs(work)
    bench = Bench(args, work)
    found = {}
    print(f"batch {args.batch} x 2 s, compute capability {args.capability}\n")
    print("| network | work | launches | waits | to host | to device | peak memory of the device | modules | launches in all |")
    print("| --- | --- | --- | --- | --- | --- | --- | --- | --- |")
    for network in args.networks.split(","):
        found[network] = {}
        for what, of in (("step", bench.step), ("utterance", bench.utterance)):
            counts, kernels = of(network)
            found[network][what] = counts
            print(f"| {network} | {what} | {counts['launches']:g} | {counts['waits']:g} "
                  f"| {counts['copies_to_host']:g} copies, {counts['bytes_to_host']:,.0f} B "
                  f"| {counts['copies_to_device']:g} copies, {counts['bytes_to_device']:,.0f} B "
                  f"| {counts['peak_device_bytes'] / 2**20:,.0f} MiB | {counts['modules_in_all']:,} "
                  f"| {counts['launches_in_all']:,} |", flush=True)
            for name, count in sorted(kernels.items(), key=lambda item: -item[1])[: args.kernels]:
                print(f"    {count:8g} {name[:140]}")
    assembled = assemble(args, bench.ptx) if args.ptxas else True
    if args.write:
        with open(args.write, "w") as file:
            json.dump(found, file, indent=4)
            file.write("\n")
    within = check(found, args.check) if args.check else True
    if not args.work:
        shutil.rmtree(work)
    sys.exit(0 if assembled and within else 1)


main()
