"""Segmentation and image processing: pictures whose labels are pictures."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass

from digits.extensions.data.files.additions import Naming, are_labels, namings_of
from digits.extensions.data.files.pairs import JPEG, has_addition, told_apart
from digits.extensions.data.image_segmentation.kinds import BINARY, CLASSES, COLOURS, OBJECTS, kind_of
from digits.extensions.data.image_segmentation.partners import Sides
from digits.extensions.data.images.sizes import NO_SIZE, picture_size
from digits.extensions.data.recognition.alike import are_alike, some
from digits.extensions.data.recognition.boxes import lists_of
from digits.extensions.data.recognition.inside import scene_folders
from digits.extensions.data.recognition.offers import larger, offers
from digits.extensions.data.recognition.partners import partners
from digits.extensions.data.recognition.proposals import Finding, Partners, Proposal, best_by_split, pair_values, total
from digits.extensions.data.recognition.tree import IMAGE, Folder, Tree, says_target, without_split

KINDS = (CLASSES, BINARY, COLOURS, OBJECTS)  # of masks, the better first
SEEN = 30  # names of a folder that show whether some have additions
MOST_NAMED = 2000  # files whose names are compared with each other
SECOND = ("instance", "object", "panoptic", "colormap", "colourmap", "visual")  # other views of labels
MOST_VARIANTS, MOST_NEAR = 8, 30
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


def _two_folders(tree: Tree) -> Iterator[Finding]:
    """A folder of pictures and one of labels, by the folders' names."""
    scenes = scene_folders(tree)
    found = [
        (split, pair)
        for split, pair in partners(tree, IMAGE, lambda folder: folder.is_label and folder.parent not in scenes)
        if not _says_nothing(tree, pair.labels)
    ]
    most = {split: max(pair.count for other, pair in found if other == split) for split, _ in found}
    rated = [(_rank(tree, pair) if pair.count == most[split] else (0, 0), split, pair) for split, pair in found]
    best = best_by_split(tree, [(split, pair) for _, split, pair in sorted(rated, key=lambda item: item[0])])
    if not best:
        return
    pair = best["train"]
    labels = _at(tree, pair.labels).below(IMAGE)
    lists = lists_of(tree, "Segmentation", pair.pictures) if set(best) == {"train"} else {}
    reason = f"{pair.count:,} pictures in {pair.pictures.path} have one of their name in {pair.labels}"
    yield from offers(tree, best, labels, reason + larger(pair.pictures.below(IMAGE), labels), lists=lists)


def _rank(tree: Tree, pair: Partners) -> tuple[int, int]:
    """Of labels that as many pictures have, those that say most: numbers of classes before colours; then the plainer path."""
    kind = kind_of(some(_at(tree, pair.labels).below(IMAGE)))
    place = KINDS.index(kind) if kind in KINDS else len(KINDS)
    return place + len(KINDS) * any(word in pair.labels.lower() for word in SECOND), pair.labels.count("/")


def _says_nothing(tree: Tree, labels: str) -> bool:
    """Whether masks that are all alike (what a camera sees at all) lie beside other labels."""
    folder = _at(tree, labels)
    return any(one.is_label and one.names(IMAGE) for one in _beside(folder)) and are_alike(some(folder.below(IMAGE)))


