"""What the host does with views: show and check their options, render the samples of one request as R 6.3 orders it."""

from __future__ import annotations

import functools
import inspect
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from flask import Flask

from digits.errors import DigitsError, FormErrors
from digits.extensions import loader
from digits.extensions.loader import explain
from digits.extensions.view.interface import VisualizationInterface
from digits.ipc.errors import error_to_json
from digits.plugin_host import binding
from digits.plugin_host.guard import failure
from digits.plugin_host.rendering import render, with_nonce
from digits.storage.records import boxes as box_arrays

COUNTING_SECONDS = 20.0  # for samples that are not shown
AROUND = ("get_header_template", "get_summary_template", "get_ng_templates")
BESIDE = ("input_name", "candidates", "thresholds", "origin")  # parameters of `process_data` that only some views have


@dataclass(frozen=True)
class DatasetView:
    """The data set as a view sees it."""

    id: str = ""
    name: str = ""
    extension_id: str = ""
    extension_userdata: dict[str, Any] = field(default_factory=dict)
    feature_dims: tuple[int, ...] = ()
    class_labels: tuple[str, ...] = ()

    def get_feature_dims(self) -> tuple[int, ...]:
        """(H, W, C) of the features; empty when they differ."""
        return self.feature_dims

    def get_labels(self) -> list[str]:
        return list(self.class_labels)


def config_form(app: Flask, extension_id: str, values: Mapping[str, Any] | None, mode: str, nonce: str) -> dict[str, Any]:
    """HTML and fields of a view's options."""
    extension = loader.get("view", extension_id)
    with binding.request_with(app, values if mode == "check" else None):
        form = binding.make_form(extension.id, extension.cls.get_config_form)
        if mode == "refill":
            binding.refill(form, values or {})
        html = _rendered(extension, extension.cls.get_config_template(form), nonce)
        return {"html": html, "fields": binding.describe(form, html), "title": extension.title}


def render_samples(
    app: Flask,
    extension_id: str,
    values: Mapping[str, Any],
    dataset: DatasetView,
    keys: list[str],
    arrays: Mapping[str, np.ndarray],
    nonce: str,
    *,
    shown: int | None = None,
    ids: Sequence[int | str] = (),
    suppression: Sequence[Mapping[str, Any] | None] = (),
    thresholds: Sequence[Sequence[float]] = (),
    origins: Sequence[Mapping[str, Any] | None] = (),
) -> dict[str, Any]:
    """One document's parts: `header`, `samples` (each `html`, or `error` in its place), `before` and `after` (raw). Of more than
    `shown` samples the others are processed too, within `COUNTING_SECONDS`, so that the header has totals of them; `counted` says
    of how many, None where the header has none.

    `keys` name the samples in words; views get `ids[i]`, by default their number, and the words where they take `input_name`.
    `arrays` holds `<i>/feature` (C, H, W), `<i>/output/<name>` and, where known, `<i>/truth` (as `box_arrays` puts it)
    and `<i>/candidates`, the boxes before `suppression[i]`; `thresholds[i]` is the score of each class from which on it counts,
    empty where classes are not found one by one; `origins[i]` says where the sample lies in its picture. Raises FormErrors for
    options that do not validate.
    """
    extension = loader.get("view", extension_id)
    with binding.request_with(app, values):
        form = binding.make_form(extension.id, extension.cls.get_config_form)
        options = _options(extension.id, form, values)
        instance = extension.cls(dataset, **options)
        outputs = _outputs_by_sample(arrays)
        own = ({"input_name": key, "dataset": dataset} for key in keys)
        known = [_known(i, arrays, suppression, thresholds, origins) | names for i, names in enumerate(own)]
        numbers = ids or range(len(keys))
        shown = len(keys) if shown is None else min(shown, len(keys))
        samples = [_sample(extension, instance, numbers[i], outputs.get(i, {}), known[i], nonce) for i in range(shown)]
        counted = None
        if _counts_all(instance):
            counted, ends = shown, time.monotonic() + COUNTING_SECONDS
            while counted < len(keys) and time.monotonic() < ends:
                asked = (instance, numbers[counted], outputs.get(counted, {}), known[counted])
                _part(extension.id, functools.partial(_processed, *asked))
                counted += 1
        header = _part(extension.id, lambda: _rendered(extension, instance.get_header_template(), nonce))
        before, after = _ng(extension.id, instance, nonce)
    return {
        "header": header,
        "samples": samples,
        "before": before,
        "after": after,
        "title": extension.title,
        "counted": counted,
    }


def check_options(app: Flask, extension_id: str, values: Mapping[str, Any]) -> None:
    """Raises NotFound for an unknown view, FormErrors for options that do not validate; where none is sent, there are none."""
    extension = loader.get("view", extension_id)
    with binding.request_with(app, values):
        form = binding.make_form(extension.id, extension.cls.get_config_form)
        if any(field.name in values for field in form if field.name not in binding.NEVER_PASSED):
            _options(extension.id, form, values)


