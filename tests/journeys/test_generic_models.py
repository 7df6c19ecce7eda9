"""Generic models on a whole server, with both engines: every way to test them, means, several outputs, all sizes (R 5, 9.6)."""

from __future__ import annotations

import io
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from digits.frameworks import available_frameworks
from tests.journeys.client import GENERIC, Client, server_with

PLUGIN = Path(__file__).resolve().parents[2] / "plugins" / "image_gradients"
SIDE = 12
GRADIENT = """
from torch import nn

BATCH_SIZE = 16

class Gradient(nn.Module):
    def __init__(self, pixels):
        super().__init__()
        self.layer = nn.Linear(pixels, 2)

    def forward(self, x):
        return self.layer(x.flatten(1)).reshape(-1, 1, 1, 2)

def build_network(context):
    channels, height, width = context.input_shape
    return Gradient(channels * height * width)
"""
SEVERAL = """
from torch import nn

class Several(nn.Module):
    def __init__(self, pixels):
        super().__init__()
        self.layer = nn.Linear(pixels, 2)

    def forward(self, x):
        return {"gradient": self.layer(x.flatten(1)).reshape(-1, 1, 1, 2), "plane": x * 2}

def build_network(context):
    channels, height, width = context.input_shape
    return Several(channels * height * width)
"""
PIXELS = """
from torch import nn

def build_network(context):
    channels = context.input_shape[0]
    layer = nn.Conv2d(channels, channels, 1)
    nn.init.dirac_(layer.weight)
    nn.init.zeros_(layer.bias)
    return layer
"""

KERAS_GRADIENT = """
import keras
from keras import layers

BATCH_SIZE = 16

def build_network(context):
    channels, height, width = context.input_shape
    label = layers.Reshape((1, 2, 1))  # of one channel, one row, two columns
    return keras.Sequential([keras.Input((height, width, channels)), layers.Flatten(), layers.Dense(2), label])
"""
KERAS_SEVERAL = """
import keras
from keras import layers

def build_network(context):
    channels, height, width = context.input_shape
    x = keras.Input((height, width, channels))
    gradient = layers.Reshape((1, 2, 1))(layers.Dense(2)(layers.Flatten()(x)))
    return keras.Model(x, {"gradient": gradient, "plane": x * 2})
"""
KERAS_PIXELS = """
import keras

def build_network(context):
    channels = context.input_shape[0]
    layer = keras.layers.Conv2D(channels, 1)
    model = keras.Sequential([keras.Input((None, None, channels)), layer])
    layer.kernel.assign(keras.ops.eye(channels)[None, None])
    return model
"""
TEXTS = {
    "pytorch": {"gradient": GRADIENT, "several": SEVERAL, "pixels": PIXELS},
    "tensorflow": {"gradient": KERAS_GRADIENT, "several": KERAS_SEVERAL, "pixels": KERAS_PIXELS},
}

pytestmark = pytest.mark.slow


def train(client: Client, dataset: str, framework: str, network: str, **fields: Any) -> str:
    """Start a model; `network` names one of the texts."""
    text = TEXTS[framework].get(network, "")
    values = {"model_name": "m", "method": "custom", "custom_network": text, "train_epochs": 1, "framework": framework}
    return str(client.json(f"{GENERIC}.json", **{**values, "dataset": dataset, "select_gpu": "cpu", **fields})["id"])


def gradient_picture(x: float, y: float, width: int = SIDE, height: int = SIDE) -> bytes:
    """The picture that the plugin makes of a gradient, as PNG."""
    plane = np.linspace(-1, 1, width)[np.newaxis] * x + np.linspace(-1, 1, height)[:, np.newaxis] * y
    out = io.BytesIO()
    Image.fromarray((127.5 + 127.5 * plane).round().astype(np.uint8)).save(out, "PNG")
    return out.getvalue()


