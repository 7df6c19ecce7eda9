"""What a text left in evaluation mode stays so; the losses of a detector's validation are those of evaluation mode."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from digits.domain.events import MetricEvent, WarningEvent
from digits.domain.training import LearningRate, TrainingSpec
from digits.engines.base import NetworkContext
from digits.engines.pytorch.boxes import probe_targets
from digits.engines.pytorch.build import build, report
from digits.engines.pytorch.modes import evaluating, let_give_losses, losses_of
from digits.engines.pytorch.weights import read_snapshot
from digits.errors import JobStopped
from digits.testing.runs import make_dataset, metric_lines, squared_pictures, striped_pictures, train, train_logged

FROZEN = """
import torch
from torch import nn

class Net(nn.Module):
    def __init__(self, context):
        super().__init__()
        c, h, w = context.input_shape
        self.frozen, self.free = nn.BatchNorm2d(c), nn.BatchNorm2d(c)
        self.drop = nn.Dropout(0.5)
        self.last = nn.Linear(c * h * w, context.num_classes)
        self.seen = []

    def forward(self, x):
        modes.append((self.training, self.frozen.training, self.free.training, self.drop.training))
        return self.last(self.drop(self.free(self.frozen(x)).flatten(1)))

modes = []

def build_network(context):
    net = Net(context)
    net.frozen.running_mean.fill_(0.5)
    net.frozen.eval()
    torch.modes_of_this_test = modes
    return net
"""


@pytest.fixture(scope="module")
def stripes(tmp_path_factory: pytest.TempPathFactory) -> Path:
    features, classes = striped_pictures(32, 8, seed=2)
    return make_dataset(tmp_path_factory.mktemp("stripes"), features, classes, class_labels=("left", "right"))


def classification(text: str, **values: object) -> TrainingSpec:
    rate = LearningRate(0.02, "fixed")
    base = {"epochs": 2, "batch_size": 8, "seed": 3, "use_mean": "pixel", "learning_rate": rate}
    return TrainingSpec("d", "classification", network=text, **{**base, **values})


def test_a_frozen_normalisation_stays_frozen(stripes: Path, tmp_path: Path) -> None:
    """In training, validation, samples and graph, and after a stop."""
    text = classification(FROZEN, epochs=3)
    stops = iter([False] * 5 + [True] * 99)
    with pytest.raises(JobStopped):
        train_logged(stripes, tmp_path / "stopped", text, should_stop=lambda: next(stops))
    train_logged(stripes, tmp_path / "stopped", text)
    modes = set(torch.modes_of_this_test)  # of the second attempt  # type: ignore[attr-defined]
    assert modes == {(True, False, True, True), (False, False, False, False)}
    train_logged(stripes, tmp_path / "whole", text)
    assert metric_lines(tmp_path / "stopped") == metric_lines(tmp_path / "whole")
    weights, _, _ = read_snapshot(tmp_path / "whole" / "snapshots" / "epoch_3.safetensors")
    assert (weights["frozen.running_mean"] == 0.5).all()
    assert int(weights["frozen.num_batches_tracked"]) == 0
    assert int(weights["free.num_batches_tracked"]) == 9


def test_a_normalisation_that_is_frozen_in_a_train_method_stays_frozen(stripes: Path, tmp_path: Path) -> None:
    """As many texts write it: nothing has called `train` when `build_network` returns."""
    own = "    def train(self, mode=True):\n        super().train(mode)\n        self.frozen.eval()\n        return self\n\n"
    text = FROZEN.replace("    net.frozen.eval()\n", "").replace("modes = []", f"{own}modes = []")
    train_logged(stripes, tmp_path, classification(text))
    assert set(torch.modes_of_this_test) == {(True, False, True, True), (False, False, False, False)}  # type: ignore[attr-defined]
    weights, _, _ = read_snapshot(tmp_path / "snapshots" / "epoch_2.safetensors")
    assert int(weights["frozen.num_batches_tracked"]) == 0
    assert int(weights["free.num_batches_tracked"]) == 6


def test_a_network_that_is_in_evaluation_mode_as_a_whole_says_so(stripes: Path, tmp_path: Path) -> None:
    text = FROZEN.replace("net.frozen.eval()", "net.eval()")
    context = NetworkContext("classification", (1, 8, 8), 2, (), ("left", "right"))
    assert any("evaluation mode as a whole" in warning for warning in report(text, context).warnings)
    assert not report(FROZEN, context).warnings
    events = train(stripes, tmp_path, classification(text, epochs=1))
    assert [e.code for e in events if isinstance(e, WarningEvent)] == ["modes"]
    assert set(torch.modes_of_this_test) == {(False,) * 4}  # type: ignore[attr-defined]


def test_the_check_leaves_every_module_as_it_was_built() -> None:
    context = NetworkContext("classification", (1, 8, 8), 2, (), ("left", "right"))
    module = build(FROZEN, context).module
    with evaluating(module):
        assert not any(child.training for child in module.modules())
    assert [module.training, module.frozen.training, module.free.training] == [True, False, True]


SOFTMAX = """
import torch
from torch import nn

