"""A network that reports what it is fed: training, validation and prediction see what each option of the form says.

The expected values are computed from the stored records with NumPy alone. A spy's loss gives the mean, the ends, the deviation,
the first pixel and a sum weighted by place (which notices a picture that lies otherwise) of its inputs, and the mean of its
targets; its second output is the input itself, so that a prediction shows the picture whole.
"""

from __future__ import annotations

import colorsys
import io
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from digits.domain.events import MetricEvent, WarningEvent
from digits.domain.training import Augmentation, LearningRate, TrainingSpec
from digits.engines.base import get_engine
from digits.engines.training.augmentation import crop_offsets, draw, pixel_noise
from digits.testing.runs import make_dataset, train
from tests.truth.engines import ENGINES, part

SEED, COUNT, KEPT, SIDE = 3, 12, 4, 8
TEXTS = {
    "pytorch": """
import torch
from torch import nn

class Spy(nn.Module):
    def __init__(self):
        super().__init__()
        self.number = nn.Parameter(torch.zeros(1))

    def forward(self, x):
        return {"output": self.number.repeat(len(x), 1), "x": x}

def build_network(context):
    return Spy()

def loss(outputs, targets):
    x = outputs["x"]
    c, h, w = (torch.arange(n, dtype=torch.float32) for n in x.shape[1:])
    ramp = torch.cos(7 * c[:, None, None] + 3 * h[:, None] + w)
    seen = {"mean": x.mean(), "low": x.min(), "high": x.max(), "std": x.std(correction=0), "first": x[:, 0, 0, 0].mean(),
            "ramp": (x * ramp).mean(), "target": targets.float().mean()}
    return {"loss": outputs["output"].mean(), **{"x_" + name: value for name, value in seen.items()}}
""",
    "tensorflow": """
import keras
from keras import layers, ops

def build_network(context):
    c, h, w = context.input_shape
    start = keras.Input((h, w, c))
    number = layers.Dense(1, kernel_initializer="zeros")(layers.Flatten()(start))
    return keras.Model(start, {"output": number, "x": layers.Identity()(start)})

def loss(outputs, targets):
    x = ops.transpose(outputs["x"], (0, 3, 1, 2))
    c, h, w = (ops.arange(n, dtype="float32") for n in x.shape[1:])
    ramp = ops.cos(7 * c[:, None, None] + 3 * h[:, None] + w)
    seen = {"mean": ops.mean(x), "low": ops.min(x), "high": ops.max(x), "std": ops.std(x), "first": ops.mean(x[:, 0, 0, 0]),
            "ramp": ops.mean(x * ramp), "target": ops.mean(ops.cast(targets, "float32"))}
    return {"loss": ops.mean(outputs["output"]), **{"x_" + name: value for name, value in seen.items()}}
""",
}


@dataclass(frozen=True)
class Case:
    """Options of the form and of the records. `changed` makes of the training's features (N, C, H, W), cropped, what
    augmentation should make of them."""

    name: str
    spec: dict[str, Any]
    dtype: str = "uint8"
    channels: int = 3
    encoding: str = "none"
    said: tuple[str, ...] = ()
    changed: Callable[[np.ndarray, Augmentation], np.ndarray] = lambda features, _: features

    def features(self) -> np.ndarray:
        """(N, C, H, W), smooth enough for JPEG, over a good part of the type's range."""
        rng = np.random.default_rng(1)
        scale = {"uint8": 200, "uint16": 2000, "int16": 3000, "float32": 1.5}[self.dtype]
        low = {"uint16": 2000, "int16": -1000, "float32": -0.5}.get(self.dtype, 0)
        return (low + scale * rng.random((COUNT, self.channels, SIDE, SIDE))).astype(self.dtype)


def flipped(features: np.ndarray, augmentation: Augmentation) -> np.ndarray:
    drawn = draw(augmentation, SEED, 0, np.arange(len(features)))
    return np.stack([f[..., ::-1] if turn else f for f, turn in zip(features, drawn.flip_x, strict=True)])


def noisy(features: np.ndarray, augmentation: Augmentation) -> np.ndarray:
    """Noise counts in full intensity: 12 bits of uint16, the range of others."""
    unit = 255 if features.dtype == np.uint8 else 4095 if features.dtype == np.uint16 else None
    assert unit is not None
    keys = draw(augmentation, SEED, 0, np.arange(len(features))).noise_keys
    return features + pixel_noise(keys, features.shape[1:]) * (augmentation.noise * unit)


def turned(features: np.ndarray, augmentation: Augmentation) -> np.ndarray:
    drawn = draw(augmentation, SEED, 0, np.arange(len(features)))
    return np.stack([np.rot90(f, turns, (1, 2)) for f, turns in zip(features, drawn.quarter_turns, strict=True)])


