"""From a network text to a torch module that was fed zeros and found to fit the data."""

from __future__ import annotations

import base64
import contextlib
import copy
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.parameter import is_lazy

from digits.domain.inference import main_output
from digits.engines.base import LayerRow, NetworkContext, NetworkReport, names_of
from digits.engines.network.checks import (
    ALL_EVALUATION,
    SEVERAL,
    SIGMOID_NOTE,
    activation,
    are_probabilities,
    batch_size_of,
    check_callables,
    check_outputs,
    export_shape_of,
    labels_of,
    looks_like_sigmoid,
    needs_scores,
    noise,
    short,
    softmax_note,
    task_of,
    unknown_sizes,
)
from digits.engines.network.own_metrics import declared_in
from digits.engines.network.several_losses import (
    GradientHook,
    gives_several,
    gradient_hook,
    optimizers_of,
    read_entries,
    with_network,
)
from digits.engines.network.text import DOWNLOAD_SECONDS, WHAT_TO_WRITE, compile_text, run_text
from digits.engines.pytorch.boxes import probe_boxes, probe_targets, try_losses
from digits.engines.pytorch.dynamo import import_torchvision
from digits.engines.pytorch.graph import graph_of
from digits.engines.pytorch.modes import evaluating, is_all_evaluation, let_give_losses, settle
from digits.errors import NetworkError

WHOLE = "network"  # the name of one that is a single layer
PROBE = 2  # pictures of zeros; one would hide a missing batch axis


@dataclass
class TorchNetwork:
    """A built network with what its text says beside it. `note` says why pretrained weights are missing, if they are."""

    module: nn.Module
    loss: Callable[..., Any] | None
    metrics: Callable[..., Any] | None
    batch_size: int | None
    note: str = ""
    probabilities: bool = False  # in evaluation mode it ends in a softmax of its own; known once it was checked
    trains_on_probabilities: bool = False  # the same in training mode
    sigmoid: bool = False  # in evaluation mode it seems to end in a sigmoid, where scores are wanted
    declared: dict[str, dict[str, str]] = field(default_factory=dict)  # what it says of its own metrics
    pretrained: bool = False  # `build_network` was told to load published weights, and did
    gradient_hook: GradientHook | None = None  # what the text does with gradients before a step
    export_shape: tuple[int, ...] | None = None  # (C, H, W) of the numbers that exports take in the place of pictures


def build(text: str, context: NetworkContext) -> TorchNetwork:
    """Run the text and its `build_network`. Pretrained weights that cannot be had are random instead, said in `note`."""
    if "torchvision" in text:
        import_torchvision()
    names = compile_text(text, "pytorch")
    check_callables(names)
    note = ""
    if context.pretrained and "pretrained" not in text:
        note = "This network text has no pretrained weights"
        context = replace(context, pretrained=False)
    module = None
    if context.pretrained:
        try:
            module = _module(names, context, DOWNLOAD_SECONDS)
        except NetworkError as error:
            note = f"Its pretrained weights cannot be had ({short(error.__cause__ or error)})"
            context = replace(context, pretrained=False)
    module = module or _module(names, context)
    return TorchNetwork(
        module,
        with_network(names.get("loss"), module),
        names.get("metrics"),
        batch_size_of(names),
        note,
        declared=declared_in(names),
        pretrained=context.pretrained,
        gradient_hook=gradient_hook(names),
        export_shape=export_shape_of(names),
    )


def report(text: str, context: NetworkContext) -> NetworkReport:
    """Build, probe and describe a network."""
    network = build(text, context)
    rows, shapes = _checked(network, context) if context.judged else _shown(network, context)
    return NetworkReport(
        parameters=_count(network.module.parameters()),
        output_shapes=shapes,
        layers=tuple(rows),
        batch_size=network.batch_size,
        has_loss=network.loss is not None,
        has_metrics=network.metrics is not None,
        warnings=tuple(filter(None, (network.note, *mode_notes(network)))),
        graph=_drawn(network.module, context),
    )


def mode_notes(network: TorchNetwork) -> tuple[str, ...]:
    """What a checked network does differently in evaluation mode and in training mode that its author may not mean."""
    softmax = softmax_note(network.probabilities, network.trains_on_probabilities)
    return softmax, SIGMOID_NOTE if network.sigmoid else "", ALL_EVALUATION if is_all_evaluation(network.module) else ""


