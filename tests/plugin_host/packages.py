"""Plugin packages written by tests: importable folders with the metadata that an installation leaves, made without pip."""

from __future__ import annotations

import textwrap
from pathlib import Path


def add_package(site: Path, name: str, source: str, data: str = "", view: str = "", files: dict[str, str] | None = None) -> None:
    """Write the package `name` with `source` as its `__init__.py`; `data` and `view` are the classes its entry points name."""
    package = site / name
    package.mkdir(parents=True)
    (package / "__init__.py").write_text(textwrap.dedent(source))
    for path, text in (files or {}).items():
        (package / path).parent.mkdir(parents=True, exist_ok=True)
        (package / path).write_text(text)
    info = site / f"{name}-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n")
    points = [f"[digits.plugins.{kind}]\nclass={name}:{cls}\n" for kind, cls in (("data", data), ("view", view)) if cls]
    (info / "entry_points.txt").write_text("\n".join(points))


# A data plugin in as few lines as the contract allows; `extra` overrides methods, `form` adds fields.
DATA = """
import numpy as np
from digits.extensions.data.interface import DataIngestionInterface
from digits.utils import constants
from flask_wtf import FlaskForm
import wtforms


class Form(FlaskForm):
    count = wtforms.IntegerField("Count", default=4)
    folder = wtforms.StringField("Folder")
{form}

class Data(DataIngestionInterface):
    @staticmethod
    def get_id():
        return "{id}"

    @staticmethod
    def get_title():
        return "Title of {id}"

    @staticmethod
    def get_category():
        return "Tests"

    @staticmethod
    def get_dataset_form():
        return Form()

    @staticmethod
    def get_dataset_template(form):
        return '{{{{ form.count.label }}}} {{{{ form.count(class="form-control") }}}}', {{"form": form}}

    def itemize_entries(self, stage):
        return list(range(self.count)) if stage == constants.TRAIN_DB else []

    def encode_entry(self, entry):
        return np.full((1, 2, 3), entry, np.uint8), np.array([entry % 2])
{extra}
"""

VIEW = """
from digits.extensions.view.interface import VisualizationInterface
from flask_wtf import FlaskForm
import wtforms


class Form(FlaskForm):
    scale = wtforms.FloatField("Scale", default=1.0)


class View(VisualizationInterface):
    def __init__(self, dataset, **kwargs):
        self.dataset, self.options, self.seen = dataset, kwargs, 0

    @staticmethod
    def get_id():
        return "{id}"

    @staticmethod
    def get_title():
        return "Title of {id}"

    @staticmethod
    def get_config_form():
        return Form()

    @staticmethod
    def get_config_template(form):
        return "{{{{ form.scale.label }}}}{{{{ form.scale() }}}}", {{"form": form}}

    def get_view_template(self, data):
        return "<p>{{{{ data }}}}</p>", {{"data": data}}

    def process_data(self, input_id, input_data, inference_data):
        self.seen += 1
        return str(input_id) + " " + str(input_data.shape)
{extra}
"""


def data_source(plugin_id: str, extra: str = "", form: str = "") -> str:
    """Source of a data plugin; `extra` are further methods, `form` further fields (both without indentation)."""
    return DATA.format(id=plugin_id, extra=textwrap.indent(textwrap.dedent(extra), "    "), form=textwrap.indent(form, "    "))


def view_source(plugin_id: str, extra: str = "") -> str:
    """Source of a view plugin."""
    return VIEW.format(id=plugin_id, extra=textwrap.indent(textwrap.dedent(extra), "    "))
