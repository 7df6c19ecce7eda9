"""What the plugin host asks of views: those of the original's older times too, and options before anything is drawn."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from flask import Flask

from digits.errors import FormErrors, NotFound
from digits.extensions.loader import Extension
from digits.extensions.view.interface import VisualizationInterface
from digits.plugin_host import rendering, view


class Old(VisualizationInterface):
    """As views were written when `process_data` began with the data set."""

    def process_data(self, dataset: Any, input_data: Any, inference_data: Any, ground_truth: Any) -> str:  # type: ignore[override]
        return f"{dataset.get_labels()} {input_data.shape} {inference_data['output'].sum():g} {ground_truth}"

    def get_view_template(self, data: Any) -> tuple[str, dict[str, Any]]:
        return "{{ said }}", {"said": data}


class New(Old):
    def process_data(self, input_id: Any, input_data: Any, inference_data: Any) -> str:  # type: ignore[override]
        return f"number {input_id}"


@pytest.fixture
def app() -> Flask:
    made = Flask("test")
    rendering.prepare(made)
    return made


@pytest.mark.parametrize(("kind", "said"), [(Old, "[&#39;cat&#39;] (2, 3) 6 None"), (New, "number 0")])
def test_a_view_of_the_older_order_gets_the_data_set(app: Flask, monkeypatch: pytest.MonkeyPatch, kind: type, said: str) -> None:
    form = SimpleNamespace(validate=lambda: True, errors={})
    monkeypatch.setattr(view.loader, "get", lambda *_: SimpleNamespace(id="old", title="Old", cls=kind))
    monkeypatch.setattr(view.binding, "make_form", lambda *_: form)
    monkeypatch.setattr(view, "_options", lambda *_: {})
    monkeypatch.setattr(kind, "get_config_form", staticmethod(lambda: form), raising=False)
    monkeypatch.setattr(kind, "__init__", lambda self, dataset: None)
    arrays = {"0/feature": np.zeros((1, 2, 3), np.uint8), "0/output/output": np.ones(6, np.float32)}
    dataset = view.DatasetView(class_labels=("cat",))
    found = view.render_samples(app, "old", {}, dataset, ["a.png"], arrays, "nonce")
    assert found["samples"][0] == {"key": "a.png", "html": said}


def test_options_of_a_view_are_checked_before_anything_is_drawn(app: Flask) -> None:
    assert isinstance(view.loader.get("view", "image-bounding-boxes"), Extension)
    view.check_options(app, "image-bounding-boxes", {"snapshot_epoch": "1"})
    view.check_options(app, "image-bounding-boxes", {"score_threshold": "0.5"})
    with pytest.raises(FormErrors, match="score_threshold"):
        view.check_options(app, "image-bounding-boxes", {"score_threshold": "a lot"})
    with pytest.raises(NotFound, match="no-such-view"):
        view.check_options(app, "no-such-view", {})
