"""The pictures of an evaluation that are frames of a video: kept as files in the job's folder before they are predicted."""

from __future__ import annotations

import contextlib
import json
import os
import select
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from digits.domain.events import LogEvent, ProgressEvent, WarningEvent
from digits.domain.inference import EvaluationSpec
from digits.errors import DataError, DigitsError, JobStopped
from digits.storage.files import read_json, write_json
from digits.utils.confinement import Confinement
from digits.utils.processes import kill_children
from digits.worker.runtime import WorkerContext

FOLDER, DONE_FILE = "frames", "frames.json"  # in the job's folder
MOST_FRAMES = 10_000
SILENT_SECONDS = 60.0  # that may pass without a frame
MEMORY = 4 << 30  # bytes that decoding may take
LEAST_SHARE = 0.9  # of the frames that a video says it has; with fewer it is not whole
TOLD_SECONDS = 0.5


def frames_of(context: WorkerContext, spec: EvaluationSpec) -> list[str]:
    """The files of the frames, in their order; decoded unless an earlier attempt did. Raises DataError for what is no video,
    holds no frame or too many, JobStopped."""
    folder = context.folder.path / FOLDER
    done = context.folder.path / DONE_FILE
    if not done.is_file():
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir()
        names = list(_decoded(context, spec, folder))
        write_json(done, names)
        if Path(spec.folder).parent.parent == context.folder.path:  # it was sent for this job alone
            Path(spec.folder).unlink(missing_ok=True)
    return [str(folder / name) for name in read_json(done)]


def _decoded(context: WorkerContext, spec: EvaluationSpec, folder: Path) -> Iterator[str]:
    path = Path(spec.folder)
    context.emit(ProgressEvent(fraction=0.0, stage="read the video"))
    context.emit(LogEvent(message=f"Taking {_nth(spec.every)} frame of {path.name}."))
    most = min(spec.limit or MOST_FRAMES, MOST_FRAMES)
    told, count = time.monotonic(), 0
    last: dict[str, Any] = {}
    for last in _lines(context, spec, path, folder, most):
        if "error" in last:
            raise DataError(str(last["error"]), advice=str(last.get("advice") or ""))
        if "file" in last:
            count += 1
            yield str(last["file"])
        if time.monotonic() - told > TOLD_SECONDS:
            told, total = time.monotonic(), min(most, -(-int(last["claimed"]) // spec.every)) if last.get("claimed") else 0
            share = min(1.0, count / total) if total else 0.0
            context.emit(
                ProgressEvent(fraction=share, stage="read the video", done=count, total=max(total, count), unit="frames")
            )
    _check(context, spec, path, last)


def _check(context: WorkerContext, spec: EvaluationSpec, path: Path, last: dict[str, Any]) -> None:
    if "done" not in last:
        raise DataError(f"Decoding {path.name} ended in the middle.", advice="The file is damaged, or its frames are too large.")
    if last["more"] and not spec.limit:
        needed = -(-max(int(last["claimed"]), MOST_FRAMES * spec.every + 1) // MOST_FRAMES)
        raise DataError(
            f"{path.name} has more than {MOST_FRAMES:,} frames to answer.", advice=f"Take every {needed}th at most, or fewer."
        )
    if not last["more"] and int(last["last"]) + spec.every < LEAST_SHARE * int(last["claimed"]):
        message = f"{path.name} says that it has {int(last['claimed']):,} frames, but ends after {int(last['last']) + 1:,}."
        context.emit(WarningEvent(code="short-video", message=message, advice="The file is not whole, or damaged."))


def _lines(context: WorkerContext, spec: EvaluationSpec, path: Path, folder: Path, most: int) -> Iterator[dict[str, Any]]:
    """What the process that decodes says, line by line."""
    with contextlib.ExitStack() as stack:
        try:
            file = stack.enter_context(Confinement(spec.roots).open(path))
        except OSError as error:
            raise DataError(f"{path} cannot be opened: {error.strerror or error}.") from error
        number = file.fileno()
        command = [sys.executable, "-m", "digits.worker.evaluation.frames", f"/proc/self/fd/{number}", path.name, str(folder)]
        process = subprocess.Popen(
            [*command, str(spec.every), str(most), str(MEMORY)],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            pass_fds=(number,),
        )
        stack.callback(_end, process)
        assert process.stdout is not None
        held, heard = b"", time.monotonic()
        while True:
            if context.should_stop():
                raise JobStopped("The evaluation was stopped.")
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


def _nth(every: int) -> str:
    return "every" if every == 1 else f"every {every}th"
