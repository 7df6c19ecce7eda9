"""The built-in views keep the contract of views."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from digits.extensions.view import bounding_boxes, image_output, raw_data, segmentation, top_k
from digits.testing import ViewContract


class TestRawData(ViewContract):
    view = raw_data.Visualization


class TestTopK(ViewContract):
    view = top_k.Visualization

    def test_scores_go_through_softmax(self) -> None:
        assert top_k.probabilities(np.array([0.0, np.log(3.0)])).tolist() == pytest.approx([0.25, 0.75])

    def test_with_thresholds_each_label_is_found_by_itself(self, instance: Any) -> None:
        outputs, truth = {"output": np.array([0.75, 0.5, 0.875])}, np.array([0, 1, 1])
        shown = instance.process_data("one", np.zeros((4, 4), np.uint8), outputs, truth, np.array([0.5, 0.25, 0.9]))
        assert [(row["name"], row["percent"], row["found"], row["true"]) for row in shown["rows"]] == [
            ("third", 87.5, False, True),
            ("first", 75, True, False),
            ("second", 50, True, True),
        ]
        assert (shown["found"], shown["truth"]) == (["first", "second"], "second, third")


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_what_is_no_number_is_no_class_and_no_box(bad: float) -> None:
    assert np.isnan(top_k.probabilities(np.array([1.0, bad, 0.0]))).all()
    none = top_k.Visualization(None).process_data("one", np.zeros((4, 4), np.uint8), {"output": np.array([1.0, bad])})
    assert none["rows"] == []
    scores = np.zeros((3, 2, 2))
    scores[2, 0, 1] = bad
    assert segmentation.read_scores(scores)[0].tolist() == [[0, 255], [0, 0]]
    assert segmentation.read_scores(np.array([[0.9, bad]]))[0].tolist() == [[1, 255]]
    rows = np.array([[0, 0, 4, 4, 0.9, 0], [0, 0, bad, 4, 0.9, 0], [0, 0, 4, 4, bad, 0]])
    assert len(bounding_boxes.read_boxes(rows, 0)) == 1


class TestImageOutput(ViewContract):
    view = image_output.Visualization

    @pytest.fixture
    def outputs(self) -> dict[str, np.ndarray]:
        return {"output": np.linspace(-1, 1, 96, dtype=np.float32).reshape(3, 4, 8)}

    def test_the_input_is_left_out_where_it_is_no_picture(self) -> None:
        outputs = {"output": np.zeros((3, 4, 8), np.float32)}
        for show, titles in (("yes", ["Input", "Output"]), ("no", ["Output"])):
            shown = image_output.Visualization(None, show_input=show).process_data(0, np.zeros((1, 100)), outputs)
            assert [image["title"] for image in shown] == titles

    @pytest.mark.parametrize(
        ("options", "expected"),
        [
            ({}, [0, 128, 255]),
            ({"pixel_conversion": "clip"}, [0, 0, 255]),
            ({"channel_order": "bgr"}, [255, 128, 0]),
        ],
    )
    def test_numbers_become_colours(self, options: dict[str, str], expected: list[int]) -> None:
        pixels = image_output.Visualization(None, **options)._pixels(np.array([-1.0, 0.0, 1.0]).reshape(3, 1, 1))
        assert pixels.ravel().tolist() == expected


class TestSegmentation(ViewContract):
    view = segmentation.Visualization

    @pytest.fixture
    def outputs(self) -> dict[str, np.ndarray]:
        return {"output": np.random.default_rng(1).normal(size=(2, 8, 12)).astype(np.float32)}

    def test_two_scores_give_the_foregrounds_probability(self) -> None:
        scores = np.array([[[0.0, 5.0]], [[0.0, -5.0]]])
        classes, foreground, count = segmentation.read_scores(scores)
        assert classes.tolist() == [[0, 0]]
        assert foreground is not None
        assert foreground[0].tolist() == [128, 0]  # softmax of (0, 0) is 1/2, of (5, -5) almost 0
        assert count == 2


class TestBoundingBoxes(ViewContract):
    view = bounding_boxes.Visualization

    @pytest.fixture
    def outputs(self) -> dict[str, np.ndarray]:
        return {"boxes": np.array([[1, 2, 3, 4, 0.9, 1], [0, 0, 1, 1, 0, 0]], np.float32)}

    def test_counts_boxes_and_images(self, instance: Any, outputs: dict[str, np.ndarray]) -> None:
        for _ in range(3):
            instance.process_data("x", np.zeros((8, 8), np.uint8), outputs)
        context = instance.get_header_template()[1]
        assert (context["boxes"], context["images"]) == (3, 3)  # a confidence of 0 is no box
