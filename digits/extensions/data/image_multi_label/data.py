"""Multi-label data sets: pictures with any number of labels, from a table or from a folder for each label."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

from digits.domain.datasets import TRAIN_DB
from digits.errors import DataError
from digits.extensions.data.image_regression import data as regression
from digits.extensions.data.image_regression.table import Table
from digits.extensions.data.images.base import Entries
from digits.extensions.data.images.findings import Findings
from digits.extensions.data.source import Options


@dataclass(frozen=True)
class MultiLabelOptions(regression.RegressionOptions):
    """`label_source` is `table` or `folders`."""

    label_source: str = "table"


class DataIngestion(regression.DataIngestion):
    """Entries are `(picture, [0 or 1 for each label])`; labels are float32 vectors."""

    OPTIONS: ClassVar[type[Options]] = MultiLabelOptions
    options: MultiLabelOptions
    FORM = "digits.extensions.data.image_multi_label.forms"

    @staticmethod
    def get_id() -> str:
        return "image-multi-label"

    @staticmethod
    def get_title() -> str:
        return "Multi-label classification"

    def get_task(self) -> str:
        return "multi_label"

    @property
    def are_labels(self) -> bool:
        return True

    def collect(self, findings: Findings) -> Entries:
        if self.options.label_source == "table":
            return super().collect(findings)
        table = self._folders(findings)
        self._keep(table)
        return self._divided(table)

    def _folders(self, findings: Findings) -> Table:
        """A folder's name is a label; pictures of one name in several folders are one picture with several labels."""
        root = self.options.image_folder.rstrip("/")
        found: dict[str, dict[str, str]] = {}  # by the name of a picture: its path in the folder of each label
        for path in self.pictures_in(root, findings, TRAIN_DB):
            label, _, name = os.path.relpath(path, root).partition(os.sep)
            if name:
                found.setdefault(name, {})[label] = path
            else:
                findings.add("pair", "It lies in no folder of a label; it is left out.", path, TRAIN_DB, lost=True)
        labels = sorted({label for paths in found.values() for label in paths})
        if not labels:
            raise DataError(
                f"{root} has no folders of labels.", advice=f"Expected is a folder for each label, such as {Path(root) / 'cat'}."
            )
        rows = [(next(iter(paths.values())), [float(label in paths) for label in labels]) for _, paths in sorted(found.items())]
        return Table(labels, rows)
