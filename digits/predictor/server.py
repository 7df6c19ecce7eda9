"""The process around a loaded model: listens on a Unix socket, one thread per connection, until it is told to end.

Holds: the socket appears when the model is loaded, so who can connect gets answers; a connection may carry any number of
requests; it ends by SIGTERM or when its parent is gone, and takes the socket with it.
"""

from __future__ import annotations

import argparse
import logging
import os
import signal
import socket
import sys
import threading
from collections.abc import Sequence
from pathlib import Path

from digits.errors import DigitsError
from digits.ipc.messages import CommunicationError, receive_or_end, send
from digits.predictor.model import LoadedModel
from digits.predictor.requests import answer
from digits.storage.folders import JobFolder

logger = logging.getLogger(__name__)
ACCEPT_SECONDS = 0.5
SILENT_SECONDS = 120.0  # a connection that says nothing for so long is closed
MAX_REQUEST = 1 << 30
MAX_CONNECTIONS = 64
BACKLOG = 128
EXIT_CANNOT_LOAD = 2


def main(argv: Sequence[str] | None = None) -> int:
    """Load the model the command line names and serve it."""
    options = _parse(argv)
    logging.basicConfig(stream=sys.stderr, level=logging.INFO, format="%(asctime)s [%(levelname)s] %(message)s", force=True)
    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    try:
        model = LoadedModel.open(JobFolder(Path(options.folder)), options.snapshot, options.device)
    except DigitsError as error:
        logger.error("%s", error)
        return EXIT_CANNOT_LOAD
    serve(model, Path(options.socket), stop)
    return 0


def serve(model: LoadedModel, path: Path, stop: threading.Event) -> None:
    """Answer at `path` until `stop` is set or the parent process is gone."""
    parent = os.getppid()
    slots = threading.BoundedSemaphore(MAX_CONNECTIONS)
    with _listen(path) as listener:
        logger.info("Serving on %s (%s).", path, model.device)
        try:
            while not stop.is_set() and os.getppid() == parent:
                _accept(listener, model, slots)
        finally:
            path.unlink(missing_ok=True)
            model.close()


def _listen(path: Path) -> socket.socket:
    """A listening socket that only this user can reach; it gets its name when it listens already."""
    temporary = path.with_name(f"{path.name}.{os.getpid()}")
    temporary.unlink(missing_ok=True)
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    listener.bind(str(temporary))
    os.chmod(temporary, 0o600)
    listener.listen(BACKLOG)
    listener.settimeout(ACCEPT_SECONDS)
    os.replace(temporary, path)
    return listener


def _accept(listener: socket.socket, model: LoadedModel, slots: threading.BoundedSemaphore) -> None:
    try:
        connection, _ = listener.accept()
    except TimeoutError:
        return
    slots.acquire()
    threading.Thread(target=_talk, args=(connection, model, slots), daemon=True).start()


def _talk(connection: socket.socket, model: LoadedModel, slots: threading.BoundedSemaphore) -> None:
    try:
        with connection:
            connection.settimeout(SILENT_SECONDS)
            while (request := receive_or_end(connection, MAX_REQUEST)) is not None:
                send(connection, answer(model, request))
    except CommunicationError as error:
        logger.info("A connection ended: %s", error)
    except ValueError as error:
        logger.warning("An answer cannot be sent: %s", error)
    finally:
        slots.release()


def _parse(argv: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m digits.predictor", description="Keep one model of digits loaded.")
    parser.add_argument("--socket", required=True)
    parser.add_argument("--folder", required=True, help="the model's job folder")
    parser.add_argument("--snapshot", required=True, help="relative to the folder")
    parser.add_argument("--device", default="cpu", help="cpu or cuda:0")
    return parser.parse_args(argv)
