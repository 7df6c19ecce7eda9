"""TensorBoard inside our access control: a page that starts it, and a proxy to the Unix socket it listens on.

Holds: every request has passed the same checks as any other page; cookies and tokens are not passed on. A request holds a thread
while it is answered, at most `AT_ONCE` of them and each for `READ_SECONDS`, so that a TensorBoard that hangs costs no other page.
"""

from __future__ import annotations

import http.client
import threading
import time
from collections.abc import Iterator
from typing import Any
from urllib.parse import quote

from flask import Blueprint, Response, redirect, render_template, request, url_for

from digits.domain.access import Scope
from digits.errors import Conflict, DigitsError
from digits.ipc.messages import UnixConnection
from digits.service import tensorboard
from digits.web.http.access import may_change, needs
from digits.web.http.request import describes, get_service, json_answer, route, wants_json

AT_ONCE = 48
WAIT_SECONDS = 10.0  # for one of them to end
READ_SECONDS = 60.0
KNOWN_SECONDS = 5.0  # how long a socket is used before the supervisor is notified that it is still in use
LARGEST_BODY = 1 << 20
CHUNK = 1 << 16
SENT = ("Accept", "Accept-Encoding", "Content-Type", "If-None-Match", "If-Modified-Since")
TAKEN = (
    "Content-Type",
    "Content-Encoding",
    "Content-Length",
    "Content-Disposition",
    "Content-Security-Policy",
    "Cache-Control",
    "Expires",
    "ETag",
    "Last-Modified",
    "Vary",
)
RULE = "frame-ancestors 'self'; base-uri 'self'; form-action 'self'; style-src 'self' 'unsafe-inline' data:"  # beside its own


class Busy(DigitsError):
    """TensorBoard cannot answer now."""

    status = 503


def blueprint() -> Blueprint:
    """`/tensorboard/<ids>` starts it, everything below `/tensorboard/<ids>/` is TensorBoard's own."""
    area = Blueprint("tensorboard", __name__)
    proxy = TensorBoardProxy()
    area.url_value_preprocessor(keep_body)
    route(area, "/tensorboard/<ids>")(start)
    area.add_url_rule("/tensorboard/<ids>/", "inside", proxy.answer, methods=["GET"])
    area.add_url_rule("/tensorboard/<ids>/<path:rest>", "inside", proxy.answer, methods=["GET", "POST"])
    area.app_context_processor(lambda: {"tensorboard_hint": hint})
    return area


def keep_body(_endpoint: str | None, _values: Any) -> None:
    """Bodies are small, and are passed on as they came although the checks look into them."""
    request.max_content_length = LARGEST_BODY
    if request.method == "POST":
        request.get_data(cache=True)


def hint() -> str:
    """What the button says when one points at it."""
    return "Curves, pictures and the graph in TensorBoard" if tensorboard.is_installed() else f"Needs: {tensorboard.INSTALL}"


@describes(answer="`ready`, and `url`: where TensorBoard answers then.")
def start(ids: str) -> Any:
    """TensorBoard on one model, or on several whose ids are separated by commas; started where it does not run."""
    from_here = may_change()
    board = tensorboard.open_board(get_service(), ids.split(","), start=from_here)
    address = url_for("tensorboard.inside", ids=ids)
    if wants_json():
        return json_answer({"ready": board.ready, "url": address})
    if board.ready:
        return redirect(address)
    models = tensorboard.models_of(get_service(), ids.split(","))
    return render_template("tensorboard.html", models=models, from_here=from_here), 202


class TensorBoardProxy:
    """Sockets of TensorBoards that were found lately, and the requests to them that run."""

    def __init__(self) -> None:
        self._known: dict[str, tuple[str, float]] = {}
        self._slots = threading.BoundedSemaphore(AT_ONCE)

    @needs(Scope.READ)
    def answer(self, ids: str, rest: str = "") -> Any:
        """TensorBoard's answer to the request, passed on piece by piece."""
        socket = self._socket(ids)
        if not socket:
            return _not_running(ids, rest)
        if not self._slots.acquire(timeout=WAIT_SECONDS):
            raise Busy("TensorBoard is busy.", advice="Try again in a moment.")
        try:
            return self._passed_on(ids, socket, rest)
        except BaseException:
            self._slots.release()
            raise

    def _socket(self, ids: str) -> str:
        """Where the TensorBoard of some models listens; empty when it does not run."""
        socket, found_at = self._known.get(ids, ("", 0.0))
        if socket and time.monotonic() - found_at < KNOWN_SECONDS:
            return socket
        board = tensorboard.open_board(get_service(), ids.split(","), start=False)
        self._known = {key: found for key, found in self._known.items() if time.monotonic() - found[1] < KNOWN_SECONDS}
        if board.ready:
            self._known[ids] = (board.socket, time.monotonic())
        return board.socket if board.ready else ""

    def _passed_on(self, ids: str, socket: str, rest: str) -> Response:
        connection = UnixConnection(socket, READ_SECONDS)
        try:
            found = _request(connection, rest)
        except (OSError, http.client.HTTPException) as error:
            connection.close()
            self._known.pop(ids, None)
            raise Busy("TensorBoard does not answer.", advice="Reload the page: it is started again if it ended.") from error
        response = Response(_Pieces(found, connection, self._slots), status=found.status, direct_passthrough=True)
        response.headers.clear()
        for name in TAKEN:
            for value in found.headers.get_all(name) or ():
                response.headers.add(name, value)
        response.headers.add("Content-Security-Policy", RULE)
        return response


def _request(connection: UnixConnection, rest: str) -> http.client.HTTPResponse:
    query = request.query_string.decode("latin-1")
    address = f"/{quote(rest)}" + (f"?{query}" if query else "")
    headers = {name: request.headers[name] for name in SENT if name in request.headers}
    connection.request(request.method, address, request.get_data() or None, headers)
    return connection.getresponse()


class _Pieces:
    """The body of an answer. The server closes it when it is sent or given up, also where nothing of it was read; what is
    registered at a response that is passed through (`call_on_close`) would not be called."""

    def __init__(
        self, found: http.client.HTTPResponse, connection: http.client.HTTPConnection, slots: threading.BoundedSemaphore
    ) -> None:
        self._found = found
        self._connection = connection
        self._slots: threading.BoundedSemaphore | None = slots

    def __iter__(self) -> Iterator[bytes]:
        while piece := self._found.read(CHUNK):
            yield piece

    def close(self) -> None:
        """Leave the place to the next request, once."""
        slots, self._slots = self._slots, None
        if slots is not None:
            self._found.close()  # where TensorBoard ends the connection it alone holds the socket
            self._connection.close()
            slots.release()


def _not_running(ids: str, rest: str) -> Any:
    if not rest:
        return redirect(url_for("tensorboard.start", ids=ids))
    raise Conflict("This TensorBoard has ended.", advice="Reload the page; that starts it again.")
