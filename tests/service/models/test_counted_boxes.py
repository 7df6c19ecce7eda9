"""From which score on a box counts is one rule: in the commands, in the scripts of an archive, and in the page of an export."""

from __future__ import annotations

import re
import runpy
from typing import Any

import numpy as np
import pytest

from digits.domain.training import TaskOptions
from digits.service.models.archives import SHARED, TEMPLATES
from digits.tasks import Labels, get
from tests.service.models.exported_page import shown

ROWS = np.array([[1, 1, 9, 9, 0.9, 0], [2, 2, 8, 8, 0.7, 1], [3, 3, 7, 7, 0.3, 1], [4, 4, 6, 6, 0.05, 0], [0] * 6], np.float32)
LABELS = ("car", "van")


def meta_with(options: dict[str, Any]) -> dict[str, Any]:
    shape = [1, 8, 8]
    return {
        "task": "detection",
        "label_kind": "boxes",
        "class_labels": list(LABELS),
        "options": options,
        "stored_shape": shape,
        "input_shape": shape,
        "image": {},
    }


def in_commands(meta: dict[str, Any]) -> list[str]:
    task = get("detection")
    return task.lines(task.kept(ROWS), Labels.of_snapshot(meta), TaskOptions.from_json(meta["options"]), 9)


def in_scripts(meta: dict[str, Any]) -> list[str]:
    return runpy.run_path(str(TEMPLATES / SHARED))["words"]({"boxes": ROWS}, meta, 9)


def in_a_page(meta: dict[str, Any]) -> list[str]:
    return shown(meta, ROWS[None])


def scores(lines: list[str]) -> list[str]:
    return [found[1] for found in (re.search(r"(\d+\.\d\d) %", line) for line in lines) if found]


@pytest.mark.parametrize("where", [in_commands, in_scripts, in_a_page])
@pytest.mark.parametrize(
    ("options", "wanted"),
    [
        ({}, ["90.00", "70.00"]),
        ({"score_threshold": 0.3}, ["90.00", "70.00", "30.00"]),
        ({"score_threshold": 0.7}, ["90.00", "70.00"]),
        ({"score_threshold": 0.0}, ["90.00", "70.00", "30.00", "5.00"]),
        ({"score_threshold": 0.95}, []),
    ],
)
def test_boxes_count_from_the_score_threshold_on(where: Any, options: dict[str, Any], wanted: list[str]) -> None:
    said = where(meta_with(options))
    assert scores(said) == wanted
    assert wanted or "othing was found with a score of 0.95 or more" in said[0]


def test_a_script_takes_another_threshold(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    script = runpy.run_path(str(TEMPLATES / SHARED))
    options = script["parser_of"]("x").parse_args(["a.png", "--score-threshold", "0.8"])
    monkeypatch.setitem(script["report"].__globals__, "origin_of", lambda path, meta: None)
    monkeypatch.setitem(script["report"].__globals__, "boxes_in_picture", lambda rows, origin: rows)
    script["report"](lambda path: {"boxes": ROWS}, meta_with({"score_threshold": 0.1}), options)
    assert scores(capsys.readouterr().out.splitlines()) == ["90.00"]
