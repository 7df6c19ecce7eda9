"""Object detection, and segmentation by COCO's polygons: files of annotations beside pictures."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from dataclasses import replace

from digits.errors import DataError
from digits.extensions.data.files.names import FileNames, stem
from digits.extensions.data.image_object_detection.formats import FORMATS
from digits.extensions.data.image_object_detection.formats import recognise as format_in
from digits.extensions.data.image_object_detection.formats.recognise import format_of
from digits.extensions.data.recognition.named import named_in
from digits.extensions.data.recognition.partners import partners
from digits.extensions.data.recognition.proposals import (
    BySplit,
    Partners,
    Proposal,
    Values,
    best_by_split,
    box_values,
    pair_values,
    total,
)
from digits.extensions.data.recognition.tree import IMAGE, SPLITS, Folder, Tree, split_of

FILES = 60  # that are looked into, of each kind
WHOLE_SETS = {".json": ("coco",), ".xml": ("cvat",), ".csv": ("csv",)}  # formats with all boxes of a split in one file


def find(tree: Tree) -> Iterator[Proposal]:
    """Every format that a folder has, the files that hold a whole split first."""
    for ending, formats in WHOLE_SETS.items():
        for name in formats:
            yield from _whole_files(tree, ending, name)
    for ending in (".txt", ".xml", ".json"):
        yield from _a_file_each(tree, ending)


def _a_file_each(tree: Tree, ending: str) -> Iterator[Proposal]:
    """Formats with a file for each picture."""
    found: dict[str, list[tuple[str, Partners]]] = {}
    for split, pair in partners(tree, ending):
        try:
            name = format_in(pair.labels, tree.may_read)
        except DataError:
            continue
        if name == "yolo":  # a picture without a file has no object
            pair = replace(pair, count=len(pair.pictures.below(IMAGE)))
        if name not in WHOLE_SETS.get(ending, ()):
            found.setdefault(name, []).append((split, pair))
    for name, pairs in found.items():
        if best := best_by_split(tree, sorted(pairs, key=lambda item: _order(item[1].labels))):
            pair, values = best["train"], box_values(best, name)
            if name == "voc" and set(best) == {"train"}:
                values |= lists_of(tree, "Main", pair.pictures)
            reason = f"The {ending} files in {pair.labels} have the names of pictures in {pair.pictures.path}."
            yield Proposal("image-object-detection", _title(name), reason, values, total(best), tree.complete)


def _order(labels: str) -> tuple[bool, int]:
    """Of folders that give as much: boxes before outlines, the narrower folder first."""
    return any(word in labels.lower() for word in ("seg", "poly", "mask")), -len(labels)


def _whole_files(tree: Tree, ending: str, name: str) -> Iterator[Proposal]:
    found: list[tuple[str, Partners]] = []
    outlines = False
    for path in tree.some_files(ending, each=FILES, most=FILES):
        if format_of(path)[0] != name:
            continue
        listed = named_in(path, name)
        split = split_of(os.path.relpath(path, tree.root.path))
        if pictures := _holding(tree, listed.names, split):
            folder, count = pictures
            if not listed.complete:  # as many of all as of those that were seen
                count = round(count / len(listed.names) * len(folder.below(IMAGE)))
            found.append((split or tree.split_of(folder), Partners(folder, path, count)))
            outlines = outlines or listed.outlines
    if not (best := best_by_split(tree, found)):
        return
    pair = best["train"]
    reason = f"{os.path.basename(pair.labels)} names {pair.count:,} pictures in {pair.pictures.path}."
    yield Proposal("image-object-detection", _title(name), reason, box_values(best, name), total(best), tree.complete)
    if name == "coco" and outlines:
        masks: Values = pair_values(best) | {"mask_source": "coco"}
        yield Proposal("image-segmentation", "Segmentation (COCO polygons)", reason, masks, total(best), tree.complete)


def _holding(tree: Tree, listed: Sequence[str], split: str) -> tuple[Folder, int] | None:
    """The smallest folder that has most of the listed pictures, by their paths, and how many; one of the same split first."""
    plain = {name: stem(os.path.basename(name.replace("\\", "/"))) for name in listed}
    wanted = frozenset(plain.values())
    best: tuple[tuple[int, bool], Folder] | None = None
    for folder in tree.folders:
        if not (known := folder.stems(IMAGE) & wanted):
            continue
        files = FileNames(folder.path, [path for path in folder.below(IMAGE) if stem(os.path.basename(path)) in known])
        found = files.find_all([name for name in listed if plain[name] in known])
        score = sum(map(bool, found.values())), tree.split_of(folder) == split
        if score[0] and (best is None or score > best[0] or (score == best[0] and best[1].holds(folder))):
            best = score, folder
    return (best[1], best[0][0]) if best else None


def lists_of(tree: Tree, kind: str, pictures: Folder) -> Values:
    """The lists of PASCAL VOC's `ImageSets` beside or below a folder of pictures; none where several have lists of one split, as
    those of several years."""
    root = tree.root.path
    places = [root, os.path.dirname(root), *(os.path.dirname(f.path) for f in tree.folders if f.name == "ImageSets")]
    found: Values = {}
    for place in dict.fromkeys(places):
        if os.path.commonpath([place, pictures.path]) not in (place, pictures.path):
            continue
        here = {}
        for split in SPLITS:
            path = os.path.join(place, "ImageSets", kind, f"{split}.txt")
            if os.path.isfile(path) and os.path.getsize(path) and tree.may_read(path):
                here[f"{split}_list_file"] = path
        if found.keys() & here.keys():
            return {}
        found |= here
    return found if "train_list_file" in found else {}


def _title(name: str) -> str:
    return f"Object detection ({FORMATS[name][0]})"


__all__ = ["BySplit", "find", "lists_of"]
