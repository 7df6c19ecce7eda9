"""What the host answers: one message per question (`digits.ipc.messages`), whatever the plugin does.

The header of a question names the operation (`op`) and the plugin (`extension_id`); `limit` is how many seconds the caller waits.
With `scratch`, a folder, large arrays of the answer are files in it.
"""

from __future__ import annotations

import importlib.util
import mimetypes
import os
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from flask import Flask
from werkzeug.utils import safe_join

from digits.errors import BadRequest, NotFound
from digits.extensions import loader
from digits.ipc.messages import Message
from digits.ipc.scratch import confined_folder, store
from digits.ipc.watchdog import Watchdog
from digits.plugin_host import data, pictures, preview, records, rendering, view
from digits.plugin_host.guard import guarded
from digits.plugin_host.recognise import look_into
from digits.storage.folders import JobsDir
from digits.storage.records.codec import encoding_of

DEFAULT_LIMIT = 60.0
NO_PLUGIN = "that reads databases"  # what errors call the host where it is at work for none

Answer = tuple[dict[str, Any], dict[str, Any]]  # header, arrays
Operation = Callable[[Flask, JobsDir, str, Message], Answer]


def create_app() -> Flask:
    """The application whose context plugins' forms and templates need; it answers no request itself."""
    app = Flask("digits.plugin_host")
    rendering.prepare(app)
    return app


def answer(app: Flask, jobs_dir: JobsDir, watch: Watchdog, message: Message) -> Message:
    """The answer to one question. Raises DigitsError; `trace` of it says where a plugin failed."""
    header = message.header
    name, extension_id = str(header.get("op")), str(header.get("extension_id", ""))
    operation = OPERATIONS.get(name)
    if operation is None:
        raise BadRequest(f"The plugin host does not know {name!r}.")
    with watch.request(float(header.get("limit", DEFAULT_LIMIT))), app.test_request_context():
        found, arrays = guarded(extension_id or NO_PLUGIN, lambda: operation(app, jobs_dir, extension_id, message))
    if header.get("scratch"):
        arrays = store(confined_folder(jobs_dir.scratch, str(header["scratch"])), arrays)
    return Message(found, arrays)


def _plugins(app: Flask, jobs_dir: JobsDir, extension_id: str, message: Message) -> Answer:
    """The table; with `now` what is known by now, and under `complete` whether that is all."""
    if not message.header.get("now"):
        for kind in loader.GROUPS:
            loader.all_extensions(kind)
    found = {kind: loader.extensions_so_far(kind) for kind in loader.GROUPS}
    rows = {
        kind: [{**row.to_json(), "warnings": rendering.warnings_of(kind, row.id)} for row in known]
        for kind, (known, _) in found.items()
    }
    return {**rows, "complete": all(complete for _, complete in found.values())}, {}


def _static_file(app: Flask, jobs_dir: JobsDir, extension_id: str, message: Message) -> Answer:
    """`content_type`, and the bytes as the array `body`."""
    name = str(message.header.get("name", ""))
    folder = static_folder(str(message.header.get("kind", "")), extension_id)
    path = safe_join(str(folder), name) if folder is not None else None
    if path is None or not os.path.isfile(path):
        raise NotFound(f"The plugin {extension_id} has no static file {name!r}.")
    content_type = mimetypes.guess_type(name)[0] or "application/octet-stream"
    if content_type.startswith("text/") or content_type.endswith("javascript"):
        content_type += "; charset=utf-8"
    return {"content_type": content_type}, {"body": np.frombuffer(Path(path).read_bytes(), np.uint8)}


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
    found = look_into(message.header["folder"], message.header["allowed_roots"])
    return {"proposals": [proposal.to_json() for proposal in found.proposals], "remarks": found.remarks}, {}


def _inference_form(app: Flask, jobs_dir: JobsDir, extension_id: str, message: Message) -> Answer:
    header = message.header
    mode, nonce = header.get("mode", "new"), header.get("nonce", "")
    return data.inference_form(app, extension_id, _made_by(jobs_dir, header), header.get("values"), mode, nonce), {}


