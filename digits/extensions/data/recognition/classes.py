"""Image classification: sub-folders of pictures, one for each class."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from itertools import pairwise

from digits.extensions.data.files.names import listed, stem
from digits.extensions.data.files.pairs import base_name
from digits.extensions.data.recognition.alike import SCALE, same_pictures
from digits.extensions.data.recognition.pairs import beside
from digits.extensions.data.recognition.proposals import Finding, Proposal, Remark
from digits.extensions.data.recognition.splits import said
from digits.extensions.data.recognition.tree import IMAGE, Folder, Tree, says_input, says_label, says_pictures, says_target
from digits.extensions.data.recognition.versions import say_versions
from digits.utils.values import is_digits

LEAST = 2  # pictures of a class
SEEN = 100  # names of a folder
BORDERS = re.compile("[^A-Za-z0-9]")
NUMBERS = re.compile("[0-9]+")
PARTS = frozenset({"part", "parts", "batch", "fold", "chunk", "shard", "volume", "archive"})


def find(tree: Tree) -> Iterator[Finding]:
    """Of each split the folder whose sub-folders hold most pictures."""
    best: dict[str, tuple[int, list[Folder], Folder]] = {}
    others: dict[str, list[Folder]] = {}
    visible = set(tree.folders)
    labelled = _labelled(tree)
    for parent in tree.folders:
        if _are_labels(parent, labelled) or (classes := _classes(tree, parent, visible)) is None:
            continue
        if any(_are_labels(folder, labelled) for folder in classes) and not _are_called_so(parent, classes):
            continue
        count = sum(len(folder.below(IMAGE)) for folder in classes)
        split = tree.split_of(parent) or "train"
        others.setdefault(split, []).append(parent)
        if split not in best or count > best[split][0]:
            best[split] = count, classes, parent
    if "train" not in best:
        return
    _, found, train = best["train"]
    values = {"method": "folder"} | {f"folder_{split}": parent.path for split, (_, _, parent) in best.items()}
    flags = {f"has_{split}_folder": True for split in ("val", "test") if split in best}
    reason = f"{train.path} has {len(found):,} sub-folders of pictures, one for each class."
    versions = same_pictures(train)
    if len(versions) > 1:
        reason += (
            f" {versions[0].name} and {versions[1].name} hold the same names and like pictures: they may be versions instead."
        )
    records, likely = sum(number for number, _, _ in best.values()), not _elsewhere(tree, train, found)
    yield Proposal("image-classification-folder", "Image classification", reason, values | flags, records, tree.complete, likely)
    yield from said(tree, train, found)
    if more := [parent for parent in others["train"] if not (parent.holds(train) or train.holds(parent))]:
        places = listed([os.path.relpath(parent.path, tree.root.path) for parent in more])
        yield Remark(f"Folders of classes lie in {places} too: each is a data set of its own.")


def _classes(tree: Tree, parent: Folder, visible: set[Folder]) -> list[Folder] | None:
    """The folders of the classes; None where these are none: splits, labels, or the same pictures in several versions."""
    filled = [folder for folder in parent.folders if len(folder.below(IMAGE)) >= LEAST and folder in visible]
    found = filled if filled and all(map(_has_parts_of_its_name, filled)) else [one for one in filled if _is_leaf(one)]
    if len(found) < 2 or any(tree.split_of(folder) != tree.split_of(parent) for folder in found):
        return None
    names = {folder.name for folder in found}
    if any(len(names & {one.name for one in folder.folders}) > 1 for folder in filled):  # all once more, one level below
        return None
    if len({says_label(folder.name) for folder in found}) > 1 or _are_parts(found) or _are_blocks(found):
        return None
    if _are_sides([folder.name for folder in found]):
        return None
    versions = same_pictures(parent)
    if len(versions) > 1 and (say_versions(versions) or len({folder.stems(IMAGE) for folder in versions}) > 1):
        return None
    if any(map(_has_labels, (found[0], found[-1]))):
        return None
    if all(is_digits(folder.name) for folder in found) and _elsewhere(tree, parent, found):  # the frames of numbered videos
        return None
    return found


def _labelled(tree: Tree) -> frozenset[str]:
    """Names of pictures that do not lie in folders of labels; where there are such."""
    if not any(folder.is_label for folder in tree.folders):
        return frozenset()
    return frozenset(base_name(name) for folder in tree.folders if not folder.is_label for name in folder.names(IMAGE))


def _are_labels(folder: Folder, labelled: frozenset[str]) -> bool:
    """Whether a folder whose name says labels holds some: of the names of pictures elsewhere. `with_mask` may be a class."""
    names = folder.bases(IMAGE) if folder.is_label else frozenset()
    return 2 * sum(_begins_with_one(name, labelled) for name in names) >= len(names) > 0


def _begins_with_one(name: str, known: frozenset[str]) -> bool:
    """Whether a name is one of these, perhaps with a word behind it (`IDRiD_01_MA`)."""
    return name in known or any(name[: border.start()] in known for border in BORDERS.finditer(name))


def _are_called_so(parent: Folder, found: list[Folder]) -> bool:
    """Whether class folders only happen to be called like what image processing is to give: `clean` and `dirty`."""
    names = [folder.name for folder in found]
    told = any(says_label(name) or says_input(name) or says_pictures(name) for name in names)
    return not told and len(same_pictures(parent)) < 2


def _are_parts(found: list[Folder]) -> bool:
    """Whether names differ by numbers only and say that these are parts of one set: `batch_1`, `images_part_2`."""
    names = {NUMBERS.sub("", folder.name.lower()) for folder in found}
    words = set(re.findall("[a-z]+", names.pop())) if len(names) == 1 else set()
    return bool(words & PARTS) or any(says_pictures(word) for word in words)


def _are_sides(names: list[str]) -> bool:
    """Whether folders are called like the scales of pictures, or one like what goes in and one like what comes out: `LR` and
    `HR`, but not `low` and `high`, which may be classes."""
    if all(map(SCALE.fullmatch, names)):
        return True
    sure = [name for name in names if not {"low", "high"} & set(re.findall("[a-z]+", name.lower()))]
    return any(map(says_input, sure)) and any(map(says_target, sure))


def _are_blocks(found: list[Folder]) -> bool:
    """Whether numbered pictures go on from folder to folder, each named by its first: `00000/00999.png`, `01000/01000.png`."""
    names = sorted(folder.name for folder in found)
    if not all(map(is_digits, names)) or len({int(name) for name in names}) < len(names):
        return False
    numbers = {int(folder.name): [int(name) for name in folder.stems(IMAGE) if is_digits(name)] for folder in found}
    return all(inner and min(inner) >= first for first, inner in numbers.items()) and all(
        max(numbers[first]) < second for first, second in pairwise(sorted(numbers))
    )


def _elsewhere(tree: Tree, parent: Folder, found: list[Folder]) -> bool:
    """Whether the pictures of the first of the folders lie in one of its name elsewhere too, as labels of them do."""
    return any(
        other.name == found[0].name and other.parent is not parent and other.bases(IMAGE) == found[0].bases(IMAGE)
        for other in tree.folders
    )


def _has_labels(folder: Folder) -> bool:
    """Whether labels lie among its pictures: `1.png` and `1_mask.png`, `GT_1.png` and `NOISY_1.png`."""
    paths = folder.below(IMAGE)
    if beside(folder):
        return True
    said = sum(says_label(stem(os.path.basename(path))) for path in paths[:SEEN])
    return len(paths[:SEEN]) <= 4 * said <= 3 * len(paths[:SEEN])


def _is_leaf(folder: Folder) -> bool:
    """Whether its pictures lie in it, or in one folder below it, beside which no labels lie (`MOT17-02/img1`, `MOT17-02/gt`)."""
    inner = [one for one in folder.folders if one.below(IMAGE)]
    is_alone = len(inner) == 1 and not any(says_label(one.name) for one in folder.folders)
    return bool(folder.names(IMAGE)) or (is_alone and _is_leaf(inner[0]))


def _has_parts_of_its_name(folder: Folder) -> bool:
    """Whether its pictures lie in folders that have its name in theirs: the clips of an action (`Archery/v_Archery_g01`)."""
    inner = [one for one in folder.folders if one.below(IMAGE)]
    return bool(inner) and not folder.names(IMAGE) and all(folder.name.lower() in one.name.lower() for one in inner)
