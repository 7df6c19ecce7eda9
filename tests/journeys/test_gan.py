"""A generator is trained on pictures of the bundled plugin, and what it makes of the plugin's vectors is shown as a grid."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tests.journeys.client import GENERIC, Client, server_with

PLUGIN = Path(__file__).resolve().parents[2] / "plugins" / "gan"
NETWORK = """
import torch
from torch import nn

class Gan(nn.Module):
    def __init__(self):
        super().__init__()
        self.generator = nn.Sequential(nn.Linear(5, 3 * 8 * 8), nn.Sigmoid(), nn.Unflatten(1, (3, 8, 8)))
        self.encoder = nn.Sequential(nn.Flatten(), nn.Linear(3 * 8 * 8, 5))

    def forward(self, x):
        if x[0].numel() == 5:
            return {"output": self.generator(x.flatten(1))}
        code = self.encoder(x)
        return {"output": self.generator(code), "code": code}

def build_network(context):
    return Gan()

def loss(outputs, targets):
    return outputs["output"].square().mean()
"""

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def client(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Client]:
    with server_with(PLUGIN, tmp_path_factory.mktemp("gan")) as client:
        yield client


def test_pictures_a_generator_and_its_grid(client: Client) -> None:
    folder = client.server.jobs_dir.parent / "faces"
    folder.mkdir()
    for number in range(12):
        Image.fromarray(np.full((10, 12, 3), 20 * number, np.uint8)).save(folder / f"{number}.png")
    rows = [f"{number}.png {1 if number % 2 else -1} {1 if number > 5 else -1}" for number in range(12)]
    (folder.parent / "list_attr.txt").write_text("\n".join(["12", "Smiling Male", *rows]) + "\n")
    values = {"image_folder": folder, "file_list": folder.parent / "list_attr.txt", "center_crop_size": 10, "resize": 8}
    dataset = client.json("/datasets/generic/create/image-gan.json", dataset_name="faces", **values)["id"]
    client.done(dataset)
    training = {"model_name": "gan", "method": "custom", "custom_network": NETWORK, "train_epochs": 2, "batch_size": 4}
    model = client.done(client.json(f"{GENERIC}.json", dataset=dataset, select_gpu="cpu", **training)["id"])

    page = client.page(f"/models/{model}")
    assert '<option value="image-gan" selected>' in page  # the view of the plugin's own pair
    asked = {"job_id": model, "view_extension_id": "image-gan", "z_dim": 5}
    outputs = client.json(f"{GENERIC}/infer_extension.json", **asked, task_id="analogy", row_count=3)["outputs"]
    assert list(outputs) == [f"row {row}, column {column}" for row in (1, 2, 3) for column in (1, 2, 3)]
    assert {np.shape(one["output"]) for one in outputs.values()} == {(3, 8, 8)}
    grid = client.page(f"{GENERIC}/infer_extension", **asked, task_id="analogy", row_count=3, gan_view_task_id="grid")
    assert grid.count('style="grid-area: ') == 9
    assert "data:image/gif;base64," in grid
    assert "data-sample=" not in grid  # all of them are in the header

    listed = {"task_id": "enclist", "enc_image_folder": folder, "enc_file_list": values["file_list"]}
    records = {"db_path": client.server.jobs_dir / dataset / "train_db"}
    for door, encode in (("infer_extension", listed), ("infer_db", records)):
        attributes = client.page(f"{GENERIC}/{door}", **asked, **encode, gan_view_task_id="attributes")
        assert "Attributes of 12 encodings" in attributes
        assert "Smiling" in attributes
        assert "6 of 12" in attributes
    refused = client.request(f"{GENERIC}/infer_extension.json", **asked, task_id="class", dataset_type="celeba")
    assert refused[0] == 400
    assert "number of classes" in refused[1]
