"""The texts for TensorFlow: each builds for its tasks, and the helpers compute what they say."""

from __future__ import annotations

import importlib.util

import numpy as np
import pytest
import torchvision  # noqa: F401 - its native parts cannot be loaded after TensorFlow's

from digits.engines.base import NetworkContext, get_engine
from digits.errors import NotFound
from digits.networks import catalog

pytestmark = [
    pytest.mark.skipif(importlib.util.find_spec("tensorflow") is None, reason="TensorFlow is not installed"),
    pytest.mark.filterwarnings("ignore:__array__ implementation doesn't accept a copy keyword:DeprecationWarning"),
]
CARDS = catalog.standard_networks("tensorflow")


def test_every_network_of_the_issue_has_a_text() -> None:
    assert [card.name for card in CARDS] == [
        "lenet",
        "lenet_slim",
        "siamese",
        "alexnet",
        "googlenet",
        "vgg16",
        "small_cnn",
        "unet",
        "regressor",
        "autoencoder",
    ]


@pytest.mark.parametrize("card", [card for card in CARDS if card.name != "vgg16"], ids=lambda card: card.name)
def test_a_text_builds_at_its_smallest_size(card: catalog.NetworkInfo) -> None:
    side = card.minimum_size + 1
    context = NetworkContext(card.tasks[0], (card.channels, side, side), 2)
    if card.tasks[0] == "processing":
        context = NetworkContext("processing", (3, side, side), 0, (3, side, side), label_kind="array")
    if card.tasks[0] == "regression":
        context = NetworkContext("regression", (3, side, side), 0, (2,), label_kind="vector")
    report = get_engine("tensorflow").check(catalog.network_text(card.name, "tensorflow"), context)
    wanted = {"unet": (2, side, side), "autoencoder": (3, side, side)}.get(card.name, (2,))
    assert next(iter(report.output_shapes.items())) == ("output", wanted)
    assert report.batch_size == card.batch_size


def test_lenet_is_the_lenet_of_the_other_engine() -> None:
    text = catalog.network_text("lenet", "tensorflow")
    report = get_engine("tensorflow").check(text, NetworkContext("classification", (1, 28, 28), 10))
    assert report.parameters == catalog.network_info("lenet").parameters


@pytest.mark.parametrize("name", ["keras/MobileNetV2", "keras/ResNet50"])
def test_a_library_network_takes_the_data_set_s_channels_and_classes(name: str) -> None:
    report = get_engine("tensorflow").check(
        catalog.text_for(name, framework="tensorflow"), NetworkContext("classification", (1, 32, 32), 7)
    )
    assert report.output_shapes == {"output": (7,)}


def test_libraries_belong_to_their_framework() -> None:
    assert {card.name.partition("/")[0] for card in catalog.search("", 10**6, "tensorflow")} == {"keras"}
    assert not [card for card in catalog.search("", 10**6) if card.name.startswith("keras/")]
    with pytest.raises(NotFound, match="network for tensorflow"):
        catalog.network_text("keras/ResNet50", "pytorch")
    with pytest.raises(NotFound, match="network for pytorch"):
        catalog.network_text("timm/resnet18", "tensorflow")


def test_helpers() -> None:
    get_engine("tensorflow")
    from digits.networks.tensorflow import helpers

    scores, labels = np.log([[0.5, 0.3, 0.2], [0.1, 0.2, 0.7]]), np.array([0, 1])
    assert float(helpers.classification_loss(scores, labels)) == pytest.approx(-(np.log(0.5) + np.log(0.2)) / 2, rel=1e-5)
    assert float(helpers.classification_accuracy(scores, labels)) == 0.5
    assert float(helpers.classification_accuracy_top_n(scores, labels, 2)) == 1.0
    assert float(helpers.mse_loss(np.ones(4), np.zeros(4))) == 1.0
    left, right = np.array([[0.0, 0.0], [0.0, 0.0]]), np.array([[3.0, 4.0], [0.3, 0.4]])
    loss = float(helpers.contrastive_loss(left, right, np.array([1, 0])))
    assert loss == pytest.approx((25 + 0.25) / 4, rel=1e-3)
    picture = np.arange(24.0).reshape(1, 2, 4, 3)
    np.testing.assert_array_equal(helpers.nchw_to_nhwc(helpers.nhwc_to_nchw(picture)), picture)
    np.testing.assert_array_equal(helpers.chw_to_hwc(helpers.hwc_to_chw(picture[0])), picture[0])
    np.testing.assert_array_equal(helpers.rgb_to_bgr(picture), picture[..., ::-1])
