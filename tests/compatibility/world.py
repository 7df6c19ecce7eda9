"""Small real jobs to try the original's names on: a server, a client of the pages, a data set of classes, one of a plugin, and a
model of each."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from flask.testing import FlaskClient

from digits.config import Settings
from digits.domain.jobs import Kind, Status
from digits.service import Service
from digits.web.app import create_app
from tests.builders import make_job
from tests.conftest import USER, start_server
from tests.service.finished_dataset import class_folder

DEADLINE = 120.0
JSON = {"Accept": "application/json"}
CLASSES = """
from torch import nn

def build_network(context):
    c, h, w = context.input_shape
    return nn.Sequential(nn.Flatten(), nn.Linear(c * h * w, context.num_classes))
"""
NUMBERS = """
from torch import nn

def build_network(context):
    c, h, w = context.input_shape
    return nn.Sequential(nn.Flatten(), nn.Linear(c * h * w, 2))
"""


@dataclass
class World:
    """What there is to try things on; `ids` names the jobs: `dataset`, `plugin_dataset`, `model`, `plugin_model`."""

    service: Service
    client: FlaskClient
    folder: Path
    ids: dict[str, str] = field(default_factory=dict)

    @property
    def picture(self) -> Path:
        return self.folder / "pictures" / "red-to-right" / "1.png"

    def spare(self, kind: str) -> str:
        """A job that a test may delete."""
        return make_job(self.service, Kind(kind), "spare", status=Status.DONE).id

    def create(self, name: str, address: str, **form: Any) -> None:
        answer = self.client.post(address, data=form)
        assert answer.status_code == 200, answer.text
        self.ids[name] = answer.json["id"]

    def done(self, *names: str) -> None:
        """Wait until these jobs are done."""
        end = time.monotonic() + DEADLINE
        for name in names:
            while (status := self.client.get(f"/jobs/{self.ids[name]}/status").json)["status"] != "Done":
                assert status["status"] not in ("Error", "Aborted"), status
                assert time.monotonic() < end, status
                time.sleep(0.05)


@contextmanager
def world_in(folder: Path) -> Iterator[World]:
    """A world below `folder`, whose jobs are done. A server does them; the client's pages are of this process."""
    with start_server(folder, "-m", "digits", "serve", "--stop-jobs") as server:
        settings = Settings(jobs_dir=str(server.jobs_dir), auth=False, data_dirs=str(folder), server_name="a server", debug=True)
        service = Service.open(settings)
        try:
            client = create_app(service).test_client()
            assert client.post("/login", data={"username": USER}).status_code == 302
            yield _filled(World(service, client, folder))
        finally:
            service.close()


def train_fields(world: World) -> dict[str, Any]:
    """The form of a small training."""
    own = {"model_name": "classifier", "dataset": world.ids["dataset"], "custom_network": CLASSES}
    return {"method": "custom", "train_epochs": 1, "batch_size": 6, **own}


def _filled(world: World) -> World:
    class_folder(world.folder / "pictures")
    sizes = {"resize_width": 10, "resize_height": 10}
    pictures = {"folder_train": world.folder / "pictures", "folder_pct_val": 20, "folder_pct_test": 10}
    world.create("dataset", "/datasets/images/classification.json", dataset_name="classes", **pictures, **sizes)
    counts = {"train_image_count": 8, "val_image_count": 4, "test_image_count": 2}
    side = {"image_width": 8, "image_height": 8}
    world.create("plugin_dataset", "/datasets/generic/create/image-gradients.json", dataset_name="numbers", **counts, **side)
    world.create("model", "/models/images/classification.json", **train_fields(world))
    own = {"model_name": "estimator", "dataset": world.ids["plugin_dataset"], "custom_network": NUMBERS}
    world.create("plugin_model", "/models/images/generic.json", **{**train_fields(world), **own})
    world.done("dataset", "plugin_dataset", "model", "plugin_model")
    return world
