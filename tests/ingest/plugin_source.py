"""A data plugin for the tests, installed by `install_plugin` as pip would do it. Its field `case` says what its entries give."""

from __future__ import annotations

import asyncio
import multiprocessing
import os
import random
import sys
import time
from typing import Any

import numpy as np

from digits.errors import LoadImageError
from digits.extensions.data.interface import DataIngestionInterface
from digits.extensions.data.source import Sample

CASES: dict[str, Any] = {
    "pair": lambda x: (np.full((1, 4, 5), x % 256, np.uint8), x % 2),
    "list": lambda x: [(np.full((1, 4, 5), x, np.uint8), i) for i in range(x % 3)],
    "some of a list": lambda x: [(np.full((1, 4, 5 + (x == 0 and i == 1)), x, np.uint8), i) for i in range(3)],
    "numpy scalar": lambda x: (np.zeros((1, 4, 5)), np.int32(x)),
    "mark": lambda x: (np.zeros((1, 4, 5)), 1_000_000 + x),
    "sign": lambda x: (np.zeros((1, 4, 5)), (-1) ** x),
    "size one": lambda x: (np.zeros((1, 4, 5)), np.array([[[x]]])),
    "float": lambda x: (np.zeros((1, 4, 5)), x + 0.5),
    "array": lambda x: (np.zeros((1, 4, 5)), np.full((1, 1, 2), x, np.float32)),
    "map": lambda x: (np.zeros((3, 4, 5), np.uint8), np.full((1, 4, 5), x % 2, np.uint8)),
    "colour map": lambda x: (np.full((3, 4, 5), x, np.uint8), np.full((3, 4, 5), x % 2, np.uint8)),
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
    "slow, some bad": lambda x: time.sleep(0.02) or (CASES["flat"](x) if x % 9 == 4 else CASES["pair"](x)),
    "dies in a pool": lambda x: os._exit(7) if multiprocessing.parent_process() else CASES["pair"](x),
    "slow": lambda x: time.sleep(0.02) or CASES["pair"](x),
    "slower": lambda x: time.sleep(0.06) or CASES["pair"](x),
    "half a class": lambda x: (np.full((1, 4, 5), x, np.uint8), 0.5 if x == 3 else x % 2),
    "copies": lambda x: (np.full((1, 4, 5), x % 1000, np.uint8), int(x == 1002) or x % 2),
    "few kinds": lambda x: (np.full((1, 4, 5), x % 3, np.uint8), x % 3),
    "dies at some": lambda x: os._exit(7) if x in (7, 14) else CASES["pair"](x),
    "hangs": lambda x: time.sleep(3600) if x == 17 else CASES["pair"](x),
    "map beyond": lambda x: (
        np.full((3, 4, 5), x, np.uint8),
        np.full((1, 4, 5), 7 if x == 3 else 255 if x == 4 else 1, np.uint8),
    ),
    "map far beyond": lambda x: (np.full((3, 4, 5), x, np.uint8), np.full((1, 4, 5), 4e9 if x == 3 else 1).astype(np.uint32)),
    "huge double": lambda x: (np.full((1, 4, 5), 1e300 if x == 3 else float(x)), x % 2),
    "cancelled": lambda x: _raise(asyncio.CancelledError("enough")) if x == 3 else CASES["pair"](x),
    "drawn": lambda x: (np.full((1, 4, 5), x, np.float64), np.array([x > 0.5])),
    "where": lambda x: (np.full((1, 1, 1), os.getpid(), np.int64), 0),
}


