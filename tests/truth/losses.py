"""Every loss with the labels it is for, and its formula over all records at once, float64, in plain torch."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

CHANNELS, SIDE, CLASSES, VOID = 3, 4, 3, 255
WEIGHTS = (0.25, 4.0, 1.0)
Formula = Callable[[Tensor, Tensor], Tensor]


@dataclass(frozen=True)
class Case:
    """`outputs` numbers come out of a linear layer: of a picture's mean, or for each pixel where the labels are maps. `text` are
    the lines of a network text that has a loss of its own, by engine. `formula(scores, labels)`, of scores (N, outputs, …), is
    None where nothing counts."""

    name: str
    task: str
    label_kind: str
    labels: Callable[[np.random.Generator, int], np.ndarray]
    formula: Callable[[Tensor, Tensor], Tensor | None]
    loss: str = ""
    outputs: int = CLASSES
    classes: int = 0
    weights: tuple[float, ...] = ()
    text: Mapping[str, str] = field(default_factory=dict)

    @property
    def over_pixels(self) -> bool:
        return self.task in ("segmentation", "processing", "generic")


def indices(rng: np.random.Generator, count: int) -> np.ndarray:
    return rng.integers(0, CLASSES, count)


def masks(rng: np.random.Generator, count: int) -> np.ndarray:
    """Maps (N, 1, H, W) with pixels that do not count, more in some pictures than in others and all in a third of them."""
    labels = rng.integers(0, CLASSES, (count, 1, SIDE, SIDE)).astype(np.uint8)
    share = rng.choice([0.0, 0.6, 1.0], count)[:, None, None, None]
    labels[rng.random(labels.shape) < share] = VOID
    return labels


def numbers(rng: np.random.Generator, count: int) -> np.ndarray:
    return rng.normal(size=(count, 2)).astype(np.float32)


def flags(rng: np.random.Generator, count: int) -> np.ndarray:
    return rng.integers(0, 2, (count, CLASSES)).astype(np.float32)


def pictures(rng: np.random.Generator, count: int) -> np.ndarray:
    return rng.normal(size=(count, 1, SIDE, SIDE)).astype(np.float32)


def cross_entropy(weights: tuple[float, ...] = ()) -> Formula:
    def formula(scores: Tensor, labels: Tensor) -> Tensor:
        items, truth = _items(scores, labels)
        weight = torch.tensor(weights or (1.0,) * CLASSES, dtype=torch.float64)[truth]
        own = items.log_softmax(1)[torch.arange(len(truth)), truth]
        return -(weight * own).sum() / weight.sum()

    return formula


def focal(weights: tuple[float, ...] = ()) -> Formula:
    def formula(scores: Tensor, labels: Tensor) -> Tensor:
        items, truth = _items(scores, labels)
        weight = torch.tensor(weights or (1.0,) * CLASSES, dtype=torch.float64)[truth]
        own = items.log_softmax(1)[torch.arange(len(truth)), truth]
        return -(weight * (1 - own.exp()) ** 2 * own).sum() / len(truth)

    return formula


def dice(scores: Tensor, labels: Tensor) -> Tensor:
    """One picture at a time, one class at a time."""
    losses = []
    for one, truth in zip(scores.softmax(1), labels, strict=True):
        kept = truth != VOID
        if not kept.any():
            continue
        found = []
        for k in truth[kept].unique():
            chance, is_class = one[k][kept], (truth[kept] == k).double()
            found.append((2 * (chance * is_class).sum() + 1) / (chance.sum() + is_class.sum() + 1))
        losses.append(1 - torch.stack(found).mean())
    return torch.stack(losses).mean()


def together(*formulas: Formula) -> Formula:
    return lambda scores, labels: torch.stack([formula(scores, labels) for formula in formulas]).sum()


def mean_of(function: Callable[[Tensor], Tensor]) -> Formula:
    return lambda scores, labels: function(scores - labels.reshape(scores.shape).double()).mean()


def huber(difference: Tensor) -> Tensor:
    return torch.where(difference.abs() < 1, difference**2 / 2, difference.abs() - 0.5)


def binary(scores: Tensor, labels: Tensor) -> Tensor:
    return F.binary_cross_entropy_with_logits(scores, labels.double())


def void_aware(formula: Formula) -> Callable[[Tensor, Tensor], Tensor | None]:
    return lambda scores, labels: formula(scores, labels) if (labels != VOID).any() else None


def _items(scores: Tensor, labels: Tensor) -> tuple[Tensor, Tensor]:
    """What counts, as scores (M, K) and classes (M,)."""
    flat, truth = scores.movedim(1, -1).reshape(-1, scores.shape[1]), labels.reshape(-1)
    return flat[truth != VOID], truth[truth != VOID]


def _map(name: str, formula: Formula, weights: tuple[float, ...] = (), **more: Any) -> Case:
    title = f"segmentation, {name}{' and class weights' if weights else ''}"
    loss = {} if "text" in more else {"loss": name}
    return Case(title, "segmentation", "map", masks, void_aware(formula), classes=CLASSES, weights=weights, **loss, **more)


def _class(name: str, formula: Formula, weights: tuple[float, ...] = ()) -> Case:
    title = f"classification, {name}{' and class weights' if weights else ''}"
    return Case(title, "classification", "index", indices, formula, name, classes=CLASSES, weights=weights)


DIFFERENCES = {"mse": mean_of(torch.square), "l1": mean_of(torch.abs), "smooth_l1": mean_of(huber)}

SUM_AND_WEIGHT = {
    "pytorch": "import torch.nn.functional as F\ndef loss(outputs, targets):\n"
    "    return F.cross_entropy(outputs, targets, ignore_index=255, reduction='sum'), (targets != 255).sum()\n",
    "tensorflow": "from keras import ops\ndef loss(outputs, targets):\n"
    "    kept = ops.cast(targets != 255, 'float32')\n"
    "    known = ops.where(targets == 255, 0, targets)\n"
    "    logs = ops.log_softmax(outputs, -1)\n"
    "    own = ops.take_along_axis(logs, ops.cast(known, 'int32')[..., None], axis=-1)[..., 0]\n"
    "    return -ops.sum(own * kept), ops.sum(kept)\n",
}
MIXED = {
    "pytorch": "def loss(outputs, targets):\n"
    "    difference = outputs - targets\n"
    "    far = (difference.abs() > 0.5).float()\n"
    "    return {'near': (difference ** 2).mean(), 'far': ((difference.abs() * far).sum(), far.sum())}\n",
    "tensorflow": "from keras import ops\ndef loss(outputs, targets):\n"
    "    difference = outputs - targets\n"
    "    far = ops.cast(ops.abs(difference) > 0.5, 'float32')\n"
    "    return {'near': ops.mean(difference ** 2), 'far': (ops.sum(ops.abs(difference) * far), ops.sum(far))}\n",
}


def mixed(scores: Tensor, labels: Tensor) -> Tensor:
    difference = scores - labels.double()
    far = difference.abs()[difference.abs() > 0.5]
    return (difference**2).mean() + (far.mean() if len(far) else 0)


CASES = (
    _class("cross_entropy", cross_entropy()),
    _class("cross_entropy", cross_entropy(WEIGHTS), WEIGHTS),
    _class("focal", focal()),
    _class("focal", focal(WEIGHTS), WEIGHTS),
    _map("cross_entropy", cross_entropy()),
    _map("cross_entropy", cross_entropy(WEIGHTS), WEIGHTS),
    _map("dice", dice),
    _map("cross_entropy_dice", together(cross_entropy(), dice)),
    _map("cross_entropy_dice", together(cross_entropy(WEIGHTS), dice), WEIGHTS),
    _map("focal", focal()),
    _map("focal_dice", together(focal(WEIGHTS), dice), WEIGHTS),
    _map("a text's own sum and weight", cross_entropy(), text=SUM_AND_WEIGHT),
    Case("multi_label, binary_cross_entropy", "multi_label", "vector", flags, binary, "binary_cross_entropy", classes=CLASSES),
    *(Case(f"regression, {name}", "regression", "vector", numbers, f, name, 2) for name, f in DIFFERENCES.items()),
    Case("regression, a text's own mean, sum and weight", "regression", "vector", numbers, mixed, outputs=2, text=MIXED),
    *(Case(f"processing, {name}", "processing", "array", pictures, f, name, 1) for name, f in DIFFERENCES.items()),
    Case("generic, mse", "generic", "array", pictures, DIFFERENCES["mse"], "mse", 1),
)
