"""Looking inside over HTTP without a training: pretrained models, records of other data sets, and what is refused in words."""

from __future__ import annotations

import io
import os
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass
from html import unescape
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest
import torch
from flask.testing import FlaskClient
from PIL import Image

from digits.config import Settings
from digits.domain.jobs import Kind, Status
from digits.engines.inside import NOT_USED
from digits.ipc import message_server
from digits.ipc import supervisor_client as control
from digits.predictor import server
from digits.predictor.model import LoadedModel
from digits.service import Service
from digits.service.models.pretrained_form import from_files
from digits.storage.jobs.store import Job
from digits.web.app import create_app
from digits.worker import embedding
from digits.worker.runtime import WorkerContext
from tests.builders import make_job
from tests.conftest import TEMPLATES, USER
from tests.service.finished_dataset import CLASSES, class_folder, finished_dataset, gradient
from tests.service.models.test_pretrained import work

SIDE = 12
TEXT = """
from torch import nn


class Net(nn.Module):
    def __init__(self, classes):
        super().__init__()
        self.maps = nn.Conv2d(3, 6, 3)
        self.other = nn.Conv2d(3, 6, 5)
        self.wide = nn.Linear(6, 100_000)
        self.head = nn.Linear(100_000, classes)

    def forward(self, x):
        x = self.maps(x) if float(x.mean()) > 60 else self.other(x)
        return self.head(self.wide(x.relu().mean((2, 3))))


def build_network(context):
    return Net(context.num_classes)
"""


@dataclass
class World:
    """A service whose predictors are threads of this process, a data set of three classes, two pretrained models."""

    service: Service
    client: FlaskClient
    dataset: Job
    model: Job
    nothing: Job  # the same with a weight that is no number


def weights(value: float) -> dict[str, torch.Tensor]:
    """Of `Net`, the same in each place."""
    shapes = {"maps": (6, 3, 3, 3), "other": (6, 3, 5, 5), "wide": (100_000, 6), "head": (2, 100_000)}
    torch.manual_seed(1)
    found = {f"{name}.weight": torch.rand(shape) * value for name, shape in shapes.items()}
    return found | {f"{name}.bias": torch.zeros(shape[0]) for name, shape in shapes.items()}


def pretrained(service: Service, folder: Path, name: str, value: float) -> Job:
    torch.save(weights(value), folder / "w.pth")
    (folder / "network.py").write_text(TEXT)
    (folder / "labels.txt").write_text("red-to-right\nsomething else\n")
    files = {"weights_file": folder / "w.pth", "model_def_file": folder / "network.py", "labels_file": folder / "labels.txt"}
    sent = {key: str(path) for key, path in files.items()}
    job = from_files(service, {"job_name": name, "width": SIDE, "height": SIDE, "image_type": "3", **sent}, USER)
    work(service, job)
    for state in (Status.WAIT, Status.RUN, Status.DONE):
        job = service.store.transition(job.id, state)
    return job


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    folder = tmp_path_factory.mktemp("inside")
    dirs = os.pathsep.join([str(folder), "/tmp"])
    service = Service.open(Settings(jobs_dir=str(folder / "jobs"), auth=False, data_dirs=dirs))
    sockets, threads, stop = dict[tuple[str, str], Path](), [], threading.Event()

    def supervisor(_jobs_dir: Any, request: dict[str, str], _timeout: float = 0) -> dict[str, str]:
        key = request["model_id"], request["snapshot"]
        if key not in sockets:
            path = sockets[key] = folder / f"{len(sockets)}.sock"
            loaded = LoadedModel.open(service.folder(key[0]), key[1], "cpu")
            threads.append(threading.Thread(target=server.serve, args=(loaded, path, stop, service.jobs_dir.scratch)))
            threads[-1].start()
            while not path.exists():
                time.sleep(0.005)
        return {"socket": str(sockets[key])}

    app = create_app(service)
    app.jinja_env.bytecode_cache = TEMPLATES
    client = app.test_client()
    assert client.post("/login", data={"username": USER}).status_code == 302
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(message_server, "ACCEPT_SECONDS", 0.02)
        patch.setattr(control, "call", supervisor)
        pictures = np.stack([gradient(n % 3, n).transpose(2, 0, 1) for n in range(9)])
        labels = np.arange(9) % 3
        dataset = finished_dataset(
            service,
            class_folder(folder / "pictures", 2),
            dict.fromkeys(("train_db", "val_db"), pictures),
            dict.fromkeys(("train_db", "val_db"), labels),
        )
        model, nothing = (pretrained(service, folder, name, value) for name, value in (("taken in", 0.01), ("bad", float("nan"))))
        yield World(service, client, dataset, model, nothing)
        stop.set()
        for thread in threads:
            thread.join(10)
    service.close()


