"""Data sets through plugins and prebuilt databases over HTTP: forms, creation, gallery (R 1.2, 2.2, 2.3)."""

from __future__ import annotations

import base64
from collections.abc import Callable, Mapping
from typing import Any

from flask import Blueprint, Response, redirect, render_template, request, url_for

from digits.domain.jobs import Kind
from digits.errors import BadRequest, DigitsError, FormErrors
from digits.service.datasets import explore, label_pictures
from digits.service.datasets import from_database as prebuilt_datasets
from digits.service.datasets import from_source as plugin_datasets
from digits.service.datasets.classification import EXTENSIONS, dataset_dict
from digits.service.datasets.from_database import PrebuiltForm
from digits.service.datasets.from_source import GenericDatasetForm
from digits.service.forms import BoundForm
from digits.service.jobs import stored_form
from digits.storage.jobs.store import Job
from digits.web.http import arguments
from digits.web.http.request import describes, get_service, json_answer, require_user, route, wants_json
from digits.web.http.security import csp_nonce
from digits.web.plugins.policy import allow_plugin_code

OTHER = "/datasets/images/generic"
EXPLORE_ARGUMENTS = {
    "job_id": "The data set.",
    "db": "train_db/features, train_db/labels, val_db/…, test_db/…",
    "page": "From 0.",
    "size": "Items per page.",
}


def register(area: Blueprint) -> None:
    """Add the routes to the area of plugins."""
    route(area, "/datasets/generic/new/<extension_id>", json_twin=False)(new)
    route(area, "/datasets/generic/create/<extension_id>", methods=("POST",))(create)
    route(area, "/datasets/generic/preview/<extension_id>", methods=("POST",))(preview)
    route(area, "/datasets/generic/recognise")(recognise)
    route(area, "/datasets/generic/explore")(explore_page)
    route(area, "/datasets/<job_id>/label", json_twin=False)(label)
    route(area, f"{OTHER}/new", json_twin=False)(new_other)
    route(area, OTHER, methods=("POST",))(create_other)


@describes(arguments={"clone": "A data set of the same plugin whose values fill the form. Other arguments fill their fields."})
def new(extension_id: str) -> Any:
    """The form of a new data set through a data plugin."""
    require_user()
    stored = _clone_values()
    values = stored or {name: value for name, value in arguments.query_values().items() if name != "username"}
    form = plugin_datasets.dataset_form(get_service(), extension_id, values, "refill" if stored else "fill", csp_nonce())
    return _form_page(extension_id, form, values, {})


@describes(form=GenericDatasetForm, answer="The data set, as at /datasets/{job_id}.json.")
def create(extension_id: str) -> Any:
    """Create a data set through a data plugin; its own form's fields are sent beside the ones listed here."""
    owner = require_user()
    values = arguments.form_values()

    def again(errors: Mapping[str, list[str]]) -> str:
        form = plugin_datasets.dataset_form(get_service(), extension_id, values, "check", csp_nonce())
        return _form_page(extension_id, form, values, errors)

    def refused(error: DigitsError) -> str:
        form = plugin_datasets.dataset_form(get_service(), extension_id, values, "refill", csp_nonce())
        return _form_page(extension_id, form, values, {}, error)

    return _created(lambda: plugin_datasets.create_dataset(get_service(), extension_id, values, owner), again, refused)


@describes(
    form=GenericDatasetForm, json=True, answer="`counts`, `class_labels`, `problems`, ten random `samples` with `picture`."
)
def preview(extension_id: str) -> Any:
    """What a form would make, before anything is written; the plugin's own form's fields are sent."""
    require_user()
    found = plugin_datasets.preview(get_service(), extension_id, arguments.form_values())
    for sample in found["samples"]:
        picture = base64.b64encode(sample["picture"]).decode()
        sample["picture"] = f"data:image/png;base64,{picture}" if picture else ""
    return json_answer(found)


@describes(
    json=True, arguments={"folder": "A folder on the server."}, answer="`proposals`: extension, title, reason, values, address."
)
def recognise() -> Any:
    """What kind of data set lies in a folder, the likeliest first."""
    require_user()
    found = plugin_datasets.recognise(get_service(), arguments.given("folder") or "")
    for proposal in found:
        proposal["address"] = _address_of(proposal)
    return json_answer({"proposals": found})


def _address_of(proposal: Mapping[str, Any]) -> str:
    """The form, filled in with what is proposed."""
    values = {name: value for name, value in proposal["values"].items() if value not in ("", None)}
    if proposal["extension"] == EXTENSIONS["folder"]:
        return url_for("datasets.new", **values)
    return url_for("plugins.new", extension_id=proposal["extension"], **values)


