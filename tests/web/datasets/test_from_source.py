"""Data sets through plugins and out of prebuilt databases over HTTP (R 9.3, 9.4): a plugin host and workers as processes."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import lmdb
import numpy as np
import pytest
from flask.testing import FlaskClient
from PIL import Image

from digits.config import Settings
from digits.domain.jobs import Status
from digits.service import Service
from digits.service.evaluations.inputs import from_record, record_label
from digits.service.plugins import host as plugins
from digits.storage.records.caffe_datum import make_datum
from digits.storage.records.open import open_records
from digits.web.app import create_app
from tests.plugin_host.hosts import running_host
from tests.plugin_host.packages import add_package

GRADIENTS = Path(__file__).resolve().parents[3] / "plugins" / "image_gradients"
CREATE = "/datasets/generic/create/image-gradients"
COUNTS = {"train_image_count": 100, "val_image_count": 20, "test_image_count": 10}


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("generic")


@pytest.fixture(scope="module")
def site(place: Path) -> Path:
    """The gradient plugin as if installed."""
    add_package(place / "site", "gradients", "from digits_data_image_gradients import DataIngestion\n", data="DataIngestion")
    return place / "site"


@pytest.fixture(scope="module")
def service(place: Path, site: Path) -> Iterator[Service]:
    service = Service.open(Settings(jobs_dir=str(place / "jobs"), auth=False, data_dirs=str(place)))
    with running_host(service, place, site, GRADIENTS):
        yield service
    service.close()


@pytest.fixture(scope="module")
def client(service: Service) -> FlaskClient:
    client = create_app(service).test_client()
    assert client.post("/login", data={"username": "digits-testsuite"}).status_code == 302
    return client


@pytest.fixture(scope="module")
def make(client: FlaskClient, service: Service, site: Path) -> Any:
    """Create a data set and let a worker finish it; its verbose JSON."""

    def run(address: str, **fields: Any) -> dict[str, Any]:
        answer = client.post(address, data={"dataset_name": "set", **fields})
        assert answer.status_code == 200, answer.json
        finish(service, answer.json["id"], site)
        return client.get(f"/datasets/{answer.json['id']}.json").json

    return run


def finish(service: Service, job_id: str, site: Path) -> None:
    path = os.pathsep.join([str(site), str(GRADIENTS), os.environ.get("PYTHONPATH", "")])
    command = [sys.executable, "-m", "digits.worker", "--jobs-dir", str(service.jobs_dir.path), "--attempt", "1", job_id]
    subprocess.run(command, check=True, env={**os.environ, "PYTHONPATH": path})
    for status in (Status.RUN, Status.DONE):
        service.store.transition(job_id, status)


@pytest.fixture(scope="module")
def gradients(make: Any) -> dict[str, Any]:
    return make(f"{CREATE}.json", **COUNTS, image_width=24, image_height=8)


def comparable(found: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in found.items() if name not in ("id", "directory", "status")}


class TestPluginDatasets:
    @pytest.mark.parametrize(("plugin", "title"), [("image-gradients", "Gradients"), ("image-processing", "Processing")])
    def test_the_new_page_has_the_plugins_title(self, client: FlaskClient, plugin: str, title: str) -> None:
        page = client.get(f"/datasets/generic/new/{plugin}")
        assert page.status_code == 200
        assert title in page.text

    def test_counts_and_shape(self, gradients: dict[str, Any]) -> None:
        tasks = {task["stage"]: task["entry_count"] for task in gradients["create_db_tasks"]}
        assert tasks == {"train_db": 100, "val_db": 20, "test_db": 10}
        assert gradients["feature_dims"] == [8, 24, 1]

    def test_no_threads_are_refused_and_unknown_fields_ignored(self, client: FlaskClient) -> None:
        assert client.post(f"{CREATE}.json", data={**COUNTS, "dsopts_num_threads": 0, "dataset_name": "x"}).status_code == 400
        sent = {**COUNTS, "dataset_name": "x", "no_such_field": 1}
        assert client.post(f"{CREATE}.json", data=sent).status_code == 200

    def test_a_page_form_redirects_to_the_job(self, client: FlaskClient) -> None:
        answer = client.post(CREATE, data={**COUNTS, "dataset_name": "x"})
        assert answer.status_code == 302
        assert client.get(answer.headers["Location"]).status_code == 200

    @pytest.mark.parametrize("database", ["train_db%2Ffeatures", "val_db/labels"])
    def test_explore(self, client: FlaskClient, gradients: dict[str, Any], database: str) -> None:
        page = client.get(f"/datasets/generic/explore?job_id={gradients['id']}&db={database}")
        assert page.status_code == 200
        assert "Items per page" in page.text
        found = client.get(f"/datasets/generic/explore.json?job_id={gradients['id']}&db={database}").json
        assert client.get(found["records"][0]["picture"]).data.startswith(b"\x89PNG")

    def test_rename_and_notes(self, client: FlaskClient, gradients: dict[str, Any]) -> None:
        assert client.put(f"/jobs/{gradients['id']}", data={"job_name": "renamed set", "job_notes": "n"}).status_code == 200
        assert "renamed set" in client.get(f"/datasets/summary?job_id={gradients['id']}").text
        assert gradients["id"] in [row["id"] for row in client.get("/index.json").json["datasets"]]

    def test_a_clone_is_identical(self, client: FlaskClient, service: Service, make: Any) -> None:
        first = make(f"{CREATE}.json", train_image_count=5, val_image_count=0, image_width=4, image_height=4, dataset_name="c")
        again = make(f"{CREATE}.json", clone=first["id"], dataset_name="c")
        assert comparable(again) == comparable(first)
        forms = [service.folder(job["id"]).request().form for job in (first, again)]
        assert forms[0] == forms[1]
        assert 'value="5"' in client.get(f"/datasets/generic/new/image-gradients?clone={first['id']}").text


class TestImageProcessing:
    @pytest.fixture
    def folders(self, tmp_path_factory: pytest.TempPathFactory, place: Path) -> tuple[Path, Path]:
        root = place / tmp_path_factory.mktemp("pairs").name
        for name in ("features", "labels"):
            (root / name / "deep").mkdir(parents=True)
            for i in range(20):
                pixels = np.full((16, 64, 3), 3 * i + (name == "labels"), np.uint8)
                Image.fromarray(pixels).save(root / name / ("deep" if i % 2 else "") / f"{i:02}.png")
        return root / "features", root / "labels"

    def test_ten_percent_are_held_out_and_pairs_stay_together(self, make: Any, folders: tuple[Path, Path]) -> None:
        features, labels = folders
        address = "/datasets/generic/create/image-processing.json"
        found = make(address, feature_folder=features, label_folder=labels, folder_pct_val=10)
        assert [task["entry_count"] for task in found["create_db_tasks"]] == [18, 2, 0]
        assert found["feature_dims"] == [16, 64, 3]
        reader = open_records(Path(found["directory"]) / "train_db")
        rows = np.arange(len(reader))
        np.testing.assert_array_equal(np.asarray(reader.features(rows)) + 1, reader.labels(rows))

    def test_separate_validation_folders(self, make: Any, folders: tuple[Path, Path]) -> None:
        features, labels = folders
        found = make(
            "/datasets/generic/create/image-processing.json",
            feature_folder=features,
            label_folder=labels,
            has_val_folder="y",
            validation_feature_folder=features,
            validation_label_folder=labels,
            channel_conversion="L",
        )
        assert [task["entry_count"] for task in found["create_db_tasks"]] == [20, 20, 0]
        assert found["feature_dims"] == [16, 64, 1]

    def test_one_folder_for_everything(self, make: Any, folders: tuple[Path, Path]) -> None:
        """The fields of R 6.5, as the original's tests send them: pictures are their own labels, also of validation."""
        both = {f"{split}{side}_folder": folders[0] for split in ("", "validation_") for side in ("feature", "label")}
        storage = {"dsopts_batch_size": 32, "dsopts_num_threads": 4, "dsopts_backend": "lmdb", "dsopts_force_same_shape": 1}
        encodings = {"dsopts_feature_encoding": "png", "dsopts_label_encoding": "none"}
        own = {"folder_pct_val": 10, "has_val_folder": "True", "channel_conversion": "none", "resize_channels": "1"}
        found = make("/datasets/generic/create/image-processing.json", **both, **storage, **encodings, **own)
        assert [task["entry_count"] for task in found["create_db_tasks"]] == [20, 20, 0]
        assert found["feature_dims"] == [16, 64, 3]
        reader = open_records(Path(found["directory"]) / "val_db")
        np.testing.assert_array_equal(np.asarray(reader.features(range(20))), reader.labels(range(20)))


