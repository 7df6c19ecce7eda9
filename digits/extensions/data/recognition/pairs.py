"""Segmentation and image processing: pictures whose labels are pictures."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from PIL import Image

from digits.errors import DataError
from digits.extensions.data.files.additions import are_labels, namings_of
from digits.extensions.data.files.names import stem
from digits.extensions.data.files.pairs import has_addition, told_apart
from digits.extensions.data.image_segmentation.kinds import BINARY, CLASSES, COLOURS, OBJECTS, PANOPTIC, kind_of
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
KINDS = (CLASSES, BINARY, COLOURS, OBJECTS)  # of masks, the better first
SEEN = 30  # names of a folder that show whether some have additions
MOST_NAMED = 2000  # files whose names are compared with each other
SECOND = ("instance", "object", "panoptic", "colormap", "colourmap", "visual")  # other views of labels
MOST_VERSIONS = 30  # of the same pictures
LEAST_ALIKE, ALIKE = 3, 0.95  # masks, and their correlation
HALVES = 8  # pictures at least whose two halves are taken for input and target


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
    found = [item for item in partners(tree, IMAGE, lambda folder: folder.is_label) if not _says_nothing(tree, item[1].labels)]
    most = {split: max(pair.count for other, pair in found if other == split) for split, _ in found}
    rated = [(_rank(tree, pair) if pair.count == most[split] else (0, 0), split, pair) for split, pair in found]
    best = best_by_split(tree, [(split, pair) for _, split, pair in sorted(rated, key=lambda item: item[0])])
    if not best:
        return
    pair = best["train"]
    reason = f"{pair.count:,} pictures in {pair.pictures.path} have one of their name in {pair.labels}"
    kind = kind_of(_some(_at(tree, pair.labels).below(IMAGE)))
    if kind and kind != PANOPTIC:
        values = pair_values(best) | _classes_of(tree, pair.labels, kind)
        values |= lists_of(tree, "Segmentation", pair.pictures) if set(best) == {"train"} else {}
        objects = ", which seem to number objects" if kind == OBJECTS else ""
        yield Proposal("image-segmentation", "Segmentation", f"{reason}: masks{objects}.", values, total(best), tree.complete)
    if kind != PANOPTIC:
        yield Proposal("image-processing", "Image processing", f"{reason}.", pair_values(best), total(best), tree.complete)


def _rank(tree: Tree, pair: Partners) -> tuple[int, int]:
    """Of labels that as many pictures have, those that say most: numbers of classes before colours; then the plainer path."""
    kind = kind_of(_some(_at(tree, pair.labels).below(IMAGE)))
    place = KINDS.index(kind) if kind in KINDS else len(KINDS)
    return place + len(KINDS) * any(word in pair.labels.lower() for word in SECOND), pair.labels.count("/")


def _says_nothing(tree: Tree, labels: str) -> bool:
    """Whether masks that are all alike (what a camera sees at all) lie beside other labels."""
    folder = _at(tree, labels)
    return any(one.is_label and one.names(IMAGE) for one in _beside(folder)) and are_alike(_some(folder.below(IMAGE)))


def are_alike(paths: Sequence[str]) -> bool:
    """Whether all pictures show nearly the same; those of one value show nothing."""
    small = [one for one in map(_small, paths) if one is not None and one.std()]
    if len(small) < LEAST_ALIKE or len(small) < len(paths):
        return False
    return all(float(np.corrcoef(small[0], one)[0, 1]) > ALIKE for one in small[1:])


def _by_naming(tree: Tree) -> Iterator[Proposal]:
    """A folder of labels beside one of pictures, whose names have additions that are seen from themselves (`*_manual1`)."""
    found = []
    for labels in (folder for folder in tree.folders if folder.is_label and folder.names(IMAGE)):
        for pictures in (one for one in _beside(labels) if one.names(IMAGE) and not one.is_label):
            sides = Sides(pictures.path, pictures.paths(IMAGE), labels.path, labels.paths(IMAGE))
            alien = tree.split_of(pictures) not in ("", tree.split_of(labels)) or pictures.bases(IMAGE) & labels.bases(IMAGE)
            if not alien and not _says_nothing(tree, labels.path) and (naming := _naming(sides)):
                count = min(len(pictures.names(IMAGE)), len(labels.names(IMAGE)))
                found.append((tree.split_of(labels), Partners(pictures, labels.path, count), naming))
    if best := best_by_split(tree, [(split, pair) for split, pair, _ in found]):
        named = next(named for _, pair, named in found if pair is best["train"])
        reason = f"The pictures in {best['train'].labels} are named {named}."
        kind = kind_of(_some(_at(tree, best["train"].labels).paths(IMAGE)))
        values = pair_values(best) | (_colour_map(tree) if kind == COLOURS else {})
        yield Proposal("image-segmentation", "Segmentation", reason, values, total(best), tree.complete)


def _naming(sides: Sides) -> str:
    """How masks are named; empty where that is not seen, or where there are several of each picture."""
    try:
        return str(sides.naming() or "")
    except DataError:
        return ""


def _one_folder(tree: Tree) -> Iterator[Proposal]:
    """Pictures and their labels in the same folders, told apart by their names (`1.png`, `1_mask.png`)."""
    found = [(tree.split_of(folder), folder, labels) for folder, labels in _outermost(tree)]
    best = best_by_split(tree, [(split, Partners(folder, folder.path, len(labels.paths))) for split, folder, labels in found])
    if not best:
        return
    pair = best["train"]
    labels = next(labels for _, folder, labels in found if folder is pair.pictures)
    reason = f"{pair.count:,} pictures in {pair.labels} have one beside them whose name says that it is the label"
    kind = kind_of(_some(labels.paths))
    if kind and kind != PANOPTIC:
        values = pair_values(best) | (_colour_map(tree) if kind == COLOURS else {})
        values |= {"mask_pattern": labels.pattern} if labels.pattern else {}
        yield Proposal("image-segmentation", "Segmentation", f"{reason}: masks.", values, total(best), tree.complete)
    elif not labels.pattern:
        yield Proposal("image-processing", "Image processing", f"{reason}.", pair_values(best), total(best), tree.complete)


@dataclass(frozen=True)
class Beside:
    """Labels that lie beside their pictures, and the pattern of their names where that must be said."""

    paths: list[str]
    pattern: str = ""


def beside(folder: Folder) -> Beside | None:
    """The labels among the pictures of a folder and those below it; None where these are no pictures with labels."""
    paths = list(folder.below(IMAGE))
    pictures, labels = told_apart(paths) if any(map(_are_mixed, folder.walk())) else (paths, [])
    folders = {os.path.dirname(path) for path in pictures}
    labels = [path for path in labels if os.path.dirname(path) in folders]
    if labels and 2 * len(labels) >= len(pictures):
        return Beside(labels)
    if len(paths) > MOST_NAMED or not folder.names(IMAGE):
        return None
    labels = are_labels(paths)
    others = set(labels)
    pictures = [path for path in paths if path not in others]
    namings = namings_of(pictures, labels) if 2 * len(labels) >= len(pictures) else []
    for naming in (one for one in namings if one.label.behind.lstrip("_-. ")[:1].isalnum() and not one.label.before):
        chosen = naming.divided(labels)[1]
        if not are_alike(_some(chosen)) and kind_of(_some(chosen)) in (BINARY, CLASSES):
            return Beside(chosen, str(naming) if len(namings) > 1 else "")
    return None


def _are_mixed(folder: Folder) -> bool:
    """Whether some of the folder's own pictures have known additions and some have not."""
    names = folder.names(IMAGE)
    some = names[:: max(1, len(names) // SEEN)] + names[:SEEN]
    return len(set(map(has_addition, some))) > 1


def _outermost(tree: Tree) -> Iterator[tuple[Folder, Beside]]:
    """Folders of pictures, those that hold only folders of splits not."""
    done: list[Folder] = []
    for folder in tree.folders:  # a folder comes before those below it
        if not folder.below(IMAGE) or any(one.holds(folder) for one in done):
            continue
        inside = {tree.split_of(one) for one in folder.walk() if one.names(IMAGE)}
        if inside == {tree.split_of(folder)} and not _has_one(folder) and (labels := beside(folder)):
            done.append(folder)
            yield folder, labels


def _has_one(folder: Folder) -> bool:
    """Whether all its pictures lie in one folder below it."""
    return not folder.names(IMAGE) and sum(bool(one.below(IMAGE)) for one in folder.folders) == 1


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
    found = [(parent, versions) for parent in tree.folders if len(versions := same_pictures(parent)) > 1]
    found.sort(key=lambda item: tree.split_of(item[0]) in ("val", "test"))
    for _, versions in found[:1]:
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
    if not 2 <= len(alike) <= MOST_VERSIONS or len(names) < 2:
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


def _classes_of(tree: Tree, labels: str, kind: str) -> Values:
    """What the classes of masks are: a colour map that lies near them, else the known set that the folder's name says."""
    found = _colour_map(tree) if kind == COLOURS else {}
    return found | {"label_set": "" if found else _label_set(labels)}


def _label_set(labels: str) -> str:
    if "camvid" in labels.lower():
        return "camvid"
    return "voc" if os.path.basename(labels) == "SegmentationClass" else ""


FINDERS = (_cityscapes, _two_folders, _by_naming, _one_folder, _objects, _versions, _halves)  # the surest first