class Net(nn.Module):
    def __init__(self, context):
        super().__init__()
        c, h, w = context.input_shape
        self.last = nn.Linear(c * h * w, context.num_classes)
        with torch.no_grad():
            self.last.weight.copy_(torch.linspace(-0.1, 0.1, self.last.weight.numel()).reshape(self.last.weight.shape))
            self.last.bias.zero_()

    def forward(self, x):
        x = self.last(x.flatten(1))
        return {end}

def build_network(context):
    return Net(context)
"""
ENDS = {
    "scores": "x",
    "evaluation": "x if self.training else x.softmax(1)",
    "training": "x.softmax(1) if self.training else x",
    "both": "x.softmax(1)",
}


@pytest.mark.parametrize("end", ["x", "x.sigmoid()", "x if self.training else x.sigmoid()", "x * 0"])
def test_a_sigmoid_where_scores_are_wanted_is_said(end: str) -> None:
    context = NetworkContext("multi_label", (1, 8, 8), 2, (2,), ("left", "right"), label_kind="vector")
    warnings = report(SOFTMAX.replace("{end}", end), context).warnings
    assert [warning.startswith("The network seems to end in a sigmoid") for warning in warnings] == [True] * ("sigmoid" in end)


def test_a_softmax_of_one_mode_is_seen_and_the_loss_is_that_of_the_scores(stripes: Path, tmp_path: Path) -> None:
    """All four networks compute the same, so their losses and weights are the same."""
    context = NetworkContext("classification", (1, 8, 8), 2, (), ("left", "right"))
    found, said = {}, {}
    for name, end in ENDS.items():
        text = SOFTMAX.replace("{end}", end)
        said[name] = " ".join(report(text, context).warnings)
        events = train(stripes, tmp_path / name, classification(text))
        found[name] = [e.values["loss"] for e in events if isinstance(e, MetricEvent) and "loss" in e.values]
        codes = [e.code for e in events if isinstance(e, WarningEvent)]
        assert codes == (["modes"] if name in ("evaluation", "training") else [])
    assert found["scores"][-1] < 0.5 < found["scores"][0]
    for name in ("evaluation", "training", "both"):
        assert found[name] == pytest.approx(found["scores"], rel=1e-4), name
    assert not said["scores"]
    assert "softmax in evaluation mode alone: the loss of the training takes the scores" in said["evaluation"]
    assert "softmax in training mode alone: the loss of the training takes the probabilities" in said["training"]
    assert "alone" not in said["both"]


DETECTOR = """
import torch
import torch.nn.functional as F
from torch import nn
from torchvision.ops import StochasticDepth

class Neck(nn.Module):
    def __init__(self):
        super().__init__()
        self.a, self.b, self.c = nn.Dropout1d(0.5), nn.Dropout3d(0.5), StochasticDepth(0.5, "row")
        self.d, self.e = nn.InstanceNorm2d(4, track_running_stats=True), nn.BatchNorm2d(4)

    def forward(self, x):
        x = self.e(self.d(x))
        x = self.c(F.dropout2d(x, 0.5, self.training))
        return self.b(self.a(x.flatten(2))[:, :, :, None, None])[:, :, :, 0, 0]

class Net(nn.Module):
    def __init__(self, context):
        super().__init__()
        self.body, self.neck, self.head = nn.Conv2d(context.input_shape[0], 4, 1), Neck(), nn.Linear(4, context.num_classes)

    def forward(self, images, targets=None):
        x = self.neck(self.body(images)).mean(2)
        x = F.batch_norm(x, self.neck.e.running_mean, self.neck.e.running_var, training=self.training)
        scores = self.head(F.dropout(x, 0.5, self.training)){noise}
        if self.training:
            return {"score_loss": sum((s - len(t["labels"])).square().mean() for s, t in zip(scores, targets)) / len(targets)}
        box = torch.tensor([[0.0, 0.0, images.shape[3], images.shape[2]]], device=images.device)
        best, label = scores.sigmoid().max(dim=1)
        return [{"boxes": box, "scores": b[None], "labels": c[None]} for b, c in zip(best, label)]

def build_network(context):
    torch.detector_of_this_test = Net(context)
    return torch.detector_of_this_test
