"""A model is trained over HTTP by each engine, then everything is done with it that a classifier is for (R 5, 9.5)."""

from __future__ import annotations

import csv
import io
import json
import os
import subprocess
import sys
import tarfile
import time
import urllib.error
import urllib.request
import uuid
import zipfile
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest
from PIL import Image

from digits.frameworks import available_frameworks
from tests.conftest import USER, RunningServer
from tests.several_outputs import TEXTS

CLASSES = ("blue sky", "green grass", "red rose")
CONVOLUTIONS = {"pytorch": "Conv2d", "tensorflow": "Conv2D"}
COLOURS = ((40, 60, 220), (40, 200, 60), (220, 40, 60))
PER_CLASS = 20
DEADLINE = 120.0
IMAGES = "/models/images/classification"

pytestmark = pytest.mark.slow


@dataclass
class Answer:
    status: int
    body: bytes
    headers: Any

    @property
    def json(self) -> Any:
        return json.loads(self.body)

    @property
    def text(self) -> str:
        return self.body.decode()


@dataclass
class Studio:
    """A running server, pictures on its disk, and a trained model."""

    server: RunningServer
    pictures: Path
    framework: str = "pytorch"
    model: str = ""
    dataset: str = ""
    paths: dict[str, Path] = field(default_factory=dict)
    by_mean: dict[str, str] = field(default_factory=dict)  # models like `model` (whose mean is "image") but for use_mean

    @property
    def snapshot(self) -> str:
        """The model's last one."""
        return {"pytorch": "epoch_4.safetensors", "tensorflow": "epoch_4.keras"}[self.framework]

    def get(self, path: str) -> Answer:
        return self._send(urllib.request.Request(self.server.url + path))

    def post(self, path: str, files: dict[str, tuple[str, bytes]] | None = None, **fields: Any) -> Answer:
        boundary = uuid.uuid4().hex
        parts = []
        for name, value in {"username": USER, **fields}.items():
            parts.append(f'--{boundary}\r\nContent-Disposition: form-data; name="{name}"\r\n\r\n{value}\r\n'.encode())
        for name, (file_name, data) in (files or {}).items():
            head = f'--{boundary}\r\nContent-Disposition: form-data; name="{name}"; filename="{file_name}"\r\n\r\n'
            parts += [head.encode(), data, b"\r\n"]
        body = b"".join([*parts, f"--{boundary}--\r\n".encode()])
        headers = {"Content-Type": f"multipart/form-data; boundary={boundary}"}
        return self._send(urllib.request.Request(self.server.url + path, body, headers))

    def until_done(self, kind: str, job_id: str) -> None:
        end = time.monotonic() + DEADLINE
        while (status := self.get(f"/{kind}/{job_id}/status").json)["status"] != "Done":
            assert status["status"] not in ("Error", "Aborted"), status
            assert time.monotonic() < end, f"{kind} {job_id} is {status['status']}"
            time.sleep(0.1)

    def _send(self, request: urllib.request.Request) -> Answer:
        try:
            with urllib.request.urlopen(request, timeout=DEADLINE) as answer:
                return Answer(answer.status, answer.read(), answer.headers)
        except urllib.error.HTTPError as error:
            with error:
                return Answer(error.code, error.read(), error.headers)