def png(mode: str = "RGB", size: tuple[int, int] = (30, 20)) -> bytes:
    buffer = io.BytesIO()
    Image.effect_noise(size, 90).convert(mode).save(buffer, "PNG")
    return buffer.getvalue()


def test_a_pretrained_model_is_looked_into(world: World) -> None:
    """Its page, layers, a map of why, vectors: with pictures of a data set that it was not trained on and of another size."""
    client, at, record = world.client, f"/models/{world.model.id}", f"record=val:1&dataset={world.dataset.id}"
    page = client.get(f"{at}/inside").text
    assert "Pretrained models" in page
    assert f'data-dataset="{world.dataset.id}"' in page  # the newest of its task
    assert f'href="{at}/inside"' in client.get(f"/pretrained_models/{world.model.id}").text
    found = client.get(f"{at}/inside.json?{record}").json
    shapes = {row["name"]: [one["shape"] for one in row["activations"]] for row in found["layers"]}
    assert shapes["data"] == [[3, SIDE, SIDE]]
    assert sorted([shapes["maps"], shapes["other"]], key=len) == [[], [[6, 8, 8]]]  # a dark picture goes through the other one
    assert shapes["wide"] == [[100_000]]
    assert next(row for row in found["layers"] if row["name"] == "maps")["reason"] == NOT_USED
    drawn = client.get(f"{at}/inside/layer.json?layer=wide&of=activations&{record}").json
    assert drawn["image"].startswith("data:image/png")
    why = client.get(f"{at}/explain.json?method=grad_cam&target=something else&{record}").json
    assert (why["target"], why["layer"]) == (1, "other")

    made = client.post(f"{at}/embeddings.json", data={"dataset": world.dataset.id, "layer": "other"}).json
    assert made["pictures"] == f"/datasets/{world.dataset.id}/picture"
    done = run(world, made["id"])
    assert done["class_labels"] == ["red-to-right", "something else", CLASSES[1], CLASSES[2]]
    assert done["points"]["labels"] == [0, 2, 3] * 3
    with client.get(done["vectors"]) as sent:
        table = pq.read_table(io.BytesIO(sent.data))
    assert table["class"].to_pylist()[:3] == ["red-to-right", CLASSES[1], CLASSES[2]]


def run(world: World, job_id: str) -> dict[str, Any]:
    """Do the job of an embedding as its worker does; what its address says then."""
    service = world.service
    folder = service.folder(job_id)
    context = WorkerContext(folder, service.jobs_dir, folder.request(), 1, 1, (), 60)
    try:
        embedding.run(context)
    finally:
        context.writer.close()
    for state in (Status.WAIT, Status.RUN, Status.DONE):
        service.store.transition(job_id, state)
    return dict(world.client.get(f"/models/{world.model.id}/embeddings/{job_id}.json").json)


