"""The process around a loaded model: listens on a Unix socket, one thread per connection, until it is requested to end.

Holds: the socket appears when the model is loaded, so who can connect gets answers; a connection may carry any number of
requests; it ends when requested to, or when its parent is gone, and takes the socket with it.
"""

from __future__ import annotations

import argparse
import logging
import os
import threading
from collections.abc import Sequence
from pathlib import Path

from digits.errors import DigitsError
from digits.ipc.message_server import MessageServer
from digits.ipc.messages import ANSWER_SECONDS, Message
from digits.ipc.watchdog import Watchdog
from digits.predictor.model import LoadedModel
from digits.predictor.requests import answer
from digits.storage.folders import JobFolder, JobsDir
from digits.utils.masking import log_to_stderr
from digits.utils.processes import offer_to_oom_killer, on_stop

logger = logging.getLogger(__name__)
EXIT_CANNOT_LOAD = 2


def main(argv: Sequence[str] | None = None) -> int:
    """Load the model the command line names and serve it."""
    options = _parse(argv)
    log_to_stderr("%(asctime)s [%(levelname)s] %(message)s")
    offer_to_oom_killer()
    stop = threading.Event()
    on_stop(stop.set)
    try:
        model = LoadedModel.open(JobFolder(Path(options.folder)), options.snapshot, options.device)
    except DigitsError as error:
        logger.error("%s", error)
        return EXIT_CANNOT_LOAD
    watch = Watchdog()
    watch.start()
    serve(model, Path(options.socket), stop, JobsDir(Path(options.folder).parent).scratch, watch)
    return 0


def serve(
    model: LoadedModel, path: Path, stop: threading.Event, scratch: Path | None = None, watch: Watchdog | None = None
) -> None:
    """Answer at `path` until `stop` is set or the parent process is gone."""
    parent, watch = os.getppid(), watch or Watchdog()

    def in_time(request: Message) -> Message:
        with watch.request(float(request.header.get("limit", ANSWER_SECONDS))):
            return answer(model, request, scratch)

    server = MessageServer(path, in_time, scratch=scratch)
    logger.info("Serving on %s (%s).", path, model.device)
    try:
        server.serve(lambda: stop.is_set() or os.getppid() != parent)
    finally:
        model.close()


def _parse(argv: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m digits.predictor", description="Keep one model of digits loaded.")
    parser.add_argument("--socket", required=True)
    parser.add_argument("--folder", required=True, help="the model's job folder")
    parser.add_argument("--snapshot", required=True, help="relative to the folder")
    parser.add_argument("--device", default="cpu", help="cpu or cuda:0")
    return parser.parse_args(argv)
