"""The inference room of a model over HTTP, whatever its task: a question and its answer, beside it that of a second model, the
answers that were kept, and the same question as code."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING, Any

from flask import Blueprint, Response, request, send_file, url_for

from digits import tasks
from digits.domain.access import Scope
from digits.domain.jobs import PREDICTING, Kind
from digits.errors import BadRequest, DigitsError, Forbidden
from digits.ipc.scratch import scratch_folder
from digits.service.datasets.from_source import plugin_values
from digits.service.evaluations import kept, second
from digits.service.evaluations.answer import answer_form, answer_one
from digits.service.evaluations.code import Question, code_of
from digits.service.evaluations.inputs import record_place
from digits.service.models.snapshots import wanted_epoch
from digits.storage.jobs.store import Job
from digits.web.evaluations import predict
from digits.web.evaluations.asked import asked_answering
from digits.web.http import arguments, audit
from digits.web.http.access import needs
from digits.web.http.request import current_user, describes, get_service, json_answer, may_edit

if TYPE_CHECKING:
    from digits.service.evaluations.predict import Picture

# What a browser may show of a file that somebody sent, by how it begins.
SHOWN = {
    b"\x89PNG\r\n\x1a\n": "image/png",
    b"\xff\xd8\xff": "image/jpeg",
    b"GIF87a": "image/gif",
    b"GIF89a": "image/gif",
    b"BM": "image/bmp",
}
WEBP = (b"RIFF", b"WEBP")
QUESTION = {
    **{name: text for name, text in predict.CLASSIFY_ONE.items() if name not in ("job_id", "show_visualizations")},
    "dont_resize": "Keep the picture's size.",
    "second": "The id of a second model (or of this one), whose answer stands beside.",
    "second_epoch": "Which snapshot of the second.",
    "data_extension_id": "The data plugin whose inference form is sent beside, in the place of a picture; `all-default`: that of "
    "the data set. All other fields are the form's then.",
}
FORM = "data_extension_id"
OF_THE_QUESTION = predict.ALWAYS_OURS | {"keep"}
NOT_ASKED = frozenset({"csrf_token", "username", "keep", "image_file", "job_id"})
ABOUT_KEPT = "`key`, `url` of the page, `json`, `picture_url` where the file was kept, `time`, `user`, `name`, `words`, `thumb`"


def register(area: Blueprint) -> None:
    """Add the routes of answers."""
    base = "/models/<job_id>"
    area.add_url_rule(f"{base}/answer.json", "answer_json", answer, methods=["POST"])
    area.add_url_rule(f"{base}/answers.json", "answers_json", answers)
    area.add_url_rule(f"{base}/answers", "forget_answers", forget_answers, methods=["DELETE"])
    area.add_url_rule(f"{base}/answers/<key>.json", "kept_answer_json", kept_answer)
    area.add_url_rule(f"{base}/answers/<key>", "forget_answer", forget_answer, methods=["DELETE"])
    area.add_url_rule(f"{base}/answers/<key>/picture", "kept_picture", kept_picture)
    area.add_url_rule(f"{base}/seconds.json", "seconds_json", seconds)
    area.add_url_rule(f"{base}/code.json", "code_json", code)


@describes(
    form={**QUESTION, "keep": "1: keep the answer with the model, as its page does; then it has `kept`."},
    json=True,
    answer="`kind`, `class_labels`, `colours`, one of `samples` as in an evaluation; `predictions` of classes; of a plugin's "
    "form the first `samples` of all `entries`, and `skipped`; `seconds`: "
    "`decode`, a part of `prepare`, `prepare`, `forward`, `post`; with `second` the same of it as `second`, and its "
    f"`difference`; with `keep` `kept`: {ABOUT_KEPT}, or `not_kept`, why not.",
)
@needs(Scope.RUN, recorded=False)
def answer(job_id: str) -> Any:
    """What a model of any task makes of one picture, as its page shows it, and a second one beside it."""
    service = get_service()
    model = service.store.get(job_id, *PREDICTING)
    if arguments.text(FORM):
        return json_answer(_answer_to_form(model))
    picture, name = predict.sent_picture(model)
    epoch, whole = arguments.text("snapshot_epoch"), arguments.flag("dont_resize")
    how = asked_answering(model)
    if other := arguments.text("second"):
        beside = second.find_second(service, model, other)
        epochs = (epoch, arguments.text("second_epoch"))
        body = second.ask_both(service, model, beside, picture, name, epochs, dont_resize=whole, how=how)
    else:
        body = answer_one(service, model, picture, name, snapshot_epoch=epoch, dont_resize=whole, how=how)
    return json_answer({**body, **_keep(model, body, picture, name)} if arguments.flag("keep") else body)


def _answer_to_form(model: Job) -> dict[str, Any]:
    """What a model makes of a plugin's inference form."""
    service = get_service()
    dataset = service.store.find(model.dataset_id) if model.dataset_id else None
    extension = predict.named_extension(arguments.text(FORM))
    if dataset is None or not (extension or dataset.extension):
        raise BadRequest("The data set of this model was not made by a plugin.", advice="Test the model with pictures.")
    sent = plugin_values({name: value for name, value in arguments.form_values().items() if name not in OF_THE_QUESTION})
    how, epoch = asked_answering(model), arguments.text("snapshot_epoch")
    with scratch_folder(service.jobs_dir) as scratch:
        body = answer_form(service, model, dataset, sent, extension_id=extension, snapshot_epoch=epoch, how=how, scratch=scratch)
    if not arguments.flag("keep"):
        return body
    texts = {name: value for name, value in sent.items() if isinstance(value, str) and value and name not in request.files}
    asked = {**texts, FORM: arguments.text(FORM), **({"snapshot_epoch": epoch} if epoch else {})}
    return {**body, **_kept(model, body, asked, None)}


