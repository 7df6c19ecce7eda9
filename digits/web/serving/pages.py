"""`/serve`: what is published, under which names, with what traffic; publishing, versions, canary and tokens."""

from __future__ import annotations

from typing import Any

from flask import Blueprint, g, render_template, request, url_for

from digits.domain.jobs import PREDICTING, Status
from digits.errors import BadRequest
from digits.service.evaluations.inputs import picture_types
from digits.service.serving import names as published
from digits.service.serving.describe import describe
from digits.service.serving.names import find
from digits.service.serving.samples import code_samples
from digits.storage.jobs.store import Job, JobQuery
from digits.storage.publications import Publication
from digits.web.http import arguments
from digits.web.http.request import check_edit, current_user, describes, get_service, json_answer, require_user, wants_json
from digits.web.serving.admission import get_serving

MOST_MODELS = 200  # in the list to choose from
PUT = {
    "model_id": "The model; absent: only the settings below are changed.",
    "snapshot_epoch": "Which snapshot, also `best`; absent: the newest.",
    "canary": "The percentage of requests that the new version gets beside the active one (1 to 99); absent: all of them.",
    "queue_limit": "How many requests may be at work at once: 1 to 256, 64 where nothing was said.",
    "new_token": "0: do not make a token. Those that were made before go on working in any case.",
}
STATE = (
    "`name`, `owner`, `created`, `version` (the active one), `model_id`, `model_name`, `snapshot_epoch`, `canary` (`version`, "
    "`percent`; null: none), `queue_limit`, `at_work`, `refused` (429), `url`, `versions` (`version`, `model_id`, `model_name`, "
    "`snapshot_epoch`, `task`, `created`, `by`, `percent`, `problem`, `requests`, `errors`, `codes`, `pictures`, `per_minute`, "
    "`mean_ms`, `p50_ms`, `p95_ms`, `drift`), `tokens` (`id`, `created`, `by`, `last_used`), `changes`, `may_edit`"
)


def register(area: Blueprint) -> None:
    """Add the routes below `/serve` but for `infer`."""
    for end, twin in (("", ""), (".json", "_json")):
        area.add_url_rule(f"/serve{end}", f"index{twin}", index)
        area.add_url_rule(f"/serve/<name>{end}", f"show{twin}", show)
        area.add_url_rule(f"/serve/<name>{end}", f"unpublish{twin}", unpublish, methods=["DELETE"])
    area.add_url_rule("/serve/<name>.json", "publish", publish, methods=["PUT"])
    area.add_url_rule("/serve/<name>/use.json", "use", use, methods=["POST"])
    area.add_url_rule("/serve/<name>/rollback.json", "rollback", rollback, methods=["POST"])
    area.add_url_rule("/serve/<name>/canary.json", "canary", canary, methods=["POST"])
    area.add_url_rule("/serve/<name>/tokens.json", "add_token", add_token, methods=["POST"])
    area.add_url_rule("/serve/<name>/tokens/<token>", "remove_token", remove_token, methods=["DELETE"])


@describes(
    answer=f"`published`: {STATE}.",
    arguments={"model": "The model to publish (page only).", "name": "Under which name (page only)."},
)
def index() -> Any:
    """What is published."""
    found = [state(one) for one in get_serving().publications.all()]
    if wants_json():
        return json_answer({"published": found})
    known = [job for kind in PREDICTING for job in get_service().store.query(JobQuery(kind=kind)).jobs]
    models = [job for job in known if _may_serve(job)][:MOST_MODELS]
    chosen = next((job for job in models if job.id == arguments.text("model")), None)
    name = arguments.text("name") or (published.suggested_name(chosen.name) if chosen is not None else "")
    return render_template("serving/index.html", published=found, models=models, chosen=chosen, suggested=name)


@describes(answer=f"{STATE}.")
def show(name: str) -> Any:
    """What is published under a name, and what goes through it."""
    publication = find(get_serving(), name)
    if wants_json():
        return json_answer(state(publication))
    address = f"{request.host_url.rstrip('/')}{request.script_root}"
    version = publication.version(publication.active)
    samples = code_samples(address, publication, version) if version is not None else []
    model = get_service().store.find(version.model_id) if version is not None else None
    types = picture_types(get_service(), model) if model is not None else []
    return render_template("serving/show.html", one=state(publication), samples=samples, picture_types=types)


