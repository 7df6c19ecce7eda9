"""A data set: what was requested (`DatasetSpec`) and what came of it (`DatasetInfo`, the file `dataset.json`)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

from digits.errors import BadRequest
from digits.utils.constants import TEST_DB as TEST_DB
from digits.utils.constants import TRAIN_DB as TRAIN_DB
from digits.utils.constants import VAL_DB as VAL_DB

STAGES = (TRAIN_DB, VAL_DB, TEST_DB)
MAX_LEFT_OUT = 0.5  # share of the entries, where nobody says another
ENTRY_SECONDS = 600  # that one entry may take to encode
MUCH = 0.1  # a data set that lacks a larger share of its records is not simply done
COCO_IDS_FILE = "coco_ids.json"  # in the folder of a data set made from COCO's boxes: its `images` and `categories`
PNG_OR_NONE = "png_or_none"  # an encoding of features: PNG, and none of values that it cannot hold
PAIR = "pair"  # in what a data set says of itself: its records are two pictures, one after the other in their channels
PROPOSED_NETWORK = "network"  # ... and the standard network that is made for it
HASH_KIND = 2  # what counts in the content hashes that this version makes: records, labels, classes and preparation
CHOSEN_RECORDS = "chosen-records"  # as `DatasetSpec.extension`: records that were chosen of another data set
CHOSEN_FILE = "chosen_records.json"  # in the folder of its job: their numbers
IGNORED = 255  # value of pixels that count nowhere, where a data set does not name another


def ignored_in(described: Mapping[str, Any]) -> int:
    """The value of pixels that count nowhere, by what a data set says of itself (`DatasetInfo.extra`)."""
    return int(described.get("ignore_index", IGNORED))


def columns_in(described: Mapping[str, Any]) -> tuple[str, ...]:
    """The names of the numbers of a label, by what a data set says of itself (`DatasetInfo.extra`); empty where it names none."""
    return tuple(str(name) for name in described.get("columns") or ())


def left_out(count: int, entries: int) -> dict[str, Any]:
    """How much a data set of so many records lacks, for JSON: `count` of records, their `share` of all that there could be, and
    whether that is `much`."""
    share = count / (count + entries) if count else 0.0
    return {"count": count, "share": round(share, 4), "much": share > MUCH}


def split_name(text: str) -> str:
    """`val` or `val_db` → `val_db`. BadRequest for any other text."""
    name = text if text.endswith("_db") else f"{text}_db"
    if name not in STAGES:
        raise BadRequest(f"There is no split {text!r}.", advice="Choose train, val or test.")
    return name


@dataclass(frozen=True)
class DatasetSpec:
    """What ingest gets.

    `extension` is the id of the data extension that itemizes and encodes, `extension_data` the form values its `__init__`
    gets (JSON types only; what the extension makes of them is frozen in `userdata.pkl` at the first start). `entry_point` says
    where the extension's class was then (`module:Class`), so that workers need not import all others to find it, `distribution`
    which package it belonged to (empty in data sets of older versions).
    Encodings are `auto`, `none`, `png`, `jpg` or, of features, `PNG_OR_NONE`. `backend` and `compression` are kept to be echoed;
    the store is ours.
    No more than the share `max_left_out` of the entries may be unusable.
    """

    extension: str
    task: str = "classification"
    extension_data: dict[str, Any] = field(default_factory=dict)
    feature_encoding: str = "auto"
    label_encoding: str = "none"
    jpeg_quality: int = 90
    batch_size: int = 32
    num_threads: int = 4
    force_same_shape: bool = True
    backend: str = "lmdb"
    compression: str = "none"
    entry_point: str = ""
    distribution: str = ""
    max_left_out: float = MAX_LEFT_OUT

    def to_json(self) -> dict[str, Any]:
        return asdict(self)

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> DatasetSpec:
        return cls(**value)


@dataclass(frozen=True)
class ChosenRecords:
    """`DatasetSpec.extension_data` of records that were chosen of a `split` of the data set `dataset_id`: how many percent are
    for the validation, and what is kept of where the choice came from."""

    dataset_id: str
    split: str
    percent_val: float = 0.0
    made_from: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class RecordMeta:
    """What one split's records are; stored as the Arrow schema's metadata and in `dataset.json`.

    `feature_shape` is (C, H, W), None when shapes differ between records; `feature_dtype` a NumPy name (`uint8`, `uint16`,
    `float32`, …); `feature_encoding` is `none` (fixed-size list of numbers), `png`, `jpg` or `raw` (bytes of the array, shape
    in the `shape` column). `label_kind` is `index`, `vector`, `map`, `boxes`, `array` or `none`. `mean` and `std` are per
    channel in the units of the stored values. `pictures` of one kind lie one after the other in the channels of a record, two in
    a pair: what is measured of them is measured of all together, so that equal pictures become equal inputs.
    """

    task: str
    feature_shape: tuple[int, int, int] | None
    feature_dtype: str = "uint8"
    feature_encoding: str = "none"
    label_kind: str = "index"
    label_shape: tuple[int, ...] | None = ()
    label_dtype: str = "int64"
    label_encoding: str = "none"
    class_labels: tuple[str, ...] = ()
    mean: tuple[float, ...] = ()
    std: tuple[float, ...] = ()
    pictures: int = 1
    schema: int = 1

    def to_json(self) -> dict[str, Any]:
        return asdict(self)

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> RecordMeta:
        def as_tuple(item: Any) -> Any:
            return tuple(item) if isinstance(item, list) else item

        return cls(**{name: as_tuple(item) for name, item in value.items()})


@dataclass(frozen=True)
class SplitInfo:
    """One split as it stands in the records. `class_counts` follow `class_labels`; `skipped` entries are in `problems.jsonl`."""

    name: str  # train_db | val_db | test_db
    entries: int
    meta: RecordMeta
    class_counts: tuple[int, ...] = ()
    skipped: int = 0
    bytes: int = 0


@dataclass(frozen=True)
class DatasetInfo:
    """The contents of `dataset.json`, written once, last, when all splits are whole.

    `sizes` is a histogram of the sources' original sizes as `[width, height, count]` rows (most frequent first, at most
    1,000); `duplicates` counts exact copies across splits and `problems` skipped entries, both listed in `problems.jsonl`.
    `content_hash` identifies the records, their labels and how they were prepared, on every machine alike (SHA-256; see
    `ingest.split_statistics.content_hash`).
    """

    task: str
    class_labels: tuple[str, ...]
    splits: dict[str, SplitInfo]
    feature_shape: tuple[int, int, int] | None = None
    sizes: tuple[tuple[int, int, int], ...] = ()
    problems: int = 0
    duplicates: int = 0
    content_hash: str = ""
    mean_image: str = ""  # file name in the job folder, e.g. mean.jpg
    extra: dict[str, Any] = field(default_factory=dict)

    @property
    def hash_kind(self) -> int:
        """What counts in `content_hash`: HASH_KIND of the version that made it; 0 of earlier ones, of which some counted no
        labels. Hashes of different kinds cannot be compared, nor unequal ones of kind 0."""
        kind = self.extra.get("hash_kind", 0)
        return kind if isinstance(kind, int) else 0

    @property
    def ignored(self) -> int:
        """The value of pixels that count nowhere."""
        return ignored_in(self.extra)

    @property
    def left_out(self) -> dict[str, Any]:
        """How much is missing, in the words of `left_out`; older data sets count skipped entries alone."""
        count = int(self.extra.get("left_out", self.problems))
        return left_out(count, sum(split.entries for split in self.splits.values()))

    def to_json(self) -> dict[str, Any]:
        return asdict(self)

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> DatasetInfo:
        splits = {
            name: SplitInfo(**{**s, "meta": RecordMeta.from_json(s["meta"]), "class_counts": tuple(s.get("class_counts", ()))})
            for name, s in value.get("splits", {}).items()
        }
        shape = value.get("feature_shape")
        return cls(
            **{
                **value,
                "splits": splits,
                "class_labels": tuple(value.get("class_labels", ())),
                "feature_shape": tuple(shape) if shape else None,
                "sizes": tuple(tuple(row) for row in value.get("sizes", ())),
            }
        )
