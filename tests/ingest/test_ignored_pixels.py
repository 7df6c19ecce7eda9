"""The value of pixels that do not count is the data set's own, wherever labels are counted, learned, measured or shown."""

from __future__ import annotations

import base64
import io
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from digits.domain.datasets import IGNORED, RecordMeta
from digits.engines.training.setup import labels_of
from digits.extensions import loader
from digits.ingest.split_statistics import LabelStatistics
from digits.metrics.segmentation import dice_of_picture
from digits.tasks import Labels, get
from digits.tasks.classification import class_counts
from tests.ingest.making import Run, make_job, picture, run_job

VOID = 1  # a number below that of the last class
MASK = np.array([[0, 0, VOID, VOID, VOID, 2]] * 3 + [[VOID] * 6], np.uint8)
NAMES = ("back", "nothing", "cell")


SOURCE = f"""
from digits.extensions.data.image_segmentation.data import DataIngestion as Segmentation

class DataIngestion(Segmentation):
    @staticmethod
    def get_id():
        return "own-void"

    def describe(self):
        return {{**super().describe(), "ignore_index": {VOID}}}
"""


@pytest.fixture
def installed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """The built-in source, but that 1 is what does not count, as a package."""
    site = tmp_path / "site"
    info = site / "digits_own_void-1.0.dist-info"
    info.mkdir(parents=True)
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: digits-own-void\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text("[digits.plugins.data]\nclass = digits_own_void:DataIngestion\n")
    (site / "digits_own_void.py").write_text(SOURCE)
    monkeypatch.syspath_prepend(str(site))
    loader.forget()
    yield
    loader.forget()


@pytest.fixture
def made(tmp_path: Path, installed: None) -> Run:
    for folder in ("images", "masks"):
        (tmp_path / folder).mkdir()
    for seed, name in enumerate("ab"):
        picture(seed, (6, 4)).save(tmp_path / "images" / f"{name}.png")
        Image.fromarray(MASK).save(tmp_path / "masks" / f"{name}.png")
    (tmp_path / "names.txt").write_text("\n".join(NAMES))
    folders = {"feature_folder": str(tmp_path / "images"), "label_folder": str(tmp_path / "masks"), "folder_pct_val": 0}
    data = {**folders, "class_labels_file": str(tmp_path / "names.txt")}
    return run_job(make_job(tmp_path / "jobs", "own-void", data))


def test_statistics_labels_and_snapshots_agree(made: Run) -> None:
    assert made.info.ignored == VOID
    counted = made.info.extra["labels"]["train_db"]
    assert (counted["objects"], counted["images"], counted["ignored"]) == ([12, 0, 6], [2, 0, 2], 30)
    snapshot = {"label_kind": "map", "class_labels": NAMES, "image": dict(made.info.extra)}
    meta = made.reader().meta
    found = [Labels.of_dataset(made.info), Labels.of_records(meta, made.info), Labels.of_snapshot(snapshot)]
    assert {get("segmentation").ignored_index(labels) for labels in found} == {VOID}
    maps = np.stack(made.reader().labels(range(2)))
    assert class_counts([maps], 3, VOID).tolist() == counted["objects"]


@pytest.mark.parametrize("void", [VOID, IGNORED, -1])
def test_all_that_compares_maps_leaves_the_same_pixels_out(void: int) -> None:
    task = get("segmentation")
    labels = Labels("map", (1, 4, 6), "int16", NAMES, (3, 4, 6), ignored=void)
    truth = np.where(MASK == VOID, np.int16(void), MASK.astype(np.int16))
    made = np.full((4, 6), 2)
    kept = truth != void
    dice = 2 * (truth[kept] == 2).sum() / (kept.sum() + (truth[kept] == 2).sum())
    told = task.describe_output(made, truth[None], labels)
    assert told["dice"] == pytest.approx(dice / 2) == dice_of_picture(made, truth, NAMES, void)
    metric = task.metrics(labels)[0]
    metric.update(made[None], truth[None])
    assert metric.compute()["dice/cell"] == pytest.approx(dice)
    (guess,) = task.guesses(labels, lambda: iter([np.full((1, 4, 6), void), truth[None]]), ())
    assert "back" in guess.words, "the pixels that do not count are the most frequent of all"
    statistics = LabelStatistics()
    meta = RecordMeta("segmentation", (3, 4, 6), label_kind="map", label_shape=(1, 4, 6), class_labels=NAMES)
    statistics.add(meta, [truth[None]], np.array([[3, 4, 6]]), void)
    assert (statistics.objects, statistics.ignored) == ([6, 0, 3], 15)
    shown = task.describe_label(truth[None], labels).partition(",")[2]
    with Image.open(io.BytesIO(base64.b64decode(shown))) as image:
        np.testing.assert_array_equal(np.asarray(image) == IGNORED, ~kept)


def test_losses_of_a_training_leave_them_out(made: Run, tmp_path: Path) -> None:
    torch = pytest.importorskip("torch")
    from digits.domain.training import TrainingSpec
    from digits.engines.pytorch.losses import make_loss
    from digits.engines.training.class_weights import counts_of
    from digits.testing.runs import make_run

    run = make_run(made.folder.path, tmp_path / "model", TrainingSpec("", "segmentation"), lambda event: 0)
    assert counts_of(run).tolist() == [12, 0, 6]
    ignored = get("segmentation").ignored_index(labels_of(run))
    scores = torch.randn(2, 3, 4, 6, generator=torch.Generator().manual_seed(1))
    target = torch.from_numpy(MASK.astype(np.int64)).expand(2, 4, 6)
    other = torch.where(target[:, None] == VOID, 100.0, scores)  # where nothing counts, anything may be said
    for name in get("segmentation").losses:
        loss = make_loss(name, None, ignored=ignored)
        assert float(loss(scores, target)["loss"]) == pytest.approx(float(loss(other, target)["loss"])), name
