"""Which label belongs to which picture: files of two folders that have the same name but for the ending.

Looked for in this order, each time among what is left over; a pair is made only where one file of each side fits:

1. the same path below both folders, with its ending, then without;
2. the longest end: the path of one below its folder is an end of the other's;
3. the same path but for folders that only say which side it is (`a/images/1.png`, `a/labels/1.txt`);
4. the same base name, where one side is flat (all its files lie in the folder itself);
5. all of this without a known addition such as `_mask` or `_leftImg8bit`: of the label, of the picture, of both.

What is then left over is compared once more without regard to capitals. Names are spelled as in `files/names.py`.
"""

from __future__ import annotations

import os
import re
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from digits.extensions.data.files.names import below, last_parts, listed, neither, plain, stem
from digits.extensions.data.images.findings import Findings

ADDITIONS = re.compile(
    r"(_leftImg8bit|_gtFine_labelIds|_gtFine_labelTrainIds|_gtCoarse_labelIds|_(mask|masks|label|labels|gt|seg|segmentation|"
    r"target|noisy|clean|input|output)|_L)$",
    re.IGNORECASE,
)
JPEG = (".jpg", ".jpeg", ".jpe", ".jfif")
SIDES = frozenset(
    {
        *("image", "images", "img", "imgs", "jpegimages", "leftimg8bit", "photo", "photos", "picture", "pictures"),
        *("feature", "features", "input", "inputs", "label", "labels", "output", "outputs", "target", "targets"),
        *("annot", "annotation", "annotations", "annots", "gt", "gtcoarse", "gtfine", "ground_truth", "groundtruth"),
        *("mask", "masks", "seg", "segmentation", "segmentationclass", "segmentations", "segs"),
    }
)
ADVICE = "Give a picture and its label the same path below both folders."
Spelling = Callable[[str], str]


@dataclass(frozen=True)
class Pairs:
    """Pairs in the order of the pictures, and the files of both sides that found no partner. `unclear` has pictures that several
    labels fit, or that share a label with others, with the reason."""

    pairs: list[tuple[str, str]]
    unpaired_features: list[str]
    unpaired_labels: list[str]
    unclear: list[tuple[str, str]] = field(default_factory=list)

    def report(self, findings: Findings, stage: str, no_label: str, no_picture: str, *, lost: bool = True) -> None:
        """Note what has no partner, with these reasons, and what has more than one; `lost`: its record is missed, unless it only
        belongs to a picture that has its label (`1_superpixels.png`)."""
        owners = {stem(path) for path, _ in self.pairs} if self.unpaired_features else set()
        for path, reason in self.unclear:
            findings.add("pair", reason, path, stage, lost=lost)
        for path in self.unpaired_features:
            findings.add("pair", no_label, path, stage, lost=lost and not _belongs(stem(path), owners))
        for path in self.unpaired_labels:
            findings.add("pair", no_picture, path, stage)


def match(
    feature_root: str, features: Sequence[str], label_root: str, labels: Sequence[str], *, both_additions: bool = True
) -> Pairs:
    """Pair the files of two folders (absolute paths). Without `both_additions` two files that are the same but for different
    additions (`1_noisy`, `1_clean`) do not belong together."""
    matching = _Matching(_Side(feature_root, features), _Side(label_root, labels))
    for whole, short, base in ((plain, stem, base_name), (_plain_folded, _stem_folded, _base_folded)):
        matching.whole_names(whole, short)
        matching.paths_and_names(short, short)
        for side in (("label",), ("feature",), ("feature", "label") if both_additions else ()):
            matching.without_additions(short, base, side)
        if not matching.has_capitals(short):
            break
    return matching.result()


def _belongs(name: str, owners: set[str]) -> bool:
    """Whether a name is one of these with a word behind it."""
    borders = (place for place, character in enumerate(name) if character in "_-. ")
    return any(name[:place] in owners and any(map(str.isalpha, name[place:])) for place in borders)


def base_name(path: str) -> str:
    """A path without its ending and a known addition such as `_mask`."""
    return ADDITIONS.sub("", stem(path))


def has_addition(path: str) -> bool:
    """Whether the file's name ends in a known addition such as `_mask`."""
    return ADDITIONS.search(stem(path)) is not None


