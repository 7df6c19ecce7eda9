"""Taking a model away: an archive of its weights, network, preparation and labels, with a script that needs nothing of digits.

Holds: an archive is made while it is sent, a megabyte at a time, so its size costs no memory and no disk; files are opened before
the first byte, so one that is deleted meanwhile still arrives whole. All members lie flat (R 7.2), but for exports that
are a folder.
"""

from __future__ import annotations

import bz2
import gzip
import io
import json
import os
import re
import shutil
import tarfile
import threading
import time
import zipfile
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

from digits.domain.exports import Export
from digits.domain.jobs import Kind
from digits.engines.network.python_layers import MODULE, layer_file_of
from digits.errors import BadRequest, StorageError
from digits.frameworks import folder_of, frameworks
from digits.service import Service
from digits.service.models.card import model_card, parity_text
from digits.service.models.create import model_dict
from digits.service.models.exports import exports_at
from digits.service.models.pretrained import pretrained_dict
from digits.service.models.snapshots import Snapshot, find_snapshot
from digits.service.models.thresholds import thresholds_of, values_of, with_thresholds
from digits.storage.exports import export_folder
from digits.storage.files import read_json
from digits.storage.jobs.store import Job
from digits.storage.snapshots import snapshot_metadata
from digits.tasks import get

TEMPLATES = Path(__file__).parent / "templates"
SHARED = "predicting.py"  # the part of predict.py that knows no framework
SERVER = ("server.py", "Dockerfile", "requirements.txt")
CARD = "MODEL_CARD.md"
PLAIN = "model_plain.onnx"  # as digits.engines.onnx_files writes it
CHUNK = 1 << 20
SAME_MODULE = f"import sys\n\nimport {MODULE}\n\nsys.modules[__name__] = {MODULE}\n"
COMPRESSION = 1  # weights hardly shrink; a higher level only costs time


@dataclass(frozen=True)
class Member:
    """One file of an archive: its bytes, or an open file of `size` bytes."""

    name: str
    size: int
    source: IO[bytes]

    def header(self) -> tarfile.TarInfo:
        """What a tar file says of it."""
        info = tarfile.TarInfo(self.name)
        info.size, info.mtime, info.mode = self.size, int(time.time()), 0o644
        return info


class ArchiveStream:
    """The bytes of an archive, to be iterated once: written by a thread into a pipe that the reader empties.

    `close` gives the files back and ends the thread, also when nothing or not all was read.
    """

    def __init__(self, write: Callable[[IO[bytes], Sequence[Member]], None], members: Sequence[Member]) -> None:
        self._write = write
        self._members = members
        self._reader: IO[bytes] | None = None
        self._thread: threading.Thread | None = None
        self._error: BaseException | None = None

    def __iter__(self) -> Iterator[bytes]:
        try:
            read, write = os.pipe()
            self._reader = open(read, "rb", buffering=0)  # noqa: SIM115 - closed by `close`
            self._thread = threading.Thread(target=self._work, args=(write,), name="archive", daemon=True)
            self._thread.start()
            while piece := self._reader.read(CHUNK):
                yield piece
            self._thread.join()
            if self._error is not None:
                raise self._error
        finally:
            self.close()

    def close(self) -> None:
        """End it; what the thread still writes has no reader."""
        if self._reader is not None:
            self._reader.close()
        if self._thread is not None:
            self._thread.join()
        for member in self._members:
            member.source.close()

    def _work(self, descriptor: int) -> None:
        try:
            with open(descriptor, "wb", buffering=CHUNK) as target:
                self._write(target, self._members)
        except BrokenPipeError:
            pass  # the reader went away
        except BaseException as error:  # raised again where it is read
            self._error = error


@dataclass(frozen=True)
class Archive:
    """An archive that is about to be sent; `length` is known for plain tar only."""

    file_name: str
    media_type: str
    chunks: ArchiveStream
    length: int | None = None


def model_archive(
    service: Service, model: Job, extension: str = "tar.gz", epoch: float | str | None = None, *, named: bool = False
) -> Archive:
    """The archive of a model at `epoch` (newest by default). Its file has the id in its name, as the original's, or the model's
    name where it is to be `named`. Raises BadRequest for an unknown extension or a missing snapshot."""
    if extension not in FORMATS:
        raise BadRequest(f"There is no archive format {extension!r}.", advice=f"Choose one of {', '.join(FORMATS)}.")
    snapshot = find_snapshot(service, model, epoch)
    members = model_members(service, model, snapshot)
    return _archive(f"{file_stem(model) if named else model.id}_epoch_{snapshot.label}", extension, members)


