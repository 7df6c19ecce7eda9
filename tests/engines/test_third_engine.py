"""An engine of another package: a folder and a row. The pages offer it, it trains, goes on, predicts and is taken away; nothing
in digits knows its name."""

from __future__ import annotations

import io
import json
import os
import shutil
import subprocess
import sys
import urllib.request
import zipfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tests.conftest import start_server
from tests.journeys.client import Client

SOURCE = Path(__file__).with_name("third_engine")
MODELS = "/models/images/classification"
COLOURS = {"blue": (30, 60, 200), "red": (200, 60, 30)}

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def client(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Client]:
    """A server with the engine installed, and pictures of two colours."""
    folder = tmp_path_factory.mktemp("third")
    site = shutil.copytree(SOURCE, folder / "site")
    random = np.random.default_rng(1)
    for name, colour in COLOURS.items():
        (folder / "pictures" / name).mkdir(parents=True)
        for number in range(16):
            pixels = np.clip(np.array(colour) + random.normal(0, 20, (6, 6, 3)), 0, 255).astype(np.uint8)
            Image.fromarray(pixels).save(folder / "pictures" / name / f"{number}.png")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PYTHONPATH", os.pathsep.join(filter(None, [str(site), os.environ.get("PYTHONPATH", "")])))
        with start_server(folder, "-m", "digits", "serve", "--stop-jobs") as server:
            yield Client(server)


@pytest.fixture(scope="module")
def dataset(client: Client) -> str:
    pictures = client.server.jobs_dir.parent / "pictures"
    form = {"dataset_name": "colours", "folder_train": pictures, "resize_width": 6, "resize_height": 6, "method": "folder"}
    return client.done(client.json("/datasets/images/classification.json", **form)["id"])


@pytest.fixture(scope="module")
def model(client: Client, dataset: str) -> str:
    form = {"model_name": "softmax", "dataset": dataset, "framework": "numpy", "standard_networks": "softmax"}
    values = {"train_epochs": 4, "learning_rate": 0.05, "use_mean": "pixel", "select_gpu": "cpu"}
    return client.done(client.json(f"{MODELS}.json", **form, **values)["id"])


def test_the_form_offers_it_with_its_network_and_its_limits(client: Client, dataset: str) -> None:
    page = client.page(f"{MODELS}/new?username=me&dataset={dataset}")
    assert '<label for="framework-numpy">NumPy</label>' in page
    assert "Softmax regression" in page
    data = json.loads(page.split('id="model-data">')[1].split("</script>")[0])
    row = next(row for row in data["frameworks"] if row["id"] == "numpy")
    assert (row["installed"], row["solvers"], row["imports"]) == (True, ["SGD"], ["digits_numpy"])
    text = client.json("/models/customize?network=softmax&framework=numpy", username="me")["network"]
    report = client.json("/models/visualize-network.json?framework=numpy", custom_network=text, dataset_id=dataset)
    assert report["output_shapes"] == {"output": [2]}
    assert report["parameters"] == 2 * (3 * 6 * 6 + 1)


def test_what_it_cannot_do_is_told_at_the_field(client: Client, dataset: str) -> None:
    form = {"model_name": "x", "dataset": dataset, "framework": "numpy", "standard_networks": "softmax"}
    status, answer = client.request(f"{MODELS}.json", **form, solver_type="ADAM", aug_flip="fliplr")
    assert status == 400
    errors = json.loads(answer)["errors"]
    assert "NumPy has no ADAM" in errors["solver_type"][0]
    assert "NumPy" in errors["aug_flip"][0]
    foreign = {**form, "method": "custom", "framework": "pytorch"}
    text = "from digits_numpy.engine import zeros\n\ndef build_network(context):\n    return zeros(1, 1)\n"
    status, answer = client.request(f"{MODELS}.json", **foreign, custom_network=text)
    assert (status, "written for numpy" in answer) == (400, True)


def test_it_trains_and_its_model_is_tested(client: Client, model: str) -> None:
    found = client.json(f"/models/{model}.json")
    assert (found["framework"], found["snapshot file"]) == ("numpy", "epoch_4.npz")
    curves = client.json(f"/models/{model}/curves.json")["curves"]
    assert curves["val"]["values"]["accuracy"][-1] == 1.0
    assert client.page(f"/models/{model}")
    evaluation = client.done(client.json(f"/models/{model}/evaluate.json", split="val")["id"])
    assert client.json(f"/evaluations/{evaluation}.json")["result"]["top1"] == 1.0


def test_its_archive_predicts_what_the_server_predicts(client: Client, model: str, tmp_path: Path) -> None:
    picture = client.server.jobs_dir.parent / "pictures" / "red" / "3.png"
    answer = client.json(f"{MODELS}/classify_one.json", job_id=model, image_path=picture)
    assert answer["predictions"][0][0] == "red"
    with urllib.request.urlopen(f"{client.server.url}/models/{model}/download.zip", timeout=60) as response:
        zipfile.ZipFile(io.BytesIO(response.read())).extractall(tmp_path)
    run = subprocess.run(
        [sys.executable, "predict.py", "--json", str(picture)], cwd=tmp_path, capture_output=True, text=True, check=True
    )
    chances = json.loads(run.stdout)[str(picture)]
    for label, percent in answer["predictions"]:
        assert chances[label] * 100 == pytest.approx(percent, abs=0.01)


def test_nothing_in_digits_names_it() -> None:
    import digits

    files = [path for path in Path(digits.__file__).parent.rglob("*") if path.suffix in (".py", ".js", ".html", ".json")]
    assert not [path for path in files if "digits_numpy" in path.read_text(encoding="utf-8")]
