"""What a worker and its children print goes to `worker.log`, of which only so much is kept: a small forked process of its own
reads the pipe, so that the last words of a crash arrive, a program that prints a gigabyte fills neither the disk nor the memory,
and a full disk stops nobody. It ends when the last writer has; whoever kills the group of the worker leaves it out.
"""

from __future__ import annotations

import faulthandler
import os
import sys
from collections import deque
from pathlib import Path
from typing import TextIO

from digits.utils.processes import leave_stopping_to_parent

FILE_LIMIT = 16 * 2**20  # bytes of worker.log over all attempts
ATTEMPT_SHARE = 2**20  # what each attempt may write however long the file is
TAIL_LIMIT = 64 * 2**10  # bytes of the end of an output that was cut
READ_SIZE = 64 * 2**10


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
        leave_stopping_to_parent()
        with open(os.devnull, "r+b") as nothing:
            for descriptor in (0, 1, 2):
                os.dup2(nothing.fileno(), descriptor)
        log = BoundedLog(path)
        while data := os.read(reading, READ_SIZE):
            log.write(data)
        log.close()
    finally:
        os._exit(0)
