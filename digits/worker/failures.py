"""What an exception means to the owner of the job: a stable code, what was found, and the next step."""

from __future__ import annotations

import os
import re
import sys
import traceback

from digits.domain.events import ErrorEvent
from digits.errors import DigitsError
from digits.utils.memory import is_out_of_memory

SHARED_MEMORY = "/dev/shm"
TRACE_LIMIT = 20_000  # characters kept of a traceback, from its end
MESSAGE_LIMIT = 4_000
MEMORY_ADVICE = (
    "Lower the batch size, choose a smaller network or smaller images, or free memory on the machine, and run it again."
)
BUG_ADVICE = "The trace below names the line. When it lies in your network text or plugin, correct it there; else report it."


def error_event(error: BaseException) -> ErrorEvent:
    """The event that reports `error`. DigitsErrors speak for themselves; memory, imports and the rest are translated."""
    code, message, advice = _describe(error)
    return ErrorEvent(code=code, message=_short(message), advice=advice, trace=trace_of(error))


def trace_of(error: BaseException) -> str:
    """The traceback as text, its end where it is long; that of the process which raised it, where that was another one."""
    text = getattr(error, "trace", "") or "".join(traceback.format_exception(error))
    return text if len(text) <= TRACE_LIMIT else "…" + text[-TRACE_LIMIT:]


def _describe(error: BaseException) -> tuple[str, str, str]:
    if isinstance(error, DigitsError):
        return getattr(error, "code", "") or _code(error), error.message or str(error), error.advice
    if is_out_of_memory(error):
        return "out-of-memory", f"There is not enough memory: {_first_line(error) or 'an allocation failed'}", MEMORY_ADVICE
    if isinstance(error, ImportError):
        name = error.name or "a module"
        return (
            "import",
            f"{name} cannot be imported: {error}",
            f"Install what provides {name} into digits' environment; see `digits doctor`.",
        )
    if isinstance(error, PermissionError | FileNotFoundError) and error.filename is None and not _has_shared_memory():
        found = f"Shared memory ({SHARED_MEMORY}) cannot be used: {error.strerror or error}."
        advice = "Data sets are made and pictures loaded through it: mount a tmpfs there that all may write (mode 1777)."
        return "permission", found, advice
    if isinstance(error, PermissionError):
        return "permission", f"Permission denied: {error.filename or error}", "Give the user who runs digits access to it."
    if isinstance(error, FileNotFoundError):
        return "missing-file", f"{error.filename or error} does not exist.", "Put it back, or make the job again without it."
    return "exception", f"{type(error).__name__}: {error}" if str(error) else type(error).__name__, BUG_ADVICE


def _has_shared_memory() -> bool:
    return sys.platform != "linux" or os.access(SHARED_MEMORY, os.W_OK | os.X_OK)


def _code(error: DigitsError) -> str:
    """`NetworkError` -> `network`, `LoadImageError` -> `load-image`."""
    words = re.findall(r"[A-Z][a-z]*", type(error).__name__.removesuffix("Error"))
    return "-".join(word.lower() for word in words) or "error"


def _first_line(error: BaseException) -> str:
    return next((line.strip() for line in str(error).splitlines() if line.strip()), "")


def _short(message: str) -> str:
    return message if len(message) <= MESSAGE_LIMIT else message[:MESSAGE_LIMIT] + "…"
