#!/usr/bin/env python3
"""Event files: TensorBoard's own writer for the unit test, and its own reader on what ffsvc-train has written.

    python3 tests/peers/tensorboard_events.py write tests/data/tensorboard/events
    python3 tests/peers/tensorboard_events.py read EXP/train.jsonl FOLDER

The second one compares every number that FOLDER has (ffsvc-train CONFIG EXP --tensorboard FOLDER, perhaps resumed) with the log
of the run. Needs tensorboard (PyPI).
"""

import json
import math
import sys

import numpy as np
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from tensorboard.compat.proto.event_pb2 import Event, SessionLog
from tensorboard.compat.proto.summary_pb2 import Summary
from tensorboard.summary.writer.record_writer import RecordWriter


def write(path):
    value = lambda tag, number: Summary.Value(tag=tag, simple_value=number)
    events = [
        Event(wall_time=1.5, step=0, file_version="brain.Event:2"),
        Event(wall_time=2.25, step=5, session_log=SessionLog(status=SessionLog.START)),
        Event(wall_time=3.0, step=5, summary=Summary(value=[value("train/loss", 0.0), value("epoch/ü", -1.25e-3)])),
        Event(wall_time=4.0, step=1 << 40, summary=Summary(value=[value("train/loss", math.inf)])),
    ]
    with open(path, "wb") as file:
        writer = RecordWriter(file)
        for event in events:
            writer.write(event.SerializeToString(deterministic=True))
        writer.flush()
    print(f"{len(events)} events")


def read(log, folder):
    expected = {}
    for event in map(json.loads, open(log)):
        kind = {"step": "train", "epoch": "epoch", "validation": "validation"}.get(event["event"])
        for name, number in event.items() if kind else ():
            if isinstance(number, float):
                expected.setdefault(f"{kind}/{name}", {})[event["step"]] = number
        for name, rates in event.get("lists", {}).items():
            for measure, number in rates.items():
                expected.setdefault(f"validation/{name}/{measure}", {})[event["step"]] = number
    events = EventAccumulator(folder, size_guidance={"scalars": 0})
    events.Reload()
    tags = events.Tags()["scalars"]
    assert {"train/loss", "train/learning_rate", "epoch/loss"} <= set(tags), tags
    for tag in tags:
        found = {scalar.step: scalar.value for scalar in events.Scalars(tag)}
        assert len(found) == len(events.Scalars(tag)), f"{tag}: a step twice"
        assert found == {step: float(np.float32(number)) for step, number in expected[tag].items()}, tag
    print(f"{len(tags)} curves are those of the log: {', '.join(sorted(tags))}")


if __name__ == "__main__":
    {"write": write, "read": read}[sys.argv[1]](*sys.argv[2:])
