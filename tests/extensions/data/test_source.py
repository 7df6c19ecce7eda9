"""Options of built-in sources are read once, with their types, also from texts and from sources frozen before there were any."""

from __future__ import annotations

import ast
import pickle
from dataclasses import fields
from pathlib import Path
from typing import Any

import pytest

import digits.extensions.data
from digits.errors import DataError
from digits.extensions import loader
from digits.extensions.data import userdata
from digits.extensions.data.classification.folder import FolderOptions
from digits.extensions.data.image_object_detection.data import DetectionOptions
from digits.extensions.data.image_segmentation.data import DataIngestion as Segmentation
from digits.extensions.data.image_segmentation.data import SegmentationOptions
from digits.extensions.data.source import ConfinedSource
from digits.ingest import prebuilt

SOURCES: list[Any] = [loader.get("data", name, "").cls for name in sorted(loader.BUILTINS["data"])]


def test_texts_of_a_script_and_values_of_a_form_read_alike() -> None:
    texts = {"first_pixel": "1", "folder_pct_val": "12.5", "resize_image_width": "32.0", "seed": "7", "custom_classes": "car=van"}
    typed = {"first_pixel": 1, "folder_pct_val": 12.5, "resize_image_width": 32, "seed": 7, "custom_classes": "car=van"}
    assert DetectionOptions.read(texts) == DetectionOptions.read(typed) == DetectionOptions(**typed)  # type: ignore[arg-type]
    for yes, no in (("y", "false"), ("on", "0"), (True, False)):
        assert FolderOptions.read({"has_val_folder": yes}).separate == ["val_db"]
        assert FolderOptions.read({"has_val_folder": no}).separate == []


def test_what_is_left_empty_has_its_default() -> None:
    assert FolderOptions.read({"folder_pct_val": "", "seed": None, "else": "x"}) == FolderOptions()
    assert FolderOptions.read({"folder_pct_val": 0}).folder_pct_val == 0
    assert FolderOptions.read({"folder_val_max_per_class": "9"}).folder_val_max_per_class == 9
    assert SegmentationOptions.read({"ignore_index": " 0, sky ,"}).ignore_index == ("0", "sky")


@pytest.mark.parametrize("wrong", [{"seed": "many"}, {"folder_pct_val": "nan"}, {"keep_size": "perhaps"}])
def test_what_cannot_be_read_is_named(wrong: dict[str, str]) -> None:
    with pytest.raises(DataError, match=next(iter(wrong))):
        FolderOptions.read(wrong)


def test_a_source_frozen_before_there_were_options_has_them() -> None:
    made: Any = userdata.build(Segmentation, {"label_folder": "/a", "seed": "5", "has_val_folder": True})
    assert "options" not in made.__getstate__()  # as older ones were frozen, so are new ones
    expected = SegmentationOptions(label_folder="/a", seed=5, has_val_folder=True)
    assert pickle.loads(pickle.dumps(made)).options == made.options == expected


@pytest.mark.parametrize("source", SOURCES, ids=lambda source: source.get_id())
def test_every_built_in_source_has_options(source: Any) -> None:
    assert issubclass(source, ConfinedSource)
    assert len(fields(source.OPTIONS)) > 5


def test_no_form_value_is_read_again_from_userdata() -> None:
    """Sources look in userdata only for what they found themselves."""
    names = {field.name for source in SOURCES for field in fields(source.OPTIONS)}
    files = [*Path(digits.extensions.data.__path__[0]).rglob("*.py"), Path(prebuilt.__file__)]
    names |= {field.name for field in fields(prebuilt.DatabaseOptions)}
    found = [
        (file.name, name)
        for file in files
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8")))
        if (name := _looked_up(node))
    ]
    assert ("base.py", "padding") in found  # what image sources found: the search finds such places
    assert [place for place in found if place[1] in names] == []


def _looked_up(node: ast.AST) -> str:
    """The key in `….userdata["key"]` or `….userdata.get("key")` where it is read."""
    if isinstance(node, ast.Subscript) and isinstance(node.ctx, ast.Load):
        target, key = node.value, node.slice
    elif isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr == "get" and node.args:
        target, key = node.func.value, node.args[0]
    else:
        return ""
    is_userdata = isinstance(target, ast.Attribute) and target.attr == "userdata"
    return str(key.value) if is_userdata and isinstance(key, ast.Constant) else ""