@describes(arguments={"clone": "A data set whose values fill the form."})
def new_other() -> Any:
    """The form of a data set out of databases that exist already."""
    require_user()
    return _other_page(_clone_values(), {})


@describes(form=PrebuiltForm, answer="The data set, as at /datasets/{job_id}.json.")
def create_other() -> Any:
    """Create a data set out of databases that exist already; they are used in place."""
    owner = require_user()
    values = arguments.form_values()
    return _created(
        lambda: prebuilt_datasets.create_dataset(get_service(), values, owner), lambda errors: _other_page(values, errors)
    )


@describes(arguments=EXPLORE_ARGUMENTS, answer="`records` of the page with their `picture` addresses, `total`, `pages`.")
def explore_page() -> Any:
    """A page of the features or labels of a data set."""
    service = get_service()
    job = arguments.job(Kind.DATASET)
    split, what = _database(arguments.text("db", "train_db/features"))
    query = explore.GalleryQuery(
        split,
        arguments.whole("page", 0, most=2**31),
        arguments.whole("size", explore.DEFAULT_SIZE, least=1, most=explore.MAX_SIZE),
    )
    found = explore.gallery(service, job, query)
    endpoint = "plugins.label" if what == "labels" else "datasets.picture"
    for record in found["records"]:
        record["picture"] = url_for(endpoint, job_id=job.id, db=split, index=record["index"])
    if wants_json():
        return json_answer(found)
    info = service.folder(job.id).find_dataset_info()
    window = explore.page_window(found["page"], found["pages"])
    return render_template(
        "plugins/explore.html",
        job=job,
        gallery=found,
        what=what,
        databases=_databases(info),
        window=window,
        page_sizes=explore.PAGE_SIZES,
    )


@describes(json=True, arguments={"db": "train, val or test.", "index": "The record."}, answer="PNG.")
def label(job_id: str) -> Any:
    """A record's label as a picture, in the data set's colours."""
    service = get_service()
    job = service.store.get(job_id, Kind.DATASET)
    data = label_pictures.label_picture(service, job, arguments.text("db", "train"), arguments.whole("index", 0))
    response = Response(data, mimetype="image/png")
    response.cache_control.private = True
    response.cache_control.max_age = 31536000
    response.set_etag(f"{job.id}-{request.query_string.decode('ascii', 'replace')}")
    return response.make_conditional(request)


def _created(
    make: Callable[[], Job],
    again: Callable[[Mapping[str, list[str]]], str],
    refused: Callable[[DigitsError], str] | None = None,
) -> Any:
    """Answer a creation: the job, or the form again with the messages."""
    try:
        job = make()
    except FormErrors as error:
        if wants_json():
            raise
        return again(error.errors), 400
    except DigitsError as error:
        if wants_json() or refused is None:
            raise
        return refused(error), error.status
    if wants_json():
        return json_answer(dataset_dict(get_service(), job, verbose=True))
    return redirect(url_for("datasets.show", job_id=job.id))


def _form_page(
    extension_id: str,
    form: plugin_datasets.PluginForm,
    values: Mapping[str, Any],
    errors: Mapping[str, list[str]],
    failure: DigitsError | None = None,
) -> str:
    allow_plugin_code()
    return render_template(
        "plugins/dataset_new.html",
        extension_id=extension_id,
        plugin=form,
        form=BoundForm(GenericDatasetForm, values, errors),
        failure=failure,
        trace=getattr(failure, "trace", ""),
        clone=arguments.text("clone"),
    )


def _other_page(values: Mapping[str, Any], errors: Mapping[str, list[str]]) -> str:
    return render_template("plugins/other_new.html", form=BoundForm(PrebuiltForm, values, errors), clone=arguments.text("clone"))


def _clone_values() -> dict[str, Any]:
    source = arguments.text("clone")
    service = get_service()
    return stored_form(service, service.store.get(source, Kind.DATASET)) if source else {}


def _database(text: str) -> tuple[str, str]:
    """`train_db/features` as (`train`, `features`)."""
    split, _, what = text.strip("/").partition("/")
    if what not in ("", "features", "labels"):
        raise BadRequest(f"db is {text!r}; something like train_db/features is needed.")
    return split.removesuffix("_db"), what or "features"


def _databases(info: Any) -> list[str]:
    """What can be looked at: features of each split, and labels where they are pictures."""
    found: list[str] = []
    for name, split in info.splits.items() if info else ():
        if split.entries:
            found.append(f"{name}/features")
            found += [f"{name}/labels"] if split.meta.label_kind in ("map", "array", "boxes") else []
    return found
