#!/usr/bin/env python3
"""AU, Wave64 and SPHERE files by libsndfile, for crates/audio/tests/pcm_containers.rs.

    python3 tests/peers/libsndfile_pcm.py tests/data/audio/libsndfile

Needs numpy and soundfile. Each file has two channels of 60 samples at 8 kHz: (37 n) mod 2001 - 1000 and
(53 n) mod 3001 - 1500, of 32768. expected.json has both channels as libsndfile reads them back.
"""
import json
import sys
from pathlib import Path

import numpy as np
import soundfile

FORMS = {
    "au": ("AU", ["PCM_S8", "PCM_16", "PCM_24", "PCM_32", "FLOAT", "DOUBLE", "ULAW", "ALAW"], ["BIG", "LITTLE"]),
    "w64": ("W64", ["PCM_U8", "PCM_16", "PCM_24", "PCM_32", "FLOAT", "DOUBLE", "ULAW", "ALAW"], ["FILE"]),
    "sph": ("NIST", ["PCM_S8", "PCM_16", "PCM_24", "PCM_32", "ULAW", "ALAW"], ["BIG", "LITTLE"]),
}


def main():
    folder = Path(sys.argv[1])
    folder.mkdir(parents=True, exist_ok=True)
    n = np.arange(60)
    samples = np.stack([(37 * n) % 2001 - 1000, (53 * n) % 3001 - 1500], axis=1) / 32768
    expected = {}
    for ending, (form, encodings, orders) in FORMS.items():
        for encoding in encodings:
            for order in orders:
                # Bytes have no order; one of the files is enough.
                if order == "LITTLE" and encoding in ("PCM_S8", "ULAW", "ALAW") and ending == "sph":
                    continue
                path = folder / f"{encoding.lower()}_{order.lower()}.{ending}"
                soundfile.write(path, samples, 8000, subtype=encoding, format=form, endian=order)
                expected[path.name] = soundfile.read(path, dtype="float64")[0].T.tolist()
    lines = [f'  "{name}": {json.dumps(values)}' for name, values in sorted(expected.items())]
    (folder / "expected.json").write_text("{\n" + ",\n".join(lines) + "\n}\n")


main()
