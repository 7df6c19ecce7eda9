"""A data plugin for the tests, installed by `install_plugin` as pip would do it. Its field `case` says what its entries give."""

from __future__ import annotations

import os
import sys
import time
from typing import Any

import numpy as np

from digits.errors import LoadImageError
from digits.extensions.data.interface import DataIngestionInterface

CASES: dict[str, Any] = {
    "pair": lambda x: (np.full((1, 4, 5), x % 256, np.uint8), x % 2),
    "list": lambda x: [(np.full((1, 4, 5), x, np.uint8), i) for i in range(x % 3)],
    "numpy scalar": lambda x: (np.zeros((1, 4, 5)), np.int32(x)),
    "mark": lambda x: (np.zeros((1, 4, 5)), 1_000_000 + x),
    "sign": lambda x: (np.zeros((1, 4, 5)), (-1) ** x),
    "size one": lambda x: (np.zeros((1, 4, 5)), np.array([[[x]]])),
    "float": lambda x: (np.zeros((1, 4, 5)), x + 0.5),
    "array": lambda x: (np.zeros((1, 4, 5)), np.full((1, 1, 2), x, np.float32)),
    "map": lambda x: (np.zeros((3, 4, 5), np.uint8), np.full((1, 4, 5), x % 2, np.uint8)),
    "no label": lambda x: (np.zeros((1, 4, 5)), None),
    "unreadable": lambda x: _raise(LoadImageError(f"{x} is torn.")) if x == 3 else CASES["pair"](x),
    "flat": lambda x: (np.zeros((4, 5)), 0),
    "object": lambda x: (np.array([[["a"]]], object), 0),
    "ragged": lambda x: ([[[1, 2], [3]]], 0),
    "ragged label": lambda x: (np.zeros((1, 4, 5)), [[1, 2], [3]]),
    "complex": lambda x: (np.zeros((1, 4, 5), complex), 0),
    "word": lambda x: (np.zeros((1, 4, 5)), "cat"),
    "nan": lambda x: (np.full((1, 4, 5), np.nan), 0),
    "shape": lambda x: (np.zeros((1, 4, 5 + (x == 11))), 0),
    "none": lambda x: None,
    "feature none": lambda x: (None, 0),
    "three": lambda x: (np.zeros((1, 4, 5)), 0, 0),
    "raises": lambda x: _raise(KeyError("oops")) if x == 11 else (np.zeros((1, 4, 5)), 0),
    "exits": lambda x: sys.exit(3) if x == 11 else CASES["pair"](x),
    "vector label": lambda x: (np.zeros((1, 4, 5)), np.zeros(3)),
    "label beyond": lambda x: (np.zeros((1, 4, 5)), 5),
    "kind changes": lambda x: (np.zeros((1, 4, 5)), np.zeros((1, 2, 2)) if x == 11 else 0),
    "dies": lambda x: os._exit(7) if x == 90 else CASES["pair"](x),
    "slow": lambda x: time.sleep(0.02) or CASES["pair"](x),
    "slower": lambda x: time.sleep(0.06) or CASES["pair"](x),
    "where": lambda x: (np.full((1, 1, 1), os.getpid(), np.int64), 0),
}


LISTS: dict[str, Any] = {
    "text": lambda: "abc",
    "mapping": lambda: {"a": 1},
    "number": lambda: 7,
    "nothing": lambda: None,
    "leaving": lambda: sys.exit(4),
    "generator": lambda: (number for number in range(3)),
    "million": lambda: [str(number) for number in range(1_000_000)],
}


def _raise(error: Exception) -> Any:
    raise error


class DataIngestion(DataIngestionInterface):
    """Entries 0, 1, 2, …; `count` of them in training, `val_count` in validation."""

    case: str
    count: int
    val_count: int

    def __init__(self, case: str = "pair", count: int = 12, val_count: int = 0, mode: str = "processes", **kwargs: Any) -> None:
        super().__init__(case=case, count=count, val_count=val_count, **kwargs)
        self.encode_mode = mode
        self.drawn = float(np.random.default_rng().random())

    @staticmethod
    def get_id() -> str:
        return "test-source"

    @staticmethod
    def get_title() -> str:
        return "Test source"

    @staticmethod
    def get_category() -> str:
        return "Tests"

    def itemize_entries(self, stage: str) -> Any:
        if self.case in LISTS:
            return LISTS[self.case]() if stage == "train_db" else []
        return list(range({"train_db": self.count, "val_db": self.val_count}.get(stage, 0)))

    def encode_entry(self, entry: int) -> Any:
        return CASES.get(self.case, CASES["pair"])(int(entry))
