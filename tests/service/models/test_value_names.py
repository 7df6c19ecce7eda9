"""The names of the numbers of a regression go along wherever a model is taken away, as the names of classes do."""

from __future__ import annotations

import json
import runpy
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
import pytest

from digits.engines.prepared import names_of
from digits.engines.pytorch.export_onnx import OnnxExporter
from digits.service.models.archives import SHARED, TEMPLATES
from digits.service.models.card import _output
from tests.engines.test_exporters import BRANCHES, POOLED, predictor_of
from tests.service.models.exported_page import shown

META: dict[str, Any] = {
    "task": "regression",
    "label_kind": "vector",
    "label_shape": [2],
    "class_labels": [],
    "stored_shape": [1, 8, 8],
    "image": {"columns": ["age", "weight <kg>"]},
    "preparation": {},
}
VALUES = np.array([[41.5, 70.25]], np.float32)


def test_words_of_a_script_name_them() -> None:
    words = runpy.run_path(str(TEMPLATES / SHARED))["words"]
    assert words({"output": VALUES[0], "more": VALUES[0]}, META, 5) == [
        "age: 41.5",
        "weight <kg>: 70.25",
        "more: 41.5 70.25",
    ]
    assert words({"output": VALUES[0, :1]}, META, 5) == ["output: 41.5"], "names of other numbers are none"


def test_a_page_names_them() -> None:
    assert shown(META, VALUES) == ["age", "41.5000", "weight <kg>", "70.2500"]
    assert shown({**META, "image": {}}, VALUES) == ["41.5000 70.2500"]


def test_a_card_names_them() -> None:
    text = _output("numbers", [], META)
    assert "| 0 | age |\n| 1 | weight \\<kg\\> |" in text


@pytest.mark.parametrize("columns", [["age", "weight <kg>"], ["age"]])
def test_an_onnx_file_names_them(columns: list[str], tmp_path: Path) -> None:
    text = BRANCHES.replace("nn.Flatten(), nn.Linear(channels * height * width, context.num_classes), LAYER()", POOLED)
    predictor = predictor_of(text)
    predictor.meta.update({**META, "image": {"columns": columns}, "preparation": predictor.meta["preparation"]})
    OnnxExporter().write(predictor, tmp_path, {})
    said = onnxruntime.InferenceSession(tmp_path / "model.onnx").get_modelmeta().custom_metadata_map
    assert json.loads(said["class_names"]) == []
    assert json.loads(said.get("value_names", "[]")) == (columns if len(columns) == 2 else [])


def test_classes_have_no_other_names() -> None:
    assert names_of({"task": "classification", "class_labels": ["a"], "image": {"columns": ["x"]}}) == {"class_names": ["a"]}
