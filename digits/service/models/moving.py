"""Taking a trained model with all that belongs to it to another server: one archive, and what it must be to be taken in.

Holds: nothing of an archive is believed. It is unpacked aside by the rules for uploads (no links, no paths that leave, no
bombs), its request is read as every request, its files are compared with what its worker noted of them; only then it becomes a
job. What it was trained on is named by the hash of its records: a data set with that hash must be here, whatever its id.
"""

from __future__ import annotations

import contextlib
import io
import json
import os
import shutil
import tarfile
import tempfile
import time
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import digits
from digits.domain.damage import words
from digits.domain.jobs import FINISHED, JOB_ID, JobRequest, Kind, Status
from digits.domain.training import TrainingSpec
from digits.errors import BadRequest, Conflict, DigitsError, Forbidden, StorageError
from digits.service import Service
from digits.service.damage import Damaged, damage_of
from digits.service.datasets.same_records import Wanted, dataset_with
from digits.service.files.unpack import unpack
from digits.service.models.length import require_model
from digits.storage.damage import Row, examine
from digits.storage.events import EventWriter
from digits.storage.files import read_json, write_json
from digits.storage.folders import JobFolder
from digits.storage.jobs.reindex import ReindexReport, restore
from digits.storage.jobs.store import Job
from digits.storage.modes import make_folder, settle_tree
from digits.storage.seals import seal
from digits.utils.confinement import PRIVATE

VERSION = 1
MANIFEST, FOLDER = "digits-job.json", "job"
LEFT_BEHIND = frozenset(
    {"worker.json", "worker.lock", "heartbeat", "finish.json", "extend.json", "answers", "__pycache__", *PRIVATE}
)
COLUMNS = frozenset({"extension", "framework", "network", "dataset_id", "summary"})  # that a request may set


def export_model(service: Service, model: Job, target: Path) -> Path:
    """Write the archive of a model that has ended. Forbidden for one that runs, Damaged where its files are not whole."""
    require_model(model)
    if model.status not in FINISHED:
        raise Forbidden(f"{model.name} is {model.status.word}; only a training that has ended can be exported.")
    if damages := damage_of(service, model):
        raise Damaged(model, damages)
    manifest = json.dumps(_manifest(service, model), indent=2).encode()
    part = target.with_name(f".{target.name}.part")
    try:
        with tarfile.open(part, "w") as archive:
            head = tarfile.TarInfo(MANIFEST)
            head.size, head.mtime = len(manifest), int(time.time())
            archive.addfile(head, io.BytesIO(manifest))
            archive.add(service.folder(model.id).path, FOLDER, filter=_taken)
        os.replace(part, target)
    except OSError as error:
        raise StorageError(f"{target} cannot be written: {error.strerror or error}.", advice="Choose another with -o.") from error
    finally:
        part.unlink(missing_ok=True)
    return target


def import_model(service: Service, archive: Path, owner: str = "", dataset_id: str = "") -> Job:
    """Take in what `export_model` wrote, as a job of `owner` under its id; on the data set with its records, or the one named.

    BadRequest for what is no such archive, or not whole; Conflict where the id is taken; NotFound, naming name and hash of the
    data set, where that is not here.
    """
    with aside(service) as place:
        if unpack(service.settings, archive, archive.name, place):
            raise BadRequest(f"{archive.name} holds links or other things that no model has; nothing of it is taken in.")
        folder, manifest = JobFolder(place / FOLDER), _read_manifest(archive, place)
        request = _read_request(archive, folder, manifest)
        if service.store.find(request.id, with_deleted=True) is not None or service.folder(request.id).path.exists():
            raise Conflict(
                f"The job {request.id} is here already.", advice="`digits jobs show` and `digits jobs trash` tell which it is."
            )
        dataset = _dataset_for(service, request, manifest.get("dataset"), dataset_id)
        _settle(folder, request, dataset.id, owner)
        settle_tree(folder.path, service.jobs_dir.mode)
        try:
            os.rename(folder.path, service.folder(request.id).path)
        except OSError as error:
            raise Conflict(f"The job {request.id} is here already.") from error
    report = ReindexReport()
    restore(service.folder(request.id), service.store, report)
    if report.problems:
        raise StorageError(report.problems[0][1])
    return service.store.get(request.id)


