"""Reading LMDB folders key by key."""

from __future__ import annotations

from collections.abc import Iterator
from types import TracebackType

import lmdb


class DbReader:
    """A read-only view of one LMDB folder; close it or use it in a `with`."""

    def __init__(self, location: str) -> None:
        self._environment = lmdb.open(location, map_size=1, readonly=True, lock=False, max_readers=1024)
        with self._environment.begin() as transaction:
            self.total_entries: int = transaction.stat()["entries"]

    def entries(self) -> Iterator[tuple[bytes, bytes]]:
        """All (key, value) pairs in the order of their keys."""
        with self._environment.begin() as transaction:
            yield from transaction.cursor()

    def entry(self, key: bytes | str) -> bytes | None:
        """The value under `key`, None where there is none."""
        with self._environment.begin() as transaction:
            return transaction.get(key.encode() if isinstance(key, str) else key)

    def close(self) -> None:
        self._environment.close()

    def __enter__(self) -> DbReader:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.close()
