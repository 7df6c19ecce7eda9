"""Where the pictures of an evaluation come from: a list file, a folder, the frames of a video, or a split's records; each gives
tasks that read a batch.

Holds: a task may run in any thread and depends on no other; what cannot be read becomes a problem of its batch, never an
error; files are read only below the folders that the server may read; true classes have the numbers of `digits.domain.classes`.
"""

from __future__ import annotations

import functools
import os
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from digits.domain.classes import NO_CLASS, ClassMatch, match_classes, unknown_number
from digits.domain.inference import EvaluationSpec
from digits.errors import DataError, DigitsError, LoadImageError
from digits.extensions.data.files.listing import tree
from digits.extensions.data.files.names import on_disk
from digits.extensions.data.files.text import lines_naming_files
from digits.images.place import Origin
from digits.images.prepare_for_model import Fitting, PreparedPicture, Preparer, origin_of_record
from digits.storage.folders import JobFolder, JobsDir
from digits.storage.records.open import open_split
from digits.tasks import Labels, of
from digits.utils.confinement import Confinement, reading_from
from digits.utils.fetch import fetch
from digits.utils.names import class_name, is_address, is_input_file, readable, split_line

NO_RECORD = -1


@dataclass
class PictureBatch:
    """Pictures that were read: `features` (C, H, W) each, `labels` and `records` (N,) int64, negative where there is no class or
    record. `sizes` (H, W) are those before pictures were fitted to the model; empty where none was. `origins` say where the
    pictures come from, as they were then, in the given ones; empty for tasks whose outputs do not lie over the picture. `notes`
    say of which paths what was converted."""

    paths: list[str] = field(default_factory=list)
    features: Sequence[np.ndarray] | np.ndarray = field(default_factory=list)
    labels: np.ndarray = field(default_factory=lambda: np.zeros(0, np.int64))
    records: np.ndarray = field(default_factory=lambda: np.zeros(0, np.int64))
    problems: list[tuple[str, str]] = field(default_factory=list)
    sizes: list[tuple[int, int]] = field(default_factory=list)
    origins: list[Origin] = field(default_factory=list)
    notes: list[tuple[str, str]] = field(default_factory=list)

    @property
    def seen(self) -> int:
        return len(self.paths) + len(self.problems)


Reading = Callable[[], PictureBatch]


class InputSource(Protocol):
    """`total` pictures, and tasks that read `size` of them each, in order; `match` has the true classes that the model does not
    know; of files nothing else. `doubt` says in words why the true classes may not be those of the model; mostly empty."""

    total: int
    match: ClassMatch
    doubt: str

    def readings(self, size: int) -> Iterator[Reading]: ...

    def first_paths(self) -> list[str]:
        """The files of the first records, where they may come from such; of files none, for they are pictures without a truth."""
        ...


def open_source(
    spec: EvaluationSpec, folder: JobFolder, jobs_dir: JobsDir, meta: Mapping[str, Any], frames: Sequence[str] = ()
) -> InputSource:
    """The source an evaluation names; `frames` are the files that a video was taken apart to. Raises DataError when it holds no
    picture."""
    if spec.source == "split":
        source: InputSource = SplitSource(jobs_dir.folder(spec.dataset_id), spec, meta)
    elif spec.source == "list":
        source = ListSource(folder.path / spec.list_file, spec, meta)
    elif spec.source == "video":
        source = FrameSource(frames, spec, meta)
    else:
        source = FolderSource(Path(spec.folder), spec, meta)
    if not source.total:
        raise DataError(
            "There is no picture to classify.", advice="A list holds one path a line; a folder pictures at any depth."
        )
    return source


class ListSource:
    """Lines `path [label]`, the number of a class; relative paths start at the given folder. Numbers beyond the model's classes
    are classes that it does not know."""

    def __init__(self, file: Path, spec: EvaluationSpec, meta: Mapping[str, Any]) -> None:
        self._file = file
        self._spec = spec
        self._reader = _FileReader(spec, meta)
        self._classes = len(meta["class_labels"])
        self.total, known, beyond = 0, set[int](), set[int]()
        for _, label in self._lines():
            self.total += 1
            if self._classes and label >= 0:
                (known if label < self._classes else beyond).add(label)
        self._unknown = {label: unknown_number(place) for place, label in enumerate(sorted(beyond))}
        self.match = ClassMatch((), tuple(f"class {label}" for label in self._unknown))
        self.doubt = self._doubt(known, beyond)

    def _doubt(self, known: set[int], beyond: set[int]) -> str:
        """Why numbers of which some are none of the model's may mean other classes; `known` are those that are."""
        if not known or not beyond:
            return ""
        have = f"the model has {self._classes} classes, 0 to {self._classes - 1}"
        if beyond == {self._classes} and 0 not in known:
            return f"The labels of the list go from {min(known)} to {self._classes}, and {have}: they seem to be counted from 1."
        return f"The labels of the list go up to {max(beyond)}, and {have}: it may be a list of another data set."

    def first_paths(self) -> list[str]:
        return []

    def readings(self, size: int) -> Iterator[Reading]:
        return _file_readings(((path, self._number(label)) for path, label in self._lines()), size, self._reader)

    def _number(self, label: int) -> int:
        return label if 0 <= label < self._classes else self._unknown.get(label, NO_CLASS)

    def _lines(self) -> Iterator[tuple[str, int]]:
        entries = (parse_line(line, self._spec.folder) for line in lines_naming_files(self._file) if line.strip())
        yield from islice(((on_disk(path), label) for path, label in entries), self._spec.limit or None)


