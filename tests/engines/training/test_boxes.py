"""Boxes move as their pictures do: a bright rectangle is found again by its pixels."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from digits.domain.training import Augmentation
from digits.engines.pytorch.inputs import Augmenter
from digits.engines.training.augmentation import draw, outside
from digits.engines.training.boxes import cropped, moved, stacked, typical_sizes, unstacked
from digits.storage.records.boxes import CUT
from digits.storage.records.reader import BOX_DTYPE

SEED, EPOCH = 3, 2


def boxes_of(*rows: tuple[float, ...]) -> np.ndarray:
    return np.array([(*row[:4], *(int(n) for n in row[4:])) for row in rows], BOX_DTYPE)


@pytest.mark.parametrize("place", [(20, 14, 32, 22), (0, 0, 12, 8), (28, 32, 40, 40)], ids=["middle", "corner", "edge"])
@pytest.mark.parametrize("size", [(40, 40), (40, 60)])
@pytest.mark.parametrize(
    ("augmentation", "slack"),
    [
        (Augmentation(flip="fliplrud"), 0.01),
        (Augmentation(scale=0.2), 1.5),
        (Augmentation(shift=0.2), 1.0),
        (Augmentation(scale=0.1, shift=0.1, flip="fliplr", quad_rot="rot180"), 1.5),
        (Augmentation(flip="fliplr", quad_rot="rotall"), 1.5),
        (Augmentation(quad_rot="rot90", scale=0.1, flip="flipud"), 1.5),
    ],
)
def test_boxes_follow_their_pixels(
    size: tuple[int, int], augmentation: Augmentation, slack: float, place: tuple[int, int, int, int]
) -> None:
    """Also those of objects at the edge, which do not grow when the picture moves away from it."""
    samples = np.arange(12)
    pictures = torch.zeros(12, 1, *size)
    pictures[:, :, place[1] : place[3], place[0] : place[2]] = 200.0
    truth = [boxes_of((*place, 0, 0))] * 12
    augmenter = Augmenter(augmentation, 255.0, SEED, moves_labels=False, index_maps=False, outside=outside("boxes"))
    seen, _ = augmenter(pictures, None, EPOCH, samples)
    found = moved(truth, augmentation, draw(augmentation, SEED, EPOCH, samples), size)
    for picture, boxes in zip(seen[:, 0].numpy(), found, strict=True):
        ys, xs = np.nonzero(picture > 100)
        if not len(ys):  # moved out, or all but
            assert not len(boxes) or min(boxes["x1"] - boxes["x0"], boxes["y1"] - boxes["y0"]) < 1
            continue
        wanted = [xs.min(), ys.min(), xs.max() + 1, ys.max() + 1]
        assert [boxes[name][0] for name in ("x0", "y0", "x1", "y1")] == pytest.approx(wanted, abs=slack)


def test_round_objects_keep_their_size_when_turned() -> None:
    augmentation = Augmentation(rot=45)
    found = moved([boxes_of((40, 40, 60, 60, 0, 0))] * 5, augmentation, draw(augmentation, 1, 1, np.arange(5)), (100, 100))
    for boxes in found:
        assert boxes["x1"] - boxes["x0"] == pytest.approx(20, abs=1e-3)


def test_a_crop_drops_what_is_outside_and_flags_what_is_mostly_outside() -> None:
    boxes = boxes_of((0, 0, 5, 5, 0, 0), (2, 12, 12, 22, 1, 0), (12, 12, 20, 20, 2, 0))
    kept = cropped(boxes, (10, 10), (20, 20))
    assert kept["class"].tolist() == [1, 2]
    assert kept["flags"].tolist() == [CUT, 0]
    assert kept[1].tolist() == (2.0, 2.0, 10.0, 10.0, 2, 0)


def test_rows_of_one_shape() -> None:
    detections = [np.ones((2, 6), np.float32), np.zeros((0, 6), np.float32)]
    assert [len(one) for one in unstacked(stacked(detections))] == [2, 0]


def test_typical_sizes_count_objects_only() -> None:
    class Few:
        def __len__(self) -> int:
            return 2

        def labels(self, indices: np.ndarray) -> list[np.ndarray]:
            return [boxes_of((0, 0, 10, 10, 0, 0)), boxes_of((0, 0, 90, 90, 0, 2))][: len(indices)]

    assert typical_sizes(Few()) == (10.0,) * 5  # type: ignore[arg-type]
