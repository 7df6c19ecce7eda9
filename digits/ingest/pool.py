"""Runs the encoder over all entries: in spawned processes, in threads or in place, always handing the chunks back in order.

Holds: only a few chunks are under way at a time, so memory does not grow with the data set; chunks grow until one takes about
`CHUNK_SECONDS`, so that cheap entries cost no more than a function call each; pool processes die with this one; an entry at
which one of them dies, or that takes longer than the setting entry_seconds, is left out. An entry that ends this process
itself, where it is encoded in threads or in place, is the matter of `ingest.apart`. What a chunk's features are is good only
until the next chunk is asked for: they may lie in memory that is used again.
"""

from __future__ import annotations

import contextlib
import faulthandler
import functools
import math
import multiprocessing
import os
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Executor, Future, ProcessPoolExecutor, ThreadPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass, replace
from itertools import islice
from pathlib import Path
from typing import Any, TypeVar

import numpy as np

from digits.errors import DigitsError, JobStopped, PluginError
from digits.extensions.data.interface import DataIngestionInterface
from digits.ingest.encode import EncodedChunk, Encoder, entry_at, entry_text
from digits.ingest.record_schema import RecordSchema
from digits.ingest.shared_memory import CreatedMemory, MemoryAddress, SharedMemory, attach, create
from digits.ingest.source import entries_of, entry_seconds, load_source
from digits.storage.records.reader import RecordChunk
from digits.utils.processes import die_with_parent, kill_children, leave_stopping_to_parent

CHUNK_SECONDS = 0.1
CHUNK_ENTRIES = 1024
CHUNK_BYTES = 4 << 20
AHEAD = 3  # chunks under way per process
IN_PLACE_ENTRIES = 32  # so few are encoded faster than a process starts
POLL_SECONDS = 0.2
DEATHS_IN_A_ROW = 3  # entries that kill their process one after another: then it is not they that are bad
T = TypeVar("T")
LATE = "It takes longer than {seconds:g} s to encode; the setting entry_seconds (DIGITS_ENTRY_SECONDS) says how long it may."
NOT_SENT = "it cannot be encoded in another process"
NOT_SENT_ADVICE = 'encode_mode = "threads" (or "serial") on the class of the plugin keeps its entries in one process.'
DIED = "The process that encoded it died; worker.log may say why."


class TooLate(Exception):
    """An entry has had its time, and its process goes on."""


@contextlib.contextmanager
def ending_when_late() -> Iterator[None]:
    """This process ends with its traces where the block takes longer than an entry may: what hangs in it cannot be ended alone.
    The next attempt of the job encodes in processes of their own (`ingest.apart`)."""
    faulthandler.dump_traceback_later(entry_seconds(), exit=True)
    try:
        yield
    finally:
        faulthandler.cancel_dump_traceback_later()


@dataclass(frozen=True)
class Setup:
    """What a pool process needs to make its encoder: the extension's id, the job folder with its frozen userdata, the schema (a
    process that only looks at samples needs none)."""

    extension: str
    folder: Path
    schema: RecordSchema | None = None
    state: bytes = b""  # see `source.state_of`
    memory: MemoryAddress | None = None
    lists: str = ""  # the stage whose entries the source lists there too, which may leave marks in it that `state` cannot hold


@dataclass(frozen=True)
class _InSlot:
    """Stands for features that lie in a slot."""

    slot: int
    shape: tuple[int, ...]
    dtype: np.dtype


@dataclass(frozen=True)
class _Waiting:
    """A chunk that is under way: its entries from `start` on, and the slot that its features may use."""

    future: Future[EncodedChunk]
    start: int
    part: list[Any]
    slot: int


_encoder: Encoder | None = None  # of a pool process; set once by its initializer, like its slots
_memory: SharedMemory | None = None


