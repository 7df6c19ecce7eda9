"""What detection networks take and give in torch, and whether a network keeps to it.

In training `module(images, targets)` gives a dictionary of losses; otherwise `module(images)` gives for each image a dictionary
`boxes` (n, 4: left, top, right, bottom in pixels of the image), `scores` (n,) and `labels` (n,). A target is a dictionary
`boxes` (n, 4) float32, `labels` (n,) int64, and `ignored` (m, 4): regions in which the network is neither right nor wrong.
Labels are class numbers from 0.
"""

from __future__ import annotations

import copy
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from digits.engines.base import NetworkContext
from digits.engines.pytorch.losses import weighted_values
from digits.engines.pytorch.modes import evaluating, let_give_losses
from digits.engines.training.boxes import Boxes, is_counted, stacked
from digits.engines.training.totals import LossValue
from digits.errors import NetworkError
from digits.storage.records.boxes import coordinates

CONTRACT = "docs/networks.md says what a detection network takes and gives."
PROBE = 2


def targets_of(boxes: Boxes, device: torch.device) -> list[dict[str, Tensor]]:
    """Targets of pictures on `device`, from the boxes (n,) of `BOX_DTYPE` of each: `boxes` (n, 4) float32 in pixels and
    `labels` (n,) int64 of the objects to be found, `ignored` (m, 4) float32 of what is flagged."""
    targets = []
    for one in boxes:
        wanted = is_counted(one)
        targets.append(
            {
                "boxes": torch.from_numpy(coordinates(one[wanted])).to(device),
                "labels": torch.from_numpy(one["class"][wanted].astype(np.int64)).to(device),
                "ignored": torch.from_numpy(coordinates(one[one["flags"] != 0])).to(device),
            }
        )
    return targets


def detections_of(outputs: Sequence[Mapping[str, Tensor]], classes: int) -> list[np.ndarray]:
    """Detections of each picture, float32 (n, 6), best first: left, top, right, bottom in pixels, score, class. Scores that
    are zero or less and classes outside [0, `classes`) are left out. NetworkError for outputs that are no detections."""
    _check_detections(outputs)
    rows = []
    for one in outputs:
        labels = one["labels"].float().unsqueeze(1)
        table = torch.cat([one["boxes"].float(), one["scores"].float().unsqueeze(1), labels], dim=1)
        table = table[(table[:, 5] >= 0) & (table[:, 5] < max(classes, 1)) & ~(table[:, 4] <= 0)]
        rows.append(table[table[:, 4].argsort(descending=True, stable=True)].detach().cpu().numpy())
    return rows


def boxes_output(outputs: Any, classes: int) -> dict[str, np.ndarray]:
    """The output `boxes` of a predictor: float32 (N, M, 6) of left, top, right, bottom in pixels, score, class; rows of zeros
    fill up. NetworkError as `detections_of`."""
    return {"boxes": stacked(detections_of(outputs, classes))}


def weighted_losses(losses: Any, images: int) -> dict[str, LossValue]:
    """The losses of a batch with their sum as `loss`, unless there is one: scalars, means over `images`, or sums with their
    weights. NetworkError for what is no dictionary of these."""
    if not isinstance(losses, Mapping) or not losses or not all(map(_is_loss, losses.values())):
        raise NetworkError(f"In training the network gave {_kind(losses)}, expected a dictionary of losses.", advice=CONTRACT)
    return weighted_values(losses, float(images))


def _is_loss(value: Any) -> bool:
    if isinstance(value, tuple):
        return len(value) == 2 and isinstance(value[0], Tensor)
    return isinstance(value, Tensor) and value.numel() == 1


def try_losses(module: nn.Module, context: NetworkContext) -> None:
    """Feed zeros as in training, to a copy: the module's state stays as it is."""
    with torch.no_grad():
        trial = copy.deepcopy(module)
        let_give_losses(trial)
        weighted_losses(trial(torch.zeros(PROBE, *context.input_shape), probe_targets(context.input_shape)), PROBE)


def probe_boxes(module: nn.Module, context: NetworkContext) -> dict[str, Tensor]:
    """Feed zeros; `boxes` (N, M, 6) as a predictor gives them."""
    with evaluating(module), torch.no_grad():
        outputs = module(torch.zeros(PROBE, *context.input_shape))
    return {"boxes": torch.from_numpy(boxes_output(outputs, context.num_classes)["boxes"])}


def probe_targets(input_shape: tuple[int, ...], device: torch.device | None = None) -> list[dict[str, Tensor]]:
    """Targets of two pictures of `input_shape`, (C, H, W), as `targets_of` makes them: one with an object, `boxes` (1, 4), and
    one without any, (0, 4)."""
    _, height, width = input_shape
    middle = torch.tensor([[width / 4, height / 4, width * 3 / 4, height * 3 / 4]], device=device)
    none = torch.zeros(0, 4, device=device)
    return [
        {"boxes": boxes, "labels": torch.zeros(len(boxes), dtype=torch.int64, device=device), "ignored": none}
        for boxes in (middle, none)
    ]


def _check_detections(outputs: Any) -> None:
    names = {"boxes", "scores", "labels"}
    whole = isinstance(outputs, list | tuple) and all(isinstance(one, Mapping) and names <= set(one) for one in outputs)
    if not whole:
        raise NetworkError(
            f"The network gave {_kind(outputs)}, expected for each picture a dictionary of boxes, scores and labels.",
            advice=CONTRACT,
        )


def _kind(value: Any) -> str:
    if isinstance(value, list | tuple) and value:
        return f"a list of {type(value[0]).__name__}"
    return f"a {type(value).__name__}"
