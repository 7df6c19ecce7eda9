"""Pretrained models and stores: what is taken in is what was sent, and what strangers send is refused in words."""

from __future__ import annotations

import contextlib
import io
import json
import os
import pickle
import socket
import subprocess
import sys
import tarfile
import threading
import zipfile
from collections.abc import Callable, Iterator
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import safetensors.numpy
import torch
from click.testing import CliRunner

from digits.cli import group
from digits.config import Settings
from digits.domain.events import LogEvent, WarningEvent
from digits.domain.jobs import Kind, Status
from digits.domain.training import TrainingSpec
from digits.engines.base import NetworkContext, get_engine
from digits.errors import DataError, FormErrors, NotFound, StorageError
from digits.service import Service
from digits.service.models import pretrained, stores
from digits.service.models.archives import model_archive
from digits.service.models.form import ModelForm
from digits.service.models.model_info import BadArchive, model_info
from digits.service.models.networks import Network, resolve
from digits.service.models.pretrained_form import from_files
from digits.service.models.store_building import build_store
from digits.service.models.thresholds import store_threshold, thresholds_of
from digits.storage.events import read_events
from digits.storage.jobs.store import Job
from digits.storage.thresholds import believed, read_thresholds
from digits.testing.runs import make_dataset, striped_pictures, train
from digits.worker import pretrained as worker
from digits.worker.runtime import WorkerContext
from tests.builders import make_job
from tests.conftest import free_port
from tests.worker.test_export import TEXT

INFO = {
    "name": "x",
    "framework": "pytorch",
    "snapshot file": "w.safetensors",
    "network file": "network.py",
    "labels file": "l.txt",
}
LINEAR = {"1.weight": np.ones((2, 144), np.float32), "1.bias": np.zeros(2, np.float32)}


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    folder = tmp_path_factory.mktemp("pretrained")
    found = Service.open(Settings(jobs_dir=str(folder / "jobs"), auth=False, data_dirs=os.pathsep.join([str(folder), "/tmp"])))
    yield found
    found.close()


@pytest.fixture(scope="module")
def model(service: Service, tmp_path_factory: pytest.TempPathFactory) -> Job:
    """A trained model of two classes."""
    features, labels = striped_pictures(24, 12, seed=1)
    data = make_dataset(tmp_path_factory.mktemp("data") / "d", features, labels, class_labels=("left", "right"))
    spec = TrainingSpec("", "classification", network=TEXT, epochs=1, batch_size=8, seed=1, network_name="flat")
    job = make_job(service, name="stripes", status=Status.DONE, spec=spec.to_json(), framework="pytorch", network="flat")
    folder = service.folder(job.id).path
    (folder / "network.py").write_text(TEXT)
    train(data, folder, spec)
    return job


def work(service: Service, job: Job) -> Path:
    """Do a job as its worker does; its snapshot."""
    folder = service.folder(job.id)
    context = WorkerContext(folder, service.jobs_dir, folder.request(), 1, 1, (), 60)
    try:
        worker.run(context)
    finally:
        context.writer.close()
    return folder.path / pretrained.pretrained_spec(service, job).snapshot


def archive_of(service: Service, job: Job, folder: Path) -> Path:
    archive = model_archive(service, job, "zip")
    target = folder / archive.file_name
    target.write_bytes(b"".join(archive.chunks))
    return target


def test_a_model_outlives_itself_and_travels_as_an_archive(service: Service, model: Job, tmp_path: Path) -> None:
    made = pretrained.from_model(service, model, owner="me")
    snapshot = work(service, made)
    (before,) = service.folder(model.id).snapshots.glob("epoch_*")
    assert snapshot.read_bytes() == before.read_bytes()
    assert not (service.folder(made.id).path / "given").exists()
    again = pretrained.from_archive(service, archive_of(service, made, tmp_path), "x.zip", name="again")
    assert work(service, again).read_bytes() == before.read_bytes()
    said = pretrained.pretrained_dict(service, again)
    assert (said["labels"], said["image dimensions"], said["network"]) == (["left", "right"], [12, 12, 1], "flat")
    features = striped_pictures(4, 12, seed=5)[0]
    outputs = [get_engine("pytorch").load(path).predict(features)["output"] for path in (before, snapshot)]
    np.testing.assert_array_equal(*outputs)


