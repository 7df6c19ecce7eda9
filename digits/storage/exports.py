"""The exports of a model: `exports/<format>-epoch_<E>/` in its folder, each with its files and, written last, `export.json`.

Holds: a folder of that name is whole. It is written under a name that begins with a dot and renamed; where there was one of the
same format and epoch, that one goes when the new one stands in its place.
"""

from __future__ import annotations

import contextlib
import os
import shutil
from collections.abc import Iterator
from pathlib import Path

from digits.domain.exports import Export
from digits.errors import StorageError
from digits.storage.files import read_json, sync_directory, write_json
from digits.storage.folders import JobFolder

FACTS = "export.json"
PART, OLD = ".part", ".old"


def export_name(format_name: str, epoch: float) -> str:
    """Name of an export's folder."""
    return f"{format_name}-epoch_{epoch:g}"


@contextlib.contextmanager
def writing(model: JobFolder, job_id: str) -> Iterator[Path]:
    """An empty folder to write the files of an export into; removed unless `publish` took it.

    What a worker of the same job that was killed left goes first.
    """
    part = model.exports / f".{job_id}{PART}"
    shutil.rmtree(part, ignore_errors=True)
    part.mkdir(parents=True)
    try:
        yield part
    finally:
        shutil.rmtree(part, ignore_errors=True)


def publish(model: JobFolder, part: Path, export: Export) -> Path:
    """Let what was written to `part` be the model's export of its format and epoch; its folder."""
    for name, _ in export.files:
        with open(part / name, "rb") as file:
            os.fsync(file.fileno())
    write_json(part / FACTS, export.to_json())
    target = model.exports / export_name(export.format, export.epoch)
    old = model.exports / f".{export.job_id}{OLD}"
    shutil.rmtree(old, ignore_errors=True)
    if target.exists():
        os.rename(target, old)
    os.rename(part, target)
    sync_directory(model.exports)
    shutil.rmtree(old, ignore_errors=True)
    return target


def exports_of(model: JobFolder) -> list[Export]:
    """The exports that are whole, newest first."""
    found = []
    for path in model.exports.iterdir() if model.exports.is_dir() else ():
        if not path.name.startswith("."):
            with contextlib.suppress(StorageError, KeyError, TypeError, ValueError):
                found.append(Export.from_json(read_json(path / FACTS)))
    return sorted(found, key=lambda export: export.created, reverse=True)


def export_folder(model: JobFolder, export: Export) -> Path:
    """Where the files of an export lie."""
    return model.exports / export_name(export.format, export.epoch)
