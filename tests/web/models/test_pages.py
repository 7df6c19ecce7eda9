"""The routes of models as scripts and browsers call them, with jobs that no worker runs."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from flask.testing import FlaskClient

from digits.config import Settings
from digits.domain.events import AttemptEvent, ErrorEvent, MetricEvent, SnapshotEvent, WarningEvent
from digits.domain.jobs import Status
from digits.service import Service
from digits.storage.events import EventWriter
from digits.storage.jobs.store import Job
from digits.web.app import create_app
from tests.service.finished_dataset import class_folder, finished_dataset

POST = "/models/images/classification"
NEW = f"{POST}/new"


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    root = tmp_path_factory.mktemp("web")
    service = Service.open(Settings(jobs_dir=str(root / "jobs"), auth=False, data_dirs=str(root.parent)))
    yield service
    service.close()


@pytest.fixture(scope="module")
def dataset(service: Service, tmp_path_factory: pytest.TempPathFactory) -> Job:
    features = {"train_db": np.zeros((9, 1, 28, 28), np.uint8), "val_db": np.zeros((3, 1, 28, 28), np.uint8)}
    labels = {name: np.arange(len(f)) % 3 for name, f in features.items()}
    return finished_dataset(service, class_folder(tmp_path_factory.mktemp("web") / "pictures"), features, labels)


@pytest.fixture(scope="module")
def app(service: Service) -> Any:
    return create_app(service)


@pytest.fixture
def client(app: Any) -> FlaskClient:
    client = app.test_client()
    assert client.post("/login", data={"username": "digits-testsuite"}).status_code == 302
    return client


def create(client: FlaskClient, dataset: Job, **values: Any) -> Any:
    known = {"dataset": dataset.id, "model_name": "test_model", "standard_networks": "lenet", "framework": "pytorch"}
    return client.post(f"{POST}.json", data={**known, **values})


def test_the_new_page_offers_networks_and_the_dataset(client: FlaskClient, dataset: Job) -> None:
    page = client.get(NEW).get_data(as_text=True)
    assert "New Image Classification Model" in page
    for text in ("LeNet", "AlexNet", "GoogLeNet", "LeCun et al., 1998", dataset.name, "Copy as REST"):
        assert text in page


def test_the_generic_page_has_its_title_and_no_classification_data(client: FlaskClient, dataset: Job) -> None:
    page = client.get("/models/images/generic/new").get_data(as_text=True)
    assert "New Image Model" in page
    assert dataset.id not in page


def test_fresh_values_suit_the_network(client: FlaskClient, dataset: Job) -> None:
    page = client.get(f"{NEW}?dataset={dataset.id}").get_data(as_text=True)
    assert 'value="lenet" checked' in page
    assert 'name="train_epochs" id="train_epochs" value="5"' in page, "LeNet's own, not the 30 of scripts"


def test_nobody_makes_a_model_without_a_name(app: Any, dataset: Job) -> None:
    assert create(app.test_client(), dataset).status_code == 401


def test_create_by_json_answers_with_the_model(client: FlaskClient, dataset: Job) -> None:
    answer = create(client, dataset)
    assert answer.status_code == 200
    value = answer.get_json()
    assert (value["name"], value["dataset_id"], value["snapshots"]) == ("test_model", dataset.id, [])
    assert "warnings" not in value
    assert client.get(f"/models/{value['id']}.json").get_json() == value
    assert any(model["id"] == value["id"] for model in client.get("/index.json").get_json()["models"])


def test_create_by_the_page_goes_to_the_model(client: FlaskClient, dataset: Job) -> None:
    values = {
        "dataset": dataset.id,
        "model_name": "by hand",
        "standard_networks": "lenet",
        "framework": "pytorch",
        "shuffle": ["false", "y"],
    }
    answer = client.post(POST, data=values)
    assert answer.status_code == 302
    assert client.get(answer.location).status_code == 200


def test_a_sweep_answers_with_all_jobs_and_the_page_compares_them(client: FlaskClient, dataset: Job) -> None:
    jobs = create(client, dataset, learning_rate="[0.01, 0.02]", batch_size="[8, 10]").get_json()["jobs"]
    assert len({job["id"] for job in jobs}) == 4
    values = {
        "dataset": dataset.id,
        "model_name": "s",
        "standard_networks": "lenet",
        "framework": "pytorch",
        "learning_rate": "1, 2",
    }
    target = client.post(POST, data=values).location
    assert target.startswith("/compare?ids=")
    assert client.get(target).status_code == 200


def test_warnings_are_in_the_answer(client: FlaskClient, dataset: Job) -> None:
    assert "no caffe" in create(client, dataset, framework="caffe").get_json()["warnings"][0]


def test_a_wrong_form_keeps_its_values_and_marks_the_fields(client: FlaskClient, dataset: Job) -> None:
    values = {
        "dataset": dataset.id,
        "model_name": "kept <b>name</b>",
        "train_epochs": "none",
        "framework": "pytorch",
        "method": "custom",
    }
    answer = client.post(POST, data={**values, "custom_network": "def build(:"})
    page = answer.get_data(as_text=True)
    assert answer.status_code == 400
    assert "kept &lt;b&gt;name&lt;/b&gt;" in page
    assert "&#39;none&#39; is not a whole number." in page
    assert "Line 1" in page
    assert "def build(:" in page
    assert "alert-danger" in page
    assert "is-invalid" in page
    assert client.post(f"{POST}.json", data=values).get_json()["errors"]["train_epochs"] == ["'none' is not a whole number."]


def test_a_model_on_a_deleted_dataset_is_refused(client: FlaskClient, dataset: Job, service: Service) -> None:
    service.store.update(dataset.id, deleted=1.0)
    try:
        answer = create(client, dataset)
    finally:
        service.store.update(dataset.id, deleted=None)
    assert answer.status_code == 400
    assert "(any more)" in answer.get_json()["errors"]["dataset"][0]


def test_clone_fills_the_form(client: FlaskClient, dataset: Job) -> None:
    first = create(client, dataset, train_epochs="17", lr_policy="sigmoid").get_json()["id"]
    target = client.get(f"/clone/{first}").location
    assert target.endswith(f"{NEW}?clone={first}")
    page = client.get(target).get_data(as_text=True)
    assert 'name="train_epochs" id="train_epochs" value="17"' in page
    assert '<option value="sigmoid" selected>' in page


def test_unknown_models_are_not_found(client: FlaskClient) -> None:
    assert client.get("/models/20200101-000000-0000").status_code == 404
    assert client.get("/models/foo.json").status_code == 404


def test_customize(client: FlaskClient, dataset: Job) -> None:
    assert "def build_network" in client.post("/models/customize?network=lenet&framework=caffe").get_json()["network"]
    assert "resnet18" in client.post("/models/customize?network=timm/resnet18").get_json()["network"]
    job = create(client, dataset).get_json()["id"]
    answer = client.post(f"/models/customize?network={job}", data={"snapshot_epoch": "0"}).get_json()
    assert set(answer) == {"network"}
    assert client.post("/models/customize?network=nonet").status_code == 404
    assert client.post("/models/customize").status_code == 400


def test_customize_names_the_snapshot(client: FlaskClient, dataset: Job, service: Service) -> None:
    job = create(client, dataset).get_json()["id"]
    file = service.folder(job).snapshots / "epoch_2.safetensors"
    file.parent.mkdir()
    file.write_bytes(b"")
    answer = client.post(f"/models/customize?network={job}", data={"snapshot_epoch": "2"}).get_json()
    assert Path(answer["snapshot"]) == file
    values = {"method": "custom", "custom_network": answer["network"], "custom_network_snapshot": answer["snapshot"]}
    assert create(client, dataset, **values).status_code == 200, "what customize answers can be sent back"
    file.rename(service.folder(dataset.id).path / "elsewhere.safetensors")
    file.symlink_to(service.folder(dataset.id).path / "elsewhere.safetensors")
    refused = client.post(f"/models/customize?network={job}", data={"snapshot_epoch": "2"}, headers=JSON)
    assert refused.status_code == 400, "weights outside the model's folder are none of its snapshots"
    assert set(refused.get_json()["errors"]) == {"snapshot_epoch"}


def test_visualize_lr(client: FlaskClient) -> None:
    answer = client.post("/models/visualize-lr", data={"lr_policy": "step", "learning_rate": "[0.5, 1]", "lr_step_size": "50"})
    first, second = answer.get_json()["data"]["columns"]
    assert (first[0], second[0], len(first)) == ("Learning Rate 0", "Learning Rate 1", 102)
    assert (first[1], first[-1]) == (0.5, pytest.approx(0.005))
    assert set(client.post("/models/visualize-lr", data={"lr_policy": "no"}, headers=JSON).get_json()["errors"]) == {"lr_policy"}


def test_visualize_network_says_when_no_supervisor_runs(client: FlaskClient) -> None:
    text = "def build_network(context):\n    return None\n"
    answer = client.post("/models/visualize-network.json?framework=pytorch", data={"custom_network": text})
    assert answer.status_code == 503
    assert "digits serve" in answer.get_json()["error"]["description"]
    wrong = client.post("/models/visualize-network.json", data={"custom_network": "x ="})
    assert "Line 1" in wrong.get_json()["errors"]["custom_network"][0]


def test_the_library_is_searched_by_words(client: FlaskClient) -> None:
    found = client.get("/models/networks.json?q=torchvision resnet18").get_json()
    assert [network["name"] for network in found["networks"]] == ["torchvision/resnet18"]
    assert found["networks"][0]["parameters"] == 11_689_512, "as torchvision's own page states it"
    everything = client.get("/models/networks.json").get_json()
    assert everything["total"] > len(everything["networks"]) > 0


JSON = {"Accept": "application/json"}


@pytest.fixture
def failed(client: FlaskClient, dataset: Job, service: Service) -> str:
    """A model that trained an epoch, warned, and failed."""
    job = create(client, dataset, train_epochs="3").get_json()["id"]
    folder = service.folder(job)
    writer = EventWriter(folder.events_file, 1)
    snapshot = SnapshotEvent(step=4, epoch=1.0, path="snapshots/epoch_1.safetensors", metrics={"accuracy": 0.5}, best=True)
    for event in (
        AttemptEvent(),
        MetricEvent(step=4, epoch=1.0, phase="train", values={"loss": 2.0}, kinds={"loss": "loss"}),
        MetricEvent(step=4, epoch=1.0, phase="val", values={"accuracy": 0.5}, kinds={"accuracy": "accuracy"}),
        snapshot,
        WarningEvent(code="x", message="A picture <i>was</i> skipped.", advice="See the list."),
        ErrorEvent(
            code="diverged", message="The loss is not a number.", advice="Try decreasing your learning rate.", trace="Line <7>"
        ),
    ):
        writer.emit(event)
    writer.close()
    service.store.transition(job, Status.RUN)
    error = "The loss is not a number. Try decreasing your learning rate."
    service.store.transition(job, Status.ERROR, error=error)
    return str(job)


def test_the_page_of_a_failed_training_leads_with_the_reason(client: FlaskClient, failed: str, dataset: Job) -> None:
    page = client.get(f"/models/{failed}").get_data(as_text=True)
    assert "Try decreasing your learning rate" in page
    assert "Line &lt;7&gt;" in page
    assert "A picture &lt;i&gt;was&lt;/i&gt; skipped. See the list." in page
    assert failed in page
    assert dataset.name in page
    data = json.loads(page.split('id="training-data">')[1].split("</script>")[0])
    assert data["curves"]["val"]["values"] == {"accuracy": [0.5]}
    assert [snapshot["epoch"] for snapshot in data["snapshots"]] == [1.0]
    assert (data["status"], data["epochs"]) == ("E", 3)


def test_the_curves_as_json_and_csv(client: FlaskClient, failed: str) -> None:
    value = client.get(f"/models/{failed}/curves.json").get_json()
    assert value["combined"]["columns"][3] == ["accuracy-val", 50.0]
    assert value["offset"] > 0
    assert value["snapshots"][0]["best"]
    answer = client.get(f"/models/{failed}/metrics.csv")
    assert answer.mimetype == "text/csv"
    assert answer.get_data(as_text=True).splitlines()[1].startswith("4,1.0,train,loss,loss,2.0,")


@pytest.mark.parametrize(("part", "epochs"), [("from=0&to=9", [1.0]), ("from=1", [1.0]), ("to=0.99", []), ("from=2&to=1e9", [])])
def test_curves_between_two_epochs(client: FlaskClient, failed: str, part: str, epochs: list[float]) -> None:
    curves = client.get(f"/models/{failed}/curves.json?{part}").get_json()["curves"]
    assert (curves["train"]["epoch"], curves["val"]["epoch"], curves["thinned"]) == (epochs, epochs, False)


@pytest.mark.parametrize("part", ["from=2&to=1", "from=x", "to=nan", "from=1e999"])
def test_curves_between_what_are_no_epochs(client: FlaskClient, failed: str, part: str) -> None:
    assert client.get(f"/models/{failed}/curves.json?{part}").status_code == 400


def test_the_large_graph(client: FlaskClient, failed: str) -> None:
    assert "training-data" in client.get(f"{POST}/large_graph?job_id={failed}").get_data(as_text=True)
    assert client.get(f"{POST}/large_graph").status_code == 400
    assert client.get(f"{POST}/large_graph?job_id=20200101-000000-0000").status_code == 404


def test_markup_in_a_network_text_stays_text(client: FlaskClient, dataset: Job) -> None:
    text = "# </script><script>alert(1)</script>\ndef build_network(context):\n    return None\n"
    job = create(client, dataset, method="custom", custom_network=text).get_json()["id"]
    for address in (f"/models/{job}", f"{NEW}?clone={job}"):
        assert "<script>alert(1)" not in client.get(address).get_data(as_text=True)
