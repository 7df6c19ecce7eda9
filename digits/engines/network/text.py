"""Network texts of any engine: recognise what is none, compile, and run with a limit of time.

What a text prints goes where the worker's output goes (bounded there). Errors are NetworkError with the text's line.
"""

from __future__ import annotations

import contextlib
import ctypes
import linecache
import re
import signal
import threading
import traceback
from collections.abc import Callable, Iterator
from types import FrameType
from typing import Any

from digits.engines.network.python_layers import MODULE, file_in_use
from digits.errors import NetworkError
from digits.frameworks import frameworks

FILE_NAME = "network.py"
BUILD_SECONDS = 60.0
DOWNLOAD_SECONDS = 900.0  # building with pretrained weights may fetch them first
REPEAT_SECONDS = 0.5  # a text that swallows the interruption is interrupted again
TOO_SMALL = ("greater than actual input size", "Output size is too small")  # what torch says of a kernel on a tiny map
WHAT_TO_WRITE = "Write a Python text with build_network(context); docs/networks.md shows how."

_PROTOTXT = re.compile(r"^\s*(layers?\s*\{|name\s*:\s*\"[^\"]*\"\s*$)", re.MULTILINE)
_LUA = re.compile(r"^\s*(local\s+\w+\s*=|require\s*[\"'(]|end\s*$|return\s+function\s*\()|nn\.Sequential\(\)\s*$", re.MULTILINE)
_COLOUR = re.compile(r"\x1b\[[0-9;]*m")


class BuildTimeout(BaseException):
    """The text ran too long. No Exception, so that `except Exception` in a text does not swallow it."""


def foreign_advice(text: str, framework: str) -> tuple[str, str] | None:
    """What a text is when it is not for this framework, as (what was found, what to do); None when it may be."""
    if "def build_network" not in text:
        if _PROTOTXT.search(text):
            return "This is a Caffe prototxt.", f"Caffe is not among the frameworks. {WHAT_TO_WRITE}"
        for old in (row.old_texts for row in frameworks().values() if row.old_texts):
            if re.search(old.texts, text):
                return old.found, old.advice
        if _LUA.search(text):
            return "This is a Lua (Torch 7) network.", f"Lua is not among the frameworks. {WHAT_TO_WRITE}"
    others = [name for name, row in frameworks().items() if name != framework and row.is_written_in(text)]
    if others and not frameworks()[framework].is_written_in(text):
        return f"This network is written for {others[0]}.", f"Choose the {others[0]} tab, or rewrite it for {framework}."
    return None


def compile_text(text: str, framework: str) -> dict[str, Any]:
    """Run the text's top level and give its names. NetworkError for what is no text for this framework."""
    found = foreign_advice(text, framework)
    if found:
        raise NetworkError(found[0], advice=found[1])
    linecache.cache[FILE_NAME] = (len(text), None, text.splitlines(keepends=True), FILE_NAME)
    try:
        code = compile(text, FILE_NAME, "exec")
    except (SyntaxError, ValueError) as error:
        line = getattr(error, "lineno", None)
        raise NetworkError(
            f"The network text has an error in line {line}: {getattr(error, 'msg', error)}.", advice=WHAT_TO_WRITE
        ) from error
    names: dict[str, Any] = {"__name__": "network", "__file__": FILE_NAME}
    run_text(lambda: exec(code, names))
    if not callable(names.get("build_network")):
        raise NetworkError("The network text has no function build_network(context).", advice=WHAT_TO_WRITE)
    return names


def run_text(work: Callable[[], Any], seconds: float | None = None) -> Any:
    """Do what the text says. NetworkError for whatever it raises, with its line, and when it takes longer than `seconds`
    (BUILD_SECONDS by default)."""
    seconds = BUILD_SECONDS if seconds is None else seconds
    try:
        with time_limit(seconds):
            return work()
    except BuildTimeout as error:
        raise NetworkError(
            f"{_culprit(error)} was still running after {seconds:.0f} s and was stopped{_at_line(error)}.",
            advice="Look for an endless loop there.",
        ) from None
    except (MemoryError, NetworkError, KeyboardInterrupt):
        raise
    except BaseException as error:  # a text may raise anything, SystemExit too
        raise NetworkError(describe(error), advice=_advice(error)) from error


