"""Classes of a data set as those of a model: matched by name, with a number of its own for each that the model does not know.

A true class in the model's numbers is 0 or more; `NO_CLASS`, where no truth is known or it is not to count (void, DontCare); or
below that, one of the classes that the model does not know (`unknown_number`). Neither is ever taken for a class of the model.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

NO_CLASS = -1


def unknown_number(place: int) -> int:
    """The number of the class at `place` (from 0) among those that a model does not know: -2, -3, …"""
    return NO_CLASS - 1 - place


def unknown_place(number: Any) -> Any:
    """The inverse of `unknown_number`, of one number or an array of them: less than 0 for all other classes."""
    return NO_CLASS - 1 - number


@dataclass(frozen=True)
class ClassMatch:
    """`places` has the number of each class of a data set among the model's, `unknown` the names of those that the model does not
    know, in the order of their numbers, `missing` the numbers of the model's classes that the data set does not have."""

    places: tuple[int, ...]
    unknown: tuple[str, ...] = ()
    missing: tuple[int, ...] = ()

    @property
    def is_same(self) -> bool:
        """Whether every class has the number that it has in the data set."""
        return self.places == tuple(range(len(self.places)))


def match_classes(theirs: Sequence[str], ours: Sequence[str]) -> ClassMatch:
    """The classes of a data set as those of a model, by name.

    A name that is the same wins; of the others those are the same class which differ only in capitals, and in blanks that one of
    them writes `_` (as folders and lists of boxes are read), where that leaves no choice.
    """
    exact = {name: number for number, name in enumerate(ours)}
    free = {name: number for name, number in exact.items() if name not in set(theirs)}
    loose = {_loosely(name): number for name, number in free.items()}
    clashes = Counter(map(_loosely, free)) | Counter(_loosely(name) for name in theirs if name not in exact)
    places: list[int] = []
    unknown: list[str] = []
    for name in theirs:
        key = _loosely(name)
        found = exact.get(name, loose.get(key) if clashes[key] == 1 else None)
        if found is None:
            found = unknown_number(len(unknown))
            unknown.append(name)
        places.append(found)
    missing = tuple(sorted(set(range(len(ours))).difference(places))) if theirs else ()
    return ClassMatch(tuple(places), tuple(unknown), missing)


def _loosely(name: str) -> str:
    return " ".join(name.replace("_", " ").casefold().split())
