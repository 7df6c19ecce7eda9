"""What built-in sources offer beyond the plugin contract: facts about each sample, and a look at the files before the start."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from digits.extensions.data.interface import DataIngestionInterface

Report = Callable[[dict[str, Any]], None]


class Sample(tuple):
    """A `(feature, label)` pair that also knows where it came from; any data source may return it in place of a plain pair.

    `source` is the file's path, `original_size` its (width, height) before resizing, `group` the text that keeps related
    samples in one split, `digest` 16 bytes that are equal for exact copies (empty: taken from the feature). `notes` are
    problems found while encoding that did not cost the sample: (kind, reason) each.
    """

    source: str
    original_size: tuple[int, int]
    group: str
    digest: bytes
    notes: list[tuple[str, str]]

    def __new__(
        cls,
        feature: Any,
        label: Any,
        *,
        source: str = "",
        original_size: tuple[int, int] = (0, 0),
        group: str = "",
        digest: bytes = b"",
        notes: Sequence[tuple[str, str]] = (),
    ) -> Sample:
        pair = super().__new__(cls, (feature, label))
        pair.source, pair.original_size, pair.group, pair.digest = source, original_size, group, digest
        pair.notes = list(notes)
        return pair


class FileSource(DataIngestionInterface):
    """Base of sources that look through files once, before anything is encoded.

    `prepare` runs in the worker at the first start and keeps what it finds in `userdata` and in files of the job folder;
    `job_folder` is set before every call, so that a moved jobs directory does no harm. `allowed_roots` are the folders that
    files may come from (empty: all). `prepared` says that it ran.
    """

    job_folder = Path()
    allowed_roots: tuple[str, ...] = ()
    prepared = False

    def prepare(self, report: Report) -> None:
        """Look at the files and write the lists. `report` takes one problem, a dictionary with `kind` and `reason`.

        Raises DataError where no data set can be made.
        """

    def check_stop(self) -> None:
        """Long loops of `prepare` call it now and then: raises JobStopped when the job was asked to stop."""

    def describe(self) -> dict[str, Any]:
        """What `DatasetInfo.extra` should say: everything that a model needs to prepare a new picture in the same way."""
        return {}
