"""Base of the image sources: size and channels, entry files in the job folder, the form and its template."""

from __future__ import annotations

import importlib
import json
import os
import random
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any, ClassVar

from digits.domain.datasets import STAGES
from digits.errors import DataError, LoadImageError
from digits.extensions.data.files.listing import other_kinds, pictures_below
from digits.extensions.data.images import sizes
from digits.extensions.data.images.findings import Findings
from digits.extensions.data.images.options import ImageOptions
from digits.extensions.data.source import FileSource, Options, ReportProblem
from digits.images.place import Fit
from digits.storage.files import atomic
from digits.utils.confinement import ADVICE, OUTSIDE

Entries = dict[str, list[list[Any]]]  # split -> entries, JSON values; the first is the picture's path
LARGEST_SEED = 1000
TEMPLATE = Path(__file__).parent / "templates" / "dataset.html"


class ImageSource(FileSource):
    """An entry is a tuple `(path of the picture, …)`. `STAGE_entries.jsonl` in the job folder holds those of a split."""

    OPTIONS: ClassVar[type[Options]] = ImageOptions
    options: ImageOptions
    READS: ClassVar[tuple[str, ...]] = ()  # endings of files that may lie among the pictures and are read otherwise
    most_pictures = 0  # of a folder, 0: all
    FORM = ""  # module with `DatasetForm`; imports Flask-WTF and is loaded only for the page

    def __init__(self, is_inference_db: bool = False, **kwargs: Any) -> None:
        if kwargs.get("seed") in (None, ""):
            kwargs["seed"] = random.randint(0, LARGEST_SEED)
        super().__init__(is_inference_db, **kwargs)

    @staticmethod
    def get_category() -> str:
        return "Images"

    @classmethod
    def get_dataset_form(cls) -> Any:
        return importlib.import_module(cls.FORM).DatasetForm()

    @staticmethod
    def get_dataset_template(form: Any) -> tuple[str, dict[str, Any]]:
        return TEMPLATE.read_text(encoding="utf-8"), {"form": form}

    # -- what a source defines ----------------------------------------------------------------------------------

    def collect(self, findings: Findings) -> Entries:
        """Find the entries of each split. Raises DataError where no data set can be made."""
        raise NotImplementedError

    # -- the life of the entries --------------------------------------------------------------------------------

    def prepare(self, report: ReportProblem) -> None:
        findings = Findings(report)
        entries = self.collect(findings)
        self.choose_size(entries, findings)
        findings.finish()
        for stage in STAGES:
            self._write(stage, entries.get(stage, []))

    def itemize_entries(self, stage: str) -> Sequence[tuple[Any, ...]]:
        file = self._file(stage)
        if not file.is_file():
            return []
        with open(file, encoding="utf-8") as lines:
            return [tuple(json.loads(line)) for line in lines]

    def _write(self, stage: str, entries: list[list[Any]]) -> None:
        with atomic(self._file(stage)) as handle:
            for entry in entries:
                handle.write(json.dumps(entry).encode() + b"\n")

    def _file(self, stage: str) -> Path:
        return self.job_folder / f"{stage.removesuffix('_db')}_entries.jsonl"

    # -- size and channels --------------------------------------------------------------------------------------

    @property
    def fit(self) -> Fit:
        width, height = self.given_size or self.userdata.get("size") or sizes.NO_SIZE
        pad_width, pad_height = self.userdata.get("padding") or sizes.NO_SIZE
        return Fit(width, height, self.options.resize_mode, pad_width, pad_height)

    @property
    def given_size(self) -> sizes.Size | None:
        """(width, height) of the form; None where it gives none."""
        size = (self.options.resize_width, self.options.resize_height)
        return size if all(size) else None

    @property
    def keeps_sizes(self) -> bool:
        return self.userdata.get("size_choice") == sizes.KEEP

    def choose_size(self, entries: Entries, findings: Findings) -> None:
        """What becomes of pictures that differ in size, where the form gives none."""
        if self.given_size:
            return
        how = self.options.unequal_sizes
        how = (sizes.PAD if self.same_shape else sizes.KEEP) if how == sizes.AUTO else how
        found = self.picture_sizes(entries)
        chosen = sizes.choose(found, how, self.options.resize_mode)
        self.userdata |= {"size_choice": chosen.how, "padding": chosen.padding, "size": chosen.size}
        if chosen.words:
            findings.add("size", chosen.words)
        self.fit_labels(chosen, entries, found)

    def picture_sizes(self, entries: Entries) -> list[sizes.Size]:
        """The size of the picture of each entry, in order."""
        return sizes.sizes_of((entry[0] for items in entries.values() for entry in items), self.check_stop)

    def fit_labels(self, chosen: sizes.Choice, entries: Entries, found: list[sizes.Size]) -> None:
        """Choose sizes of labels that are pictures of their own; `found` are those of the pictures of all entries in order."""

    def describe(self) -> dict[str, Any]:
        channels = {"RGB": 3, "L": 1}.get(self.options.channel_conversion, 0)
        return {**self.fit.to_json(), "channels": channels, "seed": self.options.seed}

    # -- files --------------------------------------------------------------------------------------------------

    def pictures_in(self, folder: str, findings: Findings, stage: str = "", *, each: bool = False) -> list[str]:
        """The pictures below a folder that may be read; with `each` those of each folder in it, where the folders are labels.
        Raises DataError when there are none."""
        allowed = self.confinement()
        if not os.path.isdir(folder):
            raise DataError(f"{folder} is no folder that can be read.", advice="Correct its path.")
        found, others = [], Counter[str]()

        def refused(path: str, reason: str) -> None:
            findings.add("folder", reason, path, stage)

        for path in pictures_below(folder, others, each=each, refused=refused):
            self.check_stop()
            if allowed.allows(path):
                found.append(path)
            else:
                findings.add("skipped", f"It is {OUTSIDE}.", path, stage)
        for ending in self.READS:
            del others[ending]
        if kinds := other_kinds(others):
            findings.add("other-files", f"{kinds}. They are not read.", folder, stage)
        if not found:
            raise DataError(
                f"No pictures below {folder}{f'; {kinds}' * bool(kinds)}.",
                advice="Name the folder that holds them, e.g. as PNG or JPEG files.",
            )
        return found

    def some(self, paths: list[str]) -> list[str]:
        """All pictures, or `most_pictures` from all parts where the source is only tried."""
        step = -(-len(paths) // self.most_pictures) if self.most_pictures else 1
        return paths[::step]

    def file_at(self, value: str) -> str:
        """A file named in the form, if it may be read. Raises DataError."""
        if refusal := self.confinement().refusal(value):
            raise DataError(refusal, advice=ADVICE)
        if not os.path.isfile(value):
            raise DataError(f"{value} is no file that can be read.", advice="Correct its path.")
        return value


def skip(path: str, reason: str, advice: str) -> LoadImageError:
    """The error with which `encode_entry` leaves out one entry."""
    return LoadImageError(f"{path}: {reason}", advice=advice)
