#!/usr/bin/env python3
"""Exported ONNX models in ONNX Runtime: the embeddings must be those of ffsvc-extract.

    python3 tests/peers/onnx_models.py target/debug A.wav B.wav [--model FILE ...] [--only NAME ...] [--sherpa]

The first argument is the folder of the programs, A and B are recordings of speech of at least 3 seconds with 16 kHz. For each
architecture a small network is trained for a few steps on synthetic speakers, so that its running statistics are not 0 and
1. It is exported, checked by the package onnx, and run on features of both recordings that kaldi-native-fbank computes: at two
lengths, one recording at a time and both in a batch. It is also exported with --with-front-end and run on the samples, for
a ResNet with each kind of front end. --model adds model files that exist, whose features are Kaldi's fbank;
with --only and no name it takes these alone. --sherpa also loads those models in sherpa-onnx, which computes its own
features.

Needs numpy, soundfile, onnx, onnxruntime, kaldi-native-fbank, and for --sherpa sherpa-onnx.
"""

import argparse
import json
import pathlib
import subprocess
import sys
import tempfile

import kaldi_native_fbank
import numpy
import onnx
import onnxruntime
import soundfile

SAMPLE_RATE = 16000
# In samples. Behind the stem of CAM++, which halves the frame rate, the first has two segments of 100 frames, the second of
# which is not full; the other length has less than one segment.
LENGTHS = (46000, 12345)
# Of the cosine; of the difference, in distances between the embeddings of the two recordings.
TOLERANCES = (1e-9, 1e-4)
# Of the cosine, where the graph computes the features too.
SAMPLES_TOLERANCE = 1e-5

NETWORKS = {
    "resnet18-tstp": "architecture = 'resnet'\ndepth = 18\nin_planes = 4\nembedding_size = 24",
    "resnet18-stats-all": "architecture = 'resnet'\ndepth = 18\nin_planes = 4\nembedding_size = 24\npooling = 'stats-all'",
    "resnet18-attentive": "architecture = 'resnet'\ndepth = 18\nin_planes = 2\nembedding_size = 24\npooling = 'attentive'",
    "resnet18-astp": "architecture = 'resnet'\ndepth = 18\nin_planes = 4\nembedding_size = 24\npooling = 'astp'",
    "resnet18-mqmha": "architecture = 'resnet'\ndepth = 18\nin_planes = 4\nembedding_size = 24\npooling = 'mqmha'",
    "resnet50": "architecture = 'resnet'\ndepth = 50\nin_planes = 2\nembedding_size = 24",
    "cam-plus-plus": "architecture = 'cam-plus-plus'\ngrowth_rate = 4\ninit_channels = 16\nembedding_size = 24",
    "ecapa-tdnn": "architecture = 'ecapa-tdnn'\nhidden_dim = 32\nbottleneck = 16\nembedding_size = 24",
    "ecapa-tdnn-baseline": "architecture = 'ecapa-tdnn'\nhidden_dim = 32\nbottleneck = 16\nembedding_size = 24\ncompat = true",
    "wespeaker-ecapa": "architecture = 'wespeaker-ecapa-tdnn'\nchannels = 32\naggregated = 48\nembedding_size = 24",
    "wespeaker-ecapa-glob": "architecture = 'wespeaker-ecapa-tdnn'\nchannels = 32\naggregated = 48\nembedding_size = 24\n"
    "global_context = true\nemb_bn = true",
    "wespeaker-ecapa-xi": "architecture = 'wespeaker-ecapa-tdnn'\nchannels = 32\naggregated = 48\nembedding_size = 24\nxi = true",
    "speechbrain-ecapa": "architecture = 'speechbrain-ecapa-tdnn'\nchannels = 32\naggregated = 48\nse_channels = 16\n"
    "attention_channels = 16\nembedding_size = 24",
    "x-vector": "architecture = 'tdnn'\nhidden_dim = 32\nstats_dim = 48\nembedding_size = 24",
    "simam-resnet": "architecture = 'simam-resnet'\nin_planes = 2\nembedding_size = 24",
    "eres2net": "architecture = 'eres2net'\nin_planes = 4\nblocks = [1, 2, 1, 2]\nembedding_size = 24",
    "eres2net-v2": "architecture = 'eres2net-v2'\nin_planes = 6\nblocks = [1, 2, 1, 2]\nembedding_size = 24",
    "res2net": "architecture = 'res2net'\nin_planes = 8\nblocks = [1, 2, 1, 2]\nembedding_size = 24",
    "gemini-df-resnet": "architecture = 'gemini-df-resnet'\nin_planes = 2\ndepth = 60\nembedding_size = 24",
    "repvgg": "architecture = 'repvgg'\nwidths = [4, 8, 8, 16]\nblocks = [2, 1, 2, 1]\nembedding_size = 24",
    "titanet": "architecture = 'titanet'\nchannels = 24\naggregated = 32\nkernels = [5, 9]\nattention_channels = 16\nembedding_size = 24",
    "ge2e-lstm": "architecture = 'ge2e-lstm'\nhidden = 24\nembedding_size = 24\nwindows = { frames = 50, shift = 30 }",
    "redimnet2": "architecture = 'redimnet2'\nchannels = 4\nhead_channels = 16\nembedding_size = 24\nstages = [\n"
    "{ frequency_stride = 1, time_stride = 1, blocks = 1, inner_channels = 6, reduction = 9 },\n"
    "{ frequency_stride = 2, time_stride = 2, blocks = 2, inner_channels = 8 },\n"
    "{ frequency_stride = 1, time_stride = 2, blocks = 1, inner_channels = 4, reduction = 12 }]",
    "redimnet2-planar": "architecture = 'redimnet2'\nchannels = 4\nhead_channels = 6\nplanar_head = true\nembedding_size = 24\n"
    "emb_bn = true\nstages = [{ frequency_stride = 3, time_stride = 3, blocks = 1, inner_channels = 12, reduction = 9 }]",
    "redimnet-basic": "architecture = 'redimnet'\nchannels = 4\nblock = 'basic'\ngroup_size = 1\nembedding_size = 24\n"
    "stages = [{ stride = 1, blocks = 1, expansion = 1, reduction = 9 }, { stride = 2, blocks = 2, expansion = 2 }]",
    "redimnet-basic-se": "architecture = 'redimnet'\nchannels = 4\nblock = 'basic-se'\ngroup_size = 2\nembedding_size = 24\n"
    "stages = [{ stride = 3, blocks = 1, expansion = 1, reduction = 9 }, { stride = 1, blocks = 1, expansion = 2 }]",
    "redimnet-convnext": "architecture = 'redimnet'\nchannels = 4\ngroup_size = 4\nembedding_size = 24\nemb_bn = true\n"
    "stages = [{ stride = 2, blocks = 2, expansion = 1, reduction = 12 }, { stride = 1, blocks = 1, expansion = 2, reduction = 6 }]",
}