def card_of(service: Service, model: Job, epoch: float | str | None = None) -> str:
    """The card of a snapshot, in Markdown, with the exports of that snapshot."""
    snapshot = find_snapshot(service, model, epoch)
    meta = with_thresholds(snapshot_metadata(service.folder(model.id).path / snapshot.path), values_of(service, model.id))
    return model_card(service, model, snapshot, meta, [export for export, _ in exports_at(service, model, snapshot.epoch)])


def export_file(service: Service, model: Job, export: Export) -> Archive:
    """One export to be sent: what one has to have of it, a file as it is, or several in a zip."""
    folder = export_folder(service.folder(model.id), export)
    members = [file_member(folder / name, name) for name, _ in export.taken]
    stem = f"{model.id}_epoch_{export.epoch:g}"
    if len(members) == 1:
        name = f"{stem}_{export.files[0][0].rsplit('/', 1)[-1]}"
        return Archive(name, "application/octet-stream", ArchiveStream(_copy, members), members[0].size)
    return _archive(f"{stem}_{export.format}", "zip", members)


def model_members(service: Service, model: Job, snapshot: Snapshot) -> list[Member]:
    """The files of an archive, opened."""
    members: list[Member] = []
    try:
        _gather(members, service, model, snapshot)
    except BaseException:
        for member in members:
            member.source.close()
        raise
    return members


def _gather(members: list[Member], service: Service, model: Job, snapshot: Snapshot) -> None:
    folder = service.folder(model.id).path
    weights = folder / snapshot.path
    meta = snapshot_metadata(weights)
    labels = [str(label) for label in meta.get("class_labels", ())]
    say = pretrained_dict if model.kind == Kind.PRETRAINED else model_dict
    info = {**say(service, model), "snapshot file": weights.name, "snapshot epoch": snapshot.epoch}
    members.append(text_member("info.json", json.dumps(info, sort_keys=True, indent=4, ensure_ascii=False)))
    members.append(file_member(weights))
    if (folder / "network.py").is_file():
        members.append(file_member(folder / "network.py"))
    members += _layer_files(service, model)
    chosen = thresholds_of(service, model.id)
    described = with_thresholds(meta or read_json(folder / "preprocessing.json"), values_of(service, model.id))
    members.append(text_member("preprocessing.json", json.dumps(described, indent=1)))
    if chosen:
        members.append(text_member("thresholds.json", json.dumps({"thresholds": chosen}, indent=1, ensure_ascii=False)))
    if labels:
        members.append(text_member(str(info.get("labels file") or "labels.txt"), "".join(f"{label}\n" for label in labels)))
    members += _mean_file(service, model, info)
    exported = exports_at(service, model, snapshot.epoch)
    plain = any(name == PLAIN for export, _ in exported for name, _ in export.files if not export.lossy)
    if model.framework in frameworks() and meta:
        members += _script(model.framework, info, meta, snapshot, plain=plain)
        members.append(text_member(CARD, model_card(service, model, snapshot, described, [export for export, _ in exported])))
    if exported:
        members += [
            text_member("PARITY.md", parity_text(model, [export for export, _ in exported])),
            text_member("parity.json", json.dumps([export.to_json() for export, _ in exported], indent=1)),
        ]
    for export, place in exported:
        members += [file_member(place / name, name_in_archive(export, name)) for name, _ in export.files]


def name_in_archive(export: Export, name: str) -> str:
    """What a file of an export is called beside those of the others: of 8 bits it begins with the format."""
    return f"{export.format}_{name}" if export.lossy else name


def script_files(framework: str, *, plain: bool = False) -> list[tuple[str, Path]]:
    """`predict.py` of a framework and the module that it imports: name in the archive, file. Where there is a `plain` ONNX file,
    `predict.py` uses that, and the framework's is called after it; what makes a server of it comes too."""
    own = folder_of(frameworks()[framework].archive) / "predict.py"
    if not plain:
        return [("predict.py", own), (SHARED, TEMPLATES / SHARED)]
    names = {f"predict_{framework}.py": own, "predict.py": TEMPLATES / "predict_onnx.py"}
    return [*names.items(), *((name, TEMPLATES / name) for name in (SHARED, *SERVER))]


def file_stem(model: Job) -> str:
    """The model's name as that of a file: letters and digits of any script, no blanks, nothing that paths or headers mean."""
    kept = re.sub(r"[^\w.-]+", "-", model.name).strip("-.")[:80]
    return kept or model.id


def write_tar(target: IO[bytes], members: Sequence[Member]) -> None:
    """A tar file. StorageError for a member that has become shorter."""
    with tarfile.open(fileobj=target, mode="w|", format=tarfile.PAX_FORMAT, bufsize=CHUNK) as archive:
        for member in members:
            try:
                archive.addfile(member.header(), member.source)
            except BrokenPipeError:
                raise
            except OSError as error:  # else a transfer that breaks would look like a whole archive
                raise _shorter(member) from error


