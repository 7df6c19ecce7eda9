"""Files of jobs, uploads, and the server's folders for path fields."""

from __future__ import annotations

from typing import Any

from flask import Blueprint, Response, jsonify, render_template, request, send_file

from digits.domain.access import Scope
from digits.domain.jobs import JOB_ID
from digits.errors import BadRequest, NotFound
from digits.service.files import browse as browsing
from digits.service.files import uploads
from digits.service.files.names import safe_name
from digits.service.files.unpack import TAR, ZIP
from digits.utils.confinement import PRIVATE
from digits.web.http import arguments
from digits.web.http.access import needs
from digits.web.http.request import current_user, describes, get_service, require_user, route, wants_json

# What a browser may show in place; anything else is handed over as a download. Nothing of it may run scripts.
SHOWN = frozenset({".jpg", ".jpeg", ".png", ".gif", ".webp", ".bmp", ".txt", ".log", ".json", ".jsonl", ".csv", ".py"})
TEXTS = frozenset({".txt", ".log", ".jsonl", ".csv", ".py"})
MAX_PARTS = 5000


def blueprint() -> Blueprint:
    """`/files/<path>`, `/uploads…`, `/autocomplete/path` and `/browse.json`."""
    area = Blueprint("files", __name__)
    area.before_request(_allow_many_parts)
    area.add_url_rule("/files/<path:path>", "job_file", job_file)
    area.add_url_rule("/autocomplete/path", "autocomplete", autocomplete)
    area.add_url_rule("/browse.json", "browse", browse)
    route(area, "/uploads")(uploads_page)
    route(area, "/uploads", methods=("POST",))(upload)
    area.add_url_rule("/uploads/begin", "begin", begin, methods=["POST"])
    area.add_url_rule("/uploads/sending/<token>", "send", send, methods=["POST", "PUT"])
    area.add_url_rule("/uploads/sending/<token>/finish", "finish", finish, methods=["POST"])
    area.add_url_rule("/uploads/sending/<token>", "cancel", cancel, methods=["DELETE"])
    area.add_url_rule("/uploads/<name>", "delete_upload", delete_upload, methods=["DELETE"])
    return area


def job_file(path: str) -> Response:
    """A file of a job. 404 for anything outside the job folders, for hidden names and for what must stay on the server."""
    root = get_service().jobs_dir.path.resolve()
    parts = path.split("/")
    if "\0" in path or not JOB_ID.match(parts[0]):
        raise NotFound("There is no such file.")
    row = get_service().store.find(parts[0], with_deleted=True)
    if row is not None and row.deleted is not None:
        raise NotFound("There is no such file.", advice="Its job was deleted.")
    file = (root / path).resolve()
    hidden = any(part.startswith(".") for part in parts) or file.name in PRIVATE
    if hidden or root / parts[0] not in file.parents or not file.is_file():
        raise NotFound("There is no such file.")
    suffix = file.suffix.lower()
    mimetype = "text/plain" if suffix in TEXTS else None
    response = send_file(file, mimetype=mimetype, as_attachment=suffix not in SHOWN, conditional=True)
    response.headers["Content-Security-Policy"] = "sandbox; default-src 'none'; style-src 'unsafe-inline'"
    return response


@describes(json=True, arguments={"query": "How the paths begin."}, answer="`suggestions` and `folders`: lists of paths.")
def autocomplete() -> Any:
    """`suggestions`: absolute paths on the server that begin with `query`, sorted; `folders`: those that are folders."""
    found, folders = browsing.suggestions(get_service(), arguments.given("query") or "")
    return jsonify(suggestions=found, folders=folders)


@describes(json=True, arguments={"path": "A folder; empty: only the places where one may look."})
def browse() -> Any:
    """One folder of the server for the Browse dialog."""
    return jsonify(browsing.browse(get_service(), arguments.given("path") or ""))


@describes(answer="`uploads`, and `partial`: those that are not finished, with the `token` of one's own.")
def uploads_page() -> Any:
    """The list of uploads."""
    service = get_service()
    found, partial = uploads.list_uploads(service), uploads.list_partial(service, current_user())
    if wants_json():
        return jsonify(uploads=[vars(item) for item in found], partial=[vars(item) for item in partial])
    return render_template("uploads.html", uploads=found, partial=partial)