@pytest.fixture(scope="module", params=["pytorch", "tensorflow"])
def studio(live_server: RunningServer, request: pytest.FixtureRequest) -> Studio:
    if request.param not in available_frameworks():
        pytest.skip(f"{request.param} is not installed")
    pictures = live_server.jobs_dir.parent / f"pictures-{request.param}"
    studio = Studio(live_server, pictures, request.param)
    random = np.random.default_rng(1)
    for name, colour in zip(CLASSES, COLOURS, strict=True):
        folder = pictures / name.replace(" ", "_")
        folder.mkdir(parents=True)
        for number in range(PER_CLASS):
            pixels = np.clip(np.array(colour) + random.normal(0, 12, (24, 36, 3)), 0, 255).astype(np.uint8)
            Image.fromarray(pixels).save(folder / f"{number}.png")
        studio.paths[name] = folder / "0.png"
    sizes = {"resize_width": 28, "resize_height": 28, "resize_channels": 3}
    form = {"dataset_name": "colours", "method": "folder", "folder_train": pictures, "folder_pct_test": 10, **sizes}
    studio.dataset = studio.post("/datasets/images/classification.json", **form).json["id"]
    form = {"model_name": "<b>Tint</b>", "dataset": studio.dataset, "method": "standard", "standard_networks": "lenet"}
    form |= {"train_epochs": 4, "snapshot_interval": 2, "batch_size": 6, "learning_rate": 0.01, "random_seed": 1}
    form["framework"] = studio.framework
    studio.model = studio.post(f"{IMAGES}.json", **form).json["id"]
    for mean in ("pixel", "none"):
        studio.by_mean[mean] = studio.post(f"{IMAGES}.json", **{**form, "use_mean": mean}).json["id"]
    studio.until_done("models", studio.model)
    return studio


def text_file(*lines: str) -> dict[str, tuple[str, bytes]]:
    return {"image_list": ("list.txt", "\n".join(lines).encode())}


def test_one_picture_of_every_class_is_recognised(studio):
    for name, path in studio.paths.items():
        answer = studio.post(f"{IMAGES}/classify_one.json", {"image_file": ("x.png", path.read_bytes())}, job_id=studio.model)
        assert answer.status == 200, answer.text
        predictions = answer.json["predictions"]
        assert predictions[0][0] == name
        assert len(predictions) == len(CLASSES)
        assert all(round(percent, 2) == percent for _, percent in predictions)
        assert sum(percent for _, percent in predictions) == pytest.approx(100, abs=0.05)


@pytest.mark.parametrize("mean", ["pixel", "none"])
def test_every_class_is_recognised_whatever_mean_was_subtracted(studio, mean):
    model = studio.by_mean[mean]
    studio.until_done("models", model)
    for name, path in studio.paths.items():
        answer = studio.post(f"{IMAGES}/classify_one.json", job_id=model, image_path=path)
        assert answer.json["predictions"][0][0] == name


@pytest.mark.parametrize("outputs", ["{'scores': scores, 'embedding': wrong}", "{'another': wrong, 'output': scores}"])
def test_of_several_outputs_every_page_shows_the_one_that_was_trained(studio, outputs):
    """`wrong` is the opposite of the scores."""
    text = TEXTS[studio.framework].replace("OUTPUTS", outputs)
    form = {"model_name": "several", "dataset": studio.dataset, "method": "custom", "custom_network": text, "train_epochs": 4}
    form |= {"batch_size": 6, "learning_rate": 0.01, "random_seed": 1, "framework": studio.framework}
    model = studio.post(f"{IMAGES}.json", **form).json["id"]
    studio.until_done("models", model)
    answers = [studio.post(f"/models/{model}/answer.json", image_path=path).json for path in studio.paths.values()]
    assert [answer["samples"][0]["top"][0][0] for answer in answers] == list(CLASSES)
    assert [answer["predictions"][0][0] for answer in answers] == list(CLASSES)
    for name, path in studio.paths.items():
        answer = studio.post(f"{IMAGES}/classify_one.json", job_id=model, image_path=path)
        assert answer.json["predictions"][0][0] == name
    sample = studio.post(f"/models/{model}/answer.json", record="val:0").json["samples"][0]
    assert (sample["top"][0][0], sample["correct"]) == (sample["truth"], True)
    step = studio.get(f"/models/{model}/samples.json").json["frames"][-1]["step"]
    assert all(shown["correct"] for shown in studio.get(f"/models/{model}/samples/{step}.json").json["samples"])


