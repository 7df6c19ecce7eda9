"""The pictures of an evaluation that are frames of a video: kept as files in the job's folder before they are predicted."""

from __future__ import annotations

import shutil
import time
from collections.abc import Iterator
from pathlib import Path

from digits.domain.events import LogEvent, ProgressEvent, WarningEvent
from digits.domain.inference import EvaluationSpec
from digits.errors import JobStopped
from digits.images.video_frames import write_frames
from digits.storage.files import read_json, write_json
from digits.utils.confinement import Confinement
from digits.worker.runtime import WorkerContext

FOLDER, DONE_FILE = "frames", "frames.json"  # in the job's folder
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
    path, roots = Path(spec.folder), Confinement(spec.roots)
    context.emit(ProgressEvent(fraction=0.0, stage="read the video"))
    context.emit(LogEvent(message=f"Taking {_nth(spec.every)} frame of {path.name}."))

    def check() -> None:
        if context.should_stop():
            raise JobStopped("The evaluation was stopped.")

    told, count = time.monotonic(), 0
    for frame in write_frames(path, folder, roots, every=spec.every, limit=spec.limit, check=check):
        if frame.warning:
            context.emit(WarningEvent(code="short-video", message=frame.warning, advice="The file is not whole, or damaged."))
        if frame.file:
            count += 1
            yield frame.file
        if time.monotonic() - told > TOLD_SECONDS:
            told = time.monotonic()
            share = min(1.0, count / frame.expected) if frame.expected else 0.0
            total = max(frame.expected, count)
            context.emit(ProgressEvent(fraction=share, stage="read the video", done=count, total=total, unit="frames"))


def _nth(every: int) -> str:
    return "every" if every == 1 else f"every {every}th"
