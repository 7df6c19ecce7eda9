"""The losses of `engines.network.losses` for torch, and how a network text's own loss joins in."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from digits.domain.datasets import IGNORED
from digits.domain.inference import main_output
from digits.engines.base import names_of
from digits.engines.network.losses import FOCAL_GAMMA, NONE_IGNORED, SMALLEST, check_loss
from digits.errors import NetworkError

Loss = Callable[[Any, Tensor], dict[str, Tensor]]


def make_loss(
    name: str,
    own: Callable[..., Any] | None,
    *,
    ignored: int = NONE_IGNORED,
    class_weights: Tensor | None = None,
    probabilities: bool = False,
) -> Loss:
    """`(outputs, targets) -> {"loss": total, …}`, all scalars: the named loss on the main output; without a name the text's own
    or, where it has none, what the network gave, as networks of detection do.

    Targets of the value `ignored` do not count. `class_weights` is (K,) float32. `probabilities` says that outputs have been
    through a softmax.
    """
    if not name:
        return lambda outputs, targets: _own_values(outputs if own is None else own(outputs, targets))
    function = _FUNCTIONS[check_loss(name)]

    def loss(outputs: Any, targets: Tensor) -> dict[str, Tensor]:
        output = main_output(names_of(outputs))
        if probabilities:
            output = output.float().clamp(min=SMALLEST).log()
        return {"loss": function(output, targets, class_weights, ignored)}

    return loss


def _own_values(value: Any) -> dict[str, Tensor]:
    """What a text's loss gave: a scalar, or a mapping whose `loss` is the total (else the sum of all)."""
    if isinstance(value, Tensor):
        return {"loss": _scalar(value)}
    if not isinstance(value, Mapping) or not value:
        raise NetworkError(
            f"loss(outputs, targets) gave {type(value).__name__}.", advice="Return a scalar tensor or a dictionary of them."
        )
    values = {name: _scalar(part) for name, part in value.items()}
    return values if "loss" in values else {"loss": sum(values.values()), **values}


def _scalar(value: Any) -> Any:
    """A scalar as it is, else the mean."""
    return value.mean() if isinstance(value, Tensor) and value.numel() > 1 else value


def cross_entropy(output: Tensor, target: Tensor, weights: Tensor | None = None, ignored: int = NONE_IGNORED) -> Tensor:
    """Mean cross-entropy, a scalar, of scores (N, K, …) before softmax and class indices int64 (N, …); `weights` (K,)."""
    return F.cross_entropy(output, target, weight=weights, ignore_index=ignored)


def soft_dice(output: Tensor, target: Tensor, weights: Tensor | None = None, ignored: int = IGNORED) -> Tensor:
    """1 − mean Dice over the classes in the batch, a scalar in [0, 1], of scores (N, K, …) before softmax and class indices
    int64 (N, …); Milletari 2016, pooled over the batch. `weights` are not used."""
    scores = output.float().softmax(dim=1)  # (N, K, …)
    kept = (target != ignored).unsqueeze(1)
    truth = F.one_hot(target.clamp(0, scores.shape[1] - 1), scores.shape[1]).movedim(-1, 1) * kept
    scores = scores * kept
    axes = [0, *range(2, scores.ndim)]
    inter, sizes = (scores * truth).sum(axes), (scores + truth).sum(axes)  # (K,)
    present = truth.sum(axes) > 0
    dice = (2 * inter + 1) / (sizes + 1)
    return 1 - (dice * present).sum() / present.sum().clamp(min=1)


def cross_entropy_dice(output: Tensor, target: Tensor, weights: Tensor | None = None, ignored: int = IGNORED) -> Tensor:
    """`cross_entropy` + `soft_dice`, a scalar, of scores (N, K, …) before softmax and class indices int64 (N, …)."""
    return cross_entropy(output, target, weights, ignored) + soft_dice(output, target, None, ignored)


def focal(output: Tensor, target: Tensor, weights: Tensor | None = None, ignored: int = NONE_IGNORED) -> Tensor:
    """Focal loss of Lin 2017, a scalar: cross-entropy times (1 − p)^gamma, mean over what is not ignored, of scores (N, K, …)
    before softmax and class indices int64 (N, …); `weights` (K,)."""
    logs = F.log_softmax(output.float(), dim=1)  # (N, K, …)
    plain = F.nll_loss(logs, target, ignore_index=ignored, reduction="none")
    weighted = F.nll_loss(logs, target, weight=weights, ignore_index=ignored, reduction="none")
    kept = (target != ignored).sum().clamp(min=1)
    return (weighted * (1 - torch.exp(-plain)) ** FOCAL_GAMMA).sum() / kept


def binary_cross_entropy(output: Tensor, target: Tensor, weights: Tensor | None = None, ignored: int = NONE_IGNORED) -> Tensor:
    """Of scores (N, K or more) and labels (N, K) of 0 and 1, mean over pictures and labels."""
    return F.binary_cross_entropy_with_logits(output.float()[:, : target.shape[1]], target.float())


def focal_dice(output: Tensor, target: Tensor, weights: Tensor | None = None, ignored: int = IGNORED) -> Tensor:
    """`focal` + `soft_dice`, a scalar, of scores (N, K, …) before softmax and class indices int64 (N, …)."""
    return focal(output, target, weights, ignored) + soft_dice(output, target, None, ignored)


def _numbers(function: Callable[[Tensor, Tensor], Tensor]) -> Callable[..., Tensor]:
    def loss(output: Tensor, target: Tensor, weights: Tensor | None = None, ignored: int = NONE_IGNORED) -> Tensor:
        return function(output.float(), target.float().reshape(output.shape))

    return loss


_FUNCTIONS: dict[str, Callable[..., Tensor]] = {
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
