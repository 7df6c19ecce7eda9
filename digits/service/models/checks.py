"""Fields of a new model's form that are wrong together, or for the data set that was chosen."""

from __future__ import annotations

import re

from digits.domain.datasets import DatasetInfo
from digits.domain.training import text_batch_size
from digits.engines.network.own_metrics import may_decide, no_direction
from digits.errors import NotFound
from digits.networks import catalog
from digits.service.models.choices import networks_task
from digits.service.models.form import ModelForm
from digits.service.models.frameworks import missing_abilities
from digits.storage.jobs.store import Job
from digits.tasks import GENERIC, get, words_for
from digits.utils.constants import DEFAULT_BATCH_SIZE

MAX_SWEEP = 200
BUILT_FOR_ONE_SIZE = re.compile(r"^ONE_SIZE\s*=\s*True\b", re.MULTILINE)
Errors = dict[str, list[str]]


def check(form: ModelForm, framework: str, dataset: Job | None, info: DatasetInfo | None) -> Errors:
    """Messages by field. `info` is what the data set holds, None while that is not known."""
    errors: Errors = missing_abilities(form, framework, dataset.task if dataset else "")
    combinations = len(form.learning_rate) * max(1, len(form.batch_size or ()))
    if combinations > MAX_SWEEP:
        errors["learning_rate"] = [f"{combinations} models would be made of these lists; at most {MAX_SWEEP} at once."]
    if dataset is not None:
        errors |= _check_loss(form, dataset.task) | _check_network(form, framework, networks_task(dataset.task, info))
        errors |= check_crop(form, info) | _check_options(form, dataset.task, info)
    return errors


def check_best_metric(form: ModelForm, text: str, task: str) -> Errors:
    """An own metric of the network text decides only where the text says which direction of it is better."""
    if not form.best_metric or may_decide(form.best_metric, text) or not get(task).default_loss:
        return {}
    error = no_direction(form.best_metric)
    return {"best_metric": [f"{error.message} {error.advice}"]}


def _check_loss(form: ModelForm, task: str) -> Errors:
    losses = get(task).losses
    if not form.loss or form.loss in losses:
        return {}
    choice = ", ".join(losses) or "none: the network brings its own"
    return {"loss": [f"{form.loss} is no loss for {words_for(task)}. Choose {choice}."]}


def _check_network(form: ModelForm, framework: str, task: str) -> Errors:
    """A ready network for another sort of data than `task` is; data of unknown sort (`generic`) takes any."""
    if form.method != "standard" or get(task) is GENERIC:
        return {}
    try:
        network = catalog.network_info(form.standard_networks)
    except NotFound:
        return {}  # reported where the network is looked up
    if catalog.suits(network, task):
        return {}
    others = ", ".join(found.name for found in catalog.standard_networks(framework, task))
    remedy = f"Choose {others}." if others else "Write a custom network."
    found = f"{network.title} is for {words_for(*network.tasks)}, the data set for {words_for(task)}."
    return {"standard_networks": [f"{found} {remedy}"]}


def _check_options(form: ModelForm, task: str, info: DatasetInfo | None) -> Errors:
    """Settings of the task that do not fit the classes; of a data set that is still made the training finds out."""
    problems = get(task).option_problems(form.options(task), info.class_labels) if info else {}
    return {name: [message] for name, message in problems.items()}


def check_sizes(form: ModelForm, text: str, info: DatasetInfo | None) -> Errors:
    """Pictures of several sizes make batches only as crops of one size, and so they come to a network that says it needs one."""
    if info is None or info.feature_shape is not None or form.crop_size:
        return {}
    largest = max(form.batch_size or [text_batch_size(text) or DEFAULT_BATCH_SIZE])
    if BUILT_FOR_ONE_SIZE.search(text):
        advice = "give a crop size, or choose a network that takes any size"
        return {"crop_size": [f"The pictures have several sizes, and this network is built for one: {advice}."]}
    if largest == 1:
        return {}
    wanted = f"a batch of {largest}" + ("" if form.batch_size else " (the network's own)")
    return {"crop_size": [f"The pictures have several sizes: give a crop size for {wanted}, or a batch size of 1."]}


def check_crop(form: ModelForm, info: DatasetInfo | None) -> Errors:
    """A crop that is larger than the pictures, or than the smallest of several sizes."""
    shape = info.feature_shape if info else None
    if info is not None and shape is None and form.crop_size and info.extra.get("keep_size"):
        least = min((min(width, height) for width, height, _ in info.sizes), default=form.crop_size)
        if least < form.crop_size:
            return {"crop_size": [f"{form.crop_size} is more than the smallest picture has ({least} pixels on a side)."]}
    if shape is None or form.crop_size is None or form.crop_size <= min(shape[1:]):
        return {}
    found = f"{shape[2]}×{shape[1]}"
    return {"crop_size": [f"{form.crop_size} is more than the pictures have ({found}). Choose at most {min(shape[1:])}."]}
