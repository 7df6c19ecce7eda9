"""The packages under `plugins/` and the built-in views keep the public contracts; the starters do so from their first minute."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from digits.errors import BadRequest, Conflict
from digits.extensions.data.interface import DataIngestionInterface
from digits.extensions.view import bounding_boxes, image_output, raw_data, segmentation, top_k
from digits.service.plugins.packages import new_plugin
from digits.testing import DataSourceContract, ViewContract

PLUGINS = Path(__file__).resolve().parents[2] / "plugins"
for folder in ("sunnybrook", "text_classification", "image_gradients"):
    sys.path.append(str(PLUGINS / folder))

import digitsDataPluginImageGradients as gradients  # noqa: E402
import digitsDataPluginSunnybrook as sunnybrook  # noqa: E402
import digitsDataPluginTextClassification as texts  # noqa: E402
import digitsViewPluginImageGradients as gradients_view  # noqa: E402
import digitsViewPluginTextClassification as texts_view  # noqa: E402


class TestGradients(DataSourceContract):
    source = gradients.DataIngestion
    form_values = {"train_image_count": 5, "val_image_count": 2, "image_width": 16, "image_height": 8}
    inference_values = {"gradient_x": 0.5, "gradient_y": -0.5}

    def test_the_picture_has_the_gradient_of_its_label(self, instance: DataIngestionInterface) -> None:
        feature, label = instance.encode_entry((0.5, -0.25))
        assert feature.shape == (1, 8, 16)
        assert feature[0, 4, -1] > feature[0, 4, 0]  # brighter to the right
        assert feature[0, -1, 8] < feature[0, 0, 8]  # darker downwards
        assert label.ravel().tolist() == [0.5, -0.25]


class TestTexts(DataSourceContract):
    source = texts.DataIngestion
    inference_values = {"snippet": "stocks fall"}

    @pytest.fixture
    def values(self, tmp_path: Path) -> dict[str, Any]:
        train, labels = tmp_path / "train.csv", tmp_path / "labels.txt"
        train.write_text('"1","Cup final","Two goals, ""late"""\n"2","Market","up"\n\n3\n')
        labels.write_text("Sport\nBusiness\n")
        return {"train_data_file": str(train), "class_labels_file": str(labels), "alphabet": "abc", "max_chars_per_sample": 6}

    def test_characters_become_their_place_in_the_dictionary(self, instance: DataIngestionInterface) -> None:
        feature, label = instance.encode_entry(("2", "Cab z!xx"))
        assert feature.tolist() == [[[3, 1, 2, 0, 0, 0]]]
        assert label.tolist() == [1]

    def test_a_line_without_text_is_no_entry(self, instance: DataIngestionInterface) -> None:
        assert instance.itemize_entries("train_db") == [("1", 'Cup final Two goals, "late"'), ("2", "Market up")]