@describes(json=True, answer=f"`answers`, the newest first: {ABOUT_KEPT}.")
def answers(job_id: str) -> Any:
    """The last answers of a model's page."""
    service = get_service()
    model = service.store.get(job_id, *PREDICTING)
    return json_answer({"answers": [_with_addresses(model, about) for about in kept.list_kept(service, model)]})


@describes(json=True, answer=f"The answer as it was, with `asked`, the fields of the question, and `kept`: {ABOUT_KEPT}.")
def kept_answer(job_id: str, key: str) -> Any:
    """An answer that was kept."""
    service = get_service()
    model = service.store.get(job_id, *PREDICTING)
    found = kept.find_kept(service, model, key)
    return json_answer({**found, "kept": _with_addresses(model, found.pop("about"))})


def kept_picture(job_id: str, key: str) -> Response:
    """The file that a kept answer was about."""
    service = get_service()
    data = kept.kept_picture(service, service.store.get(job_id, *PREDICTING), key)
    kind = next((kind for start, kind in SHOWN.items() if data.startswith(start)), "")
    if not kind and (data[:4], data[8:12]) == WEBP:
        kind = "image/webp"
    response = send_file(io.BytesIO(data), kind or "application/octet-stream", as_attachment=not kind, download_name=key)
    response.headers["Content-Security-Policy"] = "sandbox; default-src 'none'"
    return response


@describes(json=True, answer="`removed`: 1.")
@needs(Scope.RUN)
def forget_answer(job_id: str, key: str) -> Any:
    """Remove a kept answer: who may change the model may, and who asked."""
    service = get_service()
    model = service.store.get(job_id, *PREDICTING)
    if kept.find_kept(service, model, key)["about"].get("user") != current_user() or not current_user():
        _check_may_change(model)
    return json_answer({"removed": kept.forget(service, model, key)})


@describes(json=True, answer="`removed`: how many.")
@needs(Scope.RUN)
def forget_answers(job_id: str) -> Any:
    """Remove all kept answers of a model."""
    service = get_service()
    model = service.store.get(job_id, *PREDICTING)
    _check_may_change(model)
    return json_answer({"removed": kept.forget(service, model)})