COLOUR = {  # what the entries of a mixture of 8-bit RGB pictures give, by the word that the plan has for them
    "plain": lambda x: (np.full((3, 4, 5), x, np.uint8), x % 2),
    "list": lambda x: [(np.full((3, 4, 5), x, np.uint8), x % 2)],
    "grey": lambda x: (np.full((1, 4, 5), x, np.uint8), x % 2),
    "none": lambda x: None,
    "three": lambda x: (0, 0, 0),
    "raises": lambda x: _raise(KeyError("oops")),
    "torn": lambda x: _raise(LoadImageError(f"{x} is torn.")),
    "feature none": lambda x: (None, 0),
    "flat": lambda x: (np.zeros((4, 5)), 0),
    "other size": lambda x: (np.zeros((3, 4, 6), np.uint8), 0),
    "other channels": lambda x: (np.zeros((2, 4, 5), np.uint8), 0),
    "other type": lambda x: (np.zeros((3, 4, 5), np.int16), 0),
    "grey of another type": lambda x: (np.zeros((1, 4, 5), np.uint16), 0),
    "ragged": lambda x: ([[[1, 2], [3]]], 0),
    "ragged label": lambda x: (np.zeros((3, 4, 5), np.uint8), [[1, 2], [3]]),
    "other kind": lambda x: (np.zeros((3, 4, 5), np.uint8), np.zeros((1, 4, 5))),
    "no label": lambda x: (np.zeros((3, 4, 5), np.uint8), None),
    "no number": lambda x: (np.zeros((3, 4, 5), np.uint8), np.float64("nan")),
    "huge": lambda x: (np.zeros((3, 4, 5), np.uint8), 2**63),
    "odd digest": lambda x: Sample(np.zeros((3, 4, 5), np.uint8), 0, digest=b"123"),
}
FLOATS = {  # and of one of float32 arrays with a number each
    "plain": lambda x: (np.full((1, 4, 5), x, np.float32), x + 0.5),
    "double": lambda x: (np.full((1, 4, 5), x, np.float64), x + 0.5),
    "whole": lambda x: (np.full((1, 4, 5), x, np.uint16), np.float64(x)),
    "nan": lambda x: (np.full((1, 4, 5), np.nan, np.float32), 0.5),
    "infinite": lambda x: (np.full((1, 4, 5), -np.inf, np.float32), 0.5),
    "beyond": lambda x: (np.full((1, 4, 5), 1e300), 0.5),
    "label beyond": lambda x: (np.zeros((1, 4, 5), np.float32), 1e300),
    "label nan": lambda x: (np.zeros((1, 4, 5), np.float32), np.nan),
    "two numbers": lambda x: (np.zeros((1, 4, 5), np.float32), np.zeros((1, 1, 2))),
    "complex": lambda x: (np.zeros((1, 4, 5), complex), 0.5),
    "long": lambda x: (np.zeros((1, 4, 5), np.int64), 0.5),
}
MIXTURES = {"colour": COLOUR, "floats": FLOATS}


LISTS: dict[str, Any] = {
    "text": lambda: "abc",
    "mapping": lambda: {"a": 1},
    "number": lambda: 7,
    "nothing": lambda: None,
    "leaving": lambda: sys.exit(4),
    "generator": lambda: (number for number in range(3)),
    "lazy": lambda: Lazy(),
    "unsendable": lambda: [number if number != 50 else Unsendable() for number in range(60)],
    "million": lambda: [str(number) for number in range(1_000_000)],
}


class Lazy:
    """A list that is made as it is asked for."""

    def __len__(self) -> int:
        return 12

    def __getitem__(self, number: int) -> int:
        return _raise(KeyError(f"no {number}")) if number in (0, 3) else number


class Unsendable:
    """What no other process can be given."""

    def __reduce__(self) -> Any:
        return _raise(TypeError("cannot pickle it"))

    def __str__(self) -> str:
        return _raise(ValueError("nor name it"))

    def __int__(self) -> int:
        return 50


def _raise(error: BaseException) -> Any:
    raise error


class DataIngestion(DataIngestionInterface):
    """Entries 0, 1, 2, …; `count` of them in training, `val_count` in validation."""

    case: str
    count: int
    val_count: int

    def __init__(self, case: str = "pair", count: int = 12, val_count: int = 0, mode: str = "processes", **kwargs: Any) -> None:
        super().__init__(case=case, count=count, val_count=val_count, **kwargs)
        if mode != "unsaid":
            self.encode_mode = mode
        self.drawn = float(np.random.default_rng().random())
        if case.startswith("shuffled"):
            random.seed(7)
        self.records = list(range(count + val_count))
        self.userdata["kept records"] = list(self.records)
        self.seen: list[int] = []

    @staticmethod
    def get_id() -> str:
        return "test-source"

    @staticmethod
    def get_title() -> str:
        return "Test source"

    @staticmethod
    def get_category() -> str:
        return "Tests"

    def get_task(self) -> str | None:
        return self.userdata.get("says")

    def itemize_entries(self, stage: str) -> Any:
        if self.case in LISTS:
            return LISTS[self.case]() if stage == "train_db" else []
        if self.case.startswith("shuffled"):  # in place, as plugins of the original do
            records = self.records if self.case == "shuffled" else self.userdata["kept records"]
            random.shuffle(records)
            return {"train_db": records[self.val_count :], "val_db": records[: self.val_count]}.get(stage, [])
        count = {"train_db": self.count, "val_db": self.val_count}.get(stage, 0)
        if self.case == "drawn":
            return [np.random.random() for _ in range(count)]
        first = {"copies": 1000, "all copies": 0}.get(self.case, self.count) if stage == "val_db" else 0
        return list(range(first, first + count))

    def encode_entry(self, entry: int) -> Any:
        if self.case.startswith("in turn"):
            self.seen.append(entry)
            time.sleep(0.01 * (self.case == "in turn, slowly"))  # so that several processes would share them
            return np.full((1, 4, 5), entry % 256, np.uint8), len(self.seen) - 1
        if self.case == "each once":
            kind = entry % 20
            again, self.seen = kind in self.seen, [*self.seen, kind]
            return [] if again else [(np.full((1, 4, 5), kind, np.uint8), kind)]
        if self.case in MIXTURES:
            return MIXTURES[self.case][self.userdata["plan"][entry]](entry)
        return CASES.get(self.case, CASES["pair"])(entry if self.case == "drawn" else int(entry))