def _advice(error: BaseException) -> str:
    for old in (row.old_texts for row in frameworks().values() if row.old_texts):
        if re.search(old.errors, str(error)):
            return f"{old.reason} {old.advice}"
    if isinstance(error, ModuleNotFoundError):
        install = "" if error.name == MODULE else f"Install {error.name}, or give"
        return f"{install or 'Give'} the file that holds it as the model's Python layer file."
    if any(words in str(error) for words in TOO_SMALL):
        return "The pictures are too small for this network: take larger pictures or a larger crop, or another network."
    return correction(error)


def correction(error: BaseException) -> str:
    """What is to be done about an error of the user's: which file to correct."""
    return f"Correct {_culprit(error).replace('The', 'the', 1)}."


def describe(error: BaseException) -> str:
    """`AttributeError: … (network.py, line 7: x = nn.Bogus())`; of a Python layer file its own name and line."""
    return f"{_culprit(error)} failed: {type(error).__name__}: {_plain(error)}{_at_line(error)}"


def _culprit(error: BaseException) -> str:
    """Which of the user's files an error comes from, as the start of a sentence."""
    frames = own_frames(error)
    file = file_in_use()
    inside = file is not None and frames and frames[-1].filename == str(file.path)
    return f"The Python layer file {file.name}" if file is not None and inside else "The network text"


def _plain(error: BaseException) -> str:
    """The message without the frame and the colours that a framework draws around it."""
    text = str(error)
    for frame in (row.error_frame for row in frameworks().values() if row.error_frame):
        if inner := re.search(frame, text, re.DOTALL):
            return inner[1].strip()
    return _COLOUR.sub("", text)


def own_frames(error: BaseException) -> list[traceback.FrameSummary]:
    """The frames of an error that lie in the network text or in the Python layer file."""
    file = file_in_use()
    own = {FILE_NAME, *([str(file.path)] if file is not None else [])}
    return [frame for frame in traceback.extract_tb(error.__traceback__) if frame.filename in own]


def _at_line(error: BaseException) -> str:
    frames, file = own_frames(error), file_in_use()
    if not frames:
        return ""
    name = FILE_NAME if frames[-1].filename == FILE_NAME or file is None else file.name
    return f" ({name}, line {frames[-1].lineno}: {frames[-1].line})"


@contextlib.contextmanager
def time_limit(seconds: float) -> Iterator[None]:
    """Raise BuildTimeout in this thread when the block takes longer; works in the main thread and in others."""
    if threading.current_thread() is threading.main_thread():
        with _alarm(seconds):
            yield
    else:
        with _thread_alarm(seconds):
            yield


@contextlib.contextmanager
def _alarm(seconds: float) -> Iterator[None]:
    def ring(_signal: int, _frame: FrameType | None) -> None:
        raise BuildTimeout

    previous = signal.signal(signal.SIGALRM, ring)
    signal.setitimer(signal.ITIMER_REAL, seconds, REPEAT_SECONDS)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, previous)


@contextlib.contextmanager
def _thread_alarm(seconds: float) -> Iterator[None]:
    target = ctypes.c_ulong(threading.get_ident())
    done = threading.Event()

    def ring() -> None:
        wait = seconds
        while not done.wait(wait):
            ctypes.pythonapi.PyThreadState_SetAsyncExc(target, ctypes.py_object(BuildTimeout))
            wait = REPEAT_SECONDS

    thread = threading.Thread(target=ring, name="network-time-limit", daemon=True)
    thread.start()
    try:
        yield
    finally:
        done.set()
        thread.join()
