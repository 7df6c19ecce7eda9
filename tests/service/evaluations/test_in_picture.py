"""Boxes lie in the pixels of the picture's own file at every door, and COCO's own tools take them unchanged."""

from __future__ import annotations

import contextlib
import io
import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval

from digits.domain.datasets import TRAIN_DB, VAL_DB
from digits.domain.inference import EvaluationSpec
from digits.domain.jobs import Kind, Resources, Status
from digits.domain.training import TrainingSpec
from digits.engines.base import get_engine
from digits.images.place import Origin
from digits.ipc.messages import Message
from digits.predictor.model import LoadedModel
from digits.predictor.requests import answer
from digits.service import Service
from digits.service.evaluations.coco import NewIds, coco_results, coco_truth
from digits.service.evaluations.in_picture import in_picture
from digits.service.evaluations.inputs import record_picture
from digits.service.evaluations.predict import _pixels_of, picture_entry
from digits.service.jobs import create_job
from digits.storage.jobs.store import Job
from digits.tasks import Labels, of
from digits.testing.runs import train
from digits.worker.runtime import WorkerContext
from tests.ingest.making import Run, make_job, run_job
from tests.worker.evaluation import evaluating

SIZES = [(60, 40), (40, 64), (80, 80), (100, 36)]  # width, height
BOXES = [(8, 4, 40, 28), (10, 10, 30, 50), (0, 40, 80, 80), (50, 6, 90, 30)]
# Finds the box around what is bright: class 0 (wide) is white, 1 (high) yellow.
BRIGHT = """
import torch
from torch import nn

class Bright(nn.Module):
    def __init__(self):
        super().__init__()
        self.score = nn.Parameter(torch.zeros(1))

    def forward(self, images, targets=None):
        if self.training:
            return {"score_loss": (self.score - 1).square().sum()}
        return [self.found(image[0] > image.max() / 2, image[2]) for image in images]

    def found(self, bright, blue):
        rows, columns = bright.any(1).nonzero().flatten(), bright.any(0).nonzero().flatten()
        if not len(rows):
            return {"boxes": torch.zeros(0, 4), "scores": torch.zeros(0), "labels": torch.zeros(0, dtype=torch.long)}
        box = torch.stack([columns[0], rows[0], columns[-1] + 1, rows[-1] + 1]).float()
        high = (blue[bright].mean() < blue.max() / 2 + 1e-6).long() if blue.max() > blue.min() else torch.tensor(1)
        return {"boxes": box[None], "scores": self.score.sigmoid(), "labels": high[None]}

def build_network(context):
    return Bright()
"""