@describes(
    json=True,
    answer="`models` that can stand beside this one, itself first: `id`, `name`, `same_classes`, `same_dataset`, `snapshots` "
    "(`choice`, `label`, `best`, the newest first).",
)
def seconds(job_id: str) -> Any:
    """The second models to choose from."""
    service = get_service()
    model = service.store.get(job_id, *PREDICTING)
    return json_answer({"models": [_second(model, found) for found in second.second_models(service, model)]})


@describes(
    json=True,
    arguments={**QUESTION, "image_file": "The name of the file that will be sent."},
    answer="`python`, `curl`, `command`: the same question as code; `notes`: what is to be known of it.",
)
def code(job_id: str) -> Any:
    """A question of the page as code."""
    service = get_service()
    model = service.store.get(job_id, *PREDICTING)
    fields = {name: arguments.text(name) for name in sorted(arguments.sent_names()) if name not in NOT_ASKED}
    _check_question(model, fields)
    question = Question(
        address=request.host_url.rstrip("/") + request.script_root,
        model_id=model.id,
        task=tasks.recorded(model.task),
        fields={**fields, "image_file": arguments.text("image_file")},
        needs_token=service.settings.auth,
        jobs_dir=str(service.jobs_dir.path),
    )
    return json_answer(code_of(question))


def _check_question(model: Job, fields: dict[str, str]) -> None:
    """What a question would be refused for is no code either. Raises BadRequest, NotFound."""
    service = get_service()
    asked_answering(model)
    wanted_epoch(model, fields.get("snapshot_epoch"))
    if fields.get(FORM):
        return
    if record := fields.get("record"):
        record_place(record)
    if other := fields.get("second"):
        wanted_epoch(second.find_second(service, model, other), fields.get("second_epoch"))


def _keep(model: Job, body: dict[str, Any], picture: Picture, name: str) -> dict[str, Any]:
    """`kept` or, where that does not work, `not_kept`: the answer is there all the same."""
    sent = arguments.file("image_file")
    taken = {"image_path", "record"} if sent else set()  # the file is what counts
    fields = {key: value for key in sorted(arguments.sent_names() - NOT_ASKED - taken) if (value := arguments.text(key))}
    asked = {**fields, "image_file": name} if sent else fields
    return _kept(model, body, asked, picture if isinstance(picture, bytes) else None)


def _kept(model: Job, body: dict[str, Any], asked: dict[str, str], picture: bytes | None) -> dict[str, Any]:
    try:
        about = kept.keep(get_service(), model, body, user=current_user(), asked=asked, picture=picture)
    except DigitsError as error:
        return {"not_kept": str(error)}
    audit.note_what_stays()
    return {"kept": _with_addresses(model, about)}


def _with_addresses(model: Job, about: dict[str, Any]) -> dict[str, Any]:
    key = about["key"]
    page = url_for("pretrained.show" if model.kind == Kind.PRETRAINED else "models.show", job_id=model.id)
    addresses = {
        "url": f"{page}?answer={key}#test",
        "json": url_for("inference.kept_answer_json", job_id=model.id, key=key),
        "picture_url": url_for("inference.kept_picture", job_id=model.id, key=key) if about.get("picture") else "",
    }
    return {**about, **addresses, "mine": bool(about.get("user")) and about.get("user") == current_user()}


def _second(model: Job, found: second.Second) -> dict[str, Any]:
    rows = [{"choice": s.choice, "label": s.label, "best": s.best} for s in reversed(found.snapshots)]
    same = bool(model.dataset_id) and found.job.dataset_id == model.dataset_id
    return {
        "id": found.job.id,
        "name": found.job.name,
        "same_classes": found.same_classes,
        "same_dataset": same,
        "snapshots": rows,
    }


def _check_may_change(model: Job) -> None:
    if not may_edit(model):
        raise Forbidden(f"Only who may change {model.name} removes what others asked.")
