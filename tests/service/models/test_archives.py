"""Archives are made while they are sent: little memory whatever their size; what is broken is said before the first byte."""

from __future__ import annotations

import io
import json
import struct
import tarfile
import threading
import tracemalloc
import zipfile
from pathlib import Path

import pytest

from digits.domain.jobs import Status
from digits.errors import BadRequest, NotFound, StorageError
from digits.service import Service
from digits.service.models.archives import FORMATS, ArchiveStream, Member, model_archive, script_files, write_tar, write_zip
from digits.service.models.snapshots import find_snapshot, list_snapshots
from digits.storage.jobs.store import Job
from tests.builders import make_job

MIB = 2**20


def write_weights(path: Path, size: int = 0, **meta: object) -> None:
    """A safetensors file with our header and `size` bytes of zeros."""
    path.parent.mkdir(parents=True, exist_ok=True)
    header = {"__metadata__": {"digits": json.dumps({"class_labels": ["a", "b"], **meta})}}
    if size:
        header["w"] = {"dtype": "U8", "shape": [size], "data_offsets": [0, size]}
    text = json.dumps(header).encode()
    with path.open("wb") as file:
        file.write(struct.pack("<Q", len(text)) + text)
        file.truncate(8 + len(text) + size)


@pytest.fixture
def model(service: Service) -> Job:
    job = make_job(service, name="näme {x}", status=Status.DONE, framework="pytorch")
    folder = service.folder(job.id).path
    for epoch in ("0.5", "1", "10"):
        write_weights(folder / "snapshots" / f"epoch_{epoch}.safetensors", epoch=float(epoch))
    (folder / "network.py").write_text("def build_network(context): ...\n")
    return job


@pytest.mark.parametrize("extension", FORMATS)
def test_a_large_model_takes_little_memory(service, model, extension):
    size = 48 * MIB
    write_weights(service.folder(model.id).path / "snapshots" / "epoch_10.safetensors", size, epoch=10)
    tracemalloc.start()
    archive = model_archive(service, model, extension)
    sent = sum(len(chunk) for chunk in archive.chunks)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 12 * MIB
    assert archive.length in (None, sent)
    if extension == "tar":
        assert sent > size


@pytest.mark.parametrize("extension", FORMATS)
def test_every_format_holds_the_same_files(service, model, extension):
    data = b"".join(model_archive(service, model, extension).chunks)
    if extension == "zip":
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            found = {name: archive.read(name) for name in archive.namelist()}
    else:
        with tarfile.open(fileobj=io.BytesIO(data)) as archive:
            found = {m.name: archive.extractfile(m).read() for m in archive.getmembers()}
    weights = service.folder(model.id).path / "snapshots" / "epoch_10.safetensors"
    assert found["epoch_10.safetensors"] == weights.read_bytes()
    assert found["labels.txt"] == b"a\nb\n"
    text = found["info.json"].decode()
    assert text == json.dumps(json.loads(text), sort_keys=True, indent=4, ensure_ascii=False)
    assert "näme {x}" in found["README.md"].decode()
    compile(found["predict.py"], "predict.py", "exec")


def test_a_snapshot_that_is_deleted_meanwhile_still_arrives_whole(service, model):
    weights = service.folder(model.id).path / "snapshots" / "epoch_10.safetensors"
    expected = weights.read_bytes()
    archive = model_archive(service, model, "tar")
    weights.unlink()
    with tarfile.open(fileobj=io.BytesIO(b"".join(archive.chunks))) as opened:
        assert opened.extractfile("epoch_10.safetensors").read() == expected


@pytest.mark.parametrize("write", [write_tar, write_zip])
def test_a_file_that_becomes_shorter_breaks_the_transfer(write):
    with pytest.raises(StorageError, match="shorter"):
        list(ArchiveStream(write, [Member("x", 100, io.BytesIO(b"only this"))]))


