"""Predictions of any model for what holds pictures: one, a list, a database, or what the data set's plugin encodes (R 5).

Large arrays stay in files of the folder `scratch` (`digits.ipc.scratch`) where one is given: they go from plugin host to
predictor and back without passing through this process. Without `for_view` the samples have outputs only.
"""

from __future__ import annotations

import functools
import os
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import islice
from pathlib import Path
from typing import Any

from digits.domain.inference import Answering, main_output
from digits.errors import BadRequest, DataError, DigitsError
from digits.extensions.data.files.listing import pictures_below
from digits.service import Service
from digits.service.datasets.from_source import inference_entries
from digits.service.evaluations import inputs as pictures
from digits.service.evaluations import predict as inference
from digits.service.evaluations.in_picture import in_picture, origin_json
from digits.service.evaluations.layers import LayerView
from digits.service.files.confine import allowed_roots, confine, confinement, readable_folder
from digits.service.models.snapshots import Snapshot
from digits.service.models.validation_samples import META_FILE, task_of
from digits.service.plugins import host as plugins
from digits.service.plugins.views import ViewSample
from digits.storage.files import read_json
from digits.storage.jobs.store import Job
from digits.utils.names import is_address, is_input_file, split_line

MAX_SAMPLES = 10_000
CHUNK = 32


@dataclass(frozen=True)
class TestResults:
    """What came of a request: samples in order, and what could not be read (`entry`, `message`)."""

    samples: list[ViewSample]
    skipped: list[dict[str, str]]
    layers: list[LayerView] = field(default_factory=list)  # of a single picture, on request
    remarks: Mapping[str, str] = field(default_factory=dict)  # on what samples come from, by its name

    @property
    def notes(self) -> dict[str, str]:
        """What is to be said of samples, by key, and of what they come from; those of which nothing is are not there."""
        return {**self.remarks, **{sample.key: sample.note for sample in self.samples if sample.note}}

    @property
    def nonfinite(self) -> int:
        """In how many samples the model's answer holds NaN or infinity."""
        from digits.metrics.base import is_finite

        return sum(not is_finite(main_output(sample.outputs)) for sample in self.samples if sample.outputs)


def run_pictures(
    service: Service,
    model: Job,
    found: Sequence[tuple[str, Any]],
    snapshot: Snapshot,
    dont_resize: bool = False,
    scratch: Path | None = None,
    for_view: bool = True,
    numbers: Sequence[int] = (),
    layers: bool = False,
    how: Answering = inference.PLAIN,
    skipped: Sequence[dict[str, str]] = (),
) -> TestResults:
    """Run named pictures (paths, bytes or features) through a model; unreadable ones are skipped, unless it is the only one.
    `how` is as `predict.infer` takes it. `numbers` are their places in what was sent, by default as they stand here. `layers`
    looks inside the network, with a single picture. `skipped` are those that were sent and could not be had."""
    requested: dict[str, Any] = {"dont_resize": dont_resize, "scratch": scratch, "how": how, **_beside(for_view)}
    describe = None if for_view else _describer(service, model)
    ids, given = numbers or range(len(found)), [picture for _, picture in found]
    names = [Named(key, number) for (key, _), number in zip(found, ids, strict=True)]
    if len(found) != 1 or skipped:
        tested = _collect(names, inference.infer_many(service, model, given, snapshot, **requested), describe=describe)
        return replace(tested, skipped=[*skipped, *tested.skipped])
    answer = inference.infer(service, model, given, snapshot, layers=layers, **requested)
    return replace(_collect(names, answer.results, describe=describe), layers=answer.layers)