def test_the_page_of_one_picture_lists_the_class_first(studio):
    for method in ("get", "post"):
        path = studio.paths["red rose"]
        if method == "get":
            answer = studio.get(f"{IMAGES}/classify_one?job_id={studio.model}&image_path={path}")
        else:
            answer = studio.post(f"{IMAGES}/classify_one", job_id=studio.model, image_path=path)
        assert answer.status == 200
        first = answer.text.split('<ul class="list-group', 1)[1].split("</li>", 1)[0]
        assert "red rose" in first
        assert "%" in first
        assert "<b>Tint</b>" not in answer.text


def test_layers_are_shown_when_asked_for(studio):
    path = studio.paths["blue sky"]
    answer = studio.post(f"{IMAGES}/classify_one", job_id=studio.model, image_path=path, show_visualizations="y")
    assert answer.status == 200
    for word in ("Description", "Statistics", "Visualization", "Weights", "Activation", "learned parameters"):
        assert word in answer.text
    assert CONVOLUTIONS[studio.framework] in answer.text
    fields = {"job_id": studio.model, "image_path": path, "show_visualizations": "y"}
    for address in (f"{IMAGES}/classify_one.json", "/models/images/generic/infer_one.json"):
        answer = studio.post(address, **fields, snapshot_epoch="2").json
        assert answer["total_parameters"] > 0
        assert {row["vis_type"] for row in answer["visualizations"]} == {"Weights", "Activation"}
    assert "visualizations" not in studio.post(address, **fields | {"show_visualizations": "false"}).json


def test_the_model_is_looked_into(studio):
    """Layers, one of them drawn and as numbers, every map that the engine has, vectors of a split; and what is refused."""
    at = f"/models/{studio.model}"
    assert studio.get(f"{at}/inside").status == 200
    found = studio.get(f"{at}/inside.json?record=val:0").json
    kernels = [row for row in found["layers"] if row["kind"] == CONVOLUTIONS[studio.framework]]
    assert found["total_parameters"] == sum(row["parameters"] for row in found["layers"])
    assert kernels[0]["weights"][0]["shape"] == [20, 3, 5, 5]
    assert kernels[0]["activations"][0]["shape"][0] == 20
    assert not any(row["activations"] for row in studio.get(f"{at}/inside.json").json["layers"])

    name = kernels[1]["name"]
    drawn = studio.get(f"{at}/inside/layer.json?layer={name}&of=activations&record=val:0&colours=cividis").json
    assert drawn["image"].startswith("data:image/png")
    assert (drawn["drawing"]["shown"], drawn["drawing"]["total"]) == (50, 50)
    without = studio.get(f"{at}/inside/layer.json?layer={name}&of=activations").json
    assert (without["image"], without["drawing"]["reason"]) == ("", "No picture is chosen.")
    values = np.load(io.BytesIO(studio.get(f"{at}/inside/layer.npy?layer={name}").body))
    assert values.shape == (50, 20, 5, 5)
    assert float(values.mean()) == pytest.approx(kernels[1]["weights"][0]["mean"], abs=1e-6)
    for wrong, status in (("layer=nothing", 400), ("of=biases", 400), ("snapshot_epoch=9", 404), ("record=val:999", 404)):
        assert studio.get(f"{at}/inside/layer.json?{wrong}").status == status, wrong

    methods = studio.get(f"{at}/explain.json?record=val:0&method=occlusion&grid=3").json["methods"]
    assert [method for method, reason in methods.items() if reason] == ["attention_rollout"]
    picture = {"image_file": ("x.png", studio.paths["red rose"].read_bytes())}
    for method in (method for method, reason in methods.items() if not reason):
        why = studio.post(f"{at}/explain.json", picture, method=method, target="red rose", grid=3, sanity=1, values=1).json
        assert (why["target"], why["targets"][0]["label"]) == (2, "red rose")
        assert np.isfinite(why["values"]).all()
        assert np.shape(why["values"]) == (28, 28)
        assert set(why["sanity"]) == {"correlation", "changes", "reason"}
        if method == "integrated_gradients":
            assert why["total"] == pytest.approx(why["difference"], rel=0.05)
    assert studio.post(f"{at}/explain.json", method="occlusion").status == 400
    assert studio.get(f"{at}/explain.json?record=val:0&method=attention_rollout").status == 400

    made = studio.post(f"{at}/embeddings.json", split="val").json
    end = time.monotonic() + DEADLINE
    while (job := studio.get(f"{at}/embeddings/{made['id']}.json").json)["status"] != "Done" and time.monotonic() < end:
        assert job["status"] not in ("Error", "Aborted"), job
        time.sleep(0.1)
    table = pq.read_table(io.BytesIO(studio.get(f"{at}/embeddings/{made['id']}/vectors.parquet").body))
    assert table.column_names == ["record", "path", "label", "class", "vector"]
    assert len(table) == job["count"] == len(job["points"]["x"])
    vectors = np.array(table["vector"].to_pylist())
    assert vectors.shape == (job["count"], 500)
    centred = vectors - vectors.mean(axis=0)
    shares = np.linalg.svd(centred, compute_uv=False) ** 2
    assert job["shares"] == pytest.approx(shares[:2] / shares.sum(), rel=1e-3)
    assert np.square(job["points"]["x"]).sum() == pytest.approx(shares[0], rel=1e-3)
    assert studio.post(f"{at}/embeddings.json", split="val", projection="tsne").status == 400


