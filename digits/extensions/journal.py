"""Remembers, across processes, which plugin was being imported: one that ends the process each time is left out at last.

Holds: the file says what is being imported now (`at`) and how often each ended the process (`crashes`). A process that finds
`at` set counts one more for it. What once ends well starts at nothing again. A lost or torn file only means another try.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

PATIENCE = 2  # the first time may have been somebody else's kill


class ImportJournal:
    """The journal in `file`; without a file it remembers nothing."""

    def __init__(self, file: Path | None = None) -> None:
        self._file = file
        self._crashes: dict[str, int] = {}
        if file is not None:
            self._read(file)

    def is_refused(self, plugin: str) -> bool:
        """Whether importing it has ended the process too often."""
        return self._crashes.get(plugin, 0) >= PATIENCE

    @contextmanager
    def importing(self, plugin: str) -> Iterator[None]:
        """Note that `plugin` is imported now; what is raised meanwhile is no crash."""
        self._write(plugin)
        yield
        self._crashes.pop(plugin, None)
        self._write("")

    def forget(self) -> None:
        """Give every plugin another chance."""
        if self._file is not None:
            self._file.unlink(missing_ok=True)

    def _read(self, file: Path) -> None:
        try:
            found = json.loads(file.read_text(encoding="utf-8"))
            self._crashes = {str(name): int(count) for name, count in found["crashes"].items()}
            at = str(found["at"])
        except (OSError, ValueError, KeyError, TypeError, AttributeError):
            return
        if at:
            self._crashes[at] = self._crashes.get(at, 0) + 1
            self._write("")

    def _write(self, at: str) -> None:
        if self._file is not None:
            self._file.write_text(json.dumps({"at": at, "crashes": self._crashes}), encoding="utf-8")