def told_apart(paths: Sequence[str]) -> tuple[list[str], list[str]]:
    """The pictures and the labels among files of one folder: a label has a known addition (`1.png`, `1_mask.png`), unless that
    belongs to the name of a picture (`room_clean.png`, `room_clean_mask.png`). Where none has, a label is what has the name of a
    JPEG beside it (`1.jpg`, `1.png`)."""
    owners = {base_name(path) for path in paths if has_addition(path)}
    labels = [path for path in paths if has_addition(path) and stem(path) not in owners] or _beside_jpegs(paths)
    chosen = set(labels)
    return [path for path in paths if path not in chosen], labels


def _beside_jpegs(paths: Sequence[str]) -> list[str]:
    """Files that are no JPEG and have the name of one, where nearly all of them have, and most JPEGs have such a file."""
    jpegs = {stem(path) for path in paths if path.lower().endswith(JPEG)}
    others = [path for path in paths if not path.lower().endswith(JPEG)]
    found = {name: path for path in others if (name := stem(path)) in jpegs}
    return list(found.values()) if 2 * len(found) >= len(jpegs) and 10 * len(found) >= 9 * len(others) else []


class _Side:
    """The files of one folder: `open` are the numbers of those without a partner."""

    def __init__(self, root: str, paths: Sequence[str]) -> None:
        self.root, self.paths = root.rstrip("/"), paths
        self.below = [below(self.root, path) for path in paths]
        self.open = dict.fromkeys(range(len(paths)))
        self.flat = not any("/" in path for path in self.below)
        self._spelled: dict[Spelling, dict[int, str]] = {}

    def spelled(self, spelling: Spelling) -> Mapping[int, str]:
        """The paths of (at least) the open files in a spelling."""
        if spelling not in self._spelled:
            self._spelled[spelling] = {row: spelling(self.below[row]) for row in self.open}
        return self._spelled[spelling]


@dataclass(frozen=True)
class _Group:
    """Files of both sides with one base name, and their paths (and those of the roots) in the spelling that counts."""

    features: list[int]
    labels: list[int]
    of_feature: Mapping[int, str]
    of_label: Mapping[int, str]
    roots: tuple[str, str]


