"""Data and view packages as authors wrote them for the original install with pip and work from the form to the results."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
from flask.testing import FlaskClient

from digits.config import Settings
from digits.domain.datasets import DatasetInfo
from digits.errors import FormErrors
from digits.service import Service
from digits.service.datasets import from_source as plugin_datasets
from digits.service.plugins import host as plugins
from digits.service.plugins import views as plugin_views
from digits.service.plugins.views import ViewSample
from digits.storage.files import write_json
from digits.storage.jobs.store import Job
from digits.storage.records.codec import as_stored
from digits.storage.records.open import open_records
from digits.storage.records.reader import RecordReader
from digits.web.app import create_app
from tests.plugin_host.hosts import make_dataset, running_host

LEGACY_PLUGINS = Path(__file__).parent / "legacy_plugins"


@dataclass(frozen=True)
class Harbour:
    """A service with a host that has both packages, and the folder they are installed in."""

    service: Service
    site: Path
    folder: Path

    def waves(self) -> Job:
        """A data set of the time series."""
        upload = self.service.jobs_dir.uploads / "labels.txt"
        shutil.copyfile(self.folder / "labels.txt", upload)
        values = {"train_data_file": str(self.folder / "waves.csv"), "class_labels_file": str(upload), "window": "[0, 16]"}
        sent = {**values, "split": "share", "folder_pct_val": "20", "scale": "1", "columns": ["a", "c"], "dataset_name": "waves"}
        return make_dataset(self.service, "signal-waves", sent)

    def ingest(self, job: Job) -> list[RecordReader]:
        """Training and validation records, made by a worker."""
        command = [sys.executable, "-m", "digits.worker", "--jobs-dir", str(self.service.jobs_dir.path), "--attempt", "1", job.id]
        path = os.pathsep.join(filter(None, [str(self.site), os.environ.get("PYTHONPATH")]))
        subprocess.run(command, env={**os.environ, "PYTHONPATH": path}, check=True)
        return [open_records(self.service.folder(job.id).path / name) for name in ("train_db", "val_db")]

    def values(self, **changes: str) -> dict[str, str]:
        return {"dataset_name": "fleets", "fleet_file": str(self.folder / "fleets.txt"), "side": "6", "pct_val": "20", **changes}


@pytest.fixture(scope="module")
def harbour(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Harbour]:
    folder = tmp_path_factory.mktemp("legacy_plugins")
    sources = [str(shutil.copytree(LEGACY_PLUGINS / name, folder / name)) for name in ("ships", "meter", "waves", "chart")]
    command = [sys.executable, "-m", "pip", "install", "--quiet", "--no-build-isolation", "--no-deps", "--no-index"]
    site = folder / "site"
    subprocess.run([*command, "--disable-pip-version-check", "--target", str(site), *sources], check=True)
    rows = [[i % 3, *(i + t for t in range(20))] for i in range(30)]
    (folder / "waves.csv").write_text("\n".join(",".join(map(str, row)) for row in rows))
    (folder / "labels.txt").write_text("slow\nmiddle\nfast\n")
    (folder / "fleets.txt").write_text("".join(f"{i % 10}\n" for i in range(40)))
    service = Service.open(Settings(jobs_dir=str(folder / "jobs"), auth=False, data_dirs=str(folder)))
    with running_host(service, folder, site):
        yield Harbour(service, site, folder)
    service.close()


@pytest.fixture
def client(harbour: Harbour) -> FlaskClient:
    client = create_app(harbour.service).test_client()
    assert client.post("/login", data={"username": "captain"}).status_code == 302
    return client


def test_both_are_listed_with_their_versions(harbour: Harbour) -> None:
    table = plugins.table(harbour.service)
    ours = ("digits_ships_data_plugin", "digits_meter_view_plugin")  # others may be installed as well
    found = {row["id"]: row for rows in table.values() for row in rows if row["distribution"] in ours}
    assert {(row["version"], row["error"]) for row in found.values()} == {("0.0.3", ""), ("0.0.1", "")}
    assert found["image-ships"]["distribution"] == "digits_ships_data_plugin"


def test_a_form_with_arguments_shows_all_its_choices_and_its_texts(client: FlaskClient) -> None:
    page = client.get("/datasets/generic/new/image-ships").text
    for words in ('value="8"', "8 pixels", 'title="Of the square picture."', "glyphicon-info-sign", "input-group-addon"):
        assert words in page
    wrong = client.post("/datasets/generic/create/image-ships", data={"dataset_name": "x", "side": "5"})
    assert wrong.status_code == 400
    assert "has-error" in wrong.text
    assert "This field is required" in wrong.text


def test_from_the_form_to_records_in_another_process(harbour: Harbour) -> None:
    job = make_dataset(harbour.service, "image-ships", harbour.values(weights="[0.5, 1]"))
    both = harbour.ingest(job)
    folder = harbour.service.folder(job.id)
    info = folder.dataset_info()
    assert {name: split.entries for name, split in info.splits.items()} == {"train_db": 32, "val_db": 8}
    assert info.task == "classification"
    assert info.feature_shape == (3, 6, 6)
    ships = [int(reader.features([i])[0, 2, 0, 0]) for reader in both for i in range(len(reader))]
    labels = [int(reader.labels([i])[0]) for reader in both for i in range(len(reader))]
    assert ships == labels
    assert sorted(ships) == sorted(list(range(10)) * 4)  # the shuffle is one for both splits: nothing is lost or doubled
    assert ships != sorted(ships)


def test_its_static_inference_form_makes_what_is_tested(harbour: Harbour) -> None:
    job = make_dataset(harbour.service, "image-ships", harbour.values())
    form = plugin_datasets.inference_form(harbour.service, job, None)
    assert form is not None
    assert form.failure is None
    assert "Flag ship" in form.html
    entries = plugin_datasets.inference_entries(harbour.service, job, {"fleet": "flag", "ships": "3"})
    assert [(feature.shape, int(label)) for feature, label in zip(entries.features, entries.labels, strict=True)] == [
        ((3, 6, 6), 3)
    ]
    assert entries.keys == ["asked (3 ships)"]
    described = DatasetInfo(
        task="classification", class_labels=(), splits={}, extra={"feature_encoding": "jpg", "jpeg_quality": 5}
    )
    write_json(harbour.service.folder(job.id).dataset_file, described.to_json())
    compressed = plugin_datasets.inference_entries(harbour.service, job, {"fleet": "flag", "ships": "3"}).features[0]
    np.testing.assert_array_equal(compressed, as_stored(np.asarray(entries.features[0]), "jpg", 5))
    assert not np.array_equal(compressed, entries.features[0])  # what comes in as the records did is what the model knows


def test_its_view_fills_the_header_and_wraps_the_results(harbour: Harbour) -> None:
    job = make_dataset(harbour.service, "image-ships", harbour.values())
    scores = np.eye(10, dtype=np.float32)[7]
    samples = [ViewSample(f"s{i}", np.zeros((3, 6, 6), np.uint8), {"scores": scores}) for i in range(2)]
    options = {"unit": "miles", "digits": "2", "whole": "y"}
    results = plugin_views.render(harbour.service, job, samples, "all-meter", options, "n1")
    assert results.failure is None
    assert [sample["html"].split(">")[1] for sample in results.samples] == ["7: 1.0 miles</a"] * 2
    assert "onclick=\"$('#meter-last').html('7')" in results.samples[0]["html"]
    assert '<script nonce="n1" type="text/javascript">' in results.header["html"]
    assert '$("#meter-total").text("2")' in results.header["html"]
    assert results.before["html"].startswith('<div ng-app="meter_app"')
    assert "meterFooter" in results.after["html"]


def test_its_options_are_shown(client: FlaskClient) -> None:
    page = client.get("/models/view-config/all-meter").text
    assert "Knots" in page
    assert 'name="digits"' in page


def test_a_shuffle_at_each_stage_under_the_seed_of_init_gives_every_entry_to_one_split(harbour: Harbour) -> None:
    train, val = harbour.ingest(harbour.waves())
    first = [float(value) for reader in (train, val) for value in reader.features(np.arange(len(reader)))[:, 0, 0, 0]]
    assert (len(train), len(val)) == (24, 6)
    assert sorted(first) == list(range(30))
    assert first != sorted(first)
    assert train.meta.feature_dtype == "float64"
    assert train.meta.class_labels == ("slow", "middle", "fast")  # its userdata has them as a NumPy array


def test_entries_that_cannot_say_who_they_are_are_numbered(harbour: Harbour) -> None:
    job = harbour.waves()
    form = plugin_datasets.inference_form(harbour.service, job, None)
    assert form is not None
    assert "wave 29" in form.html
    entries = plugin_datasets.inference_entries(harbour.service, job, {"record": "4", "count": "2"})
    assert entries.keys == ["000000000", "000000001"]
    assert [feature.shape for feature in entries.features] == [(1, 1, 16)] * 2
    assert [int(label) for label in entries.labels] == [1, 1]
    upload = harbour.service.jobs_dir.uploads / "three.csv"
    upload.write_text("".join((harbour.folder / "waves.csv").read_text().splitlines(keepends=True)[:3]))
    assert len(plugin_datasets.inference_entries(harbour.service, job, {"test_file": str(upload)}).keys) == 3


def test_a_template_of_python_2_loses_nothing(harbour: Harbour) -> None:
    sample = ViewSample("s", np.zeros((1, 1, 16)), {"scores": np.array([0.125, 0.25, 0.625], np.float32)}, truth=np.array(1))
    results = plugin_views.render(harbour.service, harbour.waves(), [sample], "signal-chart", {"height": "40"}, "")
    assert [f"width: {share}%" in results.samples[0]["html"] for share in (12.5, 25.0, 62.5)] == [True] * 3
    assert '<span class="label label-info">middle</span>' in results.samples[0]["html"]
    assert "{[ untouched ]}" in results.before["html"]
    outside = {"height": "40", "legend_file": "/etc/hostname"}
    with pytest.raises(FormErrors) as caught:
        plugin_views.render(harbour.service, None, [sample], "signal-chart", outside, "")
    assert "legend_file" in caught.value.errors
