"""The base of the built-in views that have options: their form below one another, and what the data set says of classes."""

from __future__ import annotations

from typing import Any, ClassVar

import numpy as np
from flask_wtf import FlaskForm

from digits.extensions.view.interface import VisualizationInterface
from digits.extensions.view.support import template
from digits.utils.constants import CLASS_LABELS_ATTRIBUTE, COLOR_PALETTE_ATTRIBUTE


class OptionsView(VisualizationInterface):
    """A view whose options are the fields of `Options`; `labels` and `palette` are the data set's, empty where it has none."""

    Options: ClassVar[type[FlaskForm]]

    def __init__(self, dataset: Any, **kwargs: Any) -> None:
        kept = getattr(dataset, "extension_userdata", None) or {}
        self.labels = [str(label) for label in _listed(kept.get(CLASS_LABELS_ATTRIBUTE))]
        self.palette = [int(value) for value in _listed(kept.get(COLOR_PALETTE_ATTRIBUTE))]

    @classmethod
    def get_config_form(cls) -> FlaskForm:
        return cls.Options()

    @staticmethod
    def get_config_template(form: Any) -> tuple[str, dict[str, Any]]:
        return template("options"), {"form": form}


def _listed(value: Any) -> list[Any]:
    """A list, tuple or array of a plugin's as a flat list."""
    return [] if value is None else np.asarray(value).ravel().tolist()
