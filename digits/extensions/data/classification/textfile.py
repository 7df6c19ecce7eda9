"""Pictures named by text files: `path class-number` a line with a file of class names, or a table of pictures and classes."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterable, Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

import numpy as np

from digits.domain.datasets import STAGES, TEST_DB, TRAIN_DB, VAL_DB
from digits.errors import DataError
from digits.extensions.data.classification.base import LIST_FILES, ClassificationOptions, ClassificationSource
from digits.extensions.data.classification.lists import ListFile
from digits.extensions.data.classification.split import by_group, stratified
from digits.extensions.data.classification.table import FORM as TABLE_FORM
from digits.extensions.data.classification.table import ClassTable, read_classes
from digits.extensions.data.files.class_names import (
    are_marked,
    as_meant,
    check_number,
    in_order,
    read_labels,
    said_twice,
    say_twice,
)
from digits.extensions.data.files.listing import pictures_below
from digits.extensions.data.files.names import FileNames, on_disk
from digits.extensions.data.files.tables import is_table_file
from digits.extensions.data.files.text import lines_naming_files
from digits.extensions.data.images.findings import Findings
from digits.extensions.data.source import Options, ReportProblem
from digits.utils.names import is_address, labelled_line

SHORT = {TRAIN_DB: "train", VAL_DB: "val", TEST_DB: "test"}
GRAMMAR = "Expected is a path, a space and the number of a class on each line, e.g. `cats/1.jpg 0`."
LISTED_LINES = 1000  # bad lines that are named; the others are counted


@dataclass(frozen=True)
class TextFileOptions(ClassificationOptions):
    """Lists of `path class-number`, or tables of pictures and classes; uploaded ones, or with `textfile_use_local_files` those of
    the server. The shares are taken from the training list, for splits without a list."""

    textfile_use_local_files: bool = False
    textfile_shuffle: bool = True
    textfile_image_column: str = ""
    textfile_class_column: str = ""
    textfile_pct_val: float = 0.0
    textfile_pct_test: float = 0.0
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

    @staticmethod
    def get_needs() -> str:
        return "Text files with a picture and its class in each line."

    def prepare(self, report: ReportProblem) -> None:
        findings = Findings(report)
        tables = {stage: table for stage in self._stages() if (table := self._table(stage, findings)) is not None}
        self.keep_labels(self._labels(tables, findings))
        for stage in self._stages():
            self._prepare_stage(stage, tables.get(stage), findings, report)
        findings.finish()
        self._hold_out()
        self.choose_preparation(report)

    def relative(self, path: str) -> str:
        for stage in self._stages():
            base = getattr(self.options, f"textfile_{SHORT[stage]}_folder").rstrip("/")
            if base and path.startswith(base + "/"):
                return path[len(base) + 1 :]
        return path

    def _stages(self) -> list[str]:
        return [TRAIN_DB, *(stage for stage in STAGES[1:] if getattr(self.options, f"textfile_use_{SHORT[stage]}"))]

    def _given(self, name: str) -> str:
        local = "local_" if self.options.textfile_use_local_files else ""
        return str(getattr(self.options, f"textfile_{local}{name}"))

    def _file(self, name: str) -> Path:
        path = Path(self._given(name))
        if not path.is_file():
            raise DataError(f"The text file {path} does not exist.", advice="Upload it again, or correct its path.")
        return path

    def _labels(self, tables: dict[str, ClassTable], findings: Findings) -> list[str]:
        """The classes of the labels file; without one those that the training table names. Raises DataError."""
        if TRAIN_DB in tables and not self._given("labels_file"):
            table = tables[TRAIN_DB]
            if len(table.labels) < 2:
                raise DataError(f"{table.path} names one class, {table.labels[0]!r}.", advice="At least two are needed.")
            return table.labels
        file = self._file("labels_file")
        labels = read_labels(file)
        if in_order(labels):
            labels, reason = as_meant(labels)
            findings.add("class-names", reason, str(file))
        elif are_marked(labels) and (twice := said_twice(labels)) is not None:
            say_twice(twice, str(file), findings)
        for label, count in Counter(labels).items():
            if count > 1:
                reason = f"It names {count} classes {label!r}, which stay apart by their numbers; by its name the first is meant."
                findings.add("class-names", reason, str(file))
        if len(labels) < 2:
            raise DataError(f"{file.name} names {len(labels)} classes.", advice="At least two are needed, one a line.")
        return labels

    def _table(self, stage: str, findings: Findings) -> ClassTable | None:
        """The table of a stage; None where its file is a list of paths."""
        source = self._file(f"{SHORT[stage]}_images")
        if not is_table_file(source):
            return None
        base, allowed = self._base(source, stage), self.confinement()
        pictures = [path for path in pictures_below(base) if allowed.allows(path)]
        o = self.options
        names = FileNames(base, pictures)
        return read_classes(str(source), names, o.textfile_image_column, o.textfile_class_column, findings, stage)

    def _hold_out(self) -> None:
        """Give the splits without a list their shares of the training list."""
        o = self.options
        shares = [
            0.0 if stage in self._stages() else share
            for stage, share in zip(STAGES[1:], (o.textfile_pct_val, o.textfile_pct_test), strict=True)
        ]
        if not any(shares):
            return
        scan = (self.job_folder / LIST_FILES[TRAIN_DB]).rename(self._scan_file(TRAIN_DB))
        with closing(ListFile(scan)) as lines:
            classes = np.array([entry[1] for entry in lines], np.int32)
            rng = np.random.default_rng([o.seed, len(STAGES)])
            if o.group_pattern:
                texts = [self.group_of(path) or f"\0{row}" for row, (path, _) in enumerate(lines)]
                stages = by_group(classes, np.unique(texts, return_inverse=True)[1], shares[0], shares[1], rng)
            else:
                stages = stratified(classes, shares[0], shares[1], rng)
            for number, stage in enumerate(STAGES):
                rows = np.flatnonzero(stages == number)
                if len(rows) or stage == TRAIN_DB:
                    self.write_lines(self.job_folder / LIST_FILES[stage], (lines.line(int(row)) for row in rows))
        scan.unlink()

    def _scan_file(self, stage: str) -> Path:
        return self.job_folder / f".scan-{SHORT[stage]}.txt"

    def _prepare_stage(self, stage: str, table: ClassTable | None, findings: Findings, report: ReportProblem) -> None:
        source = self._file(f"{SHORT[stage]}_images")
        target, scan = self.job_folder / LIST_FILES[stage], self._scan_file(stage)
        if table is not None:
            rows = table.numbered(self.class_labels, findings, stage, of_file=bool(self._given("labels_file")))
            lines: Iterable[str] = (f"{path} {number}" for path, number in rows)
        else:
            lines = self._lines(source, stage, len(self.class_labels), report)
        if not self.write_lines(scan, lines):
            first, advice = (self.first_refusal, GRAMMAR) if table is None else (findings.first_of(("annotation",)), TABLE_FORM)
            raise DataError(f"{source.name} has no valid line.{first}", advice=advice)
        if self.options.textfile_shuffle:
            self._shuffle(scan, target, stage)
            scan.unlink()
        else:
            scan.replace(target)

    def _lines(self, source: Path, stage: str, classes: int, report: ReportProblem) -> Iterator[str]:
        base, allowed = self._base(source, stage), self.confinement()
        bad = 0
        for number, line in enumerate(lines_naming_files(source), start=1):
            entry = labelled_line(line)
            if entry is None:
                bad += bool(line.strip())
                if line.strip() and bad <= LISTED_LINES:
                    report(
                        {"kind": "line", "stage": stage, "entry": f"line {number}: {line[:200]}", "reason": GRAMMAR, "lost": 1}
                    )
                continue
            check_number(entry[1], classes, f"Line {number} of {source.name}")
            path = entry[0] if is_address(entry[0]) else on_disk(os.path.join(base, os.path.expanduser(entry[0])))
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
