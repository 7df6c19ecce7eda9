"""What a published name answers for each kind of task, by a predictor in this process."""

from __future__ import annotations

import io
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from PIL import Image

from digits.predictor.requests import answer
from digits.service.serving import infer
from digits.service.serving.traffic import Traffic
from digits.storage.publications import Publication, Version
from tests.predictor.fake_engine import META

BUFFER = io.BytesIO()
Image.fromarray(np.full((16, 16), 9, np.uint8)).save(BUFFER, "PNG")
NAME = Publication("n", "", 0.0, active=1)


def asked(task: str, output: np.ndarray, meta: dict[str, Any], name: str = "output", **options: Any) -> dict[str, Any]:
    """The JSON for a picture of 16 × 16, of which a network of 8 × 8 gives `output`."""
    version = Version(1, "m", "m", "s", 1.0, task, "pytorch", 0.0, mean=(1.0,), std=(1.0,))
    known = {**META, "task": task, **meta}

    def predict(batch: np.ndarray) -> dict[str, np.ndarray]:
        return {name: np.repeat(output[None], len(batch), axis=0)}

    model = SimpleNamespace(meta=known, device="cpu", predict=predict, predict_together=predict)
    connections = SimpleNamespace(call=lambda _model, _snapshot, message: answer(model, message))  # type: ignore[arg-type]
    key = ("m", "s")
    serving = SimpleNamespace(traffic=Traffic(), connections=connections, checked={key: float("inf")}, metas={})
    found = infer.answer_json(serving, NAME, version, BUFFER.getvalue(), **options)  # type: ignore[arg-type]
    assert serving.traffic.describe("n", version)["drift"]["pictures"] == 1
    assert (found["model_name"], found["model_version"], found["snapshot_epoch"]) == ("n", 1, 1.0)
    return found


def test_a_detector_gives_boxes_in_the_pixels_of_the_picture() -> None:
    rows = np.array([[1, 1, 3, 4, 0.9, 2], [0, 0, 0, 0, 0, 0]], np.float32)
    found = asked("detection", rows, {"label_kind": "boxes"}, "boxes")
    assert [box["label"] for box in found["in_picture"]["boxes"]] == ["bright"]
    assert found["in_picture"]["boxes"][0]["box"] == pytest.approx([2, 2, 6, 8])
    assert (found["pixels_of"], found["scale"], found["nonfinite"]) == ("picture", [2.0, 2.0], 0)
    assert "predictions" not in found


def test_a_segmenter_gives_a_mask_and_leaves_large_outputs_out_with_a_word() -> None:
    scores = np.zeros((3, 8, 8), np.float32)
    scores[1] = 1
    small = asked("segmentation", scores, {"label_kind": "map"})
    assert np.shape(small["outputs"]["output"]) == (1, 3, 8, 8)
    assert small["in_picture"]["mask"].startswith("data:image/png")
    assert "outputs" not in asked("segmentation", scores, {"label_kind": "map"}, outputs=False)
    infer_most, infer.MOST_NUMBERS = infer.MOST_NUMBERS, 100
    try:
        found = asked("segmentation", scores, {"label_kind": "map"})
        assert "outputs=1" in found["notes"][-1]
        assert "outputs" not in found
        assert "outputs" in asked("segmentation", scores, {"label_kind": "map"}, outputs=True)
    finally:
        infer.MOST_NUMBERS = infer_most


def test_numbers_and_several_classes_are_outputs() -> None:
    values = asked("regression", np.array([1.5, np.nan], np.float32), {"label_kind": "vector", "class_labels": []})
    assert values["outputs"] == {"output": [[1.5, None]]}
    assert values["nonfinite"] == 1
    several = asked("multi_label", np.array([0.9, 0.1, 0.8], np.float32), {"label_kind": "vector"})
    assert [label for label, _ in several["predictions"]] == ["dark", "bright", "middle"]
    assert several["outputs"]["output"][0][0] == pytest.approx(0.9)
