"""However records are divided into batches, and in whatever order they come: the loss, every metric and the step of the optimizer
are those of all records at once, which are those of the plain formula."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from digits.domain.training import TaskOptions
from digits.engines.training.loop import TrainingLoop
from digits.errors import NetworkError
from digits.networks.detector import Detector
from tests.truth.engines import ENGINES
from tests.truth.losses import CASES, CHANNELS, SIDE, VOID, Case
from tests.truth.memory import memory_run, opened, put_weights, step_over, validate, weights_of

RECORDS = 7
EXAMPLES = 6
CLOSE = {"rtol": 1e-6, "atol": 1e-6}

TEXTS = {
    ("pytorch", False): "from torch import nn\ndef build_network(context):\n"
    "    return nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(context.input_shape[0], {outputs}))\n",
    ("pytorch", True): "from torch import nn\ndef build_network(context):\n"
    "    return nn.Conv2d(context.input_shape[0], {outputs}, 1)\n",
    ("tensorflow", False): "import keras\ndef build_network(context):\n"
    "    channels, height, width = context.input_shape\n"
    "    pooled = [keras.Input((height, width, channels)), keras.layers.GlobalAveragePooling2D()]\n"
    "    return keras.Sequential([*pooled, keras.layers.Dense({outputs})])\n",
    ("tensorflow", True): "import keras\ndef build_network(context):\n"
    "    channels, height, width = context.input_shape\n"
    "    return keras.Sequential([keras.Input((height, width, channels)), keras.layers.Conv2D({outputs}, 1)])\n",
}


@pytest.fixture(params=ENGINES)
def engine(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture(params=CASES, ids=lambda case: case.name)
def case(request: pytest.FixtureRequest) -> Case:
    return request.param


@pytest.fixture
def loop(case: Case, engine: str, tmp_path: Path) -> Iterator[TrainingLoop]:
    features, labels = drawn(case, 0)
    text = TEXTS[engine, case.over_pixels].format(outputs=case.outputs) + case.text.get(engine, "")
    run = memory_run(
        tmp_path / "model",
        features,
        labels,
        task=case.task,
        label_kind=case.label_kind,
        classes=case.classes,
        framework=engine,
        network=text,
        loss=case.loss,
        batch_accumulation=2,
        options=TaskOptions(class_weights=case.weights or ""),
    )
    with opened(run) as found:
        yield found


def drawn(case: Case, seed: int) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    return rng.normal(size=(RECORDS, CHANNELS, SIDE, SIDE)).astype(np.float32), case.labels(rng, RECORDS)


def put(loop: TrainingLoop, features: np.ndarray, labels: np.ndarray) -> None:
    step: Any = loop.training_step
    for records in (step.validation.records, loop.source.records):
        records.put(features, labels)


def formula_of(case: Case, engine: str, data: tuple[np.ndarray, np.ndarray], weights: list[np.ndarray]) -> Any:
    """The loss over all records by the case's formula, float64, and its gradients in the engine's layout; None where nothing
    counts."""
    shape = (CHANNELS, case.outputs) if engine == "tensorflow" else (case.outputs, CHANNELS)
    matrix, bias = (torch.from_numpy(w).double().reshape(s).requires_grad_() for w, s in zip(weights, (shape, -1), strict=True))
    x = torch.from_numpy(data[0]).double()  # (N, C, H, W)
    x = x if case.over_pixels else x.mean((2, 3))
    linear = "nc...,co->no..." if engine == "tensorflow" else "nc...,oc->no..."
    scores = torch.einsum(linear, x, matrix) + bias.reshape(-1, *[1] * (x.ndim - 2))
    truth = torch.from_numpy(data[1])
    loss = case.formula(scores, truth[:, 0].long() if case.task == "segmentation" else truth)
    if loss is None:
        return None
    gradients = torch.autograd.grad(loss, (matrix, bias))
    return float(loss.detach()), [found.numpy().reshape(like.shape) for found, like in zip(gradients, weights, strict=True)]


@st.composite
def divisions(draw: st.DrawFn) -> list[list[int]]:
    """All records in some order, divided into batches of any sizes."""
    order = draw(st.permutations(range(RECORDS)))
    cuts = sorted(draw(st.sets(st.integers(1, RECORDS - 1))))
    return [order[a:b] for a, b in zip([0, *cuts], [*cuts, RECORDS], strict=True)]


def test_batches_change_no_number(case: Case, engine: str, loop: TrainingLoop) -> None:
    first = weights_of(loop)

    @settings(max_examples=EXAMPLES)
    @given(seed=st.integers(0, 1000), batches=divisions(), size=st.integers(1, RECORDS))
    def holds(seed: int, batches: list[list[int]], size: int) -> None:
        data = drawn(case, seed)
        put(loop, *data)
        put_weights(loop, first)
        wanted = formula_of(case, engine, data, first)
        whole, parts = validate(loop, RECORDS), validate(loop, size, [i for batch in batches for i in batch])
        assert parts == pytest.approx(whole, rel=1e-6, abs=1e-6)
        seen, moved = step_over(loop, batches), weights_of(loop)
        if wanted is None:
            assert not {"loss"} & (whole.keys() | seen.keys())
            assert all((new == old).all() for new, old in zip(moved, first, strict=True))
            return
        loss, gradients = wanted
        assert (whole["loss"], seen["loss"]) == pytest.approx((loss, loss), rel=1e-6, abs=1e-6)
        for new, old, gradient in zip(moved, first, gradients, strict=True):
            np.testing.assert_allclose(new, old - gradient, **CLOSE)

    holds()


MEANS = {  # over the pixels that count, of which there may be none
    "pytorch": "import torch.nn.functional as F\ndef mean(outputs, targets):\n"
    "    kept = (targets != 255).float()\n"
    "    return (F.cross_entropy(outputs, targets, ignore_index=255, reduction='none') * kept).sum() / kept.sum()\n"
    "def metrics(outputs, targets):\n    return {'own': mean(outputs, targets)}\nloss = mean\n",
    "tensorflow": "from keras import ops\ndef mean(outputs, targets):\n"
    "    kept = ops.cast(targets != 255, 'float32')\n"
    "    logs = ops.log_softmax(outputs, -1)\n"
    "    known = ops.cast(ops.where(targets == 255, 0, targets), 'int32')\n"
    "    return -ops.sum(ops.take_along_axis(logs, known[..., None], axis=-1)[..., 0] * kept) / ops.sum(kept)\n"
    "def metrics(outputs, targets):\n    return {'own': mean(outputs, targets)}\nloss = mean\n",
}


@pytest.mark.parametrize("engine", ENGINES)
def test_pictures_without_a_label_add_nothing_to_a_mean_of_a_text(engine: str, tmp_path: Path) -> None:
    case = next(case for case in CASES if case.task == "segmentation")
    features, labels = drawn(case, 1)
    labels[:] = np.random.default_rng(2).integers(0, case.classes, labels.shape)
    labels[[1, 4]] = VOID
    text = TEXTS[engine, True].format(outputs=case.outputs) + MEANS[engine]
    options = {"task": case.task, "label_kind": "map", "classes": case.classes, "framework": engine, "network": text}
    with opened(memory_run(tmp_path / "model", features, labels, batch_accumulation=2, **options)) as loop:
        first = weights_of(loop)
        seen = step_over(loop, [[0], [1], [4], [5]])
        loss, gradients = formula_of(case, engine, (features[[0, 5]], labels[[0, 5]]), first)  # both have as many labels
        assert seen["loss"] == pytest.approx(loss, rel=1e-6)
        for new, old, gradient in zip(weights_of(loop), first, gradients, strict=True):
            np.testing.assert_allclose(new, old - gradient, **CLOSE)
        put_weights(loop, first)
        assert step_over(loop, [[1], [4]]) == {}
        assert step_over(loop, [[4]]) == {}
        assert all((new == old).all() for new, old in zip(weights_of(loop), first, strict=True))
        loss, _ = formula_of(case, engine, (features, labels), first)
        assert [validate(loop, size)[name] for size in (1, 7) for name in ("loss", "own")] == pytest.approx([loss] * 4, rel=1e-6)


MEAN_TIMES_NUMBER = {  # whose sum is NaN, and its gradient too, where nothing is far
    "pytorch": "def loss(outputs, targets):\n"
    "    far = (targets > 1).float()\n    near = 1 - far\n"
    "    sizes = {'far': far, 'near': near}\n"
    "    means = {k: (outputs.square() * v).sum() / v.sum() for k, v in sizes.items()}\n"
    "    return {k: (means[k] * v.sum(), v.sum()) for k, v in sizes.items()}\n",
    "tensorflow": "from keras import ops\ndef loss(outputs, targets):\n"
    "    far = ops.cast(targets > 1, 'float32')\n    near = 1 - far\n"
    "    sizes = {'far': far, 'near': near}\n"
    "    means = {k: ops.sum(ops.square(outputs) * v) / ops.sum(v) for k, v in sizes.items()}\n"
    "    return {k: (means[k] * ops.sum(v), ops.sum(v)) for k, v in sizes.items()}\n",
}


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("accumulation", [1, 2])
def test_what_weighs_nothing_may_be_no_number(engine: str, accumulation: int, tmp_path: Path) -> None:
    case = next(case for case in CASES if case.task == "regression")
    features, labels = drawn(case, 1)
    labels[:] = 0.5
    labels[[1, 4]] = 2
    text = TEXTS[engine, False].format(outputs=case.outputs) + MEAN_TIMES_NUMBER[engine]
    options = {"task": case.task, "label_kind": "vector", "framework": engine, "batch_accumulation": accumulation}
    with opened(memory_run(tmp_path / "m", features, labels, **options, network=text)) as loop:
        first = weights_of(loop)
        divided = [[0], [1], [4, 3]] if accumulation > 1 else [[0]]
        seen, moved = step_over(loop, divided), weights_of(loop)
        put_weights(loop, first)
        batch = loop.source.load(np.array(sum(divided, [])))
        loop.training_step.train_batch(batch, 0, 1.0, 1.0, True)
        assert loop.training_step.healthy()
        assert loop.training_step.take().means()["loss"] == pytest.approx(seen["loss"], rel=1e-6)
        for one, other in zip(weights_of(loop), moved, strict=True):
            np.testing.assert_allclose(one, other, **CLOSE)
            assert np.isfinite(one).all()


PARTS = """
def loss(outputs, targets):
    far, near = outputs[targets > 1], outputs[targets <= 1]
    parts = {"near": (near.square().sum(), near.numel())}
    return parts if %s else parts | {"far": (far.sum(), far.numel()) if far.numel() else (%s, 0)}
