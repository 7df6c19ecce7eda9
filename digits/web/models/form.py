"""The page with the form of a new model: what it offers and what it is filled with."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from flask import flash, render_template

from digits import tasks
from digits.domain.jobs import Kind
from digits.frameworks import DEFAULT
from digits.service.forms import BoundForm
from digits.service.models import choices as model_choices
from digits.service.models.create import clone_values
from digits.service.models.form import LR_PARAMETERS, MAX_NAME, ModelForm
from digits.service.models.gpus import machine_gpus
from digits.web.http import arguments
from digits.web.http.request import get_service


def render(
    area: str, values: Mapping[str, Any] | None = None, errors: Mapping[str, list[str]] | None = None, extension: str = ""
) -> str:
    """The form of an area: as sent when `values` are given, else as a clone or with recommended values for the first network."""
    service = get_service()
    frameworks = model_choices.framework_choices()
    standard = {f["id"]: model_choices.standard_choices(f["id"], area) for f in frameworks}
    source = arguments.text("clone") if values is None else ""
    if source:
        values = clone_values(service, service.store.get(source, Kind.MODEL))
    wanted = str((values or {}).get("dataset") or arguments.text("dataset"))
    datasets, more = model_choices.dataset_choices(service, area, extension, also=wanted)
    return render_template(
        "models/new.html",
        form=BoundForm(ModelForm, values if values is not None else fresh_values(datasets, standard[DEFAULT]), errors or {}),
        title=tasks.get(area).form_title + (f" ({extension})" if extension else ""),
        form_area=area,
        of_folders=area == tasks.CLASSIFICATION.area,  # their data sets have a form of their own
        extension=extension,
        open_task=tasks.GENERIC.name,
        datasets=datasets,
        more_datasets=more,
        standard=standard,
        frameworks=frameworks,
        pretrained=model_choices.pretrained_choices(service, area),
        previous=model_choices.previous_choices(service, area),
        gpus=machine_gpus(service),
        groups=service.store.groups(Kind.MODEL),
        lr_parameters=LR_PARAMETERS,
        form_defaults=defaults(),
        tasks_with=lambda fact: " ".join(task.name for task in tasks.TASKS if getattr(task, fact)),
        tasks_with_option=lambda name: " ".join(task.name for task in tasks.TASKS if name in task.options),
        task_losses={task.name: list(task.losses) for task in tasks.TASKS},
        is_fresh=values is None,
        sent=values or {},
    )


def fresh_values(datasets: list[dict[str, Any]], standard: list[dict[str, Any]]) -> dict[str, Any]:
    """What an untouched form holds: the data set requested (or the only one), a name, and the recommended values of the
    network that fits."""
    requested = arguments.text("dataset")
    chosen = next((d for d in datasets if d["id"] == requested), datasets[0] if len(datasets) == 1 else None)
    if given := arguments.text("pretrained"):
        return _from_pretrained(given, chosen)
    name = chosen["proposed"][DEFAULT] if chosen else ""
    card = next((card for card in standard if card["name"] == name), None if chosen else standard[0])
    values: dict[str, Any] = {"framework": DEFAULT, "method": "standard" if card else "custom"}
    if card:
        values |= {"standard_networks": card["name"], **card["defaults"]}
    if chosen and chosen["crop_size"]:
        values.setdefault("crop_size", chosen["crop_size"])
    if chosen:
        values |= {"dataset": chosen["id"], "model_name": f"{chosen['name']} {card['title'] if card else 'custom'}"[:MAX_NAME]}
    return values


def _from_pretrained(job_id: str, dataset: dict[str, Any] | None) -> dict[str, Any]:
    """What a form holds that starts from a pretrained model."""
    job = get_service().store.get(job_id, Kind.PRETRAINED)
    values = {"framework": job.framework, "method": "pretrained", "pretrained_networks": job.id}
    values |= {"model_name": job.name[:MAX_NAME]}
    if dataset:
        values |= {"dataset": dataset["id"], "model_name": f"{dataset['name']} {job.name}"[:MAX_NAME]}
    return values


def defaults() -> dict[str, str]:
    """What the server takes for each field that is left out, as the form writes it."""
    form = BoundForm(ModelForm)
    return {view.name: ("y" if view.value else "false") if view.widget == "checkbox" else str(view.value) for view in form}


def render_plain(template: str, **values: Any) -> str:
    """A template that needs nothing but its values."""
    return render_template(template, **values)


def flash_warnings(warnings: Iterable[str]) -> None:
    """Show warnings on the next page."""
    for text in warnings:
        flash(text, "warning")
