"""Execution traces of TensorFlow: its own profiler, whose operations say by their names to which part of a step they belong."""

from __future__ import annotations

import re
import tempfile
from collections.abc import Iterator
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

from tensorflow.tsl.profiler.protobuf import xplane_pb2

from digits.engines.tensorflow.start import tf
from digits.engines.training.trace_parts import BACKWARD, FORWARD, OPTIMIZER
from digits.engines.training.traces import Recorder, Span

PART = "digits.part: "
OPERATIONS = 3  # level of the profiler that has every operation, short ones too
OPERATION = re.compile(r"(?P<node>[\w./>-]+):(?P<kind>[A-Z_]\w*)$")
SCOPES = (("gradient_tape", BACKWARD), (OPTIMIZER, OPTIMIZER), (FORWARD, FORWARD))  # of `TensorflowStep`
HOST, DEVICE, STREAM = "/host:CPU", "/device:GPU", "Stream"


class TensorflowRecorder(Recorder):
    """See `Recorder`."""

    def __init__(self) -> None:
        self.folder: tempfile.TemporaryDirectory[str] | None = None

    def start(self) -> None:
        self.folder = tempfile.TemporaryDirectory()
        options = tf.profiler.experimental.ProfilerOptions(host_tracer_level=OPERATIONS, python_tracer_level=0)
        tf.profiler.experimental.start(self.folder.name, options)

    def mark(self, part: str) -> AbstractContextManager[Any]:
        mark: AbstractContextManager[Any] = tf.profiler.experimental.Trace(f"{PART}{part}")
        return mark

    def stop(self) -> list[Span]:
        folder, self.folder = self.folder, None
        assert folder is not None
        with folder:
            tf.profiler.experimental.stop()
            file = next(Path(folder.name).rglob("*.xplane.pb"))
            return list(spans_of(xplane_pb2.XSpace.FromString(file.read_bytes())))

    def drop(self) -> None:
        folder, self.folder = self.folder, None
        if folder is not None:
            with folder:
                tf.profiler.experimental.stop(save=False)


def spans_of(space: Any) -> Iterator[Span]:
    """What an `XSpace` of TensorFlow's profiler has in it: threads of the host, and streams of GPUs."""
    for plane in space.planes:
        on_device = plane.name.startswith(DEVICE)
        if not on_device and plane.name != HOST:
            continue
        names = {number: found.name for number, found in plane.event_metadata.items()}
        for line in plane.lines:
            if on_device and not line.name.startswith(STREAM):
                continue
            thread = f"{plane.name} {line.name}" if on_device else line.name or f"thread {line.id}"
            for event in line.events:
                if not event.duration_ps:  # a moment, of which there are many
                    continue
                start = line.timestamp_ns / 1e3 + event.offset_ps / 1e6
                told = described(names[event.metadata_id], on_device)
                yield Span(start=start, length=event.duration_ps / 1e6, thread=thread, on_device=on_device, **told)


def described(name: str, on_device: bool = False) -> dict[str, str]:
    """What an event of this name stands for."""
    name = name.partition("#")[0]
    if name.startswith(PART):
        part = name.removeprefix(PART)
        return {"name": part, "kind": "part", "part": part}
    found = OPERATION.fullmatch(name)
    if found is None:
        return {"name": name, "kind": "operation" if on_device else "runtime"}
    above = found["node"].split("/")
    part = next((part for scope, part in SCOPES if scope in above), "")
    return {"name": f"{found['node']} ({found['kind']})", "part": part}
