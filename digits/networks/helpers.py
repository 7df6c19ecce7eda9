"""For network texts in PyTorch: `from digits.networks import helpers` inside `metrics`, which only a training calls.

An archive has the text but not this package, so a text that imports it at its top could not be used alone.
"""

from __future__ import annotations

from torch import Tensor


def accuracy_top_n(scores: Tensor, labels: Tensor, top_n: int = 1) -> Tensor:
    """The share of samples whose class is among the `top_n` highest scores, a scalar float32; scores (N, K), labels int64 (N,).

    Ties are broken against the model and scores that are no numbers are never right, as in `digits.metrics.accuracy.rank`.
    """
    own = scores.gather(1, labels[:, None])  # (N, 1)
    before = (scores >= own).sum(dim=1) - 1  # (N,)
    comparable = (scores < float("inf")).all(dim=1)  # (N,); NaN is not
    return ((before < top_n) & comparable).float().mean()
