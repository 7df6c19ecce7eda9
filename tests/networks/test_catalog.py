"""Every standard text is built at its own and its smallest size; the catalogue loads no framework."""

from __future__ import annotations

import subprocess
import sys

import pytest

from digits.engines.base import NetworkContext, get_engine
from digits.errors import NotFound
from digits.networks import catalog
from digits.networks.catalog import Card

LARGE = ("vgg16",)


def context(card: Card, side: int, classes: int = 4) -> NetworkContext:
    shape = (card.channels, side, side)
    task = card.tasks[0]
    is_classifier = task == "classification"
    return NetworkContext(task, shape, classes, () if is_classifier else shape, label_kind="index" if is_classifier else "map")


@pytest.mark.parametrize("card", [c for c in catalog.standard_networks("pytorch") if c.name not in LARGE], ids=lambda c: c.name)
def test_a_standard_text_builds_at_its_smallest_size(card: Card) -> None:
    report = get_engine("pytorch").check(catalog.network_text(card.name), context(card, card.minimum_size))
    assert report.batch_size == card.batch_size
    assert next(iter(report.output_shapes.values()))[0] in (4, card.channels)


def test_lenet_has_the_parameters_that_its_card_says() -> None:
    card = catalog.card("lenet")
    assert get_engine("pytorch").check(catalog.network_text("lenet"), context(card, 28, 10)).parameters == card.parameters


@pytest.mark.parametrize("name", ["timm/resnet10t", "torchvision/squeezenet1_1"])
def test_a_library_text_takes_the_data_set_s_channels_and_classes(name: str) -> None:
    report = get_engine("pytorch").check(catalog.text_for(name), NetworkContext("classification", (1, 64, 64), 7))
    assert report.output_shapes == {"output": (7,)}


def test_the_library_is_whole() -> None:
    names = [card.name for card in catalog.library_networks()]
    assert len(names) == len(set(names)) > 1300
    assert all(card.parameters > 0 for card in catalog.library_networks())
    assert catalog.search("resnet 18")[0].name == "timm/resnet18"


def test_tasks_and_unknown_names() -> None:
    assert [c.name for c in catalog.standard_networks("pytorch", "segmentation")] == ["unet"]
    with pytest.raises(NotFound, match="no network for segmentation"):
        catalog.text_for("lenet", "segmentation")
    with pytest.raises(NotFound, match="bogus"):
        catalog.card("bogus")


def test_the_catalogue_imports_no_framework() -> None:
    code = (
        "import sys, digits.networks.catalog as c, digits.engines.schedules, digits.engines; c.search('resnet');"
        "sys.exit(any(m in sys.modules for m in ('torch', 'tensorflow', 'timm')))"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
