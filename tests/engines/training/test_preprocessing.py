"""The units of pictures: what a network that learns the picture itself gives, and the mean that is subtracted."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any, cast

import numpy as np
import pytest

from digits.domain.datasets import RecordMeta
from digits.domain.training import TrainingSpec
from digits.engines.base import get_engine
from digits.engines.training.preprocessing import Preprocessing, in_stored_units, mean_picture
from digits.tasks import Labels, get
from digits.testing.runs import make_dataset, train

# What goes in comes out: in the units of the network's input, (x − mean) / std.
UNCHANGED = """
from torch import nn

class Unchanged(nn.Module):
    def __init__(self):
        super().__init__()
        self.factor = nn.Conv2d(3, 3, 1, bias=False)
        nn.init.dirac_(self.factor.weight)

    def forward(self, x):
        return self.factor(x)

def build_network(context):
    return Unchanged()
"""


@pytest.mark.parametrize("use_mean", ["image", "pixel", "none"])
def test_pictures_come_back_as_they_went_in(tmp_path: Path, use_mean: str) -> None:
    pictures = np.random.default_rng(0).integers(0, 256, (12, 3, 10, 14), np.uint8)
    data = make_dataset(tmp_path / "d", pictures, None, task="processing", label_kind="none", validation=4)
    spec = TrainingSpec("x", "processing", network=UNCHANGED, epochs=1, batch_size=4, use_mean=use_mean)
    train(data, tmp_path / "m", replace(spec, learning_rate=replace(spec.learning_rate, base=1e-9)))
    given = get_engine("pytorch").load(tmp_path / "m" / "snapshots" / "epoch_1.safetensors").predict(pictures[:2])
    assert next(iter(given.values())) == pytest.approx(pictures[:2].astype(np.float32), abs=0.5)
    samples = np.load(tmp_path / "m" / "samples" / "step_0.npz")
    shown = np.load(tmp_path / "m" / "samples" / "inputs.npz")
    assert samples["0/output"].dtype == np.uint8
    assert np.array_equal(samples["0/output"], shown["0/feature"])


def test_other_outputs_stay() -> None:
    preprocessing = Preprocessing((3, 4, 4), (3, 4, 4), "pixel", (1.0, 2.0, 3.0), std=2.0)
    outputs = {"output": np.ones((1, 3, 4, 4), np.float32), "code": np.ones((1, 5), np.float32)}
    assert in_stored_units(outputs, get("processing"), Labels("array", (3, 4, 4)), preprocessing, None)["output"].max() == 1
    found = in_stored_units(outputs, get("processing"), Labels("none"), preprocessing, None)
    assert found["output"][0, :, 0, 0].tolist() == [3, 4, 5]
    assert found["code"].max() == 1


def test_the_mean_of_pictures_of_several_sizes_is_that_of_all_their_pixels() -> None:
    rng = np.random.default_rng(0)
    pictures = [rng.integers(0, high, (2, *size)).astype(np.uint8) for high, size in ((255, (3, 4)), (40, (9, 7)))]

    class Records:
        meta = RecordMeta("classification", None)

        def __len__(self) -> int:
            return len(pictures)

        def feature(self, index: int) -> np.ndarray:
            return pictures[index]

    pixels = np.concatenate([picture.reshape(2, -1) for picture in pictures], axis=1)
    np.testing.assert_allclose(mean_picture(cast(Any, Records()))[:, 0, 0], pixels.mean(axis=1))
