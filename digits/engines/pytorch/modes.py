"""The modes of a network's modules. What the text left in evaluation mode, such as a normalisation that it froze by `eval()` or
in a `train()` of its own, stays so all through a training; evaluation borrows the modules and gives each its mode back.

The losses of a detector's validation are those of its training branch, all else as in evaluation: only the modules that take the
targets are in training mode; dropout and normalisation that are called as functions are told that nothing is trained, and the
random choice of samples is the same for a picture each time.
"""

from __future__ import annotations

import contextlib
import inspect
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

TARGETS = "targets"
SAMPLER = "fg_bg_sampler"  # of torchvision's detectors: which candidates count in a loss
OF_RANDOM_SIZE = "GeneralizedRCNNTransform"  # takes targets, but in training mode only draws a size
FLAGS: dict[Callable[..., Any], str] = {
    **dict.fromkeys(
        (F.dropout, F.dropout1d, F.dropout2d, F.dropout3d, F.alpha_dropout, F.feature_alpha_dropout, F.rrelu), "training"
    ),
    F.multi_head_attention_forward: "training",
    F.batch_norm: "training",
    F.instance_norm: "use_input_stats",
}  # functions that are told by an argument whether the network trains
PLACES = {torch.dropout: 2, torch.feature_dropout: 2, torch.alpha_dropout: 2, torch.feature_alpha_dropout: 2}
NORMALISATIONS = (F.batch_norm, F.instance_norm)  # without statistics of their own they take the batch's in any mode


@contextlib.contextmanager
def evaluating(module: nn.Module) -> Iterator[None]:
    """All of the network is in evaluation mode; afterwards each module is in the one that it had."""
    before = [(child, child.training) for child in module.modules()]
    module.eval()
    try:
        yield
    finally:
        put_back(before)


def put_back(modes: Sequence[tuple[nn.Module, bool]]) -> None:
    """Give modules their modes, parents before their children: `train` may do more than set the flag."""
    for child, training in modes:
        if child.training != training:
            child.train(training)


def settle(module: nn.Module) -> None:
    """What a text's own `train()` leaves in evaluation mode is in it from the start, as what `build_network` left in it: nothing
    else calls `train` of the whole."""
    if module.training:
        before = [child.training for child in module.modules()]
        module.train()
        put_back([(child, child.training and was) for child, was in zip(module.modules(), before, strict=True)])


def is_all_evaluation(module: nn.Module) -> bool:
    return not any(child.training for child in module.modules())


def normalises_batches(module: nn.Module) -> bool:
    """Whether a module normalises over its batch while the network trains."""
    kind = nn.modules.batchnorm._BatchNorm
    return any(isinstance(child, kind) and child.training for child in module.modules())


def loss_parts(module: nn.Module) -> list[nn.Module]:
    """The modules of a detector that give losses where they are in training mode: itself, and those that take the targets."""
    inner = [child for child in module.modules() if child is not module and _takes_targets(child)]
    return [module, *inner]


def let_give_losses(module: nn.Module) -> list[nn.Module]:
    """The parts that give its losses in training; of a network that is in evaluation mode as a whole they are put into training
    mode, without which there is no loss."""
    parts = loss_parts(module)
    if not module.training:
        for part in parts:
            part.training = True
    return [part for part in parts if part.training]


@contextlib.contextmanager
def losses_of(parts: Sequence[nn.Module]) -> Iterator[None]:
    """A network that is in evaluation mode gives its losses, by those `parts` of it, and all else is as it was."""
    samplers = [(part, getattr(part, SAMPLER)) for part in parts if callable(getattr(part, SAMPLER, None))]
    try:
        for part in parts:
            part.training = True
        for part, sampler in samplers:
            setattr(part, SAMPLER, _Repeatable(sampler))
        with _AsEvaluation():
            yield
    finally:
        for part in parts:
            part.training = False
        for part, sampler in samplers:
            setattr(part, SAMPLER, sampler)


def _takes_targets(module: nn.Module) -> bool:
    if any(base.__name__ == OF_RANDOM_SIZE for base in type(module).__mro__):
        return False
    try:
        return TARGETS in inspect.signature(module.forward).parameters
    except (TypeError, ValueError):
        return False


class _AsEvaluation(TorchFunctionMode):
    """Functions that are told that the network trains hear that it does not."""

    def __torch_function__(self, function: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = dict(kwargs or {})
        flag = FLAGS.get(function, "")
        if flag and (function not in NORMALISATIONS or _has_statistics(args, kwargs)):
            kwargs[flag] = False
        elif function in PLACES:
            place = PLACES[function]
            kwargs |= {"train": False} if "train" in kwargs else {}
            args = (*args[:place], False, *args[place + 1 :]) if len(args) > place else args
        elif function is F.scaled_dot_product_attention:
            kwargs |= {"dropout_p": 0.0} if "dropout_p" in kwargs else {}
            args = (*args[:4], 0.0, *args[5:]) if len(args) > 4 else args
        return function(*args, **kwargs)


def _has_statistics(args: Any, kwargs: Any) -> bool:
    return (args[1] if len(args) > 1 else kwargs.get("running_mean")) is not None


class _Repeatable:
    """A sampler of torchvision that draws for each picture the same, whatever was drawn before and however many there are."""

    def __init__(self, sampler: Callable[[list[Tensor]], tuple[list[Tensor], list[Tensor]]]) -> None:
        self.sampler = sampler

    def __call__(self, matched: list[Tensor]) -> tuple[list[Tensor], list[Tensor]]:
        """Masks (n,) of what counts as object and as background, of the matches (n,) of each picture."""
        found = [self._of_one(one) for one in matched]
        return [masks[0][0] for masks in found], [masks[1][0] for masks in found]

    def _of_one(self, matched: Tensor) -> tuple[list[Tensor], list[Tensor]]:
        with torch.random.fork_rng([matched.device] if matched.is_cuda else []):
            torch.manual_seed(0)
            return self.sampler([matched])
