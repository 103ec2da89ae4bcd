#!/usr/bin/env python3
"""How far the estimates of SNR and C50 of `ffsvc-data audio-quality` are from the truth: the tables in docs/data.md.

    python3 tests/peers/room_estimates.py DATA WORK --noise FOLDER [--rooms LIST] [--vad silero --vad-model FILE] [--fit] [--seed N]

Needs numpy and soundfile, and the programs (FFSVC_BIN, default target/release). DATA is a data directory of clean recordings at
16 kHz. Puts each recording into rooms and noise by `ffsvc-data augment`, whose plans tell the SNR. The response of each room is what
the same plan makes of a single pulse, so C50 is computed here from it (ISO 3382: energy up to 50 ms after the direct sound over
what comes later), as is T30. --rooms is a list of measured responses. --fit prints the line that maps the falling rate to C50.
"""
import argparse
import json
import os
import subprocess
from pathlib import Path

import numpy as np
import soundfile

RATE = 16000
PULSE = 200  # sample of the pulse
STEADY = ["Rain", "Sea_waves", "Helicopter"]
SIMULATED = """
[augment.reverb]
probability = 1.0
simulated.rooms = 1000
[augment.reverb.simulated.ranges]
length_m = [3.0, 9.0]
width_m = [3.0, 7.0]
rt60_s = [0.2, 1.0]
distances_m = [[0.25, 1.0], [1.0, 2.0], [2.0, 5.0]]
"""
OFFSET_DB, FACTOR_S = -15.4, 0.228  # crates/features/src/room_estimates.rs


def run(program, *words):
    folder = os.environ.get("FFSVC_BIN", "target/release")
    subprocess.run([f"{folder}/{program}", *map(str, words)], check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)


def table(path):
    return dict(line.split(maxsplit=1) for line in path.read_text().splitlines())


def plans(folder):
    lines = [json.loads(line) for line in (folder / "plans.jsonl").read_text().splitlines()]
    return {line["utterance"]: line.get("plan", line) for line in lines}


def pulses(data, folder):
    """Recordings of one pulse, under the names of DATA."""
    folder.mkdir(parents=True, exist_ok=True)
    pulse = np.zeros(int(2.5 * RATE), dtype=np.float32)
    pulse[PULSE] = 0.5
    soundfile.write(folder / "pulse.wav", pulse, RATE, subtype="FLOAT")
    (folder / "wav.scp").write_text("".join(f"{u} {folder}/pulse.wav\n" for u in table(data / "wav.scp")))
    for name in ["utt2spk", "spk2utt"]:
        (folder / name).write_text((data / name).read_text())


def truth(path):
    """C50 in dB and T30 in s of a response."""
    response = soundfile.read(path)[0]
    direct = int(np.argmax(np.abs(response)))
    energy = np.cumsum(response[::-1] ** 2)[::-1]
    early = direct + int(0.05 * RATE)
    c50 = 10 * np.log10((energy[0] - energy[early]) / max(energy[early], 1e-12))
    decay = 10 * np.log10(energy / energy[0] + 1e-12)
    inside = np.flatnonzero((decay < -5) & (decay > -35))
    t30 = -60 / np.polyfit(inside / RATE, decay[inside], 1)[0] if len(inside) > 100 else np.nan
    return c50, t30