def test_each_snapshot_can_be_chosen(studio):
    assert studio.get(f"/models/{studio.model}.json").json["snapshots"] == [2, 4]
    path = studio.paths["red rose"]
    seen = {
        epoch: studio.post(f"{IMAGES}/classify_one.json", job_id=studio.model, image_path=path, snapshot_epoch=epoch).json
        for epoch in ("2", "4", "-1", "0", "")
    }
    assert seen["2"]["snapshot_epoch"] == 2
    assert [seen[e]["snapshot_epoch"] for e in ("4", "-1", "0", "")] == [4, 4, 4, 4]
    missing = studio.post(f"{IMAGES}/classify_one.json", job_id=studio.model, image_path=path, snapshot_epoch="3.5")
    assert missing.status == 404
    assert "2, 4" in missing.json["error"]["message"]
    wrong = studio.post(f"{IMAGES}/classify_one.json", job_id=studio.model, image_path=path, snapshot_epoch="last")
    assert wrong.status == 400


def test_two_snapshots_answer_side_by_side_and_the_answer_stays(studio):
    at = f"/models/{studio.model}"
    offered = studio.get(f"{at}/seconds.json").json["models"]
    assert offered[0]["id"] == studio.model
    assert {"2", "4"} <= {row["choice"] for row in offered[0]["snapshots"]}
    picture = {"image_file": ("rose.png", studio.paths["red rose"].read_bytes())}
    asked = {"snapshot_epoch": "4", "second": studio.model, "second_epoch": "2", "keep": 1}
    found = studio.post(f"{at}/answer.json", picture, **asked).json
    alone = studio.post(f"{at}/answer.json", picture, snapshot_epoch="2").json
    assert (found["snapshot_epoch"], found["second"]["snapshot_epoch"]) == (4, 2)
    assert found["second"]["predictions"] == alone["predictions"]
    assert "kept" not in alone
    points = [abs(percent - dict(alone["predictions"])[name]) for name, percent in found["predictions"]]
    assert found["difference"]["largest"] == pytest.approx(max(points), abs=0.02)
    for one in (found, found["second"]):
        assert one["seconds"]["prepare"] >= one["seconds"]["decode"] > 0
        assert min(one["seconds"]["forward"], one["seconds"]["post"]) > 0
    again = studio.get(found["kept"]["json"]).json
    assert all(again[name] == found[name] for name in ("predictions", "difference", "second"))
    assert studio.get(found["kept"]["picture_url"]).body == picture["image_file"][1]
    assert studio.post(f"{at}/answer.json", picture, second=studio.dataset).status == 404
    assert studio.post(f"{at}/answer.json", picture, second=studio.model, second_epoch="9").status == 404


