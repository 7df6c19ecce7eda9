"""Predicting at once: sends requests to the predictor that keeps a model loaded (see `digits.ipc.messages`), which makes no job.

A picture is a path of this server (already confined by the caller), the bytes of a file, or a feature (C, H, W) in the units
that the records store, also as a `RecordPicture`. Pictures are decoded and prepared in the predictor, never in the caller's
process.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

from digits import tasks
from digits.domain.inference import Answering, main_output
from digits.domain.training import TaskOptions, same_epoch
from digits.errors import BadRequest, Conflict, DataError, LimitExceeded
from digits.ipc import messages
from digits.ipc import supervisor_client as control
from digits.service import Service
from digits.service.evaluations.layers import LayerView
from digits.service.files.confine import allowed_roots
from digits.service.models.snapshots import Snapshot, find_snapshot
from digits.storage.jobs.store import Job

if TYPE_CHECKING:
    import numpy as np

    from digits.images.place import Origin

    Picture: TypeAlias = "Path | bytes | np.ndarray | RecordPicture"

START_SECONDS = 120.0  # importing torch on a busy machine takes its time
CHUNK = 32
PLAIN = Answering()
PICTURE, RECORD = "picture", "record"  # whose pixels an answer is in


@dataclass(frozen=True)
class RecordPicture:
    """A record's `feature` (C, H, W) as it is stored, and where it comes from in its picture; None where that is not known.
    `foreign` is the encoding of the records of another data set than the model's, which are fitted to the model."""

    feature: np.ndarray
    origin: Origin | None = None
    foreign: str | None = None


@dataclass(frozen=True)
class ClassScore:
    """One class with its probability in [0, 1]."""

    index: int
    label: str
    score: float

    @property
    def percent(self) -> float:
        """The probability in percent with two decimals, as the JSON has it."""
        return round(self.score * 100, 2)


@dataclass(frozen=True)
class Prediction:
    """What came of one picture: `outputs` without batch axis and `input` (C, H, W) as the network got it, or `error`."""

    outputs: dict[str, np.ndarray] = field(default_factory=dict)
    input: np.ndarray | None = None
    image: bytes = b""  # PNG of the prepared picture, on request
    error: str = ""
    candidates: dict[str, Any] | None = None  # of a detection, on request; see `_candidates`
    thresholds: tuple[float, ...] = ()  # the score of each class from which on it counts, found one by one; of boxes one for all
    in_picture: np.ndarray | None = None  # on request, the main output as it lies in the given picture: (H, W), (C, H, W), (n, 6)
    origin: Origin | None = None  # of the main output, where it lies over the picture
    note: str = ""  # what was converted of the picture, in words
    pixels_of: str = PICTURE  # whose pixels `in_picture` and `origin` mean, or RECORD where the picture's own are not known


@dataclass(frozen=True)
class PredictorResponse:
    """What a predictor said. `meta` is the Predictor's (task, class_labels, …), `seconds` has `prepare`, of it `decode`,
    `forward` and, after that, `post`."""

    results: list[Prediction]
    meta: dict[str, Any]
    device: str
    seconds: dict[str, float]
    layers: list[LayerView] = field(default_factory=list)


@dataclass(frozen=True)
class ClassifiedPicture:
    """The best classes of one picture, best first; `image` is the prepared picture as PNG."""

    predictions: list[ClassScore]
    image: bytes
    snapshot: Snapshot
    device: str
    seconds: dict[str, float]
    layers: list[LayerView] = field(default_factory=list)
    note: str = ""


def classify_one(
    service: Service,
    model: Job,
    picture: Picture,
    snapshot_epoch: float | str | None = None,
    top: int = 5,
    layers: bool = False,
    how: Answering = PLAIN,
) -> ClassifiedPicture:
    """Classify one picture. Raises BadRequest for a model of another task, LoadImageError for what is no picture."""
    check_classifies(model)
    snapshot = find_snapshot(service, model, snapshot_epoch)
    answer = infer(service, model, [picture], snapshot, layers=layers, image=True, how=how)
    one = answer.results[0]
    return ClassifiedPicture(
        predictions=best(one.outputs, answer.meta.get("class_labels", ()), top),
        image=one.image,
        snapshot=snapshot,
        device=answer.device,
        seconds=answer.seconds,
        layers=answer.layers,
        note=one.note,
    )


