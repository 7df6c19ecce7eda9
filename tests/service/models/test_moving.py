"""A model moves to another server: what comes along, what is asked for, and which archives are refused."""

from __future__ import annotations

import io
import json
import os
import tarfile
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from digits.cli import group
from digits.config import Settings
from digits.domain.datasets import DatasetInfo
from digits.domain.events import MetricEvent, StatusEvent
from digits.domain.jobs import Kind, Status
from digits.errors import BadRequest, Conflict, DigitsError, Forbidden, NotFound
from digits.service import Service
from digits.service.damage import Damaged, damage_of
from digits.service.datasets.contents import dataset_dict
from digits.service.models.moving import MANIFEST, export_model, import_model
from digits.storage.events import EventWriter
from digits.storage.files import write_json
from digits.storage.jobs.reindex import state_of
from digits.storage.jobs.store import Job
from digits.storage.seals import seal
from tests.builders import make_job

HASH = "a" * 64


def dataset_of(service: Service, content_hash: str = HASH) -> Job:
    job = make_job(service, Kind.DATASET, "cells", status=Status.DONE)
    info = DatasetInfo("classification", ("a", "b"), {}, (1, 8, 8), content_hash=content_hash)
    write_json(service.folder(job.id).dataset_file, info.to_json())
    return job


@pytest.fixture
def model(service: Service) -> Job:
    """A model that is done, with a snapshot, its curve and its seal."""
    dataset = dataset_of(service)
    spec = {"dataset_id": dataset.id, "task": "classification", "epochs": 2}
    form = {"dataset": dataset.id, "train_epochs": "2"}
    job = make_job(service, name="net", status=Status.DONE, spec=spec, form=form, parents=(dataset.id,))
    folder = service.folder(job.id)
    (folder.path / "snapshots").mkdir()
    (folder.path / "snapshots" / "epoch_2.keras").write_bytes(b"weights")
    for name in ("worker.lock", "finish.json"):
        (folder.path / name).write_bytes(b"x")
    (folder.path / "link").symlink_to("/etc/passwd")
    job = service.store.update(job.id, attempt=1, notes="kept")
    folder.write_user(replace(folder.user(), notes="kept", tags=("t",)))
    folder.write_state(state_of(job))
    writer = EventWriter(folder.events_file, 1)
    writer.emit(MetricEvent(step=2, epoch=1.0, phase="val", values={"accuracy": 0.75}, kinds={"accuracy": "accuracy"}))
    writer.emit(seal(folder))
    writer.emit(StatusEvent(status="D"))
    writer.close()
    return job


@pytest.fixture
def other(tmp_path: Path) -> Iterator[Service]:
    """The other server."""
    service = Service.open(Settings(jobs_dir=str(tmp_path / "other"), auth=False))
    yield service
    service.close()


def test_it_is_there_as_it_was_on_a_data_set_of_the_same_records(
    service: Service, other: Service, model: Job, tmp_path: Path
) -> None:
    archive = tmp_path / "net.tar"
    place = ["--jobs-dir", str(service.jobs_dir.path)]
    umask = os.umask(0o022)
    try:
        assert CliRunner().invoke(group, ["jobs", "export", "net", "-o", str(archive), *place]).exit_code == 0
    finally:
        os.umask(umask)
    assert archive.stat().st_mode & 0o777 == 0o644, "it is written where its user asked, as the user writes"
    with pytest.raises(NotFound, match=f"is not here: cells, content hash {HASH}"):
        import_model(other, archive)
    dataset_of(other, "b" * 64)
    dataset = dataset_of(other)
    assert dataset_dict(other, dataset, verbose=True)["content_hash"] == HASH
    place = ["--jobs-dir", str(other.jobs_dir.path), "--owner", "bob"]
    result = CliRunner().invoke(group, ["jobs", "import", str(archive), *place])
    assert result.output == f"{model.id} net is here now.\n"
    moved = other.store.get(model.id)
    assert (moved.status, moved.owner, moved.notes, moved.tags) == (Status.DONE, "bob", "kept", ["t"])
    assert (moved.dataset_id, other.store.parents(model.id)) == (dataset.id, [dataset.id])
    assert other.folder(model.id).request().form["dataset"] == dataset.id
    assert (moved.best_name, moved.best_value) == ("accuracy", 0.75)
    folder = other.folder(model.id).path
    assert (folder / "snapshots" / "epoch_2.keras").read_bytes() == b"weights"
    assert not any((folder / name).exists() for name in ("worker.lock", "finish.json", "link"))
    assert damage_of(other, moved, deep=True) == []
    with pytest.raises(Conflict, match="is here already"):
        import_model(other, archive)
    assert list(other.jobs_dir.scratch.iterdir()) == []