@pytest.fixture(scope="module")
def pictures(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Four pictures with a white box each, and COCO's file of them, whose ids are no row or class numbers."""
    folder = tmp_path_factory.mktemp("coco")
    (folder / "images").mkdir()
    images, annotations = [], []
    for number, (size, (x0, y0, x1, y1)) in enumerate(zip(SIZES, BOXES, strict=True)):
        picture = np.zeros((size[1], size[0], 3), np.uint8)
        picture[y0:y1, x0:x1] = (255, 255, 0 if y1 - y0 > x1 - x0 else 255)
        Image.fromarray(picture).save(folder / "images" / f"{number}.png")
        images.append({"id": 900 + number, "file_name": f"{number}.png", "width": size[0], "height": size[1]})
        box = {"bbox": [x0, y0, x1 - x0, y1 - y0], "area": (x1 - x0) * (y1 - y0), "iscrowd": 0}
        category = 7 if y1 - y0 > x1 - x0 else 3
        annotations.append({"id": number + 1, "image_id": 900 + number, "category_id": category, **box})
    categories = [{"id": 3, "name": "wide"}, {"id": 7, "name": "high"}]
    (folder / "instances.json").write_text(json.dumps({"images": images, "annotations": annotations, "categories": categories}))
    return folder


def made(service: Service, pictures: Path, **values: Any) -> tuple[Run, str]:
    """The data set, and the id of a model of it."""
    data = {"train_image_folder": str(pictures / "images"), "train_label_folder": str(pictures / "instances.json"), **values}
    run = run_job(make_job(service.jobs_dir.path, "image-object-detection", data))
    spec = TrainingSpec(run.folder.id, "detection", network=BRIGHT, epochs=1, batch_size=2, seed=1, use_mean="none")
    model = "20260101-000000-aaaa"
    train(run.folder.path, service.jobs_dir.path / model, spec)
    return run, model


def evaluated(service: Service, model: str, **source: Any) -> Job:
    spec = EvaluationSpec(model, "snapshots/epoch_1.safetensors", 1.0, roots=("/",), **source)
    job = create_job(
        service, kind=Kind.EVALUATION, task="detection", type_name="Evaluation", name="e", form={}, spec=spec.to_json(),
        resources=Resources("inference"), summary={"model_id": model}, dataset_id=source.get("dataset_id", ""),
    )  # fmt: skip
    folder = service.folder(job.id)
    evaluating.run(WorkerContext(folder, service.jobs_dir, folder.request(), 1, 2, (), 60))
    for step in (Status.WAIT, Status.RUN, Status.DONE):
        job = service.store.transition(job.id, step)
    return job


def coco_map(truth: Any, results: list[dict[str, Any]]) -> float:
    with contextlib.redirect_stdout(io.StringIO()):
        known = COCO(str(truth)) if isinstance(truth, Path) else COCO()
        if not isinstance(truth, Path):
            known.dataset = truth
            known.createIndex()
        counted = COCOeval(known, known.loadRes(json.loads(json.dumps(results))), "bbox")
        counted.evaluate()
        counted.accumulate()
        counted.summarize()
    return float(counted.stats[1])  # at IoU 0.5


@pytest.mark.parametrize(
    "values",
    [
        {"resize_image_width": 64, "resize_image_height": 64, "resize_mode": "fill"},
        {"resize_image_width": 96, "resize_image_height": 48, "resize_mode": "squash"},
        {"padding_image_width": 128, "padding_image_height": 96, "resize_image_width": 64, "resize_image_height": 48},
        {"unequal_sizes": "pad"},
    ],
    ids=["fill", "squash", "padded and halved", "padded"],
)
def test_detections_are_in_the_pixels_of_the_files(service: Service, pictures: Path, values: dict[str, Any]) -> None:
    run, model = made(service, pictures, **values)
    job = evaluated(service, model, source="split", split=TRAIN_DB, dataset_id=run.folder.id)
    results = {result["image_id"]: result for result in coco_results(service, job)}
    for number, (x0, y0, x1, y1) in enumerate(BOXES):
        found = results[900 + number]
        assert found["category_id"] == (7 if y1 - y0 > x1 - x0 else 3)
        np.testing.assert_allclose(found["bbox"], [x0, y0, x1 - x0, y1 - y0], atol=2.5)
    assert coco_map(pictures / "instances.json", list(results.values())) == 1.0
    assert coco_map(coco_truth(service, job), list(results.values())) == 1.0
    files = evaluated(service, model, source="folder", folder=str(pictures / "images"), dataset_id=run.folder.id)
    others = {result["image_id"]: result for result in coco_results(service, files)}
    assert others.keys() == results.keys()
    for number, found in others.items():
        assert found["bbox"] == pytest.approx(results[number]["bbox"], abs=0.01)


def test_one_picture_at_once_has_its_boxes_beside_the_outputs(service: Service, pictures: Path) -> None:
    _, model = made(service, pictures, resize_image_width=64, resize_image_height=64, resize_mode="fill")
    loaded = LoadedModel(get_engine("pytorch"), service.folder(model).path / "snapshots/epoch_1.safetensors", "cpu")
    path = pictures / "images" / "0.png"
    for entry, arrays in (({"path": str(path)}, {}), ({"file": "p"}, {"p": np.frombuffer(path.read_bytes(), np.uint8)})):
        found = answer(loaded, Message({"op": "predict", "pictures": [entry], "in_picture": True}, arrays))
        origin = Origin.of_numbers(found.header["results"][0]["origin"])
        assert (origin.size, origin.prepared) == ((60, 40), (64, 64))
        task = of("detection", Labels.of_snapshot(loaded.meta))
        told = in_picture(found.arrays["0/in_picture"], origin, task, loaded.meta)
        assert told["size"] == [60, 40]
        (box,) = told["boxes"]
        np.testing.assert_allclose(box["box"], BOXES[0], atol=1.5)
        assert box["label"] == "wide"
        raw = found.arrays["0/output/boxes"][0, :4].reshape(2, 2)
        np.testing.assert_allclose(((raw - told["offset"]) * told["scale"]).ravel(), box["box"], rtol=1e-5)
    loaded.close()


def test_a_record_is_answered_in_the_pixels_of_its_picture(service: Service, pictures: Path) -> None:
    run, model = made(service, pictures, resize_image_width=64, resize_image_height=64, resize_mode="fill")
    loaded = LoadedModel(get_engine("pytorch"), service.folder(model).path / "snapshots/epoch_1.safetensors", "cpu")
    reader = run.reader()
    for number, path in enumerate(reader.column("source", range(len(reader)))):
        record = record_picture(reader, number, run.info.extra)
        entry, arrays = picture_entry(record, "p")
        found = answer(loaded, Message({"op": "predict", "pictures": [entry], "in_picture": True}, arrays))
        place = int(Path(path).stem)
        assert Origin.of_numbers(found.header["results"][0]["origin"]).size == SIZES[place]
        np.testing.assert_allclose(found.arrays["0/in_picture"][0, :4], BOXES[place], atol=2.5)
        assert _pixels_of(record) == "picture"
    loaded.close()
    unknown = record_picture(reader, 0, {})  # of a plugin nothing is known of how it made its arrays
    assert (unknown.origin, _pixels_of(unknown)) == (None, "record")


def ids_of(pictures: Path, folder: Path, picture: Any, category: Any) -> Path:
    """The COCO file with other ids."""
    known = json.loads((pictures / "instances.json").read_text())
    for one in known["images"]:
        one["id"] = picture(one["id"])
    for one in known["categories"]:
        one["id"] = category(one["id"])
    for one in known["annotations"]:
        one["image_id"], one["category_id"] = picture(one["image_id"]), category(one["category_id"])
    folder.mkdir(exist_ok=True)
    file = folder / "own.json"
    file.write_text(json.dumps(known))
    return file


@pytest.mark.parametrize("texts", [True, False], ids=["texts", "another file for validation"])
def test_results_have_the_ids_of_ones_own_file_as_it_writes_them(
    service: Service, pictures: Path, tmp_path: Path, texts: bool
) -> None:
    if texts:
        own, split = ids_of(pictures, tmp_path, lambda n: f"{n}", lambda n: f"0{n}"), TRAIN_DB
        run, model = made(service, pictures, train_label_folder=str(own))
    else:
        own, split = ids_of(pictures, tmp_path, lambda n: n + 5, lambda n: n + 40), VAL_DB
        images = tmp_path / "val"
        shutil.copytree(pictures / "images", images)
        run, model = made(service, pictures, val_image_folder=str(images), val_label_folder=str(own))
    job = evaluated(service, model, source="split", split=split, dataset_id=run.folder.id)
    results, truth = list(coco_results(service, job)), coco_truth(service, job)
    known = json.loads(own.read_text())
    assert {one["image_id"] for one in results} == {one["id"] for one in known["images"]}
    assert {one["category_id"] for one in results} == {one["id"] for one in known["categories"]}
    assert {one["name"]: one["id"] for one in truth["categories"]} == {one["name"]: one["id"] for one in known["categories"]}
    files = {"truth": truth, "results": results}
    for name, value in files.items():
        (tmp_path / f"{name}.json").write_text(json.dumps(value))
    for file in (own, tmp_path / "truth.json"):
        with contextlib.redirect_stdout(io.StringIO()):
            coco = COCO(str(file))
            counted = COCOeval(coco, coco.loadRes(str(tmp_path / "results.json")), "bbox")
            counted.evaluate()
            counted.accumulate()
            counted.summarize()
        assert counted.stats[1] == 1.0


def test_new_ids_are_of_the_type_of_those_that_are_there() -> None:
    assert [NewIds.beside(ids).numbered(2) for ids in ((), (3, 9), ("3", "b"), ("9", 4))] == [2, 12, "6", 12]
