"""A network text shown without a data set: what there is of it is shown, and nothing is held against it."""

from __future__ import annotations

import importlib.util
from typing import Any

import pytest
import torchvision  # noqa: F401 - its native parts cannot be loaded after TensorFlow's

from digits.networks.catalog import network_text, standard_networks
from digits.service.models.customize import EXAMPLES
from digits.worker.probes.network_check import check

HEAD = "import torch\nfrom torch import nn\n\ndef build_network(context):\n    c, h, w = context.input_shape\n"
CONTEXTS = [
    {"task": "classification", "num_classes": 10, "judged": False, "input_shape": list(size), "label_shape": [size[0], 1, 1]}
    for size in EXAMPLES
]
JUDGED = {"task": "classification", "num_classes": 3, "input_shape": [3, 224, 224]}


def report(text: str, framework: str = "pytorch") -> dict[str, Any]:
    return dict(check(framework, text, CONTEXTS)["report"])


@pytest.mark.parametrize(
    ("body", "shape"),
    [
        ("nn.Sequential(nn.Flatten(), nn.Linear(c * h * w, 7))", (7,)),  # neither as many scores as classes
        ("nn.Identity()", (3, 224, 224)),  # nor any score
        ("nn.Sequential(nn.Flatten(), nn.Linear(784, 2), nn.Softmax(1))", (2,)),  # built for another size
    ],
)
def test_any_output_is_fine(body: str, shape: tuple[int, ...]) -> None:
    found = report(f"{HEAD}    return {body}\n")
    assert found["output_shapes"] == {"output": shape}
    assert found["warnings"] == ()
    assert "report" in check("pytorch", f"{HEAD}    return {body}\n", CONTEXTS)


def test_layers_are_shown_where_no_size_fits() -> None:
    found = report(HEAD + "    return nn.Sequential(nn.Conv2d(c, 5, 3), nn.Flatten(), nn.Linear(12345, 2))\n")
    rows = [(row["kind"], row["output_shape"], row["parameters"]) for row in found["layers"]]
    assert rows == [("Conv2d", (5, 222, 222), 140), ("Flatten", (246420,), 0), ("Linear", (), 24692)]
    assert (found["parameters"], found["output_shapes"]) == (24832, {})
    assert "not known without a data set" in found["warnings"][0]


def test_what_is_no_network_is_a_problem_all_the_same() -> None:
    assert "BogusCode" in check("pytorch", HEAD + "    return nn.BogusCode(3)\n", CONTEXTS)["problem"]
    assert (
        "3 classes" in check("pytorch", HEAD + "    return nn.Sequential(nn.Flatten(), nn.LazyLinear(2))\n", [JUDGED])["problem"]
    )


@pytest.mark.parametrize("name", [card.name for card in standard_networks() if card.name not in ("vgg16", "alexnet")])
def test_every_standard_network_is_shown(name: str) -> None:
    assert report(network_text(name))["layers"]


@pytest.mark.skipif(importlib.util.find_spec("tensorflow") is None, reason="TensorFlow is not installed")
def test_keras_networks_are_not_judged_either() -> None:
    head = "import keras\nfrom keras import layers\n\ndef build_network(context):\n    c, h, w = context.input_shape\n"
    found = report(f"{head}    return keras.Sequential([keras.Input((32, 32, 3)), layers.Conv2D(7, 3)])\n", "tensorflow")
    assert found["output_shapes"]["output"][0] == 7
    found = report(
        f"{head}    return keras.Sequential([keras.Input((5, 5, 5)), layers.Conv2D(7, 3, name='one')])\n", "tensorflow"
    )
    assert (found["output_shapes"], found["parameters"]) == ({}, 322)
    assert [row["name"] for row in found["layers"]] == ["one"]
