#!/usr/bin/env python3
"""Compares what TensorBoard reads of a run's folder with its metrics.jsonl. By hand only; needs
PyPI's tensorboard:
  python3 -m venv VENV && VENV/bin/pip install tensorboard 'setuptools<81'
  VENV/bin/python tests/golden/check_tensorboard.py RUN_DIR
"""
import json
import pathlib
import struct
import sys

from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

KEYS = {"memory": "memory_bytes"}


def main():
    folder = pathlib.Path(sys.argv[1])
    lines = [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]
    accumulator = EventAccumulator(str(folder), size_guidance={"scalars": 0})
    accumulator.Reload()
    tags = ["loss", "lr", "grad_norm", "tokens_per_s", "mfu", "memory", "val_loss"]
    assert sorted(accumulator.Tags()["scalars"]) == sorted(tags), accumulator.Tags()
    for tag in tags:
        key = KEYS.get(tag, tag)
        wanted = [(line["step"], line[key]) for line in lines if key in line]
        f32 = [(step, struct.unpack("f", struct.pack("f", value))[0]) for step, value in wanted]
        found = [(event.step, event.value) for event in accumulator.Scalars(tag)]
        assert found == f32, (tag, found[:3], f32[:3])
        print(f"{tag}: {len(found)} values agree")


if __name__ == "__main__":
    main()
