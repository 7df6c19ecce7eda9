"""Predictions of the frames of videos among other pictures, at once and without a job."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from digits.domain.inference import Answering
from digits.errors import DataError
from digits.images.video import ANIMATED, CONTAINER, HEAD_BYTES, has_several, kind_of
from digits.images.video_frames import write_frames
from digits.service import Service
from digits.service.evaluations.predict import PLAIN
from digits.service.evaluations.sources import Named, TestResults, run_pictures, run_stream
from digits.service.files.confine import confinement
from digits.service.models.snapshots import Snapshot
from digits.storage.jobs.store import Job


def run_with_videos(
    service: Service,
    model: Job,
    found: Sequence[tuple[str, Any]],
    snapshot: Snapshot,
    scratch: Path,
    *,
    dont_resize: bool = False,
    every: int = 0,
    limit: int = 0,
    how: Answering = PLAIN,
    skipped: Sequence[dict[str, str]] = (),
) -> TestResults:
    """As `sources.run_pictures`, but that a file which is a video stands for every `every`th of its frames, the first `limit` of
    these (0: all), named `VIDEO:FRAME`. Without `every` all frames count, and animated pictures stand for their first alone.

    Frames lie in a folder of `scratch` until they are predicted. Videos that cannot be read are skipped.
    """
    videos = videos_among(service, [picture for _, picture in found], animated=bool(every))
    if not videos:
        return run_pictures(service, model, found, snapshot, dont_resize, scratch, False, how=how, skipped=skipped)
    unread = list(skipped)
    remarks: dict[str, str] = {}

    def frames(name: str, path: Path, folder: Path) -> Iterator[tuple[str, bytes]]:
        for new in (scratch.parent, scratch, folder):
            new.mkdir(mode=0o700, exist_ok=True)
        try:
            for frame in write_frames(path, folder, confinement(service), every=every or 1, limit=limit):
                if frame.warning:
                    remarks[name] = frame.warning
                if frame.file:
                    file = folder / frame.file
                    yield f"{name}:{frame.file}", file.read_bytes()
                    file.unlink()
        except DataError as error:
            unread.append({"entry": name, "message": str(error)})

    def given() -> Iterator[tuple[Named, Any, None]]:
        number = 0
        for place, (name, one) in enumerate(found):
            for key, picture in frames(name, one, scratch / f"frames-{place}") if place in videos else [(name, one)]:
                yield Named(key, number), picture, None
                number += 1

    tested = run_stream(service, model, given(), snapshot, scratch, False, dont_resize=dont_resize, how=how)
    return TestResults(tested.samples, [*unread, *tested.skipped], remarks=remarks)


def videos_among(service: Service, pictures: Sequence[Any], *, animated: bool) -> set[int]:
    """The places of those that are files of videos, and where they count of pictures of several frames."""
    return {place for place, one in enumerate(pictures) if isinstance(one, Path) and _is_video(service, one, animated)}


def _is_video(service: Service, path: Path, animated: bool) -> bool:
    try:
        with confinement(service).open(path) as file:
            kind = kind_of(file.read(HEAD_BYTES))
            return kind == CONTAINER or (animated and kind == ANIMATED and has_several(file))
    except OSError:
        return False  # whoever reads it as a picture says why it cannot be read
