"""Sees from a folder what kind of data set lies in it, and proposes the source and the fields of its form.

Holds: only names, headers and the first lines of a few files are read; a proposal is a guess that a person confirms.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np

from digits.errors import DataError, DigitsError
from digits.extensions.data.files.listing import walk
from digits.extensions.data.files.pairs import base_name
from digits.extensions.data.files.tables import read_rows
from digits.extensions.data.files.text import read_text
from digits.extensions.data.image_object_detection.formats import recognise as box_format
from digits.extensions.data.image_object_detection.formats.csv_columns import has_boxes
from digits.extensions.data.image_segmentation.masks import read_colours, read_values
from digits.extensions.data.images.tree import Folder, look, split_of
from digits.utils.confinement import Confinement

MOST_CLASSES = 64  # a grey picture with more different values is no mask
LABEL_WORDS = ("label", "mask", "annot", "gt", "segm", "target", "clean", "sharp", "high", "output", "truth")
HEAD = 1 << 16
SPLITS = ("train", "val", "test")
PAIR_FIELDS = {
    "train": ("feature_folder", "label_folder"),
    "val": ("validation_feature_folder", "validation_label_folder"),
    "test": ("test_feature_folder", "test_label_folder"),
}
Values = dict[str, Any]


@dataclass(frozen=True)
class Proposal:
    """A source that fits: its id, why it was thought of, and values for its form."""

    extension: str
    title: str
    reason: str
    values: Values = field(default_factory=dict)

    def to_json(self) -> dict[str, Any]:
        return asdict(self)


def recognise(folder: str, allowed_roots: Sequence[str]) -> list[Proposal]:
    """What the folder may be, the likeliest first; empty where nothing fits. Raises DataError for what is no folder."""
    if not os.path.isdir(folder):
        raise DataError(f"{folder} is no folder that can be read.", advice="Give the folder in which pictures and labels lie.")
    folders = look(folder, Confinement(allowed_roots))
    if not any(item.names("image") for item in folders):
        return []
    found: list[Proposal] = []
    for finder in FINDERS:
        try:
            found += finder(folder, folders)
        except (DigitsError, OSError, ValueError):  # one guess less
            continue
    return _distinct(found)


def _distinct(proposals: list[Proposal]) -> list[Proposal]:
    kept: dict[tuple[str, str], Proposal] = {}
    for proposal in proposals:
        kept.setdefault((proposal.extension, str(proposal.values.get("annotation_format", ""))), proposal)
    return list(kept.values())


# -- detection and COCO ---------------------------------------------------------------------------------------------


def _coco(root: str, folders: list[Folder]) -> Iterator[Proposal]:
    files = {}
    for folder in folders:
        for name in folder.names(".json"):
            path = os.path.join(folder.path, name)
            if _head_has(path, '"images"', '"annotations"', '"categories"'):
                files[split_of(path, root) or "train"] = path
    pictures = _with_most(root, folders, "image")
    pairs = {split: (pictures.get(split) or pictures.get("") or pictures["train"], path) for split, path in files.items()}
    if "train" not in pairs:
        return
    reason = f"{os.path.basename(pairs['train'][1])} has the keys of a COCO instances file."
    values = _box_values(pairs, "coco")
    yield Proposal("image-object-detection", "Object detection (COCO JSON)", reason, values)
    if _head_has(pairs["train"][1], '"segmentation": [[', '"segmentation":[[', '"counts"'):
        masks = _pair_values(pairs) | {"mask_source": "coco"}
        yield Proposal("image-segmentation", "Segmentation (COCO polygons)", reason, masks)


def _boxes(root: str, folders: list[Folder]) -> Iterator[Proposal]:
    for ending, titles in (
        (".xml", {"voc": "PASCAL VOC XML"}),
        (".txt", {"kitti": "KITTI text", "yolo": "YOLO text"}),
    ):
        pairs = _partners(root, folders, ending)
        if "train" not in pairs:
            continue
        name = box_format(pairs["train"][1], folders[0].may_read)
        if name in titles:
            lists = _lists(root, "Main") if name == "voc" and set(pairs) == {"train"} else {}
            reason = f"Each picture in {pairs['train'][0]} has a {ending} file of its name, of the form of {titles[name]}."
            values = _box_values(pairs, name) | lists
            yield Proposal("image-object-detection", f"Object detection ({titles[name]})", reason, values)


def _box_values(pairs: dict[str, tuple[str, str]], name: str) -> Values:
    values: Values = {"annotation_format": name}
    for split, (pictures, labels) in pairs.items():
        values |= {f"{split}_image_folder": pictures, f"{split}_label_folder": labels}
    return values if "val_image_folder" in values else values | {"folder_pct_val": 10}


# -- tables ---------------------------------------------------------------------------------------------------------


def _tables(root: str, folders: list[Folder]) -> Iterator[Proposal]:
    pictures = _with_most(root, folders, "image")
    images = pictures.get("train") or pictures.get("") or next(iter(pictures.values()))
    for folder in folders[:50]:
        for name in folder.names(".csv")[:5]:
            path = os.path.join(folder.path, name)
            rows = [cells for _, (_, cells) in zip(range(3), read_rows(path), strict=False)]
            if len(rows) < 2 or not _names_pictures(rows[-1], images):
                continue
            if has_boxes(rows[0]):
                values = _box_values({"train": (images, path)}, "csv")
                yield Proposal("image-object-detection", "Object detection (CSV)", f"{name} has columns of boxes.", values)
            elif any(_is_number(cell) for cell in rows[-1][1:]):
                values = {"image_folder": images, "values_file": path}
                yield Proposal("image-regression", "Regression (CSV)", f"{name} names pictures and numbers.", values)


def _names_pictures(cells: list[str], folder: str) -> bool:
    names = {os.path.basename(cell) for cell in cells}
    return any(
        name and (name in listed or os.path.splitext(name)[0] in stems) for listed, stems in [_listed(folder)] for name in names
    )


def _listed(folder: str) -> tuple[set[str], set[str]]:
    names = {name for _, files in walk(folder) for name in files}
    return names, {os.path.splitext(name)[0] for name in names}


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True


# -- pairs of pictures ----------------------------------------------------------------------------------------------


def _cityscapes(root: str, folders: list[Folder]) -> Iterator[Proposal]:
    by_name = {folder.name: folder.path for folder in folders if folder.depth <= 2}
    if "leftImg8bit" not in by_name or "gtFine" not in by_name:
        return
    pairs = {
        split: (os.path.join(by_name["leftImg8bit"], split), os.path.join(by_name["gtFine"], split))
        for split in ("train", "val")
        if os.path.isdir(os.path.join(by_name["leftImg8bit"], split))
    }
    if "train" in pairs:
        values = _pair_values(pairs) | {"label_set": "cityscapes"}
        yield Proposal("image-segmentation", "Segmentation (Cityscapes)", "The folders leftImg8bit and gtFine are there.", values)


def _pairs(root: str, folders: list[Folder]) -> Iterator[Proposal]:
    pairs = _partners(root, folders, "image")
    if "train" not in pairs:
        return
    features, labels = pairs["train"]
    reason = f"The pictures in {features} and {labels} have the same names"
    if _are_masks(labels, folders):
        values = _pair_values(pairs) | {"label_set": _label_set(root, labels)} | _segmentation_lists(root, pairs)
        yield Proposal("image-segmentation", "Segmentation", f"{reason}; the second look like masks.", values)
    yield Proposal("image-processing", "Image processing", f"{reason}.", _pair_values(pairs))


def _pair_values(pairs: dict[str, tuple[str, str]]) -> Values:
    values: Values = {}
    for split, found in pairs.items():
        values |= dict(zip(PAIR_FIELDS[split], found, strict=True))
    flags = {f"has_{split}_folder": True for split in ("val", "test") if split in pairs}
    return values | flags


def _are_masks(labels: str, folders: list[Folder]) -> bool:
    """Whether the first picture has few different values or colours."""
    path = next(item for item in folders if item.path == labels).first("image")
    try:
        return len(np.unique(read_values(path))) <= MOST_CLASSES
    except DigitsError:
        return len(np.unique(read_colours(path))) <= MOST_CLASSES


def _label_set(root: str, labels: str) -> str:
    if "camvid" in f"{root}/{labels}".lower():
        return "camvid"
    return "voc" if os.path.basename(labels) == "SegmentationClass" else ""


def _segmentation_lists(root: str, pairs: dict[str, Any]) -> Values:
    return _lists(root, "Segmentation") if set(pairs) == {"train"} else {}


def _lists(root: str, kind: str) -> Values:
    """The lists of PASCAL VOC's ImageSets."""
    found: Values = {}
    for parent in (root, os.path.dirname(root)):
        for split in SPLITS:
            path = os.path.join(parent, "ImageSets", kind, f"{split}.txt")
            if os.path.isfile(path) and os.path.getsize(path):
                found.setdefault(f"{split}_list_file", path)
    return found if "train_list_file" in found else {}


