"""The frames of a video as files in a folder, written by a process of its own (`digits.images.video_process`)."""

from __future__ import annotations

import contextlib
import json
import os
import select
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from digits.errors import DataError, DigitsError
from digits.images import video_process
from digits.utils.confinement import Confinement
from digits.utils.processes import kill_children

MOST_FRAMES = 10_000
SILENT_SECONDS = 60.0  # that may pass without a frame
MEMORY = 4 << 30  # bytes that decoding may take
LEAST_SHARE = 0.9  # of the frames that a video says it has; with fewer it is not whole


@dataclass(frozen=True)
class FrameWritten:
    """The `file` of one more frame, a name in the folder: empty where frames were passed over, and at the end. `expected` are all
    that there will be, 0 where that is not known; `warning`, at the end, says that the video is not whole."""

    file: str = ""
    expected: int = 0
    warning: str = ""


def write_frames(
    path: Path,
    folder: Path,
    confinement: Confinement,
    *,
    every: int = 1,
    limit: int = 0,
    check: Callable[[], None] = lambda: None,
) -> Iterator[FrameWritten]:
    """Write every `every`th frame of a video that may be read into a folder that is there, the first `limit` (0: all) of them;
    `check` is called several times a second and may raise. DataError for what is no video, holds no frame, or too many."""
    most = min(limit or MOST_FRAMES, MOST_FRAMES)
    last: dict[str, Any] = {}
    expected = 0
    for last in _lines(path, folder, confinement, every, most, check):
        if "error" in last:
            raise DataError(str(last["error"]), advice=str(last.get("advice") or ""))
        if last.get("claimed"):
            expected = min(most, -(-int(last["claimed"]) // every))
        yield FrameWritten(str(last.get("file") or ""), expected)
    if "done" not in last:
        raise DataError(f"Decoding {path.name} ended in the middle.", advice="The file is damaged, or its frames are too large.")
    if last["more"] and not limit:
        needed = -(-max(int(last["claimed"]), MOST_FRAMES * every + 1) // MOST_FRAMES)
        raise DataError(
            f"{path.name} has more than {MOST_FRAMES:,} frames to answer.", advice=f"Take every {needed}th at most, or fewer."
        )
    if not last["more"] and int(last["last"]) + every < LEAST_SHARE * int(last["claimed"]):
        yield FrameWritten(
            warning=f"{path.name} says that it has {int(last['claimed']):,} frames, but ends after {int(last['last']) + 1:,}."
        )


def _lines(
    path: Path, folder: Path, confinement: Confinement, every: int, most: int, check: Callable[[], None]
) -> Iterator[dict[str, Any]]:
    """What the process that decodes says, line by line."""
    with contextlib.ExitStack() as stack:
        try:
            file = stack.enter_context(confinement.open(path))
        except OSError as error:
            raise DataError(f"{path} cannot be opened: {error.strerror or error}.") from error
        number = file.fileno()
        command = [sys.executable, "-m", video_process.__name__, f"/proc/self/fd/{number}", path.name, str(folder)]
        process = subprocess.Popen(
            [*command, str(every), str(most), str(MEMORY)],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            pass_fds=(number,),
        )
        stack.callback(_end, process)
        assert process.stdout is not None
        held, heard = b"", time.monotonic()
        while True:
            check()
            if time.monotonic() - heard > SILENT_SECONDS:
                raise DataError(
                    f"Decoding {path.name} gave no frame for {SILENT_SECONDS:.0f} seconds.", advice="The file may be damaged."
                )
            if not select.select([process.stdout], [], [], 0.2)[0]:
                continue
            data = os.read(process.stdout.fileno(), 1 << 16)
            heard = time.monotonic()
            *lines, held = (held + data).split(b"\n")
            yield from (json.loads(line) for line in lines)
            if not data:
                return


def _end(process: subprocess.Popen[bytes]) -> None:
    with contextlib.suppress(DigitsError, OSError):
        kill_children([process])
    process.wait()
    if process.stdout is not None:
        process.stdout.close()
