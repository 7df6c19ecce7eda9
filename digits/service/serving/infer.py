"""What a published name answers: pictures or features go to the predictor of the version whose turn it is.

A picture is the bytes of a file, a feature an array (C, H, W) in the units that the records store.
"""

from __future__ import annotations

import base64
import binascii
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from digits import tasks
from digits.domain.inference import main_output
from digits.domain.training import same_epoch
from digits.errors import BadRequest, DataError, LoadImageError, Unavailable
from digits.ipc.messages import Message
from digits.service.evaluations.in_picture import in_picture
from digits.service.evaluations.predict import PICTURE, RECORD, best, gives_one_class
from digits.service.plugins.views import plain
from digits.service.serving import Serving
from digits.service.serving.names import check_served, version_of
from digits.storage.publications import Publication, Version
from digits.tasks.base import BOXES, CLASSES

if TYPE_CHECKING:
    import numpy as np

TOP = 5
MOST_TOP = 1000
MOST_NUMBERS = 100_000  # of outputs that an answer in JSON holds unless more are wanted
CHECK_SECONDS = 2.0
MAX_FEATURES = 8 * 2**20  # numbers of a feature that comes as JSON


@dataclass(frozen=True)
class Answer:
    """What the predictor said of one request. `header` and `arrays` are those of `digits.predictor.requests`."""

    version: Version
    header: dict[str, Any]
    arrays: Mapping[str, Any]


def chosen_version(serving: Serving, publication: Publication, number: int | None = None) -> Version:
    """The version that is named, or the one whose turn it is."""
    return version_of(publication, serving.traffic.choose(publication) if number is None else number)


def predict_files(
    serving: Serving, publication: Publication, version: Version, files: Sequence[bytes], **switches: Any
) -> Answer:
    """Predict picture files. Raises LoadImageError, naming the picture, where one cannot be read."""
    import numpy as np

    arrays = {f"p{i}": np.frombuffer(file, np.uint8) for i, file in enumerate(files)}
    header = {"op": "predict", "pictures": [{"file": name} for name in arrays], **switches}
    answer = _ask(serving, publication, version, Message(header, arrays))
    results = answer.header["results"]
    for number, result in enumerate(results):
        if result.get("error"):
            raise LoadImageError(f"Picture {number + 1} of {len(files)}: {result['error']}")
    _note(serving, publication, version, results)
    return answer


def predict_feature(serving: Serving, publication: Publication, version: Version, feature: np.ndarray, **switches: Any) -> Answer:
    """Predict one feature (C, H, W). Raises DataError where the network does not take it."""
    header = {"op": "predict", "pictures": [{"feature": "p0"}], **switches}
    answer = _ask(serving, publication, version, Message(header, {"p0": feature}))
    _note(serving, publication, version, answer.header["results"])
    return answer


def predict_batch(serving: Serving, publication: Publication, version: Version, batch: np.ndarray) -> Answer:
    """Predict features (N, C, H, W); the arrays of the answer are `output/<name>` (N, …)."""
    answer = _ask(serving, publication, version, Message({"op": "forward"}, {"batch": batch}))
    _note(serving, publication, version, [{"moments": one} for one in answer.header.get("moments", ())])
    return answer


def answer_json(
    serving: Serving,
    publication: Publication,
    version: Version,
    picture: bytes | np.ndarray,
    *,
    top: int = TOP,
    outputs: bool | None = None,
) -> dict[str, Any]:
    """The JSON of one picture, (C, H, W) where it is a feature: of one class a picture the keys of `classify_one.json`, else
    those of `infer_one.json` (with `predictions` too where classes are found one by one); and `model_name`, `model_version`.

    `outputs` says whether the network's own outputs are in it; by default they are where there are not too many, and `notes` says
    when they are left out.
    """
    import numpy as np

    from digits.images.place import Origin
    from digits.metrics.base import is_finite

    ask = predict_files if isinstance(picture, bytes) else predict_feature
    given: Any = [picture] if isinstance(picture, bytes) else picture
    answer = ask(serving, publication, version, given, in_picture=True)
    result, meta = answer.header["results"][0], answer.header["meta"]
    named = {name: np.asarray(answer.arrays[f"0/output/{name}"]) for name in result["outputs"]}
    task = tasks.of(meta["task"], tasks.Labels.of_snapshot(meta))
    labels = list(meta.get("class_labels", ()))
    notes = [result["note"]] if result.get("note") else []
    found: dict[str, Any] = {}
    if task.output_kind == CLASSES:
        found["predictions"] = [[one.label, one.percent] for one in best(named, labels, top)]
    if not gives_one_class(task) or outputs:
        output = task.kept(main_output(named))
        count = sum(array.size for array in named.values())
        if outputs or (outputs is None and count <= MOST_NUMBERS):
            found["outputs"] = {name: [plain(array)] for name, array in named.items()}
        elif outputs is None:
            notes.append(f"The outputs are {count:,} numbers and left out; send outputs=1 to have them.")
        found["nonfinite"] = int(not is_finite(output))
        if "origin" in result:
            pixels_of = PICTURE if isinstance(picture, bytes) else RECORD
            lies = np.asarray(answer.arrays["0/in_picture"])
            own = in_picture(lies, Origin.of_numbers(result["origin"]), task, meta, pixels_of)
            found |= {"scale": own["scale"], "pixels_of": pixels_of, "in_picture": own}
    found |= {"snapshot_epoch": version.epoch, "device": answer.header["device"], "seconds": answer.header["seconds"]}
    found |= {"notes": notes} if notes else {}
    return {**found, "model_name": publication.name, "model_version": version.number}