def run_list(
    service: Service,
    model: Job,
    text: str | None,
    folder: str,
    limit: int,
    snapshot: Snapshot,
    dont_resize: bool = False,
    scratch: Path | None = None,
    for_view: bool = True,
    how: Answering = inference.PLAIN,
) -> TestResults:
    """Run the pictures of a list, `path [label]` a line; relative paths start at `folder`. Without a list those of the folder."""
    base = readable_folder(service, folder, "image_folder") if folder else None
    lines = folder_pictures(service, base, limit) if text is None and base is not None else list_lines(text or "", limit)
    if len(lines) > MAX_SAMPLES:
        raise BadRequest(f"There are more pictures than the {MAX_SAMPLES:,} tested at once.", advice="Set num_test_images.")
    if not lines:
        raise DataError("There is no picture to test.", advice="A list holds one path a line; a folder pictures at any depth.")
    found: list[tuple[str, Any]] = []
    numbers: list[int] = []
    skipped: list[dict[str, str]] = []
    for number, name in enumerate(lines):
        try:
            found.append((name, _picture(service, name, base)))
            numbers.append(number)
        except DigitsError as error:
            skipped.append(pictures.unusable(name, error))
    if not found:
        raise DataError("None of the listed pictures could be read.", advice=skipped[0]["message"] if skipped else "")
    return run_pictures(service, model, found, snapshot, dont_resize, scratch, for_view, numbers, how=how, skipped=skipped)


def run_database(
    service: Service,
    model: Job,
    path: str,
    limit: int,
    snapshot: Snapshot,
    scratch: Path | None = None,
    for_view: bool = True,
    how: Answering = inference.PLAIN,
) -> TestResults:
    """Run the records of a database: a folder of an LMDB with Datum records, or a split of a data set."""
    records = _records(service, confine(service, path), limit, scratch)
    tested = run_stream(service, model, records, snapshot, scratch, for_view, how=how)
    if tested.skipped and not tested.samples:
        raise DataError("None of the entries could be tested.", advice=tested.skipped[0]["message"])
    return tested


def run_extension(
    service: Service,
    model: Job,
    dataset: Job,
    values: Mapping[str, Any],
    snapshot: Snapshot,
    scratch: Path | None = None,
    for_view: bool = True,
    extension_id: str = "",
    how: Answering = inference.PLAIN,
) -> TestResults:
    """Run what a plugin encodes for its inference form, by default the one that made the data set. Entries need not look like the
    training's where the network takes them. Raises FormErrors."""
    entries = inference_entries(service, dataset, values, scratch, extension_id)
    noted = zip(entries.keys, entries.notes, strict=True)
    named = (Named(key, f"{number:09d}", note) for number, (key, note) in enumerate(noted))
    given = zip(named, entries.features, entries.labels, strict=True)
    tested = run_stream(service, model, given, snapshot, scratch, for_view, as_given=True, how=how)
    if not tested.samples:
        raise DataError("None of the entries could be tested.", advice=tested.skipped[0]["message"] if tested.skipped else "")
    skipped = [{"entry": row["entry"], "message": row["message"]} for row in entries.skipped]
    return TestResults(tested.samples, [*skipped, *tested.skipped])


@dataclass(frozen=True)
class Named:
    """What is tested, in words and as views know it, and what its source notes on it."""

    key: str
    id: int | str
    note: str = ""


def run_stream(
    service: Service,
    model: Job,
    given: Iterable[tuple[Named, Any, Any]],
    snapshot: Snapshot,
    scratch: Path | None,
    for_view: bool,
    as_given: bool = False,
    dont_resize: bool = False,
    how: Answering = inference.PLAIN,
) -> TestResults:
    """Run pictures as they come, each with its names and its label; those that cannot be read are skipped. Entries `as_given` lie
    in no picture."""
    samples: list[ViewSample] = []
    skipped: list[dict[str, str]] = []
    describe = None if for_view or as_given else _describer(service, model)
    asked: dict[str, Any] = {"as_given": as_given, "dont_resize": dont_resize, "how": how, **_beside(for_view)}
    for batch in _chunks(given, inference.chunk_of(how)):
        found = inference.infer_many(service, model, [one for _, one, _ in batch], snapshot, scratch=scratch, **asked)
        part = _collect([named for named, *_ in batch], found, [label for *_, label in batch], describe)
        samples += part.samples
        skipped += part.skipped
    return TestResults(samples, skipped)


def list_lines(text: str, limit: int = 0) -> list[str]:
    """The paths of a list; a last word that is a whole number is a label and left out. `limit` keeps the first N (0 all)."""
    names = [split_line(line)[0] for line in text.splitlines() if line.strip()]
    return names[:limit] if limit else names


