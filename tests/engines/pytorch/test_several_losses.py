"""Several losses with an optimizer each: the weights are those of a loop written by hand, however the training is divided."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from safetensors.torch import load_file
from torch import Tensor, nn

from digits.domain.events import LogEvent, MetricEvent, SnapshotEvent, WarningEvent
from digits.domain.metrics import NOTHING
from digits.domain.training import LearningRate, Solver, TrainingSpec
from digits.engines.base import NetworkContext, get_engine
from digits.engines.network.several_losses import read_entries
from digits.engines.pytorch.losses import joint_loss
from digits.engines.pytorch.several_losses import SeveralLosses, read_optimizers
from digits.engines.training.batches import epoch_order
from digits.engines.training.calendar import seed_for
from digits.engines.training.totals import one_part
from digits.errors import JobStopped, NetworkError, TrainingError
from digits.storage.events import valid_events
from digits.storage.run_summary import RunSummary
from digits.testing.runs import make_dataset, metric_lines, striped_pictures, train, train_logged
from tests.truth.ranks import Ranks

SIZE, COUNT, BATCH, CODE = 8, 24, 8, 6
NETWORK = f"""
import torch
import torch.nn.functional as F
from torch import nn

CODE = {CODE}

class Network(nn.Module):
    # The code of a picture is its first pixels: nothing is drawn at random, so a batch may be divided.
    def __init__(self, pixels):
        super().__init__()
        self.generator = nn.Sequential(nn.Linear(CODE, 12), nn.Tanh(), nn.Linear(12, pixels))
        self.discriminator = nn.Sequential(nn.Linear(pixels, 12), nn.LeakyReLU(0.2), nn.Linear(12, 1))
        self.idle = nn.Parameter(torch.ones(2))

    def forward(self, x):
        if x.shape[1] == CODE:
            return {{"output": self.generator(x.flatten(1)).unflatten(1, (1, {SIZE}, {SIZE}))}}
        flat = x.flatten(1)
        fake = self.generator(flat[:, :CODE])
        scores = self.discriminator(torch.cat([flat, fake]))
        return {{"output": fake.unflatten(1, (1, {SIZE}, {SIZE})), "real": scores[: len(x)], "fake": scores[len(x) :]}}

def build_network(context):
    return Network(context.input_shape[1] * context.input_shape[2])

def binary(scores, truth):
    return F.binary_cross_entropy_with_logits(scores, torch.full_like(scores, truth))
"""
LOSS = """
def loss(outputs, targets):
    judging = binary(outputs["real"], 1.0) + binary(outputs["fake"], 0.0)
    return [
        {"loss": judging, "vars": "discriminator"},
        {"loss": binary(outputs["fake"], 1.0), "vars": "generator", "learning_rate": 0.5},
    ]
