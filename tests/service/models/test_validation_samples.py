"""The validation samples: what a training kept of its samples, as the page and scripts get it."""

from __future__ import annotations

import base64
import io
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from flask.testing import FlaskClient
from PIL import Image

from digits.domain.events import BaselineEvent, SampleEvent, SnapshotEvent
from digits.domain.jobs import Kind
from digits.domain.training import TrainingSpec
from digits.service import Service
from digits.service.models.page import training_page
from digits.storage.events import EventWriter
from digits.storage.files import write_json
from digits.storage.jobs.store import Job
from tests.builders import make_job

LABELS = ["background", "cell"]


def picture(address: str) -> np.ndarray:
    kind, _, data = address.partition(";base64,")
    assert kind in ("data:image/png", "data:image/jpeg")
    return np.asarray(Image.open(io.BytesIO(base64.b64decode(data))))


@pytest.fixture
def model(service: Service) -> Job:
    job = make_job(service, Kind.MODEL)
    folder = service.folder(job.id)
    request = folder.request().to_json() | {"spec": TrainingSpec("20260101-000000-0000", "classification").to_json()}
    write_json(folder.request_file, request)
    return job


def keep(
    service: Service, job: Job, meta: dict[str, Any], feature: np.ndarray, label: Any, outputs: dict[int, np.ndarray]
) -> Path:
    """What an engine leaves: one sample, predicted at several steps."""
    folder = service.folder(job.id).path
    write_json(folder / "preprocessing.json", meta)
    (folder / "samples").mkdir()
    np.savez(folder / "samples" / "inputs.npz", **{"indices": np.array([5]), "0/feature": feature, "0/label": label})
    writer = EventWriter(folder / "events.jsonl", 1)
    for step, output in outputs.items():
        np.savez(folder / "samples" / f"step_{step}.npz", **{"0/output": output})
        writer.emit(SampleEvent(step=step, epoch=step / 10, path=f"samples/step_{step}.npz"))
    writer.close()
    return folder


def test_nothing_yet(client: FlaskClient, model: Job) -> None:
    answer = client.get(f"/models/{model.id}/samples.json").get_json()
    assert (answer["samples"], answer["frames"]) == ([], [])
    assert client.get(f"/models/{model.id}/samples/0.json").status_code == 404


def test_maps_are_pictures_of_classes(service: Service, client: FlaskClient, model: Job) -> None:
    truth = np.zeros((1, 4, 6), np.uint8)
    truth[0, :2] = 1
    truth[0, 3, 5] = 255
    made = np.zeros((4, 6), np.uint8)
    made[0] = 1
    meta = {"task": "segmentation", "label_kind": "map", "label_shape": [1, 4, 6], "class_labels": LABELS}
    folder = keep(service, model, meta, np.full((3, 4, 6), 9, np.uint8), truth, {0: made * 0, 10: made})
    samples = client.get(f"/models/{model.id}/samples.json").get_json()
    assert (samples["kind"], samples["class_labels"]) == ("map", LABELS)
    assert samples["colours"][0] == [0, 0, 0]
    assert samples["frames"] == [{"step": 0, "epoch": 0.0}, {"step": 10, "epoch": 1.0}]
    assert samples["samples"][0]["key"] == "val:5"
    assert np.array_equal(picture(samples["samples"][0]["truth"]), truth[0])
    last = client.get(f"/models/{model.id}/samples/10.json")
    sample = last.get_json()["samples"][0]
    assert np.array_equal(picture(sample["map"]), made)
    assert sample["dice"] == pytest.approx((2 * 6 / (6 + 12) + 2 * 11 / (11 + 17)) / 2)  # of both classes, without void
    again = client.get(f"/models/{model.id}/samples/10.json", headers={"If-None-Match": last.headers["ETag"]})
    assert again.status_code == 304
    (folder / "samples" / "step_0.npz").unlink()
    assert [frame["step"] for frame in client.get(f"/models/{model.id}/samples.json").get_json()["frames"]] == [10]


def test_labels_count_from_the_thresholds_of_their_validation_on(service: Service, client: FlaskClient, model: Job) -> None:
    """Chosen ones lie beside the outputs; given ones are known from the start."""
    meta = {"task": "multi_label", "label_kind": "vector", "label_shape": [2], "class_labels": LABELS, "activation": "sigmoid"}
    scores, truth = np.array([0.4, 0.6], np.float32), np.array([1, 0], np.float32)
    meta["options"] = {"label_thresholds": [0.3, 0.7]}
    folder = keep(service, model, meta, np.zeros((3, 4, 6), np.uint8), truth, {0: scores, 10: scores})
    np.savez(folder / "samples" / "step_10.npz", **{"0/output": scores, "label_thresholds": np.array([0.5, 0.5])})
    first, last = (client.get(f"/models/{model.id}/samples/{step}.json").get_json()["samples"][0] for step in (0, 10))
    assert (first["found"], first["correct"], first["thresholds"]) == ([LABELS[0]], True, [70, 30])
    assert (last["found"], last["correct"], last["thresholds"]) == ([LABELS[1]], False, [50, 50])


