"""Why a network answers so, by its gradients (captum) or its attention. All work is done on a copy of the module.

What is explained is the score before the softmax: of a class, its mean over a region of a map (Vinogradova et al., 2020), or of a
box the score of the detection that overlaps it best.
"""

from __future__ import annotations

import contextlib
import copy
import warnings
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from digits.domain.inference import main_output
from digits.domain.inside import ATTENTION_ROLLOUT, GRAD_CAM, HIRES_CAM, INTEGRATED_GRADIENTS, METHODS, SALIENCY
from digits.engines.base import names_of
from digits.engines.inside import Attribution, Target, check_layer, gradient_steps
from digits.engines.network.checks import PROBABILITIES
from digits.engines.network.losses import SMALLEST
from digits.engines.pytorch.attention import NO_ATTENTION, attention_parts, rollout
from digits.engines.pytorch.build import WHOLE, layers_of
from digits.engines.pytorch.dynamo import import_torchvision
from digits.engines.pytorch.inside import Outputs, recorded
from digits.errors import BadRequest
from digits.tasks import Labels, of

STEP_BATCH = 10
NO_MAPS = "The network has no convolution whose maps could be weighed."
ONLY_PATCHES = "Its one convolution only cuts the picture into patches; no late layer gives maps that could be weighed."
NO_GRADIENT = "No gradient reaches the picture: the network computes what nothing can be derived from."
USE_OCCLUSION = "Use occlusion, which takes predictions alone."
Score = Callable[[Tensor], Tensor]  # (N, C, h, w) → (N,)


def methods(module: nn.Module) -> dict[str, str]:
    """As `LooksInside.methods`."""
    convolutions = sum(isinstance(part, nn.Conv2d) for part in module.modules())
    attention = bool(attention_parts(module))
    cam = NO_MAPS if not convolutions else ONLY_PATCHES if attention and convolutions == 1 else ""
    reasons = {GRAD_CAM: cam, HIRES_CAM: cam, ATTENTION_ROLLOUT: "" if attention else NO_ATTENTION}
    return {name: reasons.get(name, "") for name in METHODS}


def attribute(module: nn.Module, meta: Mapping[str, Any], method: str, x: Tensor, target: Target, layer: str) -> Attribution:
    """The map (h, w) of one picture as the network gets it, `x` (1, C, h, w), with `meta` of its predictor; see
    `LooksInside.attribute`."""
    if reason := methods(module)[method]:
        raise BadRequest(reason)
    if method == ATTENTION_ROLLOUT:
        return Attribution(_enlarged(rollout(module, x), x))
    module = _copy(module)
    score = _scored(module, meta, target)
    try:
        with torch.inference_mode(False), torch.enable_grad(), _derivable(module):
            return _of_gradients(module, score, method, x.clone(), layer)
    except (RuntimeError, AssertionError) as error:
        if "out of memory" in str(error).lower():
            raise
        raise BadRequest(f"{NO_GRADIENT} ({str(error).splitlines()[0][:200]})", advice=USE_OCCLUSION) from error


def _of_gradients(module: nn.Module, score: Score, method: str, x: Tensor, layer: str) -> Attribution:
    from captum.attr import IntegratedGradients, LayerGradCam, LayerGradientXActivation, Saliency

    if method == INTEGRATED_GRADIENTS:
        steps, said = gradient_steps(sum(p.numel() for p in module.parameters()), x.device.type == "cpu")
        found, left = IntegratedGradients(score).attribute(
            x, n_steps=steps, internal_batch_size=STEP_BATCH, return_convergence_delta=True
        )  # (1, C, h, w), (1,)
        total = float(found.sum())
        return Attribution(_array(found.sum(dim=1)[0]), note=said, total=total, difference=total - float(left))
    if method == SALIENCY:
        return Attribution(_array(Saliency(score).attribute(x.requires_grad_()).amax(dim=1)[0]))
    name, part = _cam_layer(module, score, x, layer)
    if method == GRAD_CAM:
        cam = LayerGradCam(score, part).attribute(x, relu_attributions=True)[0, 0]  # (h', w')
    else:
        cam = F.relu(LayerGradientXActivation(score, part).attribute(x).sum(dim=1)[0])
    note = "" if bool(cam.any()) else "Nothing in this layer speaks for it, so the map is empty."
    return Attribution(_enlarged(cam, x), layer=name, note=note)


