"""New data sets over HTTP: one form, one preview and one creation for every source of data (R 1.2, 2.1 to 2.3)."""

from __future__ import annotations

import base64
from collections.abc import Mapping
from typing import Any
from urllib.parse import urlencode

from flask import Blueprint, make_response, redirect, render_template, url_for
from markupsafe import Markup

from digits.domain.access import Scope
from digits.domain.jobs import Kind
from digits.errors import DigitsError, FormErrors
from digits.service.datasets import classification, databases
from digits.service.datasets.contents import CLASSIFICATION, dataset_dict
from digits.service.datasets.folder_checks import scan_folder, scan_list
from digits.service.datasets.from_source import PluginSource, RecordsForm
from digits.service.datasets.from_source import recognise as recognised
from digits.service.datasets.resize_example import ResizeExampleForm, resize_example
from digits.service.datasets.source import Source, create_dataset
from digits.service.datasets.source import preview as look_at
from digits.service.files.confine import confinement, readable_file, readable_folder
from digits.web.http import arguments
from digits.web.http.access import needs
from digits.web.http.request import describes, get_service, json_answer, require_user, route, wants_json
from digits.web.http.security import csp_nonce
from digits.web.plugins.policy import allow_plugin_code

FOLDERS, OTHER, OWN = "/datasets/images/classification", "/datasets/images/generic", "/datasets/generic"
CREATED = "The data set, as at /datasets/{job_id}.json."
LOOK = "`counts`, `class_labels`, `problems`, ten random `samples` with `picture`; of those `tried` so many `failed` to be read."
FILL = {"clone": "A data set of the same source whose values fill the form. Other arguments fill their fields."}


def register(area: Blueprint) -> None:
    """Add the routes to the area of data sets."""
    route(area, f"{FOLDERS}/new", json_twin=False)(new)
    route(area, FOLDERS, methods=("POST",))(create)
    route(area, f"{FOLDERS}/preview", methods=("POST",))(preview)
    route(area, f"{OTHER}/new", json_twin=False)(new_databases)
    route(area, OTHER, methods=("POST",))(create_databases)
    route(area, f"{OTHER}/preview", methods=("POST",))(preview_databases)
    route(area, f"{OWN}/new/<extension_id>", json_twin=False)(new_from)
    route(area, f"{OWN}/create/<extension_id>", methods=("POST",))(create_from)
    route(area, f"{OWN}/preview/<extension_id>", methods=("POST",))(preview_from)
    route(area, f"{OWN}/recognise")(recognise)
    route(area, f"{FOLDERS}/check-folder")(check_folder)
    route(area, f"{FOLDERS}/check-list")(check_list)
    route(area, "/datasets/images/resize-example", methods=("POST",), json_twin=False)(resize)


@describes(arguments=FILL)
def new() -> Any:
    """The form of a new image classification data set."""
    return _new(classification.SOURCE)


@describes(arguments=FILL)
def new_databases() -> Any:
    """The form of a data set out of databases that exist already."""
    return _new(databases.SOURCE)


@describes(arguments=FILL)
def new_from(extension_id: str) -> Any:
    """The form of a new data set through a data plugin."""
    return _new(PluginSource(extension_id))


@describes(form=classification.ClassificationDatasetForm, answer=CREATED)
def create() -> Any:
    """Create an image classification data set.

    `clone` may name a data set: its stored form is taken as it is, and no other field counts.
    """
    return _create(classification.SOURCE, classification.of_script(arguments.form_values()))


@describes(form=databases.PrebuiltForm, answer=CREATED)
def create_databases() -> Any:
    """Create a data set out of databases that exist already; they are used in place."""
    return _create(databases.SOURCE)


@describes(form=RecordsForm, answer=CREATED)
def create_from(extension_id: str) -> Any:
    """Create a data set through a data plugin; its own form's fields are sent beside the ones listed here."""
    return _create(PluginSource(extension_id))


@describes(form=classification.ClassificationDatasetForm, json=True, answer=LOOK)
@needs(Scope.RUN, recorded=False)
def preview() -> Any:
    """What a form would make, before anything is written."""
    return _preview(classification.SOURCE)


@describes(form=databases.PrebuiltForm, json=True, answer=LOOK)
@needs(Scope.RUN, recorded=False)
def preview_databases() -> Any:
    """What a form would make, before anything is written."""
    return _preview(databases.SOURCE)


@describes(form=RecordsForm, json=True, answer=LOOK)
@needs(Scope.RUN, recorded=False)
def preview_from(extension_id: str) -> Any:
    """What a form would make, before anything is written; the plugin's own form's fields are sent."""
    return _preview(PluginSource(extension_id))


