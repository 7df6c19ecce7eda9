"""Lets a folder be recognised: each proposal is tried on a few files with its own source, and what that refuses is none."""

from __future__ import annotations

import os
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

from digits.domain.datasets import TRAIN_DB
from digits.errors import DigitsError, JobStopped
from digits.extensions import loader
from digits.extensions.data import userdata
from digits.extensions.data.images.base import ImageSource
from digits.extensions.data.interface import DataIngestionInterface
from digits.extensions.data.recognition import Proposal, candidates
from digits.extensions.data.recognition.sizes import with_size
from digits.extensions.data.source import FileSource, with_roots
from digits.ingest.encode import samples_of
from digits.ingest.source import entries_of
from digits.utils.time_limits import within

MOST = 8  # proposals
ALL_SECONDS = 8.0
PICTURES = 200  # that a source gets to see
ENCODED = 3
SECONDS = 3.0  # for one proposal; what takes longer is believed
STOP_SECONDS = 2.0  # more, for one that looks at the clock itself
LARGEST = 32 << 20  # bytes; a proposal with a larger file is believed


def recognise(folder: str, allowed_roots: Sequence[str]) -> list[Proposal]:
    """What the folder may be, the one with most records first, with a size where pictures differ much; empty where nothing fits.
    Raises DataError for what is no folder."""
    ends = time.monotonic() + ALL_SECONDS
    kept: list[Proposal] = []
    for proposal in candidates(folder, allowed_roots):
        if len(kept) < MOST and not refusal(proposal, allowed_roots, ends):
            kept.append(with_size(proposal))
    return kept


def refusal(proposal: Proposal, allowed_roots: Sequence[str], ends: float) -> str:
    """Why the source refuses the proposal; empty where it does not, or where time is up (`ends`, of the monotonic clock)."""
    ends = min(ends, time.monotonic() + SECONDS)
    if any(isinstance(value, str) and _is_large(value) for value in proposal.values.values()):
        return ""
    try:
        extension = loader.get("data", proposal.extension)
        values = {name: 0 if "_pct_" in name else value for name, value in proposal.values.items()}  # what is tried is all there

        def trial() -> str:
            source = userdata.build(extension.cls, with_roots(extension.cls, values, allowed_roots))
            with tempfile.TemporaryDirectory(prefix="digits-recognise-") as folder:
                return _tried(source, Path(folder), extension.title, ends)

        return within(ends - time.monotonic() + STOP_SECONDS, trial, f"A trial of {extension.id}")
    except (JobStopped, TimeoutError):
        return ""
    except (Exception, SystemExit) as error:  # a source may raise anything
        return str(error) or type(error).__name__


def _tried(source: DataIngestionInterface, folder: Path, title: str, ends: float) -> str:
    if isinstance(source, FileSource):
        source.job_folder = folder
        source.check_stop = lambda: _check(ends)  # type: ignore[method-assign]
        if isinstance(source, ImageSource):
            source.most_pictures = PICTURES
        source.prepare(lambda problem: None)
    _check(ends)
    entries = entries_of(source, TRAIN_DB, title)
    if not len(entries):
        return "It gives no entries."
    reasons = []
    for row in range(min(ENCODED, len(entries))):
        try:
            samples_of(source, entries[row], title)
            return ""
        except DigitsError as error:
            reasons.append(str(error))
    return reasons[0]


def _is_large(path: str) -> bool:
    return os.path.isfile(path) and os.path.getsize(path) > LARGEST


def _check(ends: float) -> None:
    if time.monotonic() > ends:
        raise JobStopped("Looked long enough.")
