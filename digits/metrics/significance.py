"""Whether a difference can be told from chance: small formulas with their sources, so that no statistics library is needed.

docs/comparing.md says which question each of them answers; tests compare them with SciPy.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from statistics import NormalDist

EXACT_PAIRS = 1000  # discordant pairs up to which McNemar's test sums the binomial distribution itself
CONFIDENCE = 0.95


def mcnemar(gained: int, lost: int) -> float:
    """Two-sided p of McNemar's test: of pictures that one model alone has right, `gained` and `lost` are how many each.

    Exact (binomial, both tails) up to `EXACT_PAIRS` discordant pictures, beyond them the normal approximation with continuity
    correction (Edwards 1948)."""
    pairs = gained + lost
    if pairs == 0:
        return 1.0
    if pairs > EXACT_PAIRS:
        return math.erfc(max(abs(gained - lost) - 1, 0) / math.sqrt(2 * pairs))
    tail = sum(math.comb(pairs, k) for k in range(min(gained, lost) + 1))
    return min(1.0, 2 * tail / 2**pairs)


def share_interval(gained: float, lost: float, pictures: float, confidence: float = CONFIDENCE) -> tuple[float, float]:
    """The interval of a difference of two shares of the same pictures, in [-1, 1]: Bonett & Price 2012, who add one picture to
    either sort of discordant ones, so that it has a width where there is none of them."""
    more, less = (gained + 1) / (pictures + 2), (lost + 1) / (pictures + 2)
    difference = more - less
    half = normal_quantile(confidence) * math.sqrt(max(more + less - difference**2, 0.0) / (pictures + 2))
    return max(difference - half, -1.0), min(difference + half, 1.0)


def normal_quantile(confidence: float) -> float:
    """How many standard deviations from the mean the central share `confidence` of a normal distribution reaches."""
    return NormalDist().inv_cdf(0.5 + confidence / 2)


def student_p(t: float, freedom: float) -> float:
    """Two-sided p of Student's t: the regularized incomplete beta function at freedom / (freedom + t²)."""
    if not math.isfinite(freedom):
        return math.erfc(abs(t) / math.sqrt(2))
    return 0.0 if math.isinf(t) else incomplete_beta(freedom / (freedom + t * t), freedom / 2, 0.5)


def student_quantile(confidence: float, freedom: float) -> float:
    """The t ≥ 0 within ± which lies the central share `confidence`, by bisection of `student_p`."""
    low, high = 0.0, 2.0
    while student_p(high, freedom) > 1 - confidence:
        high *= 2
    for _ in range(80):
        middle = (low + high) / 2
        low, high = (middle, high) if student_p(middle, freedom) > 1 - confidence else (low, middle)
    return high


def incomplete_beta(x: float, a: float, b: float) -> float:
    """The regularized incomplete beta function, in [0, 1], by its continued fraction (DLMF 8.17.22)."""
    if x <= 0 or x >= 1:
        return float(x >= 1)
    if x > (a + 1) / (a + b + 2):
        return 1 - incomplete_beta(1 - x, b, a)
    logs = math.lgamma(a + b) - math.lgamma(a) - math.lgamma(b) + a * math.log(x) + b * math.log1p(-x)
    return math.exp(logs) / a * _beta_fraction(x, a, b)


def _beta_fraction(x: float, a: float, b: float) -> float:
    """The continued fraction of the incomplete beta function, from its front (Lentz)."""
    tiny = 1e-300
    c, d = 1.0, 1 / ((1 - (a + b) * x / (a + 1)) or tiny)
    value = d
    for m in range(1, 500):
        even = m * (b - m) * x / ((a + 2 * m - 1) * (a + 2 * m))
        odd = -(a + m) * (a + b + m) * x / ((a + 2 * m) * (a + 2 * m + 1))
        for term in (even, odd):
            d = 1 / ((1 + term * d) or tiny)
            c = (1 + term / c) or tiny
            value *= c * d
        if abs(c * d - 1) < 1e-15:
            break
    return value


def satterthwaite(parts: Sequence[tuple[float, float]]) -> float:
    """Degrees of freedom of a sum of independent variances, each `(variance, degrees of freedom)` (Satterthwaite 1946)."""
    total = sum(variance for variance, _ in parts)
    below = sum(variance**2 / freedom for variance, freedom in parts if variance > 0)
    return total**2 / below if below > 0 else math.inf


def holm(found: Sequence[float]) -> list[float]:
    """p of several tests such that the chance of any false finding is still what one p says (Holm 1979), in their order."""
    order = sorted(range(len(found)), key=lambda i: found[i])
    adjusted, least = [0.0] * len(found), 0.0
    for rank, i in enumerate(order):
        least = max(least, min(1.0, (len(found) - rank) * found[i]))
        adjusted[i] = least
    return adjusted
