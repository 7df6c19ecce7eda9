"""The frame around every job: one worker process that leads a session and process group of its own.

Holds: the first event of an attempt is `attempt`, the last one `status` with `D`, `A`, `E`, or `W` (start me again: the
disk was full). SIGTERM only raises a flag that `WorkerContext.should_stop` shows; the runner leaves by JobStopped when it
has saved what it can. A second worker on the same job ends at once (`EXIT_BUSY`) without writing a line. A runner is a module
with `run(context)` and, where it can go on from a checkpoint, `resume_point(context) -> (step, event offset) | None`.
"""

from __future__ import annotations

import argparse
import contextlib
import fcntl
import importlib
import logging
import os
import socket
import sys
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import IO, TypeVar

from digits.domain.events import AttemptEvent, Event, StatusEvent, WarningEvent
from digits.domain.jobs import JobRequest, Kind, Status
from digits.domain.training import CHECKPOINT_SECONDS
from digits.errors import DiskFull, JobStopped, ProcessLost
from digits.storage.events import EventWriter
from digits.storage.files import DISK_WAS_FULL, is_disk_full, remove_left_over, retry_when_disk_full, write_json
from digits.storage.folders import JobFolder, JobsDir
from digits.storage.seals import seal
from digits.utils.masking import log_to_stderr
from digits.utils.processes import (
    ProcessIdentity,
    offer_to_oom_killer,
    on_stop,
    pid_namespace,
)
from digits.worker.failures import error_event
from digits.worker.hardware import HardwareMonitor
from digits.worker.output import capture_output

RUNNERS: Mapping[str, str] = {
    Kind.DATASET: "digits.worker.dataset",
    Kind.MODEL: "digits.worker.training",
    Kind.EVALUATION: "digits.worker.evaluation.run",
    Kind.EXPORT: "digits.worker.export",
    Kind.EMBEDDING: "digits.worker.embedding",
    Kind.PRETRAINED: "digits.worker.pretrained",
}
HEARTBEAT_SECONDS = 5.0
EXIT_DONE = 0
EXIT_ERROR = 1
EXIT_BUSY = 3
EXIT_ABORTED = 4
EXIT_AGAIN = 75  # as sysexits.h: a temporary failure, start again
FOLDER_LOST = "The job's folder was moved or replaced while it ran; the job starts again."

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
    lock: IO[bytes] | None = None  # of the job, held as long as the process lives
    directory: str = ""  # the id of the jobs directory for which the worker was started
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

    def has_lost_folder(self) -> bool:
        """Whether the job's folder is no longer where it was: moved, deleted, or replaced by a copy, which belongs to others."""
        if self.lock is None:
            return False
        try:
            return not os.path.samestat(os.stat(self.folder.lock_file), os.fstat(self.lock.fileno()))
        except FileNotFoundError:
            return True
        except OSError:  # a network file system that does not answer is not another one
            return False

    def warn(self, event: WarningEvent) -> None:
        """Write it if that is possible now: a full disk holds up nobody who watches the job."""
        with contextlib.suppress(DiskFull):
            self.writer.emit(event)

    def leave_folder(self) -> None:
        """End this process, from any thread, and say so in the file of events, which is still open."""
        logger.error("%s is not the folder any more that this worker began with: it ends.", self.folder.path)
        if "writer" in self.__dict__:  # else there is no file yet, and what lies at its path belongs to others
            with contextlib.suppress(DiskFull, OSError):
                self.writer.emit(StatusEvent(status=str(Status.WAIT), message=FOLDER_LOST))
        os._exit(EXIT_AGAIN)

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
        for place in (folder.path, folder.snapshots, folder.checkpoint):
            remove_left_over(place)
        context = _context(jobs_dir, folder, options, lock)
        return _work(context, runners)


def _parse(argv: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m digits.worker", description="Do one job of digits.")
    parser.add_argument("--jobs-dir", required=True)
    parser.add_argument("--attempt", type=int, default=1)
    parser.add_argument("--cpus", type=int, default=1)
    parser.add_argument("--gpus", default="", help="comma-separated devices that are reserved for the job")
    parser.add_argument("--checkpoint-seconds", type=int, default=CHECKPOINT_SECONDS)
    parser.add_argument("--directory", default="", help="the id of the jobs directory (see digits.storage.identity)")
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


def _context(jobs_dir: JobsDir, folder: JobFolder, options: argparse.Namespace, lock: IO[bytes]) -> WorkerContext:
    return WorkerContext(
        folder=folder,
        jobs_dir=jobs_dir,
        request=folder.request(),
        attempt=options.attempt,
        cpus=options.cpus,
        gpus=tuple(gpu for gpu in options.gpus.split(",") if gpu),
        checkpoint_seconds=options.checkpoint_seconds,
        lock=lock,
        directory=options.directory,
    )


def _work(context: WorkerContext, runners: Mapping[str, str]) -> int:
    on_stop(context.stop.set)
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
    context.emit(seal(context.folder))
    return Status.DONE


def _failed(context: WorkerContext, error: Exception) -> tuple[Status, str]:
    logger.error("The job failed.", exc_info=error)
    if isinstance(error, ProcessLost):
        return Status.WAIT, error.message
    if context.has_lost_folder():
        return Status.WAIT, FOLDER_LOST
    if is_disk_full(error):
        context.retry_when_disk_full(_fail_once(error))
        return Status.WAIT, DISK_WAS_FULL
    event = error_event(error)
    try:
        context.emit(event)
    except JobStopped:
        return Status.ABORT, event.message
    return Status.ERROR, event.message


def _fail_once(error: Exception) -> Callable[[], None]:
    """Work that fails once for want of free space: `retry_when_disk_full` then waits until there is some."""
    failures = [error if isinstance(error, DiskFull) else DiskFull(str(error))]

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
    me = ProcessIdentity.of(os.getpid())
    identity = {
        "pid": me.pid,
        "start": me.started,
        "attempt": context.attempt,
        "host": socket.gethostname(),
        "boot": me.boot,
        "namespace": pid_namespace(),
        "gpus": list(context.gpus),
        "cpus": context.cpus,
    }
    belongs = {"directory": context.directory} if context.directory else {}
    write_json(context.folder.worker_file, {**identity, **belongs})


def _beat(context: WorkerContext) -> None:
    """Show a sign of life for as long as the process, and those that it speaks for, live; of a silence the file says whose.

    Needs no disk space once the file is there."""
    file, told = context.folder.heartbeat_file, context.folder.silent()
    while True:
        silent = context.silent
        if context.has_lost_folder():
            context.leave_folder()
        try:
            if silent != told:
                file.write_text(silent, encoding="utf-8", errors="backslashreplace")
            if not silent:
                file.touch()
            told = silent
        except OSError as error:
            logger.debug("No heartbeat: %s", error)
        time.sleep(HEARTBEAT_SECONDS)