FBANK = 'waveform_norm = "none"\nkind = { type = "fbank", num_mels = 72, window = "hamming" }'
# For samples to embedding, all with a ResNet.
FRONT_ENDS = {
    "log-mel-baseline": "",
    "log-mel-redimnet": "waveform_norm = 'none'\nkind = { type = 'log-mel', num_mels = 72, window = 'hamming', "
    "low_frequency_hz = 20.0, high_frequency_hz = 7600.0, preemphasis = 0.97 }",
    "log-mel-odd": "kind = { type = 'log-mel', num_mels = 40, n_fft = 510, window_length = 399, hop_length = 157 }\n"
    "cmn = { type = 'none' }",
    "fbank-wespeaker": FBANK,
    "fbank-3dspeaker": "waveform_norm = 'none'\nkind = { type = 'fbank', int16_scale = false }",
    "fbank-all-frames": "waveform_norm = 'none'\nkind = { type = 'fbank', snip_edges = false, high_frequency_hz = -400.0 }",
    "fbank-odd": "kind = { type = 'fbank', num_mels = 40, snip_edges = false, frame_length_ms = 24.99, frame_shift_ms = 9.97, "
    "use_power = false, remove_dc_offset = false, window = 'hann' }\ncmn = { type = 'utterance', normalize_variance = true }",
    "speechbrain-fbank": "waveform_norm = 'none'\nkind = { type = 'speechbrain-fbank' }",
    "nemo-mel": "waveform_norm = 'none'\nkind = { type = 'nemo-mel' }\ncmn = { type = 'per-feature' }",
    "nemo-mel-odd": "waveform_norm = 'none'\nkind = { type = 'nemo-mel', num_mels = 40, n_fft = 510, window_length = 399, hop_length = 257 }",
}

EXPERIMENT = """
[data]
train = "corpus/train"
[features]
{features}
[model]
{model}
[head]
kind = "aam-softmax"
[optimizer]
kind = "adam"
learning_rate = 1e-3
[train]
epochs = 2
batch_size = 4
max_frames = 100
"""


