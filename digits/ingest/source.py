"""The data source of a job: built and frozen at the first start, thawed for every later one and in each pool process."""

from __future__ import annotations

import json
import os
import pickle
import shutil
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext, suppress
from pathlib import Path
from typing import Any, cast

from digits.domain.datasets import ENTRY_SECONDS, DatasetSpec
from digits.errors import DataError, DigitsError, JobStopped, PluginError, complaint_of
from digits.extensions import loader
from digits.extensions.data import userdata
from digits.extensions.data.interface import DataIngestionInterface
from digits.extensions.data.source import ROOTS, ConfinedSource, FileSource, ReportProblem
from digits.ingest.silence import SilenceWatch
from digits.storage.events import read_lines
from digits.storage.files import atomic
from digits.storage.folders import JobFolder
from digits.utils.confinement import EVERYWHERE
from digits.utils.constants import CLASS_LABELS_ATTRIBUTE, COLOR_PALETTE_ATTRIBUTE
from digits.utils.time_limits import SignsOfLife, within

FOUND_FILE = ".found.jsonl"  # what a source reported while it looked at its files; until the data set is whole


def entry_seconds() -> float:
    """How long an entry may take to encode, and a look at all files without a sign of life, as the server told this worker."""
    return float(os.environ.get("DIGITS_ENTRY_SECONDS") or ENTRY_SECONDS)


def open_source(
    spec: DatasetSpec,
    folder: JobFolder,
    report: ReportProblem,
    should_stop: Callable[[], bool] = lambda: False,
    watch: SilenceWatch | None = None,
) -> DataIngestionInterface:
    """The source of a job, frozen. At the first start it looks at its files; later starts report again what was found then.

    `report` writes the job's list of problems, which is empty at the call; `watch` looks after `__init__`. Raises JobStopped when
    `should_stop` says so meanwhile.
    """
    source = load_source(spec.extension, folder.path) if folder.userdata_file.is_file() else _build(spec, watch)
    if isinstance(source, FileSource) and not source.prepared:
        source.same_shape = spec.force_same_shape
        _prepare(source, folder, report, should_stop)
        userdata.write(source, folder.userdata_file)
    elif isinstance(source, FileSource):
        for _, line in read_lines(folder.path / FOUND_FILE):
            report(json.loads(line))
    elif not folder.userdata_file.is_file():
        userdata.write(source, folder.userdata_file)
    return source


def _prepare(source: FileSource, folder: JobFolder, report: ReportProblem, should_stop: Callable[[], bool]) -> None:
    signs, seconds = SignsOfLife(), entry_seconds()

    def check_stop() -> None:
        signs.note()
        if should_stop():
            raise JobStopped("Stopped while looking at the files.")

    def heard(problem: dict[str, Any]) -> None:
        signs.note()
        report(problem)

    def look() -> None:
        with source.reading(signs.note):
            source.prepare(heard)

    source.job_folder = folder.path
    source.check_stop = check_stop  # type: ignore[method-assign]
    try:
        within(seconds, look, "prepare", signs=signs)
    except TimeoutError as error:
        raise DataError(
            f"{type(source).__name__}.prepare gave no sign of life for {seconds:g} s while it looked at its files.",
            advice="The setting entry_seconds (DIGITS_ENTRY_SECONDS) allows more; the prepare of a plugin calls check_stop.",
        ) from error
    finally:
        del source.check_stop
    source.prepared = True
    with open(folder.problems_file, "rb") as problems, atomic(folder.path / FOUND_FILE) as kept:
        shutil.copyfileobj(problems, kept)


def forget_found(folder: JobFolder) -> None:
    """The data set is whole: no later start reports again what was found."""
    (folder.path / FOUND_FILE).unlink(missing_ok=True)


def state_of(source: DataIngestionInterface) -> bytes:
    """A source as it is after listing its entries, which may have left marks in it that `encode_entry` looks at.

    Empty where the frozen file of the job folder will do: built-in sources, and marks that pickle cannot store.
    """
    if isinstance(source, FileSource):
        return b""
    try:
        return userdata.freeze(source)
    except PluginError:
        return b""


def attributes_of(source: DataIngestionInterface) -> dict[str, bytes]:
    """What a source keeps, by name, so that it can be seen what was changed; without what pickle cannot store."""
    found = {}
    for name, value in vars(source).items():
        with suppress(Exception):  # of a plugin's own objects, in pickling any
            found[name] = pickle.dumps(value, protocol=pickle.HIGHEST_PROTOCOL)
    return found


