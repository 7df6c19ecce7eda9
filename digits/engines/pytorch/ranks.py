"""The further processes of a data-parallel training, as rank 0 sees them: started, watched and ended.

Holds: each of them says on a pipe of its own that it lives, that it is ready, that it is done, or why it failed. The first
reason, by the clock of the system, is the one that the training ends with: an exception of another rank as if this process had
raised it, the death of a rank as ProcessLost, after which the job goes on from its checkpoint. That the exchange between
processes broke off is a reason only where no other is known. When rank 0 cannot leave by itself, because it waits inside an
exchange, `TrainingRun.give_up` ends it from the watching thread. All ranks end with rank 0, however that ends.
"""

from __future__ import annotations

import base64
import contextlib
import json
import os
import pickle
import re
import select
import socket
import subprocess
import sys
import threading
import time
import traceback
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import torch.distributed as dist

from digits.engines.base import TrainingRun
from digits.engines.pytorch.devices import EXCHANGE_TIMEOUT, world_size
from digits.errors import JobStopped, ProcessLost, TrainingError
from digits.utils.processes import exit_words

HOST = "127.0.0.1"
BEAT_SECONDS = 1.0  # between two signs of life of a rank
SILENT_SECONDS = 4.0  # without one a rank counts as silent: then rank 0 shows none either ...
START_SECONDS = 60.0  # ... and while it imports what it needs
POLL_SECONDS = 0.2
REASON_SECONDS = 0.5  # how long rank 0 waits for an earlier reason than its own ...
EXCHANGE_SECONDS = 5.0  # ... and for any, where all that it knows is that the exchange broke off
LEAVE_SECONDS = 4.0  # rank 0 leaves by itself so long after a reason is known
END_SECONDS = 10.0  # for the other ranks to end when all is done
EXCHANGE_ERROR = re.compile(
    r"gloo|nccl|process ?group|connection (closed|reset|refused)|broken pipe|socket|timed out waiting|TCPStore", re.IGNORECASE
)


@dataclass(frozen=True)
class Reason:
    """Why a rank ended the training, and when (monotonic clock of the system, the same for all processes)."""

    time: float
    error: Exception
    secondary: bool = False  # a consequence of something else


@dataclass
class Rank:
    """Another rank: its process, the reading end of its pipe, and what it said."""

    number: int
    process: subprocess.Popen[bytes]
    pipe: int
    beat: float = field(default_factory=time.monotonic)
    ready: bool = False
    done: bool = False
    reason: Reason | None = None
    unread: bytes = b""

    def is_silent(self, now: float) -> bool:
        """Whether it lives and shows no sign of it."""
        return self.process.returncode is None and now - self.beat > (SILENT_SECONDS if self.ready else START_SECONDS)


@contextlib.contextmanager
def ranks(run: TrainingRun) -> Iterator[dist.Store | None]:
    """The other processes of the training, if it has any, and the store by which all meet; they are ended with the block.

    Raises what ended the training first, whichever rank it was.
    """
    if world_size(run) == 1:
        yield None
        return
    group = RankGroup(run)
    try:
        group.await_ready()
        yield group.store
        group.close(END_SECONDS)
    except JobStopped:
        group.close(REASON_SECONDS)
        raise
    except Exception as error:
        reason = group.first_reason(error)
        if reason is error:
            raise
        raise reason from None
    finally:
        group.close(0)


