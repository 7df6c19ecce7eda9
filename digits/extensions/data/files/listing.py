"""What lies below a folder: one walk for all (sorted, links followed, loops cut, hidden files left out).

Holds: a folder is judged before it is listed, so that a link to what may not be read tells nothing of what lies there; one that
leads to a folder above, or to files that the system makes up (`/proc`), is not entered.
"""

from __future__ import annotations

import functools
import os
from collections import Counter, deque
from collections.abc import Callable, Iterable, Iterator
from typing import NamedTuple

from digits.utils.confinement import OUTSIDE, current
from digits.utils.names import is_hidden, is_image_file
from digits.utils.values import counted

MayRead = Callable[[str], bool]
Refused = Callable[[str, str], object]  # a folder that is not entered, and why
Place = tuple[int, int]  # device and inode
FILE, FOLDER = "file", "folder"
LISTED_KINDS = 6
MADE_UP = ("/proc", "/sys")
ABOVE = "It leads to a folder that it lies in itself."
ELSEWHERE = "It leads to a folder that is read by another name."
OF_SYSTEM = "It leads to what the system says of itself."


class Elsewhere(NamedTuple):
    """Folders that are not entered from one of several whose files are told apart: what they all lie in, and each other."""

    around: frozenset[Place] = frozenset()
    siblings: frozenset[Place] = frozenset()


NOWHERE = Elsewhere()


def walk(folder: str | os.PathLike[str], may_read: MayRead | None = None) -> Iterator[tuple[str, list[str]]]:
    """Each folder with the names of its files, sorted. A folder reached twice is read once: where it lies rather than by a link,
    for which links are followed last.

    `may_read` says which folders may be listed; None: those that the work at hand may read (`reading_from`).
    """
    return ((root, names) for root, _, names in tree(folder, may_read))


def tree(
    folder: str | os.PathLike[str], may_read: MayRead | None = None, refused: Refused = lambda path, reason: None
) -> Iterator[tuple[str, list[str], list[str]]]:
    """The same with the names of the folders in each, which come later; one that is taken out of that list does not. `refused` is
    told of those that are not entered."""
    return ((root, folders, names) for root, folders, names, _ in _look(folder, may_read, refused))


def _look(
    folder: str | os.PathLike[str],
    may_read: MayRead | None = None,
    refused: Refused = lambda path, reason: None,
    elsewhere: Elsewhere = NOWHERE,
) -> Iterator[tuple[str, list[str], list[str], list[str]]]:
    """The same with the names of what is neither file nor folder."""
    may_list = may_read or _may_list
    top = os.fspath(folder)
    around = above(top) | elsewhere.around
    waiting, links, seen = [top], deque[str](), set[Place]()
    while waiting or links:
        root = waiting.pop() if waiting else links.popleft()
        place = _place(root)
        if place is None or place in seen:
            continue
        if not may_list(root):
            refused(root, f"It is {OUTSIDE}.")
            continue
        if place in around or (place in elsewhere.siblings and root != top):
            refused(root, ABOVE if place in around else ELSEWHERE)
            continue
        if place[0] in _made_up():
            refused(root, OF_SYSTEM)
            continue
        seen.add(place)
        folders, names, special = _entries(root)
        yield root, folders, names, special
        paths = [os.path.join(root, name) for name in folders]
        links += filter(os.path.islink, paths)
        waiting += (path for path in reversed(paths) if not os.path.islink(path))


def _look_each(
    folder: str | os.PathLike[str], may_read: MayRead | None, refused: Refused
) -> Iterator[tuple[str, list[str], list[str], list[str]]]:
    """The same of each folder in it by itself, so that one that is a link to what another holds is read too; only what lies in
    the folder itself is read no second time further down."""
    for root, folders, names, special in _look(folder, may_read, refused):
        yield root, [], names, special
        paths = [os.path.join(root, name) for name in folders]
        elsewhere = apart(root, paths)
        for path in paths:
            yield from _look(path, may_read, refused, elsewhere)
        return


