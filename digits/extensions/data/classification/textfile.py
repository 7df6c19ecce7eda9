"""Pictures named by text files, `path class-number` a line, with a file of class names."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

import numpy as np

from digits.domain.datasets import STAGES, TEST_DB, TRAIN_DB, VAL_DB
from digits.errors import DataError
from digits.extensions.data.classification.base import LIST_FILES, ClassificationOptions, ClassificationSource
from digits.extensions.data.classification.lists import ListFile, read_labels, read_lines
from digits.extensions.data.source import Options, ReportProblem
from digits.utils.names import is_address, labelled_line

SHORT = {TRAIN_DB: "train", VAL_DB: "val", TEST_DB: "test"}
GRAMMAR = "Expected is a path, a space and the number of a class on each line, e.g. `cats/1.jpg 0`."
LISTED_LINES = 1000  # bad lines that are named; the others are counted


@dataclass(frozen=True)
class TextFileOptions(ClassificationOptions):
    """Lists of `path class-number`; uploaded ones, or with `textfile_use_local_files` those of the server."""

    textfile_use_local_files: bool = False
    textfile_shuffle: bool = True
    textfile_use_val: bool = False
    textfile_use_test: bool = False
    textfile_train_folder: str = ""
    textfile_val_folder: str = ""
    textfile_test_folder: str = ""
    textfile_labels_file: str = ""
    textfile_train_images: str = ""
    textfile_val_images: str = ""
    textfile_test_images: str = ""
    textfile_local_labels_file: str = ""
    textfile_local_train_images: str = ""
    textfile_local_val_images: str = ""
    textfile_local_test_images: str = ""


class TextFileIngestion(ClassificationSource):
    """The text-file method of the classification form; its fields are the keyword arguments."""

    OPTIONS: ClassVar[type[Options]] = TextFileOptions
    options: TextFileOptions

    @staticmethod
    def get_id() -> str:
        return "image-classification-textfile"

    @staticmethod
    def get_title() -> str:
        return "Classification (text files)"

    def prepare(self, report: ReportProblem) -> None:
        labels_file = self._file("labels_file")
        labels = read_labels(labels_file)
        if len(labels) < 2:
            raise DataError(f"{labels_file.name} names {len(labels)} classes.", advice="At least two are needed, one a line.")
        self.keep_labels(labels)
        for stage in self._stages():
            self._prepare_stage(stage, len(labels), report)
        self.choose_preparation(report)

    def relative(self, path: str) -> str:
        for stage in self._stages():
            base = getattr(self.options, f"textfile_{SHORT[stage]}_folder").rstrip("/")
            if base and path.startswith(base + "/"):
                return path[len(base) + 1 :]
        return path

    def _stages(self) -> list[str]:
        return [TRAIN_DB, *(stage for stage in STAGES[1:] if getattr(self.options, f"textfile_use_{SHORT[stage]}"))]

    def _file(self, name: str) -> Path:
        local = "local_" if self.options.textfile_use_local_files else ""
        path = Path(getattr(self.options, f"textfile_{local}{name}"))
        if not path.is_file():
            raise DataError(f"The text file {path} does not exist.", advice="Upload it again, or correct its path.")
        return path

    def _prepare_stage(self, stage: str, classes: int, report: ReportProblem) -> None:
        source = self._file(f"{SHORT[stage]}_images")
        target = self.job_folder / LIST_FILES[stage]
        scan = target.with_name(f".scan-{SHORT[stage]}.txt")
        if not self.write_lines(scan, self._lines(source, stage, classes, report)):
            raise DataError(f"{source.name} has no valid line.{self.first_refusal}", advice=GRAMMAR)
        if self.options.textfile_shuffle:
            self._shuffle(scan, target, stage)
            scan.unlink()
        else:
            scan.replace(target)

    def _lines(self, source: Path, stage: str, classes: int, report: ReportProblem) -> Iterator[str]:
        base, allowed = self._base(source, stage), self.confinement()
        bad = 0
        for number, line in enumerate(read_lines(source), start=1):
            entry = labelled_line(line)
            if entry is None:
                bad += bool(line.strip())
                if line.strip() and bad <= LISTED_LINES:
                    report(
                        {"kind": "line", "stage": stage, "entry": f"line {number}: {line[:200]}", "reason": GRAMMAR, "lost": 1}
                    )
                continue
            if entry[1] >= classes:
                raise DataError(
                    f"Line {number} of {source.name} has class {entry[1]}, but there are {classes} labels (0 to {classes - 1}).",
                    advice="Add the missing labels, or correct the line.",
                )
            path = entry[0] if is_address(entry[0]) else os.path.join(base, os.path.expanduser(entry[0]))
            if reason := self.refusal(path, allowed):
                self.refuse(path, reason, report, stage=stage)
            else:
                yield f"{path} {entry[1]}"

    def _base(self, source: Path, stage: str) -> str:
        """Where relative paths start: the given folder, else the folder of a list on the server."""
        given: str = getattr(self.options, f"textfile_{SHORT[stage]}_folder")
        return given or str(source.parent)

    def _shuffle(self, source: Path, target: Path, stage: str) -> None:
        with closing(ListFile(source)) as lines:
            rng = np.random.default_rng([self.options.seed, STAGES.index(stage)])
            order = rng.permutation(len(lines))
            self.write_lines(target, (lines.line(int(row)) for row in order))
