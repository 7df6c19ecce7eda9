"""Image classification data sets over HTTP, as scripts written for the original make them; real supervisor, real workers."""

from __future__ import annotations

import io
import json
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from flask.testing import FlaskClient
from PIL import Image

from digits.config import Settings
from digits.service import Service
from digits.supervisor import run
from digits.web.app import create_app
from tests.service.finished_dataset import CLASSES, class_folder, gradient

USER = "digits-testsuite"
PER_CLASS = 10
DEADLINE = 45.0
ROUTE = "/datasets/images/classification"


@dataclass
class House:
    """A running digits: client, folders of pictures, and what the tests share."""

    client: FlaskClient
    service: Service
    root: Path

    @property
    def pictures(self) -> Path:
        return self.root / "pictures"

    def create(self, **values: Any) -> str:
        """Create a data set by JSON and return its id."""
        answer = self.post(**values)
        assert answer.status_code == 200, answer.get_data(as_text=True)
        return str(answer.get_json()["id"])

    def post(self, **values: Any) -> Any:
        known = {"dataset_name": "test_dataset", "method": "folder", "folder_train": str(self.pictures)}
        sizes = {"resize_channels": 3, "resize_width": 10, "resize_height": 10}
        return self.client.post(f"{ROUTE}.json", data={**known, **sizes, **values}, content_type="multipart/form-data")

    def done(self, job_id: str) -> str:
        assert self.wait(job_id) == "Done", self.client.get(f"/datasets/{job_id}/status").get_json()
        return job_id

    def wait(self, job_id: str) -> str:
        """The last status of a data set."""
        return str(until(lambda: (s := self.status(job_id)) in ("Done", "Aborted", "Error") and s))

    def status(self, job_id: str) -> str:
        return str(self.client.get(f"/datasets/{job_id}/status").get_json()["status"])

    def info(self, job_id: str) -> dict[str, Any]:
        answer = self.client.get(f"/datasets/{job_id}.json")
        assert answer.status_code == 200
        return dict(answer.get_json())

    def file(self, address: str) -> bytes:
        """The bytes of a file that exists."""
        with self.client.get(address) as answer:
            assert answer.status_code == 200
            return bytes(answer.data)

    def explore(self, job_id: str, db: str = "train") -> Any:
        return self.client.get(f"{ROUTE}/explore?job_id={job_id}&db={db}")