"""


@pytest.mark.parametrize("nothing", ["0", "far.mean()"])  # which has no gradient, or is no number
def test_parts_with_weights_of_their_own_are_added_up_part_by_part(nothing: str, tmp_path: Path) -> None:
    case = next(case for case in CASES if case.task == "regression")
    features, labels = drawn(case, 1)
    labels[:] = 0.5
    labels[[1, 4]] = 2
    text = TEXTS["pytorch", True].format(outputs=case.outputs)
    options = {"task": case.task, "label_kind": "vector", "framework": "pytorch", "batch_accumulation": 3}
    with opened(memory_run(tmp_path / "m", features, labels, **options, network=text + PARTS % ("False", nothing))) as loop:
        first = weights_of(loop)
        apart, moved = step_over(loop, [[0], [2], [3]]), weights_of(loop)
        put_weights(loop, first)
        assert step_over(loop, [[0, 2, 3]])["loss"] == pytest.approx(apart["loss"], rel=1e-6)
        for one, other in zip(weights_of(loop), moved, strict=True):
            np.testing.assert_allclose(one, other, **CLOSE)
    run = memory_run(tmp_path / "n", features, labels, **options, network=text + PARTS % ("not far.numel()", 0))
    with opened(run) as loop, pytest.raises(NetworkError, match="other parts than before: near, far"):
        step_over(loop, [[0], [1], [2]])


def test_the_losses_of_the_detector_are_means_over_pictures() -> None:
    torch.manual_seed(0)
    network = Detector(3, 2, (21,) * 5).eval()  # one feature map, whatever the batch
    pictures, targets = torch.rand(4, 3, 64, 64), [objects(count) for count in (3, 2, 0, 1)]
    with torch.no_grad():
        maps = network.maps(pictures)
        whole = network.losses(*maps, targets)
        apart = [network.losses(*(m[i : i + 1] for m in maps), [targets[i]]) for i in range(4)]
    for name, value in whole.items():
        assert float(value) == pytest.approx(np.mean([float(one[name]) for one in apart]), rel=1e-6)


def objects(count: int) -> dict[str, Tensor]:
    corners = 40 * torch.rand(count, 2)
    boxes = torch.cat([corners, corners + 10 + 10 * torch.rand(count, 2)], dim=1)
    return {"boxes": boxes, "labels": torch.randint(0, 2, (count,)), "ignored": torch.zeros(0, 4)}
