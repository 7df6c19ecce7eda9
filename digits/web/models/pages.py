"""Models over HTTP: the form, the page that shows a training live, and their JSON (R 1.3, 3, 4.4, 7.1)."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from flask import Blueprint, Response, redirect, url_for

from digits import tasks
from digits.domain.access import Scope
from digits.domain.jobs import Kind
from digits.errors import BadRequest, FormErrors
from digits.frameworks import DEFAULT
from digits.service.forms import parse
from digits.service.models import choices as model_choices
from digits.service.models.charts import combined_graph, lr_graph, metrics_csv, page_curves, preview
from digits.service.models.comparison import MOST
from digits.service.models.create import create_planned, listed, model_dict, plan_models
from digits.service.models.customize import CheckForm, check_network, customize_text
from digits.service.models.exports import format_choices
from digits.service.models.form import LearningRateForm, ModelForm
from digits.service.models.history import read_history, read_window
from digits.service.models.page import training_page
from digits.storage.jobs.store import Job, JobQuery
from digits.web.http import arguments
from digits.web.http.access import needs
from digits.web.http.request import (
    describes,
    get_service,
    json_answer,
    render_job,
    require_user,
    route,
    shows_damage,
    wants_json,
)
from digits.web.jobs.home import render_list
from digits.web.models import augmentation_preview as augmentation
from digits.web.models import compare, exports, length, netron, traces, validation_samples
from digits.web.models import form as model_form_page

IMAGES = "/models/images"


def blueprint() -> Blueprint:
    """All routes of models but those that every job has, downloads and inference."""
    area = Blueprint("models", __name__)
    route(area, "/models")(index)
    route(area, f"{IMAGES}/<any(classification, generic):kind>/new", json_twin=False)(new)
    route(area, f"{IMAGES}/generic/new/<extension_id>", json_twin=False)(new_for_extension)
    route(area, f"{IMAGES}/<any(classification, generic):kind>", methods=("POST",))(create)
    route(area, f"{IMAGES}/generic/<extension_id>", methods=("POST",))(create_for_extension)
    area.add_url_rule(f"{IMAGES}/generic<extension_id>", "create_old", create_for_extension, methods=["POST"])
    # "json" is no extension: without these the rules above would take it for one.
    area.add_url_rule(f"{IMAGES}/generic<extension_id>/json", "create_old_json", create_for_extension, methods=["POST"])
    area.add_url_rule(f"{IMAGES}/generic/json", "create_generic_json", create_generic, methods=["POST"])
    route(area, f"{IMAGES}/<any(classification, generic):kind>/large_graph", json_twin=False)(large_graph)
    route(area, "/models/customize", methods=("POST",), json_twin=False)(customize)
    route(area, "/models/visualize-network", methods=("POST",))(visualize_network)
    route(area, "/models/visualize-lr", methods=("POST",), json_twin=False)(visualize_lr)
    route(area, "/models/networks")(networks)
    route(area, "/models/datasets")(datasets)
    route(area, "/models/<job_id>")(show)
    route(area, "/models/<job_id>/curves")(curves)
    area.add_url_rule("/models/<job_id>/metrics.csv", "metrics", metrics)
    compare.register(area)
    traces.register(area)
    validation_samples.register(area)
    augmentation.register(area)
    exports.register(area)
    length.register(area)
    netron.register(area)
    return area


@describes(answer="`models`: each as at /models/{job_id}.json, newest first.")
def index() -> Any:
    """All models."""
    if not wants_json():
        return render_list(Kind.MODEL)
    service = get_service()
    infos: dict[str, Any] = {}
    jobs = service.store.query(JobQuery(kind=Kind.MODEL)).jobs
    return json_answer({"models": [listed(service, job, infos) for job in jobs]})


@describes(arguments={"clone": "A model whose values fill the form.", "dataset": "The data set to choose at first."})
def new(kind: str) -> Any:
    """The form of a new model."""
    require_user()
    return model_form_page.render(kind)


@describes(arguments={"clone": "A model whose values fill the form."})
def new_for_extension(extension_id: str) -> Any:
    """The form of a new model on data sets of one extension."""
    require_user()
    return model_form_page.render(tasks.GENERIC.area, extension=extension_id)


@describes(form=ModelForm, answer="The model, as at /models/{job_id}.json, or `jobs`: one for each combination of a sweep.")
def create(kind: str) -> Any:
    """Create a model, or one for each combination of the listed learning rates and batch sizes.

    `clone` may name a model: its stored form is taken as it is, and no other field counts.
    """
    return _create(kind)


def create_generic() -> Any:
    """Create a model on a data set of any sort but those of image classification."""
    return _create(tasks.GENERIC.area)


@describes(form=ModelForm, answer="The model, as at /models/{job_id}.json, or `jobs`: one for each combination of a sweep.")
def create_for_extension(extension_id: str) -> Any:
    """Create a model on a data set of one extension."""
    # The old rule without a slash also takes `generic.json`.
    return _create(tasks.GENERIC.area, extension_id.removesuffix(".json"))


@shows_damage
@describes(answer="The model: see docs/rest.md.")
def show(job_id: str) -> Any:
    """A model."""
    service = get_service()
    job = service.store.get(job_id, Kind.MODEL)
    if wants_json():
        return json_answer(model_dict(service, job, verbose=True))
    page = training_page(service, job)
    return render_job(
        "models/show.html",
        job,
        task_area=tasks.recorded(job.task).area,
        page=page,
        event_offset=page.history.offset,
        details=model_dict(service, job, verbose=True),
        export_formats=format_choices(job),
    )


@describes(
    arguments={
        "from": "An epoch: the `curves` from here on alone, finer of a long run.",
        "to": "The last such epoch.",
    },
    answer="`combined` and `lr` as the original drew them; `curves`, `snapshots` and more; `offset` for a stream.",
)
def curves(job_id: str) -> Any:
    """The curves of a training."""
    service = get_service()
    job = service.store.get(job_id, Kind.MODEL)
    low, high = arguments.decimal("from", None), arguments.decimal("to", None)
    if low is not None or high is not None:
        low, high = -math.inf if low is None else low, math.inf if high is None else high
        if low > high:
            raise BadRequest(f"There is nothing from epoch {low:g} to {high:g}.", advice="Send the smaller one as `from`.")
        return json_answer({"curves": page_curves(read_window(service.folder(job.id), low, high))})
    page = training_page(service, job)
    return json_answer({"combined": combined_graph(page.history), "lr": lr_graph(page.history), **page.data})


@describes(json=True, answer="CSV: step, epoch, phase, name, kind, value, time, attempt.")
def metrics(job_id: str) -> Any:
    """Every metric of a training."""
    service = get_service()
    job = service.store.get(job_id, Kind.MODEL)
    history = read_history(service.folder(job.id))
    headers = {"Content-Disposition": f'attachment; filename="{job.id}_metrics.csv"'}
    return Response(metrics_csv(history), mimetype="text/csv", headers=headers)


@describes(arguments={"job_id": "The model."})
def large_graph(kind: str) -> Any:
    """The chart of a training on a page of its own."""
    job = arguments.job(Kind.MODEL)
    page = training_page(get_service(), job)
    return model_form_page.render_plain("models/large_graph.html", job=job, page=page)


@describes(
    arguments={"network": "A standard network or a model's id.", "framework": "Which engine it is for; blank: pytorch."},
    form={"snapshot_epoch": "0 none, -1 the model's own initial weights, else an epoch, `best` or `start`."},
    json=True,
    answer="`network`: the text; `snapshot`: the file of weights, where one was chosen; `python_layer`: the file of its layers.",
)
@needs(Scope.READ)
def customize() -> Any:
    """The text of a network, to be edited."""
    network = arguments.required("network")
    return json_answer(customize_text(get_service(), network, arguments.text("framework"), arguments.text("snapshot_epoch")))


@describes(form=CheckForm, answer="`layers` (name, kind, output_shape, parameters), `parameters`, `output_shapes`, `warnings`.")
@needs(Scope.RUN, recorded=False)
def visualize_network() -> Any:
    """Build a network in a process of its own and show its layers."""
    require_user()
    form = parse(CheckForm, {**arguments.form_values(), "framework": arguments.text("framework")})
    report = check_network(get_service(), form)
    return json_answer(report) if wants_json() else model_form_page.render_plain("models/network_table.html", report=report)


@describes(form=LearningRateForm, json=True, answer='`data.columns`: one `["Learning Rate i", 101 numbers]` per rate.')
@needs(Scope.READ)
def visualize_lr() -> Any:
    """The learning rate over the training."""
    form = parse(LearningRateForm, arguments.form_values())
    drawn = preview([form.schedule(rate) for rate in form.learning_rate])
    return json_answer({"data": {"columns": [[f"Learning Rate {i}", *values] for i, values in enumerate(drawn)]}})


@describes(
    arguments={
        "q": "Words of the name, id, tags, owner or notes.",
        "area": "classification (of folders of pictures) or generic (every task).",
        "extension": "The id of a plugin: its data sets alone.",
        "also": "The id of a data set that is listed in any case.",
    },
    answer="`datasets` that a new model may learn from, the newest first, and whether there are `more`.",
)
def datasets() -> Any:
    """Data sets for a new model."""
    area = arguments.text("area", tasks.CLASSIFICATION.name)
    if area not in {task.area for task in tasks.TASKS}:
        raise BadRequest(f"There is no area {area!r}.", advice="Send classification or generic.")
    found, more = model_choices.dataset_choices(
        get_service(), area, arguments.text("extension"), text=arguments.text("q"), also=arguments.text("also")
    )
    return json_answer({"datasets": found, "more": more})


@describes(
    arguments={
        "q": "Words that the name has.",
        "framework": "The engine whose libraries are searched; blank: pytorch.",
        "task": "classification, segmentation, detection, processing or regression.",
    },
    answer="`total` and the first `networks` (name, parameters, input size).",
)
def networks() -> Any:
    """The networks of the libraries."""
    task = arguments.text("task", tasks.CLASSIFICATION.name)
    return json_answer(model_choices.library_choices(arguments.text("q"), arguments.text("framework", DEFAULT), task))


def _page_of(jobs: Sequence[Job]) -> str:
    """The page of a model; of a sweep the comparison of all, where they are not too many."""
    if len(jobs) == 1:
        return url_for("models.show", job_id=jobs[0].id)
    return url_for("models.compare", ids=",".join(job.id for job in jobs)) if len(jobs) <= MOST else url_for("home.index")


def _create(area: str, extension: str = "") -> Any:
    owner = require_user()
    service = get_service()
    values = arguments.form_values()
    try:
        plan = plan_models(service, area, values)
    except FormErrors as error:
        if wants_json():
            raise
        return model_form_page.render(area, values, error.errors, extension), 400
    if extension and plan.dataset.extension != extension:
        raise BadRequest(f"{plan.dataset.name} is no data set of {extension}.")
    jobs = create_planned(service, plan, owner)
    if not wants_json():
        model_form_page.flash_warnings(plan.warnings)
        return redirect(_page_of(jobs))
    notes = {"warnings": list(plan.warnings)} if plan.warnings else {}
    if len(jobs) == 1:
        return json_answer({**model_dict(service, jobs[0], verbose=True), **notes})
    return json_answer({"jobs": [model_dict(service, job, verbose=True) for job in jobs], **notes})