def contrasted(features: np.ndarray, augmentation: Augmentation) -> np.ndarray:
    factor = draw(augmentation, SEED, 0, np.arange(len(features))).contrast[:, None, None, None]
    middle = features.mean(axis=(1, 2, 3), keepdims=True)
    return np.asarray((features - middle) * factor + middle)


def coloured(features: np.ndarray, augmentation: Augmentation) -> np.ndarray:
    """Hue, saturation and value as colorsys has them, of 12 bits; both stop at 0 and 1."""
    made = np.empty(features.shape)
    hsv = draw(augmentation, SEED, 0, np.arange(len(features))).hsv
    for n, y, x in np.ndindex(len(features), *features.shape[2:]):
        h, s, v = colorsys.rgb_to_hsv(*(features[n, :, y, x] / 4095))
        s, v = np.clip([s + hsv[n, 1], v + hsv[n, 2]], 0, 1)
        made[n, :, y, x] = colorsys.hsv_to_rgb((h + hsv[n, 0]) % 1, s, v)
    return made * 4095


NOTHING = Augmentation(hsv_use=True, hsv_h=0.0, hsv_s=0.0, hsv_v=0.0)
SHORT = (  # of both engines; the others, of PyTorch alone, take the same ways through what the engines share
    Case("mean image of 16 bits, cropped", {"use_mean": "image", "crop_size": 5}, "uint16"),
    Case("mean pixel of floats, colours shifted by 0", {"use_mean": "pixel", "augmentation": NOTHING}, "float32"),
    Case("jpg, mirrored", {"use_mean": "none", "augmentation": Augmentation("fliplr")}, encoding="jpg", changed=flipped),
    Case("16 bits with noise", {"use_mean": "none", "augmentation": Augmentation(noise=0.05)}, "uint16", changed=noisy),
    Case("each picture standardised", {"use_mean": "pixel", "augmentation": Augmentation(whitening=True)}, "int16", 5),
)
LONG = (
    *(Case(f"mean {kind}", {"use_mean": kind}, channels=c) for kind, c in (("none", 1), ("pixel", 3), ("image", 3))),
    *(Case(f"shift of 0: {d} {c}", {"augmentation": NOTHING}, d, c) for d in ("uint8", "uint16", "int16") for c in (1, 3, 5)),
    Case("png, cropped", {"crop_size": 6}, encoding="png", channels=1),
    Case("png of 16 bits", {"use_mean": "pixel"}, "uint16", 1, "png"),
    Case("jpg in grey, cropped", {"use_mean": "image", "crop_size": 5}, channels=1, encoding="jpg"),
    Case("quarter turns", {"augmentation": Augmentation(quad_rot="rotall")}, "int16", changed=turned),
    Case("contrast", {"augmentation": Augmentation(contrast=0.3)}, "float32", 4, changed=contrasted),
    Case("colours of 16 bits", {"augmentation": Augmentation(hsv_use=True, hsv_s=0.3, hsv_v=0.3)}, "uint16", changed=coloured),
    Case("colours of grey", {"augmentation": Augmentation(hsv_use=True)}, channels=1, said=("augmentation",)),
    Case("noise", {"use_mean": "none", "augmentation": Augmentation(noise=0.05)}, changed=noisy),
)
CASES = [pytest.param(e, case, id=f"{e}-{case.name}") for e in ENGINES[:1] for case in (*SHORT, *LONG)] + [
    pytest.param("tensorflow", case, id=f"tensorflow-{case.name}", marks=ENGINES[1].marks)  # type: ignore[attr-defined]
    for case in SHORT
]


def stored(features: np.ndarray, encoding: str) -> np.ndarray:
    """What the records hold of features (N, C, H, W): JPEG of quality 90 without subsampling, or the values."""
    if encoding != "jpg":
        return features
    found = []
    for feature in features:
        buffer = io.BytesIO()
        picture = Image.fromarray(feature[0] if len(feature) == 1 else feature.transpose(1, 2, 0))
        picture.save(buffer, "JPEG", quality=90, subsampling=0)
        array = np.asarray(Image.open(buffer))
        found.append(array[None] if array.ndim == 2 else array.transpose(2, 0, 1))
    return np.stack(found)


def prepared(features: np.ndarray, spec: TrainingSpec, given: np.ndarray, training: np.ndarray) -> np.ndarray:
    """The definition: (x − mean) / std; the statistics per channel are those of what was `given` to the records."""
    mean: Any = 0.0
    if spec.use_mean == "pixel":
        mean = given.mean(axis=(0, 2, 3), dtype=np.float64)[:, None, None]
    elif spec.use_mean == "image":
        mean = cut(training.mean(axis=0, dtype=np.float64)[None], spec, np.zeros((1, 2), int), centre=True)[0]
    x = (features - mean) / np.sqrt(np.mean(given.std(axis=(0, 2, 3), dtype=np.float64) ** 2))
    if spec.augmentation.whitening:
        x = (x - x.mean(axis=(1, 2, 3), keepdims=True)) / x.std(axis=(1, 2, 3), keepdims=True)
    return np.asarray(x)


