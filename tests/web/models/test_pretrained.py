"""Pretrained models, stores and reproductions over HTTP: addresses, answers and pages."""

from __future__ import annotations

import io
import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import safetensors.numpy
from flask.testing import FlaskClient

from digits.domain.jobs import Kind, Status
from digits.service import Service
from digits.service.models.pretrained import from_model
from digits.storage.jobs.store import Job, JobQuery
from digits.web.app import create_app
from tests.builders import make_job
from tests.service.finished_dataset import class_folder, finished_dataset
from tests.service.models.test_archives import write_weights
from tests.service.models.test_pretrained import GOOD, LINEAR, TEXT, info, zipped


@pytest.fixture
def model(service: Service) -> Job:
    job = make_job(
        service,
        name="<b>a model</b>",
        status=Status.DONE,
        framework="pytorch",
        network="flat",
        spec={"network": TEXT, "dataset_id": "", "task": "classification"},
    )
    for epoch in (1, 2):
        path = service.folder(job.id).path / "snapshots" / f"epoch_{epoch}.safetensors"
        write_weights(path, epoch=epoch, task="classification", input_shape=[1, 8, 8], class_labels=["x", "y"], preparation={})
    return job


def test_a_model_becomes_a_pretrained_one(client: FlaskClient, service: Service, model: Job) -> None:
    answer = client.post(f"/models/{model.id}/to_pretrained", data={"snapshot_epoch": "1"})
    assert (answer.status_code, answer.headers["Location"]) == (302, "/?tab=3")
    (job,) = service.store.query(JobQuery(kind=Kind.PRETRAINED)).jobs
    said = client.get(f"/pretrained_models/{job.id}.json").json
    assert (said["snapshot_epoch"], said["framework"], said["network"], said["status"]) == (1.0, "pytorch", "flat", "Initialized")
    assert client.get("/pretrained_models.json").json["pretrained_models"] == [said]
    made = client.post(f"/models/{model.id}/to_pretrained.json").json
    assert made["snapshot_epoch"] == 2.0
    assert client.post(f"/models/{model.id}/to_pretrained.json", data={"epoch": "7"}).status_code == 404
    for job_id in (job.id, made["id"]):
        for state in (Status.WAIT, Status.RUN, Status.DONE):
            service.store.transition(job_id, state)
    rows = client.get("/completed_jobs.json").json["pretrained_models"]
    assert [(row["id"], row["has_labels"], row["type"]) for row in rows] == [
        (made["id"], True, "pretrained_model"),
        (job.id, True, "pretrained_model"),
    ]
    assert client.put(f"/pretrained_models/{job.id}", data={"job_name": "renamed"}).status_code == 200
    assert client.get(f"/jobs/{job.id}").headers["Location"].endswith(f"/pretrained_models/{job.id}")
    assert client.delete(f"/pretrained_models/{job.id}").status_code == 200
    assert client.get(f"/pretrained_models/{job.id}.json").status_code == 404
    assert client.delete(f"/pretrained_models/{model.id}").status_code == 404


def test_an_archive_is_taken_in_or_its_status_says_why_not(client: FlaskClient, service: Service) -> None:
    def sent(data: bytes, name: str = "x.zip", **fields: str) -> tuple[int, dict]:
        answer = client.post("/pretrained_models/upload_archive", data={"archive": (io.BytesIO(data), name), **fields})
        return answer.status_code, answer.json

    code, value = sent(zipped(info__json=info(), w__safetensors=safetensors.numpy.save(LINEAR), **GOOD))
    assert (code, value["status"]) == (200, "success")
    assert service.store.get(value["id"]).name == "x"
    for name in ("model", "model.tar"):  # what it holds counts, not what it is called
        code, value = sent(zipped(info__json=info(), w__safetensors=safetensors.numpy.save(LINEAR), **GOOD), name)
        assert (code, value["status"]) == (200, "success"), name
    code, value = sent(b"junk")
    assert (code, value["error"]["type"]) == (400, "BadArchive")
    assert value["status"].startswith("Incorrect archive type")
    assert client.post("/pretrained_models/upload_archive").status_code == 400
    page = client.post("/pretrained_models/upload_archive", data={"archive": (io.BytesIO(b"junk"), "x.rar"), "page": "1"})
    assert page.status_code == 400
    assert "Incorrect archive type" in page.text
    assert client.post("/pretrained_models/new.json", data={"job_name": ""}).json["errors"]["job_name"]
    files = {name: (io.BytesIO(b"x"), f"{name}.caffemodel") for name in ("weights_file", "model_def_file")}
    assert "weights of Caffe" in client.post("/pretrained_models/new", data={"job_name": "c", "framework": "caffe", **files}).text


def test_the_form_offers_the_hub_where_the_setting_allows_it(client: FlaskClient, service: Service, tmp_path: Path) -> None:
    features = {"train_db": np.zeros((9, 1, 28, 28), np.uint8), "val_db": np.zeros((3, 1, 28, 28), np.uint8)}
    labels = {name: np.arange(len(found)) % 3 for name, found in features.items()}
    dataset = finished_dataset(service, class_folder(tmp_path / "p", per_class=4), features, labels)
    named = {"model_name": "m", "dataset": dataset.id, "method": "pretrained", "pretrained_networks": 'hf-hub:a/"b'}
    assert "data-hub-name" not in client.get("/models/images/classification/new").text
    assert "DIGITS_ALLOW_HUB=1" in client.post("/models/images/classification", data=named).text
    other = create_app(replace(service, settings=replace(service.settings, allow_hub=True))).test_client()
    other.post("/login", data={"username": "me"})
    refused = other.post("/models/images/classification", data=named).text
    assert "is no name of the hub" in refused
    assert 'value="hf-hub:a/&#34;b"' in refused, "what was typed stays"
    made = other.post("/models/images/classification.json", data={**named, "pretrained_networks": "hf-hub:a/b"}).json
    assert "hf-hub:a/b" in service.folder(made["id"]).spec()["network"]


def test_pages_of_pretrained_models_and_stores(client: FlaskClient, service: Service, model: Job, tmp_path: Path) -> None:
    job = from_model(service, model)
    page = client.get(f"/pretrained_models/{job.id}").text
    assert "&lt;b&gt;a model&lt;/b&gt;" in page
    assert "<b>a model</b>" not in page
    assert 'data-table="pretrained_model"' in client.get("/pretrained_models").text
    assert "No store is set up" in client.get("/store/list").text
    assert client.get("/store/models").json == {}
    assert client.get("/store/push.json?id=none").status_code == 404
    form = client.get(f"/models/images/classification/new?pretrained={job.id}").text
    assert f'value="{job.id}"' in form or "There is no data set to learn from yet" in form
    assert client.get(f"/clone/{job.id}").status_code == 400
    assert client.post(f"/models/{model.id}/reproduce.json").status_code == 404  # its data set is not here
    (tmp_path / "shop").mkdir()
    (tmp_path / "shop" / "master.json").write_text(json.dumps({"msg": "hello", "children": ["gone"]}))
    other = create_app(replace(service, settings=replace(service.settings, model_store_url=str(tmp_path / "shop")))).test_client()
    other.post("/login", data={"username": "me"})
    (store,) = other.get("/store/models").json.values()
    assert (store["welcome_msg"], store["model_list"][0]["dir_name"]) == ("hello", "gone")
    refused = other.post("/store/push.json", data={"id": store["model_list"][0]["id"]})
    assert refused.status_code == 400
    assert "cannot be taken over" in refused.json["error"]["message"]