def _manifest(service: Service, model: Job) -> dict[str, Any]:
    found: dict[str, Any] = {"version": VERSION, "digits": digits.__version__, "id": model.id, "name": model.name}
    dataset = service.store.find(model.dataset_id, with_deleted=True)
    info = service.folder(model.dataset_id).find_dataset_info() if model.dataset_id else None
    counts = {name: split.entries for name, split in info.splits.items()} if info else {}
    content = {"content_hash": info.content_hash if info else "", "hash_kind": info.hash_kind if info else 0}
    name = dataset.name if dataset else ""
    return {**found, "dataset": {"id": model.dataset_id, "name": name, **content, "entries": counts}}


def _taken(member: tarfile.TarInfo) -> tarfile.TarInfo | None:
    name = member.name.rpartition("/")[2]
    if name in LEFT_BEHIND or name.startswith(".") or not (member.isfile() or member.isdir()):
        return None
    member.uid = member.gid = 0
    member.uname = member.gname = ""
    return member


@contextlib.contextmanager
def aside(service: Service) -> Iterator[Path]:
    """A folder on the disk of the jobs directory that is gone afterwards."""
    make_folder(service.jobs_dir.scratch, exist_ok=True)
    place = Path(tempfile.mkdtemp(prefix="import-", dir=service.jobs_dir.scratch))
    try:
        yield place
    finally:
        shutil.rmtree(place, ignore_errors=True)


def _read_manifest(archive: Path, place: Path) -> dict[str, Any]:
    try:
        found = read_json(place / MANIFEST)
    except StorageError as error:
        raise BadRequest(
            f"{archive.name} is no archive of `digits jobs export`: it has no {MANIFEST}.",
            advice="The archives of the page's download buttons are for other programs.",
        ) from error
    if not isinstance(found, dict) or not isinstance(found.get("version"), int):
        raise BadRequest(f"{archive.name} cannot be read: its {MANIFEST} is not what it should be.")
    if found["version"] > VERSION:
        raise BadRequest(f"{archive.name} was written by a newer version of digits.", advice="Update this one.")
    return found


def _read_request(archive: Path, folder: JobFolder, manifest: Mapping[str, Any]) -> JobRequest:
    """The request of the model, once everything in its folder is what it says. Raises BadRequest."""
    try:
        request = folder.request()
        TrainingSpec.from_json(request.spec)
        status = Status(str(folder.state().get("status")))
        attempt = int(folder.state().get("attempt") or 0)
    except (DigitsError, TypeError, ValueError, AttributeError) as error:
        raise BadRequest(f"{archive.name} holds no model that can be read: {error}") from error
    if request.kind != Kind.MODEL or not JOB_ID.match(request.id) or request.id != manifest.get("id"):
        raise BadRequest(f"{archive.name} holds no model, or not the one that it names.")
    if status not in FINISHED:
        raise BadRequest(f"The training in {archive.name} had not ended.")
    row = Row(Kind.MODEL, status, attempt, 0)
    if damages := examine(folder, row, deep=True):
        raise BadRequest(f"{archive.name} is not whole: {words(damages)}", advice="Export it again.")
    return request


def _dataset_for(service: Service, request: JobRequest, said: Any, named: str) -> Job:
    """The data set here with the records that the model was trained on; that of the same id before others."""
    known: Mapping[str, Any] = said if isinstance(said, Mapping) else {}
    wanted = Wanted.read(known.get("content_hash"), known.get("hash_kind"), known.get("entries"), known.get("name"))
    return dataset_with(service, request.id, wanted, str(request.spec.get("dataset_id") or ""), named)


def _settle(folder: JobFolder, request: JobRequest, dataset_id: str, owner: str) -> None:
    """Let the files say where the model is now: its data set, its owner, and that nothing is requested."""
    columns = {name: value for name, value in request.columns.items() if name in COLUMNS}
    form = {**request.form, "dataset": dataset_id} if "dataset" in request.form else request.form
    spec = {**request.spec, "dataset_id": dataset_id}
    moved = replace(request, parents=(dataset_id,), form=form, spec=spec, columns={**columns, "dataset_id": dataset_id})
    write_json(folder.request_file, moved.to_json())
    folder.write_user(replace(folder.user(), owner=owner, priority=0))
    state = folder.state()
    summary = state.get("summary")
    kept = {name: value for name, value in summary.items() if name != "damage"} if isinstance(summary, dict) else {}
    folder.write_state({**state, "deleted": None, "failures": 0, "summary": kept})
    for name in LEFT_BEHIND - PRIVATE:
        with contextlib.suppress(OSError):
            (folder.path / name).unlink(missing_ok=True)
    if state.get("status") == Status.DONE:
        writer = EventWriter(folder.events_file, int(state.get("attempt") or 0))
        try:
            writer.emit(seal(folder))
        finally:
            writer.close()
