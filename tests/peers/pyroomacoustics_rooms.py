#!/usr/bin/env python3
"""Impulse responses of shoebox rooms from pyroomacoustics, for crates/augment/tests/room.

    python3 tests/peers/pyroomacoustics_rooms.py tests/data/augment/rooms.safetensors
    python3 tests/peers/pyroomacoustics_rooms.py --octaves tests/data/augment/room_bands.safetensors

Needs numpy, safetensors and pyroomacoustics. The rooms, and the absorption and image order that inverse_sabine gives,
are in the metadata, as JSON under "rooms". The responses keep pyroomacoustics' conventions: 40 samples before the
emission, and amplitude 1 / d without the 4 pi. Its high-pass is off. With --octaves the walls have the absorption that
inverse_sabine gives for the reverberation time of each octave from 125 Hz on.
"""
import json
import sys

import numpy as np
import pyroomacoustics as pra
from safetensors.numpy import save_file

SAMPLE_RATE = 16_000
ROOMS = [
    # A small office, a meeting room at a distance of 5 m, and a lively room with the microphone 0.25 m away.
    {"name": "office", "size_m": [4.2, 3.4, 2.6], "rt60_s": 0.25, "source_m": [1.1, 2.3, 1.6], "microphone_m": [3.05, 0.9, 0.75]},
    {"name": "meeting", "size_m": [8.3, 6.1, 3.2], "rt60_s": 0.5, "source_m": [1.4, 1.2, 1.2], "microphone_m": [5.9, 3.35, 1.0]},
    {"name": "near", "size_m": [5.7, 4.9, 2.9], "rt60_s": 0.6, "source_m": [2.0, 2.0, 1.5], "microphone_m": [2.15, 2.2, 1.5]},
]


OCTAVES = [
    {"name": "curtains", "size_m": [4.2, 3.4, 2.6], "rt60_s": 0.35, "rt60_per_octave": 0.8, "source_m": [1.1, 2.3, 1.6], "microphone_m": [3.05, 0.9, 0.75]},
    {"name": "panels", "size_m": [8.3, 6.1, 3.2], "rt60_s": 0.45, "rt60_per_octave": 1.15, "source_m": [1.4, 1.2, 1.2], "microphone_m": [5.9, 3.35, 1.0]},
]
CENTRES = [125.0 * 2**octave for octave in range(6)]


def main():
    in_octaves = sys.argv[1] == "--octaves"
    pra.constants.set("rir_hpf_enable", False)
    pra.constants.set("c", 343.0)
    pra.constants.set("num_threads", 1)
    responses, rooms = {}, []
    for room in OCTAVES if in_octaves else ROOMS:
        times = [room["rt60_s"] * room.get("rt60_per_octave", 1.0) ** np.log2(hz / 1000) for hz in CENTRES]
        _, order = pra.inverse_sabine(max(times), room["size_m"])
        absorption, _ = pra.inverse_sabine(room["rt60_s"], room["size_m"])
        material = pra.Material(absorption)
        if in_octaves:
            octaves = [float(pra.inverse_sabine(time, room["size_m"])[0]) for time in times]
            material = pra.Material({"coeffs": octaves, "center_freqs": CENTRES, "description": room["name"]})
        box = pra.ShoeBox(
            room["size_m"],
            fs=SAMPLE_RATE,
            materials=material,
            max_order=order,
            air_absorption=False,
            use_rand_ism=False,
        )
        box.add_source(room["source_m"])
        box.add_microphone(room["microphone_m"])
        box.compute_rir()
        # As far as the order is complete: inverse_sabine's covers every image within c * rt60.
        keep = int(room["rt60_s"] * SAMPLE_RATE)
        responses[room["name"]] = np.asarray(box.rir[0][0][:keep], dtype=np.float32)
        rooms.append({**room, "absorption": float(absorption), "max_order": int(order)})
    versions = {"pyroomacoustics": pra.__version__, "numpy": np.__version__}
    metadata = {"rooms": json.dumps(rooms), "versions": json.dumps(versions), "sample_rate": str(SAMPLE_RATE)}
    save_file(responses, sys.argv[-1], metadata)


if __name__ == "__main__":
    main()
