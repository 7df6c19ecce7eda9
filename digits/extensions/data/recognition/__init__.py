"""Sees from a folder what kinds of data sets lie in it, and proposes for each the source and the fields of its form.

Holds: names, headers and a few files are read, for some seconds at most; the first proposal gives most records. A proposal is a
guess, which `digits.plugin_host.recognise` tries and a person confirms.
"""

from __future__ import annotations

import functools
import inspect
import os
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

from digits.errors import DataError, DigitsError
from digits.extensions import loader
from digits.extensions.data.recognition import boxes, classes, copies, inside, lists, pairs, tables, unread, versions
from digits.extensions.data.recognition.proposals import Finding, Proposal, Remark
from digits.extensions.data.recognition.tree import Tree, look
from digits.extensions.data.source import ROOTS
from digits.utils.confinement import Confinement
from digits.utils.time_limits import within

__all__ = ["Candidates", "Proposal", "Remark", "candidates"]

SECONDS = 5.5
FINDER_SECONDS = 3.0  # for one kind of guess
PLUGIN_SECONDS = 5.0  # for what one source says of a folder,
LEAST_SECONDS = 0.5  # also where little time is left
Finder = Callable[[Tree], Iterator[Finding]]
FINDERS: tuple[Finder, ...] = (  # the surest first
    *(copies.without_copies, boxes.find, inside.scenes, inside.names, *pairs.FINDERS, versions.find),
    *(classes.find, lists.find, tables.find, unread.find),
)


@dataclass(frozen=True)
class Candidates:
    """Proposals, the likeliest first, and sentences about what else was seen."""

    proposals: list[Proposal] = field(default_factory=list)
    remarks: list[Remark] = field(default_factory=list)


def candidates(folder: str, allowed_roots: Sequence[str], seconds: float = SECONDS) -> Candidates:
    """What the folder may be, seen within some seconds. Raises DataError for no folder."""
    if not os.path.isdir(folder):
        raise DataError(f"{folder} is no folder that can be read.", advice="Give the folder in which pictures and labels lie.")
    ends = time.monotonic() + seconds
    allowed = Confinement(allowed_roots)
    found = [
        *_built_in(look(folder, allowed), ends),
        *(_of_plugins(folder, allowed_roots, ends) if allowed.allows(folder) else ()),
    ]
    proposals = [one for one in found if isinstance(one, Proposal)]
    proposals.sort(key=lambda proposal: (not proposal.likely, -proposal.records))
    remarks = [one for one in found if isinstance(one, Remark)]
    return Candidates(_distinct(proposals), list(dict.fromkeys(remarks)))


def _built_in(tree: Tree, ends: float) -> Iterator[Finding]:
    is_whole = tree.complete
    for finder in FINDERS:
        seconds = min(FINDER_SECONDS, ends - time.monotonic())
        try:
            yield from within(seconds, functools.partial(_listed, finder, tree), f"Looking at {tree.root.path}")
        except TimeoutError:
            is_whole = False
        except (DigitsError, OSError, ValueError):  # one guess less
            continue
    if not is_whole:
        yield Remark(f"{tree.root.path} is too large to be looked at as a whole; one of its folders may show more.")


def _listed(finder: Finder, tree: Tree) -> list[Finding]:
    return list(finder(tree))


def _of_plugins(folder: str, roots: Sequence[str], ends: float) -> Iterator[Finding]:
    """What the sources say that look at folders themselves."""
    for extension in loader.all_extensions("data"):
        seconds = min(PLUGIN_SECONDS, max(ends - time.monotonic(), LEAST_SECONDS))
        try:
            answer = within(seconds, functools.partial(_asked, extension.cls, folder, roots), f"recognise() of {extension.id}")
            for found in answer:
                values, reason = dict(found["values"]), str(found.get("reason", ""))
                yield Proposal(extension.id, str(found.get("title") or extension.title), reason, values, int(found["records"]))
        except (Exception, SystemExit):  # a plugin may raise anything, or never answer: it does not take part then
            continue


def _asked(source: Any, folder: str, roots: Sequence[str]) -> list[dict[str, Any]]:
    """What a source says; one that wants to know which folders it may read is told."""
    is_asking = ROOTS in inspect.signature(source.recognise).parameters
    return list(source.recognise(folder, **({ROOTS: list(roots)} if is_asking else {})))


def _distinct(proposals: Sequence[Proposal]) -> list[Proposal]:
    """Without those that say the same of a source: its folder, in the same format, with the same names of labels."""
    kept: dict[tuple[str, ...], Proposal] = {}
    for proposal in proposals:
        values = proposal.values
        folder = next((str(value) for name, value in values.items() if "folder" in name or "file" in name), "")
        how = (str(values.get(name, "")) for name in ("annotation_format", "mask_pattern", "label_pattern"))
        kept.setdefault((proposal.extension, folder, *how), proposal)
    return list(kept.values())