def infer(
    service: Service,
    model: Job,
    pictures: Sequence[Picture],
    snapshot: Snapshot,
    *,
    dont_resize: bool = False,
    layers: bool = False,
    image: bool = False,
    inputs: bool = False,
    candidates: bool = False,
    in_picture: bool = False,
    as_given: bool = False,
    how: Answering = PLAIN,
    scratch: Path | None = None,
) -> PredictorResponse:
    """Raw outputs of a few pictures in one exchange; one unreadable picture alone raises, among several it has an `error`.

    `layers` adds the visualisation of the first picture, `image` PNGs and `inputs` arrays of the prepared pictures,
    `candidates` the boxes of a detection before overlapping ones are suppressed, `in_picture` boxes, masks and pictures in the
    pixels of the given picture. `how` says that the model answers in tiles, or by the mean over turned pictures; boxes before
    suppression there are none then. Features `as_given` need not have the shape of the training's where the network takes them.
    Large arrays of the answer stay in files of the folder `scratch`, where one is given (`digits.ipc.scratch.StoredArray`), and
    those of `pictures` may lie there as well.
    """
    requested: list[dict[str, Any]] = []
    arrays: dict[str, Any] = {}
    for number, picture in enumerate(pictures):
        entry, payload = picture_entry(picture, f"p{number}")
        requested.append(entry)
        arrays.update(payload)
    switches: dict[str, Any] = {
        "dont_resize": dont_resize,
        "layers": layers,
        "image": image,
        "input": inputs,
        "candidates": candidates,
    }
    switches |= {"in_picture": in_picture, "as_given": as_given, **({} if how.is_plain else {"answering": how.to_json()})}
    roots = [str(root) for root in allowed_roots(service)]
    header = {"op": "predict", "pictures": requested, **switches, "roots": roots, "scratch": str(scratch or "")}
    answer = _answer(request_predictor(service, model, snapshot, messages.Message(header, arrays)))
    known = [replace(one, pixels_of=_pixels_of(picture)) for one, picture in zip(answer.results, pictures, strict=True)]
    return replace(answer, results=known)


def infer_many(
    service: Service,
    model: Job,
    pictures: Sequence[Picture],
    snapshot: Snapshot,
    *,
    dont_resize: bool = False,
    inputs: bool = False,
    candidates: bool = False,
    in_picture: bool = False,
    as_given: bool = False,
    how: Answering = PLAIN,
    scratch: Path | None = None,
) -> Iterator[Prediction]:
    """As `infer` for any number of pictures, in their order and a few at a time, in tiles one by one; unreadable ones carry their
    `error`."""
    together = chunk_of(how)
    for start in range(0, len(pictures), together):
        chunk = pictures[start : start + together]
        try:
            found = infer(
                service,
                model,
                chunk,
                snapshot,
                dont_resize=dont_resize,
                inputs=inputs,
                candidates=candidates,
                in_picture=in_picture,
                as_given=as_given,
                how=how,
                scratch=scratch,
            )
            yield from found.results
        except DataError as error:
            if len(chunk) > 1:
                raise
            yield Prediction(error=str(error))


def chunk_of(how: Answering) -> int:
    """How many pictures go in one exchange: of large ones the answers are large."""
    return CHUNK if how.tile_overlap is None else 1


def request_predictor(service: Service, model: Job, snapshot: Snapshot, message: messages.Message) -> messages.Message:
    """Send a message to the model's predictor, starting it where there is none.

    A predictor that was evicted between two requests is started once more. Raises the error the predictor answers with,
    LimitExceeded where it needs more time or memory than the settings allow, and Conflict where a training has written another
    best snapshot meanwhile.
    """
    try:
        answer = _exchanged(service, model, snapshot, message)
    except messages.CommunicationError:
        answer = _exchanged(service, model, snapshot, message)
    loaded = answer.header.get("epoch", answer.header.get("meta", {}).get("epoch"))
    if snapshot.is_between and loaded is not None and not same_epoch(float(loaded), snapshot.epoch):
        raise Conflict(
            f"The best snapshot of {model.name} is of epoch {loaded:g} by now, no longer of {snapshot.epoch:g}.",
            advice="Ask again.",
        )
    return answer


def _exchanged(service: Service, model: Job, snapshot: Snapshot, message: messages.Message) -> messages.Message:
    seconds = service.settings.request_seconds
    limited = messages.Message({**message.header, "limit": seconds}, message.arrays)
    try:
        return messages.call(_predictor(service, model, snapshot), limited, seconds, service.jobs_dir.scratch)
    except messages.NoAnswerInTime as error:
        raise LimitExceeded(
            f"The model did not answer within {seconds} seconds.",
            advice="Send fewer or smaller pictures, or raise the setting request_seconds (DIGITS_REQUEST_SECONDS).",
        ) from error


