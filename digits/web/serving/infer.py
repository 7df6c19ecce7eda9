"""`POST /serve/NAME/infer.json`: one picture in, JSON out, whatever the task."""

from __future__ import annotations

from io import BytesIO
from typing import TYPE_CHECKING, Any

from flask import Blueprint, g, request
from werkzeug.exceptions import UnsupportedMediaType

from digits.domain.access import Scope
from digits.errors import BadRequest
from digits.service.evaluations.inputs import read_upload
from digits.service.serving import infer as inference
from digits.web.http import arguments
from digits.web.http.access import needs
from digits.web.http.request import describes, json_answer
from digits.web.serving.admission import get_serving, opened_by_token

if TYPE_CHECKING:
    import numpy as np

FORM = {
    "image_file": "A picture: an uploaded file; in a JSON body the file as base64. Or the body is the file itself (`image/…`).",
    "features": "In a JSON body, instead: the prepared picture as nested lists (C, H, W), in the data set's units.",
    "top": "How many classes: 5.",
    "outputs": "1 or 0: with the network's own outputs, or without. Absent: where they are no more than 100,000 numbers.",
}
ANSWER = (
    "Of one class for each picture what `classify_one.json` answers (`predictions`, `snapshot_epoch`, `device`, `seconds`), of "
    "every other task what `infer_one.json` does (`outputs`, `nonfinite`, `in_picture`, `scale`, `pixels_of`; of several classes "
    "for a picture `predictions` too), and `model_name`, `model_version`. 429 with `Retry-After` where too many ask at once."
)


def register(area: Blueprint) -> None:
    """Add the route."""
    area.add_url_rule("/serve/<name>/infer.json", "infer", infer, methods=["POST"])


@describes(form=FORM, answer=ANSWER)
@needs(Scope.RUN, recorded=False)
@opened_by_token(takes_place=True)
def infer(name: str) -> Any:
    """Predict one picture with what is published under a name."""
    check_encoding()
    top, outputs = inference.TOP, None
    if request.query_string or not _is_file():
        top = arguments.whole("top", inference.TOP, least=1, most=inference.MOST_TOP)
        outputs = arguments.flag("outputs") if arguments.text("outputs") else None
    g.pictures = 1
    found = inference.answer_json(get_serving(), g.place, g.version, _picture(), top=top, outputs=outputs)
    return json_answer(found)


def check_encoding() -> None:
    """Raises UnsupportedMediaType (415) for a body that is compressed."""
    if request.headers.get("Content-Encoding", "identity").lower() not in ("", "identity"):
        raise UnsupportedMediaType("Send the body without Content-Encoding.")


def _picture() -> bytes | np.ndarray:
    if _is_file():
        return read_upload(BytesIO(request.get_data(cache=False)), "The body")  # a stream may give less than it is asked for
    if request.is_json:
        return inference.picture_of_json(arguments.json_value())
    if file := arguments.file("image_file"):
        return read_upload(file.stream, file.filename or "")
    raise BadRequest("Must provide image_file.", advice="Send the picture as a form's file, as the body, or in JSON as base64.")


def _is_file() -> bool:
    """Whether the body is the picture file itself."""
    return request.mimetype.startswith("image/") or request.mimetype == "application/octet-stream"
