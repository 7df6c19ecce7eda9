"""Finds data sources and views: the built-ins and everything installed under the two entry-point groups, by one road.

Holds: a plugin that cannot be imported, exits, hangs or is incomplete is a row with its traceback and disturbs no other;
of two plugins with one id the first counts (built-ins first, then as `packages.points` orders them) and the other is a row that
says so, as is one whose module is another package's. Entry points may have any name; `get_id()` is the key. Imports are done once
per process, one after the other; a process that knows where a plugin is (`entry_point`) imports that one alone, also where its
module has another name by now.
"""

from __future__ import annotations

import functools
import inspect
import threading
import traceback
from collections.abc import Iterable
from dataclasses import dataclass, replace
from importlib import metadata
from pathlib import Path
from typing import Any

from digits import __version__
from digits.errors import NotFound, PluginError
from digits.extensions import former_names, packages
from digits.extensions.data.interface import DataIngestionInterface
from digits.extensions.journal import ImportJournal
from digits.extensions.packages import GROUPS
from digits.extensions.view.interface import VisualizationInterface
from digits.utils.time_limits import within

IMPORT_SECONDS = 30.0
STILL_IMPORTED = "It is being imported, or waits for others that are. Look again in a moment."
CRASHED = (
    "Importing {} has ended the process of the plugins twice, so it is left out until the server or `digits plugins install` "
    "starts that anew. A compiled module that it loads may be broken, or it calls os._exit(); the server's log says more."
)
MODULE_OF_ANOTHER = (
    "Its module {module} is that of the package {other} ({file}), whose plugin is used; this one is not. To have this one, "
    "uninstall both packages ({other}, {own}) and install {own} again."
)
DEFAULT_VIEW = "all-raw-data"
BASES: dict[str, type] = {"data": DataIngestionInterface, "view": VisualizationInterface}

# id -> class; workers that need a built-in import nothing else.
BUILTINS = {
    "data": {
        "image-classification-folder": "digits.extensions.data.classification:FolderIngestion",
        "image-classification-textfile": "digits.extensions.data.classification:TextFileIngestion",
        "image-processing": "digits.extensions.data.image_processing:DataIngestion",
        "image-segmentation": "digits.extensions.data.image_segmentation:DataIngestion",
        "image-object-detection": "digits.extensions.data.image_object_detection:DataIngestion",
        "image-multi-label": "digits.extensions.data.image_multi_label:DataIngestion",
        "image-regression": "digits.extensions.data.image_regression:DataIngestion",
        "image-pairs": "digits.extensions.data.image_pairs:DataIngestion",
        "image-dicom": "digits.extensions.data.dicom:DataIngestion",
    },
    "view": {
        "all-raw-data": "digits.extensions.view.raw_data:Visualization",
        "image-image-output": "digits.extensions.view.image_output:Visualization",
        "image-segmentation": "digits.extensions.view.segmentation:Visualization",
        "image-bounding-boxes": "digits.extensions.view.bounding_boxes:Visualization",
        "all-top-k": "digits.extensions.view.top_k:Visualization",
    },
}


@dataclass(frozen=True)
class Extension:
    """One row of the table of plugins. `cls` is None and `error` a traceback where it cannot be used; `used_instead` names the
    distribution whose plugin is used in its place."""

    kind: str  # data | view
    id: str
    title: str = ""
    category: str = ""
    needs: str = ""  # of a data source: a line of what it is made from
    visible: bool = True
    cls: Any = None
    entry_point: str = ""  # module:Class
    distribution: str = "digits"
    version: str = __version__
    location: str = ""
    builtin: bool = True
    error: str = ""
    tests_models: bool = False  # a data source with a form of its own for that
    used_instead: str = ""

    @property
    def ok(self) -> bool:
        return self.cls is not None

    @property
    def state(self) -> str:
        """One word or two for the table."""
        return "used" if self.ok else "not used" if self.used_instead else "cannot be used"

    def to_json(self) -> dict[str, Any]:
        """All but the class."""
        return {name: value for name, value in vars(self).items() if name != "cls"} | {"ok": self.ok, "state": self.state}


class _Table:
    """The rows of one kind, filled one after the other."""

    def __init__(self, kind: str) -> None:
        self.points = (*_builtin_points(kind), *packages.points(kind))
        self.rows: list[Extension] = []

    def fill(self, kind: str) -> None:
        for point in self.points[len(self.rows) :]:
            self.rows.append(_check_duplicate(load(kind, point), self.rows))


_LOCK = threading.RLock()  # one plugin is imported at a time
_MAKING = threading.Lock()
_journal = ImportJournal()


def _table(kind: str) -> _Table:
    """The one table of a kind: several threads may be the first to ask for it."""
    with _MAKING:
        return _made_table(kind)


@functools.cache
def _made_table(kind: str) -> _Table:
    return _Table(kind)


def all_extensions(kind: str) -> tuple[Extension, ...]:
    """Every data source or view, built-ins first; imports all of them."""
    table = _table(kind)
    with _LOCK:
        table.fill(kind)
    return tuple(table.rows)


def extensions_so_far(kind: str) -> tuple[tuple[Extension, ...], bool]:
    """The rows that are known by now, without waiting; the others as unusable ones that say so. And whether that is all."""
    table = _table(kind)
    rows = list(table.rows)
    waiting = [replace(_describe(kind, point), error=STILL_IMPORTED) for point in table.points[len(rows) :]]
    return (*rows, *waiting), not waiting


def keep_journal(file: Path) -> ImportJournal:
    """Note in `file` what is being imported, so that the next process leaves out what ended this one."""
    global _journal
    _journal = ImportJournal(file)
    return _journal


def forget() -> None:
    """Look for plugins anew: something was installed or removed while this process runs."""
    packages.forget()
    _made_table.cache_clear()
    _load_known.cache_clear()


