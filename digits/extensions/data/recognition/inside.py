"""Pictures whose labels lie among them: in a folder beside theirs in every scene (`SCENE/blur`, `SCENE/sharp`), or told apart by
a word in their names (`1_NOISY_010.png`, `1_GT_010.png`)."""

from __future__ import annotations

import os
import re
from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence

from digits.errors import DataError
from digits.extensions.data.files.additions import Naming, naming_of
from digits.extensions.data.files.names import stem
from digits.extensions.data.recognition.alike import SAME, correlation, small
from digits.extensions.data.recognition.offers import larger, offers
from digits.extensions.data.recognition.proposals import Finding, Partners, best_by_split
from digits.extensions.data.recognition.tree import IMAGE, Folder, Tree, says_label, says_target

LOOKED_AT = 100  # folders whose names are looked at,
SEEN = 200  # and names of each
MOST = 4  # patterns
LEAST = 2  # scenes, or pairs
WORD = re.compile("[A-Za-z]+")


def scene_folders(tree: Tree) -> frozenset[Folder]:
    """The scenes of which there are several."""
    return frozenset(parent for parents in _scenes(tree).values() for parent in parents)


def scenes(tree: Tree) -> Iterator[Finding]:
    """Folders of scenes, each with a folder of pictures and one of labels of the same names."""
    for (pictures, labels), parents in _scenes(tree).items():
        naming = naming_of(f"{pictures}/* = {labels}/*")
        counts = [
            (parent, len(_inner(parent, pictures).stems(IMAGE) & _inner(parent, labels).stems(IMAGE))) for parent in parents
        ]
        reason = f"{len(parents):,} folders hold {pictures} and {labels}, with pictures of the same names"
        yield from _offered(tree, counts, naming, reason, pictures)


def names(tree: Tree) -> Iterator[Finding]:
    """Files of the same folders whose names differ by one word, which says that one is the label."""
    folders = [folder for folder in tree.folders if len(folder.names(IMAGE)) >= LEAST and not folder.is_label]
    seen: Counter[str] = Counter()
    for folder in folders[:: max(1, len(folders) // LOOKED_AT)]:
        seen.update(_patterns(folder.names(IMAGE)[:SEEN]))
    for pattern, _ in seen.most_common(MOST):
        try:
            naming = naming_of(pattern)
        except DataError:
            continue
        counts = [(folder, count) for folder in folders if (count := _pairs(naming, folder))]
        reason = f"Files beside each other are named {pattern}"
        yield from _offered(tree, counts, naming, reason, "")


def _scenes(tree: Tree) -> dict[tuple[str, str], list[Folder]]:
    """Scenes by the names of their folders of pictures and labels, of which some split has several."""
    found: dict[tuple[str, str], list[Folder]] = defaultdict(list)
    for parent in tree.folders:
        inner = [folder for folder in parent.folders if folder.names(IMAGE)]
        said = [folder for folder in inner if says_label(folder.name) or says_target(folder.name)]
        for labels in said if len(inner) > 1 else []:
            for pictures in (folder for folder in inner if folder not in said):
                if 2 * len(pictures.stems(IMAGE) & labels.stems(IMAGE)) >= len(pictures.stems(IMAGE)):
                    found[pictures.name, labels.name].append(parent)
    return {key: parents for key, parents in found.items() if _are_several(tree, key[0], parents)}


def _are_several(tree: Tree, pictures: str, parents: Sequence[Folder]) -> bool:
    """Whether a split has several scenes, which show something else each: the same in PNG and TIFF are none."""
    if max(Counter(map(tree.split_of, parents)).values()) < LEAST:
        return False
    first, other = (small(_inner(parent, pictures).paths(IMAGE)[0]) for parent in parents[:2])
    return first is None or other is None or not (first.std() and other.std()) or correlation(first, other) < SAME


def _offered(tree: Tree, counts: Sequence[tuple[Folder, int]], naming: Naming, reason: str, variant: str) -> Iterator[Finding]:
    """What folders with so many pairs each are offered for; nothing where a folder of one split holds those of another."""
    by_split: dict[str, list[tuple[Folder, int]]] = defaultdict(list)
    for folder, count in counts:
        by_split[tree.split_of(folder)].append((folder, count))
    roots = {split: os.path.commonpath([folder.path for folder, _ in found]) for split, found in by_split.items()}
    if any(f"{root}/".startswith(f"{other}/") for split, root in roots.items() for name, other in roots.items() if name != split):
        return
    found = [
        (
            split,
            Partners(next(one for one in tree.root.walk() if one.path == roots[split]), roots[split], sum(n for _, n in items)),
        )
        for split, items in by_split.items()
    ]
    best = best_by_split(tree, found)
    if not best or best["train"].count < LEAST:
        return
    pictures, labels = naming.divided(best["train"].pictures.below(IMAGE))
    if len(pictures) < best["train"].count or len(labels) < best["train"].count:
        return
    yield from offers(tree, best, labels, reason + larger(pictures, labels), pattern=str(naming), variant=variant)


def _inner(parent: Folder, name: str) -> Folder:
    return next(folder for folder in parent.folders if folder.name == name)


def _patterns(names: Sequence[str]) -> Counter[str]:
    """Patterns of names that differ by one word of which the second says label or target, with how many pairs have them."""
    words: dict[tuple[str, str], list[str]] = defaultdict(list)
    for name in map(stem, names):
        for word in WORD.finditer(name):
            words[name[: word.start()], name[word.end() :]].append(word[0])
    found: Counter[str] = Counter()
    for around, here in words.items():
        labels = [word for word in here if says_label(word) or says_target(word)]
        for label in labels:
            found.update(f"{_around(around, word)} = {_around(around, label)}" for word in here if word not in labels)
    return found


def _around(around: tuple[str, str], word: str) -> str:
    """A word with what stands around it as a pattern: stars, and what parts them from it."""
    before, behind = around
    first = before[-1:] if not before[-1:].isalnum() else ""
    last = behind[:1] if not behind[:1].isalnum() else ""
    start, end = ("*" * (len(side) > len(mark)) for side, mark in ((before, first), (behind, last)))
    return f"{start}{first}{word}{last}{end}"


def _pairs(naming: Naming, folder: Folder) -> int:
    """How many pictures of a folder have their label in it."""
    cores = [set(map(side.core_of, folder.paths(IMAGE))) - {""} for side in (naming.picture, naming.label)]
    return len(cores[0] & cores[1])
