"""The tree of errors. Every message says what was found and what to do next; `field` names the form field it belongs to."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any


class DigitsError(Exception):
    """Base of every error raised on purpose.

    `status` is the HTTP code under which the error leaves the web server, `advice` the next step for the reader.
    """

    status = 500
    trace = ""  # a traceback, where the error came from another process that ran code of a plugin or a network text
    complaint = ""  # what a plugin said of its input (see `complaint_of`), where that is the reason

    def __init__(self, message: str = "", *, advice: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.advice = advice

    def __str__(self) -> str:
        return f"{self.message} {self.advice}".strip()


def complaint_of(error: BaseException) -> str:
    """What an exception of a plugin says of the input that it was given: the words of a ValueError; empty for every other."""
    return (str(error) or type(error).__name__) if isinstance(error, ValueError) else ""


class BadRequest(DigitsError):
    """The request cannot be understood or is not possible as it stands."""

    status = 400


class UnknownOrder(BadRequest):
    """A list is to be sorted by what there is not, as a column of older versions; the list itself can be had."""


class PartlyDone(BadRequest):
    """Some of what was requested is refused, the rest is done; `done` is what the answer says of that."""

    done: Mapping[str, Any] = MappingProxyType({})


class FormErrors(BadRequest):
    """One or more form fields are wrong: `errors` maps a field's name to its messages."""

    def __init__(self, errors: Mapping[str, list[str]]) -> None:
        self.errors = {name: list(messages) for name, messages in errors.items()}
        super().__init__("; ".join(f"{name}: {' '.join(m)}" for name, m in self.errors.items()))


class Unauthorized(DigitsError):
    """Nobody is logged in where somebody must be."""

    status = 401


class Forbidden(DigitsError):
    """Somebody is logged in but may not do this."""

    status = 403


class NotFound(DigitsError):
    """The thing requested does not exist (any more)."""

    status = 404


class Conflict(DigitsError):
    """The thing is in another state than the action needs."""

    status = 409


class Unavailable(DigitsError):
    """A process that the request needs does not run, did not start or does not answer in time; it may be tried again."""

    status = 503


class ConfigError(DigitsError):
    """A setting is wrong or the machine is not as a setting says."""


class StorageError(DigitsError):
    """A job folder, record file or database cannot be read or written."""


class DiskFull(StorageError):
    """A disk is full; work pauses until there is free space."""

    status = 507


class ReadOnly(DiskFull):
    """A folder of ours cannot be written any more, though there is space; work pauses until it can."""

    status = 503


class DataError(DigitsError):
    """Something in the user's data cannot be used: an unreadable picture, a folder without classes."""

    status = 400


class LimitExceeded(DataError):
    """What was to be read needs more memory or time than the settings allow; the advice names the setting."""


class LoadImageError(DataError):
    """A picture cannot be read."""


class PluginError(DigitsError):
    """A plugin failed; the message names it."""


class Misfit(PluginError):
    """A sample that cannot be a record, or not one of its data set; `found` says what it is without plugin and entry."""

    found = ""


class PluginFailure(PluginError):
    """The code of a plugin raised something unforeseen, or (`timed_out`) never answered; `trace` says where."""

    timed_out = False


class NetworkError(DataError):
    """A network text cannot be built or does not fit the data set."""


class TrainingError(DigitsError):
    """Training cannot go on; `code` is the stable code of its error event (`diverged`, `out-of-memory`, …)."""

    def __init__(self, message: str = "", *, advice: str = "", code: str = "training") -> None:
        super().__init__(message, advice=advice)
        self.code = code


class ProcessLost(DigitsError):
    """A process that takes part in the job died, or the exchange with it broke off: the job goes on as after a death of its
    worker. The message says who and how, as the end of a sentence: `rank 1 of 2 was killed by …`."""


class ExportError(DigitsError):
    """A model cannot be written in the format that was requested."""


class JobStopped(DigitsError):
    """Raised inside a worker when the supervisor has requested it to stop."""
