"""Several losses with an optimizer each, in Keras: the weights are those of a loop written by hand, however the training is
divided. What a list may say is tested with the other engine."""

from __future__ import annotations

import importlib.util
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import torchvision  # noqa: F401 - its native parts cannot be loaded after TensorFlow's

from digits.domain.events import MetricEvent, WarningEvent
from digits.domain.metrics import NOTHING
from digits.domain.training import LearningRate, Solver, TrainingSpec
from digits.engines.base import NetworkContext, get_engine
from digits.engines.parity import CLOSE, noise_features, parity
from digits.engines.training.batches import epoch_order
from digits.engines.training.calendar import seed_for
from digits.errors import JobStopped, NetworkError, TrainingError
from digits.frameworks import available_frameworks
from digits.testing.runs import make_dataset, metric_lines, striped_pictures, train, train_logged

pytestmark = [
    pytest.mark.skipif(importlib.util.find_spec("tensorflow") is None, reason="TensorFlow is not installed"),
    pytest.mark.filterwarnings("ignore:__array__ implementation doesn't accept a copy keyword:DeprecationWarning"),
]
SIZE, COUNT, BATCH, CODE = 8, 24, 8, 6
NETWORK = f"""
import keras
from keras import layers, ops

CODE = {CODE}

class Network(keras.Model):
    # The code of a picture is its first pixels: nothing is drawn at random, so a batch may be divided.
    def __init__(self, pixels):
        super().__init__()
        self.generator = keras.Sequential(
            [keras.Input((CODE,)), layers.Dense(12, activation="tanh"), layers.Dense(pixels, kernel_regularizer="l2")]
        )
        self.judge = keras.Sequential([keras.Input((pixels,)), layers.Dense(12, activation="relu"), layers.Dense(1)])
        self.idle = self.add_weight(shape=(2,), name="idle")

    def call(self, x):
        if x.shape[-1] == CODE:
            return {{"output": ops.reshape(self.generator(ops.reshape(x, (-1, CODE))), (-1, {SIZE}, {SIZE}, 1))}}
        flat = ops.reshape(x, (-1, {SIZE * SIZE}))
        fake = self.generator(flat[:, :CODE])
        real, made = self.judge(flat), self.judge(fake)
        return {{"output": ops.reshape(fake, (-1, {SIZE}, {SIZE}, 1)), "real": real, "fake": made}}

def build_network(context):
    return Network({SIZE * SIZE})

def binary(scores, truth):
    return ops.mean(keras.losses.binary_crossentropy(ops.zeros_like(scores) + truth, scores, from_logits=True))
"""
LOSS = """
def loss(outputs, targets):
    judging = binary(outputs["real"], 1.0) + binary(outputs["fake"], 0.0)
    return [
        {"loss": judging, "vars": "judge"},
        {"loss": binary(outputs["fake"], 1.0), "vars": "generator", "learning_rate": 0.5},
    ]
"""
TEXT = NETWORK + LOSS


@pytest.fixture(autouse=True, scope="module")
def _one_thread() -> None:
    if "tensorflow" in available_frameworks():
        from digits.engines.tensorflow.start import start

        start(1)