def folder_pictures(service: Service, folder: Path, limit: int = 0) -> list[str]:
    """The paths of the pictures below a folder, relative to it, as an evaluation of it takes them; no more than `limit` of them
    (0: than one too many to be tested at once)."""
    found = pictures_below(folder, may_read=confinement(service).allows, is_wanted=is_input_file)
    return [os.path.relpath(path, folder) for path in islice(found, limit or MAX_SAMPLES + 1)]


def _beside(for_view: bool) -> dict[str, bool]:
    """What is requested beside the outputs: views show the inputs, and boxes before suppression; scripts get what was found in
    the pixels of the given picture."""
    return {"inputs": for_view, "candidates": for_view, "in_picture": not for_view}


def _describer(service: Service, model: Job) -> Callable[[inference.Prediction], dict[str, Any] | None]:
    """What describes a prediction in the pixels of its picture; None where it does not lie there."""

    @functools.cache
    def meta() -> dict[str, Any]:  # there once a snapshot is, without which nothing comes here
        return dict(read_json(service.folder(model.id).path / META_FILE))

    def describe(one: inference.Prediction) -> dict[str, Any] | None:
        import numpy as np

        if one.in_picture is None or one.origin is None:
            return None
        return in_picture(np.asarray(one.in_picture), one.origin, task_of(meta()), meta(), one.pixels_of)

    return describe


def _picture(service: Service, name: str, base: Path | None) -> Any:
    if base is not None and not is_address(name) and not Path(name).is_absolute():
        name = str(base / name)
    return pictures.from_path(service, name)


def _collect(
    given: Sequence[Named],
    results: Iterable[inference.Prediction],
    truths: Sequence[Any] | None = None,
    describe: Callable[[inference.Prediction], dict[str, Any] | None] | None = None,
) -> TestResults:
    samples: list[ViewSample] = []
    skipped: list[dict[str, str]] = []
    for number, (named, one) in enumerate(zip(given, results, strict=True)):
        if one.error:
            skipped.append({"entry": named.key, "message": one.error})
        else:
            truth = truths[number] if truths else None
            found = describe(one) if describe is not None else None
            origin = None if one.origin is None else origin_json(one.origin, one.pixels_of)
            note = " ".join(filter(None, (named.note, one.note)))
            beside = (truth, one.candidates, one.thresholds, found, named.id, origin, note)
            samples.append(ViewSample(named.key, one.input, one.outputs, *beside))
    return TestResults(samples, skipped)


def _records(
    service: Service, path: Path, limit: int, scratch: Path | None
) -> Iterator[tuple[Named, inference.RecordPicture, Any]]:
    """Names, picture and label of each record below `path`, of the first `limit` where it is not 0; read by the plugin host, for
    they may be anybody's.

    Raises BadRequest when there is no database, or one that is too large to be tested whole.
    """
    from digits.images.place import Origin
    from digits.storage.records import boxes as box_arrays

    roots = [str(root) for root in allowed_roots(service)]
    requested = {"path": str(path), "allowed_roots": roots, "records": limit, "most": MAX_SAMPLES, "count": CHUNK}
    start, total = 0, 1
    while start < total:
        answer = plugins.read_foreign(service, "records", {**requested, "start": start, "scratch": str(scratch or "")})
        total, rows = answer.header["total"], len(answer.header["keys"])
        columns = (answer.header[name] for name in ("keys", "numbers", "origins"))
        for row, (key, number, origin) in enumerate(zip(*columns, strict=True)):
            picture = inference.RecordPicture(answer.arrays[f"{row}/feature"], Origin.of_numbers(origin) if origin else None)
            yield Named(key, number), picture, _plain_label(box_arrays.take(answer.arrays, f"{row}/label"))
        if not rows:
            return
        start += rows


def _plain_label(label: Any) -> Any:
    """A label as the records hold it: a number is none of an array without axes."""
    import numpy as np

    array = None if label is None else np.asarray(label)
    return array if array is None or array.ndim else array[()]


def _chunks(items: Iterable[Any], size: int) -> Iterator[list[Any]]:
    batch: list[Any] = []
    for item in items:
        batch.append(item)
        if len(batch) == size:
            yield batch
            batch = []
    if batch:
        yield batch
