"""Names that the docs promise to plugins and scripts stay where they were, wherever the code behind them lives."""

from __future__ import annotations

import importlib

import pytest

PROMISED = {
    "digits.config": ("Settings",),
    "digits.domain.events": ("MetricEvent", "SnapshotEvent"),
    "digits.engines.base": ("Engine", "NetworkContext"),
    "digits.extensions.data": ("GROUP",),
    "digits.extensions.data.interface": ("DataIngestionInterface",),
    "digits.extensions.view": ("GROUP",),
    "digits.extensions.view.interface": ("VisualizationInterface",),
    "digits.networks.tensorflow": ("helpers",),
    "digits.storage.events": ("read_events",),
    "digits.storage.records": ("BOX_CROWD", "BOX_DIFFICULT", "BOX_DTYPE", "BOX_IGNORED", "RecordReader"),
    "digits.testing": ("DataSourceContract", "EngineContract", "ViewContract"),
    "digits.utils": ("constants", "errors", "forms", "image", "override", "subclass"),
    "digits.utils.forms": ("validate_required_iff",),
    "digits.utils.image": ("display_image", "embed_image_html", "load_image", "resize_image"),
}


@pytest.mark.parametrize(("module", "name"), [(module, name) for module, names in PROMISED.items() for name in names])
def test_promised_names_can_be_imported(module: str, name: str) -> None:
    if module == "digits.networks.tensorflow":
        importlib.import_module("torchvision")  # after TensorFlow it would end the process, and with it the tests that follow
    home = importlib.import_module(module)
    try:
        found = getattr(home, name)
    except AttributeError:
        found = importlib.import_module(f"{module}.{name}")  # a submodule, which `from … import` finds as well
    assert found is not None
