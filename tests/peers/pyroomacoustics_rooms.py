#!/usr/bin/env python3
"""Impulse responses of shoebox rooms from pyroomacoustics, for crates/augment/tests/room.rs.

    python3 tests/peers/pyroomacoustics_rooms.py tests/data/augment/rooms.safetensors

Needs numpy, safetensors and pyroomacoustics. The rooms, and the absorption and image order that inverse_sabine gives,
are in the metadata, as JSON under "rooms". The responses keep pyroomacoustics' conventions: 40 samples before the
emission, and amplitude 1 / d without the 4 pi. Its high-pass is off.
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


def main():
    pra.constants.set("rir_hpf_enable", False)
    pra.constants.set("c", 343.0)
    pra.constants.set("num_threads", 1)
    responses, rooms = {}, []
    for room in ROOMS:
        absorption, order = pra.inverse_sabine(room["rt60_s"], room["size_m"])
        box = pra.ShoeBox(
            room["size_m"],
            fs=SAMPLE_RATE,
            materials=pra.Material(absorption),
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
    save_file(responses, sys.argv[1], metadata)


if __name__ == "__main__":
    main()