@pytest.mark.parametrize(
    ("address", "status", "said"),
    [
        ("inside.json?record=val:1", 400, "no data set of its own"),
        ("inside.json?record=val:1&dataset=MODEL", 404, ""),
        ("inside.json?record=val:99&dataset=DATASET", 404, "has 9"),
        ("inside.json?record=test:0&dataset=DATASET", 404, "no test split"),
        ("inside.json?record=val:x&dataset=DATASET", 400, "number of record"),
        ("inside.json?snapshot_epoch=7", 404, "no snapshot of epoch 7"),
        ("inside.json?image_path=/etc/passwd", 400, "outside the folders"),
        ("inside/layer.json?layer=mapz", 400, "no layer 'mapz'"),
        ("inside/layer.json?layer=maps&part=slope", 400, "weight, bias"),
        ("inside/layer.json?colours=rainbow", 400, "viridis"),
        ("inside/layer.npy?layer=maps&of=activations", 400, "No picture is chosen"),
        ("explain.json", 400, "no picture to explain"),
        ("explain.json?record=val:1&dataset=DATASET&target=2", 400, "expected 0 to 1"),
        ("explain.json?record=val:1&dataset=DATASET&target=wasp", 400, "name of a class"),
        ("explain.json?record=val:1&dataset=DATASET&method=grad_cam&layer=head", 400, "no maps"),
        ("explain.json?record=val:1&dataset=DATASET&method=grad_cam&layer=maps", 400, "0 times"),
        ("explain.json?record=val:1&dataset=DATASET&method=attention_rollout", 400, "attention"),
        ("explain.json?record=val:1&dataset=DATASET&method=occlusion&grid=99999999999999999999", 400, "grid"),
    ],
)
def test_what_is_refused_is_said(world: World, address: str, status: int, said: str) -> None:
    named = address.replace("DATASET", world.dataset.id).replace("MODEL", world.model.id)
    answer = world.client.get(f"/models/{world.model.id}/{named}")
    assert answer.status_code == status, answer.text
    assert said in unescape(answer.text)


@pytest.mark.parametrize("mode", ["L", "RGBA", "1", "I;16"])
def test_other_channels_sizes_and_depths_are_brought_to_the_models(world: World, mode: str) -> None:
    sent = {"image_file": (io.BytesIO(png("L") if mode == "I;16" else png(mode)), "x.png")}
    found = world.client.post(f"/models/{world.model.id}/inside.json", data=sent)
    assert found.status_code == 200, found.text
    assert found.json["layers"][0]["activations"][0]["shape"] == [3, SIDE, SIDE]


def test_weights_that_are_no_numbers_are_counted_and_not_explained(world: World) -> None:
    at, record = f"/models/{world.nothing.id}", f"record=val:1&dataset={world.dataset.id}"
    rows = {row["name"]: row for row in world.client.get(f"{at}/inside.json?{record}").json["layers"]}
    assert rows["maps"]["weights"][0]["nonfinite"] == 6 * 27
    assert rows["maps"]["weights"][0]["histogram"] is None
    assert world.client.get(f"{at}/inside/layer.json?layer=maps").json["drawing"]["reason"] == "None of its values is a number."
    answer = world.client.get(f"{at}/explain.json?{record}")
    assert answer.status_code == 400
    assert "NaN" in answer.json["error"]["message"]


def test_a_model_that_is_deleted_meanwhile_is_not_found(world: World) -> None:
    model = make_job(world.service, name="gone", status=Status.DONE, framework="pytorch")
    assert "no snapshot" in world.client.get(f"/models/{model.id}/inside").text
    assert world.client.get(f"/models/{model.id}/inside.json").status_code == 400
    assert world.client.delete(f"/models/{model.id}").status_code == 200
    for path in ("inside", "inside.json", "explain.json?record=val:0", "embeddings.json"):
        assert world.client.get(f"/models/{model.id}/{path}").status_code == 404
    assert world.service.store.find(model.id) is None or world.service.store.get(world.model.id, Kind.PRETRAINED)
