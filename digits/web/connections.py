"""Connections as the web process holds them: how long a thread waits for a peer, and how many threads wait for peers that are not
logged in.

Holds: waiting ends, whether a peer sends nothing, a byte now and then, or does not read; but a peer that goes on, however slow
its line, is never cut while it keeps `LEAST_RATE`. Strangers that are waited for displace each other, the oldest of the address
with the most first, and nobody else: neither who is logged in nor a request that is worked on.
"""

from __future__ import annotations

import contextlib
import errno
import os
import re
import select
import socket
import struct
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterable
from enum import Enum, auto
from typing import Any, TypeVar

from digits.utils.addresses import network

LONGEST_HEAD = 2**16  # bytes; one line of it 8190
HEAD_END = re.compile(rb"\n\r?\n")  # with a bare line feed it is refused, but need not be waited for
LEAST_RATE = 500  # bytes a second: a body that comes slower uses up `body_seconds`
UNSENT_BYTES = 2**17  # held for a peer that does not read; with more, a slow line looks as if it stood still
REPORT_SECONDS = 60.0
STOOD_STILL = "The body stood still for {:g} s, or came with less than {} bytes a second."

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
    """A socket that never blocks by itself: in a thread it waits for its peer here, for `seconds` at most.

    `head` is what has come of the next request, `known` says that its sender is logged in, `trusted` that the peer is a proxy
    that speaks for others.
    """

    def __init__(self, taken: socket.socket, address: str, seconds: int, strangers: Strangers, *, trusted: bool) -> None:
        super().__init__(taken.family, taken.type, taken.proto, taken.detach())
        self.setblocking(False)
        self.setsockopt(socket.IPPROTO_TCP, socket.TCP_NOTSENT_LOWAT, UNSENT_BYTES)
        self.address = self._sender = address
        self.trusted = trusted
        self.known = False
        self.head = bytearray()
        self._searched = 0
        self._seconds = self._patience = float(seconds)
        self._strangers = strangers
        self.once_answered: Callable[[], object] | None = None  # called in a thread when it sends the first bytes of an answer

    def setblocking(self, _flag: bool) -> None:
        """The web server's threads want a socket that blocks; `recv`, `send` and `sendfile` of this class are as good."""
        super().setblocking(False)

    def receive_now(self) -> bytes | None:
        """What is there: None for nothing yet, empty when the peer is gone."""
        try:
            return super().recv(LONGEST_HEAD)
        except BlockingIOError:
            return None
        except OSError:
            return b""

    def send_now(self, data: bytes) -> None:
        """Without waiting for the peer to read. Raises OSError."""
        super().send(data)

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
        self._patience, self._sender = self._seconds, self.address
        self.known = self.known and not self.trusted
        head, self.head, self._searched = bytes(self.head), bytearray(), 0
        return head

    def sent_by(self, address: str, *, known: bool) -> None:
        """Who sent the request: somebody who is logged in, or a stranger at `address`."""
        self.known, self._sender = known, network(address)

    def cut(self) -> None:
        """End it at once, from any thread: who waits for the peer finds it gone, and what it did not read is dropped."""
        with contextlib.suppress(OSError):
            self.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            self.shutdown(socket.SHUT_RDWR)

    def recv(self, size: int, flags: int = 0) -> bytes:
        """Raises TooSlow when the peer has used up its time: bytes win it back, up to all of it."""
        while True:
            try:
                data = super().recv(size, flags)
            except BlockingIOError:
                began = time.monotonic()
                came = self._wait(select.POLLIN, self._patience)
                self._patience -= time.monotonic() - began
                if not came or self._patience <= 0:
                    self._strangers.note_cut(self._sender)
                    raise TooSlow(STOOD_STILL.format(self._seconds, LEAST_RATE)) from None
            else:
                self._patience = min(self._seconds, self._patience + len(data) / LEAST_RATE)
                return data

    def send(self, data: Any, flags: int = 0) -> int:
        """Raises BrokenPipeError when the peer does not read."""
        return self._once_writable(super().send, data, flags)

    def sendall(self, data: Any, flags: int = 0) -> None:
        """Raises BrokenPipeError when the peer does not read."""
        rest = memoryview(data)
        while rest:
            rest = rest[self.send(rest, flags) :]

    def sendfile(self, file: Any, offset: int = 0, count: int | None = None) -> int:
        """Raises BrokenPipeError when the peer does not read."""
        begin, left = offset, os.fstat(file.fileno()).st_size - offset if count is None else count
        while left > 0 and (sent := self._once_writable(os.sendfile, self.fileno(), file.fileno(), offset, left)):
            offset, left = offset + sent, left - sent
        return offset - begin

    def _once_writable(self, act: Callable[..., int], *arguments: Any) -> int:
        if self.once_answered is not None:
            notify, self.once_answered = self.once_answered, None
            notify()
        while True:
            try:
                return act(*arguments)
            except BlockingIOError:
                if not self._wait(select.POLLOUT, self._seconds):
                    self._strangers.note_cut(self._sender)
                    self.cut()
                    raise BrokenPipeError(errno.EPIPE, f"The peer read nothing for {self._seconds:g} s.") from None

    def _wait(self, event: int, seconds: float) -> bool:
        """Wait for the peer; for a stranger's in one of the places that there are for strangers."""
        poll = select.poll()
        poll.register(self, event)
        if self.known:
            return bool(poll.poll(1000 * seconds))
        self._strangers.enter(self, self._sender)
        try:
            return bool(poll.poll(1000 * seconds))
        finally:
            self._strangers.leave(self)


class Strangers:
    """The threads that wait for those who are not logged in: `most` at a time, `each` for one address; who is new displaces."""

    def __init__(self, most: int, each: int) -> None:
        self._most = most
        self._each = each
        self._lock = threading.Lock()
        self._waiting: dict[Connection, str] = {}  # the oldest first
        self._ending: set[Connection] = set()
        self._cut: Counter[str] = Counter()
        self._reported = -REPORT_SECONDS

    def enter(self, connection: Connection, address: str) -> None:
        """A thread is about to wait; where too many do, the oldest connection of the address with the most is cut."""
        oldest = None
        with self._lock:
            own = [(other, at) for other, at in self._waiting.items() if at == address]
            crowd = own if len(own) >= self._each else self._waiting.items() if len(self._waiting) >= self._most else ()
            if crowd:
                oldest = first_to_go(crowd)
                self._cut[self._waiting.pop(oldest)] += 1
                self._ending.add(oldest)
            self._waiting[connection] = address
        if oldest is not None:  # without the lock, for which others would wait in a row
            oldest.cut()
            self._ending.discard(oldest)

    def leave(self, connection: Connection) -> None:
        """It waits no more: from now on the connection may be closed."""
        with self._lock:
            self._waiting.pop(connection, None)
        while connection in self._ending:
            time.sleep(0.001)

    def cut_all(self) -> None:
        """Wait for none of them any longer: the server stops."""
        with self._lock:
            for connection in self._waiting:
                connection.cut()

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
