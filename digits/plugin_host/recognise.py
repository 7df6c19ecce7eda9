"""Lets a folder be recognised: each proposal is tried on a few files with its own source, and what that refuses is none."""

from __future__ import annotations

import os
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from wtforms import StringField

from digits.domain.datasets import TRAIN_DB
from digits.errors import DigitsError, JobStopped
from digits.extensions import loader
from digits.extensions.data import userdata
from digits.extensions.data.files.listing import MayRead
from digits.extensions.data.images.base import ImageSource
from digits.extensions.data.interface import DataIngestionInterface
from digits.extensions.data.recognition import Proposal, Remark, candidates
from digits.extensions.data.recognition.groups import with_groups
from digits.extensions.data.recognition.short import shortened
from digits.extensions.data.recognition.sizes import with_size
from digits.extensions.data.source import FileSource, with_roots
from digits.extensions.loader import Extension
from digits.ingest.encode import entry_at, samples_of
from digits.ingest.source import entries_of
from digits.plugin_host import binding
from digits.utils.confinement import Confinement, reading_from
from digits.utils.time_limits import within

MOST = 8  # proposals
ALL_SECONDS = 6.5  # after which nothing new is tried
REMARKS = 8
REFUSED = 2  # guesses that are said where nothing else is
PICTURES = 200  # that a source gets to see
ENCODED = 3
SECONDS = 3.0  # for one proposal; what takes longer is believed
STOP_SECONDS = 1.0  # more, for one that looks at the clock itself
LARGEST = 32 << 20  # bytes; a proposal with a larger file is believed


@dataclass(frozen=True)
class Recognised:
    """What a folder may be, the likeliest first, and sentences about what was seen and is not proposed."""

    proposals: list[Proposal] = field(default_factory=list)
    remarks: list[str] = field(default_factory=list)


def look_into(folder: str, allowed_roots: Sequence[str]) -> Recognised:
    """What the folder may be, with a size where pictures differ much and a pattern where some belong together. Raises DataError
    for what is no folder."""
    with reading_from(Confinement(allowed_roots)):
        return _looked_into(folder, allowed_roots)


def _looked_into(folder: str, allowed_roots: Sequence[str]) -> Recognised:
    ends = time.monotonic() + ALL_SECONDS
    found = candidates(folder, allowed_roots)
    kept: list[Proposal] = []
    refused: list[str] = []
    for proposal in found.proposals:
        if len(kept) == MOST:
            break
        if reason := refusal(proposal, allowed_roots, ends):
            refused.append(f"{proposal.reason} It is not proposed: {reason}")
        else:
            kept.append(proposal)
    may_read = Confinement(allowed_roots).allows
    kept = [_completed(proposal, may_read, ends) for proposal in kept]
    return Recognised(kept, _remarks(found.remarks, kept, refused))


def _remarks(found: Sequence[Remark], kept: Sequence[Proposal], refused: list[str]) -> list[str]:
    """What is said beside the proposals; where there are none and nothing else is known, which guesses were refused."""
    sources = {proposal.extension for proposal in kept}
    said = [one.text for one in found if not one.only_alone and not sources & set(one.only_without)]
    if kept or said:
        return said[:REMARKS]
    return refused[:REFUSED] or [one.text for one in found if one.only_alone][:1]


def recognise(folder: str, allowed_roots: Sequence[str]) -> list[Proposal]:
    """The proposals alone. Raises DataError."""
    return look_into(folder, allowed_roots).proposals


def _completed(proposal: Proposal, may_read: MayRead, ends: float) -> Proposal:
    """With a size and a pattern where these are seen in time."""
    try:
        seconds, name = ends - time.monotonic(), f"A look at {proposal.title}"
        return within(seconds, lambda: with_groups(with_size(proposal, may_read), may_read), name)
    except TimeoutError:
        return proposal


def refusal(proposal: Proposal, allowed_roots: Sequence[str], ends: float) -> str:
    """Why the source refuses the proposal; empty where it does not, or where time is up (`ends`, of the monotonic clock)."""
    ends = min(ends, time.monotonic() + SECONDS)
    if any(isinstance(value, str) and _is_large(value) for value in proposal.values.values()):
        return ""
    try:
        extension = loader.get("data", proposal.extension)
        values = {name: 0 if "_pct_" in name else value for name, value in proposal.values.items()}  # what is tried is all there
        values = {**_defaults(extension), **values}

        def trial() -> str:
            with tempfile.TemporaryDirectory(prefix="digits-recognise-") as folder:
                cut = shortened(values, Path(folder))
                roots = allowed_roots if cut == values else [*allowed_roots, folder]
                source = userdata.build(extension.cls, with_roots(extension.cls, cut, roots))
                return _tried(source, Path(folder), extension.title, ends)

        return within(ends - time.monotonic() + STOP_SECONDS, trial, f"A trial of {extension.id}")
    except (JobStopped, TimeoutError):
        return ""
    except (Exception, SystemExit) as error:  # a source may raise anything
        return str(error) or type(error).__name__


def _defaults(extension: Extension) -> dict[str, Any]:
    """What the fields of a plugin's form hold where nothing is typed; the sources of the core have defaults themselves."""
    if issubclass(extension.cls, FileSource):
        return {}
    try:
        form = binding.make_form(extension.id, extension.cls.get_dataset_form)
        texts = {field.name for field in form if isinstance(field, StringField)}
        return {name: "" if value is None and name in texts else value for name, value in form.data.items()}
    except (Exception, SystemExit):  # a form may need what only a request has
        return {}


def _tried(source: DataIngestionInterface, folder: Path, title: str, ends: float) -> str:
    if isinstance(source, FileSource):
        source.job_folder = folder
        source.check_stop = lambda: _check(ends)  # type: ignore[method-assign]
        if isinstance(source, ImageSource):
            source.most_pictures = PICTURES
        with source.reading():
            source.prepare(lambda problem: None)
    _check(ends)
    entries = entries_of(source, TRAIN_DB, title)
    if not len(entries):
        return "It gives no entries."
    reasons = []
    for row in range(min(ENCODED, len(entries))):
        try:
            samples_of(source, entry_at(entries, row, title), title)
            return ""
        except DigitsError as error:
            reasons.append(str(error))
    return reasons[0]


def _is_large(path: str) -> bool:
    return os.path.isfile(path) and os.path.getsize(path) > LARGEST


def _check(ends: float) -> None:
    if time.monotonic() > ends:
        raise JobStopped("Looked long enough.")
