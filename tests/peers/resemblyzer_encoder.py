#!/usr/bin/env python3
"""Embeddings of Resemblyzer's own code, without its removal of silence.

    python3 tests/peers/resemblyzer_encoder.py write WHEEL tests/data
    python3 tests/peers/resemblyzer_encoder.py embed WHEEL recordings.npz A.wav B.wav ...
    python3 tests/peers/resemblyzer_encoder.py compare OURS.npz THEIRS.npz

WHEEL is the folder of the unpacked wheel Resemblyzer 0.1.4. Needs torch, numpy, scipy, librosa, safetensors and soundfile.
webrtcvad, which only the removal of silence calls, may be missing.

`write` writes models/peer_resemblyzer.safetensors, a small network with random weights and what its class answers in double
precision; models/resemblyzer_utterances.safetensors, what embed_utterance makes of the signals of `signal` with that network;
features/librosa_mel.safetensors, the mel spectrogram of a second of a signal; and models/resemblyzer_pretrained.safetensors, what
embed_utterance makes of the signals with the real weights.

`embed` writes the embeddings of recordings of 16 kHz with the real weights, keyed by their file names without the ending.
`compare` prints the largest cosine distance of two such files.
"""

import math
import pathlib
import sys
import types

import numpy
import torch
from safetensors.torch import save_file

# Samples and amplitude: less than a window; a last window that is filled; one that is left out; louder than -30 dBFS.
SIGNALS = [(9000, 0.01), (40000, 0.002), (46000, 0.01), (52345, 0.3)]
HIDDEN, LAYERS, SIZE = 12, 3, 10


def signal(samples, amplitude):
    """A tone that rises, swells and fades. The test has the same formula."""
    t = numpy.arange(samples, dtype=numpy.float64)
    wave = numpy.sin(0.02 * t + 4e-6 * t * t) + 0.5 * numpy.sin(0.31 * t)
    return (amplitude * (1.1 + numpy.sin(2e-4 * t)) * wave).astype(numpy.float32)


def package(wheel):
    for name in ("webrtcvad", "scipy.ndimage.morphology"):
        try:
            __import__(name)
        except ImportError:
            sys.modules[name] = types.ModuleType(name)
            sys.modules[name].binary_dilation = None
    sys.path.insert(0, wheel)
    from resemblyzer import audio, voice_encoder

    return audio, voice_encoder


def embed(encoder, audio, samples):
    level = audio.normalize_volume(samples, audio.audio_norm_target_dBFS, increase_only=True)
    return encoder.embed_utterance(level)


def small(voice_encoder, folder):
    """VoiceEncoder with other sizes: it takes them from its module."""
    torch.manual_seed(20260)
    voice_encoder.model_hidden_size, voice_encoder.model_num_layers = HIDDEN, LAYERS
    voice_encoder.model_embedding_size = SIZE
    torch.save({"model_state": {}}, folder / "empty.pt")
    encoder = voice_encoder.VoiceEncoder("cpu", verbose=False, weights_fpath=folder / "empty.pt")
    (folder / "empty.pt").unlink()
    with torch.no_grad():
        for value in encoder.parameters():
            value.copy_(torch.empty_like(value).uniform_(-0.6, 0.6))
        # So that few are cut off by the ReLU.
        encoder.linear.bias.add_(0.5)
    return encoder.eval()


def write(wheel, out):
    audio, voice_encoder = package(wheel)
    out = pathlib.Path(out)
    real = voice_encoder.VoiceEncoder("cpu", verbose=False).eval()
    encoder = small(voice_encoder, out)
    tensors = {f"model.{name}": value.clone().contiguous() for name, value in encoder.state_dict().items()}
    weights = dict(tensors)
    encoder.double()
    for index, (batch, frames) in enumerate([(2, 24), (1, 60), (3, 7)]):
        features = torch.rand(batch, 40, frames)
        with torch.no_grad():
            tensors[f"y_{index}"] = encoder(features.double().transpose(1, 2)).contiguous()
        tensors[f"x_{index}"] = features
    features = tensors["x_0"].double().requires_grad_()
    # Embeddings have a length of 1: the squares of some of their numbers.
    encoder(features.transpose(1, 2)).square()[:, ::2].sum().backward()
    tensors["half_grad_0"] = features.grad.float()
    for name, value in encoder.named_parameters():
        tensors[f"half_grad.{name}"] = value.grad.float().contiguous()
    save_file(tensors, out / "models/peer_resemblyzer.safetensors")
    encoder.float()
    utterances, pretrained = weights, {}
    for index, (samples, amplitude) in enumerate(SIGNALS):
        wave = signal(samples, amplitude)
        utterances[f"y_{index}"] = torch.from_numpy(embed(encoder, audio, wave))
        pretrained[f"y_{index}"] = torch.from_numpy(embed(real, audio, wave))
    save_file(utterances, out / "models/resemblyzer_utterances.safetensors")
    save_file(pretrained, out / "models/resemblyzer_pretrained.safetensors")
    wave = signal(4000, 0.1)
    mel = torch.from_numpy(audio.wav_to_mel_spectrogram(wave).T.copy())
    save_file({"input": torch.from_numpy(wave), "bands": mel}, out / "features/librosa_mel.safetensors")
    for path in sorted(out.glob("*/*resemblyzer*")) + [out / "features/librosa_mel.safetensors"]:
        print(path, path.stat().st_size, "bytes")


def embed_files(wheel, out, paths):
    import soundfile

    audio, voice_encoder = package(wheel)
    torch.set_num_threads(1)
    encoder = voice_encoder.VoiceEncoder("cpu", verbose=False).eval()
    keys, embeddings = [], []
    for path in map(pathlib.Path, paths):
        samples, rate = soundfile.read(path, dtype="float32")
        assert rate == 16000 and samples.ndim == 1, path
        keys.append(path.stem)
        embeddings.append(embed(encoder, audio, samples))
    numpy.savez(out, keys=numpy.array(keys), embeddings=numpy.stack(embeddings))


def compare(ours, theirs):
    ours, theirs = (dict(zip(f["keys"].tolist(), f["embeddings"].astype(float))) for f in map(numpy.load, (ours, theirs)))
    assert ours.keys() == theirs.keys(), ours.keys() ^ theirs.keys()
    distance = lambda a, b: 1 - a @ b / math.sqrt((a @ a) * (b @ b))
    worst = max((distance(ours[key], theirs[key]), key) for key in ours)
    print(f"{len(ours)} recordings, largest cosine distance {worst[0]:.2e} ({worst[1]})")


if __name__ == "__main__":
    command, *arguments = sys.argv[1:]
    if command == "embed":
        embed_files(*arguments[:2], arguments[2:])
    else:
        {"write": write, "compare": compare}[command](*arguments)
