"""The pictures of a request, prepared for the loaded model (`digits.predictor.requests` says how they are named)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from digits.domain.inference import Answering
from digits.errors import BadRequest, DigitsError, LimitExceeded
from digits.images.place import Origin
from digits.images.prepare_for_model import Fitting, PreparedPicture, Preparer, check_feature
from digits.ipc.messages import Message
from digits.predictor.model import LoadedModel
from digits.tasks import Labels, of
from digits.utils.confinement import of_roots, reading_from
from digits.utils.memory import PROCESS_MEMORY_ADVICE

MAX_PICTURES = 1024


@dataclass(frozen=True)
class Prepared:
    """A picture that is ready, or the reason why it is not."""

    feature: np.ndarray | None
    origin: Origin | None = None
    note: str = ""
    decode_seconds: float = 0.0
    error: DigitsError | None = None


def how_of(header: Mapping[str, Any]) -> Answering:
    """How a request wants the model to answer."""
    return Answering.from_json(header.get("answering") or {})


def prepare_all(model: LoadedModel, request: Message) -> list[Prepared]:
    """The pictures in their order; the error of one that is alone is raised."""
    pictures = request.header.get("pictures")
    if not isinstance(pictures, list) or not 1 <= len(pictures) <= MAX_PICTURES:
        raise BadRequest(f"A request names 1 to {MAX_PICTURES} pictures.")
    roots = request.header.get("roots")
    with reading_from(of_roots(tuple(roots)) if roots is not None else None):
        prepared = [_prepare_one(model, entry, request) for entry in pictures]
    if len(prepared) == 1 and prepared[0].error:
        raise prepared[0].error
    return prepared


def _prepare_one(model: LoadedModel, entry: Any, request: Message) -> Prepared:
    try:
        return Prepared(*_feature(model, entry, request))
    except DigitsError as error:
        return Prepared(None, error=error)
    except MemoryError as error:
        return Prepared(None, error=no_memory("The picture", error))


def no_memory(what: str, error: BaseException) -> LimitExceeded:
    """The error that something needs more memory than this process may take."""
    words = str(error).strip().splitlines() or ["an allocation failed"]
    return LimitExceeded(f"{what} needs more memory than there is for it ({words[0]}).", advice=PROCESS_MEMORY_ADVICE)


def _feature(model: LoadedModel, entry: Any, request: Message) -> PreparedPicture:
    if not isinstance(entry, Mapping):
        raise BadRequest("A picture is described in a way that is not understood.")
    dont_resize, tiled = bool(request.header.get("dont_resize")), how_of(request.header).tile_overlap is not None
    if "path" in entry:
        return Preparer(model.meta, dont_resize=dont_resize, tiled=tiled).prepared(Path(str(entry["path"])))
    name = str(entry.get("file", entry.get("feature")))
    if name not in request.arrays:
        raise BadRequest(f"A picture names the array {name}, which was not sent.")
    array = np.asarray(request.arrays[name])
    if "file" in entry:
        return Preparer(model.meta, dont_resize=dont_resize, tiled=tiled).prepared(array.tobytes())
    if "foreign" in entry:
        fitting = Fitting(model.meta, of(model.meta["task"], Labels.of_snapshot(model.meta)), str(entry["foreign"]))
        fitted = fitting.fitted(array)
        size = (fitted.shape[2], fitted.shape[1])
        return PreparedPicture(fitted, Origin.of_squashed((array.shape[2], array.shape[1]), size), fitting.note(array.dtype))
    as_given = bool(request.header.get("as_given"))
    feature = check_feature(array, model.meta, dont_resize=dont_resize or tiled, as_given=as_given)
    size = (feature.shape[2], feature.shape[1])
    return PreparedPicture(feature, Origin.of_numbers(entry["origin"]) if "origin" in entry else Origin(size, size))
