"""Finding pairs of pictures and splitting them."""

from __future__ import annotations

import os
import random
from collections import Counter
from pathlib import Path

from digits.errors import DataError
from digits.utils.image import is_image_file

Pair = tuple[str, str]
LARGEST_SEED = 1000


def pictures_below(folder: Path) -> list[Path]:
    """Every picture below a folder, sorted by base name; links are followed."""
    found = [Path(root) / name for root, _, names in os.walk(folder, followlinks=True) for name in names if is_image_file(name)]
    return sorted(found, key=lambda path: (path.stem, str(path)))


def pair(feature_folder: Path, label_folder: Path) -> list[Pair]:
    """Pictures with the same base name. Raises DataError naming the first ones without a partner."""
    features, labels = pictures_below(feature_folder), pictures_below(label_folder)
    if not features:
        raise DataError(f"{feature_folder} holds no pictures.", advice="Name a folder with png, jpg, bmp, ppm, pgm or tif files.")
    for folder, other, ours, theirs in (
        (feature_folder, label_folder, features, labels),
        (label_folder, feature_folder, labels, features),
    ):
        alone = sorted((Counter(p.stem for p in ours) - Counter(p.stem for p in theirs)).elements())
        if alone:
            names = ", ".join(alone[:5])
            raise DataError(
                f"{len(alone)} pictures of {folder} have no partner in {other}: {names}.", advice="Give both the same base names."
            )
    return [(str(feature), str(label)) for feature, label in zip(features, labels, strict=True)]


def split(pairs: list[Pair], percent: float, seed: int) -> tuple[list[Pair], list[Pair]]:
    """Training and validation pairs, drawn at random by `seed`."""
    shuffled = list(pairs)
    random.Random(seed).shuffle(shuffled)
    count = int(len(shuffled) * percent / 100)
    return shuffled[count:], shuffled[:count]


def new_seed() -> int:
    """A seed to keep in userdata."""
    return random.randint(0, LARGEST_SEED)
