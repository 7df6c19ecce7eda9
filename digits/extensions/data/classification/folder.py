"""Pictures in one sub-folder per class, divided into training, validation and test as the form says."""

from __future__ import annotations

import zlib
from array import array
from collections import Counter
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass, field
from itertools import chain
from pathlib import Path
from typing import ClassVar

import numpy as np

from digits.domain.datasets import STAGES, TEST_DB, TRAIN_DB, VAL_DB
from digits.errors import DataError
from digits.extensions.data.classification.base import LIST_FILES, ClassificationOptions, ClassificationSource
from digits.extensions.data.classification.lists import ListFile, class_folders
from digits.extensions.data.classification.split import by_group, stratified
from digits.extensions.data.files.columns import report_capitals
from digits.extensions.data.files.listing import apart, other_kinds, pictures_below
from digits.extensions.data.images.findings import Findings
from digits.extensions.data.source import Options, ReportProblem

LAYOUT = "Expected is one sub-folder per class with pictures in it, at least two."
DROPPED, UNKNOWN = -1, -1
SHORT = {TRAIN_DB: "train", VAL_DB: "val", TEST_DB: "test"}


@dataclass(frozen=True)
class FolderOptions(ClassificationOptions):
    """One sub-folder for each class. A class of fewer pictures than `…_min_per_class` is left out."""

    folder_train: str = ""
    folder_train_min_per_class: int = 2
    folder_train_max_per_class: int | None = None
    folder_pct_val: float = 25.0
    folder_pct_test: float = 0.0
    has_val_folder: bool = False
    folder_val: str = ""
    folder_val_min_per_class: int = 2
    folder_val_max_per_class: int | None = None
    has_test_folder: bool = False
    folder_test: str = ""
    folder_test_min_per_class: int = 2
    folder_test_max_per_class: int | None = None

    @property
    def separate(self) -> list[str]:
        """The splits that have a folder of their own."""
        return [stage for stage, own in ((VAL_DB, self.has_val_folder), (TEST_DB, self.has_test_folder)) if own]

    @property
    def shares(self) -> list[float]:
        """Percent of the training folder that go to validation and test."""
        return [0.0 if self.has_val_folder else self.folder_pct_val, 0.0 if self.has_test_folder else self.folder_pct_test]


@dataclass
class StageScan:
    """The pictures of one folder: `classes` holds the class number and `groups` the group number of each line of `file`."""

    file: Path
    classes: array = field(default_factory=lambda: array("i"))
    groups: array = field(default_factory=lambda: array("i"))
    names: dict[str, int] = field(default_factory=dict)