def _drawn(module: nn.Module, context: NetworkContext) -> str:
    """The graph of the report."""
    from digits.engines.network.graph_file import graph_file  # loads onnx, which trainings and predictors do without

    try:
        with evaluating(module), torch.no_grad():
            nodes = run_text(lambda: graph_of(module, torch.zeros(PROBE, *context.input_shape)))
        return base64.b64encode(graph_file(nodes, type(module).__name__)).decode()
    except Exception:  # a text may do what the recorder does not bear; the table of layers is there all the same
        return ""


def check_module(network: TorchNetwork, context: NetworkContext) -> dict[str, tuple[int, ...]]:
    """Feed zeros and hold the outputs against the labels; the shapes without the batch axis."""
    return _checked(network, context)[1]


def _checked(network: TorchNetwork, context: NetworkContext) -> tuple[list[LayerRow], dict[str, tuple[int, ...]]]:
    rows, outputs = _probe(network.module, context)
    shapes = {name: tuple(value.shape[1:]) for name, value in outputs.items()}
    if network.loss is None or needs_scores(context):
        check_outputs(shapes, context)
    if network.loss is not None and not gives_losses(context):
        _check_losses(network, context)
    if activation(context) == "softmax":
        network.probabilities = are_probabilities(_last(outputs)) and _ends_in_softmax(network.module, context)
        network.trains_on_probabilities = _trains_on_probabilities(network, context)
    elif activation(context) == "sigmoid":
        network.sigmoid = looks_like_sigmoid(_of_noise(network.module, context, SEVERAL))
    return rows, shapes


def _check_losses(network: TorchNetwork, context: NetworkContext) -> None:
    """NetworkError for a list of losses that cannot move what it names, tried on a copy with zeros for pictures and targets. From
    a loss that bears no zeros nothing is concluded: the training says what is wrong with it."""

    def values() -> Any:
        x = torch.zeros(PROBE, *context.input_shape)
        return network.loss(copy.deepcopy(network.module)(x), _zero_targets(context, x))  # type: ignore[misc]

    found: Any = None
    with torch.random.fork_rng(devices=[]), torch.no_grad(), contextlib.suppress(NetworkError):
        found = run_text(values)
    if gives_several(found):
        optimizers_of(read_entries(found), trainable(network.module), parameters_in, ".")


def _zero_targets(context: NetworkContext, x: Tensor) -> Tensor:
    """Targets (PROBE, …) as a training has them, all 0; where there are none the pictures `x`."""
    task = task_of(context)
    if task.index_targets:
        return torch.zeros(PROBE, *(context.input_shape[1:] if task.of_places else ()), dtype=torch.int64)
    if context.label_shape is None or not task.has_labels(labels_of(context)):
        return x
    return torch.zeros(PROBE, *context.label_shape)


def trainable(module: nn.Module) -> dict[str, nn.Parameter]:
    """The parameters that a training may change, by their paths."""
    return {name: p for name, p in module.named_parameters() if p.requires_grad}


def parameters_in(value: Any) -> Iterable[Tensor] | None:
    """The parameters (…) of a part of a network; a frozen parameter is a part of its own, None is what is no part."""
    if isinstance(value, nn.Module):
        return value.parameters()
    return [value] if isinstance(value, nn.Parameter) and not value.requires_grad else None


def _shown(network: TorchNetwork, context: NetworkContext) -> tuple[list[LayerRow], dict[str, tuple[int, ...]]]:
    """As `_checked`, of a network that no data set is held against."""
    rows: list[LayerRow] = []
    try:
        with _recorded(network.module, rows):
            outputs = names_of(run_text(lambda: forward_zeros(network.module, context)))
    except NetworkError as error:
        network.note = " ".join(filter(None, (network.note, unknown_sizes(context, error))))
        outputs = {}
    seen = {row.name for row in rows}
    rows += [_row(name, child, ()) for name, child in layers_of(network.module) if (name or WHOLE) not in seen]
    return rows, {name: tuple(value.shape[1:]) for name, value in outputs.items() if isinstance(value, Tensor)}


def _last(outputs: Any) -> np.ndarray:
    """The main output (N, …, K), classes last."""
    value = main_output(names_of(outputs)).float()
    return value.movedim(1, -1).numpy() if value.ndim > 1 else value.numpy()


def _ends_in_softmax(module: nn.Module, context: NetworkContext) -> bool:
    return are_probabilities(_of_noise(module, context, PROBE))


def _of_noise(module: nn.Module, context: NetworkContext, count: int) -> np.ndarray:
    """The main output (count, …, K) for pictures of noise in evaluation mode."""
    with evaluating(module), torch.no_grad():
        return _last(run_text(lambda: module(torch.from_numpy(noise((count, *context.input_shape))))))


