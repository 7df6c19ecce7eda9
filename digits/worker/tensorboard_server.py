"""`python -m digits.worker.tensorboard_server --logdir FOLDER --socket PATH --title TEXT`: TensorBoard on a Unix socket.

Holds: it opens no port, so that only the user of this process reaches it. Event files are read in this process, because
TensorBoard's data server would open a port, and TensorFlow is not imported: it would cost seconds and memory.
"""

from __future__ import annotations

import argparse
import signal
import sys
import types
from collections.abc import Sequence
from functools import partial
from typing import Any

from werkzeug.serving import WSGIRequestHandler, make_server

from digits.ipc.messages import socket_address
from digits.utils.processes import die_with_parent

NO_TENSORFLOW = "tensorboard.compat.notf"  # TensorBoard looks whether it can import this
READ_SECONDS = 5.0  # how often new event files are looked for
PICTURES = 100  # kept of one tag


class QuietHandler(WSGIRequestHandler):
    """Says nothing about requests that are answered."""

    def log_request(self, code: int | str = "-", size: int | str = "-") -> None:
        return


class UnixServer:
    """What TensorBoard requires of a server."""

    def __init__(self, path: str, application: Any, _flags: Any) -> None:
        self._path = path
        with socket_address(path) as address:
            self._server = make_server(f"unix://{address}", 0, application, threaded=True, request_handler=QuietHandler)

    def serve_forever(self) -> None:
        self._server.serve_forever()

    def get_url(self) -> str:
        return f"unix://{self._path}"


def main(argv: Sequence[str] | None = None) -> int:
    """Serve until a signal ends the process."""
    parser = argparse.ArgumentParser(prog="python -m digits.worker.tensorboard_server", description="TensorBoard on a socket.")
    parser.add_argument("--logdir", required=True, help="folder with one folder per run")
    parser.add_argument("--socket", required=True)
    parser.add_argument("--title", default="TensorBoard")
    options = parser.parse_args(argv)
    die_with_parent()
    sys.modules[NO_TENSORFLOW] = types.ModuleType(NO_TENSORFLOW)
    from tensorboard import default, program

    board = program.TensorBoard(default.get_static_plugins(), server_class=partial(UnixServer, options.socket))
    board.configure(
        logdir=options.logdir,
        load_fast="false",
        window_title=options.title,
        reload_interval=READ_SECONDS,
        samples_per_plugin={"images": PICTURES},
    )
    board.launch()
    signal.pause()
    return 0


if __name__ == "__main__":
    sys.exit(main())
