"""Writes frames of a video as pictures: `python -m digits.images.video_process VIDEO NAME FOLDER EVERY MOST MEMORY`.

Decoders of video are large programs in C that read files of strangers, so they run in a process of their own: it may have so
much memory, dies with its parent, and is ended when nothing comes of it for a while. It prints a line of JSON for each frame,
and a last one with `error` or `done`.
"""

from __future__ import annotations

import json
import os
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from PIL import Image

from digits.errors import DigitsError
from digits.images.video import CONTAINER, HEAD_BYTES, claimed, frames, kind_of
from digits.utils.memory_use import refuse_allocations_beyond
from digits.utils.processes import die_with_parent

QUALITY, BEAT_SECONDS = 95, 1.0


def main(argv: Sequence[str]) -> int:
    """Do what the command line says."""
    path, name, folder, every, most, memory = argv
    die_with_parent()
    refuse_allocations_beyond(int(memory))
    os.environ["OPENCV_FFMPEG_CAPTURE_OPTIONS"] = "protocol_whitelist;file,fd,pipe|threads;2"
    try:
        _write(path, name, Path(folder), int(every), int(most))
    except DigitsError as error:
        return _say({"error": error.message, "advice": error.advice})
    except MemoryError:
        return _say({"error": f"Decoding {name} takes too much memory.", "advice": "Give a video of smaller frames."})
    except OSError as error:
        return _say({"error": f"The frames of {name} cannot be kept: {error.strerror or error}."})
    return 0


def _write(path: str, name: str, folder: Path, every: int, most: int) -> None:
    with open(path, "rb") as file:
        says = claimed(path) if kind_of(file.read(HEAD_BYTES)) == CONTAINER else 0
        file.seek(0)
        count, last = 0, -1
        for frame in frames(file, name, path, every, _beats()):
            if count == most:
                _say({"done": count, "claimed": says, "last": last, "more": True})
                return
            target = f"frame_{frame.number:06d}_{frame.seconds:.3f}s.jpg"
            Image.fromarray(frame.picture).save(folder / target, "JPEG", quality=QUALITY, subsampling=0)
            count, last = count + 1, frame.number
            _say({"frame": frame.number, "file": target, "claimed": says})
    _say({"done": count, "claimed": says, "last": last, "more": False})


def _beats() -> Callable[[], None]:
    """Says once a second that decoding goes on, however many frames are passed over."""
    said = time.monotonic()

    def beat() -> None:
        nonlocal said
        if time.monotonic() - said > BEAT_SECONDS:
            said = time.monotonic()
            _say({"beat": True})

    return beat


def _say(value: dict[str, Any]) -> int:
    print(json.dumps(value), flush=True)
    return 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