def test_the_code_of_a_question_runs_when_it_is_pasted(studio, tmp_path):
    """Python, curl and the command, beside the picture, each as the page shows it."""
    if studio.framework != "pytorch":
        pytest.skip("the code is the same for every framework")
    (tmp_path / "a rose.png").write_bytes(studio.paths["red rose"].read_bytes())
    code = studio.get(f"/models/{studio.model}/code.json?image_file=a%20rose.png&snapshot_epoch=4").json
    (tmp_path / "code.py").write_text(code["python"])
    scripts = Path(sys.executable).parent
    environment = {**os.environ, "PATH": f"{scripts}{os.pathsep}{os.environ['PATH']}"}
    environment["DIGITS_DATA_DIRS"] = str(tmp_path)
    for command in ([sys.executable, "code.py"], ["bash", "-c", code["curl"]], ["bash", "-c", code["command"]]):
        run = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=DEADLINE)
        assert run.returncode == 0, run.stderr
        first = json.loads(run.stdout)["predictions"][0][0] if run.stdout.startswith("{") else run.stdout
        assert "red rose" in first, command


@pytest.mark.parametrize(
    ("data", "words"),
    [(b"", "empty"), (b"I am text", "no picture"), (b"\x89PNG\r\n\x1a\n" + b"x" * 50, "picture")],
    ids=["empty", "text", "broken"],
)
def test_what_is_no_picture_is_a_400_with_advice(studio, data, words):
    answer = studio.post(f"{IMAGES}/classify_one.json", {"image_file": ("x.png", data)}, job_id=studio.model)
    assert answer.status == 400
    assert words in answer.json["error"]["message"]
    assert studio.post(f"{IMAGES}/classify_one", {"image_file": ("x.png", data)}, job_id=studio.model).status == 400


def test_requests_that_lack_something_say_what(studio):
    assert studio.post(f"{IMAGES}/classify_one.json").status == 400
    assert "job_id" in studio.post(f"{IMAGES}/classify_many.json").json["error"]["message"]
    assert studio.post(f"{IMAGES}/classify_one.json", job_id="20000101-000000-abcd").status == 404
    assert "image" in studio.post(f"{IMAGES}/classify_one.json", job_id=studio.model).json["error"]["message"]
    assert "image_list" in studio.post(f"{IMAGES}/classify_many.json", job_id=studio.model).json["error"]["message"]
    absent = studio.post(f"{IMAGES}/classify_many.json", text_file("a.png"), job_id=studio.model, image_folder="/absent")
    assert absent.status == 400
    assert "image_folder" in absent.json["errors"]
    outside = studio.post(f"{IMAGES}/classify_one.json", job_id=studio.model, image_path="/etc/passwd")
    assert outside.status == 400
    assert "DIGITS_DATA_DIRS" in outside.text
    address = studio.post(f"{IMAGES}/classify_one.json", job_id=studio.model, image_path="http://127.0.0.1/x.png")
    assert address.status == 400
    assert "DIGITS_ALLOW_URLS" in address.text


def test_many_pictures_as_json(studio):
    lines = [f"{path} {number}" for number, path in enumerate(studio.paths.values())]
    before = studio.server.service.store.query(_evaluations()).total
    answer = studio.post(f"{IMAGES}/classify_many.json", text_file(*lines), job_id=studio.model)
    assert answer.status == 200, answer.text
    found = answer.json
    for name, path in studio.paths.items():
        assert found["classifications"][str(path)][0][0] == name
    assert (found["top1"], found["skipped"]) == (1.0, 0)
    assert studio.server.service.store.query(_evaluations()).total == before, "an evaluation nobody keeps is removed"


