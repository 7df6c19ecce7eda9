"""Siamese LeNet in both frameworks: the loss of Hadsell, Chopra and LeCun, one branch for both pictures, pairs alone."""

from __future__ import annotations

import importlib.util
from typing import Any

import numpy as np
import pytest
import torch

from digits.engines.base import NetworkContext, get_engine
from digits.engines.network.text import compile_text
from digits.errors import NetworkError
from digits.networks import catalog

CONTEXT = NetworkContext("classification", (2, 28, 28), 2)
DISTANCES, SAME = np.array([[0.2], [1.5], [0.3], [2.0]], np.float32), np.array([1, 1, 0, 0])
LOSS = np.mean([0.2**2, 1.5**2, (1 - 0.3) ** 2, 0]) / 2

frameworks = pytest.mark.parametrize(
    "framework",
    [
        "pytorch",
        pytest.param(
            "tensorflow",
            marks=pytest.mark.skipif(importlib.util.find_spec("tensorflow") is None, reason="TensorFlow is not installed"),
        ),
    ],
)


@frameworks
def test_its_loss_and_what_it_measures(framework: str) -> None:
    get_engine(framework)
    names: dict[str, Any] = compile_text(catalog.network_text("siamese", framework), framework)
    as_tensor = torch.from_numpy if framework == "pytorch" else np.asarray
    outputs, targets = {"distance": as_tensor(DISTANCES)}, as_tensor(SAME)
    assert float(names["loss"](outputs, targets)) == pytest.approx(LOSS)
    found = {name: (float(a), float(b)) for name, (a, b) in names["metrics"](outputs, targets).items()}
    assert found == {"distance_same": (pytest.approx(1.7), 2), "distance_different": (pytest.approx(2.3), 2)}
    assert names["METRICS"]["distance_same"]["better"] == "lower"


@frameworks
@pytest.mark.parametrize("channels", [2, 3, 6])
def test_it_takes_pairs_of_grey_and_of_colour(framework: str, channels: int) -> None:
    context = NetworkContext("classification", (channels, 28, 28), 2)
    report = get_engine(framework).check(catalog.network_text("siamese", framework), context)
    assert report.output_shapes == {"output": (2,), "distance": (1,), "first": (2,), "second": (2,)}
    more_colours = 20 * 5 * 5 * 2 if channels == 6 else 0
    assert report.parameters == catalog.network_info("siamese").parameters + more_colours


@frameworks
@pytest.mark.parametrize(("channels", "classes", "words"), [(1, 2, "at least two channels"), (2, 10, "the data set has 10")])
def test_what_is_no_pair_is_said(framework: str, channels: int, classes: int, words: str) -> None:
    context = NetworkContext("classification", (channels, 28, 28), classes)
    with pytest.raises(NetworkError, match=words):
        get_engine(framework).check(catalog.network_text("siamese", framework), context)


def test_one_branch_sees_both_pictures() -> None:
    from digits.engines.pytorch.build import build

    module = build(catalog.network_text("siamese"), CONTEXT).module.eval()
    pair = torch.rand(3, 2, 28, 28)
    there, back = module(pair), module(pair.flip(1))
    torch.testing.assert_close(there["first"], back["second"])
    torch.testing.assert_close(there["output"], back["output"])
    distance = torch.linalg.vector_norm(there["first"] - there["second"], dim=1, keepdim=True)
    torch.testing.assert_close(there["distance"], distance, atol=1e-3, rtol=0)
    alike = module(pair[:, :1].repeat(1, 2, 1, 1))
    assert (alike["output"].argmax(1) == 1).all(), "a picture is the same as itself"
