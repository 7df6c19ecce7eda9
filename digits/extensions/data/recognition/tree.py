"""A look at somebody's folder that stays cheap: which folders hold which kinds of files, breadth first, of a limited number and
for a limited time.

Links are followed to where files may be read, loops of them cut; hidden files are left out.
"""

from __future__ import annotations

import functools
import os
import re
import time
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import islice

from digits.extensions.data.files.listing import FILE, FOLDER, MayRead, above, kind_of
from digits.extensions.data.files.names import stem
from digits.extensions.data.files.pairs import base_name
from digits.utils.confinement import Confinement
from digits.utils.names import is_hidden, is_image_file

DEPTH = 6
FOLDERS = 6000
FILES = 300_000
SECONDS = 3.0
IMAGE = "image"
SPLITS = ("train", "val", "test")
SPLIT_WORDS = {
    "train": ("train", "training", "trn"),
    "val": ("val", "valid", "validation", "dev", "eval", "evaluation"),
    "test": ("test", "testing", "tst"),
}
ENDING = re.compile(r"\.[a-z0-9]{1,5}$")
DOMAIN = re.compile("[ab]$")  # `trainA` and `trainB`: pictures of two kinds without pairs
_SPLIT_OF = {word: split for split, words in SPLIT_WORDS.items() for word in words}
LABEL_BEGINNINGS = (
    *("label", "mask", "annot", "segm", "target", "truth", "groundtruth", "gtfine", "gtcoarse", "trimap"),
    *("instance", "panoptic", "colormap", "colourmap", "manual"),
)
LABEL_ENDINGS = ("masks", "labels", "annot", "annots")
LABEL_WORDS = frozenset({"gt", "seg", "segs", "ground", "noc"})
TARGET_WORDS = frozenset(  # of no masks: pictures beside masks
    {*("clean", "sharp", "high", "hr", "output", "outputs", "original", "norain", "derained", "dehazed", "hazefree")}
)
INPUT_WORDS = frozenset(
    {
        *(
            "bicubic",
            "blur",
            "blurred",
            "blurry",
            "degraded",
            "haze",
            "hazy",
            "low",
            "lr",
            "noise",
            "noisy",
            "rain",
            "rainy",
            "raindrop",
        ),
        *("compressed", "corrupted", "lowres", "foggy", "snow", "snowy", "dark", "unknown", "mild", "wild", "difficult"),
    }
)
PICTURE_BEGINNINGS = ("image", "img", "jpeg", "photo", "picture", "frame", "input", "noisy", "feature", "leftimg", "rgb")
ASIDE = frozenset(  # folders of a project whose pictures are about the data or made from them
    {
        *(
            "assets",
            "doc",
            "docs",
            "demo",
            "demos",
            "example",
            "examples",
            "figure",
            "figures",
            "figs",
            "media",
            "paper",
            "readme",
        ),
        *("runs", "results", "result", "logs", "log", "checkpoints", "screenshots", "static", "www", "web", "templates"),
        *("node_modules", "notebooks", "src", "scripts", "tools", "utils", "tests", "venv", "site-packages", "__pycache__"),
    }
)


@dataclass(eq=False)
class Folder:
    """One folder: the names of its files that may be read by kind (`image`, or an ending such as `.txt`), and its folders."""

    path: str
    depth: int
    parent: Folder | None = None
    files: dict[str, list[str]] = field(default_factory=dict)
    folders: list[Folder] = field(default_factory=list)

    @property
    def name(self) -> str:
        return os.path.basename(self.path)

    def names(self, kind: str) -> list[str]:
        return self.files.get(kind, [])

    def paths(self, kind: str) -> list[str]:
        """Paths of the files of a kind in the folder itself."""
        return [os.path.join(self.path, name) for name in self.names(kind)]

    def walk(self) -> Iterator[Folder]:
        """The folder and all below it."""
        yield self
        for folder in self.folders:
            yield from folder.walk()

    @functools.cache  # noqa: B019 - a tree lives for one answer
    def below(self, kind: str) -> tuple[str, ...]:
        """Paths of all files of a kind, also in the folders below."""
        return (*self.paths(kind), *(path for folder in self.folders for path in folder.below(kind)))

    @functools.cache  # noqa: B019
    def bases(self, kind: str) -> frozenset[str]:
        """Base names of all files of a kind, without endings and known additions."""
        own = (base_name(name) for name in self.names(kind))
        return frozenset(own).union(*(folder.bases(kind) for folder in self.folders))

    @functools.cache  # noqa: B019
    def stems(self, kind: str) -> frozenset[str]:
        """Names of all files of a kind without endings."""
        return frozenset(map(stem, self.names(kind))).union(*(folder.stems(kind) for folder in self.folders))

    @functools.cache  # noqa: B019
    def base_paths(self, kind: str) -> frozenset[str]:
        """The paths below it of all files of a kind, without endings and known additions."""
        inner = (f"{folder.name}/{path}" for folder in self.folders for path in folder.base_paths(kind))
        return frozenset((*map(base_name, self.names(kind)), *inner))

    @functools.cached_property
    def is_label(self) -> bool:
        """Whether its name, or that of a folder above, says that labels lie in it. The whole data set may be called anything."""
        if self.parent is None or says_pictures(self.name) or any(says_pictures(one.name) for one in self.folders):
            return False  # also `CelebAMask-HQ`, which holds `CelebA-HQ-img`
        if says_target(self.name) and any(says_label(one.name) for one in self.parent.folders):
            return False  # `Original` beside `Ground Truth`
        return says_label(self.name) or says_target(self.name) or self.parent.is_label

    @functools.cached_property
    def is_aside(self) -> bool:
        """Whether it belongs to a project rather than to its data."""
        return self.parent is not None and (self.name.lower() in ASIDE or self.parent.is_aside)

    def holds(self, other: Folder) -> bool:
        """Whether another folder is this one or lies below it."""
        return other is self or other.path.startswith(self.path.rstrip("/") + "/")