def test_scores_of_classes(service: Service, client: FlaskClient, model: Job) -> None:
    meta = {"task": "classification", "label_kind": "index", "label_shape": [], "class_labels": LABELS}
    keep(service, model, meta, np.zeros((1, 8, 8), np.uint8), np.array(1), {3: np.array([0.25, 0.75], np.float32)})
    assert client.get(f"/models/{model.id}/samples.json").get_json()["samples"][0]["truth"] == "cell"
    sample = client.get(f"/models/{model.id}/samples/3.json").get_json()["samples"][0]
    assert sample == {"top": [["cell", 75.0], ["background", 25.0]], "correct": True}


@pytest.mark.parametrize("names", [("scores", "embedding"), ("output", "another"), ("another", "output")])
def test_of_several_outputs_the_main_one_is_shown(
    service: Service, client: FlaskClient, model: Job, names: tuple[str, str]
) -> None:
    meta = {"task": "classification", "label_kind": "index", "label_shape": [], "class_labels": LABELS}
    folder = keep(service, model, meta, np.zeros((1, 8, 8), np.uint8), np.array(1), {3: np.zeros(2, np.float32)})
    right, wrong = np.array([0.25, 0.75], np.float32), np.array([1, 0, 0, 0], np.float32)
    shown = names[0] if names[0] == "scores" else "output"
    np.savez(folder / "samples" / "step_3.npz", **{f"0/{name}": right if name == shown else wrong for name in names})
    sample = client.get(f"/models/{model.id}/samples/3.json").get_json()["samples"][0]
    assert sample == {"top": [["cell", 75.0], ["background", 25.0]], "correct": True}


def test_pictures_and_numbers(service: Service, client: FlaskClient, model: Job) -> None:
    meta = {"task": "processing", "label_kind": "array", "label_shape": [1, 4, 4], "class_labels": []}
    truth = np.full((1, 4, 4), 100, np.uint8)
    folder = keep(service, model, meta, truth + 10, truth, {1: truth + 5})
    sample = client.get(f"/models/{model.id}/samples/1.json").get_json()["samples"][0]
    assert sample["psnr"] == pytest.approx(20 * np.log10(255 / 5))
    assert (picture(sample["picture"]) == 105).all()
    write_json(folder / "preprocessing.json", {"task": "regression", "label_kind": "array", "label_shape": [1, 1, 2]})
    np.savez(folder / "samples" / "step_1.npz", **{"0/output": np.array([0.5, np.nan], np.float32)})
    assert client.get(f"/models/{model.id}/samples/1.json").get_json()["samples"][0]["values"] == [0.5, None]


def test_boxes_without_a_score_are_padding(service: Service, client: FlaskClient, model: Job) -> None:
    meta = {"task": "detection", "label_kind": "boxes", "label_shape": None, "class_labels": ["cat"]}
    truth = np.array([[1, 2, 3, 4, 0, 0]], np.float32)
    found = np.array([[1, 2, 3, 5, 0.5, 0], [0, 0, 0, 0, 0, 0]], np.float32)
    keep(service, model, meta, np.zeros((3, 8, 8), np.uint8), truth, {2: found})
    samples = client.get(f"/models/{model.id}/samples.json").get_json()
    assert samples["samples"][0]["truth"] == [{"box": [1, 2, 3, 4], "class": 0}]
    assert samples["colours"][0] != [0, 0, 0]
    boxes = client.get(f"/models/{model.id}/samples/2.json").get_json()["samples"][0]["boxes"]
    assert boxes == [{"box": [1, 2, 3, 5], "score": 0.5, "class": 0}]


def test_a_torn_file_is_named(service: Service, client: FlaskClient, model: Job) -> None:
    meta = {"task": "classification", "label_kind": "index", "label_shape": [], "class_labels": LABELS}
    folder = keep(service, model, meta, np.zeros((1, 8, 8), np.uint8), np.array(1), {3: np.array([0.25, 0.75], np.float32)})
    (folder / "samples" / "step_3.npz").write_bytes(b"PK torn")
    answer = client.get(f"/models/{model.id}/samples/3.json")
    assert answer.status_code == 500
    assert "step_3.npz cannot be read" in answer.get_json()["error"]["message"]


def test_the_page_knows_the_baseline(service: Service, model: Job) -> None:
    writer = EventWriter(service.folder(model.id).events_file, 1)
    writer.emit(BaselineEvent(values={"accuracy": 0.5, "r2": float("nan")}, description="always the most frequent class, “a”"))
    writer.close()
    data = training_page(service, model).data
    assert data["baseline"] == {"values": {"accuracy": 0.5, "r2": None}, "description": "always the most frequent class, “a”"}
    assert data["deciding"] == "accuracy"


def test_a_snapshot_without_a_number_does_not_break_the_page(service: Service, client: FlaskClient, model: Job) -> None:
    writer = EventWriter(service.folder(model.id).events_file, 1)
    writer.emit(SnapshotEvent(step=1, epoch=1, path="snapshots/epoch_1.safetensors", metrics={"precision": float("nan")}))
    writer.close()
    text = client.get(f"/models/{model.id}").get_data(as_text=True)
    data = text.partition('id="training-data">')[2].partition("</script>")[0]
    assert "NaN" not in data
    assert json.loads(data)["snapshots"][0]["metrics"] == {"precision": None}
