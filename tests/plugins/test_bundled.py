"""The packages under `plugins/` keep the public contracts."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from digits.errors import DataError
from digits.extensions.data.interface import DataIngestionInterface
from digits.testing import DataSourceContract, ViewContract

PLUGINS = Path(__file__).resolve().parents[2] / "plugins"
for folder in ("sunnybrook", "text_classification", "image_gradients"):
    sys.path.insert(0, str(PLUGINS / folder))  # before installed ones, which may be older

import digits_data_image_gradients as gradients  # noqa: E402
import digits_data_sunnybrook as sunnybrook  # noqa: E402
import digits_data_text_classification as texts  # noqa: E402
import digits_view_image_gradients as gradients_view  # noqa: E402
import digits_view_text_classification as texts_view  # noqa: E402


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

    @pytest.mark.parametrize(
        ("written", "text"),
        [
            (b"1\tGoals, late, at last\n", "Goals, late, at last"),
            (b"1;Goals, late, at last\n", "Goals, late, at last"),
            (b"1,Goals; late; at last\n", "Goals; late; at last"),
            ('"1","Größe “5” €"\r\n'.encode("cp1252"), "Größe “5” €"),
            ("\ufeff1,Größe\n".encode("utf-16-le"), "Größe"),
            ("\ufeff1,Größe\n".encode(), "Größe"),
            (b'1,"two\nlines"\n', "two\nlines"),
        ],
        ids=["tabs", "semicolons", "commas", "windows", "utf-16", "mark", "lines"],
    )
    def test_texts_read_the_same_whatever_program_wrote_them(
        self, values: dict[str, Any], instance: DataIngestionInterface, written: bytes, text: str
    ) -> None:
        Path(values["train_data_file"]).write_bytes(written)
        assert instance.itemize_entries("train_db") == [("1", text)]

    @pytest.mark.parametrize("field", ["train_data_file", "class_labels_file"])
    def test_a_file_that_is_no_text_is_not_held_whole(self, values: dict[str, Any], field: str) -> None:
        with open(values[field], "wb") as file:
            file.truncate(2 << 30)
        with pytest.raises(DataError, match="has more than"):
            texts.DataIngestion(**(values if field == "class_labels_file" else values | {"class_labels_file": ""}))

    def test_an_open_quote_names_its_line(self, values: dict[str, Any], instance: DataIngestionInterface) -> None:
        Path(values["train_data_file"]).write_text('1,good text\n2,"' + "open quote\n" * 20_000)
        with pytest.raises(DataError, match=r"Line \d+ of .*train.csv cannot be read"):
            instance.itemize_entries("train_db")

    def test_tables_of_texts_are_recognised(self, tmp_path: Path) -> None:
        for name, count in (("train.csv", 8), ("dev.csv", 4)):
            (tmp_path / name).write_text("".join(f'{n % 2},"Two goals late in the game {n}"\n' for n in range(count)))
        (tmp_path / "numbers.csv").write_text("a.png,1,2\nb.png,2,3\n")
        (found,) = texts.DataIngestion.recognise(str(tmp_path))
        assert found["values"] == {"train_data_file": str(tmp_path / "train.csv"), "val_data_file": str(tmp_path / "dev.csv")}
        assert found["records"] == 8


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
        assert str(missing[0]) == "SC-HF-I-2 47, whose picture is not in the download"
        assert source.encode_entry(missing[0]) == []


DEFAULTS = {"channel_conversion": "L", "picture_size": None, "split_by": "slice", "validation_cases": "", "seed": 0}


class TestGradientsView(ViewContract):
    view = gradients_view.Visualization


class TestTextsView(ViewContract):
    view = texts_view.Visualization

    def test_exponentiates_a_log_softmax(self, instance: Any) -> None:
        logs = np.log(np.array([0.25, 0.75]))
        shown = instance.process_data("one", np.zeros((1, 4), np.uint8), {"output": logs})
        assert shown["rows"] == [("second", pytest.approx(75)), ("first", pytest.approx(25))]


def test_the_download_of_sunnybrook_is_recognised(tmp_path: Path) -> None:
    contour = tmp_path / "Contours" / "SC-HF-I-01" / "contours-manual" / "IRCCI-expert" / "IM-0001-0048-icontour-manual.txt"
    for path in (contour, tmp_path / "challenge_training" / "SC-HF-I-1" / "IM-0004-0048.dcm"):
        path.parent.mkdir(parents=True)
        path.write_bytes(b"")
    (found,) = sunnybrook.DataIngestion.recognise(str(tmp_path))
    assert found["values"] == {"contour_folder": str(tmp_path / "Contours"), "image_folder": str(tmp_path / "challenge_training")}
    assert sunnybrook.DataIngestion.recognise(str(tmp_path / "Contours")) == []
