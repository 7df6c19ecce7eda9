"""Gunicorn's threaded worker with patience of its own: a thread works on a request only once its whole head has come.

Holds: heads are read by the main thread, which waits for none of them; it closes connections without waiting, too. When there are
as many connections as may be, one that has no request under way makes room for the next, so that the server always accepts. Live
pages are opened a few at a time: two hundred browsers that come back together, as after a restart, do not hold up a page.
"""

from __future__ import annotations

import re
import selectors
import socket
import time
from collections import deque
from functools import lru_cache, partial
from typing import Any

from gunicorn.http.body import LengthReader
from gunicorn.workers.gthread import ThreadWorker

from digits.config import Settings
from digits.utils.addresses import network
from digits.web.connections import LONGEST_HEAD, Connection, Head, Strangers, first_to_go
from digits.web.http.proxies import is_trusted

LINGER_SECONDS = 2.0  # for the peer to read the last answer
STOP_SECONDS = 1.0  # when the server stops: for heads, bodies and readers that are on their way
DRAIN_SECONDS = 0.01  # for a body that was not read and has come anyhow
FEWEST_STRANGERS = 6  # a browser loads a page by so many connections
OPENING = 4  # live pages that are opened at a time
LIVE = re.compile(rb"GET [^ ?]*/events[? ]")  # requests for a stream of events