@pytest.mark.parametrize("extension", FORMATS)
def test_a_reader_that_goes_away_ends_the_archive(service, model, extension):
    write_weights(service.folder(model.id).path / "snapshots" / "epoch_10.safetensors", 48 * MIB, epoch=10)
    before = threading.active_count()
    archive = model_archive(service, model, extension)
    next(iter(archive.chunks))
    archive.chunks.close()
    assert threading.active_count() == before


def test_the_parts_of_the_script_are_files_of_their_own(service, model):
    data = b"".join(model_archive(service, model, "tar").chunks)
    with tarfile.open(fileobj=io.BytesIO(data)) as archive:
        assert all("/" not in name for name in archive.getnames())
        for name, file in script_files("pytorch"):
            assert archive.extractfile(name).read() == file.read_bytes()


def test_a_broken_snapshot_and_an_unknown_format_are_refused_at_once(service, model):
    with pytest.raises(BadRequest, match="rar"):
        model_archive(service, model, "rar")
    (service.folder(model.id).path / "snapshots" / "epoch_10.safetensors").write_bytes(b"\xff" * 100)
    with pytest.raises(StorageError, match="readable snapshot"):
        model_archive(service, model)


@pytest.mark.parametrize(("requested", "found"), [(None, 10), ("", 10), ("-1", 10), (0, 10), ("0.5", 0.5), (1, 1), ("1.0", 1)])
def test_snapshots_are_found_by_epoch(service, model, requested, found):
    assert find_snapshot(service, model, requested).epoch == found
    archive = model_archive(service, model, "tar", requested)
    archive.chunks.close()
    assert archive.file_name == f"{model.id}_epoch_{found:g}.tar"


@pytest.mark.parametrize(
    ("requested", "error"), [("2", NotFound), ("last", BadRequest), ("nan", BadRequest), ("1e999", BadRequest)]
)
def test_what_is_no_epoch_of_the_model_is_refused(service, model, requested, error):
    with pytest.raises(error):
        find_snapshot(service, model, requested)


def test_the_best_between_two_snapshots_is_found_by_its_epoch_but_is_not_the_newest(service, model):
    folder = service.folder(model.id).path / "snapshots"
    write_weights(folder / "best.safetensors", epoch=12.5)
    for name in (".epoch_99.safetensors.123.tmp", "epoch_98.safetensors.gone", "epoch_97", "epoch_x.safetensors"):
        (folder / name).write_bytes(b"")
    assert [s.epoch for s in list_snapshots(service, model)] == [0.5, 1, 10]
    assert [s.epoch for s in list_snapshots(service, model, with_best=True)] == [0.5, 1, 10, 12.5]
    assert find_snapshot(service, model).epoch == 10
    assert find_snapshot(service, model, 12.5).path == "snapshots/best.safetensors"


def test_the_best_and_the_start_are_found_by_these_words(service, model):
    with pytest.raises(NotFound, match="epoch 0"):
        find_snapshot(service, model, "start")
    with pytest.raises(NotFound, match="best"):
        find_snapshot(service, model, "best")
    write_weights(service.folder(model.id).path / "snapshots" / "best.safetensors", epoch=0)
    service.store.update(model.id, best_name="accuracy", best_value=0.9, best_epoch=0.0)
    job = service.store.get(model.id)
    for word in ("start", "best"):
        assert find_snapshot(service, job, word).path == "snapshots/best.safetensors"
    assert find_snapshot(service, job, "0").epoch == 10, "in scripts the newest"
    archive = model_archive(service, job, "tar", "start")
    data = b"".join(archive.chunks)
    assert archive.file_name == f"{model.id}_epoch_0.tar"
    with tarfile.open(fileobj=io.BytesIO(data)) as members:
        info = json.loads(members.extractfile("info.json").read())
        assert info["snapshot epoch"] == 0
        assert info["best"]["words"].startswith("The start was best")
        assert b"the weights that the training started from: they were the best" in members.extractfile("README.md").read()


def test_a_model_without_snapshots_says_what_to_do(service):
    job = make_job(service, status=Status.RUN)
    with pytest.raises(BadRequest, match="no snapshot yet"):
        find_snapshot(service, job)