"""
TEXT = NETWORK + LOSS


def spec(network: str = TEXT, **changes: Any) -> TrainingSpec:
    settings: dict[str, Any] = {
        "dataset_id": "",
        "task": "generic",
        "network": network,
        "epochs": 2,
        "batch_size": BATCH,
        "seed": 5,
        "use_mean": "none",
        "solver": Solver("ADAM"),
        "learning_rate": LearningRate(0.01, "fixed"),
    }
    return TrainingSpec(**(settings | changes))


@pytest.fixture(scope="module")
def pictures(tmp_path_factory: pytest.TempPathFactory) -> Path:
    features, _ = striped_pictures(COUNT + 5, SIZE, seed=1)
    return make_dataset(tmp_path_factory.mktemp("data"), features, None, task="generic", label_kind="none", validation=5)


@pytest.fixture(scope="module")
def ranks() -> Iterator[Ranks]:
    found = Ranks(2)
    yield found
    found.close()


def weights(folder: Path, epoch: int = 2) -> dict[str, Tensor]:
    found = load_file(folder / "snapshots" / f"epoch_{epoch}.safetensors")
    return {name: value for name, value in found.items() if not name.startswith("digits.")}


def assert_equal(one: dict[str, Tensor], other: dict[str, Tensor], most: float = 0.0) -> None:
    assert one.keys() == other.keys()
    for name, value in one.items():
        torch.testing.assert_close(value, other[name], rtol=most, atol=most, msg=name)


def by_hand(solvers: dict[str, Any], limit: float = np.inf, every: int = 1) -> dict[str, Tensor]:
    """What two epochs of a loop without digits make: both gradients at the same weights, then both steps."""
    pixels = striped_pictures(COUNT + 5, SIZE, seed=1)[0][:COUNT].astype(np.float32)
    x = torch.from_numpy(pixels / striped_pictures(COUNT + 5, SIZE, seed=1)[0].astype(np.float64).std()).float()
    seed = seed_for(spec(), "any")
    torch.manual_seed(seed)
    names: dict[str, Any] = {}
    exec(NETWORK, names)
    network = names["Network"](SIZE * SIZE)
    parts = {"discriminator": network.discriminator, "generator": network.generator}
    optimizers = {name: make(parts[name].parameters()) for name, make in solvers.items()}
    steps = 0
    for epoch in range(2):
        order = epoch_order(COUNT, seed, epoch, True)
        for batch in np.split(order, COUNT // BATCH):
            steps += 1
            outputs = network(x[batch])
            real, fake = outputs["real"], outputs["fake"]
            ones, zeros = torch.ones_like(real), torch.zeros_like(real)
            binary = F.binary_cross_entropy_with_logits
            losses = {"discriminator": binary(real, ones) + binary(fake, zeros), "generator": binary(fake, ones)}
            for name, part in parts.items():
                own = list(part.parameters())
                for p, gradient in zip(own, torch.autograd.grad(losses[name], own, retain_graph=True), strict=True):
                    p.grad = gradient.clamp(-limit, limit) if name == "generator" else gradient
            optimizers["discriminator"].step()
            if steps % every == 0:
                optimizers["generator"].step()
    return {name: value.detach() for name, value in network.state_dict().items()}


def adam(rate: float) -> Any:
    return lambda parameters: torch.optim.Adam(parameters, lr=rate)


def test_the_weights_are_those_of_a_loop_by_hand(pictures: Path, tmp_path: Path) -> None:
    events = train(pictures, tmp_path, spec())
    assert_equal(weights(tmp_path), by_hand({"discriminator": adam(0.01), "generator": adam(0.005)}), 1e-6)
    assert [e.message for e in events if isinstance(e, WarningEvent)] == ["No loss moves idle: they stay as they are."]
    charted = [e for e in events if isinstance(e, MetricEvent) and e.phase in ("train", "val")]
    assert {e.phase for e in charted} == {"train", "val"}
    for event in charted:
        values, kinds = event.values, event.kinds
        assert values["loss"] == pytest.approx(values["discriminator"] + values["generator"], rel=1e-6)
        assert {kinds[name] for name in ("loss", "discriminator", "generator")} == {"loss"}


def test_solver_steps_between_hook_and_network_are_the_texts(pictures: Path, tmp_path: Path) -> None:
    loss = LOSS.replace("(outputs, targets)", "(outputs, targets, network)")
    loss = loss.replace('"vars": "discriminator"', '"vars": network.discriminator, "name": "judge", "solver": "SGD"')
    loss = loss.replace('"learning_rate": 0.5', '"name": "maker", "every": 2')
    hook = """
def update_gradients(gradients, name):
    limit = 0.01 if name == "maker" else 1e9
    return [(gradient.clamp(-limit, limit), variable) for gradient, variable in gradients]
