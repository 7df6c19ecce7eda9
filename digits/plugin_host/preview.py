"""What a form would make, before anything is written: counts of entries, problems, and ten random samples as pictures."""

from __future__ import annotations

import random
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from flask import Flask

from digits.domain.datasets import STAGES, DatasetSpec
from digits.errors import DigitsError
from digits.extensions import loader
from digits.extensions.data import userdata
from digits.extensions.data.interface import DataIngestionInterface
from digits.extensions.data.source import FileSource, with_roots
from digits.images.overlay import overlay
from digits.ingest.encode import entry_at, entry_text, samples_of
from digits.ingest.prebuilt import EXTENSION, PLUGIN, Databases
from digits.ingest.probe import Probe
from digits.ingest.record_schema import feature_array
from digits.ingest.source import class_labels_of, entries_of, kept_colours, title_of
from digits.plugin_host import binding
from digits.plugin_host.data import complaints
from digits.tasks import get, label_forms
from digits.utils.constants import COLOR_PALETTE_ATTRIBUTE

SAMPLES = 10
LISTED_PROBLEMS = 50


def preview(
    app: Flask, extension_id: str, values: Mapping[str, Any], roots: Sequence[str], same_shape: bool, checked: bool = False
) -> tuple[dict[str, Any], dict[str, Any]]:
    """Counts, problems and samples of a posted form; arrays `<i>/picture` are the bytes of PNG files.

    With `same_shape` samples of several sizes are a problem; `checked` values have been through a form of ours already. Raises
    FormErrors, DataError, PluginError. What the source writes goes into a folder that is deleted again.
    """
    if extension_id == EXTENSION:
        return _looked_at(Databases(**with_roots(Databases, values, roots)), PLUGIN, same_shape)
    extension = loader.get("data", extension_id)
    if checked:
        source = userdata.build(extension.cls, with_roots(extension.cls, values, roots))
        return _looked_at(source, title_of(extension_id), same_shape)
    with binding.request_with(app, values):
        form = binding.make_form(extension.id, extension.cls.get_dataset_form)
        posted = with_roots(extension.cls, binding.check(form, values), roots)
        with complaints():
            return _looked_at(userdata.build(extension.cls, posted), title_of(extension_id), same_shape)


def _looked_at(source: DataIngestionInterface, plugin: str, same_shape: bool) -> tuple[dict[str, Any], dict[str, Any]]:
    with tempfile.TemporaryDirectory(prefix="digits-preview-") as folder:
        problems = _prepare(source, Path(folder), same_shape)
        entries = {stage: entries_of(source, stage, plugin) for stage in STAGES}
        samples, arrays, pairs = _samples(source, entries, plugin)
    probe = Probe(source, DatasetSpec("", force_same_shape=same_shape), plugin, entries)
    problems = [*problems, *probe.differing(pairs)]
    answer = {
        "counts": {stage: len(items) for stage, items in entries.items()},
        "class_labels": list(class_labels_of(source)),
        "colours": _colours(source, samples),
        "problems": problems[:LISTED_PROBLEMS],
        "problem_count": len(problems),
        "samples": samples,
        "tried": len(samples),
        "failed": sum(bool(sample.get("failed")) for sample in samples),
    }
    return answer, arrays


def _colours(source: DataIngestionInterface, samples: Sequence[Mapping[str, Any]]) -> list[list[int]]:
    """RGB of the classes where the pictures show them; black is not drawn."""
    names, palette = class_labels_of(source), kept_colours(source).get(COLOR_PALETTE_ATTRIBUTE, [])
    return label_forms.colours({str(sample.get("kind")) for sample in samples}, palette, names)


def _prepare(source: DataIngestionInterface, folder: Path, same_shape: bool) -> list[dict[str, Any]]:
    problems: list[dict[str, Any]] = []
    if isinstance(source, FileSource):
        source.job_folder, source.same_shape = folder, same_shape
        with source.reading():
            source.prepare(problems.append)
    return problems


def _samples(
    source: DataIngestionInterface, entries: Mapping[str, Sequence[Any]], plugin: str
) -> tuple[list[dict[str, Any]], dict[str, Any], list[tuple[str, Any]]]:
    """Random entries of all splits, encoded; one that cannot be is shown with its reason. Also the pairs of those that are shown,
    each with its entry."""
    places = [(stage, row) for stage, items in entries.items() for row in range(len(items))]
    chosen = sorted(random.sample(places, min(SAMPLES, len(places))), key=lambda place: (STAGES.index(place[0]), place[1]))
    samples: list[dict[str, Any]] = []
    arrays: dict[str, Any] = {}
    pairs: list[tuple[str, Any]] = []
    for stage, row in chosen:
        entry = entry_at(entries[stage], row, plugin)
        sample: dict[str, Any] = {"stage": stage, "entry": entry_text(entry)}
        try:
            found = samples_of(source, entry, plugin)
            first = found if not isinstance(found, list) else found[0] if found else None
            if first is None:
                sample["reason"] = "The source gives no sample for this entry."
            else:
                picture, facts = _shown(source, first, plugin)
                arrays[f"{len(samples)}/picture"] = np.frombuffer(picture, np.uint8)
                sample |= facts
                pairs.append((sample["entry"], first))
                sample["notes"] = [reason for _, reason in getattr(first, "notes", ())]
        except DigitsError as error:
            sample |= {"reason": str(error), "failed": True}
        samples.append(sample)
    return samples, arrays, pairs


def _shown(source: DataIngestionInterface, sample: Any, plugin: str) -> tuple[bytes, dict[str, Any]]:
    labels = class_labels_of(source)
    feature = feature_array(sample[0], plugin, "entry")
    kind, label = label_forms.label_array(sample[1], plugin, "entry", get(source.get_task() or ""))
    palette = kept_colours(source).get(COLOR_PALETTE_ATTRIBUTE, [])
    channels, height, width = feature.shape
    size = f"{width}×{height}, {channels} channel{'s' if channels > 1 else ''}, {feature.dtype}"
    facts = {"kind": kind, "size": size, "label": label_forms.words(kind, label, labels)}
    return overlay(feature, label_forms.drawn(kind, label, feature.shape, labels), label, labels, palette), facts
