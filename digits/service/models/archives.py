"""Taking a model away: an archive of its weights, network, preparation and labels, with a script that needs nothing of digits.

Holds: an archive is made while it is sent, a megabyte at a time, so its size costs no memory and no disk; files are opened before
the first byte, so one that is deleted meanwhile still arrives whole. All members lie flat (R 7.2).
"""

from __future__ import annotations

import bz2
import io
import json
import re
import sys
import tarfile
import time
import zipfile
import zlib
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

from digits.domain.jobs import Task
from digits.errors import BadRequest, StorageError
from digits.service import Service
from digits.service.models.create import model_dict
from digits.service.models.snapshots import Snapshot, find_snapshot
from digits.storage.files import read_json
from digits.storage.jobs.store import Job
from digits.storage.snapshots import snapshot_metadata

FORMATS = ("tar.gz", "tgz", "tar", "tar.bz2", "zip")
MEDIA_TYPES = {"zip": "application/zip", "tar": "application/x-tar", "tar.bz2": "application/x-bzip2"}
TEMPLATES = Path(__file__).parent / "templates"
FOLDERS = {"pytorch": "archive", "tensorflow": "archive_tensorflow"}
SHARED = ("pictures", "reports")  # parts of every script; `from <part> import …` stands for them
HEADING = "# -- "
IMPORT = re.compile(r"^(?:import|from) .*$", re.MULTILINE)
IMPORTS = re.compile(r"^(?:(?:import|from) .*\n)+", re.MULTILINE)
TASK_WORDS = {
    "classification": "An image classification model",
    "segmentation": "A segmentation model",
    "detection": "An object detection model",
    "regression": "A regression model",
    "processing": "A model that turns pictures into pictures",
}
CHUNK = 1 << 20
COMPRESSION = 1  # weights hardly shrink; a higher level only costs time


@dataclass(frozen=True)
class Member:
    """One file of an archive: its bytes, or an open file of `size` bytes."""

    name: str
    size: int
    source: IO[bytes]


class Stream:
    """The bytes of an archive, to be iterated once. `close` gives the files back, also when nothing or not all was read."""

    def __init__(self, chunks: Iterator[bytes], members: Sequence[Member]) -> None:
        self._chunks = chunks
        self._members = members

    def __iter__(self) -> Iterator[bytes]:
        try:
            yield from (chunk for chunk in self._chunks if chunk)
        finally:
            self.close()

    def close(self) -> None:
        for member in self._members:
            member.source.close()


@dataclass(frozen=True)
class Archive:
    """An archive that is about to be sent; `length` is known for plain tar only."""

    file_name: str
    media_type: str
    chunks: Stream
    length: int | None = None


def model_archive(service: Service, model: Job, extension: str = "tar.gz", epoch: float | str | None = None) -> Archive:
    """The archive of a model at `epoch` (newest by default). Raises BadRequest for an unknown extension or a missing snapshot."""
    if extension not in FORMATS:
        raise BadRequest(f"There is no archive format {extension!r}.", advice=f"Choose one of {', '.join(FORMATS)}.")
    snapshot = find_snapshot(service, model, epoch)
    members = model_members(service, model, snapshot)
    chunks, length = _FORMATS[extension](members)
    return Archive(
        file_name=f"{model.id}_epoch_{snapshot.label}.{extension}",
        media_type=MEDIA_TYPES.get(extension, "application/gzip"),
        chunks=Stream(chunks, members),
        length=length,
    )


def model_members(service: Service, model: Job, snapshot: Snapshot) -> list[Member]:
    """The files of an archive, opened."""
    folder = service.folder(model.id).path
    weights = folder / snapshot.path
    meta = snapshot_metadata(weights)
    labels = [str(label) for label in meta.get("class_labels", ())]
    info = {**model_dict(service, model), "snapshot file": weights.name, "snapshot epoch": snapshot.epoch}
    members = [_text("info.json", json.dumps(info, sort_keys=True, indent=4, ensure_ascii=False)), _file(weights)]
    if (folder / "network.py").is_file():
        members.append(_file(folder / "network.py"))
    members.append(_text("preprocessing.json", json.dumps(meta or read_json(folder / "preprocessing.json"), indent=1)))
    if labels:
        members.append(_text(str(info.get("labels file") or "labels.txt"), "".join(f"{label}\n" for label in labels)))
    members += _mean_file(service, model, info)
    if model.framework in FOLDERS and meta:
        members += _script(model.framework, info, meta, snapshot)
    return members


def tar_chunks(members: Iterable[Member]) -> Iterator[bytes]:
    """A tar file, piece by piece."""
    for member in members:
        info = tarfile.TarInfo(member.name)
        info.size, info.mtime, info.mode = member.size, int(time.time()), 0o644
        yield info.tobuf(tarfile.PAX_FORMAT)
        yield from _pieces(member)
        yield b"\0" * (-member.size % tarfile.BLOCKSIZE)
    yield b"\0" * (2 * tarfile.BLOCKSIZE)


def zip_chunks(members: Iterable[Member]) -> Iterator[bytes]:
    """A zip file, piece by piece."""
    sink = _Sink()
    with zipfile.ZipFile(sink, "w", zipfile.ZIP_DEFLATED, compresslevel=COMPRESSION) as archive:
        for member in members:
            info = zipfile.ZipInfo(member.name, time.localtime()[:6])
            info.compress_type, info.external_attr = zipfile.ZIP_DEFLATED, 0o644 << 16
            with archive.open(info, "w", force_zip64=member.size > 1 << 30) as target:
                for piece in _pieces(member):
                    target.write(piece)
                    yield sink.take()
            yield sink.take()
    yield sink.take()


