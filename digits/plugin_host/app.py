"""The host's small Flask application: one JSON answer per question, whatever the plugin does.

Every POST body is a frame (`digits.ipc.messages`): a JSON header and arrays. Every answer is one too, except static files.
`limit` in a header is how many seconds the caller waits.
"""

from __future__ import annotations

import importlib.util
import logging
import os
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

from flask import Flask, Response, abort, request, send_from_directory

from digits.errors import BadRequest
from digits.extensions import loader
from digits.extensions.data.recognise import recognise
from digits.ipc.messages import Message, pack, unpack
from digits.plugin_host import data, preview, rendering, view
from digits.plugin_host.guard import Watch, guarded
from digits.storage.folders import JobsDir

DEFAULT_LIMIT = 60.0
FRAME = "application/x-digits-frame"

logger = logging.getLogger(__name__)

Answer = tuple[dict[str, Any], dict[str, Any]]  # header, arrays
Operation = Callable[[Flask, JobsDir, str, Message], Answer]


def create_app(jobs_dir: JobsDir, watch: Watch) -> Flask:
    """The application over the plugins installed now."""
    app = Flask("digits.plugin_host")
    rendering.prepare(app)

    @app.get("/ping")
    def ping() -> dict[str, Any]:
        return {"ok": True, "pid": os.getpid()}

    @app.get("/plugins")
    def plugins() -> dict[str, Any]:
        """The table; with `?now` what is known by now, and under `complete` whether that is all."""
        if "now" not in request.args:
            with watch.request(DEFAULT_LIMIT * 10):
                for kind in loader.GROUPS:
                    loader.all_extensions(kind)
        found = {kind: loader.extensions_so_far(kind) for kind in loader.GROUPS}
        rows = {kind: [row.to_json() for row in known] for kind, (known, _) in found.items()}
        return {**rows, "complete": all(complete for _, complete in found.values())}

    @app.post("/do/<operation>/<extension_id>")
    def do(operation: str, extension_id: str) -> Response:
        message = unpack(request.get_data())
        with watch.request(float(message.header.get("limit", DEFAULT_LIMIT))):
            return _answer(app, jobs_dir, operation, extension_id, message)

    @app.get("/static/<kind>/<extension_id>/<path:name>")
    def static_file(kind: str, extension_id: str, name: str) -> Response:
        folder = static_folder(kind, extension_id)
        if folder is None:
            abort(404)
        return send_from_directory(folder, name)

    return app


def static_folder(kind: str, extension_id: str) -> Path | None:
    """`static/` beside the module of the plugin's class, or in its package; None where there is none."""
    if kind not in loader.GROUPS:
        return None
    cls = loader.get(kind, extension_id).cls
    spec = importlib.util.find_spec(cls.__module__)
    folders = [Path(spec.origin).parent] if spec and spec.origin else []
    package = importlib.util.find_spec(cls.__module__.split(".")[0])
    folders += [Path(place) for place in (package.submodule_search_locations or [])] if package else []
    return next((folder / "static" for folder in folders if (folder / "static").is_dir()), None)


def _answer(app: Flask, jobs_dir: JobsDir, operation: str, extension_id: str, message: Message) -> Response:
    arrays: dict[str, Any] = {}

    def work() -> dict[str, Any]:
        if operation not in OPERATIONS:
            raise BadRequest(f"The plugin host does not know {operation!r}.")
        header, found = OPERATIONS[operation](app, jobs_dir, extension_id, message)
        arrays.update(found)
        return header

    answer = guarded(extension_id, work)
    if not answer["ok"] and not answer.get("errors"):
        logger.warning("%s of %s: %s", operation, extension_id, answer["message"])
    return Response(pack(Message(answer, arrays if answer["ok"] else {})), mimetype=FRAME)


def _dataset_form(app: Flask, jobs_dir: JobsDir, extension_id: str, message: Message) -> Answer:
    header = message.header
    return data.dataset_form(app, extension_id, header.get("values"), header.get("mode", "new"), header.get("nonce", "")), {}


