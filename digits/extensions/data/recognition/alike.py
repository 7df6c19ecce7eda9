"""Which pictures show the same, seen from a few of them made small."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping, Sequence

import numpy as np
from PIL import Image

from digits.extensions.data.files.names import stem
from digits.extensions.data.recognition.tree import IMAGE, Folder, split_of
from digits.utils.confinement import open_file

LOOKED_AT = 6  # files
SAME = 0.8  # correlation of small pictures from which on they show the same
MOST_VERSIONS = 30  # of the same pictures
LEAST_ALIKE, ALIKE = 3, 0.95  # masks, and their correlation
SIDE = 16
SCALE = re.compile(r"x\d{1,2}|\d{1,2}x", re.IGNORECASE)


def some(paths: Sequence[str], count: int = LOOKED_AT) -> list[str]:
    """A few of many, from all parts."""
    return list(paths[:: max(1, len(paths) // count)][:count])


def are_alike(paths: Sequence[str]) -> bool:
    """Whether all pictures show nearly the same; those of one value show nothing."""
    found = [one for one in map(small, paths) if one is not None and one.std()]
    if len(found) < LEAST_ALIKE or len(found) < len(paths):
        return False
    return all(correlation(found[0], one) > ALIKE for one in found[1:])


def same_pictures(parent: Folder) -> list[Folder]:
    """Folders beside each other that hold the same pictures in several versions, under the same names but for a scale that is the
    folder's name too (`X2/1x2.png`); empty for none."""
    folders = [folder for folder in parent.folders if folder.names(IMAGE) and not split_of(folder.name)]
    if len(folders) < 2:
        return []
    first = _by_name(folders[0])
    alike = [(folder, paths) for folder in folders if (paths := _by_name(folder)).keys() == first.keys()]
    if not 2 <= len(alike) <= MOST_VERSIONS or len(first) < 2:
        return []
    chosen = some(sorted(first))
    return [folder for folder, paths in alike if folder is folders[0] or _correlate(first, paths, chosen) > SAME]


def _by_name(folder: Folder) -> dict[str, str]:
    """The pictures of a folder by their names without its scale."""
    own = folder.name.casefold() if SCALE.fullmatch(folder.name) else ""
    return {stem(os.path.basename(path)).casefold().replace(own, ""): path for path in folder.paths(IMAGE)}


def _correlate(one: Mapping[str, str], other: Mapping[str, str], names: Sequence[str]) -> float:
    """The middle correlation of pictures of the same name, as small grey ones."""
    pairs = [(small(one[name]), small(other[name])) for name in names]
    found = [correlation(*pair) for pair in pairs if all(side is not None and side.std() for side in pair)]  # type: ignore[arg-type]
    return float(np.median(found)) if found else 0.0


def small(path: str) -> np.ndarray | None:
    """A picture as 256 grey values, float (256,); None where it cannot be read."""
    try:
        with open_file(path) as file, Image.open(file) as image:
            image.draft("L", (4 * SIDE, 4 * SIDE))
            return np.asarray(image.convert("L").resize((SIDE, SIDE)), float).ravel()
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError):
        return None


def correlation(one: np.ndarray, other: np.ndarray) -> float:
    """That of two small pictures, float (256,) each; from -1 to 1."""
    return float(np.corrcoef(one, other)[0, 1])
