"""Server-sent events: one job (`/jobs/<id>/events`), or lists and several jobs in one connection (`/events`)."""

from __future__ import annotations

import queue
import time
from collections.abc import Callable, Iterator

from flask import Blueprint, Response, current_app, request
from flask.blueprints import BlueprintSetupState

from digits.errors import BadRequest
from digits.storage.jobs.store import Job
from digits.utils.values import whole
from digits.web.http import arguments
from digits.web.http.request import describes, get_service
from digits.web.http.security import still_in
from digits.web.jobs.live import MOST_CHANGES, RESET, Lines, Live, Message, RowChange, Watcher, line_start, pieces, row_changes

KEEP_ALIVE = b": still here\n\n"
KEEP_ALIVE_SECONDS = 10.0
WAKE_SECONDS = 1.0
LOOK_SECONDS = 10.0  # how long an answer may outlive the session or the token that it was sent to
END = b"event: end\ndata: {}\n\n"
LINGER_SECONDS = 1.0  # after the row says that a job has ended, its last lines may still come
MOST_JOBS = 200  # that one connection follows; a comparison has 50
HEADERS = {"Cache-Control": "no-cache, no-transform", "X-Accel-Buffering": "no"}


def blueprint() -> Blueprint:
    """Both streams; the `Live` they share becomes `app.extensions["digits-live"]`."""
    area = Blueprint("streams", __name__)
    area.record_once(_install)
    area.add_url_rule("/jobs/<job_id>/events", "job_events", job_events)
    area.add_url_rule("/events", "events", events)
    return area


@describes(arguments={"offset": "Byte of the log after which the lines begin; the header `Last-Event-ID` comes before it."})
def job_events(job_id: str) -> Response:
    """The event log of one job from `Last-Event-ID` (or the argument `offset`) on, then live.

    Each message is one raw line with the byte offset after it as id; `job` messages carry the job's row when it changed;
    `end` says that the job has ended and everything was sent.
    """
    job = get_service().store.get(job_id)
    resumed = _resumed()
    offset = arguments.whole("offset", 0) if resumed is None else resumed
    return _stream(_job_stream(get_live(), job, offset, still_in()))


@describes(arguments={"list": "Sequence number after which changed rows are sent.", "job": "ID:OFFSET, repeated."})
def events() -> Response:
    """Changed rows of all jobs and, for each argument `job=ID:OFFSET`, that job's lines.

    `job` messages carry a row and its sequence number as id; they begin after `Last-Event-ID` or the argument `list`
    (default: now). `line` messages hold `job_id`, `offset` and `event`. `reset` says that more rows changed than are sent.
    """
    resumed = _resumed()
    since = arguments.whole("list", None) if resumed is None else resumed
    wanted = arguments.texts("job")
    if len(wanted) > MOST_JOBS:
        raise BadRequest(f"These are {len(wanted):,} jobs; one connection follows {MOST_JOBS}.", advice="Open a second one.")
    offsets = dict(map(_job_offset, wanted))
    known = get_service().store.find_many(set(offsets))
    offsets = {job_id: offset for job_id, offset in offsets.items() if job_id in known}
    return _stream(_shared_stream(get_live(), offsets, since, still_in()))


def get_live() -> Live:
    """The watchers and feeding threads of this application."""
    live: Live = current_app.extensions["digits-live"]
    return live


def _install(state: BlueprintSetupState) -> None:
    state.app.extensions["digits-live"] = Live(state.app.extensions["digits"])


def _stream(messages: Iterator[bytes]) -> Response:
    return Response(messages, mimetype="text/event-stream", headers=HEADERS)


class StreamEnd:
    """Whether a job's stream is over: its row says that it ended, and its last lines had time to come."""

    def __init__(self, running: bool) -> None:
        self.running(running)

    def running(self, running: bool) -> None:
        self._ended = None if running else time.monotonic()

    def is_over(self) -> bool:
        return self._ended is not None and time.monotonic() - self._ended > LINGER_SECONDS


def _job_stream(live: Live, job: Job, offset: int, still_in: Callable[[], bool]) -> Iterator[bytes]:
    watcher, offsets, _ = live.watch(frozenset({job.id}), lists=False)
    try:
        yield b"retry: 1000\n\n"
        for piece in _backlog(live, job.id, offset, offsets[job.id]):
            yield piece.plain
        end = StreamEnd(live.service.store.get(job.id).status.is_running)
        for message in _messages(watcher, end.is_over, still_in):
            if isinstance(message, RowChange):
                end.running(message.row["running"])
                yield message.plain
            elif isinstance(message, Lines):
                left = message.after(offset)
                yield left.plain if left else b""
            else:
                yield message or END
    finally:
        live.leave(watcher)


def _shared_stream(live: Live, wanted: dict[str, int], since: int | None, still_in: Callable[[], bool]) -> Iterator[bytes]:
    watcher, offsets, sequence = live.watch(frozenset(wanted), lists=True)
    try:
        yield b"retry: 1000\n\n"
        if since is not None and since < sequence:
            yield from _missed_rows(live, since)
        for job_id, offset in wanted.items():
            for piece in _backlog(live, job_id, offset, offsets[job_id]):
                yield piece.tagged
        for message in _messages(watcher, lambda: False, still_in):
            if isinstance(message, RowChange):
                yield message.listed
            elif isinstance(message, Lines):
                left = message.after(wanted[message.job_id])
                yield left.tagged if left else b""
            elif message:
                yield message
    finally:
        live.leave(watcher)


def _messages(watcher: Watcher, is_over: Callable[[], bool], still_in: Callable[[], bool]) -> Iterator[Message]:
    """What comes to the watcher, with keep-alives in quiet times; ends when the server stops or who watches is no longer let in,
    and with None when `is_over`."""
    sent = looked = time.monotonic()
    while not watcher.lost.is_set():
        if time.monotonic() - looked > LOOK_SECONDS:
            looked = time.monotonic()
            if not still_in():
                return
        try:
            message = watcher.messages.get(timeout=WAKE_SECONDS)
        except queue.Empty:
            if is_over():
                yield None
                return
            if time.monotonic() - sent < KEEP_ALIVE_SECONDS:
                continue
            message = KEEP_ALIVE
        if message is None:
            return
        sent = time.monotonic()
        yield message


def _backlog(live: Live, job_id: str, offset: int, until: int) -> Iterator[Lines]:
    path = live.service.folder(job_id).events_file
    return pieces(job_id, path, line_start(path, offset), until)


def _missed_rows(live: Live, since: int) -> Iterator[bytes]:
    changes = row_changes(live.service, since)
    if len(changes) == MOST_CHANGES:
        yield RESET
    else:
        yield from (change.listed for change in changes)


def _job_offset(text: str) -> tuple[str, int]:
    job_id, _, offset = text.partition(":")
    return job_id, whole(offset or "0", "job")


def _resumed() -> int | None:
    """Where a browser that lost its connection goes on; None when it opens the stream for the first time."""
    last = request.headers.get("Last-Event-ID", "").strip()
    return whole(last, "Last-Event-ID") if last else None