class EncodePool:
    """Encodes with `workers` processes or threads, as the source (`encode_mode`), or `mode` where it is given, wants it; `apart`
    never in this process: where the source does not want several, in one of its own. Use as a context manager."""

    def __init__(
        self,
        setup: Setup,
        source: DataIngestionInterface,
        workers: int,
        *,
        entries: int,
        should_stop: Callable[[], bool],
        apart: bool = False,
        mode: str = "",
    ) -> None:
        assert setup.schema is not None
        self._encoder = Encoder(source, setup.schema)
        self._plugin = setup.schema.plugin
        self._should_stop = should_stop
        mode = mode or source.encode_mode
        self._workers = 1 if apart and mode != "processes" else max(1, workers)
        self._memory: CreatedMemory | None = None
        self._deaths = 0  # in a row
        self._executor, self._task = self._start(
            setup, "processes" if apart else mode, few=not apart and entries <= IN_PLACE_ENTRIES
        )
        self._size = 4

    def _start(self, setup: Setup, mode: str, few: bool) -> tuple[Executor | None, Callable[..., EncodedChunk]]:
        if mode == "serial" or few:
            return None, self._encode
        if mode == "threads":
            return ThreadPoolExecutor(self._workers, "encode"), self._encode
        self._memory = create(self._workers * AHEAD, 2 * CHUNK_BYTES)
        self._setup = replace(setup, memory=self._memory.place if self._memory is not None else None)
        return self._processes(), _encode

    def _processes(self) -> ProcessPoolExecutor:
        return ProcessPoolExecutor(self._workers, multiprocessing.get_context("spawn"), _start_process, (self._setup,))

    def _encode(self, start: int, entries: Sequence[Any], with_picture: bool, _slot: int) -> EncodedChunk:
        return self._encoder.encode(start, entries, with_picture)

    @property
    def in_worker(self) -> bool:
        """Whether entries are encoded in this process."""
        return not isinstance(self._executor, ProcessPoolExecutor)

    def __enter__(self) -> EncodePool:
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        if self._executor is None:
            return
        if kind is not None and isinstance(self._executor, ProcessPoolExecutor):
            kill_processes(self._executor)
        self._executor.shutdown(wait=True, cancel_futures=True)
        if self._memory is not None:
            self._memory.close()

    def run(self, entries: Sequence[Any], with_picture: bool) -> Iterator[EncodedChunk]:
        """Chunks in the order of the entries. Raises JobStopped when requested to stop, PluginError where processes die one after
        another."""
        if self._executor is None:
            for start, part in self._tasks(entries):
                with ending_when_late():
                    chunk = self._task(start, part, with_picture, 0)
                yield self._checked(chunk)
            return
        self._await_process()
        waiting: deque[_Waiting] = deque()
        free = list(range(self._workers * AHEAD))
        tasks = self._tasks(entries)
        while True:
            for start, part in islice(tasks, len(free)):
                waiting.append(_Waiting(self._submit(start, part, with_picture, slot := free.pop()), start, part, slot))
            if not waiting:
                return
            try:
                chunk = self._taken(self._result(waiting[0].future))
            except (BrokenProcessPool, TooLate):
                yield from self._one_by_one(waiting, with_picture)
                free += [one.slot for one in waiting]
                waiting.clear()
                continue
            except DigitsError:
                raise
            except Exception:  # entries that cannot be sent, or more than the memory holds: each for itself
                one = waiting.popleft()
                for number, entry in enumerate(one.part, one.start):
                    yield self._checked(self._alone(number, entry, with_picture, one.slot))
                free.append(one.slot)
                continue
            yield self._checked(chunk)
            free.append(waiting.popleft().slot)

    def _submit(self, *task: Any) -> Future[EncodedChunk]:
        assert self._executor is not None
        try:
            return self._executor.submit(self._task, *task)
        except BrokenProcessPool as error:  # a process died since the last result: as if it had died now
            failed: Future[EncodedChunk] = Future()
            failed.set_exception(error)
            return failed

    def _one_by_one(self, waiting: Iterable[_Waiting], with_picture: bool) -> Iterator[EncodedChunk]:
        """What was under way when a process died: the chunks that are ready, and the others an entry at a time, without the one
        that kills its process. Raises PluginError where one entry after the other does."""
        self._restart()
        for one in waiting:
            if one.future.exception() is None:
                yield self._checked(self._taken(one.future.result()))
                continue
            for number, entry in enumerate(one.part, one.start):
                yield self._checked(self._alone(number, entry, with_picture, one.slot))

    def _alone(self, number: int, entry: Any, with_picture: bool, slot: int) -> EncodedChunk:
        try:
            chunk = self._taken(self._result(self._submit(number, [entry], with_picture, slot)))
            self._deaths = 0
            return chunk
        except (BrokenProcessPool, TooLate) as error:
            self._deaths += 1
            if self._deaths >= DEATHS_IN_A_ROW:
                raise one_after_another(self._plugin, error) from error
            self._restart()
            return _lost(entry, reason_lost(error))
        except DigitsError:
            raise
        except Exception as error:
            return _lost(entry, f"{self._plugin}: {NOT_SENT} ({type(error).__name__}: {error}). {NOT_SENT_ADVICE}")

    def _restart(self) -> None:
        """New processes in the place of those of which one died."""
        assert isinstance(self._executor, ProcessPoolExecutor)
        kill_processes(self._executor)
        self._executor.shutdown(wait=True, cancel_futures=True)
        self._executor = self._processes()
        self._await_process()

    def _await_process(self) -> None:
        """Until a process has started, however long that takes: entries are not late because of it."""
        if self.in_worker or self._executor is None:
            return
        with contextlib.suppress(BrokenProcessPool):  # whoever submits next meets it
            result_of(self._executor.submit(os.getpid), self._should_stop, math.inf)

    def _taken(self, chunk: EncodedChunk) -> EncodedChunk:
        """The chunk with its features, also where they lie in a slot."""
        place = chunk.records.features
        if isinstance(place, _InSlot):
            features = self._memory.array(place.slot, place.shape, place.dtype) if self._memory is not None else None
            assert features is not None, "a slot is found where it was filled"
            chunk.records.features = features
        return chunk

    def _tasks(self, entries: Sequence[Any]) -> Iterator[tuple[int, list[Any]]]:
        start = 0
        while start < len(entries):
            stop = min(start + self._size, len(entries))
            yield start, [entry_at(entries, i, self._plugin) for i in range(start, stop)]
            start = stop

    def _checked(self, chunk: EncodedChunk) -> EncodedChunk:
        """Learn from a chunk how long the next ones should be."""
        if self._should_stop():
            raise JobStopped("Stopped while reading the data.")
        per_entry = max(chunk.seconds / max(chunk.entries, 1), 1e-7)
        bytes_per_entry = max(chunk.records.nbytes / max(chunk.entries, 1), 1)
        wanted = min(CHUNK_SECONDS / per_entry, CHUNK_BYTES / bytes_per_entry, CHUNK_ENTRIES)
        self._size = max(1, min(int(wanted), self._size * 4))
        return chunk

    def _result(self, future: Future[EncodedChunk]) -> EncodedChunk:
        if self.in_worker:
            with ending_when_late():
                return result_of(future, self._should_stop, math.inf)
        return result_of(future, self._should_stop)