def test_chosen_thresholds_travel_into_pretrained_models(service: Service, model: Job, tmp_path: Path) -> None:
    row = {"threshold": 0.42, "precision": 0.9, "evaluation": "20260101-000000-eeee", "split": "val", "user": "me"}
    store_threshold(service, model.id, "left", row)
    try:
        made = pretrained.from_model(service, model)
        work(service, made)
        assert thresholds_of(service, made.id) == {"left": row}
        archive = archive_of(service, made, tmp_path)
        build_store(service, tmp_path / "shop", [model])
    finally:
        store_threshold(service, model.id, "left", None)
    elsewhere = {"left": {name: value for name, value in row.items() if name != "evaluation"}}
    (offered,) = stores.read_store(str(tmp_path / "shop"), refresh=True).models
    for job in (pretrained.from_archive(service, archive, "x.zip"), stores.install(service, offered)):
        work(service, job)
        assert thresholds_of(service, job.id) == elsewhere, "the evaluation is not here"


@pytest.mark.parametrize("text", ["[1]", "{", '{"thresholds": {"a": {"threshold": 1e999}, "b": {"threshold": true}, "c": 7}}'])
def test_thresholds_of_strangers_that_are_none_are_left_out(tmp_path: Path, text: str) -> None:
    (tmp_path / "thresholds.json").write_text(text)
    assert read_thresholds(tmp_path) == {}
    hostile = {"a" * 999: {"threshold": 0.5, "user": "<b>" * 999, "html": "<script>", "right": float("nan"), "wrong": 10**400}}
    ((label, row),) = believed(hostile, from_here=False).items()
    assert (len(label), len(row["user"]), sorted(row)) == (200, 200, ["threshold", "user"])


def zipped(**files: Any) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for name, data in files.items():
            archive.writestr(name.replace("__", "."), data)
    return buffer.getvalue()


def with_link(target: str) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as archive:
        link = tarfile.TarInfo("info.json")
        link.type, link.linkname = tarfile.SYMTYPE, target
        archive.addfile(link)
    return buffer.getvalue()


class Evil:
    def __reduce__(self) -> tuple[Any, ...]:
        return os.mkdir, ("/tmp/digits-was-here",)


def info(**changes: Any) -> str:
    return json.dumps({key: value for key, value in {**INFO, **changes}.items() if value is not None})


def torch_file(value: Any) -> bytes:
    buffer = io.BytesIO()
    torch.save(value, buffer)
    return buffer.getvalue()


GOOD = {"network__py": TEXT, "l__txt": "a\nb\n"}
PTH = {"snapshot file": "w.pth"}


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (b"junk", "Incorrect archive type"),
        (zipped(readme="x"), "Missing or incorrect json file"),
        (zipped(info__json="<html>"), "It is an HTML page"),
        (zipped(info__json="[" * 100_000), "Missing or incorrect json file"),
        (zipped(info__json=info(framework=None)), "Missing key 'framework'"),
        (zipped(info__json=info(**{"network file": None})), "Missing model definition"),
        (zipped(info__json=info(**{"snapshot file": "/etc/passwd.safetensors"})), "no plain name"),
        (zipped(info__json=info(framework="caffe", **{"snapshot file": "w.caffemodel"})), "Caffe is not among the frameworks"),
        (zipped(info__json=info(framework="torch", **{"snapshot file": "w.t7"})), "Torch7"),
        (zipped(info__json=info(framework="tensorflow", **{"snapshot file": "w.ckpt"})), "TensorFlow 1"),
        (zipped(info__json=info()), "w.safetensors, which is not there"),
        (
            zipped(info__json=info(), w__safetensors=b"\x80\x02junk" * 9, **GOOD),
            "w.safetensors cannot be read as weights: it is no",
        ),
        (zipped(info__json=info(**PTH), w__pth=pickle.dumps(Evil(), 2), **GOOD), "posix.mkdir"),
        (zipped(info__json=info(**PTH), w__pth=pickle.dumps(Evil(), 5), **GOOD), "holds more than numbers"),
        (zipped(info__json=info(**PTH), w__pth=torch_file({"a": Evil()}), **GOOD), "is not unpickled"),
        (
            zipped(info__json=info(), w__safetensors=safetensors.numpy.save(LINEAR), network__py="layer {", l__txt="a\nb"),
            "network.py",
        ),
        (zipped(**{"../info.json": info()}), "outside its folder"),
        (zipped(**{"/info.json": info()}), "outside its folder"),
        (with_link("/etc/passwd"), "links or other things"),
    ],
)
def test_what_is_no_model_is_refused(service: Service, tmp_path: Path, data: bytes, said: str) -> None:
    name = "x.zip" if data[:2] == b"PK" or data == b"junk" else "x.tar"
    (tmp_path / name).write_bytes(data)
    before = service.store.ids()
    with pytest.raises(BadArchive, match=said):
        pretrained.from_archive(service, tmp_path / name, name)
    assert service.store.ids() == before
    assert not os.path.exists("/tmp/digits-was-here")