def get(kind: str, extension_id: str, entry_point: str = "", distribution: str = "") -> Extension:
    """The usable extension with this id; `entry_point` and `distribution` say where it was when it was last seen.

    Raises NotFound when none has the id, PluginError with the traceback when it is broken.
    """
    found = _find(kind, extension_id, entry_point, distribution)
    if found is None:
        raise NotFound(
            f"There is no {kind} plugin with the id {extension_id!r}.",
            advice="`digits plugins` lists all; install its package with `digits plugins install`.",
        )
    if not found.ok:
        raise PluginError(f"The plugin {found.id} of {found.distribution} cannot be used.\n{found.error}")
    return found


def _find(kind: str, extension_id: str, entry_point: str, distribution: str) -> Extension | None:
    if extension_id in BUILTINS[kind]:
        return _load_known(kind, BUILTINS[kind][extension_id])
    for known in packages.last_seen(entry_point, distribution):
        row = _load_known(kind, *known)
        if row is not None and row.ok and row.id == extension_id:
            return row
    rows = [row for row in all_extensions(kind) if row.id == extension_id]
    usable = [row for row in rows if row.ok]
    return next(iter(usable or rows), None)


@functools.cache
def _load_known(kind: str, entry_point: str, distribution: str = "") -> Extension | None:
    """The built-in or installed plugin at `module:Class`; None where nothing says that there is one."""
    points = [p for p in (*_builtin_points(kind), *packages.points(kind)) if p.value == entry_point]
    rows = [load(kind, p) for p in points if not distribution or (p.dist is not None and p.dist.name == distribution)]
    return next((row for row in rows if row.ok), next(iter(rows), None))


def load(kind: str, entry_point: metadata.EntryPoint) -> Extension:
    """Import one plugin and read its id and title; whatever goes wrong becomes `error`."""
    row = _describe(kind, entry_point)
    if row.builtin:
        return _load(row, entry_point)
    try:
        if other := packages.displacement(entry_point):
            message = MODULE_OF_ANOTHER.format(module=entry_point.module, file=other.file, other=other.by, own=row.distribution)
            return replace(row, error=message, used_instead=other.by)
        if _journal.is_refused(entry_point.value):
            return replace(row, error=CRASHED.format(entry_point.value))
        with _journal.importing(entry_point.value):
            return within(IMPORT_SECONDS, lambda: _load(row, entry_point), f"Importing {entry_point.value}", may_stay=True)
    except TimeoutError as error:
        return replace(row, error=str(error))
    except (OSError, ValueError) as error:  # metadata that somebody wrote by hand, or a file of it that is gone
        return replace(row, error=explain(error))


def _load(row: Extension, entry_point: metadata.EntryPoint) -> Extension:
    try:
        if not row.builtin:
            prepare_for_plugins()
        cls = entry_point.load()
        return _identify(row, cls)
    except BaseException as error:  # a plugin may also call sys.exit while it is imported
        return replace(row, error=explain(error))


def _identify(row: Extension, cls: Any) -> Extension:
    base = BASES[row.kind]
    if not inspect.isclass(cls) or base not in cls.__mro__:
        raise PluginError(f"{row.entry_point} is {cls!r}, expected a class derived from {base.__module__}.{base.__name__}.")
    plugin: Any = cls
    category = str(plugin.get_category()) if row.kind == "data" else ""
    return replace(
        row,
        id=str(plugin.get_id()),
        title=str(plugin.get_title()),
        category=category,
        needs=str(plugin.get_needs()) if row.kind == "data" else "",
        visible=bool(plugin.get_default_visibility()),
        cls=cls,
        tests_models=row.kind == "data" and tests_models(cls),
    )


def tests_models(cls: Any) -> bool:
    """Whether a data source has a form of its own to test models with."""
    return cls.get_inference_form is not DataIngestionInterface.get_inference_form


def explain(error: BaseException) -> str:
    """The traceback of a plugin's failure, with the remedy where it is known."""
    lines = "".join(traceback.format_exception(error))
    advice = _advice(error)
    return f"{lines}\n{advice}" if advice else lines


def _advice(error: BaseException) -> str:
    from digits.utils.compatibility import advice_for

    return advice_for(error)


def prepare_for_plugins() -> None:
    """Old names get their meaning, those of modules of plugins too, and frameworks that plugins may import do not disturb each
    other."""
    from digits.frameworks import frameworks
    from digits.utils import compatibility, import_order

    compatibility.install()
    former_names.install()
    import_order.install({row.module: row.import_first for row in frameworks().values()})


def _builtin_points(kind: str) -> Iterable[metadata.EntryPoint]:
    return [metadata.EntryPoint(name, value, GROUPS[kind]) for name, value in BUILTINS[kind].items()]


def _describe(kind: str, point: metadata.EntryPoint) -> Extension:
    """The row before anything of the plugin is imported."""
    if point.dist is None:
        return Extension(kind, point.name, entry_point=point.value, location=str(Path(__file__).parent))
    location = str(point.dist.locate_file(""))
    return Extension(
        kind,
        point.name,
        entry_point=point.value,
        distribution=point.dist.name,
        version=point.dist.version,
        location=location,
        builtin=False,
    )


def _check_duplicate(row: Extension, earlier: Iterable[Extension]) -> Extension:
    first = next((other for other in earlier if other.ok and other.id == row.id), None)
    if first is None or not row.ok:
        return row
    message = (
        f"The id {row.id!r} is taken by {first.entry_point} of {first.distribution}; this one is not used. "
        f"Uninstall one of the two packages ({first.distribution}, {row.distribution}) or give one another get_id()."
    )
    return replace(row, cls=None, error=message, used_instead=first.distribution)
