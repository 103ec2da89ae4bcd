#!/usr/bin/env python3
"""Archives of recordings and cuts of segments by kaldiio, for crates/audio/tests/archives.rs.

    python3 tests/peers/kaldiio_recordings.py tests/data/audio/kaldiio

Needs numpy, soundfile and kaldiio. Writes recordings at 8 kHz as Kaldi keeps them in archives (wav.ark), and with the token
AUDIO, as kaldiio and ESPnet write them (audio_wav.ark, audio_flac.ark). Sample n of recording k is
(37 * (k + 3) * n) mod 2001 - 1000. The .scp files name archives without folders. cuts.txt has a line
`start end first count` for segments of a recording of 8000 samples at 8 kHz, cut by kaldiio.
"""
import sys
from pathlib import Path

import kaldiio
import numpy as np

RATE = 8000
LENGTHS = [900, 1400, 1100]
CUTS = [(0, 1), (0.1, 0.25), (0.29, 0.57), (0.3, 0.3002), (0.123456, 0.654321), (0.5, -1), (0.999, -1), (0.7, 1.2), (0.7, 1.499)]


def samples(k):
    n = np.arange(LENGTHS[k])
    return ((37 * (k + 3) * n) % 2001 - 1000).astype(np.int16)


def write(folder, name, **options):
    recordings = {f"rec{k}": (RATE, samples(k)) for k in range(len(LENGTHS))}
    kaldiio.save_ark(str(folder / f"{name}.ark"), recordings, scp=str(folder / f"{name}.scp"), **options)
    table = folder / f"{name}.scp"
    table.write_text(table.read_text().replace(f"{folder}/", ""))


def main():
    folder = Path(sys.argv[1])
    folder.mkdir(parents=True, exist_ok=True)
    write(folder, "wav")
    write(folder, "audio_wav", write_function="soundfile", write_kwargs={"format": "WAV"})
    write(folder, "audio_flac", write_function="soundfile", write_kwargs={"format": "FLAC", "subtype": "PCM_16"})

    ramp, segments = folder / "ramp", folder / "ramp.segments"
    kaldiio.save_ark(f"{ramp}.ark", {"ramp": (RATE, np.arange(8000, dtype=np.int16))}, scp=f"{ramp}.scp")
    segments.write_text("".join(f"cut{i} ramp {start} {end}\n" for i, (start, end) in enumerate(CUTS)))
    cuts = kaldiio.load_scp(f"{ramp}.scp", segments=str(segments))
    lines = [f"{start} {end} {cuts[f'cut{i}'][1][0]} {len(cuts[f'cut{i}'][1])}\n" for i, (start, end) in enumerate(CUTS)]
    (folder / "cuts.txt").write_text("".join(lines))
    for path in [f"{ramp}.ark", f"{ramp}.scp", segments]:
        Path(path).unlink()


main()
