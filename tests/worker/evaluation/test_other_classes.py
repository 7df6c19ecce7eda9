"""Evaluations on a set whose classes are not the model's: another order, classes that it does not know (the first among them),
classes that the set does not have, and what is to be ignored. The right values are those of a library on what remains."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from sklearn import metrics

from digits.domain.datasets import VAL_DB
from digits.domain.events import WarningEvent
from digits.domain.inference import EvaluationSpec
from digits.engines.base import LayerReport, Predictor
from digits.errors import LoadImageError
from digits.service.evaluations.results import about_classes
from digits.storage.events import read_events
from digits.storage.files import read_json, write_json
from digits.storage.folders import JobsDir
from digits.storage.predictions import PredictionReader
from digits.storage.records.reader import BOX_CROWD, BOX_DTYPE, BOX_IGNORED
from digits.testing.runs import make_dataset
from digits.utils.image import load_image
from digits.worker import loading
from digits.worker.evaluation.sources import FolderSource
from tests.worker.evaluation import evaluating

MODEL_ID, JOB_ID, DATASET_ID = "20260101-000000-aaaa", "20260101-000001-bbbb", "20260101-000002-cccc"
META = {
    "label_shape": [],
    "input_shape": [1, 8, 8],
    "stored_shape": [1, 8, 8],
    "preparation": {"dtype": "uint8", "label_scale": 1.0},
    "image": {"channels": 1, "width": 8, "height": 8, "resize_mode": "squash", "keep_size": False},
    "outputs": ["output"],
}


class Told(Predictor):
    """Answers to a picture what stands in `answers` at the place that the picture's first pixel names."""

    def __init__(self, meta: dict[str, Any], answers: np.ndarray) -> None:
        self.meta, self.answers = meta, answers

    def predict(self, batch: np.ndarray) -> dict[str, np.ndarray]:
        return {"output": self.answers[batch[:, 0, 0, 0].astype(int)]}

    def layers(self, feature: np.ndarray) -> list[LayerReport]:
        return []

    def close(self) -> None:
        """Nothing is held."""


def numbered(count: int) -> np.ndarray:
    """Pictures uint8 (N, 1, 8, 8), all pixels of which are their number."""
    return np.tile(np.arange(count, dtype=np.uint8)[:, None, None, None], (1, 1, 8, 8))