"""


def expected(net: nn.Module, x: Tensor, targets: list[dict[str, Tensor]]) -> float:
    """The loss in evaluation mode, by hand: what drops out is not there."""
    neck = net.neck
    x = net.body(x)
    for norm in (neck.d, neck.e):
        x = F.batch_norm(x, norm.running_mean, norm.running_var, norm.weight, norm.bias)
    x = F.batch_norm(x.flatten(2).mean(2), neck.e.running_mean, neck.e.running_var)
    scores = net.head(x)
    return float(sum((s - len(t["labels"])).square().mean() for s, t in zip(scores, targets, strict=True)) / len(targets))


def test_the_losses_of_a_detector_in_evaluation_mode() -> None:
    context = NetworkContext("detection", (3, 16, 16), 2, None, ("red", "blue"), "boxes")
    net = build(DETECTOR.replace("{noise}", ""), context).module
    x, targets = torch.rand(2, 3, 16, 16), probe_targets((3, 16, 16))
    parts = let_give_losses(net)
    assert parts == [net]
    for _ in range(3):  # statistics that are not those of the beginning
        net(torch.rand(2, 3, 16, 16), targets)
    before = {name: buffer.clone() for name, buffer in net.named_buffers()}
    with evaluating(net), torch.no_grad(), losses_of(parts):
        found = [float(net(x, targets)["score_loss"]) for _ in range(2)]
    with torch.no_grad():
        assert found == pytest.approx([expected(net, x, targets)] * 2, rel=1e-5)
    assert all(torch.equal(before[name], buffer) for name, buffer in net.named_buffers())
    assert all(child.training for child in net.modules())


def test_losses_that_depend_on_chance_are_not_shown(tmp_path: Path) -> None:
    pictures, boxes = squared_pictures(12, 16, seed=2)
    data = make_dataset(
        tmp_path / "data", pictures, boxes, task="detection", label_kind="boxes", class_labels=("red", "blue"), validation=4
    )
    for noise, shown in (("", True), (" + torch.rand(()) * self.training", False)):
        text = DETECTOR.replace("{noise}", noise)
        spec = TrainingSpec("d", "detection", network=text, epochs=1, batch_size=4, seed=3, use_mean="pixel")
        events = train(data, tmp_path / str(shown), spec)
        values = [e.values for e in events if isinstance(e, MetricEvent) and e.phase == "val"]
        assert all(("loss" in each and "score_loss" in each) == shown for each in values)
        assert all("map50" in each for each in values)
        warnings = [e for e in events if isinstance(e, WarningEvent) and e.code == "no-validation-loss"]
        assert len(warnings) == (not shown)
        assert shown or "depend on chance" in warnings[0].message
    assert any(e.phase == "train" and "loss" in e.values for e in events if isinstance(e, MetricEvent))


def test_the_losses_of_torchvisions_detectors_are_repeatable_and_those_of_each_picture() -> None:
    from torchvision.models.detection import FasterRCNN
    from torchvision.models.detection.rpn import AnchorGenerator

    body = nn.Sequential(nn.Conv2d(3, 8, 3, 4, 1), nn.BatchNorm2d(8), nn.ReLU())
    body.out_channels = 8
    anchors = AnchorGenerator(sizes=((8, 16),), aspect_ratios=((1.0,),))
    torch.manual_seed(0)
    net = FasterRCNN(body, 3, rpn_anchor_generator=anchors, min_size=(32, 48, 64), max_size=64, rpn_batch_size_per_image=16)
    net.roi_heads.box_roi_pool.featmap_names = ["0"]
    parts = let_give_losses(net)
    assert {type(part).__name__ for part in parts} == {"FasterRCNN", "RegionProposalNetwork", "RoIHeads"}
    x = torch.rand(3, 3, 64, 64)
    boxes = torch.tensor([[8.0, 8.0, 30.0, 30.0], [30.0, 10.0, 50.0, 40.0]])
    targets = [{"boxes": boxes[:n], "labels": torch.ones(n, dtype=torch.int64)} for n in (1, 2, 1)]
    state = torch.get_rng_state()
    with evaluating(net), torch.no_grad(), losses_of(parts):
        whole = [net(list(x), targets) for _ in range(2)]
        alone = [net([picture], [target]) for picture, target in zip(x, targets, strict=True)]
    assert torch.equal(state, torch.get_rng_state())
    for name, value in whole[0].items():
        assert float(value) == float(whole[1][name])
    assert float(whole[0]["loss_objectness"]) == pytest.approx(sum(float(one["loss_objectness"]) for one in alone) / 3, rel=1e-5)
    assert all(child.training for child in net.modules())
