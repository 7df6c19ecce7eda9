"""The frame around every job: one worker process that leads a session and process group of its own.

Holds: the first event of an attempt is `attempt`, the last one `status` with `D`, `A`, `E`, or `W` (start me again: the
disk was full). SIGTERM only raises a flag that `WorkerContext.should_stop` shows; the runner leaves by JobStopped when it
has saved what it can. A second worker on the same job ends at once (`EXIT_BUSY`) without writing a line. A runner is a module
with `run(context)` and, where it can go on from a checkpoint, `resume_point(context) -> (step, event offset) | None`.

What the worker and its children print goes to `worker.log`, of which only so much is kept: a small forked process of its own
reads the pipe, so that the last words of a crash arrive, a program that prints a gigabyte fills neither the disk nor the memory,
and a full disk stops nobody. It ends when the last writer has; whoever kills the group of the worker leaves it out.
"""

from __future__ import annotations

import argparse
import contextlib
import faulthandler
import fcntl
import importlib
import logging
import os
import signal
import socket
import sys
import threading
import time
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import IO, TextIO, TypeVar

from digits.domain.events import AttemptEvent, Event, StatusEvent, WarningEvent
from digits.domain.jobs import JobRequest, Kind, Status
from digits.domain.training import CHECKPOINT_SECONDS
from digits.errors import DiskFull, JobStopped, ProcessLost
from digits.storage.events import EventWriter
from digits.storage.files import is_disk_full, retry_when_disk_full, write_json
from digits.storage.folders import JobFolder, JobsDir
from digits.utils.masking import log_to_stderr
from digits.utils.processes import boot_identity, offer_to_oom_killer, start_time
from digits.worker.failures import error_event
from digits.worker.hardware import HardwareMonitor

RUNNERS: Mapping[str, str] = {
    Kind.DATASET: "digits.worker.dataset",
    Kind.MODEL: "digits.worker.training",
    Kind.EVALUATION: "digits.worker.evaluation.run",
    Kind.EXPORT: "digits.worker.export",
}
HEARTBEAT_SECONDS = 5.0
FILE_LIMIT = 16 * 2**20  # bytes of worker.log over all attempts
ATTEMPT_SHARE = 2**20  # what each attempt may write however long the file is
TAIL_LIMIT = 64 * 2**10  # bytes of the end of an output that was cut
READ_SIZE = 64 * 2**10
EXIT_DONE = 0
EXIT_ERROR = 1
EXIT_BUSY = 3
EXIT_ABORTED = 4
EXIT_AGAIN = 75  # as sysexits.h: a temporary failure, start again

logger = logging.getLogger(__name__)
T = TypeVar("T")


@dataclass
class WorkerContext:
    """What a runner gets.

    `cpus` is how many threads it should compute with, `gpus` the reserved devices (as the system numbers them; the worker
    itself sees them as cuda:0, cuda:1, …), `checkpoint_seconds` the time between rolling checkpoints. `emit`, `should_stop`
    and `offset` may be used from any thread.
    """

    folder: JobFolder
    jobs_dir: JobsDir
    request: JobRequest
    attempt: int
    cpus: int
    gpus: tuple[str, ...]
    checkpoint_seconds: int
    stop: threading.Event = field(default_factory=threading.Event)
    silent: str = ""  # which processes of the job show no sign of life, or hold up the others: while any do, the job shows none

    @cached_property
    def writer(self) -> EventWriter:
        """The one writer of `events.jsonl`."""
        return EventWriter(self.folder.events_file, self.attempt)

    def emit(self, event: Event) -> int:
        """Write an event; the length of `events.jsonl` after it, in bytes.

        Waits while the disk is full and says so afterwards. Raises JobStopped when requested to stop while it waits.
        """
        return self.retry_when_disk_full(lambda: self.writer.emit(event))

    def should_stop(self) -> bool:
        """Whether the supervisor has requested the job to end."""
        return self.stop.is_set()

    @property
    def offset(self) -> int:
        """Length of `events.jsonl` in bytes."""
        return self.writer.offset

    def report_silence(self, words: str) -> None:
        """Say which processes of the job show no sign of life, or hold up the others; empty: none."""
        if words and words != self.silent:
            advice = "If it stays so, the job is ended and goes on from its last checkpoint."
            self.warn(WarningEvent(code="silent", message=f"{words}.", advice=advice))
        self.silent = words

    def warn(self, event: WarningEvent) -> None:
        """Write it if that is possible now: a full disk holds up nobody who watches the job."""
        with contextlib.suppress(DiskFull):
            self.writer.emit(event)

    def give_up(self, error: Exception) -> None:
        """End this process, from any thread, as if the runner had raised `error`."""
        status, message = _failed(self, error)
        code = _finish(self, status, message, lost=isinstance(error, ProcessLost))
        os._exit(code)

    def retry_when_disk_full(self, work: Callable[[], T]) -> T:
        """As `storage.files.retry_when_disk_full`, on the disk of the job's folder."""
        return retry_when_disk_full(work, self.folder.path, emit=self.writer.emit, should_stop=self.should_stop)


