"""Snapshots that the last checkpoint names, kept until there is a newer one although they were written anew or deleted since.

A training that is killed goes on from its checkpoint, and may be stopped before it comes to a better snapshot again: what was the
best then must be there still. They lie as links in `checkpoint/held_<step>`, so they cost the disk only what was freed otherwise.
"""

from __future__ import annotations

import contextlib
import os
import shutil
from pathlib import Path

FOLDER, PREFIX = "checkpoint", "held_"  # then the step of the checkpoint


class Held:
    """Of one training in `folder`. Nothing is held before there is a checkpoint."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder / FOLDER
        self.step: int | None = None  # of the last checkpoint

    def hold(self, file: Path) -> None:
        """A snapshot is about to be written anew or deleted. Of several times since the checkpoint the first one counts. Where
        the file system has no links it is copied; where there is no room for that, it is not held."""
        if self.step is None:
            return
        place = self.folder / f"{PREFIX}{self.step}"
        with contextlib.suppress(OSError):
            place.mkdir(parents=True, exist_ok=True)
            if (place / file.name).exists():
                return
            try:
                os.link(file, place / file.name)
            except PermissionError:
                shutil.copyfile(file, place / file.name)

    def let_go(self, step: int | None = None) -> None:
        """A checkpoint of `step` was written, or the room is needed: what the one before named is needed no more."""
        self.step = self.step if step is None else step
        for place in self._places():
            shutil.rmtree(place, ignore_errors=True)

    def bring_back(self, step: int, snapshots: Path) -> None:
        """The training goes on from the checkpoint of `step`: the files are what they were when it was written."""
        self.step = step
        for place in self._places():
            if place.name == f"{PREFIX}{step}":
                for file in place.iterdir():
                    os.replace(file, snapshots / file.name)
            shutil.rmtree(place, ignore_errors=True)

    def _places(self) -> list[Path]:
        return list(self.folder.glob(f"{PREFIX}*"))
