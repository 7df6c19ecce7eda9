"""Connections to predictors that are kept: a request that finds one asks nobody else, and the supervisor learns now and then that
the model is in use, so that it stays loaded.

Holds: at most `MOST` requests of this process are with one predictor at a time; further ones wait here. A connection that broke
is replaced once, by the predictor's own socket or, where that is gone, by one of a predictor that is started.
"""

from __future__ import annotations

import contextlib
import logging
import socket
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field

from digits.errors import DigitsError, LimitExceeded
from digits.ipc import messages
from digits.ipc import supervisor_client as control
from digits.ipc.messages import Message
from digits.service import Service
from digits.service.evaluations.predict import START_SECONDS

logger = logging.getLogger(__name__)

MOST = 48  # a predictor takes 64 connections; the others are for pages
IDLE_SECONDS = 60.0  # a predictor closes what is silent for twice as long
CONFIRM_SECONDS = 10.0

Key = tuple[str, str]  # model, snapshot


@dataclass
class _Line:
    """What is known of one predictor: its socket, connections that wait for work, when it was asked for last."""

    path: str = ""
    confirmed: float = 0.0
    idle: list[tuple[socket.socket, float]] = field(default_factory=list)
    places: threading.BoundedSemaphore = field(default_factory=lambda: threading.BoundedSemaphore(MOST))
    confirming: bool = False


class WarmConnections:
    """Safe to share between threads."""

    def __init__(self, service: Service) -> None:
        self._service = service
        self._lock = threading.Lock()
        self._lines: dict[Key, _Line] = {}
        idle = float(service.settings.predictor_idle_seconds)
        self._confirm_seconds = min(CONFIRM_SECONDS, idle / 3)

    def call(self, model_id: str, snapshot: str, message: Message) -> Message:
        """Ask the predictor of a snapshot, starting it where there is none.

        Raises the error that it answers with, Unavailable where it cannot be started, and LimitExceeded where it needs more time
        or memory than the settings allow.
        """
        seconds = self._service.settings.request_seconds
        limited = Message({**message.header, "limit": seconds}, message.arrays)
        line = self._line((model_id, snapshot))
        with line.places:
            try:
                try:
                    return self._exchange((model_id, snapshot), line, limited, seconds)
                except messages.NoAnswerInTime:
                    raise
                except messages.CommunicationError:
                    self._forget(line)
                    return self._exchange((model_id, snapshot), line, limited, seconds)
            except messages.NoAnswerInTime as error:
                raise LimitExceeded(
                    f"The model did not answer within {seconds} seconds.",
                    advice="Send fewer or smaller pictures, or raise the setting request_seconds (DIGITS_REQUEST_SECONDS).",
                ) from error

    def is_loaded(self, model_id: str, snapshot: str) -> bool:
        """Whether this process knows a predictor of the snapshot at this moment."""
        with self._lock:
            line = self._lines.get((model_id, snapshot))
            return line is not None and bool(line.path)

    def forget(self, model_id: str, snapshot: str) -> None:
        """Close what is kept of a snapshot that nobody is served from any more."""
        with self._lock:
            line = self._lines.pop((model_id, snapshot), None)
        if line is not None:
            self._forget(line)

    def close(self) -> None:
        """Close all that is kept."""
        for key in list(self._lines):
            self.forget(*key)

    def _line(self, key: Key) -> _Line:
        with self._lock:
            return self._lines.setdefault(key, _Line())

    def _exchange(self, key: Key, line: _Line, message: Message, seconds: float) -> Message:
        path = self._path(key, line)
        with self._connection(line, path) as connection:
            return messages.exchange(connection, path, message, seconds, self._service.jobs_dir.scratch)

    @contextlib.contextmanager
    def _connection(self, line: _Line, path: str) -> Iterator[socket.socket]:
        """One that waits, or a new one. It is kept where it can be asked again: after an answer, also one that is an error."""
        connection = self._taken(line) or messages.connect(path)
        keep = False
        try:
            yield connection
            keep = True
        except messages.CommunicationError:
            raise
        except DigitsError:
            keep = True
            raise
        finally:
            with self._lock:
                if keep := keep and line.path == path:
                    line.idle.append((connection, time.monotonic()))
            if not keep:
                connection.close()

    def _taken(self, line: _Line) -> socket.socket | None:
        old = []
        try:
            with self._lock:
                while line.idle:
                    connection, since = line.idle.pop()
                    if time.monotonic() - since < IDLE_SECONDS:
                        return connection
                    old.append(connection)
            return None
        finally:
            for connection in old:
                connection.close()

    def _path(self, key: Key, line: _Line) -> str:
        with self._lock:
            path, due = line.path, time.monotonic() - line.confirmed > self._confirm_seconds and not line.confirming
            if path and due:
                line.confirming = True
        if not path:
            return self._confirm(key, line)
        if due:
            threading.Thread(target=self._confirm_quietly, args=(key, line), name="confirm", daemon=True).start()
        return path

    def _confirm(self, key: Key, line: _Line) -> str:
        """Ask the supervisor for the predictor, which marks it as used."""
        request = {"op": "predictor", "model_id": key[0], "snapshot": key[1], "device": "auto"}
        path = str(control.call(self._service.jobs_dir, request, START_SECONDS)["socket"])
        with self._lock:
            old, line.idle = (line.idle, []) if line.path != path else ([], line.idle)
            line.path, line.confirmed = path, time.monotonic()
        for connection, _ in old:
            connection.close()
        return path

    def _confirm_quietly(self, key: Key, line: _Line) -> None:
        try:
            self._confirm(key, line)
        except DigitsError as error:  # the next request finds out by itself
            logger.debug("The predictor of %s was not confirmed: %s", key[0], error)
        finally:
            with self._lock:
                line.confirming = False

    def _forget(self, line: _Line) -> None:
        with self._lock:
            old, line.idle, line.path = line.idle, [], ""
        for connection, _ in old:
            connection.close()
