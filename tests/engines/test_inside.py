"""What is shown inside of a network is what a hand computes: gradients, maps of why, attention, arrays of layers, vectors."""

from __future__ import annotations

import contextlib
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from digits.domain.inside import GRAD_CAM, HIRES_CAM, INTEGRATED_GRADIENTS, METHODS, OCCLUSION, SALIENCY
from digits.engines import inside
from digits.engines.inside import NOT_USED, Attribution, Target, gradient_steps, placed, pooled
from digits.engines.occlusion import occlusion
from digits.engines.pytorch.predictor import TorchPredictor
from digits.errors import BadRequest
from digits.predictor.inside import first_of, rank_correlation

RANDOM = np.random.default_rng(0)


def predictor(module: nn.Module, shape: tuple[int, int, int], classes: int = 3, task: str = "classification") -> TorchPredictor:
    """A module as if it had been trained on float pictures of a shape, without a mean."""
    preparation = {"stored_shape": shape, "input_shape": shape, "dtype": "float32", "std": 1.0, "pixel_mean": []}
    meta: dict[str, Any] = {
        "task": task,
        "class_labels": [f"class {n}" for n in range(classes)],
        "input_shape": list(shape),
        "stored_shape": list(shape),
        "label_kind": "map" if task == "segmentation" else "index",
        "label_shape": (),
        "preparation": preparation,
        "image": {},
    }
    return TorchPredictor(module, meta, None, torch.device("cpu"))


def picture(*shape: int) -> np.ndarray:
    return RANDOM.normal(size=shape).astype(np.float32)


@pytest.mark.parametrize(
    ("parameters", "on_cpu", "steps"), [(25_000_000, True, 50), (88_000_000, True, 17), (10**9, True, 10), (10**9, False, 50)]
)
def test_large_networks_take_fewer_points_on_a_cpu_and_say_so(parameters: int, on_cpu: bool, steps: int) -> None:
    found, said = gradient_steps(parameters, on_cpu)
    assert found == steps
    assert bool(said) == (steps < 50)
    assert not said or f"{steps} points" in said


