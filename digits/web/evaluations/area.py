"""The area of inference: all its routes, and what the page of a model needs to offer them."""

from __future__ import annotations

import base64
from typing import Any

from flask import Blueprint

from digits import tasks
from digits.service import Service
from digits.service.evaluations import create as evaluations
from digits.service.evaluations.inputs import picture_types
from digits.service.evaluations.predict import classifies
from digits.service.models.snapshots import list_snapshots
from digits.service.plugins import host as plugins
from digits.storage.jobs.store import Job
from digits.web.evaluations import answers, create, downloads, embeddings, inside, pages, predict, review
from digits.web.http.request import get_service
from digits.web.models import downloads as model_downloads

SAMPLES = 12


def blueprint() -> Blueprint:
    """Inference, evaluations and downloads of models."""
    area = Blueprint("inference", __name__)
    for part in (predict, answers, create, pages, downloads, review, model_downloads, inside, embeddings):
        part.register(area)
    area.app_context_processor(lambda: {"inference_forms": inference_forms})
    area.add_app_template_filter(_base64, "b64")
    return area


def inference_forms(model: Job) -> dict[str, Any]:
    """What `inference/_room.html` shows for a model: its snapshots, splits, sample pictures, view and evaluations."""
    service = get_service()
    splits = evaluations.available_splits(service, model)
    split = next((name for name in ("val_db", "test_db", "train_db") if name in splits), "")
    count = min(SAMPLES, splits.get(split, 0))
    task = tasks.recorded(model.task)
    return {
        "classifies": classifies(model),
        "joins": task.answers_join,
        "views": _views(service, model, task),
        "snapshots": list_snapshots(service, model, with_best=True),
        "splits": splits,
        "sample_split": split.removesuffix("_db"),
        "samples": [i * splits[split] // count for i in range(count)],
        "evaluations": evaluations.model_evaluations(service, model),
        "others": evaluations.comparable_datasets(service, model),
        "allow_urls": service.settings.allow_urls,
        "picture_types": picture_types(service, model),
    }


def _views(service: Service, model: Job, task: tasks.Task) -> list[dict[str, Any]]:
    """The views that fit, the one to choose at first in front."""
    dataset = service.store.find(model.dataset_id) if model.dataset_id else None
    return plugins.fitting_views(service, task.views, dataset.extension if dataset is not None else "")


def _base64(data: bytes) -> str:
    return base64.b64encode(data).decode("ascii")
