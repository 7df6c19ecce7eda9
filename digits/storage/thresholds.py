"""The file of the thresholds that were chosen for a model (`thresholds.json`): what is in it, and what of it is believed where it
came with a model from elsewhere."""

from __future__ import annotations

import contextlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from digits.errors import StorageError
from digits.storage.files import read_json

FILE = "thresholds.json"
MOST_BYTES = 1 << 20
NUMBERS = ("threshold", "precision", "recall", "f1", "right", "wrong", "missed", "counted_at", "epoch", "time")
TEXTS = ("split", "user", "evaluation")
LONGEST = 200
LARGEST = 1e300


def read_thresholds(folder: Path) -> dict[str, dict[str, Any]]:
    """What was chosen for the model in a folder, by label (empty: for all classes); empty where nothing was, or where the file
    cannot be read."""
    path = folder / FILE
    found: Any = {}
    if path.is_file() and path.stat().st_size <= MOST_BYTES:
        with contextlib.suppress(StorageError):
            found = read_json(path)
    rows = found.get("thresholds", {}) if isinstance(found, dict) else {}
    return {
        str(label): row
        for label, row in (rows.items() if isinstance(rows, dict) else ())
        if isinstance(row, dict) and _is_number(row.get("threshold"))
    }


def believed(rows: Mapping[str, Mapping[str, Any]], *, from_here: bool) -> dict[str, dict[str, Any]]:
    """Only what is known of such rows: numbers and short texts. The evaluation that a threshold was chosen on is left out of rows
    that are not `from_here`."""
    texts = TEXTS if from_here else [name for name in TEXTS if name != "evaluation"]
    return {
        label[:LONGEST]: {
            **{name: row[name] for name in NUMBERS if _is_number(row.get(name))},
            **{name: row[name][:LONGEST] for name in texts if isinstance(row.get(name), str)},
        }
        for label, row in rows.items()
    }


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and abs(value) < LARGEST