def test_a_large_network_says_at_how_many_points(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(inside, "LARGE", 1)
    module = nn.Sequential(nn.Flatten(), nn.Linear(24, 2))
    found = predictor(module, (2, 3, 4)).attribute(INTEGRATED_GRADIENTS, np.ones((2, 3, 4), np.float32), Target(1))
    assert "10 points" in found.note
    assert found.total == pytest.approx(found.difference, rel=1e-3)


def test_integrated_gradients_of_a_linear_network_are_input_times_weight() -> None:
    module = nn.Sequential(nn.Flatten(), nn.Linear(2 * 3 * 4, 3))
    x = picture(2, 3, 4)
    found = predictor(module, (2, 3, 4)).attribute(INTEGRATED_GRADIENTS, x, Target(1))
    weight = module[1].weight[1].detach().numpy().reshape(2, 3, 4)
    assert found.values == pytest.approx((x * weight).sum(axis=0), abs=1e-5)
    assert found.total == pytest.approx(found.difference, abs=1e-5)
    slope = predictor(module, (2, 3, 4)).attribute(SALIENCY, x, Target(1)).values
    assert slope == pytest.approx(np.abs(weight).max(axis=0), abs=1e-6)


class TwoMaps(nn.Module):
    """Two maps of one convolution of 1×1, a weight for each place of each."""

    def __init__(self) -> None:
        super().__init__()
        self.maps = nn.Conv2d(1, 2, 1, bias=False)
        self.change = nn.ReLU(inplace=True)
        self.head = nn.Linear(2 * 2 * 2, 2, bias=False)
        self.maps.weight.data = torch.tensor([[[[1.0]]], [[[-2.0]]]])
        self.head.weight.data = torch.arange(16.0).reshape(2, 8) - 9

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.head(self.change(self.maps(x)).flatten(1))


def test_grad_cam_and_hires_cam_are_those_of_a_hand() -> None:
    x = np.array([[[1.0, -2.0], [3.0, -4.0]]], np.float32)
    maps = np.maximum(np.stack([x[0], -2 * x[0]]), 0)
    gradient = (np.arange(8.0) + 8 - 9).reshape(2, 2, 2)  # of class 1
    one = predictor(TwoMaps(), (1, 2, 2), classes=2)
    weighed = gradient.mean(axis=(1, 2))[:, None, None]
    found = one.attribute(GRAD_CAM, x, Target(1))
    assert found.layer == "change"
    assert found.values == pytest.approx(np.maximum((weighed * maps).sum(axis=0), 0))
    assert one.attribute(HIRES_CAM, x, Target(1)).values == pytest.approx(np.maximum((gradient * maps).sum(axis=0), 0))
    assert one.module.change.inplace  # the copy that was derived is gone
    nothing = one.attribute(GRAD_CAM, x, Target(0))
    assert not nothing.values.any()
    assert "empty" in nothing.note


def test_occlusion_is_what_the_answer_loses() -> None:
    """Of a prediction that adds the pixels up a square counts for what it has beyond the mean."""
    x = np.zeros((1, 4, 4), np.float32)
    x[0, 0, 0] = 16.0  # the mean is 1
    meta = {"task": "regression", "label_kind": "vector", "label_shape": (1,)}

    def total(batch: np.ndarray) -> dict[str, np.ndarray]:
        return {"output": batch.sum(axis=(1, 2, 3))[:, None]}

    found = occlusion(total, x, meta, Target(0), grid=4)
    # the corner lies in squares of 1, 2, 2 and 4 pixels, each of which would lose 16 and get 1 for each of its pixels
    assert found[0, 0] == pytest.approx(16 - (1 + 2 + 2 + 4) / 4)
    assert found[3, 3] == pytest.approx(-(4 + 2 + 2 + 1) / 4)


class Attention(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.cut = nn.Conv2d(1, 4, 2, stride=2)
        self.token = nn.Parameter(torch.zeros(1, 1, 4))
        self.blocks = nn.ModuleList(nn.MultiheadAttention(4, 2, batch_first=True) for _ in range(2))
        self.head = nn.Linear(4, 3)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        tokens = self.cut(x).flatten(2).transpose(1, 2)
        tokens = torch.cat([self.token.expand(len(x), -1, -1), tokens], dim=1)
        for block in self.blocks:
            tokens = tokens + block(tokens, tokens, tokens, need_weights=False)[0]
        return self.head(tokens[:, 0])


def test_attention_rollout_is_the_product_of_the_blocks() -> None:
    module, x = Attention().eval(), picture(1, 4, 6)
    one = predictor(module, (1, 4, 6))
    assert [name for name, reason in one.methods().items() if reason] == [GRAD_CAM, HIRES_CAM]
    found = one.attribute("attention_rollout", x, Target(0)).values
    with torch.no_grad():
        tokens = torch.cat([module.token, module.cut(torch.from_numpy(x[None])).flatten(2).transpose(1, 2)], dim=1)
        joint = torch.eye(7)
        for block in module.blocks:
            given, weights = block(tokens, tokens, tokens)  # weights (1, 7, 7), the mean of the heads
            tokens, joint = tokens + given, (weights[0] + torch.eye(7)) / 2 @ joint
    patches = joint[0, 1:].reshape(1, 1, 2, 3)
    wanted = torch.nn.functional.interpolate(patches, (4, 6), mode="bilinear", align_corners=False)[0, 0]
    assert found == pytest.approx(wanted.numpy(), abs=1e-6)


def test_timms_fused_attention_is_on_again_afterwards() -> None:
    from timm.models.vision_transformer import VisionTransformer

    module = VisionTransformer(img_size=8, patch_size=4, in_chans=1, num_classes=3, embed_dim=8, depth=2, num_heads=2)
    fused = [block.attn.fused_attn for block in module.blocks]
    found = predictor(module, (1, 8, 8)).attribute("attention_rollout", picture(1, 8, 8), Target(0)).values
    assert found.min() >= 0
    assert found.max() > 0
    assert [block.attn.fused_attn for block in module.blocks] == fused


class Odd(nn.Module):
    """A layer with several outputs, one that is used twice, one that is never used, one with NaN among its weights."""

    def __init__(self) -> None:
        super().__init__()
        self.twice = nn.Linear(4, 4)
        self.recurrent = nn.LSTM(4, 5, batch_first=True)
        self.never = nn.Conv2d(1, 1, 3)
        self.head = nn.Linear(5, 3)
        self.never.weight.data[0, 0, 0, 0] = torch.nan

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.head(self.recurrent(self.twice(self.twice(x[:, 0])))[0][:, -1])


def test_layers_say_what_is_odd_about_them() -> None:
    one = predictor(Odd(), (1, 3, 4))
    layers = {layer.name: layer for layer in one.inside(picture(1, 3, 4))}
    assert list(layers) == ["data", "twice", "recurrent", "never", "head"]
    assert "2 times" in layers["twice"].note
    assert [array.shape for array in layers["recurrent"].activations.values()] == [(3, 5), (1, 5), (1, 5)]
    assert layers["never"].reason == NOT_USED
    assert np.isnan(layers["never"].weights["weight"]).sum() == 1
    assert layers["head"].parameters == 18
    assert list(layers["head"].weights) == ["weight", "bias"]
    assert not one.inside(None, ["head"])[0].activations
    with pytest.raises(BadRequest, match="no layer 'twic'.*twice"):
        one.inside(None, ["twic"])
    with pytest.raises(BadRequest, match="No layer of the network gives maps"):
        one.attribute(GRAD_CAM, picture(1, 3, 4), Target(0))
    assert one.vector_layer() == "recurrent"
    assert one.vectors(picture(2, 1, 3, 4), "recurrent").shape == (2, 5)


def test_a_network_that_cannot_be_derived_says_so() -> None:
    class Rounded(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.head = nn.Linear(4, 3)

        @torch.no_grad()
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return self.head(x.flatten(1))

    one = predictor(Rounded(), (1, 2, 2))
    assert "no convolution" in one.methods()[GRAD_CAM]
    with pytest.raises(BadRequest, match="No gradient reaches"):
        one.attribute(SALIENCY, picture(1, 2, 2), Target(0))


def test_what_an_activation_writes_over_is_shown_as_it_was() -> None:
    module = nn.Sequential(nn.Conv2d(1, 4, 1), nn.ReLU(inplace=True), nn.Flatten(), nn.Linear(4 * 16, 3))
    one, x = predictor(module, (1, 4, 4)), picture(1, 4, 4)
    wanted = module[0](torch.from_numpy(x[None]))[0].detach().numpy()
    assert wanted.min() < 0
    assert one.inside(x, ["0"])[0].activations["output"] == pytest.approx(wanted)
    report = next(layer for layer in one.layers(x) if layer.name == "0")
    assert report.activations is not None
    assert report.activations.minimum == pytest.approx(float(wanted.min()))


def test_random_weights_are_for_a_while() -> None:
    module = nn.Sequential(nn.Conv2d(1, 8, 3), nn.Flatten(), nn.Linear(8 * 4, 3))
    before = [p.detach().clone() for p in module.parameters()]
    with contextlib.suppress(KeyError), predictor(module, (1, 4, 4)).random_weights():
        assert not torch.equal(next(module.parameters()), before[0])
        raise KeyError
    assert all(torch.equal(a, b) for a, b in zip(before, module.parameters(), strict=True))


def test_a_map_of_classes_is_explained_where_the_class_is_seen() -> None:
    module = nn.Conv2d(1, 2, 1, bias=False)
    module.weight.data = torch.tensor([[[[1.0]]], [[[-1.0]]]])
    region = np.zeros((2, 2), bool)
    region[0, 1] = True
    x = picture(1, 2, 2)
    found = predictor(module, (1, 2, 2), 2, "segmentation").attribute(INTEGRATED_GRADIENTS, x, Target(1, region=region))
    assert found.values == pytest.approx(np.where(region, -x[0], 0), abs=1e-6)


def test_small_parts() -> None:
    assert pooled(np.arange(8.0).reshape(1, 2, 2, 2)).tolist() == [[1.5, 5.5]]
    assert pooled(np.arange(6.0).reshape(1, 3, 2)).tolist() == [[2.0, 3.0]]
    assert placed(np.ones((2, 2), np.float32), (1, 4, 4), (1, 1)).sum() == 4
    a = np.array([[1.0, 2.0], [2.0, 9.0]])
    assert rank_correlation(a, -a) == pytest.approx(1.0)
    assert rank_correlation(a, np.array([[9.0, 2.0], [2.0, 1.0]])) == pytest.approx(-1.0)
    assert rank_correlation(a, np.zeros((2, 2))) is None
    assert OCCLUSION in METHODS


def test_without_a_wish_the_first_method_that_works_is_taken() -> None:
    def map_of(name: str) -> Attribution:
        if name != OCCLUSION:
            raise BadRequest(f"No {name}.")
        return Attribution(np.zeros((2, 2)))

    reasons: dict[str, str] = {}
    assert first_of([GRAD_CAM, OCCLUSION], reasons, map_of)[0] == OCCLUSION
    assert reasons == {GRAD_CAM: "No grad_cam."}
    with pytest.raises(BadRequest):
        first_of([GRAD_CAM], reasons, map_of)