class TestSunnybrook(DataSourceContract):
    source = sunnybrook.DataIngestion

    @pytest.fixture
    def values(self, shared_data: Path) -> dict[str, Any]:
        root = shared_data / "sunnybrook"
        contours = root / "Sunnybrook Cardiac MR Database ContoursPart3" / "TrainingDataContours"
        return {"image_folder": str(root / "challenge_training"), "contour_folder": str(contours), "folder_pct_val": 10}

    @pytest.fixture
    def inference_request(self) -> dict[str, Any]:
        return {"validation_record": "2"}

    def test_finds_every_contour_with_its_picture(self, instance: DataIngestionInterface) -> None:
        train, val = instance.itemize_entries("train_db"), instance.itemize_entries("val_db")
        assert (len(train), len(val)) == (87, 9)  # 10 % of 96, rounded down
        assert {contour.case for contour in train} == {f"SC-HF-I-{n}" for n in (1, 2, 4, 5, 6)}
        feature, label = instance.encode_entry(train[0])
        assert (feature.shape, feature.dtype) == ((1, 256, 256), np.uint16)
        assert set(np.unique(label)) == {0, 1}
        assert 0 < label.mean() < 0.1  # the ventricle is a small part of the picture

    def test_a_mask_has_the_area_of_its_polygon(self, instance: DataIngestionInterface) -> None:
        contour = instance.itemize_entries("train_db")[0]
        x, y = np.loadtxt(contour.path).T
        area = abs(np.dot(x, np.roll(y, 1)) - np.dot(y, np.roll(x, 1))) / 2  # the shoelace formula
        outline = np.hypot(np.diff(x), np.diff(y)).sum()
        assert area < instance.encode_entry(contour)[1].sum() < area + outline  # the outline's pixels belong to the mask

    def test_smaller_pictures_keep_bits_and_the_share_of_the_ventricle(self, values: dict[str, Any]) -> None:
        whole = sunnybrook.DataIngestion(**{**DEFAULTS, **values})
        small = sunnybrook.DataIngestion(**{**DEFAULTS, **values, "picture_size": 128})
        entry = whole.itemize_entries("train_db")[0]
        (feature, label), (shrunk, mask) = whole.encode_entry(entry), small.encode_entry(entry)
        assert (shrunk.shape, shrunk.dtype, mask.dtype) == ((1, 128, 128), np.uint16, np.uint8)
        means = feature.reshape(128, 2, 128, 2).mean(axis=(1, 3))
        assert np.abs(shrunk[0] - means).max() <= 0.5  # a pixel is the mean of the four it covers
        assert abs(mask.mean() - label.mean()) < 0.05 * label.mean()

    def test_by_case_no_heart_is_on_both_sides(self, values: dict[str, Any]) -> None:
        source = sunnybrook.DataIngestion(**{**values, **DEFAULTS, "split_by": "case", "folder_pct_val": 40})
        train, val = ({c.case for c in source.itemize_entries(s)} for s in ("train_db", "val_db"))
        assert len(val) == 2
        assert not train & val

    def test_cases_missing_from_the_download_are_named(self, values: dict[str, Any], tmp_path: Path) -> None:
        (tmp_path / "SC-HF-I-1").symlink_to(Path(values["image_folder"]) / "SC-HF-I-1")
        source = sunnybrook.DataIngestion(**{**values, **DEFAULTS, "image_folder": str(tmp_path)})
        entries = source.itemize_entries("train_db")
        missing = [contour for contour in entries if not contour.picture]
        assert len(missing) == 78
        with pytest.raises(ValueError, match="case SC-HF-I-2 has a contour of picture"):
            source.encode_entry(missing[0])


DEFAULTS = {"channel_conversion": "L", "picture_size": None, "split_by": "slice", "validation_cases": "", "seed": 0}


class TestGradientsView(ViewContract):
    view = gradients_view.Visualization


class TestTextsView(ViewContract):
    view = texts_view.Visualization

    def test_exponentiates_a_log_softmax(self, instance: Any) -> None:
        logs = np.log(np.array([0.25, 0.75]))
        shown = instance.process_data("one", np.zeros((1, 4), np.uint8), {"output": logs})
        assert shown["rows"] == [("second", pytest.approx(75)), ("first", pytest.approx(25))]


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


class TestImageOutput(ViewContract):
    view = image_output.Visualization

    @pytest.fixture
    def outputs(self) -> dict[str, np.ndarray]:
        return {"output": np.linspace(-1, 1, 96, dtype=np.float32).reshape(3, 4, 8)}

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


@pytest.mark.parametrize("kind", ["data", "view"])
def test_a_new_plugin_passes_its_own_tests(kind: str, tmp_path: Path) -> None:
    made = new_plugin(kind, "my first", tmp_path)
    assert made == tmp_path / f"digits-{kind}-my-first"
    run = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "tests"],
        cwd=made,
        env={**os.environ, "PYTHONPATH": str(made)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert run.returncode == 0, run.stdout
    with pytest.raises(Conflict):
        new_plugin(kind, "my first", tmp_path)


@pytest.mark.parametrize("name", ["", "../x", "class", "9lives"])
def test_a_name_that_cannot_be_a_package_is_refused(name: str, tmp_path: Path) -> None:
    with pytest.raises(BadRequest):
        new_plugin("data", name, tmp_path)
