"""Image classification models over HTTP, as scripts written for the original make them; real supervisor, real workers."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import pytest
from flask.testing import FlaskClient

from digits.config import Settings
from digits.frameworks import available_frameworks
from digits.ipc import plugin_host_client
from digits.service import Service
from digits.supervisor import run
from digits.web.app import create_app
from tests.service.finished_dataset import class_folder

pytestmark = pytest.mark.slow

USER = "digits-testsuite"
DEADLINE = 240.0
ROUTE = "/models/images/classification"
ENDED = ("Done", "Aborted", "Error")
LINEAR = {
    "pytorch": """
from torch import nn

def build_network(context):
    channels, height, width = context.input_shape
    return nn.Sequential(nn.Flatten(), nn.Linear(channels * height * width, {outputs}))
""",
    "tensorflow": """
import keras

def build_network(context):
    channels, height, width = context.input_shape
    layers = [keras.Input((height, width, channels)), keras.layers.Flatten(), keras.layers.Dense({outputs})]
    return keras.Sequential(layers)
""",
}
BOGUS = {
    "pytorch": "from torch import nn\n\ndef build_network(context):\n    return nn.BogusCode(3)\n",
    "tensorflow": "import keras\n\ndef build_network(context):\n    return keras.layers.BogusCode(3)\n",
}
EVERY_AUGMENTATION = {
    "aug_flip": "fliplrud",
    "aug_quad_rot": "rotall",
    "aug_rot": "20",
    "aug_scale": "0.07",
    "aug_noise": "0.03",
    "aug_contrast": "0.8",
    "aug_whitening": "y",
    "aug_hsv_use": "y",
}


@dataclass
class Studio:
    """A running digits with one data set."""

    client: FlaskClient
    service: Service
    dataset: str
    framework: str

    def linear(self, outputs: str) -> str:
        return LINEAR[self.framework].format(outputs=outputs)

    def post(self, **values: Any) -> Any:
        known = {
            "model_name": "test_model",
            "dataset": self.dataset,
            "method": "custom",
            "custom_network": self.linear("context.num_classes"),
            "framework": self.framework,
            "batch_size": "10",
            "train_epochs": "1",
            "random_seed": str(0xCAFEBABE),
            "cpu_count": "1",
        }
        return self.client.post(f"{ROUTE}.json", data={**known, **values})

    def create(self, **values: Any) -> str:
        answer = self.post(**values)
        assert answer.status_code == 200, answer.get_data(as_text=True)
        return str(answer.get_json()["id"])

    def status(self, job_id: str) -> str:
        return str(self.client.get(f"/models/{job_id}/status").get_json()["status"])

    def ended(self, job_id: str) -> str:
        return str(until(lambda: (s := self.status(job_id)) in ENDED and s))

    def done(self, job_id: str) -> dict[str, Any]:
        """The JSON of a model that must end well."""
        assert self.ended(job_id) == "Done", self.service.store.get(job_id).error
        return dict(self.client.get(f"/models/{job_id}.json").get_json())

    def page(self, job_id: str) -> str:
        answer = self.client.get(f"/models/{job_id}")
        assert answer.status_code == 200
        return str(answer.get_data(as_text=True))

    def curves(self, job_id: str) -> dict[str, Any]:
        return dict(self.client.get(f"/models/{job_id}/curves.json").get_json())


def until(condition: Callable[[], Any]) -> Any:
    """The first true value of `condition`, asked again and again until the deadline."""
    end = time.monotonic() + DEADLINE
    while time.monotonic() < end:
        if value := condition():
            return value
        time.sleep(0.1)
    raise AssertionError("the deadline has passed")


@pytest.fixture(scope="module", params=["pytorch", "tensorflow"])
def studio(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Studio]:
    if request.param not in available_frameworks():
        pytest.skip(f"{request.param} is not installed")
    root = tmp_path_factory.mktemp("studio")
    class_folder(root / "pictures", 10)
    settings = Settings(jobs_dir=str(root / "jobs"), auth=False, data_dirs=str(root))
    service = Service.open(settings)
    client = create_app(service).test_client()
    assert client.post("/login", data={"username": USER}).status_code == 302
    form = {
        "dataset_name": "d",
        "method": "folder",
        "folder_train": str(root / "pictures"),
        "resize_width": "10",
        "resize_height": "10",
    }
    dataset = client.post("/datasets/images/classification.json", data=form).get_json()["id"]
    stop = threading.Event()
    supervisor = threading.Thread(target=run, args=(settings,), kwargs={"stop": stop, "stop_jobs": True}, daemon=True)
    supervisor.start()
    try:
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(plugin_host_client, "RESTART_SECONDS", 0.0)  # none runs here: a page need not wait for it
            yield Studio(client, service, dataset, request.param)
    finally:
        stop.set()
        supervisor.join(timeout=DEADLINE)
        service.close()
    assert not supervisor.is_alive()


@pytest.fixture(scope="module")
def jobs(studio: Studio) -> dict[str, str]:
    """All models of this file, made at once while their data set is still being made, so that they train side by side."""
    sweep = studio.post(learning_rate="[0.01, 0.02]", batch_size="8").get_json()["jobs"]
    return {
        "epochs": studio.create(train_epochs="4", snapshot_interval="2", use_mean="pixel"),
        "all": studio.create(
            custom_network=studio.linear("1000"),
            batch_accumulation="2",
            use_mean="none",
            snapshot_interval="0.5",
            val_interval="0.5",
            crop_size="8",
            lr_policy="multistep",
            lr_multistep_values="50,75,90",
            **EVERY_AUGMENTATION,
        ),
        "narrow": studio.create(custom_network=studio.linear("2")),
        "bogus": studio.create(custom_network=BOGUS[studio.framework]),
        "diverged": studio.create(learning_rate="1e15", train_epochs="20", use_mean="none"),
        "sweep 0": sweep[0]["id"],
        "sweep 1": sweep[1]["id"],
    }


def test_a_model_waits_for_its_dataset(studio: Studio, jobs: dict[str, str]) -> None:
    def dataset_status() -> str:
        return str(studio.client.get(f"/datasets/{studio.dataset}/status").get_json()["status"])

    while (before := dataset_status()) not in ENDED:
        assert studio.status(jobs["epochs"]) in ("Initialized", "Waiting") or dataset_status() == "Done"
        time.sleep(0.05)
    assert before == "Done"
    refused = studio.client.delete(f"/datasets/{studio.dataset}")
    assert refused.status_code == 403, "models need it"


def test_four_epochs_with_a_snapshot_each_two_make_two(studio: Studio, jobs: dict[str, str]) -> None:
    model = studio.done(jobs["epochs"])
    assert model["snapshots"] == [2, 4]
    assert model["id"] in studio.page(model["id"])
    rows = studio.client.get("/completed_jobs.json").get_json()["models"]
    assert model["id"] in [row["id"] for row in rows]
    validated = studio.curves(model["id"])["curves"]["val"]["epoch"]
    assert [epoch for epoch in validated if epoch > 0] == [1, 2, 3, 4]


def test_half_epochs_crop_multistep_every_augmentation_and_more_outputs_than_classes(
    studio: Studio, jobs: dict[str, str]
) -> None:
    model = studio.done(jobs["all"])
    assert model["snapshots"] == [0.5, 1]
    rates = studio.curves(model["id"])["lr"]["columns"][1][1:]
    assert rates[0] == pytest.approx(0.01)
    assert min(rates) < 0.01


def test_fewer_outputs_than_classes_are_explained(studio: Studio, jobs: dict[str, str]) -> None:
    assert studio.ended(jobs["narrow"]) == "Error"
    page = studio.page(jobs["narrow"])
    assert "2" in page
    assert "3 classes" in page


def test_an_unknown_layer_is_named(studio: Studio, jobs: dict[str, str]) -> None:
    assert studio.ended(jobs["bogus"]) == "Error"
    page = studio.page(jobs["bogus"])
    assert "BogusCode" in page.split('id="training-data"')[0].split("Settings</h2>")[0], "in the reason, not only in the text"


def test_a_huge_learning_rate_ends_with_advice(studio: Studio, jobs: dict[str, str]) -> None:
    assert studio.ended(jobs["diverged"]) == "Error"
    assert "Try decreasing your learning rate" in studio.page(jobs["diverged"])


def test_both_of_a_sweep_are_done_and_can_be_deleted(studio: Studio, jobs: dict[str, str]) -> None:
    names = [studio.done(jobs[key])["name"] for key in ("sweep 0", "sweep 1")]
    assert names == ["test_model learning_rate:0.01", "test_model learning_rate:0.02"]
    for key in ("sweep 0", "sweep 1"):
        assert studio.client.delete(f"/models/{jobs[key]}").status_code == 200
        assert studio.client.get(f"/models/{jobs[key]}.json").status_code == 404


def test_retrain_from_a_snapshot_and_again_from_its_first_weights(studio: Studio, jobs: dict[str, str]) -> None:
    first = studio.done(jobs["epochs"])["id"]
    previous = {"method": "previous", "val_interval": "1", "learning_rate": "0"}
    second = studio.create(previous_networks=first, **{**previous, f"{first}-snapshot": "4"})
    third = studio.create(previous_networks=second, **{**previous, f"{second}-snapshot": "-1"})
    finals = []
    for job in (second, third):
        studio.done(job)
        finals.append(studio.curves(job)["curves"]["val"]["values"]["loss"][-1])
    wanted = studio.curves(first)["curves"]["val"]["values"]["loss"][-1]
    assert finals == pytest.approx([wanted, wanted], rel=0.2), "without learning, the loaded weights decide"


def test_abort_and_delete(studio: Studio) -> None:
    job = studio.create(train_epochs="100000")
    until(lambda: studio.status(job) == "Running")
    assert studio.client.post(f"/models/{job}/abort").status_code == 200
    assert studio.ended(job) == "Aborted"
    assert studio.client.post(f"/models/{job}/abort").status_code == 403
    assert studio.client.delete(f"/models/{job}").status_code == 200
    until(lambda: not studio.service.store.find(job, with_deleted=True).requested_action)
    assert job in [row["id"] for row in studio.client.get("/trash.json").json["rows"]]
    assert studio.client.delete(f"/models/{job}?purge=1").status_code == 200
    until(lambda: not studio.service.folder(job).path.exists())


def test_visualize_network_builds_it_elsewhere(studio: Studio) -> None:
    def request(text: str) -> Any:
        values = {"custom_network": text, "dataset_id": studio.dataset, "crop_size": "8"}
        return studio.client.post(f"/models/visualize-network.json?framework={studio.framework}", data=values)

    report = request(studio.linear("context.num_classes")).get_json()
    assert report["parameters"] == 3 * 8 * 8 * 3 + 3
    assert report["layers"][-1]["output_shape"] == [3]
    assert "BogusCode" in request(BOGUS[studio.framework]).get_json()["errors"]["custom_network"][0]
    if studio.framework == "tensorflow":
        return  # it starts slowly, and what follows is the same for all
    printing = (
        "def build_network(context):\n    while True:\n        print('x' * 10 ** 6, flush=True)\n        raise SystemExit(3)\n"
    )
    assert request(printing).status_code == 400