"""
    train(pictures, tmp_path, spec(NETWORK + loss + hook))
    solvers = {
        "discriminator": lambda p: torch.optim.SGD(p, lr=0.01, momentum=0.9, weight_decay=1e-4),
        "generator": adam(0.01),
    }
    assert_equal(weights(tmp_path), by_hand(solvers, limit=0.01, every=2), 1e-6)


def test_a_hook_changes_the_gradients_of_one_loss_too(pictures: Path, tmp_path: Path) -> None:
    text = NETWORK + "def loss(outputs, targets):\n    return binary(outputs['fake'], 1.0)\n"
    hook = "def gradientUpdate(grad):\n    return [(g * 0, v) for g, v in grad]\n"
    settings = {"epochs": 1, "solver": Solver("SGD", weight_decay=0.0)}
    train(pictures, tmp_path / "still", spec(text + hook, **settings))
    train(pictures, tmp_path / "moved", spec(text, **settings))
    torch.manual_seed(seed_for(spec(), "any"))
    names: dict[str, Any] = {}
    exec(NETWORK, names)
    first = {name: value.detach() for name, value in names["Network"](SIZE * SIZE).state_dict().items()}
    assert_equal(weights(tmp_path / "still", 1), first)
    assert not torch.equal(weights(tmp_path / "moved", 1)["generator.0.weight"], first["generator.0.weight"])


def test_accumulated_batches_are_their_union(pictures: Path, tmp_path: Path) -> None:
    train(pictures, tmp_path / "whole", spec())
    train(pictures, tmp_path / "parts", spec(batch_size=BATCH // 4, batch_accumulation=4))
    assert_equal(weights(tmp_path / "parts"), weights(tmp_path / "whole"), 1e-5)


def test_a_loss_of_which_nothing_counts_moves_nothing(pictures: Path, tmp_path: Path) -> None:
    text = TEXT.replace('"loss": judging', '"loss": (judging * 0, 0)')
    train(pictures, tmp_path, spec(text))
    torch.manual_seed(seed_for(spec(), "any"))
    names: dict[str, Any] = {}
    exec(NETWORK, names)
    first = names["Network"](SIZE * SIZE).discriminator[0].weight
    assert torch.equal(weights(tmp_path)["discriminator.0.weight"], first)
    assert not torch.equal(weights(tmp_path)["generator.0.weight"], names["Network"](SIZE * SIZE).generator[0].weight)


def test_two_processes_have_the_numbers_of_one(pictures: Path, ranks: Ranks, tmp_path: Path) -> None:
    for settings in ({"batch_size": BATCH}, {"batch_size": 5, "batch_accumulation": 2}):
        folders = [tmp_path / f"{settings['batch_size']}_{world}" for world in (1, 2)]
        alone = train(pictures, folders[0], spec(**settings))
        both = ranks.train(pictures, folders[1], spec(**settings), 2)
        assert_equal(weights(folders[1]), weights(folders[0]), 1e-5)
        for one, two in zip(*([e for e in events if isinstance(e, MetricEvent)] for events in (alone, both)), strict=True):
            assert two.values == pytest.approx(one.values, rel=1e-4)


@pytest.mark.parametrize("settings", [{}, {"precision": "bf16-mixed"}, {"batch_size": 2, "batch_accumulation": 4}])
def test_a_stopped_training_goes_on_bit_for_bit(pictures: Path, tmp_path: Path, settings: dict[str, Any]) -> None:
    text = TEXT.replace('"learning_rate": 0.5', '"every": 2')
    train_logged(pictures, tmp_path / "whole", spec(text, **settings))
    answers = iter([False] * (15 if "batch_accumulation" in settings else 5) + [True])
    with pytest.raises(JobStopped):
        train_logged(pictures, tmp_path / "parts", spec(text, **settings), should_stop=lambda: next(answers, False))
    assert (tmp_path / "parts" / "checkpoint" / "checkpoint.json").exists()
    train_logged(pictures, tmp_path / "parts", spec(text, **settings))
    assert metric_lines(tmp_path / "parts") == metric_lines(tmp_path / "whole")
    assert_equal(weights(tmp_path / "parts"), weights(tmp_path / "whole"))
    train_logged(pictures, tmp_path / "parts", spec(text, **(settings | {"epochs": 3})))  # from the checkpoint of its end
    train_logged(pictures, tmp_path / "longer", spec(text, **(settings | {"epochs": 3})))
    assert_equal(weights(tmp_path / "parts", 3), weights(tmp_path / "longer", 3))


def test_a_training_that_goes_on_with_other_losses_says_so(pictures: Path, tmp_path: Path) -> None:
    answers = iter([False] * 4 + [True])
    with pytest.raises(JobStopped):
        train_logged(pictures, tmp_path, spec(), should_stop=lambda: next(answers, False))
    with pytest.raises(NetworkError, match=r"discriminator, maker \(before: discriminator, generator\)"):
        train_logged(pictures, tmp_path, spec(TEXT.replace('"learning_rate": 0.5', '"name": "maker"')))


def test_nothing_is_best_but_what_the_text_declares(pictures: Path, tmp_path: Path) -> None:
    train_logged(pictures, tmp_path / "plain", spec())
    summary = RunSummary("id", "", "generic")
    for event in events_of(tmp_path / "plain"):
        summary.apply(event)
    assert summary.best() is None
    kinds = events_of(tmp_path / "plain")
    assert {e.decides for e in kinds if isinstance(e, MetricEvent) and e.phase == "val"} == {NOTHING}
    assert [e.best for e in kinds if isinstance(e, SnapshotEvent)] == [False, False]
    assert sum("No snapshot is the best" in e.message for e in kinds if isinstance(e, LogEvent)) == 1
    own = 'METRICS = {"spread": "higher"}\ndef metrics(outputs, targets):\n    return {"spread": outputs["output"].std()}\n'
    events = train(pictures, tmp_path / "own", spec(TEXT + own))
    assert {e.decides for e in events if isinstance(e, MetricEvent) and e.phase == "val"} == {"spread"}
    assert any(e.best for e in events if isinstance(e, SnapshotEvent))


def events_of(folder: Path) -> list[Any]:
    return [event for _, event in valid_events(folder / "events.jsonl")]


def test_a_loss_that_is_no_number_is_named(pictures: Path, tmp_path: Path) -> None:
    bad = "    STEPS.append(outputs['fake'].requires_grad)\n    bad = float('nan') if sum(STEPS) > 4 else 1.0\n    return ["
    text = NETWORK + "STEPS = []\n" + LOSS.replace("    return [", bad)
    text = text.replace('"loss": binary(outputs["fake"], 1.0)', '"loss": binary(outputs["fake"], 1.0) * bad')
    with pytest.raises(TrainingError, match=r"diverged at step 5 .*its loss generator is not a number") as caught:
        train(pictures, tmp_path, spec(text))
    assert caught.value.code == "diverged"
    assert (tmp_path / "snapshots" / "epoch_1.safetensors").exists()


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ('"vars": "generator"', '"vars": "maker"', "is to move 'maker'.*parts are: idle, generator, discriminator"),
        (
            '"vars": "generator"',
            '"vars": ["generator", "discriminator.0"]',
            "discriminator.0.weight is among the variables of two",
        ),
        ('"vars": "generator"', '"vars": []', "loss_2 moves nothing"),
        ('"vars": "generator"', '"vars": [torch.zeros(2)]', "none of the network's variables"),
        ('"loss": judging', '"loss": judging.detach()', "discriminator depends on no variable"),
        ('"loss": judging', '"loss": 1.0', "discriminator depends on no variable"),
        ('"loss": judging', '"loss": (judging, 1, 2)', "gave 3 values"),
        ('"vars": "generator"', '"vars": "idle"', "idle does not depend on what it is to move"),
        ("    return [", "    return []\n    [", "empty list"),
    ],
)
def test_what_is_wrong_with_a_list_is_said(pictures: Path, tmp_path: Path, old: str, new: str, words: str) -> None:
    with pytest.raises(NetworkError) as caught:
        train(pictures, tmp_path, spec(TEXT.replace(old, new), val_interval=0))
    assert re.search(words, f"{caught.value.message} {caught.value.advice}"), caught.value.message


@pytest.mark.parametrize(("kind", "shape"), [("none", ()), ("vector", (3,)), ("array", (1, 1, 3)), ("map", (1, SIZE, SIZE))])
def test_the_form_refuses_what_the_list_cannot_move(kind: str, shape: tuple[int, ...]) -> None:
    task = {"vector": "regression", "map": "segmentation"}.get(kind, "generic")
    context = NetworkContext(task, (1, SIZE, SIZE), 3, shape, ("a", "b", "c"), kind)
    text = TEXT.replace('"real": scores[: len(x)]', '"targets": x, "real": scores[: len(x)]')
    assert get_engine("pytorch").check(text, context).has_loss
    with pytest.raises(NetworkError, match="is to move 'maker'"):
        get_engine("pytorch").check(text.replace('"vars": "generator"', '"vars": "maker"'), context)
    picky = text.replace("def loss(outputs, targets):", "def loss(outputs, targets):\n    assert targets.sum() > 0")
    assert get_engine("pytorch").check(picky, context).has_loss  # zeros prove nothing about such a loss


def scaled_step(scaler: torch.amp.GradScaler | None, bad: str = "") -> dict[str, Tensor]:
    """The weights after a step with several losses; the gradients of the one that is `bad` are infinite."""
    torch.manual_seed(0)
    module = nn.ModuleDict({"a": nn.Linear(3, 2), "b": nn.Linear(2, 1)})
    values = module["b"](module["a"](torch.ones(4, 3))).mean(), module["a"](torch.ones(4, 3)).square().mean()
    entries = read_entries([{"loss": values[0], "vars": "b"}, {"loss": values[1], "vars": "a", "learning_rate": 2}])
    scales = {name: torch.inf if name == bad else 1.0 for name in "ab"}
    loss = joint_loss(entries, [one_part(entry.loss * scales[entry.name], 1.0) for entry in entries])

    def backward(total: Tensor, **options: Any) -> None:
        (total if scaler is None else scaler.scale(total)).backward(**options)

    place = (torch.device("cpu"), 1)
    losses = SeveralLosses(
        read_optimizers(loss, module), module, Solver("ADAM"), 0.1, backward, place, scaler, lambda p, _: [g * 3 for g, _ in p]
    )
    losses.close(loss, True)
    losses.step()
    return {name: value.detach() for name, value in module.state_dict().items()}


def test_one_scaler_serves_all_losses() -> None:
    scaler = torch.amp.GradScaler("cpu", init_scale=1024.0)
    assert_equal(scaled_step(scaler), scaled_step(None), 1e-6)
    assert scaler.get_scale() == 1024
    found, first, moved = scaled_step(scaler, bad="a"), {}, scaled_step(None)
    torch.manual_seed(0)
    first = nn.ModuleDict({"a": nn.Linear(3, 2), "b": nn.Linear(2, 1)}).state_dict()
    assert_equal(found, {name: (first if name.startswith("a") else moved)[name] for name in found}, 1e-6)
    assert scaler.get_scale() == 512  # one step of it for all of them


def test_losses_that_come_and_go_are_refused(pictures: Path, tmp_path: Path) -> None:
    text = NETWORK + "STEPS = []\n" + LOSS.replace("    return [", "    STEPS.append(1)\n    found = [")
    text += "    return found[: 1 + len(STEPS) % 2]\n"
    with pytest.raises(NetworkError, match="other parts than before"):
        train(pictures, tmp_path, spec(text, val_interval=0))


def test_what_is_made_of_numbers_reaches_the_network_as_it_is(pictures: Path, tmp_path: Path) -> None:
    train(pictures, tmp_path, spec())
    predictor = get_engine("pytorch").load(tmp_path / "snapshots" / "epoch_2.safetensors")
    z = np.random.default_rng(0).normal(size=(3, CODE, 1, 1)).astype(np.float32)
    made = predictor.predict(z)
    assert list(made) == ["output"]
    own = weights(tmp_path)
    linear = [nn.functional.linear(torch.from_numpy(z).flatten(1), own["generator.0.weight"], own["generator.0.bias"])]
    wanted = F.linear(linear[0].tanh(), own["generator.2.weight"], own["generator.2.bias"])
    np.testing.assert_allclose(made["output"].reshape(3, -1), wanted.numpy(), atol=1e-5)


def test_pictures_are_no_scores_of_classes_whatever_the_loss() -> None:
    """Hits are counted of a classifier, and its main output goes through a softmax."""
    with pytest.raises(NetworkError, match="gives 1×8×8 per picture; the data set has 10 classes"):
        get_engine("pytorch").check(NETWORK + LOSS, NetworkContext("classification", (1, SIZE, SIZE), 10))
