"""Exports of a model over HTTP: `/models/<id>/exports.json` and the files."""

from __future__ import annotations

import math
from typing import Any

from flask import Blueprint, Response, render_template, send_from_directory, url_for

from digits.domain.exports import Export
from digits.domain.jobs import PREDICTING, Status
from digits.errors import NotFound
from digits.service.models import archives, exports, packages
from digits.service.models.card import measured_on, parity_rows
from digits.storage.exports import export_folder
from digits.storage.jobs.store import Job
from digits.web.http import arguments
from digits.web.http.request import check_edit, describes, get_service, json_answer
from digits.web.models.downloads import archive_answer

ENTRY = (
    "`id` of the job, `name` (`<format>-epoch_<E>`), `format`, `title`, `snapshot_epoch`, `status` (a word), `progress` from "
    "0 to 1, `message`, `error`, `created`; once it is done `url` and `size` (bytes) of what one has to have, all `files`, "
    "`compared` (pictures), `lossy` (rounded by design), `parity` (`max_difference` of an output; `metric_drop`, above 0 where "
    "the export is worse, with `metric`, `model`, `export`, `pictures` of `total`, null where it was not measured and `reason` "
    "says why), `timings` (`runtime`, `p50_ms`, `p95_ms`, the model itself first), `machine`, `facts` of the format, and "
    "`packages` (further downloads: `name`, `title`, `url`)"
)


def register(area: Blueprint) -> None:
    """Add the routes below `/models/<id>/exports`."""
    area.add_url_rule("/models/<job_id>/exports.json", "exports", listed, methods=["GET"])
    area.add_url_rule("/models/<job_id>/exports.json", "export", start, methods=["POST"])
    area.add_url_rule("/models/<job_id>/exports/<name>", "export_delete", delete, methods=["DELETE"])
    area.add_url_rule("/models/<job_id>/exports/<name>/download", "export_download", download)
    area.add_url_rule("/models/<job_id>/exports/<name>/<package>.zip", "export_package", package)
    area.add_url_rule("/models/<job_id>/exports.html", "parity", report)
    area.add_url_rule("/models/<job_id>/card.md", "card", card)
    area.add_url_rule("/models/<job_id>/exports/<name>/<path:file>", "export_file", one_file)


@describes(answer=f"`exports`: {ENTRY}. `formats`: name, title, note. `snapshots`: epoch, best.")
def listed(job_id: str) -> Any:
    """The exports of a model, newest first, with those that are being made or failed."""
    service, model = get_service(), _model(job_id)
    titles = {row["name"]: row["title"] for row in exports.format_choices(model)}
    return json_answer(
        {
            "exports": [entry_dict(model, entry, titles) for entry in exports.list_exports(service, model)],
            "formats": exports.format_choices(model),
            "snapshots": exports.snapshot_choices(service, model),
        }
    )


@describes(
    form={
        "format": "onnx, onnx_int8, torch_export, torchscript, safetensors, openvino, openvino_int8; of TensorFlow saved_model, "
        "tflite, tflite_int8, openvino; or one that a package adds.",
        "snapshot_epoch": "Absent: the newest.",
    },
    answer=f"{ENTRY}.",
)
def start(job_id: str) -> Any:
    """Write a snapshot in another format, in a job of its own."""
    service, model = get_service(), _model(job_id)
    owner = check_edit(model)
    job = exports.start_export(service, model, arguments.required("format"), arguments.text("snapshot_epoch"), owner=owner)
    entry = exports.ExportEntry(str(job.summary["format"]), float(job.summary["epoch"]), job=job)
    return json_answer(entry_dict(model, entry, {row["name"]: row["title"] for row in exports.format_choices(model)}))


@describes(json=True, answer="`deleted`: the name.")
def delete(job_id: str, name: str) -> Any:
    """Delete an export: its files, and the jobs that made it or failed to."""
    service, model = get_service(), _model(job_id)
    check_edit(model)
    exports.delete_export(service, model, name)
    return json_answer({"deleted": name})