def _inference_entries(app: Flask, jobs_dir: JobsDir, extension_id: str, message: Message) -> Answer:
    header = message.header
    info = jobs_dir.folder(str(header["job_id"])).find_dataset_info()
    encoding = encoding_of(info.extra if info else {})
    dataset, roots = _made_by(jobs_dir, header), header["allowed_roots"]
    return data.inference_entries(app, extension_id, dataset, header["values"], roots, encoding)


def _view_form(app: Flask, jobs_dir: JobsDir, extension_id: str, message: Message) -> Answer:
    header = message.header
    return view.config_form(app, extension_id, header.get("values"), header.get("mode", "new"), header.get("nonce", "")), {}


def _view_check(app: Flask, jobs_dir: JobsDir, extension_id: str, message: Message) -> Answer:
    view.check_options(app, extension_id, message.header.get("values") or {})
    return {}, {}


def _view_render(app: Flask, jobs_dir: JobsDir, extension_id: str, message: Message) -> Answer:
    header = message.header
    dataset = _dataset_view(jobs_dir, header.get("dataset", {}))
    values, nonce = header.get("values", {}), header.get("nonce", "")
    names = ("ids", "suppression", "thresholds", "origins")
    keys, beside = list(header["keys"]), {name: header.get(name, ()) for name in names}
    shown = int(header.get("shown", len(keys)))
    return view.render_samples(app, extension_id, values, dataset, keys, message.arrays, nonce, shown=shown, **beside), {}


def _records(app: Flask, jobs_dir: JobsDir, extension_id: str, message: Message) -> Answer:
    header = message.header
    numbers = (int(header[name]) for name in ("start", "count", "most", "records"))
    return records.read(Path(header["path"]), header["allowed_roots"], *numbers)


def _dataset_record(app: Flask, jobs_dir: JobsDir, extension_id: str, message: Message) -> Answer:
    header = message.header
    dataset, what = jobs_dir.folder(str(header["job_id"])), str(header["what"])
    return {}, {what: records.read_of_dataset(dataset, str(header["split"]), int(header["row"]), what)}


def _thumbnail(app: Flask, jobs_dir: JobsDir, extension_id: str, message: Message) -> Answer:
    header = message.header
    data = pictures.thumbnail(str(header["path"]), header["allowed_roots"], int(header["side"]))
    return {}, {"png": np.frombuffer(data, np.uint8)}


def _prepared_picture(app: Flask, jobs_dir: JobsDir, extension_id: str, message: Message) -> Answer:
    header = message.header
    roots, keep = header["allowed_roots"], bool(header.get("dont_resize"))
    return {}, {"feature": pictures.prepared(str(header["path"]), roots, header["meta"], keep, bool(header.get("tiled")))}


OPERATIONS: Mapping[str, Operation] = {
    "plugins": _plugins,
    "static-file": _static_file,
    "dataset-form": _dataset_form,
    "create": _create,
    "preview": _preview,
    "recognise": _recognise,
    "inference-form": _inference_form,
    "inference-entries": _inference_entries,
    "records": _records,
    "dataset-record": _dataset_record,
    "thumbnail": _thumbnail,
    "prepared-picture": _prepared_picture,
    "view-form": _view_form,
    "view-check": _view_check,
    "view-render": _view_render,
}


def _userdata(jobs_dir: JobsDir, header: Mapping[str, Any]) -> Path:
    return jobs_dir.folder(str(header["job_id"])).userdata_file


def _made_by(jobs_dir: JobsDir, header: Mapping[str, Any]) -> data.MadeBy:
    """The data set `job_id`, which the plugin `made_by` made."""
    return data.MadeBy(str(header.get("made_by", "")), _userdata(jobs_dir, header))


def _dataset_view(jobs_dir: JobsDir, known: Mapping[str, Any]) -> view.DatasetView:
    """The data set of the request; its userdata where a plugin made it, else what the core knows."""
    kept: dict[str, Any] = {"class_labels": list(known.get("class_labels", []))} if known.get("class_labels") else {}
    kept.update(known.get("userdata", {}))
    if known.get("id"):
        file = jobs_dir.folder(str(known["id"])).userdata_file
        kept.update(data.MadeBy(str(known.get("extension_id", "")), file).userdata())
    return view.DatasetView(
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
