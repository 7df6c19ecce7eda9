"""The further processes of a data-parallel training, as rank 0 sees them: started, watched and ended.

Holds: each of them says on a pipe of its own that it lives and what it is doing, that it is ready, that it is done, or why it
failed. One that shows no sign of life, or does not move while others wait for it, is reported. The first
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
from dataclasses import dataclass
from typing import Any

import torch.distributed as dist

from digits.engines.activity import Activity, AwakeClock, Watched, activity_of, held_up_by
from digits.engines.base import TrainingRun
from digits.engines.pytorch.devices import EXCHANGE_TIMEOUT, world_size
from digits.errors import JobStopped, ProcessLost, TrainingError
from digits.utils.memory import end_words, oom_kills
from digits.utils.processes import kill_children

HOST = "127.0.0.1"
BEAT_SECONDS = 1.0  # between two signs of life of a rank
SILENT_SECONDS = 4.0  # without one a rank counts as silent: then rank 0 shows none either ...
START_SECONDS = 60.0  # ... and while it imports what it needs
STILL_SECONDS = 60.0  # without a move of its own while others wait for it a rank counts as hanging: as silent
AWAKE_SECONDS = 2.0  # that rank 0 can be awake between two looks
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
    beat: float  # when it was last heard of, and what it did since when, by the clock of the watch
    watched: Watched
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
        self.clock = AwakeClock(AWAKE_SECONDS)
        self.own, self.hangs = Watched(0.0), ""
        self.oom_kills = oom_kills()
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
                kill_children([rank.process])
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
        now = self.clock.now()
        return Rank(number, process, reading, now, Watched(now))

    # -- watch ----------------------------------------------------------------------------------------------------------

    def _watch(self) -> None:
        while not self.closed.is_set():
            now = self.clock.now()
            open_pipes = [rank.pipe for rank in self.ranks if rank.process.returncode is None]
            select.select(open_pipes, [], [], POLL_SECONDS)
            for rank in self.ranks:
                ended = rank.process.poll() is not None  # before its last words are read
                self._read(rank, now)
                if ended and not rank.done and rank.reason is None:
                    code = rank.process.returncode
                    rank.reason = Reason(time.monotonic(), ProcessLost(end_words(code, self._name(rank.number), self.oom_kills)))
            self.own.see(activity_of(self.run.motion), now)
            self._report_silence(now)
            self._leave()

    def _read(self, rank: Rank, now: float) -> None:
        with contextlib.suppress(BlockingIOError):
            while data := os.read(rank.pipe, 2**16):
                rank.unread += data
        *lines, rank.unread = rank.unread.split(b"\n")
        for line in lines:
            rank.beat, word = now, json.loads(line)
            rank.ready |= "ready" in word
            rank.done |= "done" in word
            if "moves" in word:
                rank.watched.see(Activity(**word), now)
            if "error" in word:
                rank.reason = Reason(word["time"], unpack_error(word["error"]), word["secondary"])

    def _report_silence(self, now: float) -> None:
        silent = [self._name(rank.number) for rank in self.ranks if rank.is_silent(now)]
        verb = "shows" if len(silent) == 1 else "show"
        self.run.report_silence(f"{', '.join(silent)} {verb} no sign of life" if silent else self._hanging(now))

    def _hanging(self, now: float) -> str:
        """Who holds up the others; in the same words as long as they do."""
        processes = [self.own, *(rank.watched for rank in self.ranks)]
        hanging = [] if any(rank.done for rank in self.ranks) else held_up_by(processes, now, STILL_SECONDS)
        if not hanging or not self.hangs:
            self.hangs = self._words(processes, hanging) if hanging else ""
        return self.hangs

    def _words(self, processes: list[Watched], hanging: list[int]) -> str:
        if len(hanging) == self.world:
            return f"The {self.world} processes of the training have waited for each other for {STILL_SECONDS:.0f} s"
        found = [(self._name(number), processes[number].activity or Activity()) for number in hanging]
        where = ", ".join(f"{name} in step {seen.step + 1} ({seen.place})" for name, seen in found)
        verb, whom = ("has", "it") if len(found) == 1 else ("have", "them")
        return f"{where} {verb} not moved for {STILL_SECONDS:.0f} s, and the others wait for {whom}"

    def _leave(self) -> None:
        """End the job where a reason is known and rank 0 does not come out of what it waits for."""
        reason = self._first()
        if reason is None or self.left.is_set() or time.monotonic() - reason.time < LEAVE_SECONDS:
            return
        self.run.give_up(reason.error)

    def _first(self) -> Reason | None:
        reasons = [rank.reason for rank in self.ranks if rank.reason is not None]
        return min(reasons, key=lambda reason: (reason.secondary, reason.time), default=None)

    def _name(self, number: int) -> str:
        return f"rank {number} of {self.world}"


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
        "more_weights": [str(path) for path in run.more_weights],
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
