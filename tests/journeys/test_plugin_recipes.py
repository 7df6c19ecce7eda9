"""Recipes of the guide to plugins, done on real files: headlines by their letters, an auto-encoder on somebody else's records."""

from __future__ import annotations

import csv
import gzip
import itertools
import json
import shlex
import shutil
import struct
import subprocess
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlencode

import numpy as np
import pytest
from PIL import Image

from tests.journeys.client import GENERIC, Client, server_with

ROOT = Path(__file__).resolve().parents[2]
TRAINED, VALIDATED = 1200, 200
TRAINING = {"solver_type": "ADAM", "lr_policy": "fixed", "select_gpu": "cpu", "framework": "pytorch", "snapshot_interval": 0}

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def client(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Client]:
    with server_with(ROOT / "plugins" / "text_classification", tmp_path_factory.mktemp("recipes")) as client:
        yield client


def last_values(client: Client, model: str) -> dict[str, float]:
    """Metrics of the last validation."""
    rows = [row for row in csv.DictReader(client.page(f"/models/{model}/metrics.csv").splitlines()) if row["phase"] == "val"]
    return {row["name"]: float(row["value"]) for row in rows if row["epoch"] == rows[-1]["epoch"]}


def test_headlines_are_told_apart_by_their_letters(client: Client, shared_data: Path) -> None:
    root = client.server.jobs_dir.parent
    source = shared_data / "text" / "agnews"
    with (source / "train.csv").open(encoding="utf-8", newline="") as lines:
        rows = [(int(label) + 1, text) for text, label in itertools.islice(csv.reader(lines), TRAINED + VALIDATED)]
    for name, part in (("train.csv", rows[:TRAINED]), ("val.csv", rows[TRAINED:])):
        with (root / name).open("w", encoding="utf-8", newline="") as out:
            csv.writer(out).writerows(part)
    shutil.copy(source / "class.txt", root / "class.txt")
    files = {"train_data_file": root / "train.csv", "val_data_file": root / "val.csv", "class_labels_file": root / "class.txt"}
    address = "/datasets/generic/create/text-classification.json"
    made = client.json(address, dataset_name="news", max_chars_per_sample=200, dsopts_feature_encoding="none", **files)
    client.done(made["id"])
    training = {"learning_rate": 0.02, "train_epochs": 6, "use_mean": "none", **TRAINING}
    network = (ROOT / "docs" / "samples" / "letters.py").read_text()
    address = f"{GENERIC}.json"
    values = {"model_name": "news", "dataset": made["id"], "method": "custom", "custom_network": network, **training}
    model = client.done(client.json(address, **values)["id"])
    assert last_values(client, model)["accuracy"] > 0.5  # four classes: chance is 0.25
    requested = {"job_id": model, "snippet": "Striker scores twice as United win the cup final against City in extra time"}
    outputs = client.json(f"{GENERIC}/infer_extension.json", **requested)["outputs"]
    assert np.ravel(next(iter(next(iter(outputs.values())).values()))).argmax() == 1
    expect_kept_answer(client, model, requested["snippet"])
    page = client.page(f"{GENERIC}/infer_extension", **requested, view_extension_id="text-classification")
    assert "sports" in page