class Worker(ThreadWorker):
    """Takes its limits from the settings of the application `WebServer`."""

    def __init__(self, *arguments: Any, **keywords: Any) -> None:
        super().__init__(*arguments, **keywords)
        self.settings: Settings = self.app.settings
        proxies = self.settings.proxy_networks()
        self.peers = lru_cache(maxsize=4096)(lambda peer: (network(peer), is_trusted(peer, proxies)))
        most = max(self.settings.web_threads // 4, FEWEST_STRANGERS)
        self.strangers = Strangers(most, min(self.settings.connections_per_address, most))
        self.lingering: deque[Any] = deque()
        self.opening: set[Any] = set()  # live pages that did not get their first bytes yet
        self.unopened: deque[Any] = deque()  # those that wait for these
        self._stops_at: float | None = None

    def accept(self, listener: Any) -> None:
        """Of the connections that wait, one of a stranger goes where the next would be one too many."""
        if self.nr_conns + 1 >= self.worker_connections:
            self._make_room()
        super().accept(listener)

    def enqueue_req(self, conn: Any) -> None:
        """Hand a request to a thread once its head is whole; else wait for it here."""
        if not isinstance(conn.sock, Connection):
            address, trusted = self.peers(conn.client[0])
            conn.sock = Connection(conn.sock, address, self.settings.body_seconds, self.strangers, trusted=trusted)
        if conn.parser is not None:  # what came behind the last request
            conn.sock.head += conn.parser.unreader.take_buffered()
        head = conn.sock.receive_head()
        if head is Head.PART:
            conn.timeout = time.monotonic() + self.settings.head_seconds
            self.pending_conns.append(conn)
            self._watch(conn, self.on_pending_socket_readable)
        elif head is Head.WHOLE:
            self._begin(conn)
        elif head is Head.TOO_LONG:
            self._part(conn, "431 Request Header Fields Too Large", f"The head of a request may have {LONGEST_HEAD:,} bytes.")
        else:
            self._close(conn)

    def on_pending_socket_readable(self, conn: Any, client: Any) -> None:
        """More of a head has come; the time that it has goes on."""
        if conn.sock.receive_head() is not Head.PART:
            super().on_pending_socket_readable(conn, client)

    def handle(self, conn: Any) -> Any:
        """In a thread: work on the request whose head has come."""
        conn.init()
        conn.parser.unreader.unread(conn.sock.begin_request())
        return super().handle(conn)

    def handle_request(self, req: Any, conn: Any) -> bool:
        """A thread waits for the rest of a body that nobody wants only if its sender is logged in."""
        keep = super().handle_request(req, conn)
        if not keep or conn.sock.known or _all_has_come(req):
            return keep
        return bool(conn.parser.finish_body(deadline=time.monotonic() + DRAIN_SECONDS))

    def _begin(self, conn: Any) -> None:
        """Hand a request to a thread; one for a live page not before few others are being opened."""
        if not LIVE.match(conn.sock.head):
            super().enqueue_req(conn)
        elif len(self.opening) >= OPENING:
            self.unopened.append(conn)
        else:
            self.opening.add(conn)
            conn.sock.once_answered = partial(self.method_queue.defer, self._opened, conn)
            super().enqueue_req(conn)

    def _opened(self, conn: Any) -> None:
        self.opening.discard(conn)
        while self.unopened and len(self.opening) < OPENING:
            self._begin(self.unopened.popleft())

    def finish_request(self, conn: Any, fs: Any) -> None:
        """Keep the connection or part from it, without waiting for the peer to close."""
        self._opened(conn)
        if not fs.cancelled() and fs.exception() is None and fs.result():
            super().finish_request(conn, fs)
        else:
            self._part(conn)

    def murder_pending(self) -> None:
        """Once a second or more often: give up heads that do not come, and those who do not close."""
        now = time.monotonic()
        if not self.alive:
            self._stops_at = self._stops_at or now + STOP_SECONDS
            while self.unopened:
                self._close(self.unopened.popleft())
            if now >= self._stops_at:
                self.strangers.cut_all()
            for conn in (*self.pending_conns, *self.lingering):
                conn.timeout = min(conn.timeout, self._stops_at)
        while self.pending_conns and self.pending_conns[0].timeout <= now:
            conn = self.pending_conns.popleft()
            self.poller.unregister(conn.sock)
            if conn.sock.head.strip():
                self.strangers.note_cut(conn.sock.address)
                limit = f"{self.settings.head_seconds} s (setting head_seconds)"
                self._part(conn, "408 Request Timeout", f"The request's head did not come within {limit}.")
            else:
                self._close(conn)
        while self.lingering and self.lingering[0].timeout <= now:
            self._drop(self.lingering, self.lingering[0])
        if said := self.strangers.report():
            self.log.warning(said)

    def _make_room(self) -> None:
        queues = (self.lingering, self.pending_conns, self.keepalived_conns)
        waiting = [(conn.sock, conn.sock.address) for queue in queues for conn in queue]
        if waiting:
            strangers = [(sock, address) for sock, address in waiting if not (sock.known or sock.trusted)]
            sock = first_to_go(strangers or waiting)
            self.strangers.note_cut(sock.address)
            sock.cut()  # which the poller finds out next

    def _part(self, conn: Any, status: str = "", text: str = "") -> None:
        """Say the last word and wait here until the peer closes: a socket closed at once might take the answer with it."""
        try:
            if status:
                head = (
                    f"HTTP/1.1 {status}\r\nConnection: close\r\nContent-Type: text/plain\r\nContent-Length: {len(text)}\r\n\r\n"
                )
                conn.sock.send_now(f"{head}{text}".encode())
            conn.sock.shutdown(socket.SHUT_WR)
        except OSError:
            return self._close(conn)
        if self._stops_at is not None and time.monotonic() >= self._stops_at:
            return self._close(conn)
        conn.timeout = time.monotonic() + LINGER_SECONDS
        self.lingering.append(conn)
        self._watch(conn, self._on_lingering_socket_readable)

    def _on_lingering_socket_readable(self, conn: Any, _client: Any) -> None:
        if conn.sock.receive_now() == b"":
            self._drop(self.lingering, conn)

    def _watch(self, conn: Any, callback: Any) -> None:
        self.poller.register(conn.sock, selectors.EVENT_READ, partial(callback, conn))

    def _drop(self, queue: deque[Any], conn: Any) -> None:
        queue.remove(conn)
        self.poller.unregister(conn.sock)
        self._close(conn)

    def _close(self, conn: Any) -> None:
        self.nr_conns -= 1
        conn.close()


def _all_has_come(req: Any) -> bool:
    """Whether a body was read to its end. Then nothing is waited for, and its connection is kept, as the answer has promised,
    however late a busy machine comes to it."""
    reader = req.body.reader
    left = reader.length if isinstance(reader, LengthReader) else getattr(reader, "parser", True)
    return not left