class _Sink(io.RawIOBase):
    """Where a zip file is written to; what was written is taken out again before it grows."""

    def __init__(self) -> None:
        self._parts: list[bytes] = []
        self._position = 0

    def writable(self) -> bool:
        return True

    def tell(self) -> int:
        return self._position

    def write(self, data: Any) -> int:
        piece = bytes(data)
        self._parts.append(piece)
        self._position += len(piece)
        return len(piece)

    def take(self) -> bytes:
        found = b"".join(self._parts)
        self._parts.clear()
        return found


def _gzip(members: list[Member]) -> tuple[Iterator[bytes], None]:
    return _compressed(tar_chunks(members), zlib.compressobj(COMPRESSION, zlib.DEFLATED, 31)), None


def _bzip2(members: list[Member]) -> tuple[Iterator[bytes], None]:
    return _compressed(tar_chunks(members), bz2.BZ2Compressor(COMPRESSION)), None


def _tar(members: list[Member]) -> tuple[Iterator[bytes], int]:
    blocks = sum(len(tarfile.TarInfo(m.name).tobuf(tarfile.PAX_FORMAT)) + m.size + -m.size % tarfile.BLOCKSIZE for m in members)
    return tar_chunks(members), blocks + 2 * tarfile.BLOCKSIZE


def _zip(members: list[Member]) -> tuple[Iterator[bytes], None]:
    return zip_chunks(members), None


_FORMATS: dict[str, Callable[[list[Member]], tuple[Iterator[bytes], int | None]]] = {
    "tar.gz": _gzip,
    "tgz": _gzip,
    "tar": _tar,
    "tar.bz2": _bzip2,
    "zip": _zip,
}


def _compressed(chunks: Iterable[bytes], compressor: Any) -> Iterator[bytes]:
    for chunk in chunks:
        if piece := compressor.compress(chunk):
            yield piece
    yield compressor.flush()


def _pieces(member: Member) -> Iterator[bytes]:
    """Exactly `size` bytes: a file that lost its end meanwhile breaks the transfer instead of giving a wrong archive."""
    left = member.size
    while left:
        piece = member.source.read(min(CHUNK, left))
        if not piece:
            raise StorageError(f"{member.name} became shorter while it was sent.")
        left -= len(piece)
        yield piece


def _text(name: str, text: str) -> Member:
    data = text.encode()
    return Member(name, len(data), io.BytesIO(data))


def _file(path: Path) -> Member:
    try:
        source = open(path, "rb")  # noqa: SIM115 - closed when the archive has been sent
    except OSError as error:
        raise StorageError(
            f"{path.name} cannot be read: {error.strerror or error}.", advice="Choose another snapshot."
        ) from error
    return Member(path.name, path.stat().st_size, source)


def _mean_file(service: Service, model: Job, info: dict[str, Any]) -> list[Member]:
    name = str(info.get("mean file") or "")
    path = service.folder(model.dataset_id).path / name if name and model.dataset_id else None
    return [_file(path)] if path and path.is_file() else []


def _script(framework: str, info: dict[str, Any], meta: dict[str, Any], snapshot: Snapshot) -> list[Member]:
    task = str(meta.get("task", Task.CLASSIFICATION))
    classes = len(meta.get("class_labels", ()))
    values = {
        "name": info["name"],
        "task": TASK_WORDS.get(task, "A model"),
        "network": f"{meta.get('network_name', 'custom')}, {classes} classes" if classes else meta.get("network_name", "custom"),
        "version": info["digits version"],
        "epoch": snapshot.label,
        "snapshot": info["snapshot file"],
    }
    readme = (TEMPLATES / FOLDERS[framework] / "README.md").read_text(encoding="utf-8").format(**values)
    return [_text("predict.py", script_text(framework)), _text("README.md", readme)]


def script_text(framework: str) -> str:
    """The script `predict.py` of a framework, in one piece."""
    script = (TEMPLATES / FOLDERS[framework] / "predict.py").read_text(encoding="utf-8")
    for part in SHARED:
        head, mark, body = (TEMPLATES / f"{part}.py").read_text(encoding="utf-8").partition(HEADING)
        script = re.sub(rf"^from {part} import .*\n", "", script, flags=re.MULTILINE)
        before, own, after = script.partition(f"{HEADING}from a feature")
        script = _with_imports(f"{before}{mark}{body.rstrip()}\n\n\n{own}{after}", IMPORT.findall(head))
    return script


def _with_imports(script: str, lines: Sequence[str]) -> str:
    """The script with more imports, each in the block (of the standard library or of NumPy and its like) where it belongs."""
    for line in lines:
        own = line.split()[1].partition(".")[0] in sys.stdlib_module_names
        blocks = [found for found in IMPORTS.finditer(script) if own == ("import json\n" in found[0])]
        known = blocks[0][0].splitlines()
        if any(other.startswith(f"{line},") for other in known):
            continue
        ordered = sorted({*known, line}, key=lambda text: (text.startswith("from"), text))
        script = script[: blocks[0].start()] + "\n".join(ordered) + "\n" + script[blocks[0].end() :]
    return script
