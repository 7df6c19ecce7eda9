"""Operations that look inside: `inside` (the layers with their statistics), `layer` (one array of one layer, drawn) and `explain`
(a map of why). Pictures are named as in `digits.predictor.requests`; `inside` and `layer` do without one.

`inside`: `layers`, each with `name`, `kind`, `parameters`, `weights` and `activations` (lists of `part` and what `ArrayReport`
has as JSON, `nonfinite` values beside), `reason`, `note`. `layer`: `layer` (the first with weights where none is named), `of`
(`weights` or `activations`), `part`, `colours`, `first`, `most`, `low`, `high`; with `values` also the array. `explain`:
`method`, `target`, `layer`, `grid`, `sanity`; the answer has the picture, the map in each of the colours and, with `values`, as
numbers.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict
from functools import partial
from typing import Any
from weakref import WeakKeyDictionary

import numpy as np

from digits.domain.inside import (
    ACTIVATIONS,
    FINEST_GRID,
    GRID,
    INPUT_LAYER,
    MAP_COLOURS,
    METHODS,
    OCCLUSION,
    RANDOM_LIMIT,
    USUAL_METHODS,
    USUAL_OF_BOXES,
    WEIGHTS,
)
from digits.engines.base import Predictor, array_report
from digits.engines.inside import Attribution, LayerArrays
from digits.engines.occlusion import occlusion, scores
from digits.errors import BadRequest, DataError, DigitsError
from digits.images import tiles
from digits.images.addresses import shown_pair
from digits.images.layer_maps import MOST_TILES, Drawing, draw_array, draw_colour_filters, draw_map
from digits.ipc.messages import Message
from digits.predictor.model import LoadedModel
from digits.predictor.pictures import Prepared, prepare_all
from digits.predictor.targets import chosen_target, targets_of
from digits.tasks import Labels, of

RANDOM_SEEDS = range(1, 6)
_weights: WeakKeyDictionary[Predictor, dict[str, list[dict[str, Any]]]] = WeakKeyDictionary()  # statistics, which stay the same


def inside(model: LoadedModel, request: Message) -> Message:
    """All layers with their statistics."""
    picture = _picture(model, request)

    def work(predictor: Predictor) -> list[dict[str, Any]]:
        known = _weights.setdefault(predictor, {})
        return [_row(layer, known) for layer in predictor.inside(picture.feature if picture else None)]

    started = time.perf_counter()
    rows = model.use(work)
    return Message({**_about(model, picture), "layers": rows, "seconds": time.perf_counter() - started})


def layer(model: LoadedModel, request: Message) -> Message:
    """One array of one layer with its statistics, drawn."""
    header = request.header
    picture = _picture(model, request)
    of, name = str(header.get("of") or ""), str(header.get("layer") or "")
    feature = picture.feature if picture else None
    found = model.use(lambda predictor: _one_layer(predictor, feature, name))
    arrays = {WEIGHTS: found.weights, ACTIVATIONS: found.activations}
    of = of or (WEIGHTS if found.weights else ACTIVATIONS)
    part = str(header.get("part") or next(iter(arrays[of]), ""))
    body = {**_about(model, picture), "layer": _row(found, {}), "of": of, "part": part}
    if not arrays[of]:
        reason = "It has no numbers of its own." if of == WEIGHTS else found.reason
        return Message({**body, "drawing": _drawn(Drawing(reason=reason))})
    if part not in arrays[of]:
        raise BadRequest(f"{found.name} has no {part[:80]!r} among its {of}; there are {', '.join(arrays[of])}.")
    array = arrays[of][part]
    drawing = _draw(array, found, of, header, model)
    sent = {"values": array} if header.get("values") else {}
    return Message({**body, "drawing": _drawn(drawing)}, {**sent, **_bytes("image", drawing.png)})


def explain(model: LoadedModel, request: Message) -> Message:
    """Why the network answers so for one picture."""
    header = request.header
    reasons = model.use(lambda predictor: predictor.methods())
    has_boxes = of(model.meta["task"], Labels.of_snapshot(model.meta)).moves == "boxes"
    wished = str(header.get("method") or "")
    if wished and wished not in METHODS:
        raise BadRequest(f"method is {wished[:40]!r}, expected one of {', '.join(METHODS)}.")
    picture = prepare_all(model, request)[0]
    feature = picture.feature
    if feature is None:
        raise BadRequest("There is no picture.")
    grid = int(header.get("grid") or GRID)
    if not 2 <= grid <= FINEST_GRID:
        raise BadRequest(f"grid is {grid}, expected 2 to {FINEST_GRID}.")
    started = time.perf_counter()
    outputs = model.use(lambda predictor: predictor.predict(feature[None]))
    if not all(np.isfinite(value).all() for value in outputs.values()):
        raise DataError("The network answers this picture with NaN or infinity.", advice="There is nothing to explain.")
    offered = targets_of(outputs, model.meta)
    number, target, note = chosen_target(outputs, model.meta, offered, header.get("target"))
    wanted = str(header.get("layer") or "")

    def map_of(predictor: Predictor, name: str) -> Attribution:
        if name == OCCLUSION:
            return Attribution(occlusion(predictor.predict, feature, predictor.meta, target, grid))
        return predictor.attribute(name, feature, target, wanted)

    usual = [name for name in (USUAL_OF_BOXES if has_boxes else USUAL_METHODS) if not reasons.get(name, "")]
    names = [wished] if wished else usual[:1] if wanted else usual  # who names a layer is told why it cannot be had
    name, found = model.use(lambda predictor: first_of(names, reasons, partial(map_of, predictor)))
    method = METHODS[name]
    seconds = time.perf_counter() - started
    described = model.meta.get("image") or {}
    images = {"image": tiles.picture_png(shown_pair(feature, described))}
    drawings = {
        colours: draw_map(found.values, colours, signed=method.signed, from_zero=not method.shared) for colours in MAP_COLOURS
    }
    images |= {f"map/{colours}": drawing.png for colours, drawing in drawings.items()}
    first = drawings[MAP_COLOURS[0]]
    sanity = None
    if header.get("sanity"):
        sanity = model.use(lambda predictor: _sanity(predictor, partial(map_of, predictor, name), found))
    body = {
        **_about(model, picture),
        "method": method.name,
        "signed": method.signed,
        "target": number,
        "targets": offered,
        "score": float(scores(outputs, model.meta, target)[0]),
        "layer": found.layer,
        "note": " ".join(filter(None, (note, found.note))),
        "low": first.low,
        "high": first.high,
        "size": list(feature.shape[:0:-1]),
        "total": found.total,
        "difference": found.difference,
        "methods": reasons,
        "seconds": seconds,
        "sanity": sanity,
    }
    sent = {"values": found.values} if header.get("values") else {}
    return Message(body, {**sent, **{name: np.frombuffer(png, np.uint8) for name, png in images.items()}})


def first_of(names: Sequence[str], reasons: dict[str, str], map_of: Callable[[str], Attribution]) -> tuple[str, Attribution]:
    """The map of the first method that can be had; `reasons` gets why those before cannot, which some show only when tried."""
    for name in names[:-1]:
        try:
            return name, map_of(name)
        except BadRequest as error:
            reasons[name] = error.message
    return names[-1], map_of(names[-1])


OPERATIONS = {"inside": inside, "layer": layer, "explain": explain}


def rank_correlation(a: np.ndarray, b: np.ndarray) -> float | None:
    """Spearman's, of the sizes of two maps (H, W); None where one of them is the same everywhere."""
    ranks = [_ranks(np.abs(values).ravel()) for values in (a, b)]
    spreads = [float(one.std()) for one in ranks]
    if min(spreads) == 0.0 or not (np.isfinite(a).all() and np.isfinite(b).all()):
        return None
    return float(((ranks[0] - ranks[0].mean()) * (ranks[1] - ranks[1].mean())).mean() / (spreads[0] * spreads[1]))