def test_what_is_not_whole_or_still_runs_is_not_exported(service: Service, model: Job, tmp_path: Path) -> None:
    with pytest.raises(BadRequest, match="is no model"):
        export_model(service, service.store.get(model.dataset_id), tmp_path / "x.tar")
    (service.folder(model.id).path / "snapshots" / "epoch_2.keras").unlink()
    with pytest.raises(Damaged):
        export_model(service, service.store.get(model.id), tmp_path / "x.tar")
    service.store.update(model.id, status="R")
    with pytest.raises(Forbidden, match="is Running"):
        export_model(service, service.store.get(model.id), tmp_path / "x.tar")
    assert list(tmp_path.glob("*.tar*")) == []


def rewritten(source: Path, target: Path, change: Callable[[str, bytes], bytes], more: tuple[tarfile.TarInfo, ...] = ()) -> Path:
    """The archive with each file changed, and further members."""
    with tarfile.open(source) as old, tarfile.open(target, "w") as new:
        for member in old:
            file = old.extractfile(member)
            data = change(member.name, file.read()) if file else b""
            member.size = len(data)
            new.addfile(member, io.BytesIO(data) if file else None)
        for member in more:
            new.addfile(member)
    return target


def edit(name: str, **values: Any) -> Callable[[str, bytes], bytes]:
    return lambda member, data: json.dumps({**json.loads(data), **values}).encode() if member == name else data


def link(name: str, to: str) -> tarfile.TarInfo:
    member = tarfile.TarInfo(name)
    member.type, member.linkname = tarfile.SYMTYPE, to
    return member


HOSTILE: dict[str, tuple[Callable[[str, bytes], bytes], tuple[tarfile.TarInfo, ...], str]] = {
    "a link": (lambda _, data: data, (link("job/x", "/etc/passwd"),), "holds links"),
    "a path that leaves": (lambda _, data: data, (tarfile.TarInfo("../../x"),), "outside its folder"),
    "an id that leaves": (edit(MANIFEST, id="../x"), (), "not the one that it names"),
    "another id": (edit("job/job.json", id="20200101-000000-abcd"), (), "not the one that it names"),
    "another kind": (edit("job/job.json", kind="dataset"), (), "holds no model"),
    "a newer version": (edit(MANIFEST, version=99), (), "newer version"),
    "a newer schema": (edit("job/job.json", schema=99), (), "newer version of digits"),
    "a spec that is none": (edit("job/job.json", spec={"a": 1}), (), "no model that can be read"),
    "one that runs": (edit("job/state.json", status="R"), (), "had not ended"),
    "other weights": (lambda name, data: b"WEIGHTS" if name.endswith(".keras") else data, (), "is not whole"),
    "no manifest": (lambda name, data: b"[" if name == MANIFEST else data, (), "is no archive of"),
}


def test_what_does_not_fit_is_refused_and_leaves_nothing(service: Service, other: Service, model: Job, tmp_path: Path) -> None:
    archive = export_model(service, service.store.get(model.id), tmp_path / "net.tar")
    dataset = dataset_of(other)
    for what, (change, more, words) in HOSTILE.items():
        with pytest.raises(DigitsError, match=words):
            import_model(other, rewritten(archive, tmp_path / "bad.tar", change, more))
        assert other.store.ids() == [dataset.id], what
        assert {path.name for path in other.jobs_dir.path.iterdir()} == {".digits", dataset.id}, what
        assert list(other.jobs_dir.scratch.iterdir()) == [], what


def test_columns_and_texts_of_an_archive_are_only_what_they_may_be(
    service: Service, other: Service, model: Job, tmp_path: Path
) -> None:
    archive = export_model(service, service.store.get(model.id), tmp_path / "net.tar")
    dataset_of(other)

    def change(name: str, data: bytes) -> bytes:
        if name == "job/state.json":
            return json.dumps({**json.loads(data), "deleted": 1.0, "pid": 1, "requested_action": "purge"}).encode()
        return data

    moved = import_model(other, rewritten(archive, tmp_path / "odd.tar", change))
    assert (moved.deleted, moved.pid, moved.requested_action, moved.owner) == (None, 0, "", "")