class FrameSource:
    """Frames of a video, as files in their order; nothing is known to be true of them."""

    doubt = ""

    def __init__(self, files: Sequence[str], spec: EvaluationSpec, meta: Mapping[str, Any]) -> None:
        self._files = files
        self._reader = _FileReader(spec, meta)
        self.total = len(files)
        self.match = ClassMatch((), ())

    def first_paths(self) -> list[str]:
        return []

    def readings(self, size: int) -> Iterator[Reading]:
        return _file_readings(((file, NO_CLASS) for file in self._files), size, self._reader)


class FolderSource:
    """Every picture below a folder, sorted; a sub-folder named like a class gives the true class of its pictures. The folders
    beside one that is named like a class are classes as well: where they are none of the model's, it does not know them."""

    doubt = ""

    def __init__(self, folder: Path, spec: EvaluationSpec, meta: Mapping[str, Any]) -> None:
        self._folder = folder
        self._spec = spec
        self._reader = _FileReader(spec, meta)
        self._classes = meta["class_labels"]
        self._unknown: dict[str, int] = {}
        self.total = sum(1 for _ in self._entries())
        self.match = ClassMatch((), tuple(self._unknown))

    def first_paths(self) -> list[str]:
        return []

    def readings(self, size: int) -> Iterator[Reading]:
        return _file_readings(self._entries(), size, self._reader)

    def _entries(self) -> Iterator[tuple[str, int]]:
        return islice(self._walk(), self._spec.limit or None)

    def _walk(self) -> Iterator[tuple[str, int]]:
        found: dict[str, int] = {str(self._folder): NO_CLASS}  # true class of what lies in a folder
        refused: list[str] = []  # which are read as files, so that why they are not is said as of these
        for root, folders, names in tree(self._folder, self._reader.allows, lambda path, _: refused.append(path)):
            label = found.pop(root, NO_CLASS)
            inner = self._of_folders(folders, label)
            found |= {os.path.join(root, name): number for name, number in zip(folders, inner, strict=True)}
            yield from ((os.path.join(root, name), label) for name in names if is_input_file(name))
        yield from ((path, NO_CLASS) for path in refused if not self._reader.allows(path))

    def _of_folders(self, folders: Sequence[str], label: int) -> list[int]:
        """The class of each of the folders in one of class `label`: that one, unless one of them is named like a class."""
        names = [self._label_of(name) for name in folders]
        known = dict.fromkeys(names)
        places = dict(zip(known, match_classes(list(known), self._classes).places, strict=True))
        if label >= 0 or not any(place >= 0 for place in places.values()):
            return [label] * len(folders)
        return [places[name] if places[name] >= 0 else self._number(name) for name in names]

    def _label_of(self, folder: str) -> str:
        """A folder's name as that of a class."""
        name = readable(folder)
        as_before = (name, name.replace("_", " "))  # data sets of older versions
        return next((one for one in as_before if one in self._classes), class_name(folder))

    def _number(self, name: str) -> int:
        return self._unknown.setdefault(name, unknown_number(len(self._unknown)))