def write_database(folder: Path, arrays: list[np.ndarray], labels: list[int]) -> Path:
    folder.mkdir()
    with lmdb.open(str(folder), map_size=1 << 26) as environment, environment.begin(write=True) as transaction:
        for i, (array, label) in enumerate(zip(arrays, labels, strict=True)):
            transaction.put(f"{i:08d}".encode(), make_datum(array, label))
    return folder


class TestPrebuilt:
    @pytest.fixture(scope="class")
    @classmethod
    def databases(cls, place: Path) -> dict[str, str]:
        random = np.random.default_rng(3)
        root = place / "lmdb"
        root.mkdir()
        found = {}
        for split, count in (("train", 12), ("val", 4)):
            pictures = [random.integers(0, 256, (3, 6, 5), np.uint8) for _ in range(count)]
            gradients = [random.uniform(-1, 1, (1, 1, 2)).astype(np.float32) for _ in range(count)]
            found[f"prebuilt_{split}_images"] = str(
                write_database(root / f"{split}_images", pictures, [i % 3 for i in range(count)])
            )
            found[f"prebuilt_{split}_labels"] = str(write_database(root / f"{split}_labels", gradients, [0] * count))
            np.save(root / f"{split}.npy", np.stack(pictures))
            np.save(root / f"{split}_labels.npy", np.stack(gradients))
        return found

    def test_the_new_page(self, client: FlaskClient) -> None:
        assert "New Image Dataset" in client.get("/datasets/images/generic/new").text

    def test_databases_are_read_in_place(self, make: Any, databases: dict[str, str], place: Path) -> None:
        found = make("/datasets/images/generic.json", **databases)
        reader = open_records(Path(found["directory"]) / "train_db")
        rows = np.array([3, 0, 11])
        np.testing.assert_array_equal(reader.features(rows), np.load(place / "lmdb" / "train.npy")[rows])
        np.testing.assert_array_equal(reader.labels(rows), np.load(place / "lmdb" / "train_labels.npy")[rows])
        assert found["feature_dims"] == [6, 5, 3]
        copied = sum(file.stat().st_size for file in Path(found["directory"]).rglob("*") if file.is_file() and "db" in str(file))
        assert copied < 12 * 3 * 6 * 5 * 8  # keys, shapes and labels, no pixels
        mean = np.load(place / "lmdb" / "train.npy").mean(axis=(0, 2, 3))
        np.testing.assert_allclose(reader.meta.mean, mean)

    def test_pages_of_them_are_not_read_by_who_answers(
        self, make: Any, databases: dict[str, str], client: FlaskClient, service: Service, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        found = make("/datasets/images/generic.json", **databases)
        reader = open_records(Path(found["directory"]) / "train_db")
        picture, label = reader.feature(3), reader.labels([3])[0]
        del reader  # a database is opened once in a process
        monkeypatch.setattr("lmdb.open", _not_here)
        page = client.get(f"/datasets/generic/explore?job_id={found['id']}&db=train_db/features")
        addresses = re.findall(rf"/datasets/{found['id']}/picture[^\"]*", page.text)
        assert addresses
        for address in (addresses[0], f"/datasets/{found['id']}/label?db=train&index=3"):
            assert client.get(address.replace("&amp;", "&")).status_code == 200, address
        model = SimpleNamespace(dataset_id=found["id"])
        np.testing.assert_array_equal(from_record(service, model, "train:3").feature, picture)
        np.testing.assert_array_equal(record_label(service, model, "train:3"), label)

    def test_without_label_databases_the_number_in_the_record_counts(self, make: Any, databases: dict[str, str]) -> None:
        sent = {name: path for name, path in databases.items() if name.endswith("images")}
        found = make("/datasets/images/generic.json", **sent, force_same_shape=0, resize_channels=7)
        reader = open_records(Path(found["directory"]) / "train_db")
        assert reader.labels(np.arange(4)).tolist() == [0, 1, 2, 0]

    def test_records_of_another_data_set(self, make: Any, gradients: dict[str, Any], client: FlaskClient) -> None:
        train = f"{gradients['directory']}/train_db"
        found = make("/datasets/images/generic.json", prebuilt_train_images=train)
        assert found["feature_dims"] == [8, 24, 1]
        assert (Path(found["directory"]) / "train_db").is_symlink()
        assert client.get(f"/datasets/generic/explore?job_id={found['id']}&db=train_db/features").status_code == 200

    def test_a_clone_is_identical(self, make: Any, databases: dict[str, str]) -> None:
        first = make("/datasets/images/generic.json", **databases)
        assert comparable(make("/datasets/images/generic.json", clone=first["id"])) == comparable(first)

    def test_what_is_no_database_is_refused(self, client: FlaskClient, place: Path) -> None:
        sent = {"dataset_name": "x", "prebuilt_train_images": str(place / "site"), "prebuilt_val_images": "/etc"}
        answer = client.post("/datasets/images/generic.json", data=sent)
        assert answer.status_code == 400
        assert "neither an LMDB" in answer.json["errors"]["prebuilt_train_images"][0]
        assert "outside the folders" in answer.json["errors"]["prebuilt_val_images"][0]


def _not_here(*_: object, **__: object) -> None:
    raise AssertionError("opened in this process")


class TestPages:
    def test_the_table_of_plugins(self, client: FlaskClient) -> None:
        page = client.get("/plugins")
        assert page.status_code == 200
        assert "image-gradients" in page.text
        rows = client.get("/plugins.json").json["data"]
        assert {"id", "title", "version", "distribution", "location", "error", "ok"} <= set(rows[0])

    def test_options_of_the_default_view(self, client: FlaskClient) -> None:
        assert client.get("/models/view-config/all-raw-data").status_code == 200
        assert "colormap" in client.get("/models/view-config/image-segmentation").text
        assert client.get("/models/view-config/nobody").status_code == 404

    def test_the_menu_leads_to_plugins(self, client: FlaskClient, service: Service) -> None:
        plugins.forget(service)
        text = client.get("/").text
        assert "/datasets/generic/new/image-gradients" in text
        assert "/datasets/images/generic/new" in text


@pytest.mark.parametrize(
    "extension",
    ["image-segmentation", "image-object-detection", "image-processing", "image-pairs", "image-multi-label", "image-regression"],
)
def test_no_number_of_a_plugins_form_breaks_the_server(client: FlaskClient, extension: str) -> None:
    """The form's fields are WTForms' own; what they refuse comes back as a message at the field."""
    names = re.findall(
        r'<input[^>]*name="([^"]+)"[^>]*type="number"|<input[^>]*type="number"[^>]*name="([^"]+)"', page_of(client, extension)
    )
    fields = [first or second for first, second in names]
    assert fields
    for value in ("x", "1_0", "٣", "²", "nan", "-inf", "9" * 4000, "9" * 5000, "-1", "1e999"):
        answer = client.post(
            f"/datasets/generic/create/{extension}.json", data={"dataset_name": "x", **dict.fromkeys(fields, value)}
        )
        assert answer.status_code == 400, (value[:20], answer.text[:300])


def page_of(client: FlaskClient, extension: str) -> str:
    answer = client.get(f"/datasets/generic/new/{extension}")
    assert answer.status_code == 200
    return answer.text
