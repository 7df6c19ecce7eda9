"""All boxes of a detection network before overlapping ones are suppressed, for pages whose sliders do that anew.

A network shows them when one of its parts has `nms_thresh` (the overlap beyond which the worse box goes) and, where
there is a limit, `detections_per_img`, as torchvision's detectors have them. Region proposals are suppressed as before.
torchvision is imported only where there is such a part.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

import numpy as np
import torch
from torch import nn

from digits.engines.base import Suppression
from digits.engines.pytorch.dynamo import import_torchvision

MOST = 1000  # boxes of a picture, best first; those that the network itself keeps are among them in any case
UNLIMITED = 1 << 30


def suppressing_part(module: nn.Module) -> nn.Module | None:
    """The one part of a network that suppresses overlapping boxes; None where none or several say so."""
    parts = [part for part in module.modules() if _suppresses(part)]
    return parts[0] if len(parts) == 1 else None


@contextlib.contextmanager
def everything(part: nn.Module) -> Iterator[Suppression]:
    """The network gives all boxes; yields what it would have suppressed by."""
    before = {name: getattr(part, name) for name in ("nms_thresh", "detections_per_img") if hasattr(part, name)}
    part.nms_thresh = 1.0
    if "detections_per_img" in before:
        part.detections_per_img = UNLIMITED
    try:
        yield Suppression(float(before["nms_thresh"]), int(before.get("detections_per_img", 0)))
    finally:
        for name, value in before.items():
            setattr(part, name, value)


def kept_of(rows: np.ndarray, suppression: Suppression) -> np.ndarray:
    """Numbers, int64 (k,), of those rows (n, 6) float32 that the network itself would have given, best first."""
    import_torchvision()
    from torchvision.ops import batched_nms

    boxes, scores, labels = (torch.from_numpy(np.ascontiguousarray(rows[:, part])) for part in (slice(4), 4, 5))
    kept = batched_nms(boxes, scores, labels.long(), suppression.overlap).numpy()
    return kept[: suppression.most] if suppression.most else kept


def sent_of(rows: np.ndarray, kept: np.ndarray) -> np.ndarray:
    """The rows (m, 6) of `rows` (n, 6), best first, that a page gets: the best `MOST`, and those with the numbers `kept` (k,)."""
    chosen = np.zeros(len(rows), bool)
    chosen[:MOST] = True
    chosen[kept] = True
    return rows[chosen]


def _suppresses(part: nn.Module) -> bool:
    if not isinstance(getattr(part, "nms_thresh", None), float):
        return False
    import_torchvision()
    from torchvision.models.detection.rpn import RegionProposalNetwork

    return not isinstance(part, RegionProposalNetwork)
