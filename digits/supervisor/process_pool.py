"""A pool of processes that are kept while they are used: one for each key, the least recently used make way for new ones.

Holds: the supervisor's main thread alone uses it, and nothing here waits for a process. One that is dropped is requested to end,
killed after a while, and what it left in the pool's folder is removed when it is gone. Predictors, TensorBoards and probes
each keep their processes in one.
"""

from __future__ import annotations

import logging
import shutil
import socket
import time
from collections.abc import Callable, Hashable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Generic, TypeVar

from digits.errors import Unavailable
from digits.ipc.messages import socket_address
from digits.supervisor.child_processes import STOP_SECONDS, ChildProcess, stop_all
from digits.utils.processes import exit_words

logger = logging.getLogger(__name__)

LOG_TAIL_BYTES = 2_000

K = TypeVar("K", bound=Hashable)


@dataclass
class PooledProcess:
    """A process whose files in the pool's folder all begin with `base` (its name there without a suffix).

    It is `ready` once it listens on `socket`; `gpu` is the device it occupies (empty: none).
    """

    child: ChildProcess
    base: Path
    gpu: str = ""
    ready: bool = False
    used: float = field(default_factory=time.monotonic)
    title: str = "process"
    ended: str = ""  # why it was ended, where that was done to it

    @property
    def socket(self) -> Path:
        return self.base.with_suffix(".sock")

    @property
    def log(self) -> Path:
        return self.base.with_suffix(".log")


class ProcessPool(Generic[K]):
    """At most `limit` processes; each is dropped after `idle_seconds` without use, or when it is not ready after
    `starting_seconds`. `directory` is a private folder, `prefix` begins the names of this pool's files in it; `title` is
    what one is called."""

    def __init__(
        self, directory: Path, prefix: str, limit: int, idle_seconds: float, starting_seconds: float, title: str = "process"
    ) -> None:
        self.title = title
        self.directory = directory
        self.prefix = prefix
        self.limit = limit
        self.idle_seconds = idle_seconds
        self.starting_seconds = starting_seconds
        self.running: dict[K, PooledProcess] = {}
        self._ending: list[tuple[PooledProcess, float]] = []
        self._number = 0

    def find(self, key: K) -> PooledProcess | None:
        """The process of a key, marked as used; None where there is none, or one that was ready has ended.

        Raises Unavailable, once, when it ended or hung before it was ever ready; the message says what it printed last.
        """
        process = self.running.get(key)
        if process is None:
            return None
        process.ready = process.ready or answers_at(process.socket)
        if process.child.is_running() and (process.ready or not self.is_late(process)):
            process.used = time.monotonic()
            return process
        words = self._end_words(process)
        self.drop(key)
        if not process.ready:
            raise Unavailable(words, advice="The log of the server has more.")
        logger.info("A process of the pool ended: %s", words)
        return None

    def start(
        self,
        key: K,
        command: Sequence[str],
        environ: Mapping[str, str],
        *,
        base: Path,
        gpu: str = "",
        stdin: Path | None = None,
        log: Path | None = None,
    ) -> PooledProcess:
        """Start the process of a key, whose files have the name `base` (of `next_base`) with a suffix.

        Where there are too many, the least recently used of the ready ones is dropped first. `log` replaces `base`.log.
        """
        while len(self.running) >= self.limit:
            self.drop(min(self.running, key=lambda key: (not self.running[key].ready, self.running[key].used)))
        child = ChildProcess(command, environ, log or base.with_suffix(".log"), stdin)
        process = self.running[key] = PooledProcess(child, base, gpu, title=self.title)
        return process

    def next_base(self) -> Path:
        """Where the files of the next process begin."""
        self._number += 1
        return self.directory / f"{self.prefix}{self._number}"

    def is_late(self, process: PooledProcess) -> bool:
        """Whether the process has had its time to become ready."""
        return time.monotonic() - process.child.started >= self.starting_seconds

    def drop(self, key: K) -> None:
        """Stop a process: it is requested to end now and forced to by later ticks."""
        process = self.running.pop(key)
        process.child.request_stop()
        self._ending.append((process, time.monotonic()))
        self._remove_ended()

    def drop_where(self, condition: Callable[[K, PooledProcess], bool]) -> None:
        """Let all go that meet a condition."""
        for key in [key for key, process in self.running.items() if condition(key, process)]:
            self.drop(key)

    def move(self, directory: Path) -> None:
        """The folder is another one, or was made again: whoever has a socket there is started again when it is wanted."""
        self.directory = directory
        self.drop_where(lambda key, process: True)

    def tick(self) -> None:
        """Drop who is idle or has ended after being ready, kill those that were requested to end and did not."""
        now = time.monotonic()

        def is_over(key: K, process: PooledProcess) -> bool:
            limit = self.idle_seconds if process.ready else max(self.idle_seconds, self.starting_seconds)
            return now - process.used > limit or (process.ready and not process.child.is_running())

        self.drop_where(is_over)
        self._remove_ended()

    def stop(self) -> None:
        """End all, and wait for it."""
        processes = [*self.running.values(), *(process for process, _ in self._ending)]
        stop_all([process.child for process in processes])
        for process in processes:
            _remove_files(process)
        self.running.clear()
        self._ending.clear()

    def _remove_ended(self) -> None:
        now = time.monotonic()
        self._ending = [(process, since) for process, since in self._ending if not _has_gone(process, now - since)]

    def _end_words(self, process: PooledProcess) -> str:
        if process.child.is_running():
            return f"it was not ready after {self.starting_seconds:g} s. It said last: {tail_of(process.log)}"
        return f"{end_words(process)}. It said last: {tail_of(process.log)}"


def end_words(process: PooledProcess) -> str:
    """Why a process is no more, for people."""
    return process.ended or exit_words(process.child.process.returncode)


def _has_gone(process: PooledProcess, waited: float) -> bool:
    """Whether one that was requested to end has, with all that it started; after a while it is killed."""
    if process.child.is_running() and waited <= STOP_SECONDS:
        return False
    process.child.stop(0)
    _remove_files(process)
    return True


def _remove_files(process: PooledProcess) -> None:
    """Links are removed, never what they lead to."""
    for path in process.base.parent.glob(f"{process.base.name}[!0-9]*"):
        path.unlink(missing_ok=True)
    shutil.rmtree(process.base, ignore_errors=True)


def answers_at(path: Path) -> bool:
    """Whether a process listens on a socket."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as connection:
        connection.settimeout(0.2)
        try:
            with socket_address(path) as address:
                connection.connect(address)
        except OSError:
            return False
    return True


def tail_of(log: Path) -> str:
    """The end of what a process printed."""
    try:
        text = log.read_bytes()[-LOG_TAIL_BYTES:].decode(errors="replace").strip()
    except OSError:
        text = ""
    return text or "nothing."
