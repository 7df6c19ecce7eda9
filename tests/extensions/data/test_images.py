"""The four image sources keep the contract of every data source."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from digits.extensions.data.image_object_detection import DataIngestion as Detection
from digits.extensions.data.image_processing import DataIngestion as Processing
from digits.extensions.data.image_regression import DataIngestion as Regression
from digits.extensions.data.image_segmentation import DataIngestion as Segmentation
from digits.testing.data import DataSourceContract
from tests.ingest import objects
from tests.plugin_host.test_recognise import photos


class TestProcessing(DataSourceContract):
    source = Processing

    @pytest.fixture
    def values(self, tmp_path: Path) -> dict[str, Any]:
        photos(tmp_path / "a")
        photos(tmp_path / "b", seed=9)
        return {"feature_folder": str(tmp_path / "a"), "label_folder": str(tmp_path / "b")}


class TestSegmentation(DataSourceContract):
    source = Segmentation

    @pytest.fixture
    def values(self, tmp_path: Path) -> dict[str, Any]:
        photos(tmp_path / "a")
        (tmp_path / "b").mkdir()
        for number in range(3):
            Image.fromarray(np.full((30, 40), number, np.uint8)).save(tmp_path / "b" / f"{number}.png")
        return {"feature_folder": str(tmp_path / "a"), "label_folder": str(tmp_path / "b")}


class TestDetection(DataSourceContract):
    source = Detection

    @pytest.fixture
    def values(self, tmp_path: Path) -> dict[str, Any]:
        images, labels = objects.pictures(tmp_path / "a"), objects.voc(tmp_path / "b")
        return {"train_image_folder": str(images), "train_label_folder": str(labels)}


class TestRegression(DataSourceContract):
    source = Regression

    @pytest.fixture
    def values(self, tmp_path: Path) -> dict[str, Any]:
        photos(tmp_path / "a")
        (tmp_path / "v.csv").write_text("file,x,y\n0.png,1,2\n1.png,3,4\n2.png,5,6\n")
        return {"image_folder": str(tmp_path / "a"), "values_file": str(tmp_path / "v.csv")}
