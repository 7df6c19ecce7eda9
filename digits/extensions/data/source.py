"""What built-in sources offer beyond the plugin contract: more about each sample, and a look at the files before the start."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar

from digits.extensions.data.interface import DataIngestionInterface
from digits.extensions.data.options import Options
from digits.utils.confinement import Confinement

ROOTS = "allowed_roots"  # in userdata
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


class ConfinedSource(DataIngestionInterface):
    """A source that opens files only in the folders that the server allows: the entry `allowed_roots` of its userdata, which the
    server puts there before `__init__` sees it, else the attribute; without either, none.

    `options` are the form's values with their types. Frozen is only userdata: a thawed source reads it again.
    """

    OPTIONS: ClassVar[type[Options]] = Options
    options: Options
    allowed_roots: tuple[str, ...] = ()

    def __init__(self, is_inference_db: bool = False, **kwargs: Any) -> None:
        super().__init__(is_inference_db, **kwargs)
        self.options = self.OPTIONS.read(self.userdata)

    def __getstate__(self) -> dict[str, Any]:
        return {name: value for name, value in vars(self).items() if name != "options"}

    def __setstate__(self, state: dict[str, Any]) -> None:
        vars(self).update(state)
        self.options = self.OPTIONS.read(self.userdata)

    def confinement(self) -> Confinement:
        """The folders that files may come from."""
        return Confinement(self.userdata.get(ROOTS) or self.allowed_roots)


def with_roots(cls: type[Any], values: Mapping[str, Any], roots: Iterable[str]) -> dict[str, Any]:
    """The values that a source is built from, with the folders it may read where it is one that asks for them."""
    return {**values, ROOTS: list(roots)} if issubclass(cls, ConfinedSource) else dict(values)


class FileSource(ConfinedSource):
    """Base of sources that look through files once, before anything is encoded.

    `prepare` runs in the worker at the first start and keeps what it finds in `userdata` and in files of the job folder;
    `job_folder` is set before every call, so that a moved jobs directory does no harm. `prepared`
    says that it ran.
    """

    job_folder = Path()
    prepared = False

    def prepare(self, report: Report) -> None:
        """Look at the files and write the lists. `report` takes one problem, a dictionary with `kind` and `reason`.

        Raises DataError where no data set can be made.
        """

    def check_stop(self) -> None:
        """Long loops of `prepare` call it now and then: raises JobStopped when the job was requested to stop."""

    def describe(self) -> dict[str, Any]:
        """What `DatasetInfo.extra` should say: everything that a model needs to prepare a new picture in the same way."""
        return {}
