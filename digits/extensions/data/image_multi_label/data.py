"""Multi-label data sets: pictures with any number of labels, from a table or from a folder for each label."""

from __future__ import annotations

import os
from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

from digits.domain.datasets import TRAIN_DB
from digits.errors import DataError, LoadImageError
from digits.extensions.data.files.names import below, plain
from digits.extensions.data.image_regression import data as regression
from digits.extensions.data.image_regression.table import Table
from digits.extensions.data.images.base import Entries
from digits.extensions.data.images.findings import Findings
from digits.extensions.data.images.pictures import digest_of
from digits.extensions.data.source import Options
from digits.utils.values import counted


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

    @staticmethod
    def get_needs() -> str:
        return "Pictures with any number of labels: a CSV file, or a folder for each label."

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
        """A folder's name is a label; equal pictures of one name in several folders are one picture with several labels."""
        root = self.options.image_folder.rstrip("/")
        found: dict[str, list[str]] = defaultdict(list)  # by the name of a picture: its paths
        for path in self.pictures_in(root, findings, TRAIN_DB, each=True):
            name = plain(below(root, path)).partition("/")[2]
            if name:
                found[name].append(path)
            else:
                findings.add("pair", "It lies in no folder of a label; it is left out.", path, TRAIN_DB, lost=True)
        pictures = [_equal(found[name]) for name in sorted(found)]
        _report_different([groups for groups in pictures if len(groups) > 1], findings)
        label_of = {path: plain(below(root, path)).partition("/")[0] for paths in found.values() for path in paths}
        labels = sorted(set(label_of.values()))
        if not labels:
            raise DataError(
                f"{root} has no folders of labels.", advice=f"Expected is a folder for each label, such as {Path(root) / 'cat'}."
            )
        rows = []
        for paths in (paths for groups in pictures for paths in groups):
            own = {label_of[path] for path in paths}
            rows.append((paths[0], [float(label in own) for label in labels]))
        return Table(labels, rows)


def _equal(paths: Sequence[str]) -> list[list[str]]:
    """Files as groups of equal content; one that cannot be read is one of its own."""
    if len(paths) == 1:
        return [list(paths)]
    sizes = Counter(map(_size_of, paths))
    found: dict[bytes | str, list[str]] = {}
    for path in paths:
        try:
            key: bytes | str = digest_of(path) if sizes[_size_of(path)] > 1 else path
        except LoadImageError:  # left to the encoder to list
            key = path
        found.setdefault(key, []).append(path)
    return list(found.values())


def _size_of(path: str) -> int:
    try:
        return os.path.getsize(path)
    except OSError:
        return -1


def _report_different(pictures: Sequence[list[list[str]]], findings: Findings) -> None:
    """Say that one name stands for several pictures."""
    if pictures:
        first, second = (paths[0] for paths in pictures[0][:2])
        count = (
            f"{counted(len(pictures), 'name')} of pictures {'is' if len(pictures) == 1 else 'are'} in several folders of labels"
        )
        reason = (
            f"{count} with different contents, e.g. {first} and {second}: each is a picture of its own, with its folder's label."
        )
        findings.add("note", reason, first, TRAIN_DB)
