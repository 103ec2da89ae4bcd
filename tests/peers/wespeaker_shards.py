#!/usr/bin/env python3
"""Shards by WeSpeaker's own tools/make_shard_list.py, for crates/corpora/tests/shards.rs.

    python3 tests/peers/wespeaker_shards.py WESPEAKER tests/data/shards

Needs numpy, scipy, soundfile and a checkout of WeSpeaker. Writes three recordings at 8 kHz, WAV and FLAC, into two shards.
Sample n of recording k is (37 * (k + 3) * n) mod 2001 - 1000. One key is longer than a name in a tar header. shard.list names the
shards without folders. shards.txt has what WeSpeaker reads back: `key speaker number-of-samples`.
"""
import subprocess
import sys
import tarfile
import tempfile
from pathlib import Path

import numpy as np
import soundfile

KEYS = ["id10001/1zcIwhmdeo4/00001.wav", "rec1", "id10002/" + "a-long-name-" * 9 + "/00002.wav"]
SPEAKERS = ["id10001", "ann", "id10002"]
LENGTHS = [900, 1400, 1100]


def main():
    wespeaker, folder = Path(sys.argv[1]), Path(sys.argv[2])
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as work:
        work = Path(work)
        wav, utt2spk = [], []
        for k, (key, speaker) in enumerate(zip(KEYS, SPEAKERS)):
            n = np.arange(LENGTHS[k])
            path = work / f"rec{k}.{'flac' if k == 1 else 'wav'}"
            soundfile.write(path, ((37 * (k + 3) * n) % 2001 - 1000).astype(np.int16), 8000)
            wav.append(f"{key} {path}\n")
            utt2spk.append(f"{key} {speaker}\n")
        (work / "wav.scp").write_text("".join(wav))
        (work / "utt2spk").write_text("".join(utt2spk))
        subprocess.run(
            [sys.executable, wespeaker / "tools/make_shard_list.py", "--num_utts_per_shard", "2",
             work / "wav.scp", work / "utt2spk", folder, folder / "shard.list"], check=True)
    table = folder / "shard.list"
    names = [Path(line).name for line in table.read_text().split()]
    table.write_text("".join(f"{name}\n" for name in names))
    lines = []
    for name in names:
        # As wespeaker/dataset/processor.py groups entries: by what stands before the last point.
        with tarfile.open(folder / name, "r:*") as shard:
            speakers = {}
            for entry in shard:
                key, ending = entry.name.rsplit(".", 1)
                if ending == "spk":
                    speakers[key] = shard.extractfile(entry).read().decode("utf8").strip()
                else:
                    frames = soundfile.info(shard.extractfile(entry)).frames
                    lines.append(f"{key} {speakers[key]} {frames}\n")
    (folder / "shards.txt").write_text("".join(lines))


main()
