"""Overlapping boxes: ours, torchvision's and what a network tells of its own."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import nn
from torchvision.ops import batched_nms

from digits.engines.base import NetworkContext, Suppression
from digits.engines.pytorch.build import build
from digits.engines.pytorch.candidates import everything, kept_of, sent_of, suppressing_part
from digits.engines.pytorch.predictor import TorchPredictor
from digits.engines.suppression import suppressed
from digits.engines.training.boxes import unstacked
from digits.networks.catalog import network_text


def boxes_at_random(count: int, seed: int) -> np.ndarray:
    """Float32 (n, 6): many that overlap, three classes, scores that occur twice."""
    draws = np.random.default_rng(seed)
    corner, size = draws.random((count, 2)) * 120, draws.random((count, 2)) * 60
    scores = draws.integers(1, 64, (count, 1)) / 64
    rows = np.concatenate([corner, corner + size, scores, draws.integers(0, 3, (count, 1))], axis=1).astype(np.float32)
    return rows[np.argsort(-rows[:, 4], kind="stable")]


@pytest.mark.parametrize("overlap", [0.0, 0.3, 0.6, 1.0])
@pytest.mark.parametrize("count", [0, 1, 40, 700])
def test_the_same_stay_as_in_torchvision(count: int, overlap: float) -> None:
    rows = boxes_at_random(count, seed=count)
    theirs = batched_nms(*(torch.from_numpy(rows[:, part].copy()) for part in (slice(4), 4)), torch.tensor(rows[:, 5]), overlap)
    ours = suppressed(rows, overlap)
    assert sorted(ours) == sorted(theirs.tolist())
    assert rows[ours, 4].tolist() == rows[theirs.numpy(), 4].tolist()
    assert suppressed(rows, overlap, most=7).tolist() == ours[:7].tolist()


def test_boxes_without_an_area_hide_nothing() -> None:
    rows = np.array([[5, 5, 5, 5, 0.9, 0], [5, 5, 5, 5, 0.8, 0]], np.float32)
    assert suppressed(rows, 0.0).tolist() == [0, 1]


class Part(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.nms_thresh = 0.4
        self.detections_per_img = 5


def test_a_network_is_asked_for_everything_and_left_as_it_was() -> None:
    module = nn.Sequential(nn.Identity(), Part())
    part = suppressing_part(module)
    assert part is module[1]
    with everything(part) as suppression:
        assert suppression == Suppression(0.4, 5)
        assert part.nms_thresh == 1.0
        assert part.detections_per_img > 10**6
    assert (part.nms_thresh, part.detections_per_img) == (0.4, 5)
    assert suppressing_part(nn.Sequential(Part(), Part())) is None
    assert suppressing_part(nn.Identity()) is None


def test_what_the_network_keeps_is_always_sent() -> None:
    rows = boxes_at_random(3000, seed=1)
    kept = kept_of(rows, Suppression(0.2))
    sent = sent_of(rows, kept)
    assert 1000 <= len(sent) < len(rows)
    assert {tuple(row) for row in rows[kept]} <= {tuple(row) for row in sent}
    again = suppressed(sent, 0.2)
    assert sorted(map(tuple, sent[again])) == sorted(map(tuple, rows[kept]))


@pytest.mark.parametrize("name", ["detector", "torchvision/ssdlite320_mobilenet_v3_large", "torchvision/fasterrcnn_resnet18_fpn"])
def test_candidates_come_with_what_the_network_gives(name: str) -> None:
    text = network_text(name)
    context = NetworkContext("detection", (3, 96, 128), 2, None, ("a", "b"), "boxes", box_sizes=(10, 15, 20, 30, 40))
    torch.manual_seed(3)
    module = build(text, context).module
    if name == "detector":
        torch.nn.init.constant_(module.peaks[1].bias, 0.0)  # objects everywhere
    else:
        suppressing_part(module).score_thresh = -1.0
    shape = {"stored_shape": [3, 96, 128], "input_shape": [3, 96, 128], "pixel_mean": []}
    meta = {"task": "detection", "label_kind": "boxes", "class_labels": ["a", "b"], "preparation": shape}
    predictor = TorchPredictor(module, meta, None, torch.device("cpu"))
    pictures = np.random.default_rng(0).integers(0, 256, (2, 3, 96, 128), np.uint8)
    given, candidates = predictor.predict(pictures)["boxes"], predictor.candidates(pictures)
    assert candidates is not None
    assert np.array_equal(candidates.outputs["boxes"], given)
    suppression = candidates.suppression
    for rows, kept in zip(candidates.boxes, unstacked(given), strict=True):
        assert len(rows) >= len(kept) > 0
        assert np.array_equal(rows[suppressed(rows, suppression.overlap, suppression.most)], kept)
