"""The supervisor's end of the control socket (see `digits.ipc.supervisor_client` for the other).

Holds: requests are read by a thread per connection and answered by the main loop alone, so handlers need no locks and
children are started by the thread that lives longest. A handler returns its answer, or a function that is asked again at each
tick until it returns one.
"""

from __future__ import annotations

import contextlib
import json
import logging
import os
import queue
import shutil
import socket
import tempfile
import threading
import time
from collections.abc import Callable, Mapping
from concurrent.futures import Future
from pathlib import Path
from typing import Any

from digits.errors import DigitsError
from digits.ipc.supervisor_client import MAX_LINE, read_runtime, runtime_file
from digits.storage.files import write_json
from digits.storage.folders import JobsDir

logger = logging.getLogger(__name__)

Answer = dict[str, Any]
Later = Callable[[], Answer | None]
Handler = Callable[[Mapping[str, Any]], "Answer | Later"]

REQUEST_SECONDS = 300.0  # an answer that takes longer is given up
READ_SECONDS = 10.0
SOCKET_NAME = "control.sock"
PREFIX = "digits-"


class ControlServer:
    """Listens between `__enter__` and `__exit__`. `directory` is a short private folder for sockets."""

    def __init__(self, jobs_dir: JobsDir, handlers: Mapping[str, Handler]) -> None:
        self.jobs_dir = jobs_dir
        self.handlers = dict(handlers)
        self.directory = Path()
        self.wake = threading.Event()
        self._requests: queue.SimpleQueue[tuple[Mapping[str, Any], Future[Answer]]] = queue.SimpleQueue()
        self._waiting: list[tuple[Later, Future[Answer], float]] = []
        self._listener: socket.socket | None = None

    def __enter__(self) -> ControlServer:
        _remove_directory(read_runtime(self.jobs_dir))
        self.directory = Path(tempfile.mkdtemp(prefix=PREFIX, dir=_base()))
        self._listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self._listener.bind(str(self.directory / SOCKET_NAME))
        self._listener.listen(64)
        threading.Thread(target=self._accept, args=(self._listener,), name="control", daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        if self._listener is not None:
            with contextlib.suppress(OSError):
                self._listener.shutdown(socket.SHUT_RDWR)
            self._listener.close()
        runtime_file(self.jobs_dir).unlink(missing_ok=True)
        shutil.rmtree(self.directory, ignore_errors=True)

    def publish(self, **facts: Any) -> None:
        """Write `runtime.json`: from now on clients find the socket."""
        value = {"socket": str(self.directory / SOCKET_NAME), "directory": str(self.directory), "pid": os.getpid(), **facts}
        write_json(runtime_file(self.jobs_dir), value, permissions=0o600)

    def serve(self) -> None:
        """Answer what has come in and what has become ready. Called by the main loop."""
        while not self._requests.empty():
            request, future = self._requests.get()
            self._handle(request, future)
        self._waiting = [item for item in self._waiting if not self._settle(*item)]

    def _handle(self, request: Mapping[str, Any], future: Future[Answer]) -> None:
        handler = self.handlers.get(str(request.get("op")))
        if handler is None:
            known = ", ".join(sorted(self.handlers))
            future.set_result({"error": f"There is no operation {request.get('op')!r}; known are {known}."})
            return
        answer = _safely(lambda: handler(request))
        if callable(answer):
            self._waiting.append((answer, future, time.monotonic() + REQUEST_SECONDS))
        else:
            future.set_result(answer or {})

    def _settle(self, later: Later, future: Future[Answer], deadline: float) -> bool:
        answer = _safely(later)
        if answer is None and time.monotonic() > deadline:
            answer = {"error": f"Nothing came of it in {REQUEST_SECONDS:g} s."}
        if answer is None:
            return False
        future.set_result(answer)
        return True

    def _accept(self, listener: socket.socket) -> None:
        while True:
            try:
                connection, _ = listener.accept()
            except OSError:
                return
            threading.Thread(target=self._talk, args=(connection,), name="control-client", daemon=True).start()

    def _talk(self, connection: socket.socket) -> None:
        with connection, contextlib.suppress(OSError):
            connection.settimeout(READ_SECONDS)
            with connection.makefile("rb") as stream:
                request = _parsed(stream.readline(MAX_LINE))
            answer = {"error": "Not a JSON object on one line."} if request is None else self._ask(request)
            connection.sendall(json.dumps(answer).encode() + b"\n")

    def _ask(self, request: Mapping[str, Any]) -> Answer:
        future: Future[Answer] = Future()
        self._requests.put((request, future))
        self.wake.set()
        try:
            return future.result(REQUEST_SECONDS + READ_SECONDS)
        except TimeoutError:
            return {"error": "The supervisor is busy."}


def _safely(handler: Callable[[], Any]) -> Any:
    try:
        return handler()
    except DigitsError as error:
        return {"error": error.message, "advice": error.advice}
    except Exception as error:
        logger.exception("A request failed.")
        return {"error": f"{type(error).__name__}: {error}"}


def _parsed(line: bytes) -> dict[str, Any] | None:
    try:
        value = json.loads(line)
    except ValueError:
        return None
    return value if isinstance(value, dict) else None


def _base() -> str | None:
    """The user's run-time directory, where its path leaves room for a socket's name (108 bytes in all)."""
    base = os.environ.get("XDG_RUNTIME_DIR", "")
    return base if base and len(base) < 60 and os.access(base, os.W_OK) else None


def _remove_directory(runtime: Mapping[str, Any]) -> None:
    """What a supervisor that was killed left; the caller holds the lock, so nobody uses it."""
    left = Path(str(runtime.get("directory") or ""))
    if left.name.startswith(PREFIX) and left.is_dir():
        shutil.rmtree(left, ignore_errors=True)
