"""Calls of a plugin that may take as long as they give signs of life: `__init__`, and the lists of its entries.

Holds: all of them run in one thread (what a plugin opens there, it may use only there), so what hangs cannot be left alone: a
thread beside it says after a minute where it is, and ends the process after the setting entry_seconds. A sign of life is that the
plugin reads a file, as the system counts it where it does.
"""

from __future__ import annotations

import contextlib
import linecache
import sys
import threading
import time
import traceback
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from types import FrameType

from digits.domain.events import WarningEvent
from digits.errors import DigitsError, PluginError
from digits.utils.values import counted

WARN_SECONDS = 60.0
LOOK_SECONDS = 1.0
SETTING = "The setting entry_seconds (DIGITS_ENTRY_SECONDS) allows more"


@dataclass(frozen=True)
class SilenceWatch:
    """Watches a plugin's calls, which may be silent for `seconds`. `give_up` ends the process for an error, from any thread."""

    plugin: str
    seconds: float
    warn: Callable[[WarningEvent], object]
    give_up: Callable[[Exception], object]

    @contextlib.contextmanager
    def watching(self, call: str, module: str = "") -> Iterator[None]:
        """Around a call, made by this thread; `module` is where its class is defined."""
        over = threading.Event()
        caller = threading.current_thread()
        thread = threading.Thread(target=self._look, args=(call, module, caller, over), name="silence", daemon=True)
        thread.start()
        try:
            yield
        finally:
            over.set()
            thread.join()

    def _look(self, call: str, module: str, caller: threading.Thread, over: threading.Event) -> None:
        every = min(LOOK_SECONDS, self.seconds / 4)
        silent, said, reads, before = 0.0, False, _reads_of(caller), time.monotonic()
        while not over.wait(every):
            now = time.monotonic()
            silent, before = silent + min(now - before, 2 * every), now  # a process that was stopped was not silent
            found = _reads_of(caller)
            if found != reads:
                silent, reads = 0.0, found
            if silent >= self.seconds:
                self.give_up(self._error(call, module, caller))
                return
            if not said and silent >= WARN_SECONDS:
                said = True
                self._say(call, module, caller, silent)

    def _say(self, call: str, module: str, caller: threading.Thread, silent: float) -> None:
        message = f"{self.plugin}: {call} has read nothing for {counted(int(silent), 'second')}{_where(caller, module)}."
        advice = f"It may just need long; if it hangs, abort the job. It is ended after {self.seconds:g} s. {SETTING}."
        with contextlib.suppress(DigitsError):  # the disk is full, or the job is to stop
            self.warn(WarningEvent(code="still", message=message, advice=advice))

    def _error(self, call: str, module: str, caller: threading.Thread) -> PluginError:
        frame = _frame_of(caller)
        error = PluginError(
            f"{self.plugin}: {call} gave no sign of life for {self.seconds:g} s{_where(caller, module)}.",
            advice=f"{SETTING}; else correct the plugin, or look at what it waits for.",
        )
        error.trace = "".join(traceback.format_stack(frame)) if frame is not None else ""
        return error


def _where(caller: threading.Thread, module: str) -> str:
    """The line of the plugin's own file where the thread is; of any where it is in none of it."""
    frames, frame = list[FrameType](), _frame_of(caller)
    while frame is not None:
        frames.append(frame)
        frame = frame.f_back
    own = next((frame for frame in frames if frame.f_globals.get("__name__") == module), frames[0] if frames else None)
    if own is None:
        return ""
    file, line = own.f_code.co_filename, own.f_lineno
    text = linecache.getline(file, line).strip()[:100]
    return f", in {Path(file).name}, line {line}{f': {text}' if text else ''}"


def _frame_of(caller: threading.Thread) -> FrameType | None:
    return sys._current_frames().get(caller.ident or 0)


def _reads_of(caller: threading.Thread) -> int:
    """How often the thread has read from files and sockets; 0 where the system does not count it."""
    with contextlib.suppress(OSError, ValueError):
        for line in Path(f"/proc/self/task/{caller.native_id}/io").read_text().splitlines():
            name, _, value = line.partition(":")
            if name == "syscr":
                return int(value)
    return 0