class RankGroup:
    """All ranks but this process, which is rank 0."""

    def __init__(self, run: TrainingRun) -> None:
        self.run, self.world = run, world_size(run)
        self.left = threading.Event()  # rank 0 is out of the training
        self.closed = threading.Event()
        port, self.store = _listening_store(self.world)
        self.environ = {"MASTER_ADDR": HOST, "MASTER_PORT": str(port), "WORLD_SIZE": str(self.world), "NODE_RANK": "0"}
        os.environ.update(self.environ, LOCAL_RANK="0")
        self.ranks = [self._start(number) for number in range(1, self.world)]
        self._thread = threading.Thread(target=self._watch, name="ranks", daemon=True)
        self._thread.start()

    def await_ready(self) -> None:
        """Wait until all can take part; raise the reason of the first that cannot, or JobStopped."""
        while not all(rank.ready for rank in self.ranks):
            if (reason := self._first()) is not None:
                raise reason.error
            if self.run.should_stop():
                raise JobStopped("The training was stopped before it began.")
            time.sleep(POLL_SECONDS / 4)

    def first_reason(self, error: Exception) -> Exception:
        """What ended the training first, when rank 0 has just raised `error`."""
        self.left.set()
        own = Reason(time.monotonic(), error, secondary=isinstance(error, ProcessLost))
        deadline = own.time + (EXCHANGE_SECONDS if own.secondary else REASON_SECONDS)
        while time.monotonic() < deadline:
            found = self._first()
            if found is not None and not found.secondary:
                break
            time.sleep(POLL_SECONDS / 4)
        reasons = [reason for reason in (own, self._first()) if reason is not None]
        return min(reasons, key=lambda reason: (reason.secondary, reason.time)).error

    def close(self, seconds: float) -> None:
        """End the other ranks: those that have not ended by themselves after so long are killed. Does nothing twice."""
        if self.closed.is_set():
            return
        self.left.set()
        deadline = time.monotonic() + seconds
        for rank in self.ranks:
            try:
                rank.process.wait(max(0.0, deadline - time.monotonic()))
            except subprocess.TimeoutExpired:
                rank.process.kill()
                rank.process.wait()
        self.closed.set()
        self._thread.join()
        for rank in self.ranks:
            os.close(rank.pipe)
            if rank.process.stdin is not None:
                rank.process.stdin.close()
        for name in (*self.environ, "LOCAL_RANK"):
            os.environ.pop(name, None)
        if dist.is_initialized():
            dist.destroy_process_group()

    # -- start ----------------------------------------------------------------------------------------------------------

    def _start(self, number: int) -> Rank:
        """Start a rank. What it is to do goes to its stdin, which stays open: it ends when that does."""
        reading, writing = os.pipe()
        environ = os.environ | {"LOCAL_RANK": str(number), "OMP_NUM_THREADS": str(self.run.threads)}
        command = [sys.executable, "-P", "-m", "digits.engines.pytorch.rank", str(writing)]
        process = subprocess.Popen(command, stdin=subprocess.PIPE, env=environ, pass_fds=(writing,))
        os.close(writing)
        os.set_blocking(reading, False)
        with contextlib.suppress(BrokenPipeError):  # it has died already, which the watch tells
            assert process.stdin is not None
            process.stdin.write(json.dumps(description(self.run)).encode() + b"\n")
            process.stdin.flush()
        return Rank(number, process, reading)

    # -- watch ----------------------------------------------------------------------------------------------------------

    def _watch(self) -> None:
        while not self.closed.is_set():
            open_pipes = [rank.pipe for rank in self.ranks if rank.process.returncode is None]
            select.select(open_pipes, [], [], POLL_SECONDS)
            for rank in self.ranks:
                ended = rank.process.poll() is not None  # before its last words are read
                self._read(rank)
                if ended and not rank.done and rank.reason is None:
                    code = rank.process.returncode
                    rank.reason = Reason(time.monotonic(), ProcessLost(exit_words(code, self._name(rank))))
            self._report_silence()
            self._leave()

    def _read(self, rank: Rank) -> None:
        with contextlib.suppress(BlockingIOError):
            while data := os.read(rank.pipe, 2**16):
                rank.unread += data
        *lines, rank.unread = rank.unread.split(b"\n")
        for line in lines:
            rank.beat = time.monotonic()
            word = json.loads(line)
            rank.ready |= "ready" in word
            rank.done |= "done" in word
            if "error" in word:
                rank.reason = Reason(word["time"], unpack_error(word["error"]), word["secondary"])

    def _report_silence(self) -> None:
        now = time.monotonic()
        silent = [rank for rank in self.ranks if rank.is_silent(now)]
        self.run.report_silence(", ".join(self._name(rank) for rank in silent))

    def _leave(self) -> None:
        """End the job where a reason is known and rank 0 does not come out of what it waits for."""
        reason = self._first()
        if reason is None or self.left.is_set() or time.monotonic() - reason.time < LEAVE_SECONDS:
            return
        self.run.give_up(reason.error)

    def _first(self) -> Reason | None:
        reasons = [rank.reason for rank in self.ranks if rank.reason is not None]
        return min(reasons, key=lambda reason: (reason.secondary, reason.time), default=None)

    def _name(self, rank: Rank) -> str:
        return f"rank {rank.number} of {self.world}"


def description(run: TrainingRun) -> dict[str, Any]:
    """What another process needs to take part, as JSON values."""
    return {
        "spec": run.spec.to_json(),
        "folder": str(run.folder),
        "dataset_folder": str(run.dataset_folder),
        "devices": list(run.devices),
        "threads": run.threads,
        "checkpoint_seconds": run.checkpoint_seconds,
        "start_weights": str(run.start_weights or ""),
    }


def broke_off(error: BaseException) -> bool:
    """Whether the error says no more than that the exchange with the other processes failed."""
    if "LOCAL_RANK" not in os.environ or not isinstance(error, RuntimeError):
        return False
    return isinstance(error, dist.DistError) or EXCHANGE_ERROR.search(str(error)) is not None


def pack_error(error: Exception) -> str:
    """An error with its traceback, as text for the pipe between two of our own processes."""
    trace = "".join(traceback.format_exception(error))
    try:
        data = pickle.dumps((error, trace))
        pickle.loads(data)
    except Exception:  # of a class that only the network text knows
        told = TrainingError(f"{type(error).__name__}: {error}", advice="The trace below names the line.", code="exception")
        data = pickle.dumps((told, trace))
    return base64.b64encode(data).decode()


def unpack_error(text: str) -> Exception:
    """What `pack_error` packed; its `trace` is the traceback of the process that raised it."""
    error, trace = pickle.loads(base64.b64decode(text))
    error.trace = trace
    return error


def _listening_store(world: int) -> tuple[int, dist.Store]:
    """A store that listens on the loopback address already, and its port."""
    listener = socket.socket()
    listener.bind((HOST, 0))
    listener.listen()
    port = int(listener.getsockname()[1])
    handle = listener.detach()  # the store closes it
    store = dist.TCPStore(
        HOST, port, world, is_master=True, wait_for_workers=False, master_listen_fd=handle, timeout=EXCHANGE_TIMEOUT
    )
    return port, store