def files_of(tmp_path: Path, weights: Any, labels: str = "") -> dict[str, str]:
    torch.save(weights, tmp_path / "w.pth")
    (tmp_path / "network.py").write_text(TEXT)
    (tmp_path / "labels.txt").write_text(labels)
    sent = {"job_name": "own", "weights_file": str(tmp_path / "w.pth"), "model_def_file": str(tmp_path / "network.py")}
    sent |= {"labels_file": str(tmp_path / "labels.txt")} if labels else {}
    return {**sent, "width": "12", "height": "12", "image_type": "1", "pixel_mean": "80", "pixel_std": "60"}


@pytest.mark.parametrize(
    ("more", "task"), [({}, "classification"), ({"labels file": None}, "generic"), ({"task": "segmentation"}, "segmentation")]
)
def test_what_an_archive_is_for_is_seen_where_it_does_not_say(more: dict[str, Any], task: str) -> None:
    """The original's archives name labels and no task."""
    assert model_info(json.loads(info(**more))).task == task


def test_weights_of_other_programs_fit_or_are_refused_by_name(service: Service, tmp_path: Path) -> None:
    weights = {name: torch.from_numpy(value) for name, value in LINEAR.items()}
    job = from_files(service, files_of(tmp_path, weights), "me")
    predictor = get_engine("pytorch").load(work(service, job))
    assert predictor.meta["class_labels"] == ["0", "1"]  # as many as the last layer gives
    assert predictor.predict(np.full((1, 1, 12, 12), 80, np.uint8))["output"].tolist() == [[0.5, 0.5]]
    named = from_files(service, files_of(tmp_path, weights, "# pets\ncat\ndog"), "me")
    assert get_engine("pytorch").load(work(service, named)).meta["class_labels"] == ["cat", "dog"]
    wrong = from_files(service, files_of(tmp_path, {**weights, "2.weight": weights["1.bias"]}, "a\nb\nc"), "me")
    with pytest.raises(StorageError, match=r"has besides 2\.weight; has of another shape 1\.weight 2×144 for 3×144"):
        work(service, wrong)
    with pytest.raises(FormErrors, match="1 number, or one for all"):
        from_files(service, {**files_of(tmp_path, weights), "pixel_mean": "1,2"}, "me")


@pytest.mark.parametrize(
    ("labels", "names", "said"),
    [
        ("1 dog\n0 cat\n", ["cat", "dog"], "classes have the numbers that they say"),
        ("1 cat\n2 dog\n", ["1 cat", "2 dog"], "begin with numbers, e.g. '1 cat', which are taken as part of the names"),
        ("cat 1\ndog 0\n", ["cat 1", "dog 0"], "end with numbers, e.g. 'cat 1', which are taken as part of the names"),
        ("cat\ndog 2\n", ["cat", "dog 2"], ""),
    ],
)
def test_numbers_in_a_labels_file_are_not_taken_without_a_word(
    service: Service, tmp_path: Path, labels: str, names: list[str], said: str
) -> None:
    weights = {name: torch.from_numpy(value) for name, value in LINEAR.items()}
    job = from_files(service, files_of(tmp_path, weights, labels), "me")
    assert get_engine("pytorch").load(work(service, job)).meta["class_labels"] == names
    events = [event for _, event in read_events(service.folder(job.id).events_file)]
    warned = [event.message for event in events if isinstance(event, WarningEvent)]
    assert (len(warned), all(said in text for text in warned)) == (bool(said), True), warned


def test_a_new_model_waits_for_its_pretrained_one(service: Service, model: Job) -> None:
    made = pretrained.from_model(service, model)
    form = ModelForm(model_name="m", dataset="d", method="pretrained", pretrained_networks=made.id)
    network = resolve(service, form, {}, "pytorch")
    assert (network.text, network.start.job_id, network.waits_for) == (TEXT, made.id, (made.id,))
    with pytest.raises(FormErrors, match="is a pytorch network"):
        resolve(service, form, {}, "tensorflow")
    service.store.transition(made.id, Status.ERROR, error="no weights")
    with pytest.raises(FormErrors, match="failed: no weights"):
        resolve(service, form, {}, "pytorch")


