"""Summaries for TensorBoard in the job folder's `tb/`: scalars, sample pictures and the graph of the network.

Written without TensorBoard being installed: an event file is a TFRecord file of `Event` messages, both of which are simple
(tensorflow/core/util/event.proto, tensorflow/core/lib/io/record_writer). The files are for looking at only: nothing reads them
back, lines within an epoch are thinned by the clock, and a disk that is full only ends them.
"""

from __future__ import annotations

import io
import struct
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import google_crc32c
import numpy as np
from PIL import Image

from digits.domain.events import LogEvent
from digits.engines.base import TrainingRun

FOLDER = "tb"
SECONDS = 0.5  # between lines of training scalars
PICTURES = 4
SESSION_START = b"\x08\x01"  # SessionLog.START: what an earlier attempt wrote at or beyond this step is void


@dataclass(frozen=True)
class GraphNode:
    """A step of a computation: what it is, the names of the nodes it reads, the shapes of what it makes."""

    name: str
    kind: str
    inputs: tuple[str, ...]
    shapes: Sequence[tuple[int, ...]]


class Summaries:
    """The event file of one attempt. Does nothing but a log line once it cannot write."""

    def __init__(self, run: TrainingRun, step: int) -> None:
        self.run = run
        self.last = 0.0
        self.due = True
        self.has_graph = False
        self.path: Path | None = run.folder / FOLDER / f"events.out.tfevents.{time.time():.0f}.digits"
        self._write(0, 3, b"brain.Event:2")
        if step:
            self._write(step, 7, SESSION_START)

    def scalars(self, phase: str, step: int, values: Mapping[str, float]) -> None:
        """Scalars of a moment as `<phase>/<name>`. Those of training are thinned, but for the last of an epoch."""
        if phase == "train":
            self.due = time.monotonic() - self.last >= SECONDS or any(name.startswith("epoch_") for name in values)
        if phase != "val" and not self.due:
            return
        self.last = time.monotonic() if phase != "val" else self.last
        summary = b"".join(_bytes(1, _text(1, f"{phase}/{name}") + _float(2, value)) for name, value in values.items())
        self._write(step, 5, summary)

    def graph(self, make: Callable[[], bytes]) -> None:
        """A serialized GraphDef (empty: there is none yet); once, and a network that cannot be drawn only costs a log line."""
        if self.has_graph or self.path is None:
            return
        try:
            graph = make()
        except Exception as error:  # a network may do anything when it is called
            graph, self.has_graph = b"", True
            self.run.emit(LogEvent(message=f"TensorBoard gets no graph of the network: {type(error).__name__}: {error}"))
        if graph:
            self.has_graph = True
            self._write(0, 4, graph)

    def pictures(self, step: int, pictures: Mapping[str, np.ndarray]) -> None:
        """Pictures (C, H, W) or (H, W) of any dtype by tag, each stretched to full contrast."""
        summary = b"".join(_bytes(1, _text(1, tag) + _bytes(4, _picture(value))) for tag, value in pictures.items())
        if summary:
            self._write(step, 5, summary)

    def samples(self, step: int) -> None:
        """The first of the fixed validation samples with those of their predictions that are pictures."""
        folder = self.run.folder / "samples"
        try:
            with np.load(folder / "inputs.npz") as inputs, np.load(folder / f"step_{step}.npz") as outputs:
                found = {f"samples/{key}": inputs[key] for key in inputs.files if key.endswith("/feature")}
                found |= {f"samples/{key}": outputs[key] for key in outputs.files}
        except (OSError, ValueError):
            return
        kept = {tag: value for tag, value in found.items() if value.ndim in (2, 3) and min(value.shape[-2:]) > 1}
        self.pictures(step, {tag: value for tag, value in kept.items() if int(tag.split("/")[1]) < PICTURES})

    def _write(self, step: int, field: int, content: bytes) -> None:
        if self.path is None:
            return
        event = b"\x09" + struct.pack("<d", time.time()) + b"\x10" + _varint(step) + _bytes(field, content)
        try:
            self.path.parent.mkdir(exist_ok=True)
            with open(self.path, "ab") as file:
                file.write(record(event))
        except OSError as error:
            self.path = None
            self.run.emit(LogEvent(message=f"No more summaries for TensorBoard are written: {error.strerror or error}."))


def graph_def(nodes: Sequence[GraphNode]) -> bytes:
    """A GraphDef (tensorflow/core/framework/graph.proto) of nodes without values."""
    return b"".join(_bytes(1, _node(node)) for node in nodes) + _bytes(4, b"\x08\x01")


def _node(node: GraphNode) -> bytes:
    shapes = b"".join(_bytes(7, b"".join(_bytes(2, b"\x08" + _varint(size)) for size in shape)) for shape in node.shapes)
    shapes_entry = _text(1, "_output_shapes") + _bytes(2, _bytes(1, shapes))
    return _text(1, node.name) + _text(2, node.kind) + b"".join(_text(3, name) for name in node.inputs) + _bytes(5, shapes_entry)


def record(data: bytes) -> bytes:
    """A TFRecord: length, its checksum, the data, its checksum."""
    length = struct.pack("<Q", len(data))
    return length + struct.pack("<I", masked_crc(length)) + data + struct.pack("<I", masked_crc(data))


def masked_crc(data: bytes) -> int:
    """CRC-32C, rotated and shifted as TFRecord files have it."""
    crc = google_crc32c.value(data)
    return (((crc >> 15) | (crc << 17)) + 0xA282EAD8) & 0xFFFFFFFF


def _varint(value: int) -> bytes:
    parts = []
    while value > 127:
        parts.append(value & 127 | 128)
        value >>= 7
    return bytes([*parts, value])


def _bytes(field: int, content: bytes) -> bytes:
    return bytes([field << 3 | 2]) + _varint(len(content)) + content


def _text(field: int, text: str) -> bytes:
    return _bytes(field, text.encode())


def _float(field: int, value: float) -> bytes:
    """A number beyond the range of 32 bits is infinite."""
    with np.errstate(over="ignore"):
        return bytes([field << 3 | 5]) + np.float32(value).astype("<f4").tobytes()


def _picture(value: np.ndarray) -> bytes:
    """An Image message: height, width, number of channels, PNG."""
    shown = value if value.ndim == 2 else value.transpose(1, 2, 0) if value.shape[0] == 3 else value[0]
    low, high = float(np.nanmin(shown)), float(np.nanmax(shown))
    scaled = (np.nan_to_num(shown.astype(np.float64)) - low) * (255 / (high - low) if high > low else 0)
    buffer = io.BytesIO()
    Image.fromarray(scaled.clip(0, 255).astype(np.uint8)).save(buffer, "PNG")
    size = b"\x08" + _varint(shown.shape[0]) + b"\x10" + _varint(shown.shape[1])
    return size + b"\x18" + _varint(3 if shown.ndim == 3 else 1) + _bytes(4, buffer.getvalue())