@pytest.fixture(scope="module")
def client(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Client]:
    with server_with(PLUGIN, tmp_path_factory.mktemp("generic")) as client:
        yield client


@pytest.fixture(scope="module", params=list(TEXTS))
def framework(request: pytest.FixtureRequest) -> str:
    if request.param not in available_frameworks():
        pytest.skip(f"{request.param} is not installed")
    return str(request.param)


@pytest.fixture(scope="module")
def root(client: Client) -> Path:
    """A folder that the server may read."""
    return client.server.jobs_dir.parent


def gradients(client: Client, train: int, val: int) -> str:
    values = {"train_image_count": train, "val_image_count": val, "image_width": SIDE, "image_height": SIDE}
    made = client.json("/datasets/generic/create/image-gradients.json", dataset_name="g", **values)
    return client.done(made["id"])


@pytest.fixture(scope="module")
def dataset(client: Client) -> str:
    return gradients(client, 320, 20)


@pytest.fixture(scope="module")
def model(client: Client, dataset: str, framework: str) -> str:
    """Learns the gradients well enough for their signs."""
    training = {"train_epochs": 10, "solver_type": "ADAM", "learning_rate": 0.01, "lr_policy": "fixed", "use_mean": "none"}
    return client.done(train(client, dataset, framework, "gradient", **training))


def pairs(root: Path, name: str, sizes: list[tuple[int, int]]) -> Path:
    for part in ("features", "labels"):
        (root / name / part).mkdir(parents=True)
        for number, (width, height) in enumerate(sizes):
            pixels = np.full((height, width, 3), 10 * number, np.uint8)
            Image.fromarray(pixels).save(root / name / part / f"{number}.png")
    return root / name


def processing(client: Client, folder: Path, **fields: Any) -> str:
    values = {"feature_folder": folder / "features", "label_folder": folder / "labels", "folder_pct_val": 25, **fields}
    made = client.json("/datasets/generic/create/image-processing.json", dataset_name="p", **values)
    return client.done(made["id"])


def output_of(answer: Any) -> np.ndarray:
    return np.asarray(next(iter(answer["outputs"].values())))


def test_one_picture_by_path_and_by_upload(client: Client, model: str, root: Path) -> None:
    path = root / "half.png"
    path.write_bytes(gradient_picture(0.5, 0.5))
    by_path = output_of(client.json(f"{GENERIC}/infer_one.json", job_id=model, image_path=path))
    assert by_path.shape == (1, 1, 1, 2)
    assert (by_path > 0).all()
    sent = {"image_file": ("half.png", path.read_bytes())}
    np.testing.assert_allclose(output_of(client.json(f"{GENERIC}/infer_one.json", sent, job_id=model)), by_path)
    assert "1 sample" in client.page(f"{GENERIC}/infer_one", sent, job_id=model)
    layers = client.json(f"{GENERIC}/infer_one.json", job_id=model, image_path=path, show_visualizations="y")
    check_layers(layers)
    page = client.page(f"{GENERIC}/infer_one", job_id=model, image_path=path, show_visualizations="y")
    assert "learned parameters" in page
    assert page.count('class="histogram"') == len(layers["visualizations"])
    assert client.request(f"{GENERIC}/infer_one.json", job_id=model)[0] == 400
    for wrong, status, said in (
        ({"view_extension_id": "no-such-view"}, 404, "no-such-view"),
        ({"view_extension_id": "image-bounding-boxes", "score_threshold": "a lot"}, 400, "score_threshold"),
    ):
        found = client.request(f"{GENERIC}/infer_one.json", job_id=model, image_path=path, **wrong)
        assert (found[0], said in found[1]) == (status, True), found
    known = {"view_extension_id": "all-raw-data", "snapshot_epoch": ""}
    assert "outputs" in client.json(f"{GENERIC}/infer_one.json", job_id=model, image_path=path, **known)


VISUALIZED = {"Weights": [2, SIDE * SIDE], "Activation": [2]}  # beside the picture


