#!/usr/bin/env python3
"""Probabilities of Silero VAD by its own runtimes, for crates/features/tests/silero.rs.

    ffsvc-data synth voices --seed 1 --train-speakers 2 --train-utterances 2 --dev-speakers 2 --dev-utterances 2 --seconds 3,4
    python3 tests/peers/silero_vad.py write SILERO voices/wav/dev00000/dev00000-00000.wav tests/data/vad/silero.safetensors
    python3 tests/peers/silero_vad.py check SILERO RECORDING...

SILERO is the folder silero_vad/data of the wheel silero-vad 6.2.3. Needs numpy, torch, safetensors, soundfile and onnxruntime;
`check` also cargo.

`write` takes three seconds of a synthetic voice of 16 kHz and writes them with the probabilities that onnxruntime gives with silero_vad.onnx, one for each 512 samples, as
the package's OnnxWrapper feeds it, and the parts that its get_speech_timestamps makes of them. It also writes those of the layers of tinygrad_model.py, in torch, with weights of a formula
(see `weights`), so that the network can be tested without its file.

`check` compares onnxruntime with this repository's network (example `silero_probabilities`) on recordings of 16 kHz.
"""
import subprocess
import sys
from pathlib import Path

import numpy as np
import soundfile
import torch
import torch.nn.functional as F
from safetensors.numpy import save_file

RATE, CHUNK, CONTEXT = 16000, 512, 64
SECONDS = 3
SHAPES = {
    "conv1.bias": (128,), "conv1.weight": (128, 129, 3), "conv2.bias": (64,), "conv2.weight": (64, 128, 3),
    "conv3.bias": (64,), "conv3.weight": (64, 64, 3), "conv4.bias": (128,), "conv4.weight": (128, 64, 3),
    "final_conv.bias": (1,), "final_conv.weight": (1, 128, 1), "lstm_cell.bias_hh": (512,),
    "lstm_cell.bias_ih": (512,), "lstm_cell.weight_hh": (512, 128), "lstm_cell.weight_ih": (512, 128),
    "stft_conv.weight": (258, 1, 256),
}


def weights():
    """Number n of tensor k, in the order of SHAPES: an integer hash in 24 bits, scaled to +-1/8; +-1 in the last two layers."""
    tensors = {}
    for k, (name, shape) in enumerate(SHAPES.items()):
        n = np.arange(np.prod(shape), dtype=np.uint64)
        value = ((n * 2654435761 + k * 40503) % 2**32) >> 8
        scale = 1 if name.startswith(("lstm", "final")) else 1 / 8
        tensors[name] = ((value.astype(np.float64) / 2**23 - 1) * scale).astype(np.float32).reshape(shape)
    return tensors


def chunks(samples):
    padded = np.concatenate([samples, np.zeros(-len(samples) % CHUNK, np.float32)]).reshape(-1, CHUNK)
    before = np.concatenate([np.zeros((1, CONTEXT), np.float32), padded[:-1, -CONTEXT:]])
    return np.concatenate([before, padded], axis=1)


def by_runtime(folder, samples):
    import onnxruntime

    session = onnxruntime.InferenceSession(str(folder / "silero_vad.onnx"), providers=["CPUExecutionProvider"])
    state, probabilities = np.zeros((2, 1, 128), np.float32), []
    for chunk in chunks(samples):
        out, state = session.run(None, {"input": chunk[None], "state": state, "sr": np.array(RATE, np.int64)})
        probabilities.append(out.item())
    return np.array(probabilities, np.float32)


def by_layers(tensors, samples):
    w = {name: torch.from_numpy(tensor) for name, tensor in tensors.items()}
    cell = torch.nn.LSTMCell(128, 128)
    cell.load_state_dict({name.split(".")[1]: w[name] for name in w if name.startswith("lstm_cell")})
    state, probabilities = None, []
    with torch.no_grad():
        for chunk in chunks(samples):
            x = F.pad(torch.from_numpy(chunk)[None, None], (0, 64), mode="reflect")
            x = F.conv1d(x, w["stft_conv.weight"], stride=128)
            x = (x[:, :129] ** 2 + x[:, 129:] ** 2).sqrt()
            for number, stride in [(1, 1), (2, 2), (3, 2), (4, 1)]:
                x = F.relu(F.conv1d(x, w[f"conv{number}.weight"], w[f"conv{number}.bias"], stride=stride, padding=1))
            state = cell(x.squeeze(-1), state)
            x = F.conv1d(F.relu(state[0]).unsqueeze(-1), w["final_conv.weight"], w["final_conv.bias"])
            probabilities.append(torch.sigmoid(x).item())
    return np.array(probabilities, np.float32)


def check(folder, recordings):
    command = ["cargo", "run", "--quiet", "-p", "ffsvc-features", "--example", "silero_probabilities", "--"]
    model = str(folder / "silero_vad_16k_op15.onnx")
    worst, count = 0.0, 0
    for recording in recordings:
        samples, rate = soundfile.read(recording, dtype="float32")
        assert rate == RATE and samples.ndim == 1, f"{recording}: expected mono at {RATE} Hz"
        ours = subprocess.run([*command, model, recording], check=True, capture_output=True, text=True).stdout
        ours, theirs = np.array([float(line) for line in ours.split()]), by_runtime(folder, samples)
        assert len(ours) == len(theirs), recording
        worst, count = max(worst, np.abs(ours - theirs).max()), count + len(ours)
        print(f"{recording}: {len(ours)} probabilities, largest difference {np.abs(ours - theirs).max():.2e}")
    print(f"{count} probabilities, largest difference {worst:.2e}")
    sys.exit(worst > 1e-4)


def main():
    mode, folder = sys.argv[1], Path(sys.argv[2])
    if mode == "check":
        check(folder, sys.argv[3:])
    samples = soundfile.read(sys.argv[3], dtype="float32")[0][: SECONDS * RATE]
    runtime, formula = by_runtime(folder, samples), by_layers(weights(), samples)
    print(f"speech in {(runtime > 0.5).mean():.0%} of the chunks; formula: {formula.min():.3f} to {formula.max():.3f}")
    sys.path.insert(0, str(folder.parent.parent))
    from silero_vad.utils_vad import get_speech_timestamps_from_probs

    parts = get_speech_timestamps_from_probs(runtime.tolist(), audio_length_samples=len(samples))
    parts = np.array([[part["start"], part["end"]] for part in parts], np.float32)
    print("parts, in samples:", parts.astype(int).tolist())
    save_file({"samples": samples, "runtime": runtime, "formula": formula, "parts": parts}, sys.argv[4])


main()
