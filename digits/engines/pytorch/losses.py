"""The losses of `engines.network.losses` for torch, and how a network text's own loss joins in.

A loss hands up sums and weights (see `engines.training.totals`): a tensor, or a number where the host knows how much counts.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from digits.domain.datasets import IGNORED
from digits.domain.inference import main_output
from digits.engines.base import names_of
from digits.engines.network.checks import named_values
from digits.engines.network.losses import FOCAL_GAMMA, LOSS_ADVICE, NONE_IGNORED, SMALLEST, SameParts, check_loss
from digits.engines.network.several_losses import gives_several, joint_loss, read_entries
from digits.engines.training.totals import LossValue, Totals, one_mean, one_part, total_of
from digits.errors import NetworkError

Loss = Callable[[Any, Tensor], dict[str, LossValue]]


def make_loss(
    name: str,
    own: Callable[..., Any] | None,
    *,
    ignored: int = NONE_IGNORED,
    class_weights: Tensor | None = None,
    probabilities: bool = False,
) -> Loss:
    """`(outputs, targets) -> {"loss": total, …}`: the named loss on the main output; without a name the text's own or, where it
    has none, what the network gave, as networks of detection do.

    Targets of the value `ignored` do not count. `class_weights` is (K,) float32. `probabilities` says that outputs have been
    through a softmax.
    """
    if not name:
        same = SameParts()

        def texts_loss(outputs: Any, targets: Tensor) -> dict[str, LossValue]:
            values = own_loss(own, outputs, targets, ignored)
            same.check(values["loss"].names)
            return values

        return texts_loss
    function = _FUNCTIONS[check_loss(name)]

    def loss(outputs: Any, targets: Tensor) -> dict[str, LossValue]:
        output = main_output(names_of(outputs))
        if probabilities:
            output = output.float().clamp(min=SMALLEST).log()
        return {"loss": function(output, targets, class_weights, ignored)}

    return loss


def own_loss(own: Callable[..., Any] | None, outputs: Any, targets: Tensor, ignored: int) -> dict[str, LossValue]:
    """What a text's loss gives of outputs and targets (N, …). What weighs nothing may be no number, as a mean over a batch
    without a label, and so may its gradient: it is left out. (A GPU is waited for to know this, only where the weight of a
    text's loss is a tensor.)"""
    value, samples = outputs if own is None else own(outputs, targets), labelled(targets, ignored)
    if gives_several(value):
        return _several(value, outputs, samples)
    if isinstance(value, Mapping):
        value = {name: _without_nothing(part, outputs, samples) for name, part in value.items()}
    return weighted_values(_without_nothing(value, outputs, samples), samples)


def _several(value: Any, outputs: Any, samples: Any) -> dict[str, LossValue]:
    """The losses of a list by their names, and their sum."""
    entries = read_entries(value)
    values = {entry.name: _weighted(_without_nothing(entry.loss, outputs, samples), samples) for entry in entries}
    return {"loss": joint_loss(entries, list(values.values())), **values}


def _without_nothing(part: Any, outputs: Any, samples: Any) -> Any:
    """A part of what a text's loss gave, but 0 with gradients of 0 where it weighs nothing."""
    if isinstance(part, Mapping):
        return part
    is_pair = isinstance(part, tuple)
    if (is_pair and len(part) != 2) or _weighs(part[1] if is_pair else samples):
        return part
    tensors = [output for output in names_of(outputs).values() if isinstance(output, Tensor)]
    nothing = sum((output * 0).sum() for output in tensors)
    return (nothing, 0.0) if is_pair else nothing


def _weighs(weight: Any) -> bool:
    return bool(weight.detach().sum() != 0) if isinstance(weight, Tensor) else float(weight) != 0


def own_metrics(own: Callable[..., Any], outputs: Any, targets: Tensor, ignored: int) -> dict[str, LossValue]:
    """What a text's metrics give, with their weights as `weighted_values` has them; vectors are averaged."""
    samples = labelled(targets, ignored)
    found = named_values(own(outputs, targets))
    return {name: _weighted(v if isinstance(v, tuple) else torch.as_tensor(v).float(), samples) for name, v in found.items()}


def labelled(targets: Tensor, ignored: int) -> Any:
    """The number of samples with a label in targets (N, …): a tensor where some may have none."""
    if ignored == NONE_IGNORED or targets.is_floating_point():
        return float(len(targets))
    return (targets != ignored).flatten(1).any(1).sum()


def weighted_values(value: Any, samples: Any) -> dict[str, LossValue]:
    """What a text's loss or a detector gave: a scalar (the mean of `samples` samples), a sum with its weight, or a mapping of
    either whose `loss` is the total (else the sum of all)."""
    if isinstance(value, Tensor | tuple):
        return {"loss": _weighted(value, samples)}
    if not isinstance(value, Mapping) or not value:
        raise NetworkError(f"loss(outputs, targets) gave {type(value).__name__}.", advice=LOSS_ADVICE)
    values = {str(name): _weighted(part, samples) for name, part in value.items()}
    return values if "loss" in values else {"loss": total_of(values, samples), **values}


def _weighted(value: Any, samples: Any) -> LossValue:
    """A mean with the number of samples as its weight, or a sum with the weight that the text says. Vectors are averaged, but
    summed up where they are said to be sums."""
    if not isinstance(value, tuple):
        return one_part(torch.as_tensor(value).mean() * samples, samples)
    if len(value) != 2:
        raise NetworkError(f"loss(outputs, targets) gave {len(value)} values, expected a sum and its weight.", advice=LOSS_ADVICE)
    total, weight = value
    weight = weight.detach().sum() if isinstance(weight, Tensor) else float(weight)
    return one_part(torch.as_tensor(total).sum(), weight)


def cross_entropy(output: Tensor, target: Tensor, weights: Tensor | None = None, ignored: int = NONE_IGNORED) -> LossValue:
    """Cross-entropy of scores (N, K, …) before softmax and class indices int64 (N, …), each item times the weight (K,) of its
    class; the weights of what is not ignored."""
    weights = _padded(weights, output)
    if weights is None and ignored == NONE_IGNORED and target.numel():
        return one_mean(F.cross_entropy(output, target, ignore_index=ignored), float(target.numel()))
    total = F.cross_entropy(output, target, weight=weights, ignore_index=ignored, reduction="sum")
    if weights is None:
        return one_part(total, _kept(target, ignored))
    kept = target != ignored
    return one_part(total, (weights[torch.where(kept, target, 0)] * kept).sum())


def soft_dice(output: Tensor, target: Tensor, weights: Tensor | None = None, ignored: int = IGNORED) -> LossValue:
    """1 − mean Dice of the classes in a picture, of scores (N, K, …) before softmax and class indices int64 (N, …); Milletari
    2016. The pictures of which a pixel is not ignored. `weights` are not used."""
    target = target.flatten(1)[:, None]  # (N, 1, P)
    kept = target != ignored
    scores = output.float().flatten(2) if output.ndim > 2 else output.float()[..., None]
    scores = scores.softmax(dim=1) * kept  # (N, K, P)
    truth = (target == torch.arange(scores.shape[1], device=target.device)[:, None]) & kept  # (N, K, P)
    sizes, inter = truth.sum(2), (scores * truth).sum(2)  # (N, K)
    dice = (2 * inter + 1) / (scores.sum(2) + sizes + 1)
    present = sizes > 0
    means = (dice * present).sum(1) / present.sum(1).clamp(min=1)  # (N,)
    pictures = kept.flatten(1).any(1)
    return one_part(((1 - means) * pictures).sum(), float(len(target)) if ignored == NONE_IGNORED else pictures.sum())


def cross_entropy_dice(output: Tensor, target: Tensor, weights: Tensor | None = None, ignored: int = IGNORED) -> LossValue:
    """`cross_entropy` + `soft_dice` of scores (N, K, …) before softmax and class indices int64 (N, …)."""
    return cross_entropy(output, target, weights, ignored) + soft_dice(output, target, None, ignored)


def focal(output: Tensor, target: Tensor, weights: Tensor | None = None, ignored: int = NONE_IGNORED) -> LossValue:
    """Focal loss of Lin 2017: cross-entropy times (1 − p)^gamma, of scores (N, K, …) before softmax and class indices int64
    (N, …), each item times the weight (K,) of its class; the number of what is not ignored."""
    logs = F.log_softmax(output.float(), dim=1)  # (N, K, …)
    plain = F.nll_loss(logs, target, ignore_index=ignored, reduction="none")
    weights = _padded(weights, output)
    weighted = plain if weights is None else F.nll_loss(logs, target, weight=weights, ignore_index=ignored, reduction="none")
    return one_part((weighted * (1 - torch.exp(-plain)) ** FOCAL_GAMMA).sum(), _kept(target, ignored))


def binary_cross_entropy(output: Tensor, target: Tensor, weights: Tensor | None = None, ignored: int = NONE_IGNORED) -> LossValue:
    """Of scores (N, K or more) and labels (N, K) of 0 and 1; the number of labels, N · K."""
    scores = output.float()[:, : target.shape[1]]
    return one_mean(F.binary_cross_entropy_with_logits(scores, target.float()), float(target.numel()))


def focal_dice(output: Tensor, target: Tensor, weights: Tensor | None = None, ignored: int = IGNORED) -> LossValue:
    """`focal` + `soft_dice` of scores (N, K, …) before softmax and class indices int64 (N, …)."""
    return focal(output, target, weights, ignored) + soft_dice(output, target, None, ignored)


def _kept(target: Tensor, ignored: int) -> Any:
    return float(target.numel()) if ignored == NONE_IGNORED else (target != ignored).sum()


def _padded(weights: Tensor | None, output: Tensor) -> Tensor | None:
    """Weights of as many classes as there are scores; those of no class count 1."""
    if weights is None or len(weights) >= output.shape[1]:
        return weights
    return F.pad(weights, (0, output.shape[1] - len(weights)), value=1.0)


def _numbers(function: Callable[..., Tensor]) -> Callable[..., LossValue]:
    """A loss of an output and targets of as many numbers; the number of them."""

    def loss(output: Tensor, target: Tensor, weights: Tensor | None = None, ignored: int = NONE_IGNORED) -> LossValue:
        mean = function(output.float(), target.float().reshape(output.shape))
        return one_mean(mean, float(output.numel()))

    return loss


_FUNCTIONS: dict[str, Callable[..., LossValue]] = {
    "cross_entropy": cross_entropy,
    "cross_entropy_dice": cross_entropy_dice,
    "dice": soft_dice,
    "focal": focal,
    "focal_dice": focal_dice,
    "binary_cross_entropy": binary_cross_entropy,
    "mse": _numbers(F.mse_loss),
    "l1": _numbers(F.l1_loss),
    "smooth_l1": _numbers(F.smooth_l1_loss),
}


def totals_of(values: dict[str, LossValue]) -> Totals:
    """Values of a batch as numbers."""
    return Totals(
        {name: [part.noted(float).sum for part in value.parts] for name, value in values.items()},
        {name: [float(part.weight) for part in value.parts] for name, value in values.items()},
    )