def check_layers(answer: Any) -> None:
    """A network of one dense layer: its weights (drawn nowhere), with the bias in the count, and what it gives."""
    picture, *others = answer["visualizations"]
    assert picture["name"] == "data"
    assert picture["image"].startswith("data:image/png;base64,")
    dense = [row for row in others if row["param_count"]]
    assert {row["vis_type"]: row["data_stats"]["shape"] for row in dense} == VISUALIZED
    assert {row["param_count"] for row in dense} == {answer["total_parameters"]} == {2 * SIDE * SIDE + 2}
    for row in answer["visualizations"]:
        assert sum(row["data_stats"]["histogram"][0]) == np.prod(row["data_stats"]["shape"])
        assert row["data_stats"]["stddev"] >= 0


def empty_folder(root: Path) -> Path:
    (root / "nothing").mkdir(exist_ok=True)
    return root / "nothing"


def test_many_pictures(client: Client, model: str, root: Path) -> None:
    (root / "many").mkdir(exist_ok=True)
    for number in range(3):
        (root / "many" / f"{number}.png").write_bytes(gradient_picture(0.5, -0.5))
    lines = ["0.png 3", "0.png", "1.png -1", "2.png", "missing.png"]
    sent = {"image_list": ("list.txt", "\n".join(lines).encode())}
    requested = {"job_id": model, "image_folder": root / "many"}
    answer = client.json(f"{GENERIC}/infer_many.json", sent, **requested)
    assert sorted(answer["outputs"]) == ["0.png", "1.png", "2.png"]
    x, y = np.ravel(next(iter(answer["outputs"]["1.png"].values())))
    assert x > 0 > y
    assert [row["entry"] for row in answer["skipped"]] == ["missing.png"]
    shorter = client.json(f"{GENERIC}/infer_many.json", sent, **requested, num_test_images=2)
    assert list(shorter["outputs"]) == ["0.png"]
    page = client.page(f"{GENERIC}/infer_many", sent, **requested, view_extension_id="all-raw-data")
    assert "4 samples" in page  # the page shows a picture that is named twice twice
    assert "missing.png" in page
    (root / "many/deeper").mkdir(exist_ok=True)
    (root / "many/deeper/9 3.png").write_bytes(gradient_picture(0.5, -0.5))
    alone = client.json(f"{GENERIC}/infer_many.json", **requested)["outputs"]  # a folder without a list: every picture below it
    assert list(alone) == ["0.png", "1.png", "2.png", "deeper/9 3.png"]
    assert list(client.json(f"{GENERIC}/infer_many.json", **requested, num_test_images=1)["outputs"]) == ["0.png"]
    assert client.request(f"{GENERIC}/infer_many.json", job_id=model, image_folder=empty_folder(root))[0] == 400
    assert client.request(f"{GENERIC}/infer_many.json", job_id=model)[0] == 400
    assert client.request(f"{GENERIC}/infer_many.json", sent, job_id=model, image_folder=root / "nowhere")[0] == 400


def test_the_validation_database(client: Client, model: str, dataset: str) -> None:
    requested = {"job_id": model, "db_path": f"{client.server.jobs_dir / dataset}/val_db"}
    outputs = client.json(f"{GENERIC}/infer_db.json", **requested)["outputs"]
    assert len(outputs) == 20
    assert {np.shape(next(iter(one.values()))) for one in outputs.values()} == {(1, 1, 2)}
    assert "20 samples" in client.page(f"{GENERIC}/infer_db", **requested)


def test_the_plugins_own_form(client: Client, model: str) -> None:
    requested = {"job_id": model, "gradient_x": 0.5, "gradient_y": -0.5}
    outputs = client.json(f"{GENERIC}/infer_extension.json", **requested)["outputs"]
    x, y = np.ravel(next(iter(next(iter(outputs.values())).values())))
    assert x > 0 > y
    wrong = client.request(f"{GENERIC}/infer_extension.json", job_id=model, gradient_x="steep", gradient_y=0)
    assert wrong[0] == 400
    assert "gradient_x" in wrong[1]
    assert client.page("/models/view-config/all-raw-data") is not None