class _Matching:
    """Joins two sides: files with the same base name first, and within those the paths."""

    def __init__(self, features: _Side, labels: _Side) -> None:
        self.features, self.labels = features, labels
        self.partner: dict[int, int] = {}
        self.unclear: dict[int, str] = {}

    def whole_names(self, whole: Spelling, short: Spelling) -> None:
        """The same path with its ending, byte by byte and then as it reads; `1.png` and its `1.png.txt`."""
        for of_feature, of_label in ((str, str), (whole, whole), (whole, short)):
            paths, others = self.features.spelled(of_feature), self.labels.spelled(of_label)
            self._join(list(self.features.open), list(self.labels.open), paths.__getitem__, others.__getitem__)

    def paths_and_names(self, of_feature: Spelling, of_label: Spelling, rows: tuple[list[int], list[int]] | None = None) -> None:
        """From the path below the folders down to the base name, without which nothing fits; of all open files, or of some."""
        features, labels = rows or (list(self.features.open), list(self.labels.open))
        if not (features and labels):
            return
        paths, others = self.features.spelled(of_feature), self.labels.spelled(of_label)
        self._join(features, labels, paths.__getitem__, others.__getitem__)
        features, labels = self._left(features, labels)
        named = _by(labels, lambda row: os.path.basename(others[row]))
        roots = (of_feature(self.features.root + "/"), of_label(self.labels.root + "/"))
        for name, found in _by(features, lambda row: os.path.basename(paths[row])).items():
            if name in named:
                self._within(_Group(found, named[name], paths, others, roots))

    def without_additions(self, short: Spelling, base: Spelling, sides: tuple[str, ...]) -> None:
        """The same for files of one side, or both, whose name has an addition that is left away."""
        if not sides or not (self.features.open and self.labels.open):
            return
        spellings, rows = [], []
        for word, side in (("feature", self.features), ("label", self.labels)):
            full, cut = side.spelled(short), side.spelled(base)
            spellings.append(base if word in sides else short)
            rows.append([row for row in side.open if word not in sides or full[row] != cut[row]])
        self.paths_and_names(spellings[0], spellings[1], (rows[0], rows[1]))

    def has_capitals(self, short: Spelling) -> bool:
        """Whether comparing without regard to capitals can find more."""
        both = [side.spelled(short)[row] for side in (self.features, self.labels) for row in side.open]
        return bool(self.features.open and self.labels.open) and any(name != name.casefold() for name in both)

    def result(self) -> Pairs:
        pictures, labels = self.features.paths, self.labels.paths
        return Pairs(
            [(pictures[row], labels[self.partner[row]]) for row in sorted(self.partner)],
            [pictures[row] for row in self.features.open],
            [labels[row] for row in self.labels.open],
            [(pictures[row], self.unclear[row]) for row in sorted(self.unclear)],
        )

    def _within(self, group: _Group) -> None:
        paths, others = group.of_feature, group.of_label
        self._ends(group)
        self._join(group.features, group.labels, lambda row: _without_sides(paths[row]), lambda row: _without_sides(others[row]))
        if self.features.flat or self.labels.flat:
            self._join(group.features, group.labels, lambda row: ".", lambda row: ".")

    def _ends(self, group: _Group) -> None:
        """Pairs of which one's whole path is an end of the other's, the longest first; a base name alone is none."""
        features, labels = self._left(group.features, group.labels)
        if not features or not labels:
            return
        paths, others = group.of_feature, group.of_label
        depths = {paths[row].count("/") + 1 for row in features} | {others[row].count("/") + 1 for row in labels}
        for depth in sorted(depths - {1}, reverse=True):
            features, labels = self._left(features, labels)
            found = _by(labels, lambda row: last_parts(group.roots[1] + others[row], depth))  # noqa: B023 - used at once
            for end, rows in _by(features, lambda row: last_parts(group.roots[0] + paths[row], depth)).items():  # noqa: B023
                ends = found.get(end, [])
                whole, whole_labels = [row for row in rows if paths[row] == end], [row for row in ends if others[row] == end]
                if whole or whole_labels:
                    self._settle(whole or rows, whole_labels or ends)

    def _left(self, features: list[int], labels: list[int]) -> tuple[list[int], list[int]]:
        return [row for row in features if row in self.features.open], [row for row in labels if row in self.labels.open]

    def _join(
        self, features: list[int], labels: list[int], of_feature: Callable[[int], str], of_label: Callable[[int], str]
    ) -> None:
        features, labels = self._left(features, labels)
        if features and labels:
            found = _by(labels, of_label)
            for key, rows in _by(features, of_feature).items():
                self._settle(rows, found.get(key, []))

    def _settle(self, features: list[int], labels: list[int]) -> None:
        """One of each side is a pair; more are none, and wait for nothing further."""
        if not labels:
            return
        if len(features) == len(labels) == 1:
            self.partner[features[0]] = labels[0]
        else:
            reason = self._reason(features, labels)
            self.unclear |= dict.fromkeys(features, reason)
        for row in features:
            del self.features.open[row]
        for row in labels:
            del self.labels.open[row]

    def _reason(self, features: list[int], labels: list[int]) -> str:
        names = [self.labels.below[row] for row in labels]
        others = [self.features.below[row] for row in features]
        fits = f"It fits {listed(names)}" if len(names) > 1 else f"{names[0]} fits {listed(others)}"
        return f"{fits}: {neither(names if len(names) > 1 else others)} is taken. {ADVICE}"


def _by(rows: Iterable[int], key: Callable[[int], str]) -> dict[str, list[int]]:
    """Rows by a key; those whose key is empty are left out."""
    found: dict[str, list[int]] = defaultdict(list)
    for row in rows:
        if name := key(row):
            found[name].append(row)
    return found


def _plain_folded(path: str) -> str:
    return plain(path).casefold()


def _stem_folded(path: str) -> str:
    return stem(path).casefold()


def _base_folded(path: str) -> str:
    return base_name(path).casefold()


def _without_sides(path: str) -> str:
    """A path without the folders that only say whether pictures or labels lie in them."""
    folders, _, name = path.rpartition("/")
    return "/".join([*(folder for folder in folders.split("/") if folder and folder.lower() not in SIDES), name])
