"""Pairs of pictures that are of one class or of two: what siamese networks learn from. A record has both in its channels."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import numpy as np

from digits.domain.datasets import PAIR, PROPOSED_NETWORK, STAGES, TEST_DB, TRAIN_DB, VAL_DB
from digits.errors import DataError
from digits.extensions.data.files.names import below
from digits.extensions.data.images import sizes
from digits.extensions.data.images.base import Entries, ImageSource, skip
from digits.extensions.data.images.findings import Findings
from digits.extensions.data.images.options import ImageOptions
from digits.extensions.data.images.pictures import digest_of, feature_of, read_picture, remarks
from digits.extensions.data.images.splitting import drawn, group_finder
from digits.extensions.data.source import Options, Sample
from digits.images.prepare import DIGEST_BYTES, some_headers
from digits.utils.constants import CLASS_LABELS_ATTRIBUTE
from digits.utils.names import class_name

DIFFERENT, SAME = 0, 1
LABELS = ["different", "same"]
OTHERS = {VAL_DB: "val_image_folder", TEST_DB: "test_image_folder"}
CONVERSIONS = {1: "L", 3: "RGB"}
LAYOUT = "Expected is a sub-folder for each class with pictures in it, at least two."
TEMPLATE = Path(__file__).parent / "templates" / "test.html"


@dataclass(frozen=True)
class PairsOptions(ImageOptions):
    """`image_folder` has a sub-folder for each class. Each picture is the first of `pairs_per_picture` pairs, in turn with one of
    its own class and one of another. `first_picture` and `second_picture` are those of a test."""

    image_folder: str = ""
    val_image_folder: str = ""
    test_image_folder: str = ""
    pairs_per_picture: int = 2
    unequal_sizes: str = sizes.PAD
    first_picture: str = ""
    second_picture: str = ""


class DataIngestion(ImageSource):
    """Entries are `(picture, other picture, 0 or 1)`, 1 for two of one class. Features are (2C, H, W): the channels of the first
    picture, then those of the second."""

    OPTIONS: ClassVar[type[Options]] = PairsOptions
    options: PairsOptions
    FORM = "digits.extensions.data.image_pairs.forms"

    @staticmethod
    def get_id() -> str:
        return "image-pairs"

    @staticmethod
    def get_title() -> str:
        return "Pairs (same or different)"

    @staticmethod
    def get_needs() -> str:
        return "A folder with one sub-folder for each class; pairs of pictures are made of them."

    def get_task(self) -> str:
        return "classification"

    def describe(self) -> dict[str, Any]:
        return {**super().describe(), "channels": 0, PAIR: True, PROPOSED_NETWORK: "siamese"}

    # -- which pictures make a pair -------------------------------------------------------------------------------

    def collect(self, findings: Findings) -> Entries:
        self.userdata[CLASS_LABELS_ATTRIBUTE] = list(LABELS)
        pictures, classes = self._classified(self.options.image_folder, findings, TRAIN_DB)
        self.userdata["conversion"] = self._conversion(pictures.tolist())
        stages = self._stages(pictures, classes)
        entries = {stage: self._pairs(pictures[stages == i], classes[stages == i], stage) for i, stage in enumerate(STAGES)}
        for stage, field in OTHERS.items():
            if folder := getattr(self.options, field):
                entries[stage] = self._pairs(*self._classified(folder, findings, stage), stage)
        if not entries[TRAIN_DB]:
            raise DataError("No pair is left to train on.", advice="Add pictures, or hold fewer out.")
        return entries

    def _classified(self, folder: str, findings: Findings, stage: str) -> tuple[np.ndarray, np.ndarray]:
        """The pictures below a folder, and the number of the class of each. Raises DataError."""
        root = folder.rstrip("/") or "/"
        found, names = [], []
        for path in self.some(self.pictures_in(root, findings, stage)):
            name, _, rest = below(root, path).partition("/")
            if rest:
                found.append(path)
                names.append(class_name(name))
            else:
                findings.add("pair", "It lies in no folder of a class; it is left out.", path, stage, lost=True)
        labels, classes = np.unique(names, return_inverse=True) if names else ((), np.zeros(0, int))
        if len(labels) < 2:
            raise DataError(f"{root} holds pictures of {len(labels)} class{'es' * (len(labels) != 1)}.", advice=LAYOUT)
        for row in np.flatnonzero(np.bincount(classes)[classes] == 1).tolist():
            findings.add("note", "Its class has no other picture: it is in no pair of one class.", found[row], stage)
        return np.array(found, object), classes

    def _stages(self, pictures: np.ndarray, classes: np.ndarray) -> np.ndarray:
        """The split of each picture: a picture is in pairs of one split only."""
        o = self.options
        shares = 0.0 if o.val_image_folder else o.folder_pct_val, 0.0 if o.test_image_folder else o.folder_pct_test
        find = group_finder(o.group_pattern)
        return drawn([find(path) for path in pictures], *shares, o.seed, classes)

    def _pairs(self, pictures: np.ndarray, classes: np.ndarray, stage: str) -> list[list[Any]]:
        """Pairs of the pictures of a split, in random order; none where all are of one class."""
        rng = np.random.default_rng([self.options.seed, STAGES.index(stage)])
        rows_of = {number: np.flatnonzero(classes == number) for number in np.unique(classes).tolist()}
        pairs: list[list[Any]] = []
        if len(rows_of) < 2:
            return pairs
        by_class = np.argsort(classes, kind="stable")
        starts = {number: int(np.searchsorted(classes[by_class], number)) for number in rows_of}
        for row, number in enumerate(classes.tolist()):
            own, start = rows_of[number], starts[number]
            for turn in range(self.options.pairs_per_picture):
                if (turn + row) % 2 == SAME:
                    if len(own) > 1:
                        other = own[rng.integers(len(own) - 1)]
                        pairs.append([pictures[row], pictures[own[-1] if other == row else other], SAME])
                else:
                    at = int(rng.integers(len(classes) - len(own)))
                    pairs.append([pictures[row], pictures[by_class[at if at < start else at + len(own)]], DIFFERENT])
        return [pairs[i] for i in rng.permutation(len(pairs)).tolist()]

    # -- from two files to a record -------------------------------------------------------------------------------

    def _conversion(self, pictures: Sequence[str]) -> str:
        """Grey or colour for all, as most pictures are where the form does not say it; both pictures of a pair must be alike."""
        if self.options.channel_conversion != "none":
            return self.options.channel_conversion
        counts = Counter(header.channels for header in some_headers(len(pictures), pictures.__getitem__))
        return CONVERSIONS.get(counts.most_common(1)[0][0], "none") if counts else "none"

    def picture_sizes(self, entries: Entries) -> list[sizes.Size]:
        distinct = {path for items in entries.values() for entry in items for path in entry[:2]}
        return sizes.sizes_of(sorted(distinct), self.check_stop)

    def encode_entry(self, entry: tuple[str, str, int | None]) -> Sample:
        first, second, same = entry
        pictures = [read_picture(path, self.userdata["conversion"]) for path in (first, second)]
        features = [feature_of(self.fit.place(p.shape[1], p.shape[0]).picture(p)) for p in pictures]
        if features[0].shape != features[1].shape or features[0].dtype != features[1].dtype:
            raise skip(first, f"It differs from {second} in size, channels or type.", "Give a width and height, or a conversion.")
        return Sample(
            np.concatenate(features),
            same,
            source=f"{first} + {second}",
            original_size=(pictures[0].shape[1], pictures[0].shape[0]),
            group=group_finder(self.options.group_pattern)(first),
            digest=hashlib.blake2b(digest_of(first) + digest_of(second), digest_size=DIGEST_BYTES).digest(),
            notes=remarks(first),
        )

    # -- testing a model ------------------------------------------------------------------------------------------

    def get_inference_form(self) -> Any:
        from digits.extensions.data.image_pairs.forms import TestForm

        return TestForm()

    @staticmethod
    def get_inference_template(form: Any) -> tuple[str, dict[str, Any]]:
        return TEMPLATE.read_text(encoding="utf-8"), {"form": form}

    def itemize_entries(self, stage: str) -> Sequence[tuple[Any, ...]]:
        if not self.is_inference_db:
            return super().itemize_entries(stage)
        if stage != TEST_DB:
            return []
        return [(self.file_at(self.options.first_picture), self.file_at(self.options.second_picture), None)]