def apart(root: str | os.PathLike[str], folders: Iterable[str | os.PathLike[str]]) -> Elsewhere:
    """For folders in `root` whose files are told apart, such as those of classes: where a link in one of them may not lead."""
    siblings = (_place(os.fspath(path)) for path in folders if not os.path.islink(path))
    around = {*above(os.fspath(root)), _place(os.fspath(root))}
    return Elsewhere(frozenset(filter(None, around)), frozenset(filter(None, siblings)))


def pictures_below(
    folder: str | os.PathLike[str],
    others: Counter[str] | None = None,
    may_read: MayRead | None = None,
    *,
    each: bool = False,
    is_wanted: Callable[[str], bool] = is_image_file,
    refused: Refused = lambda path, reason: None,
    elsewhere: Elsewhere = NOWHERE,
) -> Iterator[str]:
    """Paths of all pictures below a folder that may be read, in a fixed order; files of other endings are counted in `others`, by
    ending. `each`: of each folder in it, also of one that is a link to what another holds. `is_wanted` tells pictures by their
    names; `refused` is told of the folders that are not entered; `elsewhere` (of `apart`) holds what is read by another name."""
    looked = _look_each(folder, may_read, refused) if each else _look(folder, may_read, refused, elsewhere)
    for root, _, names, special in looked:
        for name in names:
            if is_wanted(name):
                if may_read is None or may_read(os.path.join(root, name)):
                    yield os.path.join(root, name)
            elif others is not None:
                others[os.path.splitext(name)[1].lower()] += 1
        if others is not None:
            others.update(f"{os.path.splitext(name)[1].lower()} that is a pipe or device" for name in special)


def files_with(folder: str, endings: tuple[str, ...], may_read: MayRead, most: int = 0) -> list[str]:
    """Files below a folder with one of the endings that may be read, in the order of `walk`; at most `most` where given."""
    found: list[str] = []
    for root, names in walk(folder, may_read):
        paths = (os.path.join(root, name) for name in names if name.lower().endswith(endings))
        found += filter(may_read, paths)
        if most and len(found) >= most:
            return found[:most]
    return found


def other_kinds(others: Counter[str]) -> str:
    """`14 files of other kinds: .heic (12), no ending (2)`; empty where there are none."""
    if not others:
        return ""
    most = [f"{ending or 'no ending'} ({count})" for ending, count in others.most_common(LISTED_KINDS)]
    rest = [f"{len(others) - LISTED_KINDS} more"] if len(others) > LISTED_KINDS else []
    return f"{counted(sum(others.values()), 'file')} of other kinds: {', '.join(most + rest)}"


def kind_of(entry: os.DirEntry[str]) -> str:
    """`file`, `folder`, or empty for what is neither: a pipe or a device would be waited for without end. A link that leads
    nowhere is a file, which is missed when it is read."""
    try:
        if entry.is_file():
            return FILE
        if entry.is_dir():
            return FOLDER
    except OSError:  # a link to itself
        return FILE
    return FILE if entry.is_symlink() and not os.path.exists(entry.path) else ""


def _entries(folder: str) -> tuple[list[str], list[str], list[str]]:
    """Names of folders, files and others in a folder, sorted, without hidden ones; none where it cannot be read."""
    found: dict[str, list[str]] = {FOLDER: [], FILE: [], "": []}
    try:
        with os.scandir(folder) as entries:
            for entry in entries:
                if not is_hidden(entry.name):
                    found[kind_of(entry)].append(entry.name)
    except OSError:
        return [], [], []
    return sorted(found[FOLDER]), sorted(found[FILE]), found[""]


def _place(folder: str) -> Place | None:
    """What is the same for all names of a folder; None where it cannot be read."""
    try:
        found = os.stat(folder)
    except OSError:
        return None
    return found.st_dev, found.st_ino


def _may_list(folder: str) -> bool:
    """Whether the work at hand may read there."""
    allowed, _ = current()
    return allowed is None or allowed.allows(folder)


def above(folder: str) -> frozenset[Place]:
    """The folders that one lies in."""
    path, found = os.path.realpath(folder), set[Place | None]()
    while path != (path := os.path.dirname(path)):
        found.add(_place(path))
    return frozenset(place for place in found if place)


@functools.cache
def _made_up() -> frozenset[int]:
    """The devices of the files that the system makes up."""
    return frozenset(place[0] for path in MADE_UP if (place := _place(path)))
