"""Entries that are encoded one by one are held to what the ingest asks of them, in its words."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from digits.errors import DataError, PluginError
from digits.extensions.data.interface import DataIngestionInterface
from digits.ingest.encode import encoded, entry_text
from digits.ingest.split_statistics import numbered_classes
from digits.storage.records.reader import BOX_DTYPE


class Giver(DataIngestionInterface):
    """Gives whatever it is asked to."""

    def __init__(self, answer: Any, task: str | None = None) -> None:
        super().__init__()
        self.answer, self.task = answer, task

    def encode_entry(self, entry: Any) -> Any:
        if isinstance(self.answer, Exception):
            raise self.answer
        return self.answer

    def get_task(self) -> str | None:
        return self.task


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        (None, "returned None"),
        ([1, 2], "a list of 2 values"),
        (([[1, 2]], 0), r"shape \(1, 2\)"),
        (([[[object()]]], 0), "type object"),
        (([[[float("nan")]]], 0), "NaN"),
        (([[[1]]], [1, 2]), r"label has the shape \(2,\)"),
        (([[[1]]], "cat"), "type <U3"),
    ],
)
def test_what_cannot_be_a_record_names_plugin_entry_and_remedy(answer: Any, words: str) -> None:
    with pytest.raises(PluginError, match=words) as caught:
        encoded(Giver(answer), "e7", "giver")
    assert "giver, entry e7: " in str(caught.value)
    assert caught.value.advice


def test_what_the_source_raises_comes_with_its_traceback() -> None:
    with pytest.raises(DataError, match="encode_entry failed with KeyError") as caught:
        encoded(Giver(KeyError("no such slice")), "e7", "giver")
    assert "in encode_entry" in str(caught.value)


def test_a_module_that_has_another_name_now_is_named() -> None:
    with pytest.raises(DataError, match="import pydicom as dicom"):
        encoded(Giver(ModuleNotFoundError("No module named 'dicom'", name="dicom")), "e7", "giver")


@pytest.mark.parametrize(
    ("labels", "classes"),
    [
        (np.arange(12), 12),
        (np.arange(999), 999),
        (np.arange(5000), 0),  # each number once: they rather count the records
        (np.arange(5000).repeat(2), 5000),
        (np.array([0, 0]), 0),
        (np.array([-1, 1]), 0),
        (np.array([], np.int64), 0),
    ],
)
def test_which_numbers_look_like_classes(labels: np.ndarray, classes: int) -> None:
    assert numbered_classes(labels) == tuple(map(str, range(classes)))


def test_labels_are_told_apart() -> None:
    feature = np.zeros((1, 2, 3), np.uint16)
    rows = np.zeros((1, 2, 16), np.float32)
    rows[0, 0, :2] = 1, 16  # one row, 16 numbers in it
    rows[0, 1, :6] = 1, 2, 3, 4, 0, 1
    found = [
        encoded(Giver((feature, label), task), "e", "giver")[0][1]
        for label, task in ((np.array([7]), None), (np.zeros((1, 2, 3)), None), (None, None), (rows, "detection"))
    ]
    assert [None if label is None else label.shape for label in found] == [(), (1, 2, 3), None, (1,)]
    assert np.asarray(found[3]).dtype == BOX_DTYPE
    assert encoded(Giver([]), "e", "giver") == []


class Silent:
    """Says nothing of itself."""


@pytest.mark.parametrize(
    ("entry", "text"),
    [
        ("a.png", "a.png"),
        (("a.png", "b.png"), "a.png"),
        ((Path("/p/a.png"), 3), "/p/a.png, 3"),
        ((np.float32(0.1), np.str_("left")), "0.1, left"),
        ((1, (2, b"x")), "1, (2, x)"),
        (np.array([0.5, -0.5], np.float32), "0.5, -0.5"),
        (np.int64(7), "7"),
        (np.zeros((9, 9)), "array of shape (9, 9)"),
        ({"row": 1, "name": "a"}, "row=1, name=a"),
        ((Silent(), 4), "Silent, 4"),
    ],
)
def test_entries_of_several_parts_have_readable_names(entry: Any, text: str) -> None:
    assert entry_text(entry) == text