def test_networks_of_the_hub_are_for_those_who_switched_it_on(service: Service) -> None:
    def network(name: str, task: str = "classification", **settings: Any) -> Network:
        form = ModelForm(model_name="m", dataset="d", method="pretrained", pretrained_networks=name)
        own = replace(service, settings=replace(service.settings, **settings))
        return resolve(own, form, {}, "pytorch", task)

    with pytest.raises(FormErrors, match="DIGITS_ALLOW_HUB=1"):
        network("hf-hub:timm/resnet18.a1_in1k")
    for name in ("hf-hub:timm", 'hf-hub:a/b"); import os', "hf-hub:../x"):
        with pytest.raises(FormErrors, match="no name of the hub"):
            network(name, allow_hub=True)
    with pytest.raises(FormErrors, match="finds no boxes"):
        network("hf-hub:a/b", "detection", allow_hub=True)
    assert "hf_hub_download(NAME" in network("hf-hub:a/b", "segmentation", allow_hub=True).text
    found = network("hf-hub:timm/resnet18.a1_in1k", allow_hub=True)
    assert found.start.source == "pretrained"
    context = NetworkContext("classification", (3, 32, 32), 2, (), ("a", "b"))
    assert get_engine("pytorch").check(found.text, context).output_shapes == {"output": (2,)}  # without weights, offline


@pytest.fixture
def shop(service: Service, model: Job, tmp_path: Path) -> Path:
    (tmp_path / "LICENSE").write_text("as you like")
    about = {"license": "MIT", "dataset": "stripes of light", "note": "<b>bold</b>"}
    build_store(service, tmp_path / "shop", [model], message="hello", about=about, licence=tmp_path / "LICENSE")
    return tmp_path / "shop"


def serving(answer: Callable[[str], tuple[int, bytes]]) -> Iterator[str]:
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            code, body = answer(self.path)
            self.send_response(code)
            self.send_header("Location", "http://127.0.0.1:1/")
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: Any) -> None:
            pass

    server = HTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture
def address(shop: Path) -> Iterator[str]:
    def answer(path: str) -> tuple[int, bytes]:
        file = shop / path.lstrip("/")
        return (200, file.read_bytes()) if file.is_file() else (404, b"<html>not here")

    yield from serving(answer)


def test_a_store_is_read_and_what_was_changed_on_its_way_is_refused(service: Service, shop: Path, address: str) -> None:
    store = stores.read_store(address)
    (offered,) = store.models
    assert (store.message, offered.aux["license"], offered.problem) == ("hello", "MIT", "")
    assert [len(store.to_json(words)["model_list"]) for words in ("light PyTorch", "darkness")] == [1, 0]
    job = stores.install(service, offered, "me")
    work(service, job)
    folder = service.folder(job.id)
    assert (folder.path / "license.txt").read_text() == "as you like"
    assert any("SHA-256 as the store says" in e.message for _, e in read_events(folder.events_file) if isinstance(e, LogEvent))
    weights = next((shop / "stripes").glob("epoch_*"))
    data = bytearray(weights.read_bytes())
    data[-1] ^= 1
    weights.write_bytes(data)
    with pytest.raises(DataError, match="is not what the store says: its SHA-256"):
        work(service, stores.install(service, offered, "me"))
    weights.write_bytes(data + b"more")
    with pytest.raises(DataError, match="is larger than"):
        work(service, stores.install(service, offered, "me"))


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        ((200, b"<html><h1>Welcome"), "is no JSON"),
        ((200, b'{"children": 7}'), "no list `children`"),
        ((200, b"[" * 90_000), "is no JSON"),
        ((200, b" " * (1 << 20) + b"{}"), "larger than 1 MiB"),
        ((302, b""), "redirects are not followed"),
        ((500, b""), "answered 500"),
    ],
)
def test_what_is_no_store_costs_its_own_entry(answer: tuple[int, bytes], said: str) -> None:
    for place in serving(lambda path: answer):
        found = stores.read_store(place, refresh=True)
        assert said in found.error
        assert not found.models


