"""What a folder may be: a source that fits, values for its form, and how many records that would give."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from typing import Any

from digits.extensions.data.recognition.tree import SPLITS, Folder, Tree

Values = dict[str, Any]
PAIR_FIELDS = {
    "train": ("feature_folder", "label_folder"),
    "val": ("validation_feature_folder", "validation_label_folder"),
    "test": ("test_feature_folder", "test_label_folder"),
}


@dataclass(frozen=True)
class Proposal:
    """A source that fits: its id, why it was thought of, and values for its form. `records` are about how many it would give, at
    least so many where it is not `complete`. One that is not `likely` comes after those that are, however many it would give."""

    extension: str
    title: str
    reason: str
    values: Values = field(default_factory=dict)
    records: int = 0
    complete: bool = True
    likely: bool = True

    def to_json(self) -> dict[str, Any]:
        return asdict(self)


@dataclass(frozen=True)
class Remark:
    """A sentence about what was seen and is not proposed. One with `only_without` is dropped where a source with one of these
    ids is proposed, with `only_alone` where any is."""

    text: str
    only_without: tuple[str, ...] = ()
    only_alone: bool = False


Finding = Proposal | Remark


@dataclass(frozen=True)
class Partners:
    """A folder of pictures and one of labels, or a file of them: how many pictures have a label."""

    pictures: Folder
    labels: str
    count: int


BySplit = dict[str, Partners]


def total(found: BySplit) -> int:
    """How many records the splits have together."""
    return sum(partners.count for partners in found.values())


def best_by_split(tree: Tree, found: list[tuple[str, Partners]]) -> BySplit:
    """Of each split the partners with most pictures, without a split (or with an unnamed one, which is the training then). A
    single split is the training, whatever it is called."""
    best: BySplit = {}
    for split, partners in found:
        if split not in best or partners.count > best[split].count:
            best[split] = partners
    if len(best) == 1:
        return {"train": next(iter(best.values()))}
    if "train" not in best and "" in best:
        best["train"] = best.pop("")
    elif "" in best and best[""].count > total({name: one for name, one in best.items() if name}):
        return {"train": best[""]}
    return {split: best[split] for split in SPLITS if split in best} if "train" in best else {}


def box_values(found: BySplit, name: str) -> Values:
    """Fields of object detection."""
    values: Values = {"annotation_format": name}
    for split, partners in found.items():
        values |= {f"{split}_image_folder": partners.pictures.path, f"{split}_label_folder": partners.labels}
    return values if "val" in found else values | {"folder_pct_val": 10}


def pair_values(found: BySplit) -> Values:
    """Fields of sources that pair two folders."""
    values: Values = {}
    for split, partners in found.items():
        values |= dict(zip(PAIR_FIELDS[split], (partners.pictures.path, partners.labels), strict=True))
    return values | {f"has_{split}_folder": True for split in ("val", "test") if split in found}
