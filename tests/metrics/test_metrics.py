"""Metrics against torchmetrics, in batches and in halves that are added as several processes would."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
import torch
import torchmetrics.functional as tm
from torchmetrics.functional.image import peak_signal_noise_ratio, structural_similarity_index_measure

from digits.metrics.accuracy import Accuracy, predicted, rank
from digits.metrics.base import Metric
from digits.metrics.classification_report import ClassificationReport, best_first
from digits.metrics.regression import Errors, PictureQuality
from digits.metrics.segmentation import Overlap
from digits.tasks import Labels, get
from digits.testing.tasks import joined

RNG = np.random.default_rng(0)


def measured(make: Callable[[], Metric], outputs: np.ndarray, labels: np.ndarray) -> dict[str, float]:
    """The metric over two instances, each fed in batches of 3, whose sums are added."""
    parts = [make(), make()]
    for start in range(0, len(outputs), 3):
        parts[start % 2].update(outputs[start : start + 3], labels[start : start + 3])
    return joined(parts)


def test_accuracy_equals_torchmetrics() -> None:
    scores, labels = RNG.normal(size=(50, 12)).astype(np.float32), RNG.integers(0, 10, 50)
    found = measured(lambda: Accuracy(10), scores, labels)
    counted = torch.from_numpy(scores[:, :10])
    for name, k in (("accuracy", 1), ("accuracy_top5", 5)):
        wanted = tm.accuracy(counted, torch.from_numpy(labels), "multiclass", num_classes=10, top_k=k, average="micro")
        assert found[name] == pytest.approx(float(wanted))


def test_overlap_equals_torchmetrics() -> None:
    scores, truth = RNG.normal(size=(6, 3, 8, 8)).astype(np.float32), RNG.integers(0, 3, (6, 8, 8))
    found = measured(lambda: Overlap(["a", "b", "c"]), scores, truth)
    made, labels = torch.from_numpy(scores.argmax(1)), torch.from_numpy(truth)
    iou = tm.jaccard_index(made, labels, "multiclass", num_classes=3, average=None)
    dice = tm.f1_score(made, labels, "multiclass", num_classes=3, average=None)  # pooled Dice is F1 over pixels
    assert [found[f"iou/{c}"] for c in "abc"] == pytest.approx(iou.tolist())
    assert [found[f"dice/{c}"] for c in "abc"] == pytest.approx(dice.tolist())
    assert found["mean_iou"] == pytest.approx(float(iou.mean()))
    for name, function in (("mean_dice_pictures", tm.f1_score), ("mean_iou_pictures", tm.jaccard_index)):
        pictures = [function(m, t, "multiclass", num_classes=3, average=None) for m, t in zip(made, labels, strict=True)]
        assert found[name] == pytest.approx(float(torch.stack(pictures).mean()))
    assert found["pixel_accuracy"] == pytest.approx(float((made == labels).float().mean()))


def test_overlap_without_ignored_pixels_equals_torchmetrics() -> None:
    made, truth = RNG.integers(0, 4, (5, 9, 7)), RNG.integers(0, 4, (5, 9, 7))
    truth[RNG.random(truth.shape) < 0.3] = 255
    found = measured(lambda: Overlap(list("abcd")), made, truth)
    both = torch.from_numpy(made), torch.from_numpy(truth)
    options = {"num_classes": 4, "average": None, "ignore_index": 255}
    assert [found[f"iou/{c}"] for c in "abcd"] == pytest.approx(tm.jaccard_index(*both, "multiclass", **options).tolist())
    assert [found[f"dice/{c}"] for c in "abcd"] == pytest.approx(tm.f1_score(*both, "multiclass", **options).tolist())


def test_ignored_pixels_and_absent_classes_do_not_count() -> None:
    truth = np.array([[[0, 0], [255, 255]]])
    made = np.array([[[0, 0], [1, 1]]])
    found = measured(lambda: Overlap(["a", "b"]), made, truth)
    assert found["iou/a"] == 1.0
    assert np.isnan(found["iou/b"])
    assert found["mean_iou"] == found["mean_dice_pictures"] == found["pixel_accuracy"] == 1.0


def test_errors_equal_torchmetrics() -> None:
    made, truth = RNG.normal(size=(20, 3)).astype(np.float32), RNG.normal(size=(20, 3)).astype(np.float32)
    found = measured(Errors, made, truth)
    a, b = torch.from_numpy(made).flatten(), torch.from_numpy(truth).flatten()
    assert found["mae"] == pytest.approx(float(tm.mean_absolute_error(a, b)), rel=1e-5)
    assert found["rmse"] == pytest.approx(float(tm.mean_squared_error(a, b, squared=False)), rel=1e-5)
    columns = tm.r2_score(torch.from_numpy(made), torch.from_numpy(truth), multioutput="uniform_average")
    assert found["r2"] == pytest.approx(float(columns), rel=1e-4)


def test_picture_quality_equals_torchmetrics() -> None:
    truth = RNG.random((4, 3, 24, 20)).astype(np.float32)
    made = np.clip(truth + RNG.normal(0, 0.1, truth.shape), 0, 1).astype(np.float32)
    found = measured(lambda: PictureQuality(1.0), made, truth)
    a, b = torch.from_numpy(made), torch.from_numpy(truth)
    ssim = structural_similarity_index_measure(a, b, data_range=1.0)
    psnr = [float(peak_signal_noise_ratio(x, y, data_range=1.0)) for x, y in zip(a, b, strict=True)]
    assert found["ssim"] == pytest.approx(float(ssim), rel=1e-4)
    assert found["psnr"] == pytest.approx(np.mean(psnr), rel=1e-5)


def test_nothing_measured_is_not_a_number() -> None:
    assert all(np.isnan(v) for v in Accuracy(10).compute().values())
    assert np.isnan(Overlap(["a"]).compute()["mean_iou"])


def test_another_ignore_index_counts_nowhere() -> None:
    truth, made = np.array([[[0, 9], [1, 1]]]), np.array([[[0, 0], [1, 1]]])
    labels = Labels("map", (1, 2, 2), class_labels=("a", "b"), ignored=9)
    found = measured(lambda: get("segmentation").metrics(labels)[0], made, truth)
    assert found["pixel_accuracy"] == found["mean_iou"] == 1.0


def saturated() -> tuple[np.ndarray, np.ndarray]:
    """Probabilities of 12 classes that a softmax of far scores made 0 and 1, some equal, and some no number."""
    scores = RNG.normal(size=(300, 12)).astype(np.float32) * np.float32(200)
    scores[:20] = 0
    shifted = np.exp(scores - scores.max(axis=1, keepdims=True))
    found = shifted / shifted.sum(axis=1, keepdims=True)
    found[20:25] = np.nan
    return found.astype(np.float32), RNG.integers(0, 12, 300)


def test_training_and_evaluation_count_ties_alike_and_against_the_model() -> None:
    scores, labels = saturated()
    trained = measured(lambda: Accuracy(12), scores, labels)
    report = ClassificationReport([f"c{i}" for i in range(12)], 3)
    with np.errstate(divide="ignore"):
        report.add(np.log(scores), labels)
    evaluated = report.summary()
    assert (evaluated["top1"], evaluated["top5"]) == (trained["accuracy"], trained["accuracy_top5"])
    sure = [int((row >= row[label]).sum()) for row, label in zip(scores, labels, strict=True)]  # of no number: none
    assert trained["accuracy"] == np.mean([n == 1 for n in sure])
    assert trained["accuracy_top5"] == np.mean([1 <= n <= 5 for n in sure])
    assert trained["accuracy_top5"] < 0.2  # most true classes share a zero with ten others
    assert sum(row["correct"] for row in evaluated["per_class"]) == round(evaluated["top1"] * len(labels))


def test_a_network_that_gives_all_classes_one_score_is_never_right() -> None:
    scores, labels = np.full((9, 7), 1 / 7, np.float32), np.arange(9) % 7
    assert rank(scores, labels).tolist() == [6] * 9
    assert (predicted(scores, labels) != labels).all()
    assert (best_first(scores, labels)[:, -1] == labels).all()


def test_the_order_of_predictions_agrees_with_the_ranks() -> None:
    scores, labels = saturated()
    scores, labels = scores[25:], labels[25:]
    places = (best_first(scores, labels) == labels[:, None]).argmax(axis=1)
    assert (places == rank(scores, labels)).all()
    assert (best_first(scores, labels)[:, 0] == predicted(scores, labels)).all()
