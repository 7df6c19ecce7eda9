"""How much of a database is tested at once: all of it, what was asked for, or nothing and a word why."""

from __future__ import annotations

from pathlib import Path

import lmdb
import numpy as np
import pytest

from digits.errors import BadRequest
from digits.service.evaluations import sources
from digits.storage.records.caffe_datum import make_datum


@pytest.fixture
def database(tmp_path: Path) -> Path:
    with lmdb.open(str(tmp_path / "db"), map_size=1 << 22) as environment, environment.begin(write=True) as transaction:
        for i in range(5):
            transaction.put(f"{i:08d}".encode(), make_datum(np.full((1, 2, 2), i, np.uint8), i))
    return tmp_path / "db"


@pytest.mark.parametrize(("limit", "most", "expected"), [(0, 5, 5), (2, 5, 2), (4, 3, 4), (9, 3, 5)])
def test_all_records_or_as_many_as_were_asked_for(
    database: Path, monkeypatch: pytest.MonkeyPatch, limit: int, most: int, expected: int
) -> None:
    monkeypatch.setattr(sources, "MAX_SAMPLES", most)
    found = list(sources._records(database, limit))
    values = [(named.key, named.id, int(picture.feature[0, 0, 0]), label) for named, picture, label in found]
    assert values == [(f"{i:08d}", f"{i:08d}", i, i) for i in range(expected)]


def test_a_database_that_is_too_large_is_refused_with_what_to_do(database: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sources, "MAX_SAMPLES", 3)
    with pytest.raises(BadRequest, match="has 5 records") as caught:
        list(sources._records(database, 0))
    assert "num_test_images" in caught.value.advice