def until(condition: Callable[[], Any]) -> Any:
    """The first true value of `condition`, asked again and again until the deadline."""
    end = time.monotonic() + DEADLINE
    while time.monotonic() < end:
        if value := condition():
            return value
        time.sleep(0.1)
    raise AssertionError("the deadline has passed")


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    """One server for all stories of this file."""
    root = tmp_path_factory.mktemp("house")
    class_folder(root / "pictures", PER_CLASS)
    class_folder(root / "uneven", PER_CLASS)
    class_folder(root / "uneven", PER_CLASS // 2, classes=("blue-to-bottom",))
    settings = Settings(jobs_dir=str(root / "jobs"), auth=False, data_dirs=str(root))
    service = Service.open(settings)
    client = create_app(service).test_client()
    assert client.post("/login", data={"username": USER}).status_code == 302
    stop = threading.Event()
    supervisor = threading.Thread(target=run, args=(settings,), kwargs={"stop": stop, "stop_jobs": True}, daemon=True)
    supervisor.start()
    try:
        yield House(client, service, root)
    finally:
        stop.set()
        supervisor.join(timeout=DEADLINE)
        service.close()
    assert not supervisor.is_alive()


@pytest.fixture(scope="module")
def ready(house: House) -> str:
    """A data set that is done, with a validation and a test split."""
    return house.done(house.create(folder_pct_val=20, folder_pct_test=10, resize_mode="crop", encoding="png"))


def test_the_form_and_an_unknown_data_set(house: House) -> None:
    page = house.client.get(f"{ROUTE}/new")
    assert page.status_code == 200
    assert "New Image Classification Dataset" in page.get_data(as_text=True)
    assert house.client.get("/datasets/foo").status_code == 404


def test_create_by_form_leads_to_the_page_of_the_job(house: House) -> None:
    values = {"dataset_name": "by form", "method": "folder", "folder_train": str(house.pictures), "resize_width": 8}
    answer = house.client.post(ROUTE, data=values)
    assert answer.status_code == 302
    job_id = answer.headers["Location"].rsplit("/", 1)[-1]
    page = house.client.get(f"/datasets/{job_id}")
    assert page.status_code == 200
    assert job_id in page.get_data(as_text=True)
    assert house.client.post(f"/datasets/{job_id}/abort").status_code in (200, 403)
    house.wait(job_id)


def test_abort_and_delete(house: House) -> None:
    job_id = house.create()
    house.client.post(f"/datasets/{job_id}/abort")
    if house.wait(job_id) == "Aborted":
        answer = house.explore(job_id)
        assert answer.status_code == 500
        assert "status should be" in answer.get_data(as_text=True)
    assert house.client.delete(f"/datasets/{job_id}").status_code == 200
    assert house.client.get(f"/datasets/{job_id}").status_code == 404


def test_counts_are_exact(house: House, ready: str) -> None:
    info = house.info(ready)
    (parse,) = info["ParseFolderTasks"]
    assert parse["label_count"] == len(CLASSES)
    assert parse["val_count"] == 0.2 * PER_CLASS * len(CLASSES)
    assert parse["test_count"] == 0.1 * PER_CLASS * len(CLASSES)
    assert parse["train_count"] + parse["val_count"] + parse["test_count"] == PER_CLASS * len(CLASSES)
    assert [(t["name"], t["entries"]) for t in info["CreateDbTasks"]] == [
        ("Create DB (train)", 21),
        ("Create DB (val)", 6),
        ("Create DB (test)", 3),
    ]
    assert {t["backend"] for t in info["CreateDbTasks"]} == {"lmdb"}
    assert Path(info["directory"], "train_db").is_dir()


def test_after_creation(house: House, ready: str) -> None:
    client = house.client
    assert ready in [d["id"] for d in client.get("/index.json").get_json()["datasets"]]
    assert ready in [d["id"] for d in client.get("/completed_jobs.json").get_json()["datasets"]]
    assert Image.open(io.BytesIO(house.file(f"/files/{ready}/mean.jpg"))).size == (10, 10)
    for name in ("labels.txt", "train.txt", "val.txt", "test.txt"):
        assert house.file(f"/files/{ready}/{name}")
    assert client.put(f"/datasets/{ready}", data={"job_name": "another name"}).status_code == 200
    assert "another name" in client.get(f"/datasets/summary?job_id={ready}").get_data(as_text=True)
    assert client.put(f"/datasets/{ready}", data={"job_notes": "a note"}).status_code == 200
    for db in ("train", "val", "test"):
        page = house.explore(ready, db)
        assert page.status_code == 200
        assert "Items per page" in page.get_data(as_text=True)


def test_the_page_and_its_json(house: House, ready: str) -> None:
    page = house.client.get(f"/datasets/{ready}").get_data(as_text=True)
    for words in ("Category distribution", "Mean image", "Sizes of the sources", "Explore the db", "Number of categories"):
        assert words in page
    figures = house.client.get(f"/datasets/{ready}/statistics.json").get_json()
    assert figures["splits"]["train"]["class_counts"] == [7, 7, 7]
    assert figures["sizes"] == [[10, 10, 30]]
    assert house.client.get(f"/datasets/{ready}/problems.json").get_json()["total"] == 0


def test_pictures_of_the_gallery_are_the_sources(house: House, ready: str) -> None:
    found = house.client.get(f"{ROUTE}/explore.json?job_id={ready}&db=train&label=2&size=10").get_json()
    assert found["total"] == 7
    assert {record["label_name"] for record in found["records"]} == {"red-to-right"}
    for record in found["records"]:
        shown = Image.open(io.BytesIO(house.client.get(record["picture"]).data))
        with Image.open(record["source"]) as source:
            assert shown.tobytes() == source.tobytes()


def test_a_clone_is_the_same(house: House, ready: str) -> None:
    cloned = house.done(str(house.client.post(f"{ROUTE}.json", data={"clone": ready}).get_json()["id"]))
    first, second = house.info(ready), house.info(cloned)
    for info in (first, second):
        del info["id"], info["directory"]
    assert first == second
    forms = [json.loads((house.root / "jobs" / job_id / "job.json").read_text())["form"] for job_id in (ready, cloned)]
    assert {**forms[0], "dataset_name": ""} == {**forms[1], "dataset_name": ""}
    hashes = [house.client.get(f"/datasets/{job_id}/statistics.json").get_json()["content_hash"] for job_id in (ready, cloned)]
    assert hashes[0] == hashes[1]


@pytest.mark.parametrize("stage", ["val", "test"])
def test_separate_folders(house: House, stage: str) -> None:
    folder = str(house.root / "uneven")
    limits = {f"folder_{stage}_min_per_class": PER_CLASS // 2 + 1, f"folder_{stage}_max_per_class": PER_CLASS - 2}
    other = {"folder_pct_val": 0, "folder_pct_test": 0, f"has_{stage}_folder": "y", f"folder_{stage}": folder}
    info = house.info(house.done(house.create(folder_train=folder, **other, **limits)))
    first, second = info["ParseFolderTasks"]
    assert first["label_count"] == len(CLASSES) + 1
    assert (first["train_count"], first["val_count"], first["test_count"]) == (PER_CLASS * 3 + PER_CLASS // 2, 0, 0)
    counts = {"train_count": 0, "val_count": 0, "test_count": 0, f"{stage}_count": (PER_CLASS - 2) * 3}
    assert second == {"name": f"Parse Folder ({stage})", "label_count": len(CLASSES), **counts}


def test_limits_of_the_training_folder(house: House) -> None:
    limits = {"folder_train_min_per_class": PER_CLASS // 2 + 1, "folder_train_max_per_class": PER_CLASS - 2}
    folder = str(house.root / "uneven")
    job_id = house.done(house.create(folder_train=folder, folder_pct_val=0, **limits))
    (parse,) = house.info(job_id)["ParseFolderTasks"]
    assert parse["label_count"] == len(CLASSES)
    assert parse["train_count"] == (PER_CLASS - 2) * len(CLASSES)
    assert "blue-to-bottom" in house.client.get(f"/datasets/{job_id}").get_data(as_text=True)


@pytest.mark.parametrize("relative", [False, True])
@pytest.mark.parametrize("local", [False, True])
def test_text_files(house: House, relative: bool, local: bool) -> None:
    paths = [(name, at, number) for number, name in enumerate(CLASSES) for at in range(PER_CLASS)]
    base = "" if relative else f"{house.pictures}/"
    files = {
        "train_images": "".join(f"{base}{name}/{at}.png {number}\n" for name, at, number in paths),
        "val_images": "".join(f"{base}{name}/{at}.png {number}\n" for name, at, number in paths[:PER_CLASS]),
        "labels_file": "\n".join(CLASSES) + "\n",
    }
    values: dict[str, Any] = {"method": "textfile", "textfile_use_val": "y", "textfile_shuffle": 1}
    if relative:
        values |= {"textfile_train_folder": str(house.pictures), "textfile_val_folder": str(house.pictures)}
    for name, text in files.items():
        if local:
            (house.root / f"{name}.txt").write_text(text)
            values |= {"textfile_use_local_files": "y", f"textfile_local_{name}": str(house.root / f"{name}.txt")}
        else:
            values[f"textfile_{name}"] = (io.BytesIO(text.encode()), "a list.txt")
    job_id = house.done(house.create(**values))
    info = house.info(job_id)
    assert info["ParseFolderTasks"] == []
    assert [t["entries"] for t in info["CreateDbTasks"]] == [PER_CLASS * 3, PER_CLASS]
    if not local:
        clone = house.done(str(house.client.post(f"{ROUTE}.json", data={"clone": job_id}).get_json()["id"]))
        assert house.info(clone)["CreateDbTasks"] == info["CreateDbTasks"]


@pytest.mark.parametrize(
    ("values", "shape", "encoding"),
    [
        ({"resize_channels": 1, "resize_width": 20, "encoding": "jpg"}, (10, 20, 1), "jpg"),
        ({"resize_height": 20, "encoding": "none"}, (20, 10, 3), "none"),
        ({"backend": "hdf5", "compression": "gzip", "encoding": "png"}, (10, 10, 3), "none"),
    ],
)
def test_sizes_and_encodings(house: House, values: dict[str, Any], shape: tuple[int, int, int], encoding: str) -> None:
    job_id = house.done(house.create(**values))
    for task in house.info(job_id)["CreateDbTasks"]:
        assert (task["image_height"], task["image_width"], task["image_channels"]) == shape
        assert task["encoding"] == encoding
        assert task["backend"] == values.get("backend", "lmdb")
        assert task["compression"] == values.get("compression", "none")
    assert Image.open(io.BytesIO(house.file(f"/files/{job_id}/mean.jpg"))).size == (shape[1], shape[0])
    assert house.explore(job_id).status_code == 200


def test_unreadable_files_and_copies_are_listed(house: House) -> None:
    folder = class_folder(house.root / "flawed", PER_CLASS)
    (folder / CLASSES[0] / "empty.png").write_bytes(b"")
    Image.fromarray(gradient(1, 3)).save(folder / CLASSES[0] / "copy.png")
    job_id = house.done(house.create(folder_train=str(folder), folder_pct_val=50))
    found = house.client.get(f"/datasets/{job_id}/problems.json").get_json()
    skipped = [p for p in found["problems"] if p["kind"] == "skipped"]
    assert ["empty.png" in p["entry"] for p in skipped] == [True]
    info = house.info(job_id)["CreateDbTasks"]
    assert sum(task["entries"] for task in info) == PER_CLASS * len(CLASSES) + 1
    assert "empty.png" in house.client.get(f"/datasets/{job_id}").get_data(as_text=True)
