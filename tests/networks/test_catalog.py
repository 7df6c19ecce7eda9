"""Every standard text is built at its own and its smallest size; the catalogue loads no framework."""

from __future__ import annotations

import subprocess
import sys

import pytest

from digits.engines.base import NetworkContext, get_engine
from digits.errors import NotFound
from digits.networks import catalog
from digits.networks.catalog import NetworkInfo

LARGE = ("vgg16",)
LABELS = {"classification": ((), "index"), "detection": (None, "boxes"), "regression": ((4,), "vector")}


def context(card: NetworkInfo, side: int, classes: int = 4) -> NetworkContext:
    shape = (card.channels, side, side)
    task = card.tasks[0]
    label_shape, kind = LABELS.get(task, (shape, "map"))
    return NetworkContext(task, shape, 2 if card.name == "siamese" else classes, label_shape, label_kind=kind)


@pytest.mark.parametrize("card", [c for c in catalog.standard_networks("pytorch") if c.name not in LARGE], ids=lambda c: c.name)
def test_a_standard_text_builds_at_its_smallest_size(card: NetworkInfo) -> None:
    report = get_engine("pytorch").check(catalog.network_text(card.name), context(card, card.minimum_size))
    assert report.batch_size == card.batch_size
    shape = next(iter(report.output_shapes.values()))
    assert shape[-1] == 6 if card.tasks == ("detection",) else shape[0] in (4, card.channels)


def test_lenet_has_the_parameters_that_its_card_says() -> None:
    card = catalog.network_info("lenet")
    assert get_engine("pytorch").check(catalog.network_text("lenet"), context(card, 28, 10)).parameters == card.parameters


@pytest.mark.parametrize("name", ["timm/resnet10t", "torchvision/squeezenet1_1"])
def test_a_library_text_takes_the_data_set_s_channels_and_classes(name: str) -> None:
    report = get_engine("pytorch").check(catalog.text_for(name), NetworkContext("classification", (1, 64, 64), 7))
    assert report.output_shapes == {"output": (7,)}


@pytest.mark.parametrize("name", ["smp/unet/resnet18", "smp/fpn/mobilenet_v2", "torchvision/lraspp_mobilenet_v3_large"])
def test_a_library_text_for_maps_takes_any_size(name: str) -> None:
    context = NetworkContext("segmentation", (1, 50, 70), 5, (1, 50, 70), label_kind="map")
    report = get_engine("pytorch").check(catalog.text_for(name, "segmentation"), context)
    assert report.output_shapes == {"output": (5, 50, 70)}


@pytest.mark.parametrize(
    "name",
    [
        "torchvision/ssdlite320_mobilenet_v3_large",
        "torchvision/fasterrcnn_resnet18_fpn",
        "torchvision/retinanet_resnet18_fpn",
        "torchvision/fcos_resnet18_fpn",
    ],
)
def test_a_library_detector_keeps_the_contract(name: str) -> None:
    context = NetworkContext("detection", (1, 64, 96), 2, None, label_kind="boxes", box_sizes=(8, 10, 12, 14, 20))
    report = get_engine("pytorch").check(catalog.text_for(name, "detection"), context)
    assert report.output_shapes["boxes"][1] == 6


def test_the_library_is_searched_by_task() -> None:
    assert {c.tasks for c in catalog.search("", 10_000, "pytorch", "detection")} == {("detection",)}
    assert catalog.search("resnet18 unet", task="segmentation")[0].name == "smp/unet/resnet18"
    assert not catalog.search("fasterrcnn")


def test_the_library_is_whole() -> None:
    names = [card.name for card in catalog.library_networks()]
    assert len(names) == len(set(names)) > 1300
    assert all(card.parameters > 0 for card in catalog.library_networks())
    assert catalog.search("resnet 18")[0].name == "timm/resnet18"


def test_tasks_and_unknown_names() -> None:
    for task, names in (("segmentation", ["unet", "segmenter"]), ("detection", ["detector"]), ("regression", ["regressor"])):
        assert [c.name for c in catalog.standard_networks("pytorch", task)] == names
    assert {c.name for c in catalog.standard_networks("pytorch", "processing")} == {"unet", "autoencoder", "denoiser"}
    with pytest.raises(NotFound, match="no network for segmentation"):
        catalog.text_for("lenet", "segmentation")
    with pytest.raises(NotFound, match="bogus"):
        catalog.network_info("bogus")


def test_the_catalogue_imports_no_framework() -> None:
    code = (
        "import sys, digits.networks.catalog as c, digits.engines.training.learning_rate, digits.engines; c.search('resnet');"
        "sys.exit(any(m in sys.modules for m in ('torch', 'tensorflow', 'timm')))"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
