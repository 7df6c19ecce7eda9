"""What both classification sources share: the options, the lists in the job folder, and how an entry is encoded."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, ClassVar

from digits.domain.datasets import STAGES, TEST_DB, TRAIN_DB, VAL_DB
from digits.errors import DataError
from digits.extensions.data.classification.lists import ENCODING, ERRORS, Entry, ListFile
from digits.extensions.data.source import FileSource, Options, ReportProblem, Sample
from digits.images.prepare import EIGHT_BIT, PictureHeader, Preparation, some_headers
from digits.storage.files import atomic
from digits.utils.confinement import OUTSIDE, Confinement
from digits.utils.constants import CLASS_LABELS_ATTRIBUTE, LABELS_FILE, TEST_FILE, TRAIN_FILE, VAL_FILE
from digits.utils.names import is_address

LIST_FILES = {TRAIN_DB: TRAIN_FILE, VAL_DB: VAL_FILE, TEST_DB: TEST_FILE}
LINES_BETWEEN_STOPS = 500


@dataclass(frozen=True)
class ClassificationOptions(Options):
    """Of both sources. `resize_channels` 0: as most pictures have."""

    method: str = "folder"  # folder | textfile
    seed: int = 0
    group_pattern: str = ""
    resize_width: int = 256
    resize_height: int = 256
    resize_channels: int = 0
    resize_mode: str = "squash"
    keep_size: bool = False
    min_side: int = 0


class ClassificationSource(FileSource):
    """Entries are `(path, class number)`; `train.txt`, `val.txt`, `test.txt` and `labels.txt` stand in the job folder."""

    OPTIONS: ClassVar[type[Options]] = ClassificationOptions
    options: ClassificationOptions
    first_refusal = ""

    @staticmethod
    def get_category() -> str:
        return "Images"

    @staticmethod
    def get_default_visibility() -> bool:
        return False  # the menu has an entry of its own for it

    def get_task(self) -> str:
        return "classification"

    @property
    def class_labels(self) -> list[str]:
        return list(self.userdata.get(CLASS_LABELS_ATTRIBUTE, ()))

    @property
    def preparation(self) -> Preparation:
        return Preparation.from_json(self.userdata["preparation"])

    def itemize_entries(self, stage: str) -> Sequence[Entry]:
        path = self.job_folder / LIST_FILES[stage]
        return ListFile(path) if path.is_file() else []

    def encode_entry(self, entry: Entry) -> Sample:
        path, label = entry
        feature, size, digest, done = self.preparation.read(path)
        notes = [("converted", done)] if done else []
        return Sample(feature, label, source=path, original_size=size, group=self.group_of(path), digest=digest, notes=notes)

    def describe(self) -> dict[str, Any]:
        return {**self.preparation.to_json(), "method": self.options.method, "seed": self.options.seed}

    def group_of(self, path: str) -> str:
        """What the group pattern finds in the path below the class folder; empty without a pattern or a match."""
        pattern = self.options.group_pattern
        if not pattern:
            return ""
        found = re.search(pattern, self.relative(path))
        if found is None:
            return ""
        return (found[1] if found.re.groups else found[0]) or ""

    def relative(self, path: str) -> str:
        """The part of a path that the group pattern looks at."""
        return path

    def refusal(self, path: str, allowed: Confinement) -> str:
        """Why a picture cannot be taken; empty where it can."""
        if "\n" in path or "\r" in path:
            return "The file name contains a line break."
        return "" if is_address(path) or allowed.allows(path) else f"It is {OUTSIDE}."

    def refuse(self, path: str, reason: str, report: ReportProblem, **more: Any) -> None:
        """Report a picture that cannot be taken; the first of them explains why there may be none at all."""
        self.first_refusal = self.first_refusal or f" The first that cannot be taken is {path}: {reason}"
        report({"kind": "skipped", **more, "entry": path, "reason": reason})

    def keep_labels(self, labels: Sequence[str]) -> None:
        """Remember the class names and write `labels.txt`."""
        self.userdata[CLASS_LABELS_ATTRIBUTE] = list(labels)
        self.write_lines(self.job_folder / LABELS_FILE, labels)

    def write_lines(self, path: Path, lines: Iterable[str]) -> int:
        """Write a text file whole or not at all; the number of lines. Raises DiskFull, JobStopped."""
        count = 0
        with atomic(path) as handle:
            for line in lines:
                handle.write(f"{line}\n".encode(ENCODING, ERRORS))
                count += 1
                if count % LINES_BETWEEN_STOPS == 0:
                    self.check_stop()
        return count

    def choose_preparation(self, report: ReportProblem) -> None:
        """Look at some headers and decide type and channels of all features."""
        wanted = Preparation(
            width=self.options.resize_width,
            height=self.options.resize_height,
            channels=self.options.resize_channels,
            resize_mode=self.options.resize_mode,
            keep_size=self.options.keep_size,
            min_side=self.options.min_side,
        )
        entries = self.itemize_entries(TRAIN_DB)
        formats = some_headers(len(entries), lambda row: entries[row][0])
        wide = [f for f in formats if f.is_wide]
        if len(wide) * 2 > len(formats):
            wanted = _for_wide(wanted, wide)
        elif not wanted.channels:
            colour = sum(f.channels > 1 for f in formats)
            wanted = replace(wanted, channels=3 if colour * 2 >= len(formats) else 1)
        if wide and wanted.dtype == EIGHT_BIT:
            report({"kind": "depth", "reason": _some_wide(len(wide), len(formats))})
        self.userdata["preparation"] = wanted.to_json()

    def check_not_empty(self) -> None:
        """Raises DataError when no split has an entry."""
        if not any(len(self.itemize_entries(stage)) for stage in STAGES):
            raise DataError("No picture is left for any split.", advice="Add pictures or lower the fewest pictures per class.")


def _for_wide(wanted: Preparation, wide: list[PictureHeader]) -> Preparation:
    dtype, channels = Counter((f.dtype, f.channels) for f in wide).most_common(1)[0][0]
    keep = wanted.channels == 0 or channels not in (1, 3, 4)
    return replace(wanted, dtype=dtype, channels=channels if keep else wanted.channels)


def _some_wide(count: int, of: int) -> str:
    return (
        f"{count} of {of} pictures looked at have more than 8 bits or other channels than grey and RGB; as most have not, "
        "all are stored with 8 bits (the upper ones). Put them into a data set of their own to keep their values."
    )