def write_tar_gz(target: IO[bytes], members: Sequence[Member]) -> None:
    with gzip.GzipFile(fileobj=target, mode="wb", compresslevel=COMPRESSION) as packed:
        write_tar(packed, members)  # type: ignore[arg-type]


def write_tar_bz2(target: IO[bytes], members: Sequence[Member]) -> None:
    with bz2.BZ2File(target, "wb", compresslevel=COMPRESSION) as packed:
        write_tar(packed, members)


def write_zip(target: IO[bytes], members: Sequence[Member]) -> None:
    """A zip file. StorageError for a member that has become shorter."""
    with zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED, compresslevel=COMPRESSION) as archive:
        for member in members:
            entry = zipfile.ZipInfo(member.name, time.localtime()[:6])
            entry.compress_type, entry.external_attr, entry.file_size = zipfile.ZIP_DEFLATED, 0o644 << 16, member.size
            with archive.open(entry, "w", force_zip64=member.size >= 2**31) as packed:
                left = member.size
                while left and (piece := member.source.read(min(CHUNK, left))):
                    left -= packed.write(piece)
            if left:
                raise _shorter(member)


def tar_length(members: Sequence[Member]) -> int:
    """Bytes of `write_tar`: headers, contents in whole blocks, and the end in whole records."""
    headers = sum(len(member.header().tobuf(tarfile.PAX_FORMAT)) for member in members)
    contents = sum(member.size + -member.size % tarfile.BLOCKSIZE for member in members)
    length = headers + contents + 2 * tarfile.BLOCKSIZE
    return length + -length % tarfile.RECORDSIZE


FORMATS: dict[str, tuple[Callable[[IO[bytes], Sequence[Member]], None], str]] = {
    "tar.gz": (write_tar_gz, "application/gzip"),
    "tgz": (write_tar_gz, "application/gzip"),
    "tar": (write_tar, "application/x-tar"),
    "tar.bz2": (write_tar_bz2, "application/x-bzip2"),
    "zip": (write_zip, "application/zip"),
}


def zip_archive(name: str, members: Sequence[Member]) -> Archive:
    """Members as `<name>.zip`."""
    return _archive(name, "zip", members)


def _archive(name: str, extension: str, members: Sequence[Member]) -> Archive:
    write, media_type = FORMATS[extension]
    length = tar_length(members) if extension == "tar" else None
    return Archive(f"{name}.{extension}", media_type, ArchiveStream(write, members), length)


def _copy(target: IO[bytes], members: Sequence[Member]) -> None:
    for member in members:
        shutil.copyfileobj(member.source, target, CHUNK)


def _shorter(member: Member) -> StorageError:
    return StorageError(f"{member.name} became shorter while it was sent.")


def text_member(name: str, text: str) -> Member:
    """A text as a file of an archive."""
    data = text.encode()
    return Member(name, len(data), io.BytesIO(data))


def file_member(path: Path, name: str = "") -> Member:
    """A file of an archive, opened; StorageError where it cannot be."""
    try:
        source = open(path, "rb")  # noqa: SIM115 - closed when the archive has been sent
    except OSError as error:
        raise StorageError(
            f"{path.name} cannot be read: {error.strerror or error}.", advice="Choose another snapshot."
        ) from error
    return Member(name or path.name, path.stat().st_size, source)


def _layer_files(service: Service, model: Job) -> list[Member]:
    """The Python layer file, so that network.py imports it under each of its names."""
    layers = layer_file_of(service.folder(model.id))
    if layers is None:
        return []
    own = [text_member(f"{layers.own_module}.py", SAME_MODULE)] if layers.own_module else []
    return [file_member(layers.path), *own]


def _mean_file(service: Service, model: Job, info: dict[str, Any]) -> list[Member]:
    name = str(info.get("mean file") or "")
    path = service.folder(model.dataset_id).path / name if name and model.dataset_id else None
    return [file_member(path)] if path and path.is_file() else []


def _script(framework: str, info: dict[str, Any], meta: dict[str, Any], snapshot: Snapshot, *, plain: bool) -> list[Member]:
    classes = len(meta.get("class_labels", ()))
    values = {
        "name": info["name"],
        "task": get(str(meta.get("task", ""))).model_words,
        "network": f"{meta.get('network_name', 'custom')}, {classes} classes" if classes else meta.get("network_name", "custom"),
        "version": info["digits version"],
        "epoch": snapshot.words,
        "snapshot": info["snapshot file"],
        "framework": frameworks()[framework].title,
        "script": f"predict_{framework}.py",
    }
    file = TEMPLATES / "README_onnx.md" if plain else folder_of(frameworks()[framework].archive) / "README.md"
    readme = file.read_text(encoding="utf-8").format(**values)
    return [*(file_member(path, name) for name, path in script_files(framework, plain=plain)), text_member("README.md", readme)]
