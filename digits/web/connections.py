"""Connections as the web process holds them: how long a peer may stand still, and how many of those that are not logged in hold a
thread at the same time.

Holds: waiting for a peer ends, whether it sends nothing, a byte now and then, or does not read; but a peer that goes on, however
slow its line, is never cut while it keeps `LEAST_RATE`. Who is not logged in is displaced, the oldest of the address with the
most connections first, and never displaces somebody who is.
"""

from __future__ import annotations

import contextlib
import os
import re
import socket
import struct
import threading
import time
from collections import Counter
from collections.abc import Iterable
from enum import Enum, auto
from typing import Any, TypeVar

from digits.service.sessions import network

LONGEST_HEAD = 2**16  # bytes; one line of it 8190
HEAD_END = re.compile(rb"\n\r?\n")  # with a bare line feed it is refused, but need not be waited for
LEAST_RATE = 500  # bytes a second: a body that comes slower uses up `body_seconds`
UNSENT_BYTES = 2**17  # held for a peer that does not read; with more, a slow line looks as if it stood still
REPORT_SECONDS = 60.0

Item = TypeVar("Item")


class Head(Enum):
    """What has come of the next request's head."""

    PART = auto()
    WHOLE = auto()
    TOO_LONG = auto()
    GONE = auto()  # the peer has closed


class TooSlow(TimeoutError):
    """A body stood still for too long, or came too slowly."""


class Connection(socket.socket):
    """A socket that waits for its peer at most `seconds` at a time; `head` is what has come of the next request.

    `known` says that the sender of the request is logged in; `trusted` that the peer is a proxy that speaks for others.
    """

    def __init__(self, taken: socket.socket, address: str, seconds: int, strangers: Strangers, *, trusted: bool) -> None:
        super().__init__(taken.family, taken.type, taken.proto, taken.detach())
        self.address = address
        self.trusted = trusted
        self.known = False
        self.head = bytearray()
        self._searched = 0
        self._seconds = self._patience = float(seconds)
        self._strangers = strangers
        limit = struct.pack("ll", seconds, 0)
        self.setsockopt(socket.SOL_SOCKET, socket.SO_RCVTIMEO, limit)
        self.setsockopt(socket.SOL_SOCKET, socket.SO_SNDTIMEO, limit)
        self.setsockopt(socket.IPPROTO_TCP, socket.TCP_NOTSENT_LOWAT, UNSENT_BYTES)

    def receive_now(self) -> bytes | None:
        """What is there, without waiting (the socket must not block): None for nothing yet, empty when the peer is gone."""
        try:
            return super().recv(LONGEST_HEAD)
        except BlockingIOError:
            return None
        except OSError:
            return b""

    def receive_head(self) -> Head:
        """Take what has come of the next request, without waiting."""
        while True:
            end = HEAD_END.search(self.head, self._searched)
            if (end.end() if end else len(self.head)) > LONGEST_HEAD:
                return Head.TOO_LONG
            if end:
                return Head.WHOLE
            self._searched = max(0, len(self.head) - 2)
            data = self.receive_now()
            if data is None:
                return Head.PART
            if not data:
                return Head.GONE
            self.head += data

    def begin_request(self) -> bytes:
        """The head and what came with it. Who sent it is not known yet, or still is: a browser does not share its connection."""
        self._patience = self._seconds
        self.known = self.known and not self.trusted
        head, self.head, self._searched = bytes(self.head), bytearray(), 0
        return head

    def end_request(self) -> None:
        """The request is answered, or given up."""
        self._strangers.leave(self)

    def sent_by(self, address: str, *, known: bool) -> None:
        """Who sent the request: somebody who is logged in, or a stranger at `address`, who may have to go for another one."""
        self.known = known
        if not known:
            self._strangers.enter(self, network(address))

    def cut(self) -> None:
        """End it at once, from any thread: who waits for the peer finds it gone, and what it did not read is dropped."""
        with contextlib.suppress(OSError):
            self.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            self.shutdown(socket.SHUT_RDWR)

    def recv(self, size: int, flags: int = 0) -> bytes:
        """Raises TooSlow when the peer has used up its time: bytes win it back, up to all of it."""
        began = time.monotonic()
        try:
            data = super().recv(size, flags)
        except BlockingIOError as error:
            raise self._too_slow() from error
        waited = time.monotonic() - began
        self._patience = min(self._seconds, self._patience - waited + len(data) / LEAST_RATE)
        if self._patience < 0:
            raise self._too_slow()
        return data

    def sendall(self, data: Any, flags: int = 0) -> None:
        """Raises BrokenPipeError when the peer does not read."""
        try:
            super().sendall(data, flags)
        except BlockingIOError as error:
            raise self._does_not_read() from error

    def sendfile(self, file: Any, offset: int = 0, count: int | None = None) -> int:
        """Raises BrokenPipeError when the peer does not read."""
        left = os.fstat(file.fileno()).st_size - offset if count is None else count
        begin = offset
        try:
            while left > 0 and (sent := os.sendfile(self.fileno(), file.fileno(), offset, left)):
                offset, left = offset + sent, left - sent
        except BlockingIOError as error:
            raise self._does_not_read() from error
        return offset - begin

    def _too_slow(self) -> TooSlow:
        self._strangers.note_cut(self.address)
        return TooSlow(
            f"The request's body stood still for {self._seconds:g} s, or came with less than {LEAST_RATE} bytes a second."
        )

    def _does_not_read(self) -> BrokenPipeError:
        self.cut()
        self._strangers.note_cut(self.address)
        return BrokenPipeError(f"The peer read nothing for {self._seconds:g} s.")


class Strangers:
    """The requests at work of those who are not logged in: `most` at a time, `each` of one address; who is new displaces."""

    def __init__(self, most: int, each: int) -> None:
        self._most = most
        self._each = each
        self._lock = threading.Lock()
        self._served: dict[Connection, str] = {}  # the oldest first
        self._cut: Counter[str] = Counter()
        self._reported = -REPORT_SECONDS

    def enter(self, connection: Connection, address: str) -> None:
        """Let a request in; where there are too many, the oldest of the address with the most is cut."""
        with self._lock:
            own = [(other, at) for other, at in self._served.items() if at == address]
            crowd = own if len(own) >= self._each else self._served.items() if len(self._served) >= self._most else ()
            if crowd:
                oldest = first_to_go(crowd)
                self._cut[self._served.pop(oldest)] += 1
                oldest.cut()
            self._served[connection] = address

    def leave(self, connection: Connection) -> None:
        """Its request is answered: from now on the connection may be closed."""
        with self._lock:
            self._served.pop(connection, None)

    def note_cut(self, address: str) -> None:
        """Count a connection that was cut, for `report`."""
        with self._lock:
            self._cut[address] += 1

    def report(self) -> str:
        """What was cut since the last report, at most once a minute; else empty."""
        with self._lock:
            if not self._cut or time.monotonic() - self._reported < REPORT_SECONDS:
                return ""
            address, most = self._cut.most_common(1)[0]
            said = (
                f"{self._cut.total()} slow or crowding connections were ended, {most} of them from {address} (docs/security.md)."
            )
            self._cut.clear()
            self._reported = time.monotonic()
            return said


def first_to_go(crowd: Iterable[tuple[Item, str]]) -> Item:
    """Of connections with their addresses, the oldest first: the oldest of the address that has the most."""
    crowd = list(crowd)
    address = Counter(at for _, at in crowd).most_common(1)[0][0]
    return next(item for item, at in crowd if at == address)