def _cam_layer(module: nn.Module, score: Score, x: Tensor, wanted: str) -> tuple[str, nn.Module]:
    """The layer of that name, or the last of those with the smallest maps that the score depends on."""
    parts = [(name or WHOLE, child) for name, child in layers_of(module)]
    found: Outputs = {}
    x.requires_grad_()
    with recorded(parts, found):
        value = score(x)
    maps = {name: next(iter(uses[0].values())) for name, uses in found.items() if len(uses) == 1 and uses[0]}
    if wanted:
        check_layer(wanted, [name for name, _ in parts])
        if wanted not in maps:
            times = len(found.get(wanted, ()))
            raise BadRequest(f"{wanted} is used {times} times for this picture; a layer that is used once has one map.")
        if maps[wanted].ndim != 4:
            shape = "×".join(map(str, maps[wanted].shape[1:]))
            raise BadRequest(f"{wanted} gives {shape}, no maps (C, h, w).", advice="Choose a layer with maps, or none.")
        return wanted, dict(parts)[wanted]
    channels = _channels(module)
    usable = {n: one for n, one in maps.items() if one.ndim == 4 and one.shape[1] in channels and one[0, 0].numel() > 1}
    usable = {name: one for name, one in usable.items() if one.requires_grad}
    gradients = torch.autograd.grad(value.sum(), list(usable.values()), allow_unused=True) if usable else ()
    reached = [name for name, gradient in zip(usable, gradients, strict=True) if gradient is not None and bool(gradient.any())]
    reached = reached or list(usable)
    if not reached:
        raise BadRequest("No layer of the network gives maps (C, h, w).", advice="Use integrated gradients or occlusion.")
    least = min(usable[name][0, 0].numel() for name in reached)
    name = [one for one in reached if usable[one][0, 0].numel() == least][-1]
    return name, dict(parts)[name]


def _channels(module: nn.Module) -> set[int]:
    """How many channels maps of its convolutions have: other arrays of four axes have them at another place."""
    kinds = [part for part in module.modules() if isinstance(part, nn.Conv2d | nn.ConvTranspose2d)]
    return {n for part in kinds for n in (part.in_channels, part.out_channels)}


def _scored(module: nn.Module, meta: Mapping[str, Any], target: Target) -> Score:
    labels, probabilities = Labels.of_snapshot(meta), bool(meta.get(PROBABILITIES, False))
    task, classes = of(meta["task"], labels), len(labels.class_labels)

    def of_boxes(x: Tensor) -> Tensor:
        return torch.stack([_of_box(one, target) for one in module(x.clone())])

    def of_output(x: Tensor) -> Tensor:
        output = main_output(names_of(module(x.clone()))).float()  # (N, …)
        if task.activation(labels) and output.ndim > 1:
            output = output[:, :classes]
            output = output.clamp(min=SMALLEST).log() if probabilities else output
        if output.ndim == 4:
            return _of_region(output[:, target.index], target)
        return output.reshape(len(output), -1)[:, target.index]

    return of_boxes if task.moves == "boxes" else of_output


def _of_region(chosen: Tensor, target: Target) -> Tensor:
    """The mean (N,) of maps (N, h, w) over the region, or all."""
    region = target.region
    if region is None or not region.any() or any(a > b for a, b in zip(region.shape, chosen.shape[1:], strict=True)):
        return chosen.mean(dim=(1, 2))
    mask = torch.zeros(chosen.shape[1:], dtype=torch.bool, device=chosen.device)
    mask[: region.shape[0], : region.shape[1]] = torch.from_numpy(region).to(chosen.device)
    return chosen[:, mask].mean(dim=1)


def _of_box(one: dict[str, Tensor], target: Target) -> Tensor:
    """The best score times overlap with the box of one picture's detections."""
    import_torchvision()
    from torchvision.ops import box_iou

    own = one["labels"] == target.index
    if target.box is None or not bool(own.any()):
        return one["scores"].sum() * 0
    box = torch.tensor([target.box], dtype=torch.float32, device=one["boxes"].device)
    return (box_iou(box, one["boxes"][own].detach().float())[0] * one["scores"][own]).max()


def _copy(module: nn.Module) -> nn.Module:
    """One whose layers do not write over what they are given, which gradients need."""
    found = copy.deepcopy(module)
    for part in found.modules():
        if getattr(part, "inplace", False) is True:
            part.inplace = False
    return found


@contextlib.contextmanager
def _derivable(module: nn.Module) -> Iterator[None]:
    """cuDNN derives recurrent layers in training mode only; captum warns of what it does itself."""
    recurrent = any(isinstance(part, nn.RNNBase) for part in module.modules())
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        with torch.backends.cudnn.flags(enabled=False) if recurrent else contextlib.nullcontext():
            yield


def _enlarged(values: Tensor, x: Tensor) -> np.ndarray:
    """A map (h', w') at the size of the picture (1, C, h, w)."""
    whole = F.interpolate(values.detach().float()[None, None], tuple(x.shape[2:]), mode="bilinear", align_corners=False)
    return _array(whole[0, 0])


def _array(values: Any) -> np.ndarray:
    found: np.ndarray = values.detach().float().cpu().numpy()
    return found
