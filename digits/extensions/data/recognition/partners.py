"""Which folder of pictures belongs to which folder of labels: the two that have most names in common, of each split."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator

from digits.extensions.data.files.names import below
from digits.extensions.data.recognition.proposals import Partners
from digits.extensions.data.recognition.tree import IMAGE, Folder, Tree, says_pictures, split_of

ENOUGH = 0.5  # share of the labels that have a picture
Wanted = Callable[[Folder], bool]


def partners(tree: Tree, kind: str, wanted: Wanted = lambda folder: True, least: int = 1) -> list[tuple[str, Partners]]:
    """Folders of files of a kind with their folders of pictures, by split; at least `least` names must agree."""
    pictures = [folder for folder in tree.folders if folder.below(IMAGE) and (kind != IMAGE or not folder.is_label)]
    found = []
    for labels in _roots(tree, kind, wanted):
        rated = [(score, folder) for folder in pictures if (score := _score(tree, folder, labels, kind))]
        if rated:
            (count, *_), folder = max(rated, key=lambda item: item[0])
            if count >= least:
                found.append((tree.split_of(labels) or tree.split_of(folder), Partners(folder, labels.path, count)))
    return found


def _roots(tree: Tree, kind: str, wanted: Wanted) -> Iterator[Folder]:
    """Folders with labels somewhere below, without those that only hold one such folder or the folders of splits."""
    for folder in tree.folders:
        if not folder.below(kind) or not wanted(folder):
            continue
        inner = [one for one in folder.folders if one.below(kind)]
        splits = any(split_of(below(folder.path, one.path)) for one in _inside(folder, kind))
        if folder.names(kind) or (len(inner) > 1 and not splits and _are_parts(tree, inner, kind)):
            yield folder


def _inside(folder: Folder, kind: str) -> Iterator[Folder]:
    return (one for one in folder.walk() if one is not folder and one.below(kind))


def _are_parts(tree: Tree, inner: list[Folder], kind: str) -> bool:
    """Whether folders hold parts of the same labels: other names in each, or pictures lie in folders of the same names. Else each
    may say something else of the same pictures (KITTI's `calib` beside `label_2`)."""
    names = [folder.bases(kind) for folder in inner]
    if 2 * len(frozenset().union(*names)) > sum(map(len, names)):
        return True
    wanted = {folder.name for folder in inner}
    return wanted <= {folder.name for folder in tree.folders if folder.names(IMAGE) and folder not in inner}


def _score(tree: Tree, pictures: Folder, labels: Folder, kind: str) -> tuple[int | bool, ...] | None:
    """How well two folders belong together, the number of pictures with a label first; None where they do not."""
    if kind == IMAGE and (pictures.holds(labels) or labels.holds(pictures)):
        return None
    names = labels.bases(kind)
    share = len(names & pictures.bases(IMAGE)) / len(names)
    count = round(share * min(len(labels.below(kind)), len(pictures.below(IMAGE))))
    if share < ENOUGH or not count:
        return None
    paths = len(labels.base_paths(kind) & pictures.base_paths(IMAGE))
    if paths:  # names come again in other folders, of which only those at the same place belong together
        count = min(count, paths) if any("/" in path for path in labels.base_paths(kind)) else count
    split = tree.split_of(labels)
    near = len(os.path.commonpath([pictures.path, labels.path]))
    return (
        *(count, not split or split == tree.split_of(pictures), pictures is labels or not pictures.is_label, paths, near),
        *(pictures.name == labels.name, -len(pictures.below(IMAGE)), says_pictures(pictures.name), len(pictures.path)),
    )