@dataclass(frozen=True)
class Tree:
    """What was seen; `complete` is False where there is more."""

    root: Folder
    may_read: MayRead
    complete: bool = True

    @functools.cached_property
    def folders(self) -> list[Folder]:
        """All folders but those that belong to a project rather than to its data, where others hold pictures."""
        found = [folder for folder in self.root.walk() if not folder.is_aside]
        return found if any(folder.names(IMAGE) for folder in found) else list(self.root.walk())

    def some_files(self, *kinds: str, each: int, most: int) -> list[str]:
        """Files of some kinds that may be read: the upper folders first, the first ones of each."""
        folders = sorted(self.folders, key=lambda folder: folder.depth)
        found = (path for folder in folders for path in [path for kind in kinds for path in folder.paths(kind)][:each])
        return list(islice(filter(self.may_read, found), most))

    def split_of(self, folder: Folder) -> str:
        """The split that a folder's path below the root names; empty for none."""
        return split_of(os.path.relpath(folder.path, self.root.path)) if folder is not self.root else ""


def look(root: str, allowed: Confinement) -> Tree:
    """The folders below `root` that may be read."""
    top = Folder(root.rstrip("/") or "/", 0)
    waiting, seen, files, ends = deque([top]), set(above(root)), 0, time.monotonic() + SECONDS
    while waiting:
        folder = waiting.popleft()
        files += _fill(folder, allowed, seen)
        if folder.depth < DEPTH:
            waiting.extend(folder.folders)
        else:
            folder.folders.clear()
        if len(seen) >= FOLDERS or files >= FILES or time.monotonic() > ends:
            return Tree(top, allowed.allows, complete=not waiting)
    return Tree(top, allowed.allows)


def split_of(path: str) -> str:
    """`train`, `val` or `test` where a part of a path says so (`train2017`, `instances_val`), the last one first; else empty."""
    for part in reversed(path.lower().split("/")):
        for word in re.split(r"[-_. ]", ENDING.sub("", part)):
            if (plain := word.rstrip("0123456789")) in _SPLIT_OF or (plain := DOMAIN.sub("", word)) in _SPLIT_OF:
                return _SPLIT_OF[plain]
    return ""


def without_split(name: str) -> str:
    """A name or path without the words that name a split: the same for the training's and the validation's."""
    return re.sub("[a-z]+", lambda word: "" if word[0] in _SPLIT_OF else word[0], name.lower())


def says_label(name: str) -> bool:
    """Whether a folder of this name holds labels: `gtFine`, `SegmentationClass`, `train_masks`, `valannot`."""
    words = _words(name)
    return any(word in LABEL_WORDS or word.startswith(LABEL_BEGINNINGS) or word.endswith(LABEL_ENDINGS) for word in words)


def says_target(name: str) -> bool:
    """Whether a folder of this name holds what image processing is to give: `clean`, `DIV2K_HR`; not `sharp_bicubic`."""
    words = _words(name)
    told = [word for word in words if word in TARGET_WORDS | INPUT_WORDS]
    if told == ["original"] and any(map(_is_picture_word, words)):  # `Original Images`
        return False
    return bool(told) and told[-1] in TARGET_WORDS


def says_input(name: str) -> bool:
    """Whether a folder of this name holds what image processing is to make better: `noisy15`, `DIV2K_LR_bicubic`."""
    return not INPUT_WORDS.isdisjoint(_words(name)) and not says_target(name)


def says_pictures(name: str) -> bool:
    """Whether a folder of this name holds what a network gets: `images`, `JPEGImages`, `noisy15`."""
    return any(map(_is_picture_word, _words(name))) and not says_label(name) and not says_target(name)


def _is_picture_word(word: str) -> bool:
    return word.startswith(PICTURE_BEGINNINGS) or word.endswith("images")


def _words(name: str) -> list[str]:
    return re.findall("[a-z]+", name.lower())


def _fill(folder: Folder, allowed: Confinement, seen: set[tuple[int, int]]) -> int:
    """Note what lies in a folder; the number of its files. One that was seen already, or may not be read, stays empty."""
    try:
        place = os.stat(folder.path)
        if (place.st_dev, place.st_ino) in seen or not allowed.allows(folder.path):
            return 0
        seen.add((place.st_dev, place.st_ino))
        with os.scandir(folder.path) as found:
            entries = sorted((entry for entry in found if not is_hidden(entry.name)), key=lambda entry: entry.name)
    except OSError:
        return 0
    count = 0
    for entry in entries:
        if entry.is_symlink() and not allowed.allows(entry.path):
            continue
        entry_kind = kind_of(entry)
        if entry_kind == FOLDER:
            folder.folders.append(Folder(entry.path, folder.depth + 1, folder))
        elif entry_kind == FILE:
            kind = IMAGE if is_image_file(entry.name) else os.path.splitext(entry.name)[1].lower()
            folder.files.setdefault(kind, []).append(entry.name)
            count += 1
    return count
