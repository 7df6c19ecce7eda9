"""The answering end of the protocol (`digits.ipc.messages`): a Unix socket, a thread per connection, many requests on each.

Holds: only this user can connect; the socket gets its name when the server listens already; what goes wrong with a request
is reported in its answer in the one shape of an error (`digits.ipc.errors`), and garbage costs only its connection. However
many answers are waited for, the end of the server is noticed.
"""

from __future__ import annotations

import contextlib
import errno
import logging
import os
import socket
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path

from digits.errors import DigitsError
from digits.ipc import last_words
from digits.ipc.errors import error_to_json
from digits.ipc.messages import CommunicationError, Message, receive_or_end, send, socket_address
from digits.ipc.scratch import discard

logger = logging.getLogger(__name__)

Answer = Callable[[Message], Message]

ACCEPT_SECONDS = 0.5
SILENT_SECONDS = 120.0  # a connection that says nothing for so long is closed
MAX_REQUEST = 1 << 30
MAX_CONNECTIONS = 64
BACKLOG = 128
OUT_OF_FILES = (errno.EMFILE, errno.ENFILE)


class MessageServer:
    """Listens at `path` as soon as it is made. `scratch` is the folder below which requests may name files with arrays.

    Beyond `max_connections` further ones wait to be accepted; None: there is no limit, for answers that wait for other things.
    """

    def __init__(
        self,
        path: Path,
        answer: Answer,
        *,
        scratch: Path | None = None,
        max_body: int = MAX_REQUEST,
        max_connections: int | None = MAX_CONNECTIONS,
        name: str = "client",
    ) -> None:
        self.path = path
        self.answer = answer
        self.scratch = scratch
        self.max_body = max_body
        self.name = name
        self._slots = threading.BoundedSemaphore(max_connections or sys.maxsize)
        self._listener = _listen(path)
        self._bound = os.stat(path)

    def serve(self, is_over: Callable[[], bool]) -> None:
        """Accept connections until `is_over`; then the socket is gone."""
        try:
            while not is_over():
                self._accept()
        finally:
            self.close()

    def close(self) -> None:
        """Stop listening. What has taken the socket's place meanwhile stays."""
        with contextlib.suppress(OSError):
            if os.path.samestat(os.stat(self.path), self._bound):
                self.path.unlink(missing_ok=True)
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()

    def _accept(self) -> None:
        if not self._slots.acquire(timeout=ACCEPT_SECONDS):
            return
        try:
            connection, _ = self._listener.accept()
        except OSError as error:
            self._slots.release()
            if error.errno in OUT_OF_FILES:  # those that are open end some time
                time.sleep(ACCEPT_SECONDS)
            elif not isinstance(error, TimeoutError):
                raise
            return
        threading.Thread(target=self._talk, args=(connection,), name=self.name, daemon=True).start()

    def _talk(self, connection: socket.socket) -> None:
        try:
            with connection:
                connection.settimeout(SILENT_SECONDS)
                while (request := receive_or_end(connection, self.max_body, self.scratch)) is not None:
                    self._send(connection, self._answered(request))
        except CommunicationError as error:
            logger.info("A connection ended: %s", error)
        finally:
            self._slots.release()

    def _send(self, connection: socket.socket, answer: Message) -> None:
        """Send an answer, or the error that it is one that cannot be sent. What nobody takes leaves no scratch file."""
        try:
            send(connection, answer)
        except CommunicationError:
            discard(answer.arrays)
            raise
        except ValueError as error:
            discard(answer.arrays)
            logger.warning("An answer cannot be sent: %s", error)
            send(connection, Message({"error": error_to_json(DigitsError(f"The answer cannot be sent: {error}."))}))

    def _answered(self, request: Message) -> Message:
        try:
            return self.answer(request)
        except DigitsError as error:
            return Message({"error": error_to_json(error)})
        except Exception as error:
            logger.exception("A request failed.")
            words = f"{type(error).__name__}: {error}"
            return Message({"error": error_to_json(DigitsError(words, advice="The log of the server has the trace."))})


def _listen(path: Path) -> socket.socket:
    temporary = path.with_name(f"{path.name}.{os.getpid()}")
    temporary.unlink(missing_ok=True)
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    with socket_address(temporary) as address:
        listener.bind(address)
    os.chmod(temporary, 0o600)
    listener.listen(BACKLOG)
    listener.settimeout(ACCEPT_SECONDS)
    os.replace(temporary, path)
    last_words.forget(path)
    return listener
