"""Segmentation and image processing: pictures whose labels are pictures."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence

import numpy as np
from PIL import Image

from digits.extensions.data.files.names import stem
from digits.extensions.data.files.pairs import has_addition
from digits.extensions.data.image_segmentation.kinds import COLOURS, OBJECTS, PANOPTIC, kind_of
from digits.extensions.data.image_segmentation.partners import Sides
from digits.extensions.data.images.sizes import NO_SIZE, picture_size
from digits.extensions.data.recognition.boxes import lists_of
from digits.extensions.data.recognition.partners import partners
from digits.extensions.data.recognition.proposals import Partners, Proposal, Values, best_by_split, pair_values, total
from digits.extensions.data.recognition.tree import IMAGE, Folder, Tree, split_of

LOOKED_AT = 6  # files
SAME = 0.8  # correlation of small pictures from which on they show the same
COLOUR_MAPS = frozenset(
    {
        "labelmap.txt",
        "label_map.txt",
        "label_colors.txt",
        "label_colours.txt",
        "class_dict.csv",
        "colormap.txt",
        "colors.txt",
        "palette.txt",
    }
)
HALVES = 8  # pictures at least whose two halves are taken for input and target


def find(tree: Tree) -> Iterator[Proposal]:
    """The forms in which labels may lie, the surest first."""
    yield from _cityscapes(tree)
    yield from _two_folders(tree)
    yield from _by_naming(tree)
    yield from _one_folder(tree)
    yield from _objects(tree)
    yield from _versions(tree)
    yield from _halves(tree)


def _cityscapes(tree: Tree) -> Iterator[Proposal]:
    named = {folder.name: folder for folder in reversed(tree.folders)}
    if "leftImg8bit" not in named or "gtFine" not in named:
        return
    labels = {folder.name: folder for folder in named["gtFine"].folders}
    pictures = {folder.name: folder for folder in named["leftImg8bit"].folders if folder.below(IMAGE)}
    found = [
        (split, Partners(pictures[split], labels[split].path, len(pictures[split].below(IMAGE))))
        for split in pictures.keys() & labels
    ]
    if best := best_by_split(tree, found):
        values = pair_values(best) | {"label_set": "cityscapes"}
        reason = "The folders leftImg8bit and gtFine are there."
        yield Proposal("image-segmentation", "Segmentation (Cityscapes)", reason, values, total(best), tree.complete)


def _two_folders(tree: Tree) -> Iterator[Proposal]:
    """A folder of pictures and one of labels, by the folders' names."""
    best = best_by_split(tree, partners(tree, IMAGE, lambda folder: folder.is_label))
    if not best:
        return
    pair = best["train"]
    reason = f"{pair.count:,} pictures in {pair.pictures.path} have one of their name in {pair.labels}"
    kind = kind_of(_some(_at(tree, pair.labels).below(IMAGE)))
    if kind and kind != PANOPTIC:
        values = pair_values(best) | {"label_set": _label_set(pair.labels)}
        values |= lists_of(tree, "Segmentation") if set(best) == {"train"} else {}
        values |= _colour_map(tree) if kind == COLOURS and not values["label_set"] else {}
        objects = ", which seem to number objects" if kind == OBJECTS else ""
        yield Proposal("image-segmentation", "Segmentation", f"{reason}: masks{objects}.", values, total(best), tree.complete)
    if kind != PANOPTIC:
        yield Proposal("image-processing", "Image processing", f"{reason}.", pair_values(best), total(best), tree.complete)


def _by_naming(tree: Tree) -> Iterator[Proposal]:
    """A folder of labels beside one of pictures, whose names have additions that are seen from themselves (`*_manual1`)."""
    found = []
    for labels in (folder for folder in tree.folders if folder.is_label and folder.names(IMAGE)):
        for pictures in (one for one in _beside(labels) if one.names(IMAGE) and not one.is_label):
            sides = Sides(pictures.path, pictures.paths(IMAGE), labels.path, labels.paths(IMAGE))
            if not (pictures.bases(IMAGE) & labels.bases(IMAGE)) and (naming := sides.naming()):
                count = min(len(pictures.names(IMAGE)), len(labels.names(IMAGE)))
                found.append((tree.split_of(labels), Partners(pictures, labels.path, count), str(naming)))
    if best := best_by_split(tree, [(split, pair) for split, pair, _ in found]):
        named = next(named for _, pair, named in found if pair is best["train"])
        reason = f"The pictures in {best['train'].labels} are named {named}."
        yield Proposal("image-segmentation", "Segmentation", reason, pair_values(best), total(best), tree.complete)


def _one_folder(tree: Tree) -> Iterator[Proposal]:
    """Pictures and their labels in one folder, told apart by their names (`1.png`, `1_mask.png`)."""
    for folder in tree.folders:
        paths = folder.paths(IMAGE)
        labels = [path for path in paths if has_addition(path)]
        others = {stem(os.path.basename(path)) for path in paths} - {stem(os.path.basename(path)) for path in labels}
        if not labels or not others or 2 * len(labels) < len(others):
            continue
        values = {"feature_folder": folder.path, "label_folder": folder.path}
        reason = f"{len(labels):,} pictures in {folder.path} have one beside them whose name says that it is the label"
        kind = kind_of(_some(labels))
        if kind and kind != PANOPTIC:
            yield Proposal("image-segmentation", "Segmentation", f"{reason}: masks.", values, len(labels), tree.complete)
        else:
            yield Proposal("image-processing", "Image processing", f"{reason}.", values, len(labels), tree.complete)