class SplitSource:
    """The records of one split, as they are stored. Classes of another data set are matched by name, its pictures brought to
    the model's channels and size."""

    doubt = ""

    def __init__(self, dataset: JobFolder, spec: EvaluationSpec, meta: Mapping[str, Any]) -> None:
        info = dataset.dataset_info()
        self._reader = open_split(dataset, spec.split, info)
        self.match = match_classes(info.class_labels, meta["class_labels"])
        self._places = np.array(self.match.places or [NO_CLASS], np.int64)
        self.total = min(len(self._reader), spec.limit or len(self._reader))
        self._described = info.extra
        self._task = of(meta["task"], Labels.of_snapshot(meta))
        self._fitting = Fitting(meta, self._task, self._reader.meta.feature_encoding, tiled=spec.tile_overlap is not None)

    def readings(self, size: int) -> Iterator[Reading]:
        for start in range(0, self.total, size):
            yield functools.partial(self._read, np.arange(start, min(start + size, self.total)))

    def _read(self, rows: np.ndarray) -> PictureBatch:
        """The records `rows` (n,) as they are stored, or fitted to the model."""
        reader, shape = self._reader, self._reader.meta.feature_shape
        if shape is not None and self._fitting.takes(shape, np.dtype(reader.meta.feature_dtype)):
            origins = self._origins(rows, [(shape[2], shape[1])] * len(rows))
            return PictureBatch(self._paths(rows), reader.features(rows), self._labels(rows), rows, origins=origins)
        return self._fitted(rows)

    def _fitted(self, rows: np.ndarray) -> PictureBatch:
        """Record by record of `rows` (n,); one that the model cannot take becomes a problem."""
        problems: list[tuple[str, str]] = []
        note = self._fitting.note(np.dtype(self._reader.meta.feature_dtype))
        features, sizes, kept = [], [], []
        for row, path in zip(rows, self._paths(rows), strict=True):
            feature = self._reader.feature(int(row))
            try:
                features.append(self._fitting.fitted(feature))
            except DigitsError as error:
                problems.append((path, str(error)))
                continue
            sizes.append((feature.shape[1], feature.shape[2]))
            kept.append(int(row))
        chosen = np.array(kept, np.int64)
        origins = self._origins(chosen, [(width, height) for height, width in sizes])
        paths = self._paths(chosen)
        notes = [(path, note) for path in paths if note]
        return PictureBatch(paths, features, self._labels(chosen), chosen, problems, sizes, origins, notes)

    def _origins(self, rows: np.ndarray, sizes: Sequence[tuple[int, int]]) -> list[Origin]:
        """Of records `rows` (n,) of these sizes (width, height)."""
        if not self._task.of_places:
            return []
        originals = self._reader.column("original_size", rows)
        found = zip(originals, sizes, strict=True)
        return [origin_of_record(self._described, (int(own[0]), int(own[1])), size) for own, size in found]

    def first_paths(self) -> list[str]:
        return self._paths(np.arange(min(self.total, 8)))

    def _paths(self, rows: np.ndarray) -> list[str]:
        return [readable(path) for path in self._reader.column("source", rows)]

    def _labels(self, rows: np.ndarray) -> np.ndarray:
        """Class numbers, int64 (n,), of the records `rows` (n,)."""
        if not Labels.of_records(self._reader.meta).is_whole:
            return np.full(len(rows), NO_CLASS, np.int64)
        labels = self._reader.labels(rows)
        known = (labels >= 0) & (labels < len(self._places))
        return np.where(known, self._places[np.where(known, labels, 0)], NO_CLASS)


def parse_line(line: str, folder: str) -> tuple[str, int]:
    """Path (joined with `folder` when relative) and label of a list line; `NO_CLASS` without one."""
    path, label = split_line(line)
    if folder and not is_address(path):
        path = os.path.join(folder, path)
    return path, NO_CLASS if label is None else label


class _FileReader:
    """Reads picture files of the allowed folders."""

    def __init__(self, spec: EvaluationSpec, meta: Mapping[str, Any]) -> None:
        self._prepare = Preparer(meta, dont_resize=spec.dont_resize, tiled=spec.tile_overlap is not None)
        self._confinement = Confinement(spec.roots)
        self._allow_urls = spec.allow_urls

    def allows(self, path: str) -> bool:
        return self._confinement.allows(path)

    def read(self, entries: Sequence[tuple[str, int]]) -> PictureBatch:
        batch = PictureBatch(features=[])
        labels: list[int] = []
        features: list[np.ndarray] = []
        for path, label in entries:
            try:
                with reading_from(self._confinement):
                    found = self._prepared(path)
            except DigitsError as error:
                batch.problems.append((readable(path), str(error)))
                continue
            features.append(found.feature)
            batch.origins.append(found.origin)
            batch.paths.append(readable(path))
            batch.notes += [(readable(path), found.note)] * bool(found.note)
            labels.append(label)
        batch.features = features
        batch.labels = np.array(labels, np.int64)
        batch.records = np.full(len(labels), NO_RECORD, np.int64)
        return batch

    def _prepared(self, path: str) -> PreparedPicture:
        """The picture of a file or an address, in stored units."""
        return self._prepare.prepared(self._fetched(path) if is_address(path) else self._allowed(path))

    def _fetched(self, url: str) -> bytes:
        if not self._allow_urls:
            raise LoadImageError(f"{url} is not fetched: the setting allow_urls is off.")
        return fetch(url)

    def _allowed(self, path: str) -> str:
        if "\0" in path:
            raise LoadImageError("A path cannot contain a zero byte.")
        if not os.path.isabs(path):
            raise LoadImageError(f"{path} is a relative path; give the folder it starts at (image_folder).")
        return self._confinement.resolve(path)


def _file_readings(entries: Iterable[tuple[str, int]], size: int, reader: _FileReader) -> Iterator[Reading]:
    iterator = iter(entries)
    while chunk := list(islice(iterator, size)):
        yield functools.partial(reader.read, chunk)