def _by_naming(tree: Tree) -> Iterator[Finding]:
    """A folder of labels near one of pictures, whose names have additions that are seen from them: `*_manual1`, `*x2 = *`."""
    found: dict[tuple[str, str], list[tuple[str, Partners]]] = {}
    namings: dict[str, str] = {}  # by the folder of pictures
    for labels in (folder for folder in tree.folders if folder.is_label and folder.names(IMAGE)):
        if _says_nothing(tree, labels.path):
            continue
        for pictures in _near(tree, labels):
            split = tree.split_of(labels)
            if naming := _naming(pictures, labels):
                count = min(len(pictures.names(IMAGE)), len(labels.names(IMAGE)))
                place = without_split(os.path.relpath(pictures.path, tree.root.path))
                found.setdefault((without_split(str(naming)), place), []).append((split, Partners(pictures, labels.path, count)))
                namings[pictures.path] = str(naming)
    variants = sorted(filter(None, (best_by_split(tree, pairs) for pairs in found.values())), key=lambda best: -total(best))
    for best in variants[:MOST_VARIANTS]:
        pair = best["train"]
        labels, pattern = _at(tree, pair.labels), namings[pair.pictures.path]
        reason = f"The pictures in {pair.pictures.path} and {pair.labels} are named {pattern}"
        more = larger(pair.pictures.paths(IMAGE), labels.paths(IMAGE))
        is_one = len({namings[one.pictures.path] for one in best.values()}) == 1  # else each split is seen by itself
        inputs = {one["train"].pictures for one in variants}
        variant = "" if len(variants) < 2 else pair.pictures.name if len(inputs) > 1 else labels.name
        yield from offers(tree, best, labels.paths(IMAGE), reason + more, pattern=pattern if is_one else "", variant=variant)


def _near(tree: Tree, labels: Folder) -> list[Folder]:
    """Folders of pictures of the same split beside one of labels, and below those."""
    splits = ("", tree.split_of(labels))
    inner = (one for other in _beside(labels) for one in other.walk() if one.names(IMAGE) and not one.is_label)
    return [one for one in inner if tree.split_of(one) in splits][:MOST_NEAR]


def _naming(pictures: Folder, labels: Folder) -> Naming | None:
    """How labels are named, or pictures after their labels; None where that is not seen, where most labels have the name of a
    picture, or where there are several of each."""
    both = pictures.paths(IMAGE), labels.paths(IMAGE)
    if pictures.bases(IMAGE) & labels.bases(IMAGE) or max(map(len, both)) > MOST_NAMED:
        return None
    found = namings_of(*both)
    if not found and says_target(labels.name):
        found = [Naming(naming.label, naming.picture) for naming in namings_of(both[1], both[0])]
    return found[0] if len(found) == 1 else None


def _one_folder(tree: Tree) -> Iterator[Finding]:
    """Pictures and their labels in the same folders, told apart by their names (`1.png`, `1_mask.png`) or endings."""
    found = [(tree.split_of(folder), folder, labels) for folder, labels in _outermost(tree)]
    best = best_by_split(tree, [(split, Partners(folder, folder.path, len(labels.paths))) for split, folder, labels in found])
    if not best:
        return
    pair = best["train"]
    labels = next(labels for _, folder, labels in found if folder is pair.pictures)
    how = "whose name says that it is the label" if has_addition(labels.paths[0]) or labels.pattern else "with another ending"
    reason = f"{pair.count:,} pictures in {pair.labels} have one beside them {how}"
    yield from offers(tree, best, labels.paths, reason, pattern=labels.pattern)


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
        if not are_alike(some(chosen)) and kind_of(some(chosen)) in (BINARY, CLASSES):
            return Beside(chosen, str(naming) if len(namings) > 1 else "")
    return None


def _are_mixed(folder: Folder) -> bool:
    """Whether some of the folder's own pictures have known additions, or are JPEG, and some are not."""
    names = folder.names(IMAGE)
    chosen = names[:: max(1, len(names) // SEEN)] + names[:SEEN]
    return len(set(map(has_addition, chosen))) > 1 or len({name.lower().endswith(JPEG) for name in chosen}) > 1


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


def _halves(tree: Tree) -> Iterator[Proposal]:
    """Input and target side by side in one file: all of one size, twice as wide as high, in folders of splits."""
    found = []
    for folder in tree.folders:
        paths = folder.paths(IMAGE)
        if len(paths) < HALVES or not tree.split_of(folder):
            continue
        sizes = {picture_size(path) for path in some(paths)}
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


FINDERS = (_cityscapes, _two_folders, _by_naming, _one_folder, _objects, _halves)  # the surest first