# -- classes --------------------------------------------------------------------------------------------------------


def _classes(root: str, folders: list[Folder]) -> Iterator[Proposal]:
    """Sub-folders of pictures whose names say neither a split nor labels."""
    by_parent: dict[str, int] = {}
    for folder in folders[1:]:
        if folder.names("image") and not split_of(folder.name, "") and not _is_label(folder.path):
            parent = os.path.dirname(folder.path)
            by_parent[parent] = by_parent.get(parent, 0) + 1
    parents = {split_of(parent, root) or "train": parent for parent, count in by_parent.items() if count >= 2}
    if "train" in parents:
        values: Values = {"method": "folder"} | {f"folder_{split}": path for split, path in parents.items()}
        values |= {f"has_{split}_folder": True for split in ("val", "test") if split in parents}
        reason = f"{parents['train']} has {by_parent[parents['train']]} sub-folders of pictures, one for each class."
        yield Proposal("image-classification-folder", "Image classification", reason, values)


# -- help -----------------------------------------------------------------------------------------------------------


def _partners(root: str, folders: list[Folder], kind: str) -> dict[str, tuple[str, str]]:
    """By split (`train` where none is named): a folder of pictures and one with files of a kind and the same names."""
    found: dict[str, tuple[str, str]] = {}
    pictures = [folder for folder in folders if folder.names("image")]
    for labels in folders:
        if not labels.names(kind) or (kind == "image" and not _is_label(labels.path)):
            continue
        names = {base_name(name) for name in labels.names(kind)}
        partner = max(pictures, key=lambda folder: _overlap(folder, labels, names, root), default=None)
        if partner is not None and _overlap(partner, labels, names, root) >= 0.5:
            split = split_of(labels.path, root) or "train"
            found.setdefault(split, (partner.path, labels.path))
    return found