def dripping() -> Iterator[str]:
    """A server that says a byte now and then, for ever."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        ended = threading.Event()

        def drip() -> None:
            connection, _ = listener.accept()
            with connection, contextlib.suppress(OSError):
                connection.sendall(b"HTTP/1.0 200 OK\r\n\r\n{")
                while not ended.wait(0.02):
                    connection.sendall(b" ")

        thread = threading.Thread(target=drip)
        thread.start()
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"
        ended.set()
        thread.join()


def test_a_store_that_is_slow_or_away_costs_its_own_entry(service: Service, shop: Path, monkeypatch: Any) -> None:
    monkeypatch.setattr(stores, "SECONDS", 0.2)
    away = f"http://127.0.0.1:{free_port()}"
    for slow in dripping():
        both = replace(service, settings=replace(service.settings, model_store_url=f"{slow}, {away},{shop}"))
        found = {store.base: store for store in stores.read_stores(both, refresh=True)}
    with pytest.raises(NotFound, match="There is no store"):
        stores.read_one(both, "http://127.0.0.1/another")
    asked: list[str] = []
    read = stores._read
    monkeypatch.setattr(stores, "_read", lambda place: asked.append(place) or read(place))  # type: ignore[func-returns-value]
    assert stores.read_one(both, str(shop), refresh=True).models == found[str(shop)].models
    assert stores.find_model(both, found[str(shop)].models[0].id) == found[str(shop)].models[0]
    assert asked == [str(shop)], "no other is waited for"
    assert "was not there whole after 0.2 s" in found[slow].error
    assert "cannot be fetched" in found[away].error
    assert [model.folder for model in found[str(shop)].models] == ["stripes"]


def test_names_that_lead_out_of_a_store_are_left_out(tmp_path: Path) -> None:
    (tmp_path / "master.json").write_text(json.dumps({"children": ["../x", "/etc", "a/b", 7, ".hidden", "good"]}))
    (found,) = stores.read_store(str(tmp_path), refresh=True).models
    assert found.folder == "good"
    assert "cannot be read" in found.problem


def test_a_store_that_is_built_is_added_to_but_nothing_else_is_touched(service: Service, model: Job, shop: Path) -> None:
    other = make_job(service, name="Stripes!", status=Status.DONE, spec=service.folder(model.id).spec(), framework="pytorch")
    for name in ("network.py", "snapshots", "preprocessing.json"):
        os.symlink(service.folder(model.id).path / name, service.folder(other.id).path / name)
    build_store(service, shop, [other])
    value = json.loads((shop / "master.json").read_text())
    assert value == {"msg": "hello", "children": ["stripes", f"stripes-{other.id}"]}
    with pytest.raises(Exception, match="is no store and not empty"):
        build_store(service, shop / "stripes", [model])


@pytest.fixture
def shop_address(shop: Path) -> Iterator[str]:
    """A real `python -m http.server` that hands the store out."""
    command = [sys.executable, "-u", "-m", "http.server", "0", "--bind", "127.0.0.1", "--directory", str(shop)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True) as process:
        try:
            assert process.stdout is not None
            said = process.stdout.readline()  # Serving HTTP on 127.0.0.1 port 40001 (http://127.0.0.1:40001/) …
            yield said.partition("(")[2].partition("/)")[0]
        finally:
            process.terminate()


def test_commands_take_a_model_over_from_a_store(shop: Path, shop_address: str, tmp_path: Path, monkeypatch: Any) -> None:
    """The whole way: what was built is the store of a second jobs directory, whose own worker takes it over."""
    monkeypatch.setenv("DIGITS_MODEL_STORE_URL", shop_address)
    place = ["--jobs-dir", str(tmp_path / "second")]
    listed = CliRunner().invoke(group, ["store", "list", *place], catch_exceptions=False)
    assert "stripes  pytorch" in listed.output
    result = CliRunner().invoke(group, ["store", "install", "stripes", *place], catch_exceptions=False)
    assert result.exit_code == 0, result.output
    second = Service.open(Settings(jobs_dir=str(tmp_path / "second")))
    (job,) = [second.store.get(job_id) for job_id in second.store.ids()]
    assert (job.kind, job.status, job.summary["has_labels"]) == (Kind.PRETRAINED, Status.DONE, True)
    (of_shop,), snapshot = (shop / "stripes").glob("epoch_*"), pretrained.pretrained_spec(second, job).snapshot
    assert (second.folder(job.id).path / snapshot).read_bytes() == of_shop.read_bytes()
    second.close()
