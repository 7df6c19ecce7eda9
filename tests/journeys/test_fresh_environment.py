"""What is taken away runs where digits is not, with only the packages that it names, and gives the numbers of the page."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import urllib.request
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from playwright.sync_api import Browser, expect

from digits.domain.jobs import Kind, Status
from digits.domain.training import LearningRate, TrainingSpec
from digits.frameworks import available_frameworks
from digits.networks import catalog
from digits.service import Service
from digits.storage.jobs.store import Job
from digits.testing.runs import make_dataset, striped_pictures, train
from tests.builders import make_job
from tests.conftest import start_server
from tests.journeys.client import GENERIC, Client
from tests.service.models.test_predict_tasks import dataset_for, text_for

pytestmark = pytest.mark.long
CLASSIFY = "/models/images/classification/classify_one.json"
NAMES = {"classification": "lenet", "detection": "detector"}
TASKS = ["classification", "segmentation", "detection", "regression", "processing"]
Install = Callable[[str, list[str]], Path]


@pytest.fixture(scope="module")
def install(tmp_path_factory: pytest.TempPathFactory) -> Install:
    """Makes an environment by name, with some packages from the index that pip is set up with; its Python."""
    made: dict[str, Path] = {}

    def environment(name: str, packages: list[str]) -> Path:
        if name not in made:
            folder = tmp_path_factory.mktemp(name)
            subprocess.run([sys.executable, "-m", "venv", str(folder)], check=True, timeout=300)
            python = folder / "bin" / "python"
            probe = subprocess.run(
                [python, "-m", "pip", "download", "--quiet", "--no-deps", "--dest", str(folder / "probe"), "pillow"],
                capture_output=True,
                text=True,
                timeout=300,
                check=False,
            )
            if probe.returncode:
                pytest.skip(f"no index of packages can be reached: {probe.stderr.strip()[-200:]}")
            subprocess.run([python, "-m", "pip", "install", "--quiet", *packages], check=True, timeout=900)
            made[name] = python
        return made[name]

    return environment


@pytest.fixture(scope="module")
def runtime(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """ONNX Runtime Web, as npm brings it."""
    npm = shutil.which("npm")
    if npm is None:
        pytest.skip("npm, which brings onnxruntime-web, is not installed")
    folder = tmp_path_factory.mktemp("npm")
    command = [npm, "install", "--no-audit", "--no-fund", "--ignore-scripts", "--prefix", str(folder), "onnxruntime-web"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=600, check=False, cwd=folder)
    if done.returncode:
        pytest.skip(f"onnxruntime-web cannot be fetched: {done.stderr.strip()[-200:]}")
    return folder


@pytest.fixture(scope="module")
def client(tmp_path_factory: pytest.TempPathFactory, runtime: Path) -> Iterator[Client]:
    folder = tmp_path_factory.mktemp("server")
    with start_server(folder, "-m", "digits", "serve", "--stop-jobs", onnxruntime_web=str(runtime)) as server:
        yield Client(server)


def trained(service: Service, task: str, framework: str = "pytorch") -> tuple[Job, np.ndarray]:
    """A model that is done, and a picture (C, H, W) of its data set."""
    dataset = make_job(service, kind=Kind.DATASET, task=task, name=f"{task} data", status=Status.DONE, owner="me")
    data = service.folder(dataset.id).path
    if task == "classification":
        features, labels = striped_pictures(24, 28, seed=1, channels=3)
        make_dataset(data, features, labels, class_labels=("left", "<b>right</b>"))
    else:
        _, features = dataset_for(data, task)
    named = NAMES.get(task)
    text = catalog.network_text(named, framework) if named else text_for(framework, task)
    rate = LearningRate(0.01 if task == "classification" else 1e-3, "fixed")
    spec = TrainingSpec(
        dataset.id, task, framework=framework, network=text, epochs=2, batch_size=8, seed=2, val_interval=1, learning_rate=rate
    )
    job = make_job(
        service,
        name=task,
        task=task,
        status=Status.DONE,
        spec=spec.to_json(),
        framework=framework,
        parents=(dataset.id,),
        owner="me",
    )
    path = service.folder(job.id).path
    (path / "network.py").write_text(text)
    train(data, path, spec)
    return job, features[-1]


def exported(client: Client, model: Job) -> str:
    """The name of an export as ONNX, when it is done."""
    row = client.json(f"/models/{model.id}/exports.json", format="onnx")
    client.done(row["id"])
    (made,) = client.json(f"/models/{model.id}/exports.json")["exports"]
    assert made["parity"]["max_difference"] < 1e-4
    return str(made["name"])


def fetched(client: Client, address: str, folder: Path) -> Path:
    """A zip file that the server gives, unpacked."""
    with urllib.request.urlopen(client.server.url + address, timeout=120) as answer:
        (folder.parent / "got.zip").write_bytes(answer.read())
    with zipfile.ZipFile(folder.parent / "got.zip") as archive:
        archive.extractall(folder)
    return folder


def numbers(task: str, said: dict[str, Any], labels: tuple[str, ...]) -> np.ndarray:
    """Of what predict.py, or the server of an archive, says of a picture."""
    if task == "classification":
        return 100 * np.array([said[label] for label in labels])
    return np.asarray(said["boxes" if task == "detection" else "output"], float)


def page_numbers(client: Client, task: str, model: Job, picture: Path, labels: tuple[str, ...]) -> np.ndarray:
    """Of what the model's page says of it."""
    if task == "classification":
        found = dict(client.json(CLASSIFY, job_id=model.id, image_path=picture)["predictions"])
        return np.array([found[label] for label in labels])
    answer = client.json(f"{GENERIC}/infer_one.json", job_id=model.id, image_path=picture)
    if task == "detection":
        return np.array([[*box["box"], box["score"], box["class"]] for box in answer["in_picture"]["boxes"]])
    return np.asarray(answer["outputs"]["output"][0], float)


