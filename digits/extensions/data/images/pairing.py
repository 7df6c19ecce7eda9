"""Which label belongs to which picture: files of two folders with the same name but for the extension (and a known addition).

A file is looked for under the same path below both folders first, then by its base name where that is unique.
"""

from __future__ import annotations

import os
import re
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

ADDITIONS = re.compile(
    r"(_leftImg8bit|_gtFine_labelIds|_gtFine_labelTrainIds|_gtCoarse_labelIds|_(mask|masks|label|labels|gt|seg|segmentation|"
    r"target|noisy|clean|input|output)|_L)$",
    re.IGNORECASE,
)


@dataclass(frozen=True)
class Pairs:
    """Pairs in the order of the pictures, and the files of both sides that found no partner."""

    pairs: list[tuple[str, str]]
    unpaired_features: list[str]
    unpaired_labels: list[str]


def match(feature_root: str, features: Sequence[str], label_root: str, labels: Sequence[str]) -> Pairs:
    """Pair the files of two folders (absolute paths)."""
    by_path = {_key(label, label_root): label for label in labels}
    by_name = _unique(labels)
    own_names = _unique(features)
    pairs, lonely, used = [], [], set()
    for feature in features:
        name = base_name(feature)
        partner = by_path.get(_key(feature, feature_root)) or (by_name.get(name) if own_names.get(name) else None)
        if partner is None:
            lonely.append(feature)
        else:
            pairs.append((feature, partner))
            used.add(partner)
    return Pairs(pairs, lonely, [label for label in labels if label not in used])


def base_name(path: str) -> str:
    """The file's name without folder, extension and a known addition such as `_mask`."""
    return ADDITIONS.sub("", os.path.splitext(os.path.basename(path))[0])


def has_addition(path: str) -> bool:
    """Whether the file's name ends in a known addition such as `_mask`."""
    return ADDITIONS.search(os.path.splitext(os.path.basename(path))[0]) is not None


def _key(path: str, root: str) -> str:
    folder = os.path.relpath(os.path.dirname(path), root)
    return os.path.join(folder, base_name(path))


def _unique(paths: Iterable[str]) -> dict[str, str]:
    """Base name to path, of those that stand for one file only."""
    found: dict[str, list[str]] = defaultdict(list)
    for path in paths:
        found[base_name(path)].append(path)
    return {name: files[0] for name, files in found.items() if len(files) == 1}
