"""What the host does with data sources: show and check their forms, make the instance once, encode entries for a test."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from flask import Flask

from digits import tasks
from digits.domain.datasets import TEST_DB
from digits.errors import BadRequest, DigitsError, FormErrors, PluginError
from digits.extensions import loader
from digits.extensions.data import userdata
from digits.extensions.data.interface import DataIngestionInterface
from digits.extensions.data.source import with_roots
from digits.ingest.encode import encoded, entry_text
from digits.ingest.source import class_labels_of, entries_of, kept_colours, title_of
from digits.plugin_host import binding
from digits.plugin_host.rendering import render
from digits.storage.folders import JobFolder
from digits.storage.records import boxes as box_arrays
from digits.storage.records.codec import as_stored, encoding_of
from digits.utils.constants import COLOR_PALETTE_ATTRIBUTE

MAX_ENCODED_BYTES = 1 << 30
Encoded = tuple[dict[str, Any], dict[str, Any]]  # what to say, and arrays


def dataset_form(app: Flask, extension_id: str, values: Mapping[str, Any] | None, mode: str, nonce: str) -> dict[str, Any]:
    """HTML and fields of the form: `new`, `fill` (with some `values`), `refill` (with all that were sent once) or `check` (as
    posted, with messages at the fields)."""
    extension = loader.get("data", extension_id)
    with binding.request_with(app, values if mode == "check" else None):
        form = binding.make_form(extension.id, extension.cls.get_dataset_form)
        errors = _fill(form, values or {}, mode)
        html = _html(extension.id, extension.cls.get_dataset_template(form), nonce)
        fields = binding.describe(form, html)
    return {"html": html, "fields": fields, "title": extension.title, "category": extension.category, "errors": errors}


def create(app: Flask, extension_id: str, values: Mapping[str, Any], file: Path, allowed_roots: Sequence[str]) -> dict[str, Any]:
    """Check the form, make the instance and freeze it in `file`. Raises FormErrors; whatever `__init__` raises goes through.

    `allowed_roots` are the folders that a built-in source may read.
    """
    extension = loader.get("data", extension_id)
    with binding.request_with(app, values):
        form = binding.make_form(extension.id, extension.cls.get_dataset_form)
        checked = with_roots(extension.cls, binding.check(form, values), allowed_roots)
        instance = userdata.build(extension.cls, checked)
    file.parent.mkdir(parents=True, exist_ok=True)
    userdata.write(instance, file)
    said = {"task": task_of(instance), "entry_point": extension.entry_point}
    return {**said, "values": _json_values(checked), **_facts(instance)}


def inference_form(
    app: Flask, extension_id: str, file: Path, values: Mapping[str, Any] | None, mode: str, nonce: str
) -> dict[str, Any]:
    """HTML and fields of the form to test a model with; `html` is empty where the plugin has none."""
    extension = loader.get("data", extension_id)
    with binding.request_with(app, values if mode == "check" else None):
        form = _inference_form(extension, file)
        if form is None:
            return {"html": "", "fields": [], "title": extension.title, "errors": {}}
        errors = _fill(form, values or {}, mode)
        html = _html(extension.id, extension.cls.get_inference_template(form), nonce)
        return {"html": html, "fields": binding.describe(form, html), "title": extension.title, "errors": errors}


def inference_entries(
    app: Flask, extension_id: str, folder: JobFolder, values: Mapping[str, Any], allowed_roots: Sequence[str]
) -> Encoded:
    """The test entries that the inference form of the data set in `folder` names, encoded, and compressed as its records are.

    Returns what to say (`keys`, `skipped`) and arrays `<i>/feature` (C, H, W) and, where there is one, `<i>/label`.
    """
    extension = loader.get("data", extension_id)
    file = folder.userdata_file
    with binding.request_with(app, values):
        form = _inference_form(extension, file)
        if form is None:
            raise BadRequest(f"The plugin {extension_id} has no inference form.", advice="Test the model with pictures instead.")
        checked = binding.check(form, values)
    kept = with_roots(extension.cls, userdata.userdata_of(file.read_bytes()), allowed_roots)
    instance = userdata.for_inference(extension.cls, kept, checked)
    info = folder.find_dataset_info()
    return _encode_all(extension_id, instance, encoding_of(info.extra if info else {}))


def stored_facts(extension_id: str, file: Path) -> dict[str, Any]:
    """Class names and palette of a data set, and whether its plugin tests models itself."""
    extension = loader.get("data", extension_id)
    return _facts(userdata.thaw(extension.cls, file.read_bytes()))


def task_of(instance: DataIngestionInterface) -> str:
    """The task a plugin says itself, else `generic` until the labels are seen."""
    said = getattr(instance, "get_task", lambda: None)()
    if said is None:
        return ""
    try:
        return tasks.get(str(said)).name
    except BadRequest as error:
        known = ", ".join(task.name for task in tasks.TASKS)
        raise PluginError(f"get_task() of {type(instance).__name__} is {said!r}, expected one of {known} or None.") from error


def _inference_form(extension: loader.Extension, file: Path) -> Any:
    """The form, whether `get_inference_form` is a method or, as in old plugins, static."""
    instance = userdata.thaw(extension.cls, file.read_bytes())
    form = instance.get_inference_form()
    return None if form is None else binding.make_form(extension.id, lambda: form)


def _fill(form: Any, values: Mapping[str, Any], mode: str) -> dict[str, list[str]]:
    if mode in ("fill", "refill"):
        binding.refill(form, values, whole=mode == "refill")
    if mode != "check":
        return {}
    try:
        binding.check(form, values)
    except FormErrors as error:
        return error.errors
    return {}


def _html(plugin: str, answer: Any, nonce: str) -> str:
    if not isinstance(answer, tuple) or len(answer) != 2:
        raise PluginError(f"The plugin {plugin} gave {answer!r:.200} as its template.", advice="Return (text, dictionary).")
    return render(plugin, answer[0], answer[1], nonce)


def _facts(instance: DataIngestionInterface) -> dict[str, Any]:
    own = type(instance).get_inference_form is not DataIngestionInterface.get_inference_form
    return {
        "class_labels": list(class_labels_of(instance)),
        "color_palette": kept_colours(instance).get(COLOR_PALETTE_ATTRIBUTE, []),
        "has_inference_form": own,
    }


def _json_values(values: Mapping[str, Any]) -> dict[str, Any]:
    return {name: binding.plain(value) for name, value in values.items()}


def _encode_all(plugin: str, instance: DataIngestionInterface, encoding: tuple[str, int]) -> Encoded:
    keys: list[str] = []
    skipped: list[dict[str, str]] = []
    arrays: dict[str, Any] = {}
    size = 0
    title = title_of(plugin)
    names = _Keys()
    for place, entry in enumerate(entries_of(instance, TEST_DB, title)):
        try:
            found = encoded(instance, entry, title)
        except DigitsError as error:  # an entry that cannot be encoded is listed, the others go on
            skipped.append({"entry": entry_text(entry), "message": str(error), "trace": loader.explain(error)})
            continue
        for number, (feature, label) in enumerate(found):
            size += feature.nbytes
            if size > MAX_ENCODED_BYTES:
                limit = f"{MAX_ENCODED_BYTES >> 20} MiB"
                raise PluginError(f"The test entries of {plugin} are larger than {limit}.", advice="Test fewer at once.")
            arrays[f"{len(keys)}/feature"] = as_stored(feature, *encoding)
            if label is not None:
                box_arrays.put(arrays, f"{len(keys)}/label", label)
            keys.append(names.of(entry, place, number if len(found) > 1 else None))
    if not keys:
        advice = f"The first of them: {skipped[0]['message']}" if skipped else "Fill in its form."
        raise PluginError(f"The plugin {plugin} gave nothing to test ({len(skipped)} entries failed).", advice=advice)
    return {"keys": keys, "skipped": skipped}, arrays


class _Keys:
    """Names for records, each given once; entries that cannot say who they are get a number."""

    def __init__(self) -> None:
        self._counts: Counter[str] = Counter()

    def of(self, entry: Any, place: int, part: int | None) -> str:
        says = type(entry).__str__ is not object.__str__ or type(entry).__repr__ is not object.__repr__
        name = entry_text(entry) if says else f"{place:09d}"
        name = name if part is None else f"{name}/{part}"
        self._counts[name] += 1
        if (count := self._counts[name]) == 1:
            return name
        self._counts[f"{name} ({count})"] += 1
        return f"{name} ({count})"