@describes(
    form={"files": "The files or archives; as multipart form data.", "name": "What the upload will be called."},
    answer="The upload: `name`, `path` for path fields, `files`, `bytes`, `skipped`.",
)
def upload() -> Any:
    """A whole upload in one request: `files` (repeated, or any file field) and an optional `name`. Answers the upload."""
    service, user = get_service(), require_user()
    files = [file for _, found in request.files.lists() for file in found if file.filename]
    if not files:
        raise BadRequest("No file was sent.", advice="Send one or more files as multipart form data, e.g. curl -F files=@a.zip.")
    token = uploads.begin(service, arguments.text("name") or _default_name(files[0].filename or ""), user)
    try:
        for file in files:
            uploads.add_file(service, token, file.filename or "", file.stream, user)
        return jsonify(vars(uploads.finish(service, token, user)))
    except BaseException:
        uploads.cancel(service, token, user)
        raise


@describes(json=True, form={"name": "What the upload will be called."}, answer="`token`.")
def begin() -> Any:
    """Start an upload of many requests; answers the `token` of its address `/uploads/sending/<token>`."""
    name = _default_name(arguments.text("name") or "upload")
    return jsonify(token=uploads.begin(get_service(), name, require_user()))


@describes(
    json=True,
    form={},
    arguments={
        "path": "With PUT: where in the upload the content goes.",
        "offset": "With PUT: the content is a piece of the file from this byte on; the answer's `offset` is where to go on.",
        "size": "With `offset`: how many bytes the whole file has.",
        "once": "With POST and 1: files that come twice are kept once.",
    },
    answer="`files`: how many were taken; of a piece `offset`: how many bytes of the file are there.",
)
@needs(Scope.RUN, recorded=False)
def send(token: str) -> Any:
    """Files of an upload: PUT with `path` and the raw content, or POST as multipart (the file names are the paths).

    PUT with `offset` and `size` sends one piece of a file, for where a proxy lets no more through; a piece that is sent twice is
    taken once, and one that does not fit is a 409 whose `error.offset` says where to go on.
    """
    service, user, path = get_service(), require_user(), arguments.given("path") or ""
    offset, size = arguments.whole("offset", 0), arguments.whole("size", 0)
    if request.method == "PUT" and arguments.given("offset") is not None:
        there = uploads.add_piece(service, token, path, request.stream, offset, size, user)
        return jsonify(files=int(there == size), offset=there)
    if request.method == "PUT":
        uploads.add_file(service, token, path, request.stream, user)
        return jsonify(files=1)
    files = [file for _, found in request.files.lists() for file in found]
    if arguments.flag("once"):
        uploads.add_once(service, token, [(file.filename or "", file.stream) for file in files], user)
        return jsonify(files=len(files))
    for file in files:
        uploads.add_file(service, token, file.filename or "", file.stream, user)
    return jsonify(files=len(files))


@describes(json=True, answer="The upload, as POST /uploads.json answers it.")
def finish(token: str) -> Any:
    """Unpack and name what was sent; on a refusal nothing is kept."""
    service, user = get_service(), require_user()
    try:
        return jsonify(vars(uploads.finish(service, token, user)))
    except BadRequest:
        uploads.cancel(service, token, user)
        raise


@describes(json=True)
def cancel(token: str) -> Any:
    """Forget an upload that is being sent, and free what it takes; a full disk does not keep it from that."""
    uploads.cancel(get_service(), token, require_user())
    return jsonify(message="Upload cancelled.")


@describes(json=True)
def delete_upload(name: str) -> Any:
    """Delete a finished upload."""
    uploads.remove(get_service(), name, require_user())
    return jsonify(message="Upload deleted.")


def _default_name(filename: str) -> str:
    """An upload's name from that of its first file or folder, without the suffix of an archive."""
    name = safe_name(filename.split("/")[0])
    for suffix in sorted(ZIP + TAR, key=len, reverse=True):
        if name.lower().endswith(suffix):
            return name[: -len(suffix)] or "upload"
    return name


def _allow_many_parts() -> None:
    """A folder is sent many small files at a time; everywhere else Flask's own limit of parts holds."""
    request.max_form_parts = MAX_PARTS