def row(name, estimate, true):
    keys = [k for k in true if k in estimate]
    e, t = np.array([float(estimate[k]) for k in keys]), np.array([true[k] for k in keys])
    correlation = np.corrcoef(e, t)[0, 1] if t.std() > 0.1 else np.nan
    print(f"{name:44} {len(keys):4} of {len(true):4}  {t.min():5.1f} to {t.max():5.1f}  bias {np.mean(e - t):+5.1f}  "
          f"RMSE {np.sqrt(np.mean((e - t) ** 2)):4.1f}  correlation {correlation:.2f}", flush=True)
    return e, t


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("data", type=Path)
    parser.add_argument("work", type=Path)
    parser.add_argument("--noise", type=Path, required=True, help="ESC-10")
    parser.add_argument("--rooms", type=Path)
    parser.add_argument("--vad", default="noise-floor")
    parser.add_argument("--vad-model")
    parser.add_argument("--fit", action="store_true")
    parser.add_argument("--seed", type=int, default=1)
    args = parser.parse_args()
    work = args.work
    work.mkdir(parents=True, exist_ok=True)
    pulses(args.data, work / "pulses")
    rng = np.random.default_rng(0)
    soundfile.write(work / "white.wav", 0.1 * rng.standard_normal(60 * RATE), RATE, subtype="FLOAT")
    sounds = sorted(p for p in args.noise.rglob("*.ogg"))
    lists = {
        "white": [work / "white.wav"],
        "rain, waves, helicopter": [p for p in sounds if any(kind in str(p) for kind in STEADY)],
        "all of ESC-10": sounds,
    }

    def copy(name, rooms, noise=None, snr=None):
        """A copy of DATA, its quality, and the true C50, T30 and SNR."""
        config = work / f"{name}.toml"
        text = ""
        if rooms == "simulated":
            text += SIMULATED
        elif rooms:
            text += f"[augment.reverb]\nprobability = 1.0\nlist = '{rooms}'\n"
        if noise:
            (work / f"{name}.list").write_text("".join(f"{p}\n" for p in lists[noise]))
            text += f"[augment.additive]\nprobability = 1.0\nreverberated = 0.0\n[augment.additive.noise]\nlist = '{work}/{name}.list'\nsnr_db = {snr}\n"
        config.write_text(text)
        for data, out in [(args.data, work / name)] + ([(work / "pulses", work / f"{name}-pulses")] if rooms else []):
            if (out / "wav.scp").exists():
                continue
            if data != args.data:
                config.write_text(text.split("[augment.additive]")[0])
            run("ffsvc-data", "augment", data, out, "--config", config, "--seed", args.seed)
        quality = work / f"{name}-quality-{args.vad}"
        model = ["--vad-model", args.vad_model] if args.vad_model else []
        run("ffsvc-data", "audio-quality", work / name, quality, "--vad", args.vad, *model)
        done = plans(work / name)
        rooms_of = {}
        if rooms:
            of_pulses = plans(work / f"{name}-pulses")
            assert all(of_pulses[u].get("reverb") == plan.get("reverb") for u, plan in done.items()), "another room"
            rooms_of = {u: truth(path) for u, path in table(work / f"{name}-pulses" / "wav.scp").items()}
        snrs = {u: plan["noises"][0]["snr_db"] for u, plan in done.items() if plan.get("noises")}
        return table(quality / "utt2snr"), table(quality / "utt2c50"), rooms_of, snrs

    print(f"SNR, --vad {args.vad}")
    for noise in lists:
        for low, high in [(0, 15), (15, 30)]:
            snr, _, _, true = copy(f"{noise.split(',')[0].replace(' ', '-')}-{low}", None, noise, [low, high])
            row(f"{noise}, {low} to {high} dB", snr, true)
    snr, _, rooms, true = copy("rooms-white", "simulated", "white", [0, 30])
    row("white, in simulated rooms", snr, true)

    print("C50")
    kinds = [("simulated rooms", "simulated", None, None), ("simulated rooms, white noise at 20 dB", "simulated", "white", [20, 20]),
             ("simulated rooms, ESC-10 at 20 dB", "simulated", "all of ESC-10", [20, 20]),
             ("simulated rooms, ESC-10 at 10 dB", "simulated", "all of ESC-10", [10, 10])]
    if args.rooms:
        kinds.append(("measured rooms", args.rooms, None, None))
    for n, (name, rooms, noise, snr) in enumerate(kinds):
        _, c50, true, _ = copy(f"c50-{n}", rooms, noise, snr)
        e, t = row(name, c50, {u: c for u, (c, _) in true.items()})
        below = {u: c for u, (c, _) in true.items() if c < 25}
        row(f"{name}, below 25 dB", c50, below)
        t30 = np.array([true[u][1] for u in true if u in c50])
        known = np.isfinite(t30)
        print(f"{'':44} correlation of the estimate with T30: {np.corrcoef(e[known], t30[known])[0, 1]:.2f}")
        if args.fit and n == 0:
            slope, offset = np.polyfit((e - OFFSET_DB) / FACTOR_S, t, 1)
            print(f"fit: C50_OFFSET_DB = {offset:.2f}, C50_FACTOR_S = {slope:.4f}")
    _, c50, _, _ = copy("white-20", None, "white", [20, 30])
    values = np.array([float(v) for v in c50.values()])
    print(f"recordings as they are, white noise at 20 to 30 dB: C50 {values.mean():.1f} dB, standard deviation {values.std():.1f} dB")


main()
