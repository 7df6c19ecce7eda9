"""The supervisor's end of the control socket (see `digits.ipc.supervisor_client` for the other).

Holds: requests are read by a thread per connection and answered by the main loop alone, so handlers need no locks and
children are started by the thread that lives longest. A handler returns its answer, or a function that is called again at each
tick until it returns one; what it raises is reported in the answer. The folder of sockets lies where no log-out removes it, and
is made again where somebody does.
"""

from __future__ import annotations

import logging
import os
import queue
import shutil
import tempfile
import threading
import time
from collections.abc import Callable, Mapping
from concurrent.futures import Future
from pathlib import Path
from typing import Any

from digits.errors import BadRequest, Unavailable
from digits.ipc.message_server import MessageServer
from digits.ipc.messages import Message
from digits.ipc.supervisor_client import ControlError, read_runtime, runtime_file
from digits.storage.files import write_json
from digits.storage.folders import JobsDir
from digits.storage.identity import place_of

Answer = dict[str, Any]
Later = Callable[[], Answer | None]
Handler = Callable[[Mapping[str, Any]], "Answer | Later"]

REQUEST_SECONDS = 300.0  # an answer that takes longer is given up
READ_SECONDS = 10.0
SOCKET_NAME = "control.sock"
PREFIX = "digits-"

logger = logging.getLogger(__name__)


class ControlServer:
    """Listens between `__enter__` and `__exit__`. `directory` is a private folder for sockets."""

    def __init__(self, jobs_dir: JobsDir, handlers: Mapping[str, Handler]) -> None:
        self.jobs_dir = jobs_dir
        self.handlers = dict(handlers)
        self.directory = Path()
        self.wake = threading.Event()
        self._requests: queue.SimpleQueue[tuple[Mapping[str, Any], Future[Answer]]] = queue.SimpleQueue()
        self._waiting: list[tuple[Later, Future[Answer], float]] = []
        self._facts: dict[str, Any] | None = None  # what was published
        self._stopped = threading.Event()

    def __enter__(self) -> ControlServer:
        _remove_directory(read_runtime(self.jobs_dir))
        self._listen(Path(tempfile.mkdtemp(prefix=PREFIX, dir=_base())))
        return self

    def __exit__(self, *_: object) -> None:
        self._stopped.set()
        self.unpublish()
        shutil.rmtree(self.directory, ignore_errors=True)

    def publish(self, **facts: Any) -> None:
        """Write `runtime.json`: from now on clients find the socket."""
        self._facts = facts
        value = {"socket": str(self.directory / SOCKET_NAME), "directory": str(self.directory), "pid": os.getpid(), **facts}
        write_json(runtime_file(self.jobs_dir), {**value, "place": place_of(self.jobs_dir)}, permissions=0o600)

    def unpublish(self) -> None:
        """Clients find the socket no more. What another server wrote stays: the jobs directory may have been replaced."""
        self._facts = None
        if read_runtime(self.jobs_dir).get("directory") == str(self.directory):
            runtime_file(self.jobs_dir).unlink(missing_ok=True)

    def renew(self) -> bool:
        """Make the folder and the socket again where they have vanished; whether that was so. Whoever has files there loses them.
        Raises OSError where it cannot be made."""
        if (self.directory / SOCKET_NAME).exists():
            return False
        logger.warning("The folder of sockets, %s, has vanished and is made again.", self.directory)
        self._stopped.set()
        self._stopped = threading.Event()
        try:
            self.directory.mkdir(mode=0o700, exist_ok=False)
            self._listen(self.directory)
        except OSError:  # half of it is there, or its place is taken: it may be somebody else's
            self._listen(Path(tempfile.mkdtemp(prefix=PREFIX, dir=_base())))
        if self._facts is not None:
            self.publish(**self._facts)
        return True

    def _listen(self, directory: Path) -> None:
        self.directory = directory
        server = MessageServer(directory / SOCKET_NAME, self._answer, max_body=0, max_connections=None, name="control-client")
        threading.Thread(target=server.serve, args=(self._stopped.is_set,), name="control", daemon=True).start()

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
            future.set_exception(BadRequest(f"There is no operation {request.get('op')!r}; known are {known}."))
            return
        try:
            answer = handler(request)
        except Exception as error:  # reported in the answer
            future.set_exception(error)
            return
        if callable(answer):
            self._waiting.append((answer, future, time.monotonic() + REQUEST_SECONDS))
        else:
            future.set_result(answer)

    def _settle(self, later: Later, future: Future[Answer], deadline: float) -> bool:
        try:
            answer = later()
        except Exception as error:  # reported in the answer
            future.set_exception(error)
            return True
        if answer is None and time.monotonic() <= deadline:
            return False
        if answer is None:
            future.set_exception(Unavailable(f"Nothing came of it in {REQUEST_SECONDS:g} s.", advice="Try again."))
        else:
            future.set_result(answer)
        return True

    def _answer(self, request: Message) -> Message:
        """Runs in a thread of the connection; whatever the future holds becomes the answer."""
        future: Future[Answer] = Future()
        self._requests.put((request.header, future))
        self.wake.set()
        try:
            return Message(future.result(REQUEST_SECONDS + READ_SECONDS))
        except TimeoutError as error:
            raise ControlError("The supervisor is busy.", advice="Try again in a moment.") from error


def _base() -> str:
    """The folder of temporary files, of any length. Not the user's run-time directory, which is removed when the user logs out
    while the server runs on."""
    return tempfile.gettempdir()


def _remove_directory(runtime: Mapping[str, Any]) -> None:
    """What a supervisor that was killed left; the caller holds the lock, so it is not in use."""
    left = Path(str(runtime.get("directory") or ""))
    if left.name.startswith(PREFIX) and left.is_dir():
        shutil.rmtree(left, ignore_errors=True)
