"""A data and a view package as authors wrote them for the original install with pip and work from the form to the results."""

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
from digits.service import Service, plugin_datasets, plugin_views, plugins
from digits.service.plugin_views import Sample
from digits.storage.files import read_json
from digits.storage.records import RecordReader
from digits.web.app import create_app
from tests.plugin_host.hosts import running_host

VETERANS = Path(__file__).parent / "veterans"


@dataclass(frozen=True)
class Harbour:
    """A service with a host that has both packages, and the folder they are installed in."""

    service: Service
    site: Path
    folder: Path

    def values(self, **changes: str) -> dict[str, str]:
        return {"dataset_name": "fleets", "fleet_file": str(self.folder / "fleets.txt"), "side": "6", "pct_val": "20", **changes}


@pytest.fixture(scope="module")
def harbour(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Harbour]:
    folder = tmp_path_factory.mktemp("veterans")
    sources = [str(shutil.copytree(VETERANS / name, folder / name)) for name in ("ships", "meter")]
    command = [sys.executable, "-m", "pip", "install", "--quiet", "--no-build-isolation", "--no-deps", "--no-index"]
    site = folder / "site"
    subprocess.run([*command, "--disable-pip-version-check", "--target", str(site), *sources], check=True)
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
    job = plugin_datasets.create_dataset(harbour.service, "image-ships", harbour.values(weights="[0.5, 1]"))
    command = [sys.executable, "-m", "digits.worker", "--jobs-dir", str(harbour.service.jobs_dir.path), "--attempt", "1", job.id]
    subprocess.run(command, env={**os.environ, "PYTHONPATH": str(harbour.site)}, check=True)
    folder = harbour.service.folder(job.id)
    info = DatasetInfo.from_json(read_json(folder.dataset_file))
    assert {name: split.entries for name, split in info.splits.items()} == {"train_db": 32, "val_db": 8}
    assert info.task == "classification"
    assert info.feature_shape == (3, 6, 6)
    both = [RecordReader(folder.path / name) for name in ("train_db", "val_db")]
    ships = [int(reader.features([i])[0, 2, 0, 0]) for reader in both for i in range(len(reader))]
    labels = [int(reader.labels([i])[0]) for reader in both for i in range(len(reader))]
    assert ships == labels
    assert sorted(ships) == sorted(list(range(10)) * 4)  # the shuffle is one for both splits: nothing is lost or doubled
    assert ships != sorted(ships)


def test_its_static_inference_form_makes_what_is_tested(harbour: Harbour) -> None:
    job = plugin_datasets.create_dataset(harbour.service, "image-ships", harbour.values())
    form = plugin_datasets.inference_form(harbour.service, job, None)
    assert form is not None
    assert form.failure is None
    assert "Flag ship" in form.html
    entries = plugin_datasets.inference_entries(harbour.service, job, {"fleet": "flag", "ships": "3"})
    assert [(feature.shape, int(label)) for feature, label in zip(entries.features, entries.labels, strict=True)] == [
        ((3, 6, 6), 3)
    ]
    assert entries.keys == ["asked (3 ships)"]


def test_its_view_fills_the_header_and_wraps_the_results(harbour: Harbour) -> None:
    job = plugin_datasets.create_dataset(harbour.service, "image-ships", harbour.values())
    scores = np.eye(10, dtype=np.float32)[7]
    samples = [Sample(f"s{i}", np.zeros((3, 6, 6), np.uint8), {"scores": scores}) for i in range(2)]
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