@describes(json=True, answer="The file, or a zip of several.")
def download(job_id: str, name: str) -> Response:
    """An export: its one file, or all of them in a zip."""
    service, model = get_service(), _model(job_id)
    return archive_answer(archives.export_file(service, model, exports.find_export(service, model, name)))


@describes(json=True, answer="A zip file.")
def package(job_id: str, name: str, package: str) -> Response:
    """An ONNX export made ready for one use: `triton` (a model repository) or `web` (a page that runs it in the browser)."""
    service, model = get_service(), _model(job_id)
    return archive_answer(packages.package(service, model, exports.find_export(service, model, name), package))


@describes(answer="A page.")
def report(job_id: str) -> Any:
    """How near each export of a model comes to it, and how fast it is."""
    service, model = get_service(), _model(job_id)
    found = [entry.export for entry in exports.list_exports(service, model) if entry.export is not None]
    rows = [(measured_on(export), parity_rows([export])) for export in found]
    return render_template("models/parity.html", job=model, exports=rows)


@describes(json=True, answer="Markdown.", arguments={"snapshot_epoch": "Which snapshot; absent: the newest."})
def card(job_id: str) -> Response:
    """The card of a model: what it is, what it was trained and measured on."""
    service, model = get_service(), _model(job_id)
    text = archives.card_of(service, model, arguments.text("snapshot_epoch"))
    return Response(text, mimetype="text/markdown")


@describes(json=True, answer="The file.")
def one_file(job_id: str, name: str, file: str) -> Response:
    """One file of an export."""
    service, model = get_service(), _model(job_id)
    export = exports.find_export(service, model, name)
    if file not in {known for known, _ in export.files}:
        raise NotFound(f"The export {name} has no file {file[:80]!r}.")
    folder = export_folder(service.folder(model.id), export)
    saved_as = f"{model.id}_epoch_{export.epoch:g}_{file.rsplit('/', 1)[-1]}"
    return send_from_directory(folder, file, as_attachment=True, download_name=saved_as, mimetype="application/octet-stream")


def entry_dict(model: Job, entry: exports.ExportEntry, titles: dict[str, str]) -> dict[str, Any]:
    """One export as JSON; of one that is made anew the job, with the files of the one before."""
    export, job = entry.export, entry.job
    status = job.status if job else Status.DONE
    value: dict[str, Any] = {
        "id": job.id if job else export.job_id if export else "",
        "name": entry.name,
        "format": entry.format,
        "title": titles.get(entry.format, entry.format),
        "snapshot_epoch": entry.epoch,
        "status": status.word,
        "progress": job.progress if job else 1.0,
        "message": job.message if job else "",
        "error": job.error if job else "",
    }
    if export is None:
        missing: dict[str, Any] = {"url": "", "size": None, "parity": None, "files": [], "packages": []}
        return {**value, "created": job.created if job else None, **missing}
    names: dict[str, Any] = {"job_id": model.id, "name": entry.name}
    return {
        **value,
        "created": export.created,
        "url": url_for("models.export_download", **names),
        "size": export.size,
        "parity": parity_dict(export),
        "compared": export.compared,
        "lossy": export.lossy,
        "timings": [timing.to_json() for timing in export.timings],
        "machine": export.machine,
        "facts": export.facts,
        "packages": [
            {"name": package, "title": title, "url": url_for("models.export_package", **names, package=package)}
            for package, title in packages.offered(export).items()
        ],
        "files": [
            {"name": file, "size": size, "url": url_for("models.export_file", **names, file=file)} for file, size in export.files
        ],
    }


def parity_dict(export: Export) -> dict[str, Any]:
    """How near an export comes to its model, as JSON, without numbers that JSON does not know."""
    quality = {key: value for key, value in export.quality.items() if key not in ("title", "unit")}
    far = export.parity if math.isfinite(export.parity) else None
    return {"max_difference": far, "metric_drop": None, **quality}


def _model(job_id: str) -> Job:
    return get_service().store.get(job_id, *PREDICTING)
