"""Plugins over HTTP: the table of what is installed, data sets made through data plugins, views, generic inference (R 5)."""

from __future__ import annotations

from typing import Any

from flask import Blueprint, Response, render_template

from digits.domain.jobs import Kind
from digits.errors import NotFound
from digits.service.datasets import from_source
from digits.service.datasets.source import PluginForm
from digits.service.plugins import host as plugins
from digits.service.plugins import views as plugin_views
from digits.storage.jobs.store import Job
from digits.web.evaluations import predict
from digits.web.http import arguments
from digits.web.http.request import describes, get_service, json_answer, route, wants_json
from digits.web.http.security import csp_nonce
from digits.web.plugins.policy import allow_plugin_code

STATIC_SECONDS = 3600


def blueprint() -> Blueprint:
    """All routes that have to do with plugins and generic jobs."""
    area = Blueprint("plugins", __name__)
    route(area, "/plugins")(index)
    route(area, "/models/view-config/<extension_id>")(view_config)
    route(area, "/datasets/generic/inference-form/<extension_id>/<job_id>")(inference_form)
    area.add_url_rule("/extension-static/<kind>/<extension_id>/<path:name>", "static_file", static_file)
    predict.register_for_any_model(area)
    area.app_context_processor(
        lambda: {
            "plugin_menu": lambda: plugins.menu(get_service()),
            "plugin_testing": plugin_testing,
            "plugin_testers": testers,
        }
    )
    return area


@describes(answer="`data` and `view`: id, title, category, version, distribution, location, ok, state, error of each plugin.")
def index() -> Any:
    """What is installed, where it comes from, and why something cannot be used."""
    service = get_service()
    rows = plugins.table(service)
    if wants_json():
        return json_answer(rows)
    return render_template("plugins/index.html", plugins=rows)


@describes(answer="`title`, `html` and `fields` of the options.")
def view_config(extension_id: str) -> Any:
    """The options of a view, as a piece of HTML."""
    form = plugin_views.config_form(get_service(), extension_id, arguments.form_values(), csp_nonce())
    if wants_json():
        return json_answer({"title": form.title, "html": form.html, "fields": form.fields})
    return render_template("plugins/piece.html", form=form)


@describes(answer="`title`, `html` and `fields` of the form; empty where the plugin has none.")
def inference_form(extension_id: str, job_id: str) -> Any:
    """The form with which a data plugin tests a model of a data set (or the model that is named), as a piece of HTML."""
    service = get_service()
    job = service.store.get(job_id)
    dataset = job if job.kind == Kind.DATASET else service.store.get(job.dataset_id, Kind.DATASET)
    name = predict.named_extension(extension_id)
    form = from_source.inference_form(service, dataset, arguments.form_values(), csp_nonce(), name) or PluginForm()
    if wants_json():
        return json_answer({"title": form.title, "html": form.html, "fields": form.fields})
    return render_template("plugins/piece.html", form=form)


def static_file(kind: str, extension_id: str, name: str) -> Response:
    """A static file out of a plugin's own package."""
    if kind not in ("data", "view"):
        raise NotFound(f"There are data and view plugins, but no {kind!r} ones.")
    body, content_type = plugins.static_file(get_service(), kind, extension_id, name)
    response = Response(body, content_type=content_type)
    response.cache_control.max_age = STATIC_SECONDS
    return response


def testers(model: Job) -> list[dict[str, Any]]:
    """The data plugins with a form to test models with, beside the one that made the model's data set."""
    service = get_service()
    dataset = service.store.find(model.dataset_id) if model.dataset_id else None
    if dataset is None:
        return []
    found = [row for row in plugins.testers(service) if row["id"] != dataset.extension]
    if found:
        allow_plugin_code()
    return found


def plugin_testing(model: Job) -> PluginForm | None:
    """The form with which the plugin of a model's data set tests the model; its page then allows inline handlers."""
    service = get_service()
    dataset = service.store.find(model.dataset_id) if model.dataset_id else None
    if dataset is None or dataset.kind != Kind.DATASET:
        return None
    form = from_source.inference_form(service, dataset, None, csp_nonce())
    if form is not None:
        allow_plugin_code()
    return form