def _create(app: Flask, jobs_dir: JobsDir, extension_id: str, message: Message) -> Answer:
    header = message.header
    return data.create(app, extension_id, header["values"], _userdata(jobs_dir, header), header["allowed_roots"]), {}


def _preview(app: Flask, jobs_dir: JobsDir, extension_id: str, message: Message) -> Answer:
    header = message.header
    roots, same_shape = header["allowed_roots"], bool(header.get("same_shape", True))
    return preview.preview(app, extension_id, header["values"], roots, same_shape, bool(header.get("checked")))


def _recognise(app: Flask, jobs_dir: JobsDir, extension_id: str, message: Message) -> Answer:
    found = recognise(message.header["folder"], message.header["allowed_roots"])
    return {"proposals": [proposal.to_json() for proposal in found]}, {}


def _inference_form(app: Flask, jobs_dir: JobsDir, extension_id: str, message: Message) -> Answer:
    header = message.header
    file = _userdata(jobs_dir, header)
    mode, nonce = header.get("mode", "new"), header.get("nonce", "")
    return data.inference_form(app, extension_id, file, header.get("values"), mode, nonce), {}


def _inference_entries(app: Flask, jobs_dir: JobsDir, extension_id: str, message: Message) -> Answer:
    header = message.header
    return data.inference_entries(app, extension_id, _userdata(jobs_dir, header), header["values"], header["allowed_roots"])


def _facts(app: Flask, jobs_dir: JobsDir, extension_id: str, message: Message) -> Answer:
    return data.stored_facts(extension_id, _userdata(jobs_dir, message.header)), {}


def _view_form(app: Flask, jobs_dir: JobsDir, extension_id: str, message: Message) -> Answer:
    header = message.header
    return view.config_form(app, extension_id, header.get("values"), header.get("mode", "new"), header.get("nonce", "")), {}


def _view_render(app: Flask, jobs_dir: JobsDir, extension_id: str, message: Message) -> Answer:
    header = message.header
    dataset = _facade(jobs_dir, header.get("dataset", {}))
    values, nonce = header.get("values", {}), header.get("nonce", "")
    keys, suppression = list(header["keys"]), header.get("suppression", ())
    return view.render_samples(app, extension_id, values, dataset, keys, message.arrays, nonce, suppression), {}


OPERATIONS: Mapping[str, Operation] = {
    "dataset-form": _dataset_form,
    "create": _create,
    "preview": _preview,
    "recognise": _recognise,
    "inference-form": _inference_form,
    "inference-entries": _inference_entries,
    "facts": _facts,
    "view-form": _view_form,
    "view-render": _view_render,
}


def _userdata(jobs_dir: JobsDir, header: Mapping[str, Any]) -> Path:
    return jobs_dir.folder(str(header["job_id"])).userdata_file


def _facade(jobs_dir: JobsDir, known: Mapping[str, Any]) -> view.DatasetFacade:
    """The data set of the request; its userdata where a plugin made it, else what the core knows."""
    from digits.extensions.data import userdata

    kept: dict[str, Any] = {"class_labels": list(known.get("class_labels", []))} if known.get("class_labels") else {}
    kept.update(known.get("userdata", {}))
    if known.get("id"):
        folder = jobs_dir.folder(str(known["id"]))
        if folder.userdata_file.is_file():
            extension_id = str(known.get("extension_id", ""))
            loader.get("data", extension_id)  # its old names and modules must be there before anything is unpickled
            kept.update(userdata.userdata_of(folder.userdata_file.read_bytes()))
    return view.DatasetFacade(
        id=str(known.get("id", "")),
        name=str(known.get("name", "")),
        extension_id=str(known.get("extension_id", "")),
        extension_userdata=kept,
        feature_dims=tuple(known.get("feature_dims", ())),
        class_labels=tuple(str(label) for label in _listed(kept.get("class_labels"))),
    )


def _listed(value: Any) -> list[Any]:
    """A plugin's own list, tuple or array; nothing for anything else."""
    return list(value) if isinstance(value, Iterable) and not isinstance(value, str | bytes | Mapping) else []