def _options(plugin: str, form: Any, values: Mapping[str, Any]) -> dict[str, Any]:
    try:
        return binding.check(form, values)
    except FormErrors as error:
        named = "; ".join(f"{name}: {' '.join(messages)}" for name, messages in error.errors.items())
        raise FormErrors({**error.errors, "view_extension_id": [f"Options of the view {plugin}: {named}"]}) from error


def _known(
    number: int,
    arrays: Mapping[str, np.ndarray],
    suppression: Sequence[Mapping[str, Any] | None],
    thresholds: Sequence[Sequence[float]],
    origins: Sequence[Mapping[str, Any] | None],
) -> dict[str, Any]:
    """What is known of a sample beside its outputs: `input_data`, `ground_truth`, `candidates`, `thresholds`, `origin`."""
    boxes = arrays.get(f"{number}/candidates")
    candidates = None if boxes is None else {"boxes": np.asarray(boxes), **(suppression[number] or {})}
    truth = box_arrays.take(arrays, f"{number}/truth")
    truth = None if truth is None else np.asarray(truth)
    own = thresholds[number] if thresholds else ()
    return {
        "input_data": view_input(np.asarray(arrays[f"{number}/feature"])),
        "ground_truth": truth,
        "candidates": candidates,
        "thresholds": np.array(own) if len(own) else None,
        "origin": origins[number] if origins else None,
    }


def view_input(feature: np.ndarray) -> np.ndarray:
    """A feature (C, H, W) as views get it: (H, W) for one channel, else (H, W, C); a contiguous array they may write to."""
    return np.ascontiguousarray(feature[0] if feature.shape[0] == 1 else feature.transpose(1, 2, 0))


def _sample(
    extension: loader.Extension,
    instance: Any,
    input_id: int | str,
    outputs: Mapping[str, Any],
    known: Mapping[str, Any],
    nonce: str,
) -> dict[str, Any]:
    def work() -> str:
        data = _processed(instance, input_id, outputs, known)
        return _rendered(extension, instance.get_view_template(data), nonce)

    return {"key": known["input_name"], **_part(extension.id, work)}


def _counts_all(instance: Any) -> bool:
    """Whether a view shows something of all samples: it has a template for above or around them, and does not say otherwise."""
    own = any(getattr(type(instance), name, None) is not getattr(VisualizationInterface, name) for name in AROUND)
    return own and bool(getattr(instance, "counts_all", True))


def _processed(instance: Any, input_id: int | str, outputs: Mapping[str, Any], known: Mapping[str, Any]) -> Any:
    extra = {name: known[name] for name in accepted(instance)}
    first = known["dataset"] if _takes_dataset(instance) else input_id
    return instance.process_data(first, known["input_data"], outputs, **extra)


def _takes_dataset(instance: Any) -> bool:
    """Whether a view is of the time when `process_data` began with the data set, where the id of the sample is today."""
    return next(iter(inspect.signature(instance.process_data).parameters), "") == "dataset"


def _rendered(extension: loader.Extension, answer: Any, nonce: str) -> str:
    """HTML of what a view gives as a template, with or without names."""
    return render(extension.id, *_pair(answer), nonce, kind="view")


def accepted(instance: Any) -> list[str]:
    """What `process_data` takes by name beside its three arguments: `ground_truth`, also through `**`, and those of `BESIDE`."""
    parameters = inspect.signature(instance.process_data).parameters.values()
    names = {p.name for p in parameters}
    anything = any(p.kind is inspect.Parameter.VAR_KEYWORD for p in parameters)
    known = (("ground_truth", anything), *((name, False) for name in BESIDE))
    return [name for name, given in known if given or name in names]


def _part(plugin: str, work: Any) -> dict[str, Any]:
    """`{"html"}` or, where the plugin fails, `{"html": "", "error": {...}}`: one box, not the page."""
    try:
        return {"html": work()}
    except DigitsError as error:
        return {"html": "", "error": error_to_json(error, explain(error))}
    except BaseException as error:  # sys.exit in one sample must not cost the others
        return {"html": "", "error": error_to_json(failure(f"The view {plugin} failed", error))}


def _pair(answer: Any) -> tuple[Any, Any]:
    return answer if isinstance(answer, tuple) and len(answer) == 2 else (answer, {})


def _ng(plugin: str, instance: Any, nonce: str) -> tuple[dict[str, Any], dict[str, Any]]:
    found: list[Any] = [None, None]

    def template() -> str:
        found[:] = _pair(instance.get_ng_templates())
        return render_raw(found[0], nonce)

    before = _part(plugin, template)
    return before, _part(plugin, lambda: render_raw(found[1], nonce))


def render_raw(html: Any, nonce: str) -> str:
    """HTML as it is, with the page's nonce on its inline scripts."""
    return "" if html is None else with_nonce(str(html), nonce)


def _outputs_by_sample(arrays: Mapping[str, np.ndarray]) -> dict[int, dict[str, np.ndarray]]:
    """Output name -> array for each sample, in the network's order; each a copy that the view may write to."""
    outputs: dict[int, dict[str, np.ndarray]] = {}
    for name, array in arrays.items():
        number, kind, *rest = name.split("/", 2)
        if kind == "output":
            outputs.setdefault(int(number), {})[rest[0]] = np.array(array)
    return outputs