def expect_kept_answer(client: Client, model: str, snippet: str) -> None:
    """A text is answered in the room of its model as a picture is: with times, kept, and as code that works."""
    asked = {"data_extension_id": "all-default", "snippet": snippet}
    answer = client.json(f"/models/{model}/answer.json", **asked, keep=1)
    assert answer["predictions"][0][0] == "sports"
    assert answer["seconds"]["forward"] > 0
    assert (answer["entries"], len(answer["samples"]), answer["samples"][0]["truth"]) == (1, 1, None)
    again = client.json(answer["kept"]["json"])
    assert (again["asked"], again["predictions"]) == (asked, answer["predictions"])
    code = client.json(f"/models/{model}/code.json?{urlencode(asked)}")
    assert shlex.split(code["command"])[:5] == ["digits", "predict", model, "--form", f"snippet={snippet}"]
    given = subprocess.run(["bash", "-c", code["curl"]], capture_output=True, text=True, check=True).stdout
    assert json.loads(given)["predictions"] == answer["predictions"]
    rows = client.server.jobs_dir.parent / "val.csv"
    many = client.json(f"/models/{model}/answer.json", data_extension_id="all-default", test_data_file=rows)
    assert (many["entries"], len(many["samples"]), many["predictions"]) == (VALIDATED, 24, [])
    assert "The first 24 of 200 entries" in many["note"]
    (rows.parent / "some.csv").write_text("1,world news today\nnonsense,of no class\n2,a late goal\n")
    some = client.json(f"/models/{model}/answer.json", data_extension_id="all-default", test_data_file=rows.parent / "some.csv")
    assert (len(some["samples"]), len(some["skipped"])) == (2, 1)
    assert "1 entry could not be used" in some["note"]
    assert "'nonsense' is no class" in some["note"]


def test_an_autoencoder_learns_from_the_records_of_a_classification_data_set(client: Client, shared_data: Path) -> None:
    root = client.server.jobs_dir.parent
    pictures, labels = mnist(shared_data / "mnist", 300)
    for number, (picture, label) in enumerate(zip(pictures, labels, strict=True)):
        (root / "mnist" / str(label)).mkdir(parents=True, exist_ok=True)
        Image.fromarray(picture).save(root / "mnist" / str(label) / f"{number}.png")
    values = {"dataset_name": "mnist", "folder_train": root / "mnist", "folder_pct_val": 20, "resize_channels": 1}
    address = "/datasets/images/classification.json"
    classes = client.done(client.json(address, **values, resize_width=28, resize_height=28)["id"])
    folder = client.server.jobs_dir / classes
    other = {
        "prebuilt_train_images": folder / "train_db",
        "prebuilt_val_images": folder / "val_db",
        "prebuilt_ignore_labels": "y",
    }
    made = client.json("/datasets/images/generic.json", method="prebuilt", dataset_name="again", **other)
    client.done(made["id"])
    training = {"learning_rate": 0.005, "train_epochs": 5, "use_mean": "none", "batch_size": 16, **TRAINING}
    network = {"method": "standard", "standard_networks": "autoencoder"}
    model = client.done(client.json(f"{GENERIC}.json", model_name="narrow", dataset=made["id"], **network, **training)["id"])
    curves = client.json(f"/models/{model}/curves.json")
    losses = [value for value in curves["curves"]["val"]["values"]["loss"] if value is not None]
    assert losses[-1] < 0.5 * losses[0]
    upload = {"image_file": ("digit.png", next((root / "mnist" / "3").iterdir()).read_bytes())}
    made_again = client.json(f"{GENERIC}/infer_one.json", upload, job_id=model)["outputs"]
    assert np.shape(next(iter(made_again.values()))) == (1, 1, 28, 28)
    page = client.page(f"{GENERIC}/infer_one", upload, job_id=model, view_extension_id="image-image-output")
    assert "data:image/png" in page


def mnist(folder: Path, count: int) -> tuple[np.ndarray, np.ndarray]:
    """The first pictures (count, 28, 28) uint8 and labels of the training files, compressed or not."""
    arrays = []
    for name, header in (("train-images", 16), ("train-labels", 8)):
        path = next(p for p in sorted(folder.rglob(f"{name}*")) if p.is_file())
        data = gzip.decompress(path.read_bytes()) if path.suffix == ".gz" else path.read_bytes()
        assert struct.unpack(">I", data[:4])[0] in (2049, 2051)
        arrays.append(np.frombuffer(data, np.uint8, offset=header))
    return arrays[0].reshape(-1, 28, 28)[:count], arrays[1][:count]