def cut(features: np.ndarray, spec: TrainingSpec, corners: np.ndarray, *, centre: bool = False) -> np.ndarray:
    if not spec.crop_size:
        return features
    side = spec.crop_size
    starts = np.full((len(features), 2), (SIDE - side) // 2) if centre else corners
    return np.stack([f[:, y : y + side, x : x + side] for f, (y, x) in zip(features, starts, strict=True)])


def report(x: np.ndarray, targets: np.ndarray) -> dict[str, float]:
    c, h, w = (np.arange(n) for n in x.shape[1:])
    ramp = np.cos(7 * c[:, None, None] + 3 * h[:, None] + w)
    return {
        "x_mean": x.mean(),
        "x_low": x.min(),
        "x_high": x.max(),
        "x_std": x.std(),
        "x_first": x[:, 0, 0, 0].mean(),
        "x_ramp": (x * ramp).mean(),
        "x_target": targets.mean(),
    }


def seen(events: list[Any], phase: str) -> dict[str, float]:
    (found,) = {
        e.step: e.values for e in events if isinstance(e, MetricEvent) and e.phase == phase and e.step == (phase == "train")
    }.values()
    return {name: value for name, value in found.items() if name.startswith("x_")}


@pytest.mark.filterwarnings("ignore:__array__ implementation doesn't accept a copy keyword:DeprecationWarning")
@pytest.mark.parametrize(("engine", "case"), CASES)
def test_all_see_what_the_form_says(tmp_path: Path, engine: str, case: Case) -> None:
    part(engine, "inputs")
    given, targets = case.features(), np.linspace(0, 5, COUNT, dtype=np.float32)[:, None]
    data = make_dataset(
        tmp_path / "d", given, targets, task="regression", label_kind="vector", encoding=case.encoding, validation=KEPT
    )
    spec = TrainingSpec("x", "regression", framework=engine, network=TEXTS[engine], epochs=1, batch_size=COUNT - KEPT, seed=SEED)
    spec = replace(spec, learning_rate=LearningRate(0.0, "fixed"), **case.spec)
    events = train(data, tmp_path / "m", spec)

    records = stored(given, case.encoding)
    training, validation = records[:-KEPT], records[-KEPT:]
    room = np.full((len(training), 2), SIDE - (spec.crop_size or SIDE))
    pieces = cut(training, spec, crop_offsets(SEED, 0, np.arange(len(training)), room))
    wanted = prepared(case.changed(pieces, spec.augmentation), spec, given, training)
    assert seen(events, "train") == pytest.approx(report(wanted, targets[:-KEPT]), rel=2e-5, abs=2e-5)
    middle = prepared(cut(validation, spec, room, centre=True), spec, given, training)
    assert seen(events, "val") == pytest.approx(report(middle, targets[-KEPT:]), rel=2e-5, abs=2e-5)

    (snapshot,) = (tmp_path / "m" / "snapshots").glob("epoch_1.*")
    np.testing.assert_allclose(get_engine(engine).load(snapshot).predict(validation)["x"], middle, rtol=2e-5, atol=2e-5)
    assert tuple(e.code for e in events if isinstance(e, WarningEvent)) == case.said


@pytest.mark.filterwarnings("ignore:__array__ implementation doesn't accept a copy keyword:DeprecationWarning")
@pytest.mark.parametrize("engine", ENGINES)
def test_label_pictures_of_whole_numbers_are_parts_of_full_scale(tmp_path: Path, engine: str) -> None:
    part(engine, "inputs")
    rng = np.random.default_rng(2)
    features, labels = (rng.integers(0, 4000, (COUNT, 3, SIDE, SIDE)).astype(np.uint16) for _ in range(2))
    data = make_dataset(tmp_path / "d", features, labels, task="processing", label_kind="array", validation=KEPT)
    text = TEXTS[engine].replace('"output": number', '"output": layers.Identity()(start) + number[:, :, None, None]')
    text = text.replace("self.number.repeat(len(x), 1)", "x + self.number")
    spec = TrainingSpec("x", "processing", framework=engine, network=text, epochs=1, batch_size=COUNT - KEPT, seed=SEED)
    events = train(data, tmp_path / "m", replace(spec, use_mean="none", learning_rate=LearningRate(0.0, "fixed")))
    assert seen(events, "train")["x_target"] == pytest.approx(labels[:-KEPT].mean() / 65535, rel=1e-5)
    assert seen(events, "val")["x_target"] == pytest.approx(labels[-KEPT:].mean() / 65535, rel=1e-5)
    assert seen(events, "val")["x_high"] == pytest.approx(features[-KEPT:].max() / np.sqrt(np.mean(features.std((0, 2, 3)) ** 2)))
