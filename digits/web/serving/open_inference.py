"""`/v2`: published names by the Open Inference Protocol (KServe V2), so that clients that exist can ask them. Errors are
`{"error": "…"}`, as the protocol has them.
"""

from __future__ import annotations

from typing import Any

from flask import Blueprint, Response, g, request
from werkzeug.exceptions import RequestEntityTooLarge

import digits
from digits.domain.access import Scope
from digits.ipc.supervisor_client import is_listening
from digits.service.serving import infer as inference
from digits.service.serving import names as published
from digits.service.serving import open_inference as protocol
from digits.storage.publications import Publication, Version
from digits.web.http.access import needs
from digits.web.http.limits import MAX_JSON_BYTES
from digits.web.http.request import describes, get_service, json_answer
from digits.web.serving.admission import get_serving, opened_by_token, version_number
from digits.web.serving.infer import check_encoding

LENGTH_HEADER = "Inference-Header-Content-Length"
FORM = {
    "id": "Comes back in the answer.",
    "inputs": "One tensor, `features` (FP32) or `image_file` (BYTES): `name`, `datatype`, `shape`, `data` or `parameters`.",
    "outputs": "Those that are wanted: `name`, `parameters` (`binary_data`, `classification`); absent: all.",
}
MODEL = "`name`, `versions`, `platform`, `inputs`, `outputs` (`name`, `datatype`, `shape`), `parameters`."


def register(area: Blueprint) -> None:
    """Add the routes below `/v2`."""
    area.add_url_rule("/v2/health/live", "live", live)
    area.add_url_rule("/v2/health/ready", "ready", ready)
    area.add_url_rule("/v2", "server", server)
    for versions in ("", "/versions/<version>"):
        place = f"/v2/models/<name>{versions}"
        end = "_version" if versions else ""
        area.add_url_rule(place, f"v2_model{end}", model)
        area.add_url_rule(f"{place}/ready", f"v2_ready{end}", model_ready)
        area.add_url_rule(f"{place}/infer", f"v2_infer{end}", infer, methods=["POST"])


@describes(json=True, answer="`live`: true.")
def live() -> Any:
    """Whether the server answers."""
    return json_answer({"live": True})


@describes(json=True, answer="`ready`: true; 400 where no supervisor runs, which loads models.")
def ready() -> Any:
    """Whether models can be asked."""
    is_ready = is_listening(get_service().jobs_dir)
    return json_answer({"ready": is_ready}, 200 if is_ready else 400)


@describes(json=True, answer="`name`, `version`, `extensions`.")
@opened_by_token()
def server() -> Any:
    """What the server is, by the Open Inference Protocol."""
    return json_answer({"name": "digits", "version": digits.__version__, "extensions": list(protocol.EXTENSIONS)})


@describes(json=True, answer=MODEL)
@opened_by_token()
def model(name: str, version: str = "") -> Any:
    """What a published name takes and gives."""
    return json_answer(protocol.model_metadata(*_published(name, version)))


@describes(json=True, answer="`name`, `ready`: true; 400 where its model is gone.")
@opened_by_token()
def model_ready(name: str, version: str = "") -> Any:
    """Whether a published name can answer."""
    publication, found = _published(name, version)
    is_ready = not published.problem_of(get_service(), found)
    return json_answer({"name": publication.name, "ready": is_ready}, 200 if is_ready else 400)


@describes(form=FORM, json=True, answer="`model_name`, `model_version`, `id`, `outputs`: `name`, `datatype`, `shape`, `data`.")
@needs(Scope.RUN, recorded=False)
@opened_by_token(takes_place=True)
def infer(name: str, version: str = "") -> Any:
    """Predict pictures by the Open Inference Protocol, in JSON or with its binary extension."""
    check_encoding()
    body, length = request.get_data(), request.headers.get(LENGTH_HEADER)
    if protocol.json_length(body, length) > MAX_JSON_BYTES:
        raise RequestEntityTooLarge(f"JSON may have {MAX_JSON_BYTES >> 20} MiB; send larger tensors with the binary extension.")
    asked = protocol.read_request(body, length)
    serving, publication, wanted = get_serving(), g.place, g.version
    g.pictures = asked.count
    if asked.batch is None:
        answer = inference.predict_files(serving, publication, wanted, asked.files, brief=True)
    else:
        answer = inference.predict_batch(serving, publication, wanted, asked.batch)
    made = protocol.write_answer(asked, publication, wanted, inference.stacked(answer, asked.count))
    if made.header_length is None:
        return Response(made.body, mimetype="application/json")
    return Response(made.body, mimetype="application/octet-stream", headers={LENGTH_HEADER: str(made.header_length)})


def _published(name: str, version: str) -> tuple[Publication, Version]:
    publication = published.find(get_serving(), name)
    number = version_number(publication, version) if version else publication.active
    return publication, published.version_of(publication, number)
