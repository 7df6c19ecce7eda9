"""What the host does with data sources: show and check their forms, make the instance once, encode entries for a test.

What a plugin says of its input with a ValueError, in `__init__` or while it lists and encodes what is tested, is an error of the
form that the input came with.
"""

from __future__ import annotations

import contextlib
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from flask import Flask

from digits import tasks
from digits.domain.datasets import TEST_DB
from digits.errors import BadRequest, DataError, DigitsError, FormErrors, PluginError, complaint_of
from digits.extensions import loader
from digits.extensions.data import userdata
from digits.extensions.data.interface import DataIngestionInterface
from digits.extensions.data.source import with_roots
from digits.ingest.encode import encoded_with_notes, entry_at, entry_text
from digits.ingest.source import entries_of, title_of
from digits.plugin_host import binding
from digits.plugin_host.rendering import render
from digits.storage.folders import JobFolder
from digits.storage.records import boxes as box_arrays
from digits.storage.records.codec import as_stored

MAX_ENCODED_BYTES = 1 << 30
WHOLE_FORM = "form"  # the name of errors that belong to no field
Encoded = tuple[dict[str, Any], dict[str, Any]]  # what to say, and arrays


def dataset_form(app: Flask, extension_id: str, values: Mapping[str, Any] | None, mode: str, nonce: str) -> dict[str, Any]:
    """HTML and fields of the form: `new`, `fill` (with some `values`), `refill` (with all that were sent once) or `check` (as
    posted, with messages at the fields)."""
    extension = loader.get("data", extension_id)
    with binding.request_with(app, values if mode == "check" else None):
        form = binding.make_form(extension.id, extension.cls.get_dataset_form)
        errors = _fill(form, values or {}, mode)
        html = _html(extension, extension.cls.get_dataset_template(form), nonce)
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
        with complaints():
            instance = userdata.build(extension.cls, checked)
    file.parent.mkdir(parents=True, exist_ok=True)
    userdata.write(instance, file)
    said = {"task": task_of(instance), "entry_point": extension.entry_point, "distribution": extension.distribution}
    return {**said, "values": _json_values(checked)}


@dataclass(frozen=True)
class MadeBy:
    """The data set of a model that is tested: the plugin that made it and the file with its frozen instance, which need not be
    there."""

    extension_id: str
    file: Path

    def userdata(self) -> dict[str, Any]:
        """What the plugin kept; {} where none did. Works as far as it can where the plugin is not installed any more."""
        if not self.file.is_file():
            return {}
        cls = None
        with contextlib.suppress(DigitsError):
            cls = self.plugin(self.extension_id).cls  # its old names and modules must be there before anything is unpickled
        try:
            return userdata.userdata_of(self.file.read_bytes(), cls)
        except PluginError:
            return {}

    def plugin(self, extension_id: str) -> loader.Extension:
        """The plugin of an id; for that of the data set the one that made it, also where another makes new ones."""
        job = JobFolder(self.file.parent)
        spec = job.spec() if extension_id == self.extension_id and job.exists() else {}
        return loader.get("data", extension_id, str(spec.get("entry_point", "")), str(spec.get("distribution", "")))


def inference_form(
    app: Flask, extension_id: str, dataset: MadeBy, values: Mapping[str, Any] | None, mode: str, nonce: str
) -> dict[str, Any]:
    """HTML and fields of the form to test a model with; `html` is empty where the plugin has none."""
    extension = dataset.plugin(extension_id)
    with binding.request_with(app, values if mode == "check" else None):
        form = _inference_form(extension, dataset)
        if form is None:
            return {"html": "", "fields": [], "title": extension.title, "errors": {}}
        errors = _fill(form, values or {}, mode)
        html = _html(extension, extension.cls.get_inference_template(form), nonce)
        return {"html": html, "fields": binding.describe(form, html), "title": extension.title, "errors": errors}


def inference_entries(
    app: Flask,
    extension_id: str,
    dataset: MadeBy,
    values: Mapping[str, Any],
    allowed_roots: Sequence[str],
    encoding: tuple[str, int],
) -> Encoded:
    """The test entries that a plugin's inference form names, encoded, and compressed as the records of the data set are.

    Returns what to say (`keys`, `notes` on each, `skipped`) and arrays `<i>/feature` (C, H, W) and, where there is one,
    `<i>/label`.
    """
    extension = dataset.plugin(extension_id)
    with binding.request_with(app, values):
        form = _inference_form(extension, dataset)
        if form is None:
            raise BadRequest(f"The plugin {extension_id} has no inference form.", advice="Test the model with pictures instead.")
        checked = binding.check(form, values)
    kept = with_roots(extension.cls, dataset.userdata(), allowed_roots)
    with complaints():
        instance = userdata.for_inference(extension.cls, kept, checked)
    return _encode_all(extension_id, instance, encoding)