@describes(form=PUT, answer=f"{STATE}; `token` (shown this once; empty where none was made), `new_version`, `note`.")
def publish(name: str) -> Any:
    """Publish a snapshot under a name, as its first or next version."""
    user, serving = require_user(), get_serving()
    percent, limit = arguments.whole("canary", None), arguments.whole("queue_limit", None)
    if not arguments.text("model_id"):
        return _change_settings(name, user, percent, limit)
    model = get_service().store.get(arguments.text("model_id"), *PREDICTING)
    check_edit(model)
    made = published.publish(
        serving,
        name,
        model,
        arguments.text("snapshot_epoch"),
        user=user,
        percent=percent,
        queue_limit=limit,
        new_token=arguments.flag("new_token", True),
    )
    more = {"token": made.token, "new_version": made.version.number, **({"note": made.note} if made.note else {})}
    return json_answer({**state(made.publication), **more})


@describes(form={"version": "Which; absent: the one that was active before."}, answer=f"{STATE}.")
def use(name: str) -> Any:
    """Let another version answer, an older one too."""
    user = require_user()
    return json_answer(state(published.use(get_serving(), name, user, arguments.whole("version", None, least=1))))


@describes(form={}, answer=f"{STATE}.")
def rollback(name: str) -> Any:
    """Let the version answer that was active before."""
    return json_answer(state(published.use(get_serving(), name, require_user())))


@describes(
    form={"percent": "0 ends the canary, 100 makes it the active version.", "version": "Which; absent: the present canary."},
    answer=f"{STATE}.",
)
def canary(name: str) -> Any:
    """Give a version a part of the requests beside the active one."""
    user = require_user()
    percent, version = arguments.whole("percent", None), arguments.whole("version", None, least=1)
    if percent is None:
        raise BadRequest("percent is a required field.", advice="Send 0 to 100.")
    return json_answer(state(published.set_canary(get_serving(), name, user, percent, version)))


@describes(form={}, answer="`token`: shown this once; `id`.")
def add_token(name: str) -> Any:
    """Make a further token of a name."""
    text, publication = published.add_token(get_serving(), name, require_user())
    return json_answer({"token": text, "id": publication.tokens[-1].id})


@describes(json=True, answer="`deleted`: the id.")
def remove_token(name: str, token: str) -> Any:
    """Revoke a token of a name."""
    published.remove_token(get_serving(), name, require_user(), token)
    return json_answer({"deleted": token})


@describes(json=True, answer="`deleted`: the name.")
def unpublish(name: str) -> Any:
    """Take a name back: it answers no more, and its tokens open nothing. The models stay."""
    published.unpublish(get_serving(), name, require_user())
    return json_answer({"deleted": name})


def state(publication: Publication) -> dict[str, Any]:
    """A published name as JSON and for its page."""
    return {
        **describe(get_serving(), publication),
        "url": url_for("serving.infer", name=publication.name),
        "may_edit": bool(current_user()) and publication.owner in ("", current_user()),
    }


def published_as(model_id: str) -> list[str]:
    """The names under which a model answers now."""
    if "published_models" not in g:
        g.published_models = get_serving().publications.of_models()
    found: list[str] = g.published_models.get(model_id, [])
    return found


def _change_settings(name: str, user: str, percent: int | None, limit: int | None) -> Any:
    if percent is None and limit is None:
        raise BadRequest(
            "model_id is a required field.", advice="Name the model to publish, or send queue_limit or canary alone."
        )
    serving = get_serving()
    if limit is not None:
        published.set_queue_limit(serving, name, user, limit)
    if percent is not None:
        published.set_canary(serving, name, user, percent)
    return json_answer({**state(find(serving, name)), "token": ""})


def _may_serve(job: Job) -> bool:
    return job.status in (Status.DONE, Status.RUN, Status.ABORT) and job.best_epoch is not None or job.status == Status.DONE