def main(argv: Sequence[str] | None = None, runners: Mapping[str, str] = RUNNERS) -> int:
    """Do the job that the command line names. `runners` maps a kind of job to the module that does it; the exit code."""
    options = _parse(argv)
    _lead_session()
    offer_to_oom_killer()
    jobs_dir = JobsDir(Path(options.jobs_dir))
    folder = jobs_dir.folder(options.job_id)
    lock = _take_lock(folder)
    if lock is None:
        print(f"Another worker is busy with job {folder.id}.", file=sys.stderr)
        return EXIT_BUSY
    with lock:
        if not options.foreground:
            capture_output(folder.log_file)
        _configure_logging(folder.id)
        context = _context(jobs_dir, folder, options)
        return _work(context, runners)


def _parse(argv: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m digits.worker", description="Do one job of digits.")
    parser.add_argument("--jobs-dir", required=True)
    parser.add_argument("--attempt", type=int, default=1)
    parser.add_argument("--cpus", type=int, default=1)
    parser.add_argument("--gpus", default="", help="comma-separated devices that are reserved for the job")
    parser.add_argument("--checkpoint-seconds", type=int, default=CHECKPOINT_SECONDS)
    parser.add_argument("--foreground", action="store_true", help="leave the output on the terminal instead of worker.log")
    parser.add_argument("job_id")
    return parser.parse_args(argv)


def _lead_session() -> None:
    if os.getpid() != os.getsid(0) and os.getpid() != os.getpgrp():
        os.setsid()


def _take_lock(folder: JobFolder) -> IO[bytes] | None:
    """The job's lock, held until the file is closed or this process dies; None when another process has it."""
    handle = open(folder.lock_file, "ab")  # noqa: SIM115 - held as long as the worker lives
    try:
        fcntl.lockf(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        handle.close()
        return None
    return handle


def _configure_logging(job_id: str) -> None:
    line = f"%(asctime)s [{job_id}] [%(levelname)s] %(message)s"
    log_to_stderr(line, "%Y-%m-%d %H:%M:%S")


def _context(jobs_dir: JobsDir, folder: JobFolder, options: argparse.Namespace) -> WorkerContext:
    return WorkerContext(
        folder=folder,
        jobs_dir=jobs_dir,
        request=folder.request(),
        attempt=options.attempt,
        cpus=options.cpus,
        gpus=tuple(gpu for gpu in options.gpus.split(",") if gpu),
        checkpoint_seconds=options.checkpoint_seconds,
    )


def _work(context: WorkerContext, runners: Mapping[str, str]) -> int:
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: context.stop.set())
    threading.Thread(target=_beat, args=(context,), name="heartbeat", daemon=True).start()
    lost = False
    try:
        context.retry_when_disk_full(lambda: _write_identity(context))
        status, message = _run(context, runners), ""
    except JobStopped as error:
        status, message = Status.ABORT, error.message
    except Exception as error:  # whatever a runner, a network text or a plugin throws ends the job with its reason
        status, message = _failed(context, error)
        lost = isinstance(error, ProcessLost)
    return _finish(context, status, message, lost=lost)


def _run(context: WorkerContext, runners: Mapping[str, str]) -> Status:
    kind = str(context.request.kind)
    runner = importlib.import_module(runners[kind])
    resume_point = getattr(runner, "resume_point", None)
    point = resume_point(context) if resume_point else None
    step, offset = point or (-1, 0)
    context.emit(AttemptEvent(resumed_step=step, resumed_offset=offset, pid=os.getpid(), host=socket.gethostname()))
    context.emit(StatusEvent(status=str(Status.RUN)))
    with HardwareMonitor(context.emit, context.gpus):
        runner.run(context)
    return Status.DONE


def _failed(context: WorkerContext, error: Exception) -> tuple[Status, str]:
    logger.error("The job failed.", exc_info=error)
    if isinstance(error, ProcessLost):
        return Status.WAIT, error.message
    if is_disk_full(error):
        context.retry_when_disk_full(_fail_once(error))
        return Status.WAIT, "The disk was full; the job starts again now that there is free space."
    event = error_event(error)
    try:
        context.emit(event)
    except JobStopped:
        return Status.ABORT, event.message
    return Status.ERROR, event.message


def _fail_once(error: Exception) -> Callable[[], None]:
    """Work that fails once for want of free space: `retry_when_disk_full` then waits until there is some."""
    failures = [DiskFull(str(error))]

    def work() -> None:
        if failures:
            raise failures.pop()

    return work


def _finish(context: WorkerContext, status: Status, message: str, *, lost: bool) -> int:
    codes = {Status.DONE: EXIT_DONE, Status.ABORT: EXIT_ABORTED, Status.WAIT: EXIT_AGAIN}
    try:
        context.emit(StatusEvent(status=str(status), message=message, lost=lost))
    except JobStopped:
        logger.warning("Asked to stop while the disk was full; the last state is not in the events.")
        return EXIT_ABORTED
    logger.info("The job ended: %s. %s", status.word, message)
    return codes.get(status, EXIT_ERROR)


def _write_identity(context: WorkerContext) -> None:
    """`worker.json`: by this a supervisor that was started later recognises the worker."""
    pid = os.getpid()
    identity = {
        "pid": pid,
        "start": start_time(pid),
        "attempt": context.attempt,
        "host": socket.gethostname(),
        "boot": boot_identity(),
        "gpus": list(context.gpus),
        "cpus": context.cpus,
    }
    write_json(context.folder.worker_file, identity)


def _beat(context: WorkerContext) -> None:
    """Show a sign of life for as long as the process, and those that it speaks for, live; of a silence the file says whose.

    Needs no disk space once the file is there."""
    file, told = context.folder.heartbeat_file, context.folder.silent()
    while True:
        silent = context.silent
        try:
            if silent != told:
                file.write_text(silent, encoding="utf-8", errors="backslashreplace")
            if not silent:
                file.touch()
            told = silent
        except OSError as error:
            logger.debug("No heartbeat: %s", error)
        time.sleep(HEARTBEAT_SECONDS)


def capture_output(path: Path) -> None:
    """Send this process' stdout and stderr (file descriptors 1 and 2) to `path`, bounded, and stdin to nothing."""
    reading, writing = os.pipe()
    sys.stdout.flush()
    sys.stderr.flush()
    pump = os.fork()
    if pump == 0:
        _pump(reading, writing, path)
    os.setpgid(pump, pump)  # when the group of this process is killed, its last words are still written
    os.close(reading)
    for descriptor in (1, 2):
        os.dup2(writing, descriptor)
    os.close(writing)
    with open(os.devnull, "rb") as nothing:
        os.dup2(nothing.fileno(), 0)
    sys.stdout = _line_stream(1)
    sys.stderr = _line_stream(2)
    faulthandler.enable()


def _line_stream(descriptor: int) -> TextIO:
    """A new text stream: the old one may remember that its descriptor was a file."""
    return open(descriptor, "w", buffering=1, encoding="utf-8", errors="backslashreplace", closefd=False)


class BoundedLog:
    """Appends to a file up to a limit; what comes after it is counted and its end kept for the last line."""

    def __init__(self, path: Path, limit: int = FILE_LIMIT, share: int = ATTEMPT_SHARE) -> None:
        self.path = path
        self.left = share + max(0, limit - share - self._size())
        self.dropped = 0
        self._tail: deque[bytes] = deque()
        self._tail_size = 0

    def write(self, data: bytes) -> None:
        head, rest = data[: self.left], data[self.left :]
        self._append(head)
        self.left -= len(head)
        if rest:
            self._keep_tail(rest)

    def close(self) -> None:
        """Write how much was left out, and the end of the output."""
        if not self.dropped:
            return
        tail = b"".join(self._tail)[-TAIL_LIMIT:]
        note = f"\n[digits: the output was too long; {self.dropped - len(tail)} bytes are left out here]\n"
        self._append(note.encode() + tail)

    def _append(self, data: bytes) -> None:
        if not data:
            return
        try:
            with open(self.path, "ab", buffering=0) as handle:
                handle.write(data)
        except OSError:
            return  # the disk is full: what is printed now is lost, the work is not

    def _keep_tail(self, data: bytes) -> None:
        if not self.dropped:
            self._append(
                b"\n[digits: the output is too long; from here on only its end is kept, and written when the work ends]\n"
            )
        self.dropped += len(data)
        self._tail.append(data)
        self._tail_size += len(data)
        while self._tail_size - len(self._tail[0]) >= TAIL_LIMIT:
            self._tail_size -= len(self._tail.popleft())

    def _size(self) -> int:
        return self.path.stat().st_size if self.path.exists() else 0


def _pump(reading: int, writing: int, path: Path) -> None:
    """The forked reader; never returns."""
    try:
        os.close(writing)
        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
            signal.signal(number, signal.SIG_IGN)
        with open(os.devnull, "r+b") as nothing:
            for descriptor in (0, 1, 2):
                os.dup2(nothing.fileno(), descriptor)
        log = BoundedLog(path)
        while data := os.read(reading, READ_SIZE):
            log.write(data)
        log.close()
    finally:
        os._exit(0)
