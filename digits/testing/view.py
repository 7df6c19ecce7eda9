"""The contract of a view as tests: inherit `ViewContract`, name the class and values for its options, run pytest."""

from __future__ import annotations

from typing import Any, ClassVar

import numpy as np
import pytest
from flask import Flask

from digits.extensions import loader
from digits.extensions.view.interface import VisualizationInterface
from digits.plugin_host import binding, rendering
from digits.plugin_host.view import DatasetView, accepted

CLASSES = ("first", "second", "third")

loader.prepare_for_plugins()  # whoever imports a contract imports a plugin next, which may say `flask.ext` and more that is gone


class ViewContract:
    """What every view keeps.

    `view` is the class, `option_values` what a person would choose. `outputs` (a fixture) is what the network gives for one
    sample; override it where the view wants another shape.
    """

    view: ClassVar[type[VisualizationInterface]]
    option_values: ClassVar[dict[str, Any]] = {}

    @pytest.fixture
    def outputs(self) -> dict[str, np.ndarray]:
        """Outputs by name that the view can show, without batch axis: (K,) probabilities of a classification unless
        overridden."""
        return {"output": np.array([0.2, 0.7, 0.1], np.float32)}

    @pytest.fixture
    def app(self) -> Flask:
        """The application in which forms and templates live."""
        app = Flask("digits.plugin_host")
        rendering.prepare(app)
        return app

    @pytest.fixture
    def instance(self, app: Flask) -> VisualizationInterface:
        """Made from the options, as a request makes it."""
        dataset = DatasetView(extension_userdata={"class_labels": list(CLASSES)}, feature_dims=(8, 12, 3), class_labels=CLASSES)
        with binding.request_with(app, self.option_values):
            form = binding.make_form(self.view.get_id(), self.view.get_config_form)
            return self.view(dataset, **binding.check(form, self.option_values))

    def test_says_who_it_is(self) -> None:
        for text in (self.view.get_id(), self.view.get_title()):
            assert isinstance(text, str)
            assert text
        assert isinstance(self.view.get_default_visibility(), bool)

    def test_shows_its_options(self, app: Flask) -> None:
        with binding.request_with(app, None):
            form = binding.make_form(self.view.get_id(), self.view.get_config_form)
            rendering.render(self.view.get_id(), *self.view.get_config_template(form), nonce="x")

    @pytest.mark.parametrize("shape", [(8, 12, 3), (8, 12)])
    def test_shows_samples_then_its_header(
        self, app: Flask, instance: VisualizationInterface, outputs: dict[str, np.ndarray], shape: tuple[int, ...]
    ) -> None:
        picture = np.arange(np.prod(shape), dtype=np.uint8).reshape(shape)
        samples = []
        with binding.request_with(app, None):
            for key in ("one", "two"):
                truth = dict.fromkeys(accepted(instance))
                data = instance.process_data(key, picture, dict(outputs), **truth)
                samples.append(rendering.render(self.view.get_id(), *instance.get_view_template(data), nonce="x").strip())
            header = rendering.render(self.view.get_id(), *instance.get_header_template(), nonce="x").strip()
        assert all(samples) or header, "neither the samples nor the header show anything"
        assert len(instance.get_ng_templates()) == 2
