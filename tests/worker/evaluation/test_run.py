"""Evaluations: many pictures from a list, a folder or records become predictions and numbers a library would agree with."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from sklearn import metrics

from digits.domain.datasets import DatasetInfo, RecordMeta, SplitInfo
from digits.domain.events import ProgressEvent, WarningEvent
from digits.domain.inference import EvaluationSpec
from digits.errors import DataError, JobStopped, StorageError
from digits.metrics.classification_report import ClassificationReport
from digits.storage.events import read_events
from digits.storage.files import write_json
from digits.storage.folders import JobsDir
from digits.storage.predictions import PREDICTIONS_FILE, PredictionReader
from digits.storage.records.reader import RecordChunk, RecordWriter
from digits.storage.validation_pictures import FILE, read_pictures
from digits.worker import loading
from digits.worker.evaluation.sources import parse_line
from digits.worker.runtime import WorkerContext
from tests.predictor.fake_engine import LABELS, FakeEngine, write_snapshot
from tests.worker.evaluation import evaluating

MODEL_ID = "20260101-000000-aaaa"
JOB_ID = "20260101-000001-bbbb"
DATASET_ID = "20260101-000002-cccc"
LEVELS = {"dark": 10, "middle": 120, "bright": 250}


@pytest.fixture
def jobs_dir(tmp_path, monkeypatch):
    monkeypatch.setattr(loading, "get_engine", lambda framework: FakeEngine())
    jobs_dir = JobsDir(tmp_path / "jobs")
    jobs_dir.prepare()
    write_snapshot(jobs_dir.folder(MODEL_ID).path / "snapshots" / "epoch_1.json")
    return jobs_dir


@pytest.fixture
def pictures(tmp_path):
    """Three pictures of each class, in folders named like the classes."""
    root = tmp_path / "pictures"
    for name, level in LEVELS.items():
        (root / name).mkdir(parents=True)
        for number in range(3):
            Image.fromarray(np.full((12, 9), level, np.uint8)).save(root / name / f"{number} é.png")
    return root


def context_for(jobs_dir: JobsDir, roots=(), **spec) -> WorkerContext:
    options = {"framework": "fake", "roots": tuple(str(r) for r in roots)}
    values = EvaluationSpec(model_id=MODEL_ID, snapshot="snapshots/epoch_1.json", epoch=1.0, **options, **spec)
    return evaluating.context_for(jobs_dir, JOB_ID, "classification", values)


def run(context: WorkerContext) -> tuple[dict, PredictionReader]:
    return evaluating.run(context), evaluating.kept_by(context.folder.path)


def write_list(context: WorkerContext, lines: list[str]) -> None:
    (context.folder.path / "images.txt").write_text("\n".join(lines) + "\n")


def test_a_list_with_labels_gives_accuracy_and_keeps_the_order(jobs_dir, pictures):
    context = context_for(jobs_dir, [pictures], source="list", list_file="images.txt", folder=str(pictures))
    lines = [f"{name}/{n} é.png {LABELS.index(name)}" for n in range(3) for name in LABELS]
    lines[0] = lines[0].replace(" 0", " 2") if lines[0].endswith(" 0") else lines[0]  # one label that is not true
    write_list(context, [*lines, "", f"{pictures}/dark/1 é.png", "dark/2 é.png -1", "dark/2 é.png 99", "absent.png 0"])
    result, rows = run(context)
    assert (result["count"], result["labelled"], result["skipped"]) == (12, 9, 1)
    assert result["top1"] == pytest.approx(8 / 9)
    assert result["top5"] is None  # of three classes
    assert result["confusion"] == [[0, 0, 2], [1, 1, 3], [2, 0, 1], [2, 2, 3]]
    assert [r.path for r in rows.rows(range(2))] == [f"{pictures}/dark/0 é.png", f"{pictures}/middle/0 é.png"]
    assert rows.labels().tolist() == [2, 1, 2, 0, 1, 2, 0, 1, 2, -1, -1, -1]
    problem = json.loads(context.folder.problems_file.read_text())
    assert problem["path"] == f"{pictures}/absent.png"
    events = [event for _, event in read_events(context.folder.events_file)]
    assert any(isinstance(e, WarningEvent) and "1 of 13" in e.message for e in events)
    assert [e for e in events if isinstance(e, ProgressEvent)][-1].fraction == 1.0


def test_a_folder_knows_the_classes_by_the_names_of_its_folders(jobs_dir, pictures):
    (pictures / "other").mkdir()
    Image.fromarray(np.full((5, 5), 250, np.uint8)).save(pictures / "other" / "x.png")
    (pictures / "notes.txt").write_text("no picture")
    result, rows = run(context_for(jobs_dir, [pictures], source="folder", folder=str(pictures)))
    assert (result["count"], result["labelled"], result["top1"]) == (10, 9, 1.0)
    assert {row.path for row in rows.rows(rows.select(only="wrong"))} == set()
    best = result["top"]["2"]
    assert len(best) == 9
    assert {rows.rows([row])[0].path for row, _ in best[:4]} == {
        f"{pictures}/other/x.png",
        *(f"{pictures}/bright/{n} é.png" for n in range(3)),
    }


def make_dataset(jobs_dir: JobsDir, labels: tuple[str, ...], features: np.ndarray, classes: np.ndarray) -> None:
    folder = jobs_dir.folder(DATASET_ID)
    shape = features.shape[1:]
    meta = RecordMeta("classification", shape, class_labels=labels)
    writer = RecordWriter(folder.path / "val_db", meta)
    keys = [f"{i:08d}" for i in range(len(features))]
    writer.append(RecordChunk(keys, features, classes, sources=[f"/pictures/{k}.png" for k in keys]))
    writer.finish()
    info = DatasetInfo("classification", labels, {"val_db": SplitInfo("val_db", len(features), meta)}, shape)
    write_json(folder.dataset_file, info.to_json())


def test_a_snapshot_that_was_written_over_meanwhile_is_not_measured_as_the_epoch_that_was_asked_for(jobs_dir, pictures):
    write_snapshot(jobs_dir.folder(MODEL_ID).path / "snapshots" / "epoch_1.json", epoch=20.0)
    context = context_for(jobs_dir, [pictures], source="folder", folder=str(pictures))
    with pytest.raises(DataError, match="holds epoch 20 by now, not epoch 1:") as refused:
        run(context)
    assert "Start anew with epoch 20" in refused.value.advice
    assert not context.folder.result_file.exists()


def test_an_epoch_is_known_by_the_rounded_number_that_its_snapshot_is_named_by(jobs_dir, pictures):
    write_snapshot(jobs_dir.folder(MODEL_ID).path / "snapshots" / "epoch_1.json", epoch=1 + 1e-9)
    result, _ = run(context_for(jobs_dir, [pictures], source="folder", folder=str(pictures)))
    assert result["epoch"] == 1.0


def test_a_split_is_predicted_from_its_records(jobs_dir):
    levels = np.array([10, 120, 250] * 300, np.uint8)
    make_dataset(jobs_dir, LABELS, np.tile(levels[:, None, None, None], (1, 1, 8, 8)), np.arange(900) % 3)
    context = context_for(jobs_dir, source="split", split="val_db", dataset_id=DATASET_ID)
    result, rows = run(context)
    assert (result["count"], result["top1"], result["skipped"]) == (900, 1.0, 0)
    kept = read_pictures(context.folder.path / FILE)  # for comparisons
    assert kept.records.tolist() == list(range(900))
    assert (kept.columns["rank"] == 0).all()
    assert kept.columns["label"].tolist() == [0, 1, 2] * 300
    assert (kept.about["snapshot"], kept.about["split"]) == ("snapshots/epoch_1.json", "val_db")
    row = rows.rows([899])[0]
    assert (row.record, row.path, row.label, row.top[0][0]) == (899, "/pictures/00000899.png", 2, 2)


@pytest.mark.parametrize("shape", [(1, 20, 12), (3, 8, 8), (3, 5, 30)])
def test_pictures_of_another_data_set_are_brought_to_the_models_size_and_channels(jobs_dir, shape):
    levels = np.array([10, 120, 250], np.uint8)
    make_dataset(jobs_dir, LABELS, np.tile(levels[:, None, None, None], (1, *shape)), np.arange(3))
    result, rows = run(context_for(jobs_dir, source="split", split="val_db", dataset_id=DATASET_ID))
    assert (result["count"], result["top1"], result["skipped"]) == (3, 1.0, 0)
    assert rows.labels().tolist() == [0, 1, 2]


def test_classes_of_another_data_set_are_matched_by_name(jobs_dir):
    levels = np.array([250, 120, 10, 10], np.uint8)
    make_dataset(
        jobs_dir, ("bright", "middle", "unheard of", "dark"), np.tile(levels[:, None, None, None], (1, 1, 8, 8)), np.arange(4)
    )
    result, rows = run(context_for(jobs_dir, source="split", split="val_db", dataset_id=DATASET_ID, limit=0))
    assert rows.labels().tolist() == [2, 1, -1, 0]
    assert (result["labelled"], result["top1"]) == (3, 1.0)


def test_the_first_n_are_kept(jobs_dir, pictures):
    result, _ = run(context_for(jobs_dir, [pictures], source="folder", folder=str(pictures), limit=4))
    assert result["count"] == 4


def test_files_outside_the_allowed_folders_are_not_read(jobs_dir, pictures, tmp_path):
    secret = tmp_path / "secret"
    secret.mkdir()
    Image.fromarray(np.zeros((5, 5), np.uint8)).save(secret / "s.png")
    (pictures / "link.png").symlink_to(secret / "s.png")
    (pictures / "linked").symlink_to(secret)
    context = context_for(jobs_dir, [pictures, tmp_path / "jobs"], source="list", list_file="images.txt")
    Image.fromarray(np.zeros((5, 5), np.uint8)).save(jobs_dir.hidden / "h.png")
    bad = [
        f"{secret}/s.png",
        f"{pictures}/../secret/s.png",
        f"{pictures}/link.png",
        f"{pictures}/linked/s.png",
        f"{jobs_dir.hidden}/h.png",
        "relative.png",
        "http://127.0.0.1/x.png",
        "/etc/passwd",
    ]
    write_list(context, [*bad, f"{pictures}/dark/0 é.png"])
    result, _ = run(context)
    assert (result["count"], result["skipped"]) == (1, len(bad))


def test_links_in_a_folder_give_no_class_another_one_s_pictures_and_tell_no_names(jobs_dir, pictures, tmp_path):
    secret = tmp_path / "secret"
    secret.mkdir()
    Image.fromarray(np.zeros((5, 5), np.uint8)).save(secret / "private.png")
    before, _ = run(context_for(jobs_dir, [pictures], source="folder", folder=str(pictures)))
    first, *_, last = sorted(path for path in pictures.iterdir() if path.is_dir())
    (first / "linked").symlink_to(last)
    (first / "up").symlink_to("..")
    (first / "private").symlink_to(secret)
    context = context_for(jobs_dir, [pictures], source="folder", folder=str(pictures))
    result, _ = run(context)
    same = ("count", "labelled", "top1")
    assert [result[name] for name in same] == [before[name] for name in same]
    assert result["skipped"] == before["skipped"] + 1
    kept = "".join(path.read_text(errors="replace") for path in context.folder.path.rglob("*") if path.is_file())
    assert "private.png" not in kept


def test_nothing_but_unreadable_pictures_is_an_error_with_the_reason(jobs_dir, pictures):
    context = context_for(jobs_dir, [pictures], source="list", list_file="images.txt")
    (pictures / "t.png").write_text("I am text")
    write_list(context, [f"{pictures}/t.png"] * 3)
    with pytest.raises(DataError, match=r"None of the 3 pictures.*is no picture"):
        run(context)
    assert not context.folder.result_file.exists()


def test_an_empty_list_is_an_error(jobs_dir):
    context = context_for(jobs_dir, source="list", list_file="images.txt")
    write_list(context, [" "])
    with pytest.raises(DataError, match="no picture"):
        run(context)


def test_a_lost_snapshot_is_an_error(jobs_dir):
    (jobs_dir.folder(MODEL_ID).path / "snapshots" / "epoch_1.json").unlink()
    with pytest.raises(StorageError, match="has no snapshot"):
        run(context_for(jobs_dir, source="list", list_file="images.txt"))


def test_a_stop_leaves_no_result(jobs_dir, pictures):
    context = context_for(jobs_dir, [pictures], source="folder", folder=str(pictures))
    context.stop.set()
    with pytest.raises(JobStopped):
        run(context)
    assert not (context.folder.path / PREDICTIONS_FILE).exists()


@pytest.mark.parametrize(
    ("line", "path", "label"),
    [
        ("/a/b.png 3", "/a/b.png", 3),
        ("/a/b c.png\t12", "/a/b c.png", 12),
        ("/a/b c.png", "/a/b c.png", -1),
        ("b.png -1", "/base/b.png", -1),
        ("7 days.png", "/base/7 days.png", -1),
        ("7 days 7", "/base/7 days", 7),
        ("http://x/y.png 1", "http://x/y.png", 1),
    ],
)
def test_lines_of_a_list(line, path, label):
    assert parse_line(line + "\n", "/base") == (path, label)


def test_the_numbers_are_those_of_scikit_learn():
    random = np.random.default_rng(7)
    logits = random.normal(size=(500, 12)).astype(np.float32)
    labels = random.integers(0, 12, 500)
    logits[np.arange(500), labels] += 1.0
    scores = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    report = ClassificationReport([f"c{i}" for i in range(12)], 9)
    for start in range(0, 500, 64):
        report.add(np.log(scores[start : start + 64]), labels[start : start + 64])
    summary = report.summary()
    predicted = scores.argmax(axis=1)
    assert summary["top1"] == pytest.approx(metrics.accuracy_score(labels, predicted))
    assert summary["top5"] == pytest.approx(metrics.top_k_accuracy_score(labels, scores, k=5))
    assert summary["loss"] == pytest.approx(metrics.log_loss(labels, scores), rel=1e-5)
    matrix = np.zeros((12, 12), int)
    for true, guess, count in summary["confusion"]:
        matrix[true, guess] = count
    assert matrix.tolist() == metrics.confusion_matrix(labels, predicted).tolist()
    precision, recall, f1, _ = metrics.precision_recall_fscore_support(labels, predicted)
    for i, row in enumerate(summary["per_class"]):
        assert (row["precision"], row["accuracy"], row["f1"]) == pytest.approx((precision[i], recall[i], f1[i]))
    for i in range(12):
        expected = np.argsort(-scores[:, i], kind="stable")[:9]
        assert [row for row, _ in summary["top"][str(i)]] == expected.tolist()


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_outputs_that_are_no_numbers_are_the_worst(tmp_path, bad):
    """Ahead of the others from the worst on and behind them from the best on; pictures without a truth come last either way."""
    from digits.metrics.regression import Errors
    from digits.storage.predictions import writing_predictions
    from digits.tasks.picture_report import PictureReport

    ranked = ClassificationReport(["no", "yes"], 9)
    logs = np.log(np.array([[0.9, 0.1], [0.4, 0.6], [0.5, 0.5], [0.5, 0.5]], np.float32))
    logs[2:, 0] = bad
    with writing_predictions(tmp_path / "ranked.arrow", ranked.columns) as writer:
        writer.append(list("abcd"), np.full(4, -1), ranked.add(logs, np.array([0, 0, 0, -1])))
    reader = PredictionReader(tmp_path / "ranked.arrow")
    assert reader.select(sort="loss", descending=True).tolist() == [2, 1, 0, 3]
    assert reader.select(sort="loss").tolist() == [0, 1, 2, 3]

    report = PictureReport(("mae", "r2"), lambda: [Errors()], lambda made, truth: (made[None], truth[None]))
    made = [np.array(values, np.float32) for values in ([1, 2], [bad, 0], [3, 9])]
    with writing_predictions(tmp_path / "numbers.arrow", report.columns) as writer:
        writer.append(list("abc"), np.arange(3), report.add(made, [np.array([1.0, 2.5])] * 3))
    reader = PredictionReader(tmp_path / "numbers.arrow")
    assert reader.select(sort="mae", descending=True).tolist() == [1, 2, 0]
    assert reader.select(sort="mae").tolist() == [0, 2, 1]
    assert reader.rows([1])[0].values["mae"] is None


def test_predictions_are_filtered_and_sorted(jobs_dir, tmp_path):
    from digits.storage.predictions import writing_predictions

    scores = np.array([[0.9, 0.1], [0.4, 0.6], [0.2, 0.8], [0.55, 0.45]], np.float32)
    report = ClassificationReport(["no", "yes"], 9)
    with writing_predictions(tmp_path / "p.arrow", report.columns) as writer:
        writer.append(list("abc"), np.full(3, -1), report.add(np.log(scores[:3]), np.array([0, 0, 1])))
        writer.append(["d"], np.array([-1]), report.add(np.log(scores[3:]), np.array([-1])))
    reader = PredictionReader(Path(tmp_path / "p.arrow"))
    assert len(reader) == 4
    assert reader.select(only="wrong").tolist() == [1]
    assert reader.select(only="right").tolist() == [0, 2]
    assert reader.select(sort="confidence", descending=True).tolist() == [0, 2, 1, 3]
    assert reader.select(predicted=1, sort="confidence").tolist() == [1, 2]
    assert reader.select(label=0).tolist() == [0, 1]
    assert reader.select(sort="loss", descending=True).tolist()[0] == 1
    for descending in (False, True):  # what is not known comes last either way
        assert reader.select(sort="label", descending=descending).tolist()[-1] == 3
        assert reader.select(sort="loss", descending=descending).tolist()[-1] == 3
    np.testing.assert_allclose(reader.probabilities()[:], scores, rtol=1e-6)
    assert reader.rows([3])[0].loss is None
    assert reader.rows([1])[0].correct is False
    assert [len(b) for b in reader.batches(3)] == [3, 1]