def stacked(answer: Answer, count: int) -> dict[str, np.ndarray]:
    """Outputs (N, …) by name of an answer to `predict_files` or `predict_batch`; boxes without the rows of zeros that only the
    company of others filled up. Raises DataError where pictures of one request gave outputs of several shapes."""
    import numpy as np

    if "results" in answer.header:
        results = answer.header["results"]
        try:
            found = {
                name: np.stack([np.asarray(answer.arrays[f"{i}/output/{name}"]) for i in range(count)])
                for name in results[0]["outputs"]
            }
        except (KeyError, ValueError) as error:
            raise DataError(
                "The pictures gave outputs of several shapes.", advice="Send them in requests of their own."
            ) from error
    else:
        found = {name: np.asarray(answer.arrays[f"output/{name}"]) for name in answer.header["outputs"]}
    if tasks.recorded(answer.version.task).output_kind == BOXES:
        found = {name: _trimmed(array) for name, array in found.items()}
    return found


def picture_of_json(body: Any) -> bytes | np.ndarray:
    """The picture of a JSON body: `image_file` is a file as base64 (a `data:` address too), `features` a nested list (C, H, W).
    Raises BadRequest."""
    if not isinstance(body, Mapping):
        raise BadRequest("The body is no JSON object.", advice='Send {"image_file": "…"} with the file as base64.')
    text, features = body.get("image_file"), body.get("features")
    if (text is None) == (features is None):
        raise BadRequest("Must provide image_file or features, one of the two.", advice="image_file is a picture file as base64.")
    return feature_of(features) if text is None else file_of(text)


def file_of(text: Any) -> bytes:
    """The file behind a text of base64, or a `data:` address. Raises BadRequest."""
    if not isinstance(text, str):
        raise BadRequest("image_file is no text.", advice="Send the picture file as base64.")
    encoded = text.partition(",")[2] if text.startswith("data:") else text
    try:
        data = base64.b64decode("".join(encoded.split()), validate=True)
    except (binascii.Error, ValueError) as error:
        raise BadRequest(f"image_file is no base64: {error}.", advice="Send the bytes of a picture file as base64.") from error
    if not data:
        raise BadRequest("image_file is empty.", advice="Send the bytes of a picture file as base64.")
    return data


def feature_of(values: Any) -> np.ndarray:
    """A feature (C, H, W) float32 of nested lists. Raises BadRequest."""
    import numpy as np

    try:
        array = np.array(values)
    except ValueError as error:
        raise BadRequest("features is no array: its lists differ in length.") from error
    if array.dtype.kind not in "iuf" or array.ndim != 3 or not 0 < array.size <= MAX_FEATURES:
        raise BadRequest(f"features is {array.dtype} of shape {array.shape}, expected numbers (C, H, W).")
    return finite_float32(array, "features")


def finite_float32(array: np.ndarray, name: str) -> np.ndarray:
    """Numbers of any shape as float32, all finite, in the units that they came in.

    Raises BadRequest where one is not finite, or too large: a network that is given NaN answers NaN, which looks like an answer.
    """
    import numpy as np

    with np.errstate(over="ignore"):
        found = array.astype(np.float32)
    if count := found.size - int(np.count_nonzero(np.isfinite(found))):
        raise BadRequest(f"{name} holds {count} values that are not finite numbers.", advice="Send pixel values of pictures.")
    return found


def _ask(serving: Serving, publication: Publication, version: Version, message: Message) -> Answer:
    """The answer of the version's predictor. Raises Unavailable where its model is gone."""
    key = (version.model_id, version.snapshot)
    if time.monotonic() - serving.checked.get(key, -CHECK_SECONDS) >= CHECK_SECONDS:
        check_served(serving.service, publication, version)
        serving.checked[key] = time.monotonic()
    known = serving.metas.get((*key, version.epoch))  # a thousand names of classes need not travel with each answer
    header = {"together": True, "moments": bool(version.mean), "brief": known is not None, **message.header}
    answer = serving.connections.call(*key, Message(header, message.arrays))
    epoch = answer.header.get("epoch")
    if epoch is not None and not same_epoch(float(epoch), version.epoch):
        raise Unavailable(
            f"{version.snapshot} of {version.model_name} was published with epoch {version.epoch:g}; now it holds {epoch:g}.",
            advice="The training went on; publish the snapshot anew.",
        )
    if "meta" in answer.header:
        serving.metas[(*key, version.epoch)] = known = answer.header["meta"]
    return Answer(version, {**answer.header, "meta": known}, answer.arrays)


def _note(serving: Serving, publication: Publication, version: Version, results: Sequence[Mapping[str, Any]]) -> None:
    """Note what the pictures of results were like, where the predictor was asked for it."""
    moments = [result["moments"] for result in results if "moments" in result]
    serving.traffic.note_inputs(publication.name, version.number, moments)


def _trimmed(boxes: np.ndarray) -> np.ndarray:
    """Boxes (N, M, 6) up to the last row that holds one, at least one row."""
    import numpy as np

    if boxes.ndim != 3 or boxes.shape[2] != 6:
        return boxes
    filled = np.flatnonzero((boxes[..., 4] > 0).any(axis=0))
    return boxes[:, : (int(filled[-1]) + 1 if len(filled) else 1)]
