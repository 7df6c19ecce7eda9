"""How much of a database is tested at once: all of it, what was asked for, or nothing and a word why."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import lmdb
import numpy as np
import pytest

from digits.errors import BadRequest
from digits.ipc.messages import Message
from digits.plugin_host import records
from digits.service import Service
from digits.service.evaluations import sources
from digits.service.plugins import host as plugins
from digits.storage.records.caffe_datum import make_datum


@pytest.fixture
def database(tmp_path: Path) -> Path:
    with lmdb.open(str(tmp_path / "db"), map_size=1 << 22) as environment, environment.begin(write=True) as transaction:
        for i in range(5):
            transaction.put(f"{i:08d}".encode(), make_datum(np.full((1, 2, 2), i, np.uint8), i))
    return tmp_path / "db"


@pytest.fixture(autouse=True)
def read_here(monkeypatch: pytest.MonkeyPatch) -> None:
    """As the plugin host does it (see `plugin_host/test_records.py`)."""

    def read(service: Service, operation: str, header: Mapping[str, Any]) -> Message:
        assert operation == "records"
        numbers = (header[name] for name in ("start", "count", "most", "records"))
        return Message(*records.read(Path(header["path"]), header["allowed_roots"], *numbers))

    monkeypatch.setattr(plugins, "read_foreign", read)
    monkeypatch.setattr(sources, "CHUNK", 2)


@pytest.mark.parametrize(("limit", "most", "expected"), [(0, 5, 5), (2, 5, 2), (4, 3, 4), (9, 3, 5)])
def test_all_records_or_as_many_as_were_asked_for(
    service: Service, database: Path, monkeypatch: pytest.MonkeyPatch, limit: int, most: int, expected: int
) -> None:
    monkeypatch.setattr(sources, "MAX_SAMPLES", most)
    found = list(sources._records(service, database, limit, None))
    values = [(named.key, named.id, int(picture.feature[0, 0, 0]), label) for named, picture, label in found]
    assert values == [(f"{i:08d}", f"{i:08d}", i, i) for i in range(expected)]


def test_a_database_that_is_too_large_is_refused_with_what_to_do(
    service: Service, database: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sources, "MAX_SAMPLES", 3)
    with pytest.raises(BadRequest, match="has 5 records") as caught:
        list(sources._records(service, database, 0, None))
    assert "num_test_images" in caught.value.advice
