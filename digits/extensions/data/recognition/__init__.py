"""Sees from a folder what kinds of data sets lie in it, and proposes for each the source and the fields of its form.

Holds: names, headers and a few files are read, for some seconds at most; the first proposal gives most records. A proposal is a
guess, which `digits.plugin_host.recognise` tries and a person confirms.
"""

from __future__ import annotations

import functools
import os
from collections.abc import Callable, Iterator, Sequence
from typing import Any

from digits.errors import DataError, DigitsError
from digits.extensions import loader
from digits.extensions.data.recognition import boxes, classes, pairs, tables
from digits.extensions.data.recognition.proposals import Proposal
from digits.extensions.data.recognition.tree import Tree, look
from digits.utils.confinement import Confinement
from digits.utils.time_limits import within

__all__ = ["Proposal", "candidates"]

PLUGIN_SECONDS = 5.0  # for what one source says of a folder
FINDERS: tuple[Callable[[Tree], Iterator[Proposal]], ...] = (boxes.find, *pairs.FINDERS, classes.find, tables.find)


def candidates(folder: str, allowed_roots: Sequence[str]) -> list[Proposal]:
    """What the folder may be, the one with most records first; empty where nothing fits. Raises DataError for no folder."""
    if not os.path.isdir(folder):
        raise DataError(f"{folder} is no folder that can be read.", advice="Give the folder in which pictures and labels lie.")
    allowed = Confinement(allowed_roots)
    found = [*_built_in(look(folder, allowed)), *(_of_plugins(folder) if allowed.allows(folder) else ())]
    return _distinct(sorted(found, key=lambda proposal: -proposal.records))


def _built_in(tree: Tree) -> Iterator[Proposal]:
    for finder in FINDERS:
        try:
            yield from finder(tree)
        except (DigitsError, OSError, ValueError):  # one guess less
            continue


def _of_plugins(folder: str) -> Iterator[Proposal]:
    """What the sources say that look at folders themselves."""
    for extension in loader.all_extensions("data"):
        try:
            answer = within(PLUGIN_SECONDS, functools.partial(_asked, extension.cls, folder), f"recognise() of {extension.id}")
            for found in answer:
                values, reason = dict(found["values"]), str(found.get("reason", ""))
                yield Proposal(extension.id, str(found.get("title") or extension.title), reason, values, int(found["records"]))
        except (Exception, SystemExit):  # a plugin may raise anything, or never answer: it does not take part then
            continue


def _asked(source: Any, folder: str) -> list[dict[str, Any]]:
    return list(source.recognise(folder))


def _distinct(proposals: Sequence[Proposal]) -> list[Proposal]:
    """Without those that say the same of a source: its folder, in the same format."""
    kept: dict[tuple[str, ...], Proposal] = {}
    for proposal in proposals:
        values = proposal.values
        folder = next((str(value) for name, value in values.items() if "folder" in name or "file" in name), "")
        kept.setdefault((proposal.extension, str(values.get("annotation_format", "")), folder), proposal)
    return list(kept.values())