class FolderIngestion(ClassificationSource):
    """The folder method of the classification form; its fields are the keyword arguments."""

    OPTIONS: ClassVar[type[Options]] = FolderOptions
    options: FolderOptions

    @staticmethod
    def get_id() -> str:
        return "image-classification-folder"

    @staticmethod
    def get_title() -> str:
        return "Classification (folder)"

    @staticmethod
    def get_needs() -> str:
        return "A folder with one sub-folder for each class."

    def prepare(self, report: ReportProblem) -> None:
        try:
            self._prepare_training(report)
            for stage in self.options.separate:
                self._prepare_separate(stage, report)
        finally:
            for stage in STAGES:
                self._scan_file(stage).unlink(missing_ok=True)
        self.check_not_empty()
        self.choose_preparation(report)

    def relative(self, path: str) -> str:
        for stage in STAGES:
            root: str = getattr(self.options, f"folder_{SHORT[stage]}")
            if root and path.startswith(root.rstrip("/") + "/"):
                below = path[len(root.rstrip("/")) + 1 :]
                return below.partition("/")[2]
        return path

    def _prepare_training(self, report: ReportProblem) -> None:
        root = self._root(TRAIN_DB)
        shares = self.options.shares
        folders = class_folders(root)
        if len(folders) < 2:
            raise DataError(f"{root} holds {len(folders)} sub-folder{'s' * (len(folders) != 1)}.", advice=LAYOUT)
        scan = self._scan(TRAIN_DB, folders, {label: number for number, label in enumerate(folders)}, report)
        if not scan.classes:
            raise DataError(f"No pictures below {root}.{self.first_refusal}", advice=LAYOUT)
        splits = 1 + sum(share > 0 for share in shares)
        kept = self._limited(TRAIN_DB, scan, list(folders), splits, report)
        labels = [label for number, label in enumerate(folders) if (kept & (np.asarray(scan.classes) == number)).any()]
        if len(labels) < 2:
            raise DataError(
                f"Only {len(labels)} of {len(folders)} classes in {root} has enough pictures; two are needed.",
                advice=f"Each needs {max(splits, self._minimum(TRAIN_DB))} or more. Add pictures, or lower the fewest per class.",
            )
        report_capitals(labels, str(root), Findings(report), TRAIN_DB)
        self.keep_labels(labels)
        self._write_splits(scan, kept, list(folders), labels, shares)

    def _write_splits(self, scan: StageScan, kept: np.ndarray, found: list[str], labels: list[str], shares: list[float]) -> None:
        rows = np.flatnonzero(kept).astype(np.int32)
        numbers = np.array([labels.index(label) if label in labels else UNKNOWN for label in found], np.int32)
        classes = numbers[np.asarray(scan.classes)[rows]]
        rng = np.random.default_rng(self.options.seed)
        if scan.groups:
            groups = np.unique(np.asarray(scan.groups)[rows], return_inverse=True)[1]
            stages = by_group(classes, groups, shares[0], shares[1], rng)
        else:
            stages = stratified(classes, shares[0], shares[1], rng)
        for number, stage in enumerate(STAGES):
            chosen = rng.permutation(np.flatnonzero(stages == number).astype(np.int32))
            if len(chosen) or stage == TRAIN_DB:
                self._write_list(stage, scan.file, rows[chosen], classes[chosen])

    def _prepare_separate(self, stage: str, report: ReportProblem) -> None:
        root, labels = self._root(stage), self.class_labels
        folders = class_folders(root)
        for label in sorted(set(folders) - set(labels)):
            report({"kind": "class", "stage": stage, "label": label, "reason": "This class is not in the training folder."})
        known = {label: paths for label, paths in folders.items() if label in labels}
        scan = self._scan(stage, known, {label: number for number, label in enumerate(labels)}, report)
        kept = self._limited(stage, scan, labels, 1, report)
        if not kept.any():
            raise DataError(f"No picture in {root} belongs to a class of the training folder.", advice=LAYOUT)
        rows = np.random.default_rng([self.options.seed, STAGES.index(stage)]).permutation(np.flatnonzero(kept))
        self._write_list(stage, scan.file, rows, np.asarray(scan.classes)[rows])

    def _scan_file(self, stage: str) -> Path:
        return self.job_folder / f".scan-{SHORT[stage]}.txt"

    def _root(self, stage: str) -> Path:
        return Path(getattr(self.options, f"folder_{SHORT[stage]}"))

    def _minimum(self, stage: str) -> int:
        return int(getattr(self.options, f"folder_{SHORT[stage]}_min_per_class"))

    def _scan(self, stage: str, folders: dict[str, list[Path]], numbers: dict[str, int], report: ReportProblem) -> StageScan:
        """Write the paths of all pictures into a file, class by class."""
        scan, others = StageScan(self._scan_file(stage)), Counter[str]()
        self.write_lines(scan.file, self._paths(stage, scan, folders, numbers, others, report))
        for label, paths in folders.items():
            if len(paths) > 1:
                reason = f"The folders {' and '.join(path.name for path in paths)} are one class."
                report({"kind": "class", "stage": stage, "label": label, "entry": label, "reason": reason})
        if kinds := other_kinds(others):
            entry = str(self._root(stage))
            report({"kind": "other-files", "stage": stage, "entry": entry, "reason": f"{kinds}. They are not read."})
        return scan

    def _paths(
        self,
        stage: str,
        scan: StageScan,
        folders: dict[str, list[Path]],
        numbers: dict[str, int],
        others: Counter[str],
        report: ReportProblem,
    ) -> Iterator[str]:
        grouped = bool(self.options.group_pattern)
        allowed, root = self.confinement(), self._root(stage)

        def refused(path: str, reason: str) -> None:
            self.first_refusal = self.first_refusal or f" {path} is not entered: {reason}"
            report({"kind": "folder", "stage": stage, "entry": path, "reason": reason})

        elsewhere = apart(root, chain.from_iterable(class_folders(root).values()))
        for label, paths in folders.items():
            found = (pictures_below(one, others, refused=refused, elsewhere=elsewhere) for one in paths)
            for path in chain.from_iterable(found):
                if reason := self.refusal(path, allowed):
                    self.refuse(path, reason, report)
                    continue
                scan.classes.append(numbers[label])
                if grouped:
                    text = self.group_of(path) or f"\0{len(scan.classes)}"  # no match: a group of its own
                    scan.groups.append(scan.names.setdefault(text, len(scan.names)))
                yield path

    def _limited(self, stage: str, scan: StageScan, labels: list[str], splits: int, report: ReportProblem) -> np.ndarray:
        """Which rows stay: classes that are too small are dropped, large ones cut at random."""
        classes = np.asarray(scan.classes)
        kept = np.ones(len(classes), bool)
        least, most = max(self._minimum(stage), splits), getattr(self.options, f"folder_{SHORT[stage]}_max_per_class")
        for number, label in enumerate(labels):
            rows = np.flatnonzero(classes == number)
            if len(rows) < least:
                kept[rows] = False
                if len(rows) or stage == TRAIN_DB:
                    report(_too_few(stage, label, len(rows), least))
            elif most and len(rows) > most:
                rng = np.random.default_rng([self.options.seed, zlib.crc32(label.encode(errors="surrogateescape"))])
                kept[rng.permutation(rows)[most:]] = False
        return kept

    def _write_list(self, stage: str, source: Path, rows: np.ndarray, classes: np.ndarray) -> None:
        with closing(ListFile(source)) as paths:
            lines = (f"{paths.line(int(row))} {int(number)}" for row, number in zip(rows, classes, strict=True))
            self.write_lines(self.job_folder / LIST_FILES[stage], lines)


def _too_few(stage: str, label: str, found: int, least: int) -> dict[str, object]:
    reason = f"Not enough images: {found} found, {least} needed. The class is left out."
    return {"kind": "class", "stage": stage, "label": label, "reason": reason}