def classifies(model: Job) -> bool:
    """Whether a model gives one class for each picture, as the routes of classification need it."""
    return gives_one_class(tasks.recorded(model.task))


def gives_one_class(task: tasks.Task) -> bool:
    return task.output_kind == tasks.base.CLASSES and task.index_targets


def check_classifies(model: Job) -> None:
    """Raises BadRequest unless the model gives one class for each picture."""
    if not classifies(model):
        raise BadRequest(
            f"{model.name} does not give one class for each picture; its task is {tasks.recorded(model.task).title.lower()}.",
            advice="Use /models/images/generic/infer_one and its neighbours for it.",
        )


def best(outputs: dict[str, np.ndarray], labels: Sequence[str], top: int) -> list[ClassScore]:
    """The `top` most probable classes, best first, of the main output (K,) or (1, K).

    Scores beyond the number of labels are dropped. Empty where the network gave no numbers.
    """
    from digits.metrics.accuracy import comparable

    scores = main_output(outputs).reshape(-1)[: len(labels)]
    if not comparable(scores[None])[0]:
        return []
    order = (-scores).argsort(kind="stable")[:top]
    return [ClassScore(int(i), labels[int(i)], float(scores[i])) for i in order]


def _predictor(service: Service, model: Job, snapshot: Snapshot) -> str:
    request = {"op": "predictor", "model_id": model.id, "snapshot": snapshot.path, "device": "auto"}
    return str(control.call(service.jobs_dir, request, START_SECONDS)["socket"])


def picture_entry(picture: Picture, name: str) -> tuple[dict[str, Any], dict[str, Any]]:
    """How a request names a picture, and what is sent beside as the array `name`; a feature is (C, H, W)."""
    import numpy as np

    if isinstance(picture, Path):
        return {"path": str(picture)}, {}
    if isinstance(picture, bytes):
        return {"file": name}, {name: np.frombuffer(picture, dtype=np.uint8)}
    if isinstance(picture, RecordPicture):
        origin = {"origin": picture.origin.numbers} if picture.origin is not None else {}
        foreign = {"foreign": picture.foreign} if picture.foreign is not None else {}
        return {"feature": name, **origin, **foreign}, {name: picture.feature}
    return {"feature": name}, {name: picture}


def _pixels_of(picture: Picture) -> str:
    known = isinstance(picture, Path | bytes) or (isinstance(picture, RecordPicture) and picture.origin is not None)
    return PICTURE if known else RECORD


def _answer(message: messages.Message) -> PredictorResponse:
    header = message.header
    return PredictorResponse(
        results=[_one(i, entry, message) for i, entry in enumerate(header["results"])],
        meta=header["meta"],
        device=header["device"],
        seconds=header["seconds"],
        layers=[LayerView(**entry, image=_picture(message, f"layer/{i}")) for i, entry in enumerate(header.get("layers", []))],
    )


def _one(number: int, entry: dict[str, Any], message: messages.Message) -> Prediction:
    from digits.images.place import Origin

    if entry.get("error"):
        return Prediction(error=str(entry["error"]))
    return Prediction(
        outputs={name: message.arrays[f"{number}/output/{name}"] for name in entry["outputs"]},
        input=message.arrays.get(f"{number}/input"),
        image=_picture(message, f"{number}/image"),
        candidates=_candidates(number, entry, message),
        thresholds=_thresholds(message.header["meta"]),
        in_picture=message.arrays.get(f"{number}/in_picture"),
        origin=Origin.of_numbers(entry["origin"]) if "origin" in entry else None,
        note=str(entry.get("note", "")),
    )


def _thresholds(meta: dict[str, Any]) -> tuple[float, ...]:
    options = TaskOptions.from_json(meta.get("options") or {})
    has_boxes = tasks.recorded(str(meta.get("task", ""))).output_kind == tasks.base.BOXES
    return (options.score_threshold,) if has_boxes else options.label_thresholds


def _candidates(number: int, entry: dict[str, Any], message: messages.Message) -> dict[str, Any] | None:
    """`boxes` float32 (n, 6), best first, and how the network suppresses: `overlap`, `most` (see `engines.base.Suppression`)."""
    if "suppression" not in entry:
        return None
    return {"boxes": message.arrays[f"{number}/candidates"], **entry["suppression"]}


def _picture(message: messages.Message, name: str) -> bytes:
    found = message.arrays.get(name)
    return b"" if found is None else bytes_of(found)


def bytes_of(array: Any) -> bytes:
    """The bytes of a file that travelled as an array."""
    import numpy as np

    return np.asarray(array).tobytes()