def test_means_and_training_on_from_another_model(client: Client, dataset: str, model: str, framework: str) -> None:
    previous = {"method": "previous", "previous_networks": model, f"{model}-snapshot": 10, "learning_rate": 0.0001}
    started = [train(client, dataset, framework, "", use_mean=mean, lr_policy="fixed", **previous) for mean in ("image", "pixel")]
    sent = {"image_file": ("x.png", gradient_picture(0.5, 0.5))}
    for trained in started:
        client.done(trained)
        assert (output_of(client.json(f"{GENERIC}/infer_one.json", sent, job_id=trained)) > 0).all()


def test_without_validation_pictures_and_with_several_outputs_of_a_crop(client: Client, framework: str) -> None:
    trained = client.done(train(client, gradients(client, 20, 0), framework, "several", crop_size=8, snapshot_interval=1))
    sent = {"image_file": ("x.png", gradient_picture(0.5, 0.5))}
    outputs = client.json(f"{GENERIC}/infer_one.json", sent, job_id=trained)["outputs"]
    assert {name: np.shape(values) for name, values in outputs.items()} == {"gradient": (1, 1, 1, 2), "plane": (1, 1, 8, 8)}
    page = client.page(f"{GENERIC}/infer_one", sent, job_id=trained)
    assert "gradient" in page
    assert "plane" in page
    again = client.json(f"{GENERIC}.json", clone=trained)
    forms = [client.server.service.folder(job).request().form for job in (trained, again["id"])]
    assert forms[0] == forms[1]
    client.done(again["id"])


def test_a_network_of_pixels_keeps_the_size_or_the_pictures_own(client: Client, root: Path, framework: str) -> None:
    folder = pairs(root, f"alike-{framework}", [(SIDE, 8)] * 8)
    trained = client.done(train(client, processing(client, folder), framework, "pixels", use_mean="none", learning_rate=0.0001))
    large = io.BytesIO()
    Image.fromarray(np.full((5 * 8, 10 * SIDE, 3), 90, np.uint8)).save(large, "PNG")
    sent = {"image_file": ("large.png", large.getvalue())}
    assert output_of(client.json(f"{GENERIC}/infer_one.json", sent, job_id=trained)).shape == (1, 3, 8, SIDE)
    whole = client.json(f"{GENERIC}/infer_one.json", sent, job_id=trained, dont_resize="y")
    assert output_of(whole).shape == (1, 3, 5 * 8, 10 * SIDE)
    page = client.page(f"{GENERIC}/infer_one", sent, job_id=trained, view_extension_id="image-image-output")
    assert "data:image/png" in page


def test_pictures_of_several_sizes(client: Client, root: Path, framework: str) -> None:
    folder = pairs(root, f"mixed-{framework}", [(SIDE + i, 8 + i % 3) for i in range(8)])
    dataset = processing(client, folder, dsopts_force_same_shape=0)
    trained = client.done(train(client, dataset, framework, "pixels", use_mean="none", batch_size=1, learning_rate=0.0001))
    picture = io.BytesIO()
    Image.fromarray(np.full((21, 33, 3), 90, np.uint8)).save(picture, "PNG")
    sent = {"image_file": ("other.png", picture.getvalue())}
    assert output_of(client.json(f"{GENERIC}/infer_one.json", sent, job_id=trained)).shape == (1, 3, 21, 33)


def test_a_rate_that_is_far_too_large_is_explained(client: Client, dataset: str, framework: str) -> None:
    failed = client.done(train(client, dataset, framework, "gradient", learning_rate=1e15, train_epochs=3), "Error")
    assert "Try decreasing your learning rate" in client.page(f"/models/{failed}")