def _ranks(values: np.ndarray) -> np.ndarray:
    """Of values (n,); equal ones share the mean of their ranks."""
    _, place, counts = np.unique(values, return_inverse=True, return_counts=True)
    ends = np.cumsum(counts)
    return np.asarray((ends - (counts - 1) / 2)[place.ravel()])


def _sanity(predictor: Predictor, again: Callable[[], Attribution], found: Attribution) -> dict[str, Any]:
    """Whether the map is another one with random weights (Adebayo et al., 2018): one that is not shows the picture, not what was
    learnt. A map of random weights that is the same everywhere (a network that happens to be dead) tells nothing, so others are
    drawn."""
    unknown = {"correlation": None, "changes": None}
    if rank_correlation(found.values, found.values) is None:
        what = "empty" if not np.any(found.values) else "the same everywhere"
        return {**unknown, "reason": f"The map is {what}, so there is nothing to compare."}
    for seed in RANDOM_SEEDS:
        try:
            with predictor.random_weights(seed):
                other = again()
        except DigitsError as error:
            return {**unknown, "reason": error.message}
        correlation = rank_correlation(found.values, other.values)
        if correlation is not None:
            return {"correlation": correlation, "changes": abs(correlation) < RANDOM_LIMIT, "reason": ""}
    tried = f"With random weights, drawn {len(RANDOM_SEEDS)} times, the map is empty"
    return {**unknown, "reason": f"{tried}: whether it shows what was learned could not be told."}


