"""The model stores over HTTP (R 1.4): their page, what they offer, and taking a model over."""

from __future__ import annotations

from typing import Any

from flask import Blueprint, Response, redirect, render_template, url_for

from digits.domain.access import Scope
from digits.service.models import stores
from digits.web.http import arguments
from digits.web.http.access import needs
from digits.web.http.request import describes, get_service, json_answer, require_user, route, wants_json

ANSWER = (
    "Address of a store → `base_url`, `welcome_msg`, `error` (why it cannot be read, else empty), `read` (when it was), "
    "`model_list`: `dir_name`, `id`, `info`, `aux` (licence, data set, …), `size` in bytes, `hashed`, `problem`."
)


def blueprint() -> Blueprint:
    """The routes below `/store`."""
    area = Blueprint("store", __name__)
    area.add_url_rule("/store", "short", lambda: redirect(url_for("store.index")))
    area.add_url_rule("/store/list", "index", index)
    route(area, "/store/models")(models)
    route(area, "/store/push", methods=("GET", "POST"))(push)
    return area


@describes()
def index() -> Any:
    """The page of the model stores."""
    return render_template("models/store.html", places=stores.store_places(get_service()))


@describes(
    json=True,
    arguments={
        "refresh": "1: ask the stores again; else what they said within a day counts.",
        "search": "Words of the models.",
        "store": "Address of the one that is meant, as the setting has it; blank: all. A slow one is waited for.",
    },
    answer=ANSWER,
)
@needs(Scope.READ)
def models() -> Any:
    """What the stores offer."""
    service, again, place = get_service(), arguments.flag("refresh"), arguments.text("store")
    found = [stores.read_one(service, place, again)] if place else stores.read_stores(service, again)
    return json_answer({store.base: store.to_json(arguments.text("search")) for store in found})


@describes(
    arguments={"id": "Of a model, as in /store/models.", "name": "What it is called here; blank: as in the store."},
    answer="`id` of the pretrained job that fetches it; its progress is that of every job. Without `.json` the id alone as text.",
)
@needs(Scope.RUN)
def push() -> Any:
    """Take a model of a store over, as a pretrained model."""
    service, owner = get_service(), require_user()
    job = stores.install(service, stores.find_model(service, arguments.required("id")), owner, arguments.text("name"))
    if wants_json():
        return json_answer({"id": job.id, "name": job.name, "status": job.status.word})
    return Response(job.id, mimetype="text/plain")