def _objects(tree: Tree) -> Iterator[Proposal]:
    """A mask for each object: `ID/images/ID.png` and `ID/masks/*.png`."""
    found: dict[Folder, int] = {}
    for masks in tree.folders:
        case = masks.parent
        if case is None or case.parent is None or case.is_label or not (masks.is_label and masks.names(IMAGE)):
            continue
        if any(len(one.names(IMAGE)) == 1 and not one.is_label for one in case.folders):
            found[case.parent] = found.get(case.parent, 0) + 1
    for folder, count in found.items():
        sides = Sides(folder.path, folder.below(IMAGE), folder.path, folder.below(IMAGE))
        if count > 1 and sides.objects(numbered=False):
            values = {"feature_folder": folder.path, "label_folder": folder.path, "mask_source": "objects"}
            reason = f"{count:,} folders in {folder.path} hold a picture and a mask for each object in it."
            yield Proposal("image-segmentation", "Segmentation (a mask for each object)", reason, values, count, tree.complete)


def _versions(tree: Tree) -> Iterator[Proposal]:
    """Folders with the same names everywhere whose pictures show the same: the one that is told from the others is the target."""
    for parent in tree.folders:
        versions = same_pictures(parent)
        if len(versions) < 2:
            continue
        target = next((folder for folder in versions if folder.is_label), versions[0])
        count = len(target.names(IMAGE))
        for folder in versions:
            if folder is not target:
                values = {"feature_folder": folder.path, "label_folder": target.path}
                reason = f"{folder.name} and {target.name} show the same {count:,} pictures; {target.name} is to come out."
                yield Proposal("image-processing", f"Image processing ({folder.name})", reason, values, count, tree.complete)


def same_pictures(parent: Folder) -> list[Folder]:
    """Folders beside each other that hold the same pictures under the same names, in several versions; empty for none."""
    folders = [folder for folder in parent.folders if folder.names(IMAGE) and not split_of(folder.name)]
    if len(folders) < 2:
        return []
    first = folders[0]
    names = first.stems(IMAGE)
    alike = [folder for folder in folders if folder.stems(IMAGE) == names]
    if len(alike) < 2 or len(names) < 2:
        return []
    chosen = sorted(names)[:: max(1, len(names) // LOOKED_AT)][:LOOKED_AT]
    return [first, *(folder for folder in alike[1:] if _correlate(first, folder, chosen) > SAME)][: len(alike)] if alike else []


def _correlate(one: Folder, other: Folder, names: Sequence[str]) -> float:
    """The middle correlation of pictures of the same name, as small grey ones."""
    found = []
    paths = [{stem(os.path.basename(path)): path for path in folder.paths(IMAGE)} for folder in (one, other)]
    for name in names:
        first, second = (_small(side[name]) for side in paths)
        if first is not None and second is not None and first.std() and second.std():
            found.append(float(np.corrcoef(first, second)[0, 1]))
    return float(np.median(found)) if found else 0.0


def _small(path: str) -> np.ndarray | None:
    """A picture as 256 grey values, float (256,); None where it cannot be read."""
    try:
        with Image.open(path) as image:
            return np.asarray(image.convert("L").resize((16, 16)), float).ravel()
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError):
        return None


def _halves(tree: Tree) -> Iterator[Proposal]:
    """Input and target side by side in one file: all of one size, twice as wide as high, in folders of splits."""
    found = []
    for folder in tree.folders:
        paths = folder.paths(IMAGE)
        if len(paths) < HALVES or not tree.split_of(folder):
            continue
        sizes = {picture_size(path) for path in _some(paths)}
        if len(sizes) == 1 and NO_SIZE not in sizes and all(abs(width - 2 * height) <= 2 for width, height in sizes):
            found.append((tree.split_of(folder), Partners(folder, folder.path, len(paths))))
    if best := best_by_split(tree, found):
        values = {"label_source": "half", "input_half": "left"} | {
            name: path for name, path in pair_values(best).items() if "label_folder" not in name
        }
        reason = f"All pictures in {best['train'].pictures.path} are twice as wide as high: input and target side by side."
        yield Proposal("image-processing", "Image processing (two halves)", reason, values, total(best), tree.complete)


def _beside(folder: Folder) -> list[Folder]:
    return [one for one in folder.parent.folders if one is not folder] if folder.parent is not None else []


def _at(tree: Tree, path: str) -> Folder:
    return next(folder for folder in tree.folders if folder.path == path)


def _some(paths: Sequence[str]) -> list[str]:
    """A few of many, from all parts."""
    return list(paths[:: max(1, len(paths) // LOOKED_AT)][:LOOKED_AT])


def _colour_map(tree: Tree) -> Values:
    """A file near by that says which colour is which class."""
    for folder in tree.folders:
        for path in [*folder.paths(".txt"), *folder.paths(".csv")]:
            if os.path.basename(path).lower() in COLOUR_MAPS and tree.may_read(path):
                return {"colormap_method": "textfile", "colormap_text_file": path}
    return {}


def _label_set(labels: str) -> str:
    if "camvid" in labels.lower():
        return "camvid"
    return "voc" if os.path.basename(labels) == "SegmentationClass" else ""
