"""What a predictor answers: requests are messages (`digits.ipc.messages`) with `op`, answers carry `results` or an `error`.

`predict`: header `pictures` is a list of `{"path": …}`, `{"file": ARRAY}` (bytes of a picture file) or `{"feature": ARRAY}`
((C, H, W) in stored units, with `origin`, the numbers of `digits.images.place.Origin`, where it is known where that comes from,
and `foreign`, the encoding of its records, where it is of another data set and to be fitted to the model);
`dont_resize`, `layers`, `image`, `input`, `candidates`, `in_picture` are switches, and so is `as_given`: features need not have
the shape of the training's where the network takes them. `roots` are the folders that files may be read in, whatever links lead
to at that moment; without them all may. `together` lets pictures go through the network with those of other requests that wait
(`digits.predictor.together`), `answering` (see `domain.inference.Answering`) is how the model is made to answer, `moments` adds
to each result the mean and the mean square of every channel of what the network was given, `brief` leaves `meta` out. The
answer has `results` (per picture the names of its `outputs` and a `note` on what was converted, or an `error`; with
`candidates`, where the network has them, `suppression`; `origin`, where the main output lies over the picture), `meta`,
`device`, `seconds` (`decode`, a part of `prepare`, `forward`, `post`), `layers`; its arrays are `<i>/output/<name>`,
`<i>/input`, `<i>/candidates`, `<i>/in_picture` (the main output as it lies in the given picture), and as PNG `<i>/image` and
`layer/<j>`. `forward`: the array `batch`, features (N, C, H, W) in stored units; the answer has the arrays `output/<name>` (N,
…), `seconds` and, with `moments`, a list of them. `ping`: `meta`, `device`. What looks inside is said in
`digits.predictor.inside`. With `scratch`, a folder, large arrays of the answer are files in it.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Mapping
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from digits.domain.inference import main_output
from digits.engines.answering import answering
from digits.engines.base import ArrayReport, Candidates, LayerReport, Suppression
from digits.errors import BadRequest, DataError, DigitsError
from digits.images import tiles
from digits.images.addresses import shown_pair
from digits.images.arrays import groups_of_shape
from digits.images.place import Origin
from digits.images.prepare_for_model import check_feature, origin_of_output
from digits.ipc.messages import Message
from digits.ipc.scratch import confined_folder, store
from digits.predictor import inside
from digits.predictor.model import LoadedModel
from digits.predictor.pictures import MAX_PICTURES, Prepared, how_of, no_memory, prepare_all
from digits.tasks import Labels, of
from digits.utils.memory import is_out_of_memory

logger = logging.getLogger(__name__)
INPUT = "Input"  # the kind of the row that engines put first: what the network sees
META_KEYS = (
    *("task", "class_labels", "input_shape", "stored_shape", "image", "outputs", "network_name", "epoch", "options"),
    *("label_kind", "label_shape", "preparation"),  # without which a task is taken for another one
)


def answer(model: LoadedModel, request: Message, scratch: Path | None = None) -> Message:
    """The answer to any request; `scratch` is the folder of all scratch folders. Raises DigitsError."""
    operation = _OPERATIONS.get(str(request.header.get("op")))
    if operation is None:
        known = ", ".join(_OPERATIONS)
        raise BadRequest(f"A predictor does not know {request.header.get('op')!r}; it knows {known}.")
    try:
        found = operation(model, request)
    except DigitsError:
        raise
    except Exception as error:  # a network text of the user runs here
        if is_out_of_memory(error):
            raise no_memory("The model", error) from error
        logger.exception("A request failed.")
        advice = "The predictor's log has the trace."
        raise DigitsError(f"The model failed: {type(error).__name__}: {error}", advice=advice) from error
    folder = request.header.get("scratch")
    return found if not folder else Message(found.header, store(confined_folder(scratch, str(folder)), found.arrays))


def ping(model: LoadedModel, request: Message) -> Message:
    return Message({"meta": _meta(model), "device": model.device})


def predict(model: LoadedModel, request: Message) -> Message:
    """Prepare the pictures, predict those of one shape together, describe what came out."""
    header = request.header
    if header.get("layers") and not how_of(header).is_plain:
        raise BadRequest(
            "Weights and activations are those of one look at the picture.", advice="Leave tiling and tta out to see them."
        )
    started = time.perf_counter()
    prepared = prepare_all(model, request)
    ready = time.perf_counter()
    outputs, candidates = _forward(model, prepared, header)
    answered = time.perf_counter()
    decode = sum(one.decode_seconds for one in prepared)
    seconds = {"decode": decode, "prepare": ready - started, "forward": answered - ready}
    described = model.meta.get("image") or {}
    arrays = _arrays(prepared, outputs, described, image=bool(header.get("image")), inputs=bool(header.get("input")))
    results: list[dict[str, Any]] = [
        {"error": str(p.error)} if p.error else {"outputs": list(outputs[i]), "note": p.note} for i, p in enumerate(prepared)
    ]
    for number, (boxes, suppression) in candidates.items():
        results[number]["suppression"] = asdict(suppression)
        arrays[f"{number}/candidates"] = boxes
    if header.get("moments"):
        for number, one in enumerate(prepared):
            if one.feature is not None:
                results[number]["moments"] = moments(one.feature)
    meta = {} if header.get("brief") else {"meta": _meta(model)}
    body = {"results": results, **meta, "epoch": model.meta.get("epoch"), "device": model.device, "seconds": seconds}
    for number, (find, origin) in _in_pictures(model, prepared, outputs).items():
        results[number]["origin"] = origin.numbers
        if header.get("in_picture"):
            arrays[f"{number}/in_picture"] = find()
    seconds["post"] = time.perf_counter() - answered
    if header.get("layers") and prepared[0].feature is not None:
        body["layers"], drawn = _layers(model, prepared[0].feature)
        arrays.update(drawn)
    return Message(body, arrays)


def forward(model: LoadedModel, request: Message) -> Message:
    """Features as they are, all of one shape, together with whoever else waits."""
    batch = np.asarray(request.arrays.get("batch"))
    if batch.ndim != 4 or not 1 <= len(batch) <= MAX_PICTURES:
        raise BadRequest(f"A batch is (N, C, H, W) with 1 to {MAX_PICTURES} pictures, found {batch.shape}.")
    check_feature(batch[0], model.meta)
    started = time.perf_counter()
    try:
        outputs = model.predict_together(batch)
    except DigitsError:
        raise
    except Exception as error:  # a network text of the user runs here
        if is_out_of_memory(error):
            raise
        raise _refused(model, batch.shape[1:], error) from error
    seconds = {"prepare": 0.0, "forward": time.perf_counter() - started}
    body = {"device": model.device, "epoch": model.meta.get("epoch"), "seconds": seconds, "outputs": list(outputs)}
    if request.header.get("moments"):
        body["moments"] = [moments(feature) for feature in batch]
    return Message(body, {f"output/{name}": array for name, array in outputs.items()})


_OPERATIONS = {"predict": predict, "forward": forward, "ping": ping, **inside.OPERATIONS}


def moments(feature: np.ndarray) -> list[list[float]]:
    """The mean and the mean square of each channel of a feature (C, H, W), in stored units."""
    values = feature.reshape(len(feature), -1).astype(np.float64)
    return [values.mean(axis=1).tolist(), np.square(values).mean(axis=1).tolist()]


Outputs = dict[int, dict[str, np.ndarray]]
Boxes = dict[int, tuple[np.ndarray, Suppression]]


def _forward(model: LoadedModel, prepared: list[Prepared], switches: Mapping[str, Any]) -> tuple[Outputs, Boxes]:
    """Outputs without batch axis by the number of their picture; boxes before suppression, where requested and known. Those of a
    shape that the network refuses become an error in `prepared`, which is raised where nothing else was requested."""
    features = {number: one.feature for number, one in enumerate(prepared) if one.feature is not None}
    known = list(features)
    outputs: Outputs = {}
    boxes: Boxes = {}
    for places in groups_of_shape(features.values()):
        numbers = [known[place] for place in places]
        batch = np.stack([features[n] for n in numbers])
        try:
            named, found = _answers(model, batch, switches)
        except Exception as error:  # a network text of the user runs here
            if (
                is_out_of_memory(error)
                or not switches.get("as_given")
                or batch.shape[1:] == tuple(model.meta.get("stored_shape") or model.meta["input_shape"])
            ):
                raise
            for number in numbers:
                prepared[number] = Prepared(None, error=_refused(model, batch.shape[1:], error))
            continue
        for place, number in enumerate(numbers):
            outputs[number] = {name: values[place] for name, values in named.items()}
            if found is not None:
                boxes[number] = (found.boxes[place], found.suppression)
    if len(prepared) == 1 and prepared[0].error:
        raise prepared[0].error
    return outputs, boxes


def _answers(
    model: LoadedModel, batch: np.ndarray, switches: Mapping[str, Any]
) -> tuple[dict[str, np.ndarray], Candidates | None]:
    """Outputs (N, …) of pictures (N, C, H, W), and their boxes before suppression where requested and known."""
    how = how_of(switches)
    if not how.is_plain:
        return answering(model, how).predict(batch), None
    found = model.candidates(batch) if switches.get("candidates") else None
    if found is not None:
        return found.outputs, found
    return (model.predict_together if switches.get("together") else model.predict)(batch), None


def _refused(model: LoadedModel, shape: tuple[int, ...], error: Exception) -> DataError:
    words = str(error).strip().splitlines() or [type(error).__name__]
    trained = "×".join(str(n) for n in model.meta.get("stored_shape") or model.meta["input_shape"])
    return DataError(
        f"The network does not take an entry of {'×'.join(map(str, shape))} (it was trained on {trained}): {words[0]}",
        advice="Give entries of that shape, or let the text of the network take both.",
    )


def _arrays(
    prepared: list[Prepared],
    outputs: dict[int, dict[str, np.ndarray]],
    described: Mapping[str, Any],
    *,
    image: bool,
    inputs: bool,
) -> dict[str, np.ndarray]:
    arrays: dict[str, np.ndarray] = {}
    for number, named in outputs.items():
        arrays.update({f"{number}/output/{name}": values for name, values in named.items()})
        feature = prepared[number].feature
        if feature is not None and inputs:
            arrays[f"{number}/input"] = feature
        if feature is not None and image:
            arrays[f"{number}/image"] = _bytes(tiles.picture_png(shown_pair(feature, described)))
    return arrays


def _in_pictures(
    model: LoadedModel, prepared: list[Prepared], outputs: Outputs
) -> dict[int, tuple[Callable[[], np.ndarray], Origin]]:
    """By the number of its picture, where the main output comes from in the given picture, and what gives it as it lies there."""
    task = of(model.meta["task"], Labels.of_snapshot(model.meta))
    found: dict[int, tuple[Callable[[], np.ndarray], Origin]] = {}
    for number, named in outputs.items():
        kept, origin = task.kept(np.asarray(main_output(named))), prepared[number].origin
        origin = origin and origin_of_output(kept, origin, model.meta, task)
        if origin is not None:
            found[number] = (partial(task.restored, kept, origin), origin)
    return found


def _layers(model: LoadedModel, feature: np.ndarray) -> tuple[list[dict[str, Any]], dict[str, np.ndarray]]:
    rows: list[dict[str, Any]] = []
    arrays: dict[str, np.ndarray] = {}

    def add(report: LayerReport, vis_type: str, array: ArrayReport, image: bytes) -> None:
        if image:
            arrays[f"layer/{len(rows)}"] = _bytes(image)
        rows.append(_row(report, vis_type, array))

    for report in model.layers(feature):
        if report.weights is not None:
            add(report, "Weights", report.weights, tiles.weights_png(report.weights.data))
        if report.activations is not None:
            draw = tiles.input_png if report.kind == INPUT else tiles.activations_png
            add(report, "Activation", report.activations, draw(report.activations.data))
    return rows, arrays


def _row(report: LayerReport, vis_type: str, array: ArrayReport) -> dict[str, Any]:
    return {
        "name": report.name,
        "vis_type": vis_type,
        "layer_type": report.kind,
        "param_count": report.parameters,
        "data_stats": array.to_json(),
    }


def _meta(model: LoadedModel) -> dict[str, Any]:
    return {key: model.meta[key] for key in META_KEYS if key in model.meta}


def _bytes(data: bytes) -> np.ndarray:
    return np.frombuffer(data, dtype=np.uint8)