def _overlap(pictures: Folder, labels: Folder, names: set[str], root: str) -> float:
    """Share of the labels that have a picture in a folder; one of the same split, and a near one, is preferred."""
    if pictures.path == labels.path and pictures.names("image") == labels.names("image") and len(labels.files) == 1:
        return 0.0
    if _is_label(pictures.path) and pictures.path != labels.path:
        return 0.0
    share = len(names & {base_name(name) for name in pictures.names("image")}) / max(len(names), 1)
    near = len(os.path.commonpath([pictures.path, labels.path])) / len(labels.path)
    same_split = split_of(pictures.path, root) == split_of(labels.path, root)
    return share + 0.02 * same_split + 0.01 * near if share >= 0.5 else 0.0


def _is_label(path: str) -> bool:
    name = os.path.basename(path).lower()
    parent = os.path.basename(os.path.dirname(path)).lower()
    return any(word in name or (split_of(name, "") and word in parent) for word in LABEL_WORDS)


def _with_most(root: str, folders: list[Folder], kind: str) -> dict[str, str]:
    """By split (empty where none is named): the folder with most files of a kind."""
    best: dict[str, Folder] = {}
    for folder in folders:
        if folder.names(kind) and not _is_label(folder.path):
            split = split_of(folder.path, root)
            if split not in best or len(folder.names(kind)) > len(best[split].names(kind)):
                best[split] = folder
    return {split: folder.path for split, folder in best.items()}


def _head_has(path: str, *texts: str) -> bool:
    """Whether one of the texts stands near the beginning of a file."""
    head = read_text(path, HEAD)
    return any(text in head for text in texts)


FINDERS: tuple[Callable[[str, list[Folder]], Iterator[Proposal]], ...] = (_cityscapes, _coco, _boxes, _tables, _pairs, _classes)
