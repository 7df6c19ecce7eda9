"""Of boxes of one class that overlap much only the best stays: greedy, best first, as torchvision's `batched_nms` does it.

The page's sliders do the same in `static/js/overlay/suppression.js`, on the same float32 numbers; tests compare the three.
"""

from __future__ import annotations

import numpy as np

from digits.metrics.box_overlap import iou


def suppressed(rows: np.ndarray, overlap: float, most: int = 0) -> np.ndarray:
    """Numbers, int64 (k,), of the rows that stay, best first; at most `most` of them (0: all).

    `rows` are float32 (n, 5) or (n, 6): left, top, right, bottom in pixels, score and, with several classes, class. A box goes
    when its intersection over union with a better one of its class is larger than `overlap`.
    """
    order = np.argsort(-rows[:, 4], kind="stable")
    corners = rows[order, :4].astype(np.float32)
    labels = rows[order, 5] if rows.shape[1] > 5 else np.zeros(len(rows), np.float32)
    gone = np.zeros(len(rows), bool)
    for i in range(len(rows)):
        if not gone[i]:
            rest = slice(i + 1, None)
            over = iou(corners[i : i + 1], corners[rest])[0] > overlap
            gone[rest] |= over & (labels[rest] == labels[i])
    kept = order[~gone]
    return kept[:most] if most else kept
