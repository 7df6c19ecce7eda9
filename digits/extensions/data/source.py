"""What built-in sources offer beyond the plugin contract: options with types, more about each sample, and a look at the files
before the start."""

from __future__ import annotations

import contextlib
import typing
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any, ClassVar, Self

from digits.errors import DataError
from digits.extensions.data.interface import DataIngestionInterface
from digits.utils.confinement import Confinement, of_roots, reading_from
from digits.utils.values import boolean, is_number, shown

ROOTS = "allowed_roots"  # in userdata
ReportProblem = Callable[[dict[str, Any]], None]
Words = tuple[str, ...]  # written with commas between them


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


@dataclass(frozen=True)
class Options:
    """The options of a source, made once from what a form, a script or an older job folder says.

    Fields are of type `str`, `int`, `float`, `bool` or `Words`, or one of these or None. One that is left empty (None or "") has
    its default. Forms check values before a source sees them; scripts send texts, which are read here, and nowhere else.
    """

    @classmethod
    def read(cls, values: Mapping[str, Any]) -> Self:
        """From values of a form or from userdata; names that are no field are left alone. Raises DataError."""
        types = typing.get_type_hints(cls)
        given = {f.name: values.get(f.name) for f in fields(cls)}
        return cls(**{name: _read(types[name], v, name) for name, v in given.items() if v is not None and v != ""})


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

    def reading(self, note: Callable[[], None] | None = None) -> AbstractContextManager[None]:
        """While the block runs, what is opened is judged as it is opened, whatever a link has become since it was looked at; and
        `note` is called for each file."""
        return reading_from(of_roots(tuple(self.userdata.get(ROOTS) or self.allowed_roots)), note)


def reading_for(source: DataIngestionInterface) -> AbstractContextManager[None]:
    """`ConfinedSource.reading` of a source that is one; the files of others are their plugin's."""
    return source.reading() if isinstance(source, ConfinedSource) else contextlib.nullcontext()


def with_roots(cls: type[Any], values: Mapping[str, Any], roots: Iterable[str]) -> dict[str, Any]:
    """The values that a source is built from, with the folders it may read where it is one that asks for them."""
    return {**values, ROOTS: list(roots)} if issubclass(cls, ConfinedSource) else dict(values)


class FileSource(ConfinedSource):
    """Base of sources that look through files once, before anything is encoded.

    `prepare` runs in the worker at the first start and keeps what it finds in `userdata` and in files of the job folder;
    `job_folder` is set before every call, so that a moved jobs directory does no harm. `prepared`
    says that it ran, `same_shape` whether its pictures must be of one size.
    """

    job_folder = Path()
    prepared = False
    same_shape = True

    def prepare(self, report: ReportProblem) -> None:
        """Look at the files and write the lists. `report` takes one problem, a dictionary with `kind` and `reason`.

        Raises DataError where no data set can be made.
        """

    @property
    def keeps_sizes(self) -> bool:
        """Whether somebody wants pictures that differ in size to stay so; known after `prepare`."""
        return False

    def check_stop(self) -> None:
        """Long loops of `prepare` call it now and then: raises JobStopped when the job was requested to stop."""

    def describe(self) -> dict[str, Any]:
        """What `DatasetInfo.extra` should say: everything that a model needs to prepare a new picture in the same way."""
        return {}


def _read(kind: Any, value: Any, name: str) -> Any:
    kind = next((one for one in typing.get_args(kind) if kind == one | None), kind) if kind != Words else kind
    if kind is str:
        return str(value)
    if kind == Words:
        words = value.split(",") if isinstance(value, str) else map(str, value)
        return tuple(word.strip() for word in words if word.strip())
    found = _of_text(kind, value) if isinstance(value, str) else kind(value)
    if found is None:
        expected = "yes or no" if kind is bool else "a number"
        raise DataError(f"{name} is {shown(str(value))}, expected {expected}.", advice="Correct it in the form.")
    return found


def _of_text(kind: type, text: str) -> Any:
    """What a text says; None where it says nothing of this kind."""
    if kind is bool:
        return boolean(text)
    text = text.strip()
    if not is_number(text):
        return None
    return int(text) if kind is int and text.lstrip("+-").isdigit() else kind(float(text))