def changed_in(before: Mapping[str, bytes], now: Mapping[str, bytes]) -> set[str]:
    """Names of what has another value than before, as `attributes_of` gives them."""
    return {name for name in before.keys() | now.keys() if before.get(name) != now.get(name)}


def says_its_mode(source: DataIngestionInterface) -> bool:
    """Whether a source states itself how its entries may be encoded (`encode_mode`)."""
    own = [cls for cls in type(source).__mro__ if cls is not DataIngestionInterface]
    return "encode_mode" in vars(source) or any("encode_mode" in vars(cls) for cls in own)


def load_source(extension: str, folder: Path, state: bytes = b"") -> DataIngestionInterface:
    """The source of a job folder, as it was frozen there or as `state_of` gave it. Raises PluginError."""
    job = JobFolder(folder)
    frozen = state or job.userdata_file.read_bytes()
    spec = job.request().spec
    made_by = loader.get("data", extension, str(spec.get("entry_point", "")), str(spec.get("distribution", "")))
    source = userdata.thaw(made_by.cls, frozen)
    if isinstance(source, FileSource):
        source.job_folder = folder
    if isinstance(source, ConfinedSource) and ROOTS not in source.userdata and not source.allowed_roots:
        source.allowed_roots = EVERYWHERE  # frozen before sources knew their folders: the form alone confined its paths
    return source


def entries_of(source: DataIngestionInterface, stage: str, plugin: str, watch: SilenceWatch | None = None) -> Sequence[Any]:
    """The entries of a stage; what is no sequence is made a list. Raises PluginError naming the plugin."""
    try:
        with _watched(watch, f"itemize_entries({stage!r})", type(source)), userdata.chance_of(source).of_stage(stage):
            entries = source.itemize_entries(stage)
            if entries is None or isinstance(entries, str | bytes | Mapping):
                raise PluginError(
                    f"{plugin}: itemize_entries({stage!r}) returned {'None' if entries is None else type(entries).__name__}.",
                    advice="Return a list; empty for no entries.",
                )
            is_sequence = hasattr(entries, "__getitem__") and hasattr(entries, "__len__")
            return cast(Sequence[Any], entries) if is_sequence else list(entries)
    except DigitsError:
        raise
    except (Exception, SystemExit) as error:  # a plugin may raise anything; the message must say where
        failed = PluginError(
            f"{plugin}: itemize_entries({stage!r}) failed with {type(error).__name__}: {error}",
            advice="Check the files and fields that the data set was made from, or correct the plugin.",
        )
        failed.complaint = complaint_of(error)
        raise failed from error


def class_labels_of(source: DataIngestionInterface) -> tuple[str, ...]:
    """The class names in userdata, empty where there are none."""
    data = source.get_user_data()
    labels = data.get(CLASS_LABELS_ATTRIBUTE) if isinstance(data, dict) else None
    return tuple(str(label) for label in labels) if labels is not None else ()


def kept_colours(source: DataIngestionInterface) -> dict[str, Any]:
    """The palette in userdata for `DatasetInfo.extra`; empty where there is none."""
    data = source.get_user_data()
    palette = data.get(COLOR_PALETTE_ATTRIBUTE) if isinstance(data, dict) else None
    return {COLOR_PALETTE_ATTRIBUTE: [int(value) for value in palette]} if palette is not None else {}


def title_of(extension: str, entry_point: str = "", distribution: str = "") -> str:
    """The name that messages give the source."""
    return f"Data plugin {loader.get('data', extension, entry_point, distribution).title!r} ({extension})"


def _watched(watch: SilenceWatch | None, call: str, cls: type[Any]) -> AbstractContextManager[None]:
    return nullcontext() if watch is None else watch.watching(call, cls.__module__)


def _build(spec: DatasetSpec, watch: SilenceWatch | None) -> DataIngestionInterface:
    cls = loader.get("data", spec.extension, spec.entry_point, spec.distribution).cls
    try:
        with _watched(watch, "__init__", cls):
            return userdata.build(cls, spec.extension_data)
    except DigitsError:
        raise
    except (Exception, SystemExit) as error:  # a plugin may raise anything; the message must say where
        title = title_of(spec.extension, spec.entry_point, spec.distribution)
        raise PluginError(
            f"{title}: __init__ failed with {type(error).__name__}: {error}",
            advice="Check the fields of the form against what the plugin expects.",
        ) from error
