"""Exports of a model over HTTP: `/models/<id>/exports.json` and the files."""

from __future__ import annotations

from typing import Any

from flask import Blueprint, Response, send_from_directory, url_for

from digits.domain.jobs import Kind, Status
from digits.errors import NotFound
from digits.service.models import archives, exports
from digits.storage.exports import export_folder
from digits.storage.jobs.store import Job
from digits.web.http import arguments
from digits.web.http.request import check_edit, describes, get_service, json_answer
from digits.web.models.downloads import archive_answer

ENTRY = (
    "`id` of the job, `name` (`<format>-epoch_<E>`), `format`, `title`, `snapshot_epoch`, `status` (a word), `progress` from "
    "0 to 1, `message`, `error`, "
    "`created`, and once it is done `url`, `size` (bytes), `files`, `compared` (pictures) and `parity` (the largest difference)"
)


def register(area: Blueprint) -> None:
    """Add the routes below `/models/<id>/exports`."""
    area.add_url_rule("/models/<job_id>/exports.json", "exports", listed, methods=["GET"])
    area.add_url_rule("/models/<job_id>/exports.json", "export", start, methods=["POST"])
    area.add_url_rule("/models/<job_id>/exports/<name>", "export_delete", delete, methods=["DELETE"])
    area.add_url_rule("/models/<job_id>/exports/<name>/download", "export_download", download)
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
    form={"format": "onnx, torch_export, saved_model, or one that a package adds.", "snapshot_epoch": "Absent: the newest."},
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
        return {**value, "created": job.created if job else None, "url": "", "size": None, "parity": None, "files": []}
    names: dict[str, Any] = {"job_id": model.id, "name": entry.name}
    return {
        **value,
        "created": export.created,
        "url": url_for("models.export_download", **names),
        "size": export.size,
        "parity": export.parity,
        "compared": export.compared,
        "files": [
            {"name": file, "size": size, "url": url_for("models.export_file", **names, file=file)} for file, size in export.files
        ],
    }


def _model(job_id: str) -> Job:
    return get_service().store.get(job_id, Kind.MODEL)
