"""Results of generic models: outputs as JSON, and rendered through a view of the plugin host."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from digits.domain.datasets import DatasetInfo
from digits.errors import DigitsError, FormErrors, NotFound, StorageError
from digits.service import Service
from digits.service.datasets.contents import feature_dims
from digits.service.datasets.source import PluginForm
from digits.service.plugins import host as plugins
from digits.service.plugins.paths import check_paths
from digits.storage.jobs.store import Job
from digits.utils.constants import COLOR_PALETTE_ATTRIBUTE
from digits.utils.values import finite

if TYPE_CHECKING:
    import numpy as np

MAX_SHOWN = 200
COUNTED_BYTES = 256 << 20  # of samples that are not shown, but counted by a view whose header has totals
ANGULAR = re.compile(r"\sng-(app|controller)\b|\bangular\s*\.")


@dataclass(frozen=True)
class ViewSample:
    """One tested sample: its `input` (C, H, W; None where no view shows it), outputs by name without batch axis, and the truth
    where it is known.

    `candidates` are the boxes before suppression, where the network reports them, `thresholds` as in
    `service.evaluations.predict.Prediction`, `in_picture` and `origin` as in `service.evaluations.in_picture`; `note` says
    what was converted of it. Views know the sample by `id`: the number of a picture, the key of a record; by default its place
    among the samples.
    """

    key: str
    input: np.ndarray | None
    outputs: Mapping[str, np.ndarray]
    truth: Any = None
    candidates: Mapping[str, Any] | None = None
    thresholds: Sequence[float] = ()
    in_picture: dict[str, Any] | None = None
    id: int | str | None = None
    origin: dict[str, Any] | None = None
    note: str = ""


@dataclass(frozen=True)
class Results:
    """A rendered document: parts have `html` or `error` (message, advice, trace). `hidden` samples are not shown, `uncounted` of
    these no part of what the header says. `failure`: the view as a whole failed."""

    title: str = ""
    header: dict[str, Any] = field(default_factory=dict)
    samples: list[dict[str, Any]] = field(default_factory=list)
    before: dict[str, Any] = field(default_factory=dict)
    after: dict[str, Any] = field(default_factory=dict)
    hidden: int = 0
    uncounted: int = 0
    failure: DigitsError | None = None

    @property
    def trace(self) -> str:
        return str(getattr(self.failure, "trace", ""))

    @property
    def uses_angular(self) -> bool:
        """Whether a part is written for AngularJS, as templates of the original's views are."""
        return any(ANGULAR.search(str(part.get("html", ""))) for part in (self.before, self.header, *self.samples, self.after))


def render(
    service: Service, dataset: Job | None, samples: Sequence[ViewSample], view_id: str, values: Mapping[str, Any], nonce: str
) -> Results:
    """The samples through a view, which shows the first `MAX_SHOWN` of them; its header is of all that fit into `COUNTED_BYTES`.

    Raises FormErrors for options that do not validate and NotFound for an unknown view; a view that fails is `failure`.
    """
    given = _counted(samples)
    view_id = view_id or plugins.DEFAULT_VIEW
    if errors := check_paths(service, values, lambda: config_form(service, view_id, values).fields):
        raise FormErrors(errors)
    header: dict[str, Any] = {
        "values": dict(values),
        "keys": [s.key for s in given],
        "ids": [number if s.id is None else s.id for number, s in enumerate(given)],
        "shown": MAX_SHOWN,
        "nonce": nonce,
        "dataset": _describe(service, dataset),
    }
    header["suppression"] = [{name: s.candidates[name] for name in ("overlap", "most")} if s.candidates else None for s in given]
    header["thresholds"] = [list(s.thresholds) for s in given]
    header["origins"] = [s.origin for s in given]
    hidden = max(0, len(samples) - MAX_SHOWN)
    try:
        answer = plugins.request(service, "view-render", view_id, header, _arrays(given), plugins.VIEW_SECONDS).header
    except (FormErrors, NotFound):
        raise
    except DigitsError as error:
        return Results(title=view_id, failure=error, hidden=hidden)
    parts = {name: answer[name] for name in ("title", "header", "samples", "before", "after")}
    uncounted = len(samples) - answer["counted"] if answer["counted"] is not None else 0
    return Results(**parts, hidden=hidden, uncounted=uncounted)


def _counted(samples: Sequence[ViewSample]) -> Sequence[ViewSample]:
    """The samples that are shown, and after them as many as fit into `COUNTED_BYTES`."""
    size = 0
    for number, sample in enumerate(samples[MAX_SHOWN:], MAX_SHOWN):
        arrays = [sample.input, *sample.outputs.values()]
        size += sum(array.nbytes for array in arrays if array is not None)
        if size > COUNTED_BYTES:
            return samples[:number]
    return samples


def config_form(service: Service, view_id: str, values: Mapping[str, Any] | None = None, nonce: str = "") -> PluginForm:
    """The options of a view. Raises NotFound for an unknown one."""
    header = {"values": dict(values or {}), "mode": "refill" if values else "new", "nonce": nonce}
    try:
        found = plugins.request(service, "view-form", view_id, header).header
    except NotFound:
        raise
    except DigitsError as error:
        return PluginForm(title=view_id, failure=error)
    return PluginForm(found["title"], "", found["html"], found["fields"])


def check_view(service: Service, view_id: str, values: Mapping[str, Any]) -> None:
    """Raises NotFound for an unknown view, FormErrors for options of it that do not validate."""
    plugins.request(service, "view-check", view_id, {"values": dict(values)})


def plain(array: Any) -> Any:
    """An array as nested lists; what is not finite becomes None, so that the JSON is valid."""
    import numpy as np

    values = np.asarray(array)
    if values.dtype.kind == "f" and not np.isfinite(values).all():
        return finite(values.tolist())
    return values.tolist()


def dataset_info(service: Service, dataset: Job) -> DatasetInfo | None:
    """What a finished data set is; None while it is made."""
    try:
        return service.folder(dataset.id).find_dataset_info()
    except StorageError:
        return None


def _describe(service: Service, dataset: Job | None) -> dict[str, Any]:
    if dataset is None:
        return {}
    info = dataset_info(service, dataset)
    return {
        "id": dataset.id,
        "name": dataset.name,
        "extension_id": dataset.extension,
        "feature_dims": feature_dims(info) or [],
        "class_labels": list(info.class_labels) if info else [],
        "userdata": {name: info.extra[name] for name in (COLOR_PALETTE_ATTRIBUTE,) if info and name in info.extra},
    }


def _arrays(samples: Sequence[ViewSample]) -> dict[str, Any]:
    from digits.storage.records import boxes as box_arrays

    arrays: dict[str, Any] = {}
    for number, sample in enumerate(samples):
        arrays[f"{number}/feature"] = sample.input
        arrays |= {f"{number}/output/{name}": array for name, array in sample.outputs.items()}
        if sample.candidates is not None:
            arrays[f"{number}/candidates"] = sample.candidates["boxes"]
        if sample.truth is not None:
            box_arrays.put(arrays, f"{number}/truth", sample.truth)
    return arrays
