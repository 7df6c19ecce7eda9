"""Looking inside over HTTP without a training: pretrained models, records of other data sets, and what is refused in words."""

from __future__ import annotations

import io
import math
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from html import unescape

import numpy as np
import pyarrow.parquet as pq
import pytest
import torch
from flask.testing import FlaskClient
from PIL import Image

from digits.domain.jobs import Kind, Status
from digits.engines.inside import NOT_USED
from digits.errors import DataError
from digits.storage.jobs.store import Job, JobQuery
from tests.builders import make_job
from tests.inside_world import SIDE, World, opened
from tests.service.finished_dataset import CLASSES

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


WIDE, NOTHING = "taken in", "bad"


def weights(value: float) -> dict[str, torch.Tensor]:
    """Of `Net`, random up to a value."""
    shapes = {"maps": (6, 3, 3, 3), "other": (6, 3, 5, 5), "wide": (100_000, 6), "head": (2, 100_000)}
    torch.manual_seed(1)
    found = {f"{name}.weight": torch.rand(shape) * value for name, shape in shapes.items()}
    return found | {f"{name}.bias": torch.zeros(shape[0]) for name, shape in shapes.items()}


@dataclass
class Models:
    """A world with a model that has a layer of 100,000 units, and the same with weights that are no numbers."""

    world: World
    model: Job
    nothing: Job

    @property
    def client(self) -> FlaskClient:
        return self.world.client


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Models]:
    with opened(tmp_path_factory.mktemp("inside")) as world:
        yield Models(
            world, *(world.pretrained(name, TEXT, weights(value)) for name, value in ((WIDE, 0.01), (NOTHING, math.nan)))
        )


def png(mode: str = "RGB", size: tuple[int, int] = (30, 20)) -> bytes:
    buffer = io.BytesIO()
    deep = Image.fromarray(np.full(size[::-1], 40_000, np.uint16))
    picture = deep if mode == "I;16" else Image.effect_noise(size, 90).convert(mode)
    picture.save(buffer, "PNG")
    return buffer.getvalue()


def test_a_pretrained_model_is_looked_into(models: Models) -> None:
    """Its page, layers, a map of why, vectors: with pictures of a data set that it was not trained on and of another size."""
    client, at, record = models.client, f"/models/{models.model.id}", f"record=val:1&dataset={models.world.dataset.id}"
    page = client.get(f"{at}/inside").text
    assert "Pretrained models" in page
    assert f'data-dataset="{models.world.dataset.id}"' in page  # the newest of its task
    room = client.get(f"/pretrained_models/{models.model.id}").text
    assert f'href="{at}/inside"' in room
    for text in (page, room):
        assert 'accept="image/*,.tif,.tiff' in text  # of 8 bits: no .npy
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

    made = client.post(f"{at}/embeddings.json", data={"dataset": models.world.dataset.id, "layer": "other"}).json
    assert made["pictures"] == f"/datasets/{models.world.dataset.id}/picture"
    models.world.embed(made["id"])
    done = client.get(f"{at}/embeddings/{made['id']}.json").json
    assert done["class_labels"] == ["red-to-right", "something else", CLASSES[1], CLASSES[2]]
    assert done["points"]["labels"] == [0, 2, 3] * 3
    with client.get(done["vectors"]) as sent:
        table = pq.read_table(io.BytesIO(sent.data))
    assert table["class"].to_pylist()[:3] == ["red-to-right", CLASSES[1], CLASSES[2]]


def test_vectors_are_not_those_of_another_epoch_than_the_one_that_was_asked_for(models: Models) -> None:
    snapshots = models.world.service.folder(models.model.id).snapshots
    first = next(snapshots.iterdir())
    other = first.with_name(f"epoch_7{first.suffix}")
    shutil.copyfile(first, other)  # as a training that goes on leaves other weights under a name
    try:
        fields = {"dataset": models.world.dataset.id, "layer": "other", "snapshot_epoch": "7"}
        made = models.client.post(f"/models/{models.model.id}/embeddings.json", data=fields).json
        with pytest.raises(DataError, match="by now, not epoch 7"):
            models.world.embed(made["id"])
    finally:
        other.unlink()


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
        ("explain.json?record=val:1&dataset=DATASET&layer=mapz", 400, "no layer 'mapz'"),
        ("explain.json?record=val:1&dataset=DATASET&method=attention_rollout", 400, "attention"),
        ("explain.json?record=val:1&dataset=DATASET&method=occlusion&grid=99999999999999999999", 400, "grid"),
    ],
)
def test_what_is_refused_is_said(models: Models, address: str, status: int, said: str) -> None:
    named = address.replace("DATASET", models.world.dataset.id).replace("MODEL", models.model.id)
    answer = models.client.get(f"/models/{models.model.id}/{named}")
    assert answer.status_code == status, answer.text
    assert said in unescape(answer.text)


@pytest.mark.parametrize(("layer", "said"), [("mapz", "Did you mean maps"), ("data", "the picture itself")])
def test_vectors_of_a_layer_that_is_not_there_are_refused_at_once(models: Models, layer: str, said: str) -> None:
    fields = {"layer": layer, "dataset": models.world.dataset.id}
    before = models.world.service.store.query(JobQuery(kind=Kind.EMBEDDING)).jobs
    answer = models.client.post(f"/models/{models.model.id}/embeddings.json", data=fields)
    assert answer.status_code == 400, answer.text
    assert said in unescape(answer.text)
    assert models.world.service.store.query(JobQuery(kind=Kind.EMBEDDING)).jobs == before


@pytest.mark.parametrize("mode", ["L", "RGBA", "1", "I;16"])
def test_other_channels_sizes_and_depths_are_brought_to_the_models(models: Models, mode: str) -> None:
    sent = {"image_file": (io.BytesIO(png(mode)), "x.png")}
    found = models.client.post(f"/models/{models.model.id}/inside.json", data=sent)
    assert found.status_code == 200, found.text
    assert found.json["layers"][0]["activations"][0]["shape"] == [3, SIDE, SIDE]


def test_weights_that_are_no_numbers_are_counted_and_not_explained(models: Models) -> None:
    at, record = f"/models/{models.nothing.id}", f"record=val:1&dataset={models.world.dataset.id}"
    rows = {row["name"]: row for row in models.client.get(f"{at}/inside.json?{record}").json["layers"]}
    assert rows["maps"]["weights"][0]["nonfinite"] == 6 * 27
    assert rows["maps"]["weights"][0]["histogram"] is None
    assert models.client.get(f"{at}/inside/layer.json?layer=maps").json["drawing"]["reason"] == "None of its values is a number."
    answer = models.client.get(f"{at}/explain.json?{record}")
    assert answer.status_code == 400
    assert "NaN" in answer.json["error"]["message"]


def test_a_model_that_is_deleted_meanwhile_is_not_found(models: Models) -> None:
    model = make_job(models.world.service, name="gone", status=Status.DONE, framework="pytorch")
    assert "no snapshot" in models.client.get(f"/models/{model.id}/inside").text
    assert models.client.get(f"/models/{model.id}/inside.json").status_code == 400
    assert models.client.delete(f"/models/{model.id}").status_code == 200
    for path in ("inside", "inside.json", "explain.json?record=val:0", "embeddings.json"):
        assert models.client.get(f"/models/{model.id}/{path}").status_code == 404
    assert models.world.service.store.find(model.id) is None or models.world.service.store.get(models.model.id, Kind.PRETRAINED)
