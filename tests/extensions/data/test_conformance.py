"""The tables of `docs/datasets.md` that say what is read, format by format: every row names a test that there is."""

from __future__ import annotations

import re
from pathlib import Path

from digits.extensions.data.image_object_detection.formats import FORMATS

ROOT = Path(__file__).parents[3]


def rows() -> list[list[str]]:
    """Cells of the rows below "What is read, format by format"."""
    text = (ROOT / "docs/datasets.md").read_text().partition("\n# What is read, format by format")[2].partition("\n# ")[0]
    lines = [line for line in text.splitlines() if line.startswith("|") and not line.startswith(("| format |", "|---"))]
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in lines]


def test_each_row_is_held_by_a_test() -> None:
    there = {
        name
        for file in Path(__file__).parent.rglob("test_*.py")
        for name in re.findall(r"^def (test_\w+)", file.read_text(), re.M)
    }
    assert rows()
    missing = [row for row in rows() if row[-1].strip("`") not in there]
    assert not missing


def test_each_format_of_boxes_has_rows() -> None:
    assert {f"`{name}`" for name in FORMATS} <= {row[0] for row in rows()}