def _one_layer(predictor: Predictor, feature: np.ndarray | None, name: str) -> LayerArrays:
    if name:
        return predictor.inside(feature, [name])[0]
    layers = predictor.inside(None)
    first = next((one.name for one in layers if one.weights), layers[0].name if layers else INPUT_LAYER)
    return predictor.inside(feature, [first])[0]


def _picture(model: LoadedModel, request: Message) -> Prepared | None:
    return prepare_all(model, request)[0] if request.header.get("pictures") else None


def _draw(array: np.ndarray, found: LayerArrays, of: str, header: Mapping[str, Any], model: LoadedModel) -> Drawing:
    colours = str(header.get("colours") or MAP_COLOURS[0])
    if colours not in MAP_COLOURS:
        raise BadRequest(f"colours is {colours[:40]!r}, expected one of {', '.join(MAP_COLOURS)}.")
    first, most = int(header.get("first") or 0), int(header.get("most") or MOST_TILES)
    if found.name == INPUT_LAYER:
        return Drawing(tiles.input_png(array), float(np.nanmin(array)), float(np.nanmax(array)), 1, 1)
    if of == WEIGHTS and array.ndim == 4 and array.shape[1] == 3 and min(array.shape[2:]) > 1:
        return draw_colour_filters(array, first=first, most=most)
    low, high = header.get("low"), header.get("high")
    return draw_array(array, colours, first=first, most=most, low=low, high=high)


def _row(found: LayerArrays, known: dict[str, list[dict[str, Any]]]) -> dict[str, Any]:
    if found.name not in known:
        known[found.name] = [_statistics(part, array) for part, array in found.weights.items()]
    return {
        "name": found.name,
        "kind": found.kind,
        "parameters": found.parameters,
        WEIGHTS: known[found.name],
        ACTIVATIONS: [_statistics(part, array) for part, array in found.activations.items()],
        "reason": found.reason,
        "note": found.note,
    }


def _statistics(part: str, array: np.ndarray) -> dict[str, Any]:
    """Of an array of any shape; where none of its values is a number, there are no statistics."""
    report = array_report(array).to_json()
    nonfinite = int(array.size - np.isfinite(array).sum())
    if array.size and nonfinite == array.size:
        report |= {"mean": None, "stddev": None, "min": None, "max": None, "histogram": None}
    return {"part": part, **report, "nonfinite": nonfinite}


def _about(model: LoadedModel, picture: Prepared | None) -> dict[str, Any]:
    meta = {key: model.meta.get(key) for key in ("task", "class_labels", "network_name", "epoch")}
    return {"meta": meta, "device": model.device, "picture_note": picture.note if picture else ""}


def _drawn(drawing: Drawing) -> dict[str, Any]:
    return {name: value for name, value in asdict(drawing).items() if name != "png"}


def _bytes(name: str, data: bytes) -> dict[str, np.ndarray]:
    return {name: np.frombuffer(data, np.uint8)} if data else {}
