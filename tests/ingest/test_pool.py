"""The pool: whatever way the pictures come back from its processes, they are the same ones in the same order."""

from __future__ import annotations

import itertools
import multiprocessing
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from digits.domain.datasets import RecordMeta
from digits.errors import DataError
from digits.extensions.data.interface import DataIngestionInterface
from digits.ingest import pool
from digits.ingest.encode import Encoder
from digits.ingest.record_schema import RecordSchema
from digits.ingest.shared_memory import attach, create

SHAPE = (3, 64, 48)
ENTRIES = list(range(300))


class Numbers(DataIngestionInterface):
    """Entry n is a picture of noise seeded with n; every 17th cannot be read, every 50th gives two."""

    encode_mode = "processes"

    def encode_entry(self, entry: int) -> Any:
        if entry % 17 == 5:
            raise DataError("no picture")
        picture = np.random.default_rng(entry).integers(0, 255, SHAPE, np.uint8)
        return [(picture, entry % 3)] * 2 if entry % 50 == 0 else (picture, entry % 3)


def layout(encoding: str = "none") -> RecordSchema:
    meta = RecordMeta("classification", SHAPE, class_labels=("a", "b", "c"), feature_encoding=encoding)
    return RecordSchema(meta=meta, plugin="Numbers")


def features_of(workers: int, encoding: str = "none") -> tuple[list[np.ndarray | bytes], list[str]]:
    setup = pool.Setup("numbers", Path("unused"), layout(encoding))
    features: list[np.ndarray | bytes] = []
    keys: list[str] = []
    with pool.EncodePool(setup, Numbers(), workers, entries=len(ENTRIES), should_stop=lambda: False) as encoders:
        for chunk in encoders.run(ENTRIES, True):
            features += [f.copy() if isinstance(f, np.ndarray) else f for f in chunk.records.features]
            keys += chunk.records.keys
    return features, keys


def expected() -> tuple[list[np.ndarray], list[str]]:
    chunk = Encoder(Numbers(), layout()).encode(0, ENTRIES, True)
    return list(chunk.records.features), list(chunk.records.keys)


@pytest.fixture
def numbers_everywhere(monkeypatch: pytest.MonkeyPatch) -> None:
    """Pool processes are forked here, so that they know `Numbers` without an entry point."""
    monkeypatch.setattr(pool, "load_source", lambda *_: Numbers())
    fork = multiprocessing.get_context("fork")
    monkeypatch.setattr(pool.multiprocessing, "get_context", lambda _method: fork)
    monkeypatch.setattr(pool, "die_with_parent", lambda: None)


@pytest.mark.filterwarnings("ignore:This process .* is multi-threaded:DeprecationWarning")
@pytest.mark.usefixtures("numbers_everywhere")
@pytest.mark.parametrize("way", ["slots", "too small", "no slots"])
def test_pictures_come_back_the_same_by_every_way(monkeypatch: pytest.MonkeyPatch, way: str) -> None:
    if way == "too small":
        monkeypatch.setattr(pool, "create", lambda count, _size: create(count, 100_000))  # the longer chunks do not fit
    if way == "no slots":
        monkeypatch.setattr(pool, "create", lambda *_: None)
    monkeypatch.setattr(pool, "CHUNK_BYTES", 200_000)
    found, keys = features_of(3)
    features, expected_keys = expected()
    assert keys == expected_keys
    np.testing.assert_array_equal(np.stack(found), np.stack(features))


@pytest.mark.filterwarnings("ignore:This process .* is multi-threaded:DeprecationWarning")
@pytest.mark.usefixtures("numbers_everywhere")
def test_encoded_pictures_need_no_slots() -> None:
    found, _ = features_of(2, "raw")
    assert found == [feature.tobytes() for feature in expected()[0]]


def test_a_slot_is_seen_from_both_sides_and_never_overrun() -> None:
    shared = create(3, 1000)
    assert shared is not None
    other = attach(shared.place)
    assert other is not None
    for slot, value in itertools.product(range(3), (1, 200)):
        written = other.array(slot, (10, 100), np.dtype(np.uint8))
        assert written is not None
        written[:] = value + slot
        seen = shared.array(slot, (10, 100), np.dtype(np.uint8))
        assert seen is not None
        assert (seen == value + slot).all()
    assert shared.array(0, (1001,), np.dtype(np.uint8)) is None
    assert shared.array(0, (126,), np.dtype(np.float64)) is None
    assert shared.array(3, (1,), np.dtype(np.uint8)) is None
    place = shared.place
    shared.close()
    assert attach(place) is None
    assert attach(None) is None


def test_without_memory_to_share_there_are_no_slots(monkeypatch: pytest.MonkeyPatch) -> None:
    def refused(*_: Sequence[Any]) -> int:
        raise OSError("not permitted")

    monkeypatch.setattr(os, "memfd_create", refused, raising=False)
    assert create(2, 100) is None
