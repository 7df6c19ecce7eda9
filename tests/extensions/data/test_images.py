"""The four image sources keep the contract of every data source."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from flask import Flask
from PIL import Image

from digits.extensions.data import userdata
from digits.extensions.data.image_object_detection import DataIngestion as Detection
from digits.extensions.data.image_processing import DataIngestion as Processing
from digits.extensions.data.image_regression import DataIngestion as Regression
from digits.extensions.data.image_segmentation import DataIngestion as Segmentation
from digits.extensions.data.interface import DataIngestionInterface
from digits.extensions.data.source import FileSource, with_roots
from digits.plugin_host import binding
from digits.testing.data import DataSourceContract
from digits.utils.confinement import EVERYWHERE
from tests.ingest import objects
from tests.plugin_host.test_recognise import photos


class PreparedSource(DataSourceContract):
    """These look at their files before they list entries."""

    @pytest.fixture
    def instance(self, app: Flask, values: dict[str, Any], tmp_path: Path) -> DataIngestionInterface:
        with binding.request_with(app, values):
            form = binding.make_form(self.source.get_id(), self.source.get_dataset_form)
            source = userdata.build(self.source, with_roots(self.source, binding.check(form, values), EVERYWHERE))
        assert isinstance(source, FileSource)
        source.job_folder = tmp_path
        source.prepare(lambda problem: None)
        return source


class TestProcessing(PreparedSource):
    source = Processing

    @pytest.fixture
    def values(self, tmp_path: Path) -> dict[str, Any]:
        photos(tmp_path / "a")
        photos(tmp_path / "b", seed=9)
        return {"feature_folder": str(tmp_path / "a"), "label_folder": str(tmp_path / "b")}


class TestSegmentation(PreparedSource):
    source = Segmentation

    @pytest.fixture
    def values(self, tmp_path: Path) -> dict[str, Any]:
        photos(tmp_path / "a")
        (tmp_path / "b").mkdir()
        for number in range(3):
            Image.fromarray(np.full((30, 40), number, np.uint8)).save(tmp_path / "b" / f"{number}.png")
        return {"feature_folder": str(tmp_path / "a"), "label_folder": str(tmp_path / "b")}


class TestDetection(PreparedSource):
    source = Detection

    @pytest.fixture
    def values(self, tmp_path: Path) -> dict[str, Any]:
        images, labels = objects.pictures(tmp_path / "a"), objects.voc(tmp_path / "b")
        return {"train_image_folder": str(images), "train_label_folder": str(labels)}


class TestRegression(PreparedSource):
    source = Regression

    @pytest.fixture
    def values(self, tmp_path: Path) -> dict[str, Any]:
        photos(tmp_path / "a")
        (tmp_path / "v.csv").write_text("file,x,y\n0.png,1,2\n1.png,3,4\n2.png,5,6\n")
        return {"image_folder": str(tmp_path / "a"), "values_file": str(tmp_path / "v.csv")}