def test_relative_paths_bad_labels_and_unreadable_files(studio):
    lines = [f"{name.replace(' ', '_')}/0.png {label}" for name, label in zip(CLASSES, (-1, 99, 2), strict=True)]
    options = {"job_id": studio.model, "image_folder": studio.pictures}
    answer = studio.post(f"{IMAGES}/classify_many.json", text_file(*lines, "absent.png 0"), **options)
    assert answer.status == 200
    assert len(answer.json["classifications"]) == 3
    assert (answer.json["labelled"], answer.json["skipped"], answer.json["top1"]) == (1, 1, 1.0)
    page = studio.post(f"{IMAGES}/classify_many", text_file(*lines), num_test_images=2, **options)
    assert page.status == 200


def test_the_best_of_each_category_from_a_folder(studio):
    page = studio.post(f"{IMAGES}/top_n", job_id=studio.model, image_folder=studio.pictures, top_n=2)
    assert page.status == 200
    assert all(name in page.text for name in CLASSES)


def test_a_split_is_evaluated_with_one_click_and_everything_can_be_taken_away(studio):
    answer = studio.post(f"/models/{studio.model}/evaluate.json", split="val", wait=1)
    assert answer.status == 200, answer.text
    job, result = answer.json["id"], answer.json["result"]
    assert result["count"] == result["labelled"] == sum(count for *_, count in result["confusion"])
    assert result["top1"] == pytest.approx(sum(c for t, p, c in result["confusion"] if t == p) / result["count"])
    page = studio.get(f"/evaluations/{job}")
    assert page.status == 200
    assert "Confusion matrix" in page.text
    rows = studio.get(f"/evaluations/{job}/predictions.json?size=2&sort=confidence&order=desc").json
    assert rows["total"] == result["count"]
    assert rows["rows"][0]["predictions"][0][1] >= rows["rows"][1]["predictions"][0][1]
    picture = studio.get(rows["rows"][0]["picture"])
    assert picture.status == 200
    assert picture.headers["Content-Type"].startswith("image/")
    wrong = studio.get(f"/evaluations/{job}/predictions.json?only=wrong").json
    assert wrong["total"] == result["count"] - sum(c for t, p, c in result["confusion"] if t == p)
    table = list(csv.reader(io.StringIO(studio.get(f"/evaluations/{job}/predictions.csv").text)))
    assert len(table) == result["count"] + 1
    matrix = list(csv.reader(io.StringIO(studio.get(f"/evaluations/{job}/confusion.csv").text)))
    assert matrix[0][1:-1] == list(CLASSES)
    assert studio.get(f"/evaluations/{job}/classes.csv").status == 200
    assert job in studio.get(f"/models/{studio.model}").text, "the model's page leads to its evaluations"
    assert studio.post(f"/models/{studio.model}/evaluate.json", split="nonsense").status == 400


def test_a_job_is_answered_at_once_when_nobody_waits(studio):
    answer = studio.post(f"{IMAGES}/classify_many.json", job_id=studio.model, image_folder=studio.pictures, wait=0)
    assert answer.status == 200
    job = answer.json["id"]
    studio.until_done("jobs", job)
    page = studio.get(f"/evaluations/{job}")
    assert "Most confident pictures" in page.text
    result = studio.get(f"/evaluations/{job}.json").json["result"]
    assert (result["count"], result["labelled"]) == (60, 60), "folders named like classes give the labels"
    picture = studio.get(f"/evaluations/{job}/picture/0")
    assert Image.open(io.BytesIO(picture.body)).size == (36, 24)