def _lost(entry: Any, reason: str) -> EncodedChunk:
    """A chunk of one entry that is left out."""
    return EncodedChunk(RecordChunk([], []), 1, [(entry_text(entry), reason)], lost=1)


def result_of(future: Future[T], should_stop: Callable[[], bool], seconds: float = 0.0) -> T:
    """What a process made. Raises JobStopped as soon as it is requested, BrokenProcessPool where the process died, TooLate after
    so many seconds (0: those of the setting)."""
    ends = time.monotonic() + (seconds or entry_seconds())
    while True:
        try:
            return future.result(timeout=POLL_SECONDS)
        except TimeoutError as error:
            if future.done() and future.exception() is error:  # raised by the work itself
                raise
            if should_stop():
                raise JobStopped("Stopped while reading the data.") from None
            if time.monotonic() > ends:
                raise TooLate from None


def reason_lost(error: BaseException) -> str:
    """Why an entry is left out at which its process died, or had to be ended."""
    return LATE.format(seconds=entry_seconds()) if isinstance(error, TooLate) else DIED


def one_after_another(plugin: str, error: BaseException) -> PluginError:
    """Processes die, or never come back, at each entry."""
    if isinstance(error, TooLate):
        return PluginError(f"{plugin}: several entries, one after the other, cannot be encoded.", advice=reason_lost(error))
    return PluginError(
        f"{plugin}: a process that encodes entries died; worker.log may say why.",
        advice="Most often the memory was too small: use fewer threads or smaller pictures. A plugin may also crash.",
    )


def source_in_process(setup: Setup) -> DataIngestionInterface:
    """The source in a pool process, which dies with the worker and leaves signals to it."""
    die_with_parent()
    leave_stopping_to_parent()
    source = load_source(setup.extension, setup.folder, setup.state)
    if setup.lists:
        entries_of(source, setup.lists, setup.extension)
    return source


def _start_process(setup: Setup) -> None:
    global _encoder, _memory
    assert setup.schema is not None
    _encoder = Encoder(source_in_process(setup), setup.schema)
    _memory = attach(setup.memory)


def _encode(start: int, entries: Sequence[Any], with_picture: bool, slot: int) -> EncodedChunk:
    assert _encoder is not None
    allocate = functools.partial(_memory.array, slot) if _memory is not None else None
    chunk = _encoder.encode(start, entries, with_picture, allocate)
    features = chunk.records.features
    if chunk.in_shared_memory and isinstance(features, np.ndarray):
        chunk.records.features = _InSlot(slot, features.shape, features.dtype)  # type: ignore[assignment]
    return chunk


def kill_processes(executor: ProcessPoolExecutor) -> None:
    """End pool processes in the middle of their work: a stopped job waits for nobody's encode_entry."""
    kill_children(list((executor._processes or {}).values()))
