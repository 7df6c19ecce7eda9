"""A package in the original's style (setup.py importing GROUP, flask.ext.wtf, Bootstrap 3) installs with pip and works."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, cast

import numpy as np
import pytest
from flask.testing import FlaskClient

from digits.config import Settings
from digits.extensions.data import userdata
from digits.service import Service
from digits.service.datasets import from_source as plugin_datasets
from digits.service.plugins import host as plugins
from digits.service.plugins import views as plugin_views
from digits.service.plugins.views import ViewSample
from digits.web.app import create_app
from tests.plugin_host.hosts import make_dataset, running_host

SOURCE = Path(__file__).parent / "old_style"
VALUES = {"dataset_name": "old", "count": "40", "ratios": "[1, 2.5]", "low": "1", "high": "1", "seed": "4", "use_seed": "y"}


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("old")


@pytest.fixture(scope="module")
def site(place: Path) -> Path:
    copy = shutil.copytree(SOURCE, place / "source")  # pip builds beside the sources
    target = place / "site"
    command = [sys.executable, "-m", "pip", "install", "--quiet", "--no-build-isolation", "--no-deps", "--no-index"]
    subprocess.run([*command, "--disable-pip-version-check", "--target", str(target), str(copy)], check=True)
    return target


@pytest.fixture(scope="module")
def host(place: Path, site: Path) -> Iterator[Service]:
    service = Service.open(Settings(jobs_dir=str(place / "jobs"), auth=False, data_dirs=str(place)))
    with running_host(service, place, site):
        yield service
    service.close()


@pytest.fixture(scope="module")
def client(host: Service) -> FlaskClient:
    client = create_app(host).test_client()
    assert client.post("/login", data={"username": "someone"}).status_code == 302
    return client


def values(place: Path, **changes: str) -> dict[str, str]:
    return {**VALUES, "folder": str(place), **changes}


def test_it_is_listed_with_both_its_classes(host: Service) -> None:
    found = {(row["kind"], row["id"]): row for rows in plugins.table(host).values() for row in rows}
    assert found["data", "old-style"]["ok"], found["data", "old-style"]["error"]
    assert found["view", "old-style-view"]["ok"], found["view", "old-style-view"]["error"]


def test_its_form_looks_and_binds_as_it_did(client: FlaskClient) -> None:
    page = client.get("/datasets/generic/new/old-style")
    assert page.status_code == 200
    text = page.text
    assert "Old style" in text
    assert 'class="form-control autocomplete_path" id="folder"' in text
    assert 'title="Provide a folder"' in text
    assert "The folder is <em>only</em> looked at." in text
    assert 'value="untitled"' in text
    assert "jquery.min.js" in text
    assert "plugins.css" in text
    policy = page.headers["Content-Security-Policy"]
    nonce = policy.split("'nonce-")[1].split("'")[0]
    assert f'<script nonce="{nonce}">\n$(function()' in text
    assert "script-src-attr 'unsafe-inline'" in policy


def test_inline_handlers_are_allowed_on_plugin_pages_only(client: FlaskClient) -> None:
    assert "script-src-attr" not in client.get("/").headers["Content-Security-Policy"]


@pytest.mark.parametrize(
    ("field", "value", "words"),
    [
        ("count", "-1", "at least 1"),
        ("high", "0", "smaller than Low"),
        ("ratios", "1, x", "not a number"),
        ("ratios", "1, -1", "expected 0 to any"),
        ("seed", "", "required"),
        ("folder", "", "required"),
    ],
)
def test_its_validators_have_their_old_meaning(client: FlaskClient, place: Path, field: str, value: str, words: str) -> None:
    answer = client.post("/datasets/generic/create/old-style.json", data=values(place, **{field: value}))
    assert answer.status_code == 400
    assert words in " ".join(answer.json["errors"][field])
    page = client.post("/datasets/generic/create/old-style", data=values(place, **{field: value}))
    assert page.status_code == 400
    assert 'class="form-group has-error"' in page.text


def test_a_seed_is_not_required_without_its_condition(client: FlaskClient, place: Path) -> None:
    sent = {name: value for name, value in values(place).items() if name not in ("use_seed", "seed")}
    assert client.post("/datasets/generic/create/old-style.json", data=sent).status_code == 200


def test_from_form_to_records(
    client: FlaskClient, host: Service, place: Path, site: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = client.post("/datasets/generic/create/old-style.json", data=values(place))
    assert made.status_code == 200, made.json
    job_id = made.json["id"]
    command = [sys.executable, "-m", "digits.worker", "--jobs-dir", str(host.jobs_dir.path), "--attempt", "1", job_id]
    monkeypatch.setenv("PYTHONPATH", str(site), prepend=os.pathsep)
    subprocess.run(command, check=True)
    tasks = client.get(f"/datasets/{job_id}.json").json
    assert [task["entry_count"] for task in tasks["create_db_tasks"]] == [40, 40, 0]
    assert tasks["feature_dims"] == [4, 5, 3]


def test_its_shuffle_is_made_once_and_its_objects_survive(
    host: Service, place: Path, site: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.syspath_prepend(str(site))
    from digits.utils import compatibility

    compatibility.install()
    from oldStylePlugin import DataIngestion

    job = make_dataset(host, "old-style", values(place))
    frozen = host.folder(job.id).userdata_file.read_bytes()
    first, second = (cast(Any, userdata.thaw(DataIngestion, frozen)) for _ in range(2))
    assert [item.value for item in first.userdata["items"]] == [item.value for item in second.userdata["items"]]
    assert first.handle.readable()  # what cannot be pickled is made again
    for one in (first, second):
        one.handle.close()


def test_its_static_inference_form_has_the_choices_added_late(host: Service, place: Path) -> None:
    job = make_dataset(host, "old-style", values(place))
    form = plugin_datasets.inference_form(host, job, None)
    assert form is not None
    assert [choice[0] for choice in form.fields[0]["choices"]] == ["none", "one", "two"]
    entries = plugin_datasets.inference_entries(host, job, {"level": "5"})
    assert [feature.shape for feature in entries.features] == [(3, 4, 5), (3, 4, 5)]
    assert [int(label) for label in entries.labels] == [1, 1]


def test_its_view_gets_userdata_and_fills_the_header(host: Service, place: Path) -> None:
    job = make_dataset(host, "old-style", values(place))
    sample = ViewSample("s1", np.zeros((3, 4, 5), np.uint8), {"scores": np.array([0.1, 0.9])})
    results = plugin_views.render(host, job, [sample], "old-style-view", {"colour": "blue"}, "abc")
    assert results.failure is None
    html = results.samples[0]["html"]
    assert "<b>odd</b> <i" in html  # a check box that is not sent is off
    assert "color: blue" in html
    assert "onclick=\"fill('0', 'filled')\"" in html
    assert '<script nonce="abc">var oldTotal = 1;' in results.header["html"]


def test_its_static_files_are_served(client: FlaskClient) -> None:
    answer = client.get("/extension-static/view/old-style-view/old.js")
    assert answer.status_code == 200
    assert answer.data == b"var old = 1;\n"


def test_a_clone_is_the_same_data_set(client: FlaskClient, place: Path) -> None:
    made = client.post("/datasets/generic/create/old-style.json", data=values(place)).json
    page = client.get(f"/datasets/generic/new/old-style?clone={made['id']}")
    assert 'value="40"' in page.text
    again = client.post("/datasets/generic/create/old-style.json", data={"clone": made["id"], "dataset_name": "old"}).json
    assert {k: v for k, v in again.items() if k not in ("id", "directory")} == {
        k: v for k, v in made.items() if k not in ("id", "directory")
    }