class Evaluation:
    def __init__(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.path, self.monkeypatch = tmp_path, monkeypatch
        self.columns: tuple[str, ...] = ()
        self.jobs_dir = JobsDir(tmp_path / "jobs")
        self.jobs_dir.prepare()
        snapshot = self.jobs_dir.folder(MODEL_ID).path / "snapshots" / "epoch_1.safetensors"
        snapshot.parent.mkdir(parents=True)
        snapshot.touch()

    def of(
        self, task: str, ours: tuple[str, ...], answers: Any, kind: str, theirs: tuple[str, ...], labels: Any
    ) -> tuple[dict[str, Any], PredictionReader]:
        """Of the answers (N, …) of a model with the classes `ours` on a split with the classes `theirs`."""
        folder = self.jobs_dir.folder(DATASET_ID).path
        make_dataset(
            folder,
            numbered(len(labels)),
            labels,
            task=task,
            label_kind=kind,
            class_labels=theirs,
            validation=len(labels),
        )
        return self.run(task, ours, answers, kind, source="split", dataset_id=DATASET_ID, split=VAL_DB)

    def run(
        self, task: str, ours: tuple[str, ...], answers: Any, kind: str, **spec: Any
    ) -> tuple[dict[str, Any], PredictionReader]:
        meta = {**META, "task": task, "class_labels": list(ours), "label_kind": kind}
        meta["label_shape"] = {"map": [1, 8, 8], "boxes": None, "vector": [len(ours or self.columns)]}.get(kind, [])
        meta["image"] = {**META["image"], "columns": list(self.columns)}

        class Engine:
            def load(self, snapshot: Path, device: str) -> Predictor:
                return Told(meta, np.asarray(answers, np.float32))

        self.monkeypatch.setattr(loading, "get_engine", lambda framework: Engine())
        values = EvaluationSpec(MODEL_ID, "snapshots/epoch_1.safetensors", 1.0, roots=(str(self.path),), **spec)
        context = evaluating.context_for(self.jobs_dir, JOB_ID, task, values)
        return evaluating.run(context), evaluating.kept_by(context.folder.path)


@pytest.fixture
def evaluate(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Evaluation:
    return Evaluation(tmp_path, monkeypatch)


def test_a_class_of_pictures_that_the_model_does_not_know(evaluate: Evaluation) -> None:
    ours, theirs = ("cat", "dog", "cow"), ("fox", "Dog", "cat", "wolf")
    labels = np.array([0, 1, 1, 2, 3, 0])
    answers = np.eye(3)[[0, 1, 0, 0, 2, 1]]
    result, rows = evaluate.of("classification", ours, answers, "index", theirs, labels)
    true, found = [1, 1, 0], [1, 0, 0]  # of the dogs and the cat
    assert (result["count"], result["labelled"]) == (6, 3)
    assert result["top1"] == pytest.approx(metrics.accuracy_score(true, found))
    assert result["unknown_classes"] == [{"label": "fox", "count": 2}, {"label": "wolf", "count": 1}]
    assert result["missing_classes"] == ["cow"]
    assert rows.labels().tolist() == [-1, 1, 1, 0, -1, -1]
    assert [row.unknown_label for row in rows.rows(range(6))] == [0, -1, -1, -1, 1, 0]
    unknown, missing = about_classes(result)
    assert unknown.startswith("The model does not know “fox” (2 pictures), “wolf” (1 pictures). These pictures are predicted")
    assert "“cow”" in missing


def test_columns_of_another_set_are_found_by_their_names(evaluate: Evaluation) -> None:
    """A model of x and y is measured alike on sets with y before x and with others between them."""
    answers = np.random.default_rng(1).random((8, 2))
    truth = answers + np.random.default_rng(2).random((8, 2)) / 10
    expected = None
    for columns in (("x", "y"), ("y", "x"), ("y", "weight", "x")):
        labels = np.stack([{"x": truth[:, 0], "y": truth[:, 1], "weight": np.arange(8.0)}[name] for name in columns], axis=1)
        folder = evaluate.jobs_dir.folder(DATASET_ID).path
        shutil.rmtree(folder, ignore_errors=True)
        make_dataset(folder, numbered(8), labels.astype(np.float32), task="regression", label_kind="vector", validation=8)
        info = read_json(folder / "dataset.json")
        write_json(folder / "dataset.json", {**info, "extra": {**info["extra"], "columns": list(columns)}})
        evaluate.columns = ("x", "y")
        shutil.rmtree(evaluate.jobs_dir.folder(JOB_ID).path, ignore_errors=True)
        result, _ = evaluate.run("regression", (), answers, "vector", source="split", dataset_id=DATASET_ID, split=VAL_DB)
        found = [result["metrics"][name] for name in sorted(result["metrics"])]
        expected = expected or found
        assert found == pytest.approx(expected)
        assert result["metrics"]["mae"] == pytest.approx(metrics.mean_absolute_error(truth, answers), rel=1e-5)


def test_folders_beside_those_of_classes_are_classes(evaluate: Evaluation, tmp_path: Path) -> None:
    folders = ["set/cat", "set/polar_bear/winter", "set/red_fox", "set/.thumbs", "loose"]
    for number, name in enumerate(folders):
        folder = tmp_path / "pictures" / name
        folder.mkdir(parents=True)
        Image.fromarray(np.full((8, 8), number, np.uint8)).save(folder / "x.png")
    answers = np.eye(2)[[0, 1, 0, 0, 0]]
    found = evaluate.run(
        "classification", ("cat", "polar bear"), answers, "index", source="folder", folder=str(tmp_path / "pictures")
    )
    result, rows = found
    assert (result["count"], result["labelled"], result["top1"]) == (4, 2, 1.0)  # the hidden folder is left out
    assert result["unknown_classes"] == [{"label": "red fox", "count": 1}]
    unknown = rows.rows(range(4))
    assert [row.path.removeprefix(f"{tmp_path}/pictures/") for row in unknown if row.unknown_label == 0] == ["set/red_fox/x.png"]


def test_numbers_of_a_list_that_are_no_classes(evaluate: Evaluation, tmp_path: Path) -> None:
    for number in range(4):
        Image.fromarray(np.full((8, 8), number, np.uint8)).save(tmp_path / f"{number}.png")
    lines = tmp_path / "list.txt"
    lines.write_text("0.png 1\n1.png 7\n2.png -1\n3.png\n")
    spec = {"source": "list", "list_file": str(lines), "folder": str(tmp_path)}
    result, rows = evaluate.run("classification", ("cat", "dog"), np.eye(2)[[1, 1, 1, 1]], "index", **spec)
    assert (result["labelled"], result["top1"]) == (1, 1.0)
    assert result["unknown_classes"] == [{"label": "class 7", "count": 1}]
    assert rows.labels().tolist() == [1, -1, -1, -1]


@pytest.mark.parametrize(
    ("labels", "said"),
    [
        ((0, 1, 7), "go up to 7, and the model has 2 classes, 0 to 1: it may be a list of another data set"),
        ((1, 2, 1), "go from 1 to 2, and the model has 2 classes, 0 to 1: they seem to be counted from 1"),
        ((0, 1, -1), ""),
        ((0, 0, 1), ""),
    ],
)
def test_a_list_that_fits_in_part_is_said_to(evaluate: Evaluation, tmp_path: Path, labels: tuple[int, ...], said: str) -> None:
    for number, _ in enumerate(labels):
        Image.fromarray(np.full((8, 8), number, np.uint8)).save(tmp_path / f"{number}.png")
    lines = tmp_path / "list.txt"
    lines.write_text("".join(f"{number}.png {label}\n" for number, label in enumerate(labels)))
    spec = {"source": "list", "list_file": str(lines), "folder": str(tmp_path)}
    evaluate.run("classification", ("cat", "dog"), np.eye(2)[[1, 1, 1]], "index", **spec)
    events = [event for _, event in read_events(evaluate.jobs_dir.folder(JOB_ID).events_file)]
    warned = [event.message for event in events if isinstance(event, WarningEvent)]
    assert (len(warned), all(said in text for text in warned)) == (bool(said), True), warned


def test_arrays_in_a_folder_are_answered_or_named(evaluate: Evaluation, tmp_path: Path) -> None:
    """An 8-bit model cannot take an array in a file, which is said; it was passed over."""
    folder = tmp_path / "pictures"
    folder.mkdir()
    Image.fromarray(np.zeros((8, 8), np.uint8)).save(folder / "0.png")
    np.save(folder / "1.npy", np.ones((8, 8), np.uint8))
    result, _ = evaluate.run("classification", ("cat", "dog"), np.eye(2), "index", source="folder", folder=str(folder))
    assert (result["count"], result["skipped"]) == (1, 1)
    with pytest.raises(LoadImageError, match="is a NumPy array, where a picture of 8 bits is needed"):
        load_image(folder / "1.npy")
    deep = {**META, "preparation": {"dtype": "float32"}, "image": {}, "task": "classification", "class_labels": ["cat", "dog"]}
    spec = EvaluationSpec(MODEL_ID, "x", 1.0, source="folder", folder=str(folder), roots=(str(tmp_path),))
    source = FolderSource(folder, spec, deep)
    (batch,) = (reading() for reading in source.readings(4))
    assert [Path(path).name for path in batch.paths] == ["0.png", "1.npy"]
    assert batch.features[1].max() == 1


def test_labels_that_the_model_or_the_set_does_not_know(evaluate: Evaluation) -> None:
    """The set has no label `dog`: whether a picture shows one is not known, so that 'dog' is neither right nor wrong."""
    ours, theirs = ("cat", "dog", "cow"), ("fox", "cow", "cat")
    labels = np.array([[1, 0, 1], [0, 1, 1], [1, 1, 0], [0, 0, 0]], np.float32)
    answers = np.array([[0.9, 0.9, 0.2], [0.4, 0.8, 0.7], [0.6, 0.1, 0.3], [0.1, 0.9, 0.8]])
    result, rows = evaluate.of("multi_label", ours, answers, "vector", theirs, labels)
    true, scores = labels[:, [2, 1]], answers[:, [0, 2]]
    found = scores >= 0.5
    assert result["metrics"]["mean_ap"] == pytest.approx(metrics.average_precision_score(true, scores, average="macro"))
    assert result["metrics"]["f1_macro"] == pytest.approx(metrics.f1_score(true, found, average="macro"))
    assert result["metrics"]["f1_micro"] == pytest.approx(metrics.f1_score(true, found, average="micro"))
    assert [row["f1"] is None for row in result["per_class"]] == [False, True, False]
    assert rows.rows([0])[0].values["f1_micro"] == 1
    assert result["unknown_classes"] == [{"label": "fox", "count": 2}]
    assert result["missing_classes"] == ["dog"]


def test_pixels_of_unknown_classes_and_void(evaluate: Evaluation) -> None:
    rng = np.random.default_rng(0)
    ours, theirs = ("back", "cell", "edge"), ("dust", "edge", "back", "cell")
    labels = rng.choice([0, 1, 2, 3, 255], (5, 1, 8, 8)).astype(np.uint8)
    made = rng.integers(0, 3, (5, 8, 8))
    result, _ = evaluate.of("segmentation", ours, np.eye(3)[made].transpose(0, 3, 1, 2), "map", theirs, labels)
    kept = (labels[:, 0] != 255) & (labels[:, 0] != 0)
    true = np.array([-1, 2, 0, 1])[labels[:, 0][kept]]
    assert result["metrics"]["pixel_accuracy"] == pytest.approx(metrics.accuracy_score(true, made[kept]))
    assert result["metrics"]["mean_iou"] == pytest.approx(metrics.jaccard_score(true, made[kept], average="macro"))
    assert result["metrics"]["mean_dice"] == pytest.approx(metrics.f1_score(true, made[kept], average="macro"))
    assert result["unknown_classes"] == [{"label": "dust", "count": int((labels == 0).sum())}]


def test_the_class_whose_number_is_void_in_the_other_set(evaluate: Evaluation) -> None:
    """A model of 300 classes knows a class of the number 255, which in the other set is what does not count."""
    ours, theirs = tuple(f"c{n}" for n in range(300)), ("c255", "c3")
    labels = np.zeros((2, 1, 8, 8), np.uint8)
    labels[:, :, :2], labels[:, :, 7] = 1, 255
    made = np.where(labels[:, 0] == 1, 3, 255)
    made[0, 3, 0] = 7
    result, _ = evaluate.of("segmentation", ours, np.eye(300)[made].transpose(0, 3, 1, 2), "map", theirs, labels)
    assert result["metrics"]["pixel_accuracy"] == pytest.approx(1 - 1 / 112)


def boxes(*rows: tuple[float, ...]) -> np.ndarray:
    return np.array(list(rows), BOX_DTYPE)


CAR, PERSON, REGION = (10, 10, 30, 30), (40, 10, 50, 40), (60, 60, 90, 90)


def detected(*rows: tuple[Any, float, int]) -> np.ndarray:
    """Detections (4, 6): place, score and class; rows of zeros fill up."""
    found = np.zeros((4, 6))
    for line, (place, score, number) in zip(found, rows, strict=False):
        line[:] = (*place, score, number)
    return found


def test_regions_to_be_ignored_stay_where_the_first_class_is_unknown(evaluate: Evaluation) -> None:
    """A perfect model that also detects something in DontCare regions: nothing of that is wrong."""
    theirs = ("tram", "person", "car")
    labels = [
        boxes((*CAR, 2, 0), (*REGION, -1, BOX_IGNORED)),
        boxes((*PERSON, 1, 0), (*REGION, 0, BOX_IGNORED)),
        boxes((*REGION, 2, BOX_CROWD), (*CAR, 2, 0)),
    ]
    inside = (62, 62, 80, 80)
    answers = [
        detected((inside, 0.99, 0), (CAR, 0.9, 0)),
        detected((inside, 0.98, 1), (PERSON, 0.9, 1)),
        detected((inside, 0.97, 0), (CAR, 0.9, 0)),
    ]
    result, _ = evaluate.of("detection", ("car", "person"), answers, "boxes", theirs, labels)
    found = result["metrics"]
    assert (found["map"], found["map50"], found["precision"], found["recall"]) == (1, 1, 1, 1)
    assert result["unknown_classes"] == [{"label": "tram", "count": 0}]
    assert about_classes(result) == []


def test_objects_that_the_model_or_the_set_does_not_know(evaluate: Evaluation) -> None:
    """The tram is found as a car (wrong), persons are not told by the set (neither right nor wrong)."""
    labels = [boxes((*CAR, 1, 0), (*REGION, 0, 0))]
    answers = [detected((REGION, 0.95, 0), (CAR, 0.9, 0), (PERSON, 0.8, 1))]
    result, _ = evaluate.of("detection", ("car", "person"), answers, "boxes", ("tram", "car"), labels)
    assert result["metrics"]["map50"] == pytest.approx(0.5)
    assert (result["metrics"]["precision"], result["metrics"]["recall"]) == (0.5, 1)
    assert result["unknown_classes"] == [{"label": "tram", "count": 1}]
    assert result["missing_classes"] == ["person"]
    assert "detections of them are left out" in about_classes(result)[1]
