"""The state of a job: one letter, a word, a colour, and the moves that are legal between them."""

from __future__ import annotations

from enum import StrEnum

COLLAPSE_WAIT_SECONDS = 1.0


class Status(StrEnum):
    """State of a job. Equal to its letter; the text form is the letter."""

    INIT = "I"
    WAIT = "W"
    RUN = "R"
    DONE = "D"
    ABORT = "A"
    ERROR = "E"

    @property
    def word(self) -> str:
        """The word shown to people and in JSON, e.g. `Running`."""
        return _WORDS[self]

    @property
    def css(self) -> str:
        """Bootstrap's contextual colour name."""
        return css(self)

    @property
    def is_running(self) -> bool:
        """Whether work is still to come (initialized, waiting or running)."""
        return self in RUNNING


_WORDS = {
    Status.INIT: "Initialized",
    Status.WAIT: "Waiting",
    Status.RUN: "Running",
    Status.DONE: "Done",
    Status.ABORT: "Aborted",
    Status.ERROR: "Error",
}
_CSS = {"I": "warning", "W": "warning", "R": "info", "D": "success", "A": "warning", "E": "danger"}

RUNNING = frozenset({Status.INIT, Status.WAIT, Status.RUN})
FINISHED = frozenset({Status.DONE, Status.ABORT, Status.ERROR})

# A finished job may go back to waiting: that is what "resume" and "run again" do.
LEGAL_MOVES: dict[Status, frozenset[Status]] = {
    Status.INIT: frozenset({Status.WAIT, Status.RUN, Status.ABORT, Status.ERROR}),
    Status.WAIT: frozenset({Status.RUN, Status.ABORT, Status.ERROR}),
    Status.RUN: frozenset({Status.WAIT, Status.DONE, Status.ABORT, Status.ERROR}),
    Status.DONE: frozenset({Status.WAIT}),
    Status.ABORT: frozenset({Status.WAIT}),
    Status.ERROR: frozenset({Status.WAIT}),
}


def css(letter: str) -> str:
    """Bootstrap's contextual colour name of a status letter; `default` for an unknown one."""
    return _CSS.get(str(letter), "default")


class StatusHistory:
    """The states a job went through, oldest first, as `(status, seconds since the epoch)`.

    An empty history reads as `Status.INIT`. A wait of under one second directly before a run is not kept.
    """

    def __init__(self, entries: list[tuple[Status, float]] | None = None) -> None:
        self.entries = list(entries or [])

    @property
    def current(self) -> Status:
        return self.entries[-1][0] if self.entries else Status.INIT

    def add(self, status: Status, at: float) -> None:
        """Append `status`; the same state twice in a row is kept once."""
        if self.entries and self.entries[-1][0] == status:
            return
        if status == Status.RUN and self.entries:
            last, since = self.entries[-1]
            if last == Status.WAIT and at - since < COLLAPSE_WAIT_SECONDS:
                self.entries.pop()
        self.entries.append((status, at))

    def to_json(self) -> list[list[object]]:
        return [[str(status), at] for status, at in self.entries]

    @classmethod
    def from_json(cls, value: list[list[object]] | None) -> StatusHistory:
        return cls([(Status(str(s)), float(str(at))) for s, at in value or []])