def spec(network: str = TEXT, **changes: Any) -> TrainingSpec:
    settings: dict[str, Any] = {
        "dataset_id": "",
        "task": "generic",
        "framework": "tensorflow",
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


def new_network() -> Any:
    from digits.engines.tensorflow.build import build, forward_zeros

    context = NetworkContext("generic", (1, SIZE, SIZE), 0, None, label_kind="none")
    network = build(TEXT, context, seed=seed_for(spec(), "any")).model
    forward_zeros(network, context)
    return network


def trained(folder: Path, epoch: int = 2) -> Any:
    """The predictor of a snapshot."""
    return get_engine("tensorflow").load(folder / "snapshots" / f"epoch_{epoch}.keras")


def weights(folder: Path, epoch: int = 2) -> list[np.ndarray]:
    return list(trained(folder, epoch).model.get_weights())


def assert_equal(one: list[np.ndarray], other: list[np.ndarray], most: float = 0.0) -> None:
    for value, expected in zip(one, other, strict=True):
        np.testing.assert_allclose(value, expected, rtol=most, atol=most)


def by_hand(solvers: dict[str, Callable[[], Any]], limit: float = np.inf, every: int = 1) -> list[np.ndarray]:
    """What two epochs of a loop without digits make: both gradients at the same weights, then both steps."""
    import keras
    import tensorflow as tf

    features = striped_pictures(COUNT + 5, SIZE, seed=1)[0]
    x = (features[:COUNT].transpose(0, 2, 3, 1) / features.astype(np.float64).std()).astype(np.float32)
    network, seed, steps = new_network(), seed_for(spec(), "any"), 0
    parts = {"judge": network.judge, "generator": network.generator}
    optimizers = {name: make() for name, make in solvers.items()}
    binary = keras.losses.BinaryCrossentropy(from_logits=True)
    for epoch in range(2):
        for batch in np.split(epoch_order(COUNT, seed, epoch, True), COUNT // BATCH):
            steps += 1
            with tf.GradientTape(persistent=True) as tape:
                outputs = network(x[batch], training=True)
                real, fake = outputs["real"], outputs["fake"]
                judging = binary(tf.ones_like(real), real) + binary(tf.zeros_like(fake), fake)
                regularization = tf.add_n(network.losses)
                losses = {"judge": judging + regularization, "generator": binary(tf.ones_like(fake), fake) + regularization}
            found = {name: tape.gradient(losses[name], parts[name].trainable_variables) for name in parts}
            found["generator"] = [tf.clip_by_value(gradient, -limit, limit) for gradient in found["generator"]]
            for name, part in parts.items():
                if name == "judge" or steps % every == 0:
                    optimizers[name].apply(found[name], part.trainable_variables)
    return list(network.get_weights())


class TorchSteps:
    """An optimizer of PyTorch behind the method of Keras."""

    def __init__(self, kind: Any, **settings: Any) -> None:
        self.kind, self.settings = kind, settings
        self.optimizer: Any = None
        self.weights: list[torch.nn.Parameter] = []

    def apply(self, gradients: list[Any], variables: list[Any]) -> None:
        if self.optimizer is None:
            self.weights = [torch.nn.Parameter(torch.from_numpy(variable.numpy().copy())) for variable in variables]
            self.optimizer = self.kind(self.weights, **self.settings)
        for weights, gradient in zip(self.weights, gradients, strict=True):
            weights.grad = torch.from_numpy(gradient.numpy().copy())
        self.optimizer.step()
        for variable, weights in zip(variables, self.weights, strict=True):
            variable.assign(weights.detach().numpy())


def adam(rate: float) -> Callable[[], Any]:
    return lambda: TorchSteps(torch.optim.Adam, lr=rate)


def test_the_weights_are_those_of_a_loop_by_hand(pictures: Path, tmp_path: Path) -> None:
    events = train(pictures, tmp_path, spec())
    assert_equal(weights(tmp_path), by_hand({"judge": adam(0.01), "generator": adam(0.005)}), 1e-6)
    assert [e.message for e in events if isinstance(e, WarningEvent)] == ["No loss moves idle: they stay as they are."]
    charted = [e for e in events if isinstance(e, MetricEvent) and e.phase in ("train", "val")]
    assert {e.decides for e in charted if e.phase == "val"} == {NOTHING}
    for event in charted:
        assert {event.kinds[name] for name in ("loss", "judge", "generator")} == {"loss"}
        assert event.values["loss"] > event.values["judge"] + event.values["generator"] - 1e-6  # and the regularization

    z = np.random.default_rng(0).normal(size=(3, CODE, 1, 1)).astype(np.float32)
    predictor = trained(tmp_path)
    made = predictor.predict(z)["output"]  # what is made of numbers
    np.testing.assert_allclose(made.reshape(3, -1), predictor.model.generator(z[:, :, 0, 0]).numpy(), atol=1e-6)


def test_solver_steps_between_hook_and_network_are_the_texts(pictures: Path, tmp_path: Path) -> None:
    loss = LOSS.replace("(outputs, targets)", "(outputs, targets, network)")
    loss = loss.replace('"vars": "judge"', '"vars": network.judge, "name": "one", "solver": "RMSPROP"')
    loss = loss.replace('"learning_rate": 0.5', '"name": "two", "every": 2')
    hook = """
def update_gradients(gradients, name):
    limit = 0.01 if name == "two" else 1e9
    return [(ops.clip(gradient, -limit, limit), variable) for gradient, variable in gradients]
"""
    train(pictures, tmp_path / "whole", spec(NETWORK + loss + hook))
    solvers = {"judge": lambda: TorchSteps(torch.optim.RMSprop, lr=0.01, alpha=0.99), "generator": adam(0.01)}
    assert_equal(weights(tmp_path / "whole"), by_hand(solvers, limit=0.01, every=2), 1e-6)
    train(pictures, tmp_path / "parts", spec(NETWORK + loss + hook, batch_size=BATCH // 4, batch_accumulation=4))
    assert_equal(weights(tmp_path / "parts"), weights(tmp_path / "whole"), 1e-5)


def test_a_hook_changes_the_gradients_of_one_loss_too(pictures: Path, tmp_path: Path) -> None:
    text = NETWORK + "def loss(outputs, targets):\n    return binary(outputs['fake'], 1.0)\n"
    hook = "def gradientUpdate(grad):\n    return [(g * 0, v) for g, v in grad]\n"
    train(pictures, tmp_path, spec(text + hook, epochs=1, solver=Solver("SGD", weight_decay=0.0)))
    assert_equal(weights(tmp_path, 1), new_network().get_weights())


def test_a_loss_of_which_nothing_counts_moves_nothing(pictures: Path, tmp_path: Path) -> None:
    train(pictures, tmp_path, spec(TEXT.replace('"loss": judging', '"loss": (judging * float("nan"), 0)'), epochs=1))
    first, own = new_network(), trained(tmp_path, 1).model
    assert_equal(own.judge.get_weights(), first.judge.get_weights())
    assert not np.array_equal(own.generator.get_weights()[0], first.generator.get_weights()[0])


def test_a_stopped_training_goes_on_bit_for_bit(pictures: Path, tmp_path: Path) -> None:
    text = TEXT.replace('"learning_rate": 0.5', '"every": 2')
    train_logged(pictures, tmp_path / "whole", spec(text))
    answers = iter([False] * 5 + [True])
    with pytest.raises(JobStopped):
        train_logged(pictures, tmp_path / "parts", spec(text), should_stop=lambda: next(answers, False))
    assert (tmp_path / "parts" / "checkpoint" / "checkpoint.json").exists()
    other = text.replace('"every": 2', '"name": "maker"')
    with pytest.raises(NetworkError, match=r"judge, maker \(before: judge, generator\)"):
        train(pictures, tmp_path / "parts", spec(other))
    train_logged(pictures, tmp_path / "parts", spec(text))
    assert metric_lines(tmp_path / "parts") == metric_lines(tmp_path / "whole")
    assert_equal(weights(tmp_path / "parts"), weights(tmp_path / "whole"))


def test_a_loss_that_is_no_number_is_named(pictures: Path, tmp_path: Path) -> None:
    text = TEXT.replace('"loss": binary(outputs["fake"], 1.0)', '"loss": ops.log(0.8 - binary(outputs["fake"], 1.0)) + 9')
    with pytest.raises(TrainingError, match=r"diverged at step \d .*its loss generator is not a number") as caught:
        train(pictures, tmp_path, spec(text, learning_rate=LearningRate(0.2, "fixed"), epochs=3))
    assert caught.value.code == "diverged"


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ('"vars": "generator"', '"vars": "maker"', "is to move 'maker'.*parts are: idle, generator, judge"),
        ('"vars": "generator"', '"vars": ["generator", "judge/dense_2"]', "judge/dense_2/kernel is among the variables of two"),
        ('"vars": "generator"', '"vars": [keras.Variable(1.0)]', "none of the network's variables"),
        ('"loss": judging', '"loss": ops.stop_gradient(judging)', "judge depends on no variable"),
        ('"loss": judging', '"loss": 1.0', "judge depends on no variable"),
        ('"fake"], 1.0)', '"real"], 1.0)', "generator does not depend on what it is to move"),
    ],
)
def test_what_is_wrong_with_a_list_is_said(pictures: Path, tmp_path: Path, old: str, new: str, words: str) -> None:
    with pytest.raises(NetworkError) as caught:
        train(pictures, tmp_path, spec(TEXT.replace(old, new), val_interval=0))
    assert re.search(words, f"{caught.value.message} {caught.value.advice}"), caught.value.message


@pytest.mark.parametrize(("kind", "shape"), [("none", ()), ("map", (1, SIZE, SIZE)), ("array", (2, 3, 4))])
def test_the_form_refuses_what_the_list_cannot_move(kind: str, shape: tuple[int, ...]) -> None:
    context = NetworkContext("segmentation" if kind == "map" else "generic", (1, SIZE, SIZE), 3, shape, ("a", "b", "c"), kind)
    expected = {"none": (8, 8, 1), "map": (8, 8), "array": (3, 4, 2)}[kind]  # of targets, in Keras' layout
    seen = f"def loss(outputs, targets):\n    assert tuple(targets.shape[1:]) == {expected}, targets.shape"
    text = TEXT.replace("def loss(outputs, targets):", seen).replace(
        '"real": real', '"targets": ops.tile(x, (1, 1, 1, 3)), "real": real'
    )
    check = get_engine("tensorflow").check
    assert check(text, context).has_loss
    with pytest.raises(NetworkError, match="is to move 'maker'"):
        check(text.replace('"vars": "generator"', '"vars": "maker"'), context)
    picky = text.replace("    judging =", "    assert ops.sum(targets) > 0\n    judging =").replace('"generator",', '"maker",')
    assert check(picky, context).has_loss  # zeros prove nothing about such a loss


def test_pictures_are_no_scores_of_classes_whatever_the_loss() -> None:
    """Hits are counted of a classifier, and its main output goes through a softmax."""
    with pytest.raises(NetworkError, match="gives 1×8×8 per picture; the data set has 10 classes"):
        get_engine("tensorflow").check(TEXT, NetworkContext("classification", (1, SIZE, SIZE), 10))


def test_parts_are_found_by_attribute_by_name_and_by_path() -> None:
    import keras
    from keras import layers

    from digits.engines.network.several_losses import read_entries
    from digits.engines.tensorflow.paths import read_optimizers, trainable

    body = keras.Sequential([keras.Input((3,)), layers.Dense(2, name="first"), layers.Dense(2, name="last")], name="body")
    start = keras.Input((3,))
    model = keras.Model(start, layers.Dense(1, name="head")(body(start)))
    names = list(trainable(model))
    assert names == [f"{part}/{kind}" for part in ("body/first", "body/last", "head") for kind in ("kernel", "bias")]

    def moved(*said: Any) -> list[tuple[str, ...]]:
        entries = read_entries([{"loss": 1.0, "vars": one, "name": f"n{i}"} for i, one in enumerate(said)])
        return [one.variables for one in read_optimizers(entries, model)]

    assert moved("body", "head") == [tuple(names[:4]), tuple(names[4:])]
    assert moved("first", model.get_layer("head").bias) == [tuple(names[:2]), (names[5],)]  # a layer within another
    assert moved(["body/last", model.get_layer("head")]) == [tuple(names[2:])]
    body.trainable = False
    assert moved(model.trainable_variables) == [tuple(names[4:])]
    assert moved([body, "head"]) == [tuple(names[4:])]


def test_the_sample_learns_and_makes_pictures_of_numbers(tmp_path: Path) -> None:
    from digits.engines.tensorflow.export_saved_model import SavedModelExporter

    text = (Path(__file__).resolve().parents[3] / "docs" / "samples" / "gan_keras.py").read_text()
    text = text.replace("CLASSES = 0", "CLASSES = 2").replace("64", "4").replace("32", "4")
    features, labels = striped_pictures(12, SIZE, seed=1)
    vectors = np.eye(2, dtype=np.float32)[labels].reshape(12, 1, 1, 2)
    data = make_dataset(tmp_path / "d", features, vectors, task="generic", label_kind="array", validation=4)
    events = train(data, tmp_path / "m", spec(text, batch_size=4, epochs=1))
    last = [e for e in events if isinstance(e, MetricEvent) and e.phase == "val"][-1].values
    assert last["loss"] == pytest.approx(sum(last[name] for name in ("discriminator", "generator", "encoder")), rel=1e-5)
    predictor = trained(tmp_path / "m", 1)
    made = predictor.predict(np.random.default_rng(0).normal(size=(3, 1, 1, 102)).astype(np.float32))["output"]
    assert made.shape == (3, 1, SIZE, SIZE)
    assert np.isfinite(made).all()
    assert made.std(axis=0).max() > 0  # other numbers, another picture
    assert predictor.predict(features[:2])["code"].shape == (2, 100)
    exporter = SavedModelExporter()
    exporter.write(predictor, tmp_path, {})
    numbers = noise_features(predictor.meta)
    assert numbers.shape == (3, 1, 1, 102)
    assert parity(predictor, exporter.run(tmp_path), numbers) < CLOSE  # the generator alone
