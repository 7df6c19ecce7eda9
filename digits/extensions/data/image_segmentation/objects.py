"""A mask for each object: which masks belong to which picture, and their union as one mask of two classes.

Forms: `ID/images/ID.png` with `ID/masks/*.png` (Data Science Bowl 2018), a folder of masks with the name of the picture
(`masks/ID/*.png`), and masks that are numbered (`masks/ID_1.png`, `masks/ID_2.png`).
"""

from __future__ import annotations

import os
import re
from collections import defaultdict
from collections.abc import Callable, Sequence

import numpy as np

from digits.errors import LoadImageError
from digits.extensions.data.files.additions import name_of
from digits.extensions.data.files.names import below
from digits.extensions.data.files.pairs import SIDES
from digits.extensions.data.image_segmentation.masks import values_of
from digits.utils.stored import read_stored

NUMBER = re.compile(r"(?P<name>.*?)[ _.-]*(mask|obj|object|instance|inst|label|cell|nucleus)?[ _.(-]*\d+\)?", re.IGNORECASE)
MASK_FOLDERS = frozenset(word for word in SIDES if word.startswith(("mask", "label", "seg", "annot", "gt", "ground", "target")))
SAID = "The masks of single objects are joined to one class, {!r}: where objects touch, nothing tells them apart any more."
Groups = list[tuple[str, list[str]]]  # pictures with their masks
Key = Callable[[str], str]


def by_folders(root: str, paths: Sequence[str]) -> tuple[list[str], list[str]]:
    """Files below one folder as pictures and masks, by the folders they lie in."""
    is_mask = {path: not MASK_FOLDERS.isdisjoint(below(root, path).lower().split("/")[:-1]) for path in paths}
    return [path for path in paths if not is_mask[path]], [path for path in paths if is_mask[path]]


def grouped(root: str, pictures: Sequence[str], label_root: str, masks: Sequence[str], *, numbered: bool = True) -> Groups:
    """Each picture with its masks; empty where fewer than half of the pictures have any, or none has more than one.

    Without `numbered` only folders count, not the names of the masks.
    """
    of_folders: tuple[Key, Key] = (_case_folder, _case_folder)
    of_names: tuple[Key, Key] = (lambda path: _plain_path(os.path.join(os.path.dirname(path), name_of(path))), _parent)
    of_numbers: tuple[Key, Key] = (of_names[0], _unnumbered)
    for of_picture, of_mask in (of_folders, of_names, *([of_numbers] if numbered else [])):
        found = _grouped(root, pictures, label_root, masks, of_picture, of_mask)
        if 2 * len(found) >= len(pictures) and any(len(group) > 1 for _, group in found):
            return found
    return []


def joined(paths: Sequence[str]) -> tuple[np.ndarray, int]:
    """The union of the masks of a picture, (H, W) uint8 of 0 and 1, and the orientation that they were turned from.

    A pixel belongs to an object from half of the mask's greatest value on. Raises LoadImageError.
    """
    union: np.ndarray | None = None
    orientation = 1
    for path in paths:
        stored = read_stored(path)
        mask = values_of(stored, path)
        if union is None:
            union, orientation = np.zeros(mask.shape, np.uint8), stored.orientation
        if mask.shape != union.shape:
            sizes = f"{mask.shape[1]}x{mask.shape[0]} pixels, {paths[0]} {union.shape[1]}x{union.shape[0]}"
            raise LoadImageError(f"{path} has {sizes}.", advice="All masks of a picture must have its size.")
        union[mask > mask.max() // 2] = 1
    assert union is not None, "a picture is grouped with at least one mask"
    return union, orientation


def _grouped(root: str, pictures: Sequence[str], label_root: str, masks: Sequence[str], of_picture: Key, of_mask: Key) -> Groups:
    by_key: dict[str, list[str]] = defaultdict(list)
    for path in masks:
        by_key[of_mask(below(label_root, path))].append(path)
    own: dict[str, list[str]] = defaultdict(list)
    for path in pictures:
        own[of_picture(below(root, path))].append(path)
    return [(paths[0], by_key[key]) for key, paths in own.items() if len(paths) == 1 and by_key.get(key)]


def _case_folder(path: str) -> str:
    """`ID` of `ID/images/x.png` and of `ID/masks/y.png`; a key that nothing else has for other paths."""
    case, _, side = os.path.dirname(path).rpartition("/")
    return f"{case}/" if case and side.lower() in SIDES else path


def _parent(path: str) -> str:
    return _plain_path(os.path.dirname(path))


def _unnumbered(path: str) -> str:
    found = NUMBER.fullmatch(name_of(path))
    return _plain_path(os.path.join(os.path.dirname(path), found["name"])) if found else path + "\n"


def _plain_path(path: str) -> str:
    """A path without the folders that only say which side it is."""
    folders, _, name = path.rpartition("/")
    return "/".join([*(folder for folder in folders.split("/") if folder and folder.lower() not in SIDES), name])