@describes(
    json=True,
    arguments={"folder": "A folder on the server."},
    answer="`proposals`: extension, title, reason, values, address; about how many `records` (at least, unless `complete`); "
    "whether it is `likely`. `remarks`: sentences about what else lies there and is not proposed.",
)
def recognise() -> Any:
    """What kind of data set lies in a folder, the likeliest first."""
    require_user()
    found = recognised(get_service(), arguments.given("folder") or "")
    for proposal in found["proposals"]:
        proposal["address"] = _address_of(proposal)
    return json_answer(found)


@describes(arguments={"path": "A folder on the server."}, answer="Its classes and how many pictures each has.")
def check_folder() -> Any:
    """What a folder would give as a data set; counting stops after a second and a half."""
    require_user()
    path = readable_folder(get_service(), arguments.given("path") or "", "path")
    return json_answer(scan_folder(path, may_read=confinement(get_service()).allows).to_json())


@describes(arguments={"path": "A text file on the server."}, answer="Its valid and other lines, and its classes.")
def check_list() -> Any:
    """What a text file would give as a list of pictures."""
    require_user()
    path = readable_file(get_service(), arguments.given("path") or "", "path")
    return json_answer(scan_list(path).to_json())


@describes(form=ResizeExampleForm, json=True, answer="An <img> and the encoded size, or `Type: message`.")
@needs(Scope.RUN, recorded=False)
def resize() -> Any:
    """How a picture looks after resizing."""
    try:
        address, size = resize_example(arguments.form_values())
    except DigitsError as error:
        return make_response(f"{type(error).__name__}: {error}", 200, {"Content-Type": "text/plain; charset=utf-8"})
    return Markup('<img src="{}" alt="The example after resizing" class="example"><br><i>Image size: {}</i>').format(
        address, size
    )


def _new(source: Source) -> str:
    require_user()
    service = get_service()
    if clone := arguments.text("clone"):
        return _page(source, source.stored(service, service.store.get(clone, Kind.DATASET)), mode="refill")
    return _page(source, {name: value for name, value in arguments.query_values().items() if name != "username"}, mode="fill")


def _create(source: Source, values: Mapping[str, Any] | None = None) -> Any:
    """`values` are those of the form as it was sent, unless given."""
    owner = require_user()
    values = arguments.form_values() if values is None else values
    try:
        job = create_dataset(get_service(), source, values, owner)
    except DigitsError as error:
        if wants_json():
            raise
        if isinstance(error, FormErrors):
            return _page(source, values, error.errors, mode="check"), error.status
        return _page(source, values, mode="refill", failure=error), error.status
    if wants_json():
        return json_answer(dataset_dict(get_service(), job, verbose=True))
    return redirect(url_for("datasets.show", job_id=job.id))


def _preview(source: Source) -> Any:
    require_user()
    found = look_at(get_service(), source, arguments.form_values())
    for sample in found["samples"]:
        picture = base64.b64encode(sample["picture"]).decode()
        sample["picture"] = f"data:image/png;base64,{picture}" if picture else ""
    return json_answer(found)


def _page(
    source: Source,
    values: Mapping[str, Any],
    errors: Mapping[str, list[str]] | None = None,
    *,
    mode: str,
    failure: DigitsError | None = None,
) -> str:
    """The form; `failure` says why nothing came of one that was right."""
    service = get_service()
    page = source.page(service, values, errors or {}, mode, csp_nonce())
    if page.plugin is not None:
        allow_plugin_code()
    groups = service.store.groups(Kind.DATASET)
    return render_template(
        "datasets/new.html",
        page=page,
        form=page.form,
        fields=f"datasets/fields_{source.name}.html",
        addresses=_addresses(source),
        groups=groups,
        failure=failure,
        trace=getattr(failure, "trace", ""),
    )


def _addresses(source: Source) -> dict[str, str]:
    """Where the form and its preview are sent."""
    if isinstance(source, PluginSource):
        names = {"create": "datasets.create_from", "preview": "datasets.preview_from"}
        return {what: url_for(name, extension_id=source.extension_id) for what, name in names.items()}
    end = "" if source is classification.SOURCE else "_databases"
    return {what: url_for(f"datasets.{what}{end}") for what in ("create", "preview")}


def _address_of(proposal: Mapping[str, Any]) -> str:
    """The form, filled in with what is proposed. A box is `y` or `false`: every other text ticks a plugin's box too."""
    values = {name: value for name, value in proposal["values"].items() if value is not None}
    texts = {name: ("y" if value else "false") if isinstance(value, bool) else value for name, value in values.items()}
    extension_id = proposal["extension"]
    if extension_id in CLASSIFICATION.values():
        page = url_for("datasets.new")
    else:
        page = url_for("datasets.new_from", extension_id=extension_id)
    return f"{page}?{urlencode(texts, doseq=True, errors='surrogateescape')}"