@pytest.mark.parametrize("task", TASKS)
def test_script_and_server_of_an_archive_give_the_numbers_of_the_page(
    client: Client, install: Install, task: str, tmp_path: Path
) -> None:
    model, feature = trained(client.server.service, task)
    exported(client, model)
    archive = fetched(client, f"/models/{model.id}/download.zip", tmp_path / "archive")
    python = install("onnx", ["-r", str(archive / "requirements.txt")])
    picture = client.server.jobs_dir.parent / f"{task}.png"
    image = Image.fromarray(feature[0] if len(feature) == 1 else feature.transpose(1, 2, 0))
    image.resize((image.width * 2, image.height * 2), Image.Resampling.BICUBIC).save(picture)
    labels = ("left", "<b>right</b>")
    expected = page_numbers(client, task, model, picture, labels)
    assert expected.size, "a model that finds nothing shows nothing"
    tolerance = {"atol": 0.006} if task == "classification" else {"rtol": 1e-4, "atol": 1e-4}  # the page has two decimals

    command = [python, "-I", str(archive / "predict.py"), "--json", str(picture)]
    printed = subprocess.run(command, capture_output=True, text=True, timeout=120, check=True, cwd=tmp_path).stdout
    np.testing.assert_allclose(numbers(task, json.loads(printed)[str(picture)], labels), expected, **tolerance)
    with subprocess.Popen(
        [python, "-I", "-u", str(archive / "server.py"), "--port", "0"],
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    ) as server:
        try:
            assert server.stdout is not None
            address = server.stdout.readline().strip()
            with urllib.request.urlopen(f"{address}predict", data=picture.read_bytes(), timeout=60) as answer:
                np.testing.assert_allclose(numbers(task, json.loads(answer.read()), labels), expected, **tolerance)
        finally:
            server.terminate()


def test_the_script_of_a_tensorflow_model(client: Client, install: Install, tmp_path: Path) -> None:
    if "tensorflow" not in available_frameworks():
        pytest.skip("tensorflow is not installed")
    model, feature = trained(client.server.service, "classification", "tensorflow")
    archive = fetched(client, f"/models/{model.id}/download.zip", tmp_path / "archive")
    python = install("tensorflow", ["tensorflow-cpu", "pillow"])
    picture = client.server.jobs_dir.parent / "of_keras.png"
    Image.fromarray(feature.transpose(1, 2, 0)).resize((60, 44)).save(picture)
    labels = ("left", "<b>right</b>")
    command = [python, "-I", str(archive / "predict.py"), "--json", str(picture)]
    printed = subprocess.run(command, capture_output=True, text=True, timeout=300, check=True, cwd=tmp_path).stdout
    expected = page_numbers(client, "classification", model, picture, labels)
    np.testing.assert_allclose(numbers("classification", json.loads(printed)[str(picture)], labels), expected, atol=0.006)


def test_the_page_runs_the_model_in_a_browser_without_a_server(client: Client, chromium: Browser, tmp_path: Path) -> None:
    model, feature = trained(client.server.service, "classification")
    name = exported(client, model)
    folder = fetched(client, f"/models/{model.id}/exports/{name}/web.zip", tmp_path / "web")
    picture = client.server.jobs_dir.parent / "in_a_browser.png"
    Image.fromarray(feature.transpose(1, 2, 0)).resize((60, 44)).save(picture)
    labels = ("left", "<b>right</b>")
    expected = page_numbers(client, "classification", model, picture, labels)
    requested: list[str] = []
    page = chromium.new_page(viewport={"width": 400, "height": 800})
    page.on("request", lambda request: requested.append(request.url))
    page.goto((folder / "index.html").as_uri())
    page.locator("input[type=file]").set_input_files(str(picture))
    first = labels[int(expected.argmax())]
    expect(page.get_by_text(f"{expected.max():.2f}").first).to_be_visible(timeout=60_000)
    expect(page.get_by_text(first, exact=True).first).to_be_visible()
    assert page.evaluate("document.documentElement.scrollWidth") <= 400
    assert [url for url in requested if not url.startswith(("file:", "blob:", "data:"))] == []
    page.close()