def _trains_on_probabilities(network: TorchNetwork, context: NetworkContext) -> bool:
    """The same as the network trains, tried on a copy. What it cannot do before a training is not concluded from."""
    with torch.random.fork_rng(devices=[]), torch.no_grad():
        try:
            trial = copy.deepcopy(network.module)
            return are_probabilities(_last(run_text(lambda: trial(torch.from_numpy(noise((PROBE, *context.input_shape)))))))
        except (NetworkError, RuntimeError, TypeError, AttributeError):
            return network.probabilities


def _module(names: dict[str, Any], context: NetworkContext, seconds: float | None = None) -> nn.Module:
    module = run_text(lambda: names["build_network"](context), seconds)
    if not isinstance(module, nn.Module):
        raise NetworkError(f"build_network gave {type(module).__name__}, expected a torch.nn.Module.", advice=WHAT_TO_WRITE)
    run_text(lambda: settle(module))
    return module


def _probe(module: nn.Module, context: NetworkContext) -> tuple[list[LayerRow], dict[str, Tensor]]:
    """Rows of the layers in the order of their work, and the outputs, for zeros in evaluation mode."""
    if gives_losses(context):
        run_text(lambda: try_losses(module, context))
    rows: list[LayerRow] = []
    with _recorded(module, rows):
        outputs = names_of(run_text(lambda: forward_zeros(module, context)))
    wrong = [name for name, value in outputs.items() if not isinstance(value, Tensor)]
    if wrong or not outputs:
        raise NetworkError(
            f"The network's output {', '.join(wrong)} is no tensor.", advice="Return a tensor or a dictionary of them."
        )
    return rows, outputs


def gives_losses(context: NetworkContext) -> bool:
    """Whether the network takes the targets and gives its losses itself, as those of detection do (`pytorch.boxes`)."""
    return not task_of(context).default_loss


def forward_zeros(module: nn.Module, context: NetworkContext) -> Any:
    if gives_losses(context):
        return probe_boxes(module, context)
    with evaluating(module), torch.no_grad():
        return module(torch.zeros(PROBE, *context.input_shape))


def takes_channels_last(module: nn.Module, context: NetworkContext) -> bool:
    """Whether the network works with channels as the innermost axis in memory, which is faster: a third for LeNet on a CPU.

    Tried on a copy, as it trains; a `view` in its text is what may forbid it.
    """
    try:
        trial = copy.deepcopy(module).to(memory_format=torch.channels_last)
        zeros = torch.zeros(PROBE, *context.input_shape).contiguous(memory_format=torch.channels_last)
        with torch.no_grad():
            if gives_losses(context):
                let_give_losses(trial)
                trial(zeros, probe_targets(context.input_shape))
            else:
                trial(zeros)
            trial.eval()(zeros)
    except (RuntimeError, TypeError, ValueError, AssertionError):
        return False
    return True


def layers_of(module: nn.Module) -> list[tuple[str, nn.Module]]:
    """Its modules that compute something themselves, with their paths: those without modules in them, and those that have
    parameters of their own beside them, as a transformer has its position embedding."""
    found = module.named_modules()
    return [(name, child) for name, child in found if is_leaf(child) or list(child.parameters(recurse=False))]


def is_leaf(module: nn.Module) -> bool:
    return next(module.children(), None) is None


@contextlib.contextmanager
def _recorded(module: nn.Module, rows: list[LayerRow]) -> Iterator[None]:
    """Add a row for each layer that works in the block, in the order of their work."""
    handles = [child.register_forward_hook(_recorder(rows, name)) for name, child in layers_of(module)]
    try:
        yield
    finally:
        for handle in handles:
            handle.remove()


def _recorder(rows: list[LayerRow], name: str) -> Callable[..., None]:
    def hook(module: nn.Module, _inputs: Any, output: Any) -> None:
        rows.append(_row(name, module, tuple(output.shape[1:]) if isinstance(output, Tensor) else ()))

    return hook


def _row(name: str, module: nn.Module, shape: tuple[int, ...]) -> LayerRow:
    return LayerRow(name or WHOLE, type(module).__name__, shape, _count(module.parameters(recurse=False)))


def _count(parameters: Iterable[nn.Parameter]) -> int:
    """How many numbers these are; those of a lazy layer that never worked are not known."""
    return sum(p.numel() for p in parameters if not is_lazy(p))
