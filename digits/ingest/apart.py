"""Sources that end the process they run in: what a job does after that has happened to its worker.

Entries are looked at in the worker itself, and encoded there where they are few or the source wants threads or no other process.
Where a worker died meanwhile, the next attempt of its job does both in processes of their own, by the pool's rule: an entry that
ends one of them is left out, and the list of problems names it. Nothing is concluded from the death itself, which may have come
from outside, so that records are those of a job that was never interrupted.
"""

from __future__ import annotations

import contextlib
import multiprocessing
import pickle
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from typing import Any

from digits.errors import DataError, DigitsError, Misfit
from digits.extensions.data.interface import DataIngestionInterface
from digits.ingest.encode import samples_of
from digits.ingest.pool import (
    DEATHS_IN_A_ROW,
    Setup,
    TooLate,
    kill_processes,
    one_after_another,
    reason_lost,
    result_of,
    source_in_process,
)
from digits.ingest.source import attributes_of, changed_in
from digits.storage.folders import JobFolder

MARKER = ".encoding_in_worker"


class InWorker:
    """Remembers in the job folder that entries are looked at or encoded in the worker: `has_died` says that an earlier attempt
    ended in the middle of it."""

    def __init__(self, folder: JobFolder) -> None:
        self._file = folder.path / MARKER
        self.has_died = self._file.exists()

    @contextlib.contextmanager
    def watched(self) -> Iterator[None]:
        """Around such work."""
        with contextlib.suppress(OSError):  # a full disk
            self._file.touch()
        try:
            yield
        finally:
            self.forget()

    def forget(self) -> None:
        """The attempt has ended by itself."""
        with contextlib.suppress(OSError):
            self._file.unlink(missing_ok=True)


def can_be_sent(entries: Mapping[str, Sequence[Any]]) -> bool:
    """Whether entries of all stages can go to other processes, seen from the first of each."""
    try:
        pickle.dumps([items[0] for items in entries.values() if len(items)])
    except Exception:  # whatever a plugin's own objects raise means no
        return False
    return True


class LookingApart:
    """Gives what `samples_of` does, made in a process of its own; a new one after each that an entry has ended. Use as a context
    manager."""

    def __init__(self, setup: Setup, plugin: str, should_stop: Callable[[], bool]) -> None:
        self._setup, self._plugin, self._should_stop = setup, plugin, should_stop
        self._deaths, self._has_lived = 0, False
        self._executor = self._process()

    def _process(self) -> ProcessPoolExecutor:
        return ProcessPoolExecutor(1, multiprocessing.get_context("spawn"), _start, (self._setup,))

    def samples(self, entry: Any) -> Any:
        """A pair, or a list of pairs. Raises Misfit, DataError, also for an entry that ends the process, PluginError where the
        first ones all do, and JobStopped."""
        try:
            found, error = result_of(self._executor.submit(_look, entry, self._plugin), self._should_stop)
        except (BrokenProcessPool, TooLate) as broken:
            self._deaths += 1
            if self._deaths >= DEATHS_IN_A_ROW and not self._has_lived:
                raise one_after_another(self._plugin, broken) from broken
            self.close()
            self._executor = self._process()
            raise DataError(reason_lost(broken)) from None
        except DigitsError:  # of a start, or a stop
            raise
        except Exception as unsent:  # what it gives cannot be sent back, for whatever reason
            raise DataError(f"{self._plugin}: {type(unsent).__name__}: {unsent}") from unsent
        self._has_lived = True
        if error is not None:
            raise error
        return found

    def changes(self) -> set[str]:
        """Names of what the source keeps that the entries changed, as far as its process has seen them."""
        try:
            return set(result_of(self._executor.submit(_changes), self._should_stop))
        except (BrokenProcessPool, TooLate):
            return set()

    def close(self) -> None:
        kill_processes(self._executor)
        self._executor.shutdown(wait=True, cancel_futures=True)

    def __enter__(self) -> LookingApart:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


_source: DataIngestionInterface | None = None  # of the process that looks; set once by its initializer
_kept: dict[str, bytes] = {}  # what it kept then


def _start(setup: Setup) -> None:
    global _source, _kept
    _source = source_in_process(setup)
    _kept = attributes_of(_source)


def _changes() -> list[str]:
    assert _source is not None
    return sorted(changed_in(_kept, attributes_of(_source)))


def _look(entry: Any, plugin: str) -> tuple[Any, DigitsError | None]:
    """What the entry gives, or why it gives nothing."""
    assert _source is not None
    try:
        found = samples_of(_source, entry, plugin)
    except (DataError, Misfit) as error:
        return None, error
    return [(one[0], one[1]) for one in found] if isinstance(found, list) else (found[0], found[1]), None