@contextlib.contextmanager
def complaints() -> Iterator[None]:
    """What a plugin says of its input becomes an error of the whole form."""
    try:
        yield
    except ValueError as error:
        raise FormErrors({WHOLE_FORM: [complaint_of(error)]}) from error
    except DigitsError as error:
        if not error.complaint:
            raise
        raise FormErrors({WHOLE_FORM: [error.complaint]}) from error


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


def _inference_form(extension: loader.Extension, dataset: MadeBy) -> Any:
    """The form, whether `get_inference_form` is a method or, as in old plugins, static; of another plugin than the one that made
    the data set as well, which is given what that one kept."""
    if extension.id == dataset.extension_id and dataset.file.is_file():
        instance = userdata.thaw(extension.cls, dataset.file.read_bytes())
    else:
        with complaints():
            instance = userdata.for_inference(extension.cls, dataset.userdata(), {})
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


def _html(extension: loader.Extension, answer: Any, nonce: str) -> str:
    if not isinstance(answer, tuple) or len(answer) != 2:
        raise PluginError(f"The plugin {extension.id} gave {answer!r:.200} as its template.", advice="Return (text, dictionary).")
    return render(extension.id, answer[0], answer[1], nonce, kind="data")


def _json_values(values: Mapping[str, Any]) -> dict[str, Any]:
    return {name: binding.plain(value) for name, value in values.items()}


def _encode_all(plugin: str, instance: DataIngestionInterface, encoding: tuple[str, int]) -> Encoded:
    keys: list[str] = []
    notes: list[str] = []
    skipped: list[dict[str, str]] = []
    complained: list[str] = []
    arrays: dict[str, Any] = {}
    size = 0
    title = title_of(plugin)
    names = _Keys()
    with complaints():
        entries = entries_of(instance, TEST_DB, title)
    for place in range(len(entries)):
        entry = entry_at(entries, place, title)
        try:
            found = encoded_with_notes(instance, entry, title)
        except DigitsError as error:  # an entry that cannot be encoded is listed, the others go on
            complained += filter(None, [error.complaint or _words_of_source(error)])
            skipped.append({"entry": entry_text(entry), "message": str(error), "trace": loader.explain(error)})
            continue
        for number, ((feature, label), remarks) in enumerate(found):
            size += feature.nbytes
            if size > MAX_ENCODED_BYTES:
                limit = f"{MAX_ENCODED_BYTES >> 20} MiB"
                raise PluginError(f"The test entries of {plugin} are larger than {limit}.", advice="Test fewer at once.")
            arrays[f"{len(keys)}/feature"] = as_stored(feature, *encoding)
            if label is not None:
                box_arrays.put(arrays, f"{len(keys)}/label", label)
            keys.append(names.of(entry, place, number if len(found) > 1 else None))
            notes.append(" ".join(remarks))
    if not keys and (complained or not skipped):
        raise FormErrors({WHOLE_FORM: complained[:1] or [f"The plugin {plugin} gave nothing to test. Fill in its form."]})
    if not keys:
        advice = f"The first of them: {skipped[0]['message']}"
        raise PluginError(f"The plugin {plugin} gave nothing to test ({len(skipped)} entries failed).", advice=advice)
    return {"keys": keys, "notes": notes, "skipped": skipped}, arrays


def _words_of_source(error: DigitsError) -> str:
    """What a source of ours says of the data; empty for the failure of a plugin."""
    return str(error) if isinstance(error, DataError) and error.__cause__ is None else ""


class _Keys:
    """Names for records, each given once; entries that cannot say who they are, and arrays of numbers, get a number."""

    def __init__(self) -> None:
        self._counts: Counter[str] = Counter()

    def of(self, entry: Any, place: int, part: int | None) -> str:
        has_words = type(entry).__str__ is not object.__str__ or type(entry).__repr__ is not object.__repr__
        says = has_words and not isinstance(entry, np.ndarray)
        name = entry_text(entry) if says else f"{place:09d}"
        name = name if part is None else f"{name}/{part}"
        self._counts[name] += 1
        if (count := self._counts[name]) == 1:
            return name
        self._counts[f"{name} ({count})"] += 1
        return f"{name} ({count})"
