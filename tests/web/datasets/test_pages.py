"""The pages of data sets on records written by hand: no worker, no supervisor."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import pytest
from flask.testing import FlaskClient
from PIL import Image

from digits.service import Service
from digits.storage.jobs.store import Job
from tests.service.finished_dataset import class_folder, finished_dataset

ROUTE = "/datasets/images/classification"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return class_folder(tmp_path / "pictures", 2)


@pytest.fixture
def job(service: Service, folder: Path) -> Job:
    labels = np.arange(60) % 3
    features = (np.arange(60 * 4 * 6).reshape(60, 1, 4, 6) * 7).astype(np.uint16)
    return finished_dataset(
        service, folder, {"train_db": features}, {"train_db": labels}, class_labels=("a<b", "c", "d"), dataset_name="<b>odd</b>"
    )


def test_a_refused_form_keeps_its_values(client: FlaskClient, folder: Path) -> None:
    values = {
        "dataset_name": "my pets",
        "folder_train": str(folder),
        "folder_pct_val": "70",
        "folder_pct_test": "30",
        "seed": "x",
    }
    answer = client.post(ROUTE, data=values)
    page = answer.get_data(as_text=True)
    assert answer.status_code == 400
    for text in ("alert-danger", "my pets", str(folder), "leaves nothing to train on", "is not a whole number"):
        assert text in page


@pytest.mark.parametrize(
    ("sent", "shown", "wanted"),
    [({}, "png", "png_or_none"), ({"encoding": " "}, "png", "png_or_none"), ({"encoding": "jpg"}, "jpg", "jpg")],
)
def test_a_script_that_leaves_the_encoding_out_gets_png(
    client: FlaskClient, service: Service, folder: Path, sent: dict[str, str], shown: str, wanted: str
) -> None:
    answer = client.post(f"{ROUTE}.json", data={"dataset_name": "x", "folder_train": str(folder), **sent})
    assert {task["encoding"] for task in answer.json["CreateDbTasks"]} == {shown}
    assert service.folder(answer.json["id"]).spec()["feature_encoding"] == wanted
    assert 'value="auto" selected' in client.get(f"{ROUTE}/new").text


def test_uploaded_lists_of_a_refused_form_are_kept(client: FlaskClient, service: Service) -> None:
    values = {
        "dataset_name": "",
        "method": "textfile",
        "textfile_train_images": (io.BytesIO(b"a.png 0\nb.png 1\n"), "list one.txt"),
    }
    page = client.post(ROUTE, data=values, content_type="multipart/form-data").get_data(as_text=True)
    assert "was sent already" in page
    assert str(service.jobs_dir.uploads) in page


def test_errors_as_json(client: FlaskClient) -> None:
    answer = client.post(f"{ROUTE}.json", data={"folder_train": "/nowhere"})
    assert answer.status_code == 400
    assert set(answer.get_json()["errors"]) == {"dataset_name", "folder_train"}


def test_a_clone_fills_the_form(client: FlaskClient, job: Job, folder: Path) -> None:
    page = client.get(f"{ROUTE}/new?clone={job.id}").get_data(as_text=True)
    assert f'value="{folder}"' in page
    assert "&lt;b&gt;odd&lt;/b&gt;" in page


def test_pages_escape_what_people_wrote(client: FlaskClient, job: Job) -> None:
    for address in (f"/datasets/{job.id}", f"/datasets/summary?job_id={job.id}", f"{ROUTE}/explore?job_id={job.id}&db=train"):
        page = client.get(address)
        assert page.status_code == 200
        assert "<b>odd</b>" not in page.get_data(as_text=True)
        assert "a<b" not in page.get_data(as_text=True)


def test_the_gallery_links_its_pages(client: FlaskClient, job: Job) -> None:
    page = client.get(f"{ROUTE}/explore?job_id={job.id}&db=train&size=10&page=2&label=1").get_data(as_text=True)
    assert "Items per page" in page
    assert "Show all images" in page
    found = client.get(f"{ROUTE}/explore.json?job_id={job.id}&db=train_db&size=10").get_json()
    assert (found["total"], found["pages"], len(found["records"])) == (60, 6, 10)


@pytest.mark.parametrize(
    ("query", "status", "words"),
    [
        ("", 400, "job_id is a required field"),
        ("job_id=20200101-000000-abcd", 404, "Job not found"),
        ("job_id={id}&db=val", 404, "no split"),
        ("job_id={id}&page=-1", 400, "whole number"),
        ("job_id={id}&label=7", 400, "no class 7"),
    ],
)
def test_wrong_questions_to_the_gallery(client: FlaskClient, job: Job, query: str, status: int, words: str) -> None:
    answer = client.get(f"{ROUTE}/explore?{query.format(id=job.id)}")
    assert answer.status_code == status
    assert words in answer.get_data(as_text=True)


def test_a_16_bit_picture_is_stretched_and_cached(client: FlaskClient, job: Job) -> None:
    answer = client.get(f"/datasets/{job.id}/picture?db=train&index=3&size=full")
    picture = np.asarray(Image.open(io.BytesIO(answer.data)))
    assert picture.shape == (4, 6)
    assert (picture.min(), picture.max()) == (0, 255)
    assert "immutable" in answer.headers["Cache-Control"]
    again = client.get(
        f"/datasets/{job.id}/picture?db=train&index=3&size=full", headers={"If-None-Match": answer.headers["ETag"]}
    )
    assert again.status_code == 304


def test_the_live_check_of_a_folder(client: FlaskClient, folder: Path) -> None:
    found = client.get(f"{ROUTE}/check-folder.json?path={folder}").get_json()
    assert (found["class_count"], found["total"], found["complete"]) == (3, 6, True)
    answer = client.get(f"{ROUTE}/check-folder.json?path=/etc")
    assert answer.status_code == 400
    assert "DIGITS_DATA_DIRS" in answer.get_json()["errors"]["path"][0]


def test_the_resize_example(client: FlaskClient) -> None:
    values = {"width": 40, "height": 20, "channels": 1, "resize_mode": "crop", "backend": "lmdb", "encoding": "none"}
    page = client.post("/datasets/images/resize-example", data=values).get_data(as_text=True)
    assert "<img" in page
    assert "800 B" in page
    wrong = client.post("/datasets/images/resize-example", data={**values, "width": "wide"}).get_data(as_text=True)
    assert wrong.startswith("FormErrors: ")


def test_creating_needs_a_name(client: FlaskClient, folder: Path) -> None:
    client.post("/logout")
    assert client.post(f"{ROUTE}.json", data={"dataset_name": "x", "folder_train": str(folder)}).status_code == 401


def test_file_names_of_any_bytes_are_shown(client: FlaskClient, service: Service, folder: Path) -> None:
    problem = {"kind": "skipped", "stage": "train_db", "entry": "/pictures/caf\udce9.png", "reason": "The file is empty."}
    features, labels = np.zeros((6, 1, 4, 6), np.uint8), np.arange(6) % 3
    job = finished_dataset(service, folder, {"train_db": features}, {"train_db": labels}, problems=(problem,))
    page = client.get(f"/datasets/{job.id}")
    assert page.status_code == 200
    assert "/pictures/caf?.png" in page.get_data(as_text=True)
    assert client.get(f"/datasets/{job.id}/problems.json").get_json()["problems"] == [problem]


@pytest.mark.parametrize(("skipped", "words"), [(1, ""), (2, "17 % left out")])
def test_a_data_set_that_lacks_much_is_amber(
    client: FlaskClient, service: Service, folder: Path, skipped: int, words: str
) -> None:
    """One of eleven is less than a tenth, two of twelve are more."""
    problem = {"kind": "skipped", "stage": "train_db", "entry": "/pictures/a.png", "reason": "The file is empty."}
    count = 10
    features, labels = np.zeros((count, 1, 4, 6), np.uint8), np.arange(count) % 3
    job = finished_dataset(service, folder, {"train_db": features}, {"train_db": labels}, problems=(problem,) * skipped)
    missing = {"count": skipped, "share": round(skipped / (count + skipped), 4), "much": bool(words)}
    answer = client.get(f"/datasets/{job.id}.json").get_json()
    assert (answer["status"], answer["left_out"]) == ("Done", missing)
    (row,) = client.get("/jobs.json?kind=dataset").get_json()["rows"]
    assert (row["status"], row["left_out"]) == ("Done", missing)
    assert client.get(f"/datasets/{job.id}/statistics.json").get_json()["left_out"] == missing
    page = client.get(f"/datasets/{job.id}").get_data(as_text=True)
    assert ('class="pill pill-partly"' in page) is bool(words)
    assert (f"Done, {words}" in page) is bool(words)
    assert ("Ready, not complete" in page) is bool(words)