def count(windows, frames):
    """Windows of a recording: the last one is left out if too little of it lies on the recording."""
    windows_of = max(frames + windows["shift"] - windows["frames"], 0) // windows["shift"] + 1
    on_recording = frames - 1 - (windows_of - 1) * windows["shift"]
    return windows_of - (windows_of > 1 and on_recording < windows["least_coverage"] * windows["frames"])


def features(samples, front_end, windows=None):
    """[frames, mel], by Kaldi's conventions, less the mean of the utterance; as many frames as the windows reach over."""
    frames = bands(samples, front_end)
    if windows:
        reach = (count(windows, len(frames)) - 1) * windows["shift"] + windows["frames"]
        silence = numpy.zeros(max(reach - len(frames), 0) * SAMPLE_RATE // 100, samples.dtype)
        frames = bands(numpy.concatenate([samples, silence]), front_end)[:reach]
    return (frames - frames.mean(axis=0)).astype(numpy.float32)


def run_session(session, batch, windows):
    """Embeddings of a batch: of the whole, or the mean direction of those of its windows."""
    if not windows:
        return session.run(None, {"feats": batch})[0]
    starts = range(0, batch.shape[1] - windows["frames"] + 1, windows["shift"])
    sums = sum(session.run(None, {"feats": batch[:, start : start + windows["frames"]]})[0] for start in starts)
    return sums / numpy.linalg.norm(sums, axis=1, keepdims=True)


def bands(samples, front_end):
    """[frames, mel], by Kaldi's conventions."""
    kind = front_end["kind"]
    assert kind["type"] == "fbank" and front_end["waveform_norm"] == "none", front_end
    options = kaldi_native_fbank.FbankOptions()
    options.frame_opts.samp_freq = front_end["sample_rate"]
    options.frame_opts.dither = 0.0
    options.frame_opts.window_type = kind["window"]
    options.frame_opts.snip_edges = kind["snip_edges"]
    options.mel_opts.num_bins = kind["num_mels"]
    options.mel_opts.low_freq = kind["low_frequency_hz"]
    options.mel_opts.high_freq = kind["high_frequency_hz"]
    options.use_energy = kind["use_energy"]
    fbank = kaldi_native_fbank.OnlineFbank(options)
    fbank.accept_waveform(front_end["sample_rate"], (samples * (32768 if kind["int16_scale"] else 1)).tolist())
    fbank.input_finished()
    assert front_end["cmn"] == {"type": "utterance", "normalize_variance": False}, front_end
    return numpy.stack([fbank.get_frame(frame) for frame in range(fbank.num_frames_ready)])


def cosine_distance(a, b):
    a, b = a.astype(numpy.float64), b.astype(numpy.float64)
    return 1 - a @ b / numpy.sqrt((a @ a) * (b @ b))


def embed(run, folder, model, samples):
    """The embedding that ffsvc-extract gives."""
    with tempfile.TemporaryDirectory(dir=folder) as inside:
        inside = pathlib.Path(inside)
        soundfile.write(inside / "a.wav", samples, SAMPLE_RATE, subtype="FLOAT")
        run("ffsvc-extract", "--model", model, inside / "a.wav", "--output", inside / "a.npz", "-q")
        return numpy.load(inside / "a.npz")["embeddings"][0]


def runner(programs, folder):
    return lambda program, *arguments: subprocess.run(
        [programs / program, *map(str, arguments)], check=True, cwd=folder, stdout=subprocess.DEVNULL
    )


def check_samples(name, programs, folder, model, recordings):
    """Samples to embedding, and at the least number of samples that the metadata name."""
    run = runner(programs, folder)
    run("ffsvc-model", "export", "--to", "onnx", "--with-front-end", model, folder / "samples.onnx")
    onnx.checker.check_model(str(folder / "samples.onnx"), full_check=True)
    session = onnxruntime.InferenceSession(str(folder / "samples.onnx"), providers=["CPUExecutionProvider"])
    metadata = session.get_modelmeta().custom_metadata_map
    (given,) = session.get_inputs()
    assert (given.name, given.shape) == ("samples", ["B", "N"])
    worst = 0.0
    for length in (*LENGTHS, int(metadata["min_samples"])):
        # A shortest recording of silence has no direction.
        crops = [samples[8000 : 8000 + length] for samples in recordings]
        together = session.run(None, {"samples": numpy.stack(crops)})[0]
        for samples, theirs in zip(crops, together):
            ours = embed(run, folder, model, samples)
            alone = session.run(None, {"samples": samples[None]})[0][0]
            worst = max(worst, cosine_distance(theirs, ours), cosine_distance(alone, ours))
    print(f"{name}, from samples: cosine distance {worst:.1e}", flush=True)
    assert worst <= SAMPLES_TOLERANCE, (name, worst)


def check(name, programs, folder, model, recordings, sherpa):
    run = runner(programs, folder)
    run("ffsvc-model", "export", "--to", "onnx", model, folder / "model.onnx")
    onnx.checker.check_model(str(folder / "model.onnx"), full_check=True)
    session = onnxruntime.InferenceSession(str(folder / "model.onnx"), providers=["CPUExecutionProvider"])
    metadata = session.get_modelmeta().custom_metadata_map
    front_end = json.loads(metadata["front_end"])
    windows = json.loads(metadata.get("windows", "null"))
    (given,), (wanted,) = session.get_inputs(), session.get_outputs()
    assert (given.name, wanted.name) == ("feats", "embs")
    assert given.shape == ["B", "T", front_end["kind"]["num_mels"]], given.shape
    assert wanted.shape == ["B", int(metadata["output_dim"])], wanted.shape
    worst = [0.0, 0.0]
    for length in LENGTHS:
        crops = [samples[:length] for samples in recordings]
        ours = []
        for samples in crops:
            ours.append(embed(run, folder, model, samples))
        batch = numpy.stack([features(samples, front_end, windows) for samples in crops])
        together = run_session(session, batch, windows)
        alone = numpy.concatenate([run_session(session, one[None], windows) for one in batch])
        apart = numpy.linalg.norm(ours[0] - ours[1])
        for theirs in (together, alone):
            assert theirs.shape == (len(crops), int(metadata["output_dim"])), theirs.shape
            for a, b in zip(theirs, ours):
                worst = numpy.maximum(worst, [cosine_distance(a, b), numpy.linalg.norm(a - b) / apart])
    if sherpa:
        import sherpa_onnx

        config = sherpa_onnx.SpeakerEmbeddingExtractorConfig(model=str(folder / "model.onnx"))
        extractor = sherpa_onnx.SpeakerEmbeddingExtractor(config)
        for samples in recordings:
            stream = extractor.create_stream()
            stream.accept_waveform(SAMPLE_RATE, samples)
            stream.input_finished()
            theirs = numpy.array(extractor.compute(stream))
            ours = embed(run, folder, model, samples)
            print(f"{name}: cosine with sherpa-onnx {1 - cosine_distance(theirs, ours):.4f}")
    print(f"{name}: cosine distance {worst[0]:.1e}, difference {worst[1]:.1e} of the distance between two recordings")
    assert all(worst <= TOLERANCES), (name, worst)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("programs", type=pathlib.Path)
    parser.add_argument("audio", nargs=2)
    parser.add_argument("--model", nargs="*", default=[])
    every = [*NETWORKS, *FRONT_ENDS]
    parser.add_argument("--only", nargs="*", choices=every, default=every)
    parser.add_argument("--sherpa", action="store_true")
    arguments = parser.parse_args()
    programs = arguments.programs.resolve()
    recordings = []
    for path in arguments.audio:
        samples, rate = soundfile.read(path, dtype="float32")
        if rate != SAMPLE_RATE or samples.ndim != 1 or len(samples) < max(LENGTHS):
            sys.exit(f"{path}: {len(samples)} samples of {rate} Hz; expected one channel, 16000 Hz, {max(LENGTHS)} samples or more")
        recordings.append(samples)
    with tempfile.TemporaryDirectory() as folder:
        folder = pathlib.Path(folder)
        if arguments.only:
            synth = ["synth", "corpus", "--seed", "1", "--train-speakers", "4", "--train-utterances", "3"]
            synth += ["--dev-speakers", "2", "--dev-utterances", "2", "--seconds", "1.2,1.5", "-q"]
            subprocess.run([programs / "ffsvc-data", *synth], check=True, cwd=folder)

        def trained(name, model, features):
            (folder / "experiment.toml").write_text(EXPERIMENT.format(model=NETWORKS[model], features=features))
            train = [programs / "ffsvc-train", "experiment.toml", name, "-q"]
            subprocess.run(train, check=True, cwd=folder, stdout=subprocess.DEVNULL)
            return folder / name / "final.safetensors"

        for name in arguments.only:
            if name in NETWORKS:
                check(name, programs, folder, trained(name, name, FBANK), recordings, False)
            else:
                check_samples(name, programs, folder, trained(name, "resnet18-tstp", FRONT_ENDS[name]), recordings)
        for model in arguments.model:
            model = pathlib.Path(model).resolve()
            check(model.name, programs, folder, model, recordings, arguments.sherpa)
            check_samples(model.name, programs, folder, model, recordings)


if __name__ == "__main__":
    main()
