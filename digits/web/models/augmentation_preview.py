"""The preview of an augmentation over HTTP."""

from __future__ import annotations

from typing import Any

from flask import Blueprint

from digits.domain.access import Scope
from digits.service.forms import parse
from digits.service.models.augmentation_preview import PreviewForm, preview
from digits.web.http import arguments
from digits.web.http.access import needs
from digits.web.http.request import describes, get_service, json_answer, require_user


def register(area: Blueprint) -> None:
    """Add the route to the area of models."""
    area.add_url_rule("/models/preview-augmentation", "preview_augmentation", preview_augmentation, methods=["POST"])


@describes(form=PreviewForm, json=True, answer="`kind`, `class_labels`, `colours`, `samples`: `before` and `after` of each.")
@needs(Scope.RUN, recorded=False)
def preview_augmentation() -> Any:
    """What the augmentation of a form does to a few training pictures."""
    require_user()
    return json_answer(preview(get_service(), parse(PreviewForm, arguments.form_values())))
