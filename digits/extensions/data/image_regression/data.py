"""Regression data sets: pictures with one or several numbers, or with several labels at once."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from digits.domain.datasets import STAGES, TEST_DB, TRAIN_DB, VAL_DB
from digits.errors import DataError
from digits.extensions.data.files.names import FileNames
from digits.extensions.data.image_regression.separators import AUTOMATIC
from digits.extensions.data.image_regression.table import Table, Wanted, read_table
from digits.extensions.data.images.base import Entries, ImageSource
from digits.extensions.data.images.findings import Findings
from digits.extensions.data.images.options import ImageOptions
from digits.extensions.data.images.pictures import digest_of, feature_of, read_picture, remarks
from digits.extensions.data.images.splitting import drawn, group_finder
from digits.extensions.data.source import Options, Sample, Words
from digits.utils.constants import CLASS_LABELS_ATTRIBUTE

OTHERS = {VAL_DB: "val", TEST_DB: "test"}


@dataclass(frozen=True)
class RegressionOptions(ImageOptions):
    """`image_column` empty: found by its name; `value_columns` empty: all others."""

    image_folder: str = ""
    values_file: str = ""
    value_kind: str = "numbers"  # numbers | labels
    image_column: str = ""
    value_columns: Words = ()
    label_separator: str = AUTOMATIC  # one of `separators.MARKS`, "blank" or "none"
    val_image_folder: str = ""
    val_values_file: str = ""
    test_image_folder: str = ""
    test_values_file: str = ""


class DataIngestion(ImageSource):
    """Entries are `(picture, numbers)`; labels are float32 vectors, of 0 and 1 where `value_kind` is "labels"."""

    OPTIONS: ClassVar[type[Options]] = RegressionOptions
    options: RegressionOptions
    FORM = "digits.extensions.data.image_regression.forms"
    READS = (".csv", ".txt", ".tsv")

    @staticmethod
    def get_id() -> str:
        return "image-regression"

    @staticmethod
    def get_title() -> str:
        return "Regression"

    @staticmethod
    def get_needs() -> str:
        return "Pictures and one or more numbers for each: a CSV file."

    def get_task(self) -> str:
        return "regression"

    def collect(self, findings: Findings) -> Entries:
        train = self._table(self.options.image_folder, self.options.values_file, TRAIN_DB, findings)
        self._keep(train)
        entries = self._divided(train)
        for stage, prefix in OTHERS.items():
            if file := getattr(self.options, f"{prefix}_values_file"):
                folder = getattr(self.options, f"{prefix}_image_folder") or self.options.image_folder
                table = self._table(folder, file, stage, findings, train)
                entries[stage] = [[picture, values] for picture, values in table.rows]
        return entries

    def encode_entry(self, entry: tuple[Any, ...]) -> Sample:
        path, values = entry
        picture = read_picture(path, self.options.channel_conversion)
        size = (picture.shape[1], picture.shape[0])
        return Sample(
            feature_of(self.fit.place(*size).picture(picture)),
            np.array(values, np.float64),  # the records round, and say so
            source=path,
            original_size=size,
            group=group_finder(self.options.group_pattern)(path),
            digest=digest_of(path),
            notes=remarks(path),
        )

    def describe(self) -> dict[str, Any]:
        facts = {name: self.userdata[name] for name in ("columns", "value_ranges")}
        return {**super().describe(), **facts, "multi_label": self.are_labels}

    @property
    def are_labels(self) -> bool:
        return self.options.value_kind == "labels"

    def _table(self, folder: str, file: str, stage: str, findings: Findings, known: Table | None = None) -> Table:
        root = folder.rstrip("/")
        names = FileNames(root, self.some(self.pictures_in(root, findings, stage)))
        o = self.options
        wanted = Wanted(o.image_column, o.value_columns, self.are_labels, o.label_separator)
        table = read_table(self.file_at(file), names, wanted, findings, stage, known)
        if known is not None:
            _check_columns(table, known, file)
        return table

    def _keep(self, train: Table) -> None:
        """Names and ranges of the columns; the mean is what a network must beat."""
        numbers = np.array([values for _, values in train.rows], np.float64)
        self.userdata["columns"] = train.columns
        self.userdata["value_ranges"] = [
            {"low": float(c.min()), "high": float(c.max()), "mean": float(c.mean()), "std": float(c.std())} for c in numbers.T
        ]
        if self.are_labels:
            self.userdata[CLASS_LABELS_ATTRIBUTE] = train.columns

    def _divided(self, table: Table) -> Entries:
        find = group_finder(self.options.group_pattern)
        val = 0.0 if self.options.val_values_file else self.options.folder_pct_val
        test = 0.0 if self.options.test_values_file else self.options.folder_pct_test
        numbers = drawn([find(picture) for picture, _ in table.rows], val, test, self.options.seed)
        rows = [[picture, values] for picture, values in table.rows]
        return {stage: [r for r, n in zip(rows, numbers, strict=True) if n == i] for i, stage in enumerate(STAGES)}


def _check_columns(table: Table, known: Table, file: str) -> None:
    """Values of the one column are never taken for those of another. Raises DataError."""
    if len(table.columns) != len(known.columns):
        raise DataError(
            f"{file} has {len(table.columns)} columns of values, the training file {len(known.columns)}.",
            advice="Give both files the same columns.",
        )
    if table.columns != known.columns and table.has_names and known.has_names:
        raise DataError(
            f"The columns of values in {file} are {', '.join(table.columns)}, those of the training file "
            f"{', '.join(known.columns)}.",
            advice="Give both files the same columns; their order does not matter.",
        )