@pytest.mark.parametrize("extension", ["", ".tar.gz", ".tgz", ".tar", ".tar.bz2", ".zip"])
def test_the_model_can_be_downloaded_in_every_format(studio, extension, tmp_path):
    answer = studio.get(f"/models/{studio.model}/download{extension}")
    assert answer.status == 200
    assert f"{studio.model}_epoch_4{extension or '.tar.gz'}" in answer.headers["Content-Disposition"]
    names = unpack(answer.body, tmp_path)
    assert {
        "info.json",
        "network.py",
        "preprocessing.json",
        "labels.txt",
        "predict.py",
        "README.md",
        studio.snapshot,
    } <= names
    info = json.loads((tmp_path / "info.json").read_text())
    assert (info["id"], info["snapshot file"]) == (studio.model, studio.snapshot)
    assert (tmp_path / "labels.txt").read_text().split("\n")[:-1] == list(CLASSES)


def unpack(data: bytes, folder: Path) -> set[str]:
    if data.startswith(b"PK"):  # a tar may end in the bytes of a zip: that of a .keras file
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            assert archive.testzip() is None
            archive.extractall(folder)
    else:
        with tarfile.open(fileobj=io.BytesIO(data)) as archive:
            archive.extractall(folder, filter="data")
    return {path.name for path in folder.iterdir()}


def test_other_formats_and_epochs_are_refused_and_older_ones_found(studio):
    assert studio.get(f"/models/{studio.model}/download.rar").status == 400
    assert studio.get(f"/models/{studio.model}/download?epoch=3.5").status == 404
    older = studio.get(f"/models/{studio.model}/download.tar?epoch=2")
    assert "_epoch_2.tar" in older.headers["Content-Disposition"]
    assert int(older.headers["Content-Length"]) == len(older.body)


def test_the_archive_classifies_without_digits_and_gives_the_same_numbers(studio, tmp_path):
    unpack(studio.get(f"/models/{studio.model}/download.zip").body, tmp_path)
    path = studio.paths["green grass"]
    without_digits = {name: value for name, value in os.environ.items() if not name.startswith(("PYTHON", "DIGITS"))}
    run = subprocess.run(
        [sys.executable, "-I", "-c", STRANGER, str(tmp_path / "predict.py"), "--json", str(path)],
        capture_output=True,
        text=True,
        cwd=tmp_path,
        env=without_digits,
    )
    assert run.returncode == 0, run.stderr
    scores = json.loads(run.stdout)[str(path)]
    answer = studio.post(f"{IMAGES}/classify_one.json", job_id=studio.model, image_path=path)
    for name, percent in answer.json["predictions"]:
        assert scores[name] * 100 == pytest.approx(percent, abs=0.006)
    assert max(scores, key=lambda name: scores[name]) == "green grass"


# Runs a script in an interpreter that has neither digits nor what it needs beside the framework and Pillow.
STRANGER = """
import runpy, sys
for name in ("digits", "safetensors", "lightning_fabric", "timm", "cv2", "pyarrow"):
    sys.modules[name] = None
sys.argv = sys.argv[1:]
runpy.run_path(sys.argv[0], run_name="__main__")
"""


def test_inference_works_while_a_training_runs(studio):
    form = {"model_name": "long", "dataset": studio.dataset, "standard_networks": "lenet", "framework": studio.framework}
    job = studio.post(f"{IMAGES}.json", train_epochs=1000, snapshot_interval=1, **form).json["id"]
    end = time.monotonic() + DEADLINE
    while not studio.get(f"/models/{job}.json").json["snapshots"] and time.monotonic() < end:
        time.sleep(0.1)
    path = studio.paths["red rose"]
    for model in (studio.model, job):
        answer = studio.post(f"{IMAGES}/classify_one.json", job_id=model, image_path=path, snapshot_epoch=-1)
        assert answer.status == 200, answer.text
    assert studio.post(f"/models/{job}/abort").status == 200


def _evaluations() -> Any:
    from digits.storage.jobs.store import JobQuery

    return JobQuery(kind="evaluation")
