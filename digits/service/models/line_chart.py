"""Curves as SVG, for documents that must be read without this server and its scripts."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from markupsafe import Markup, escape

WIDTH, HEIGHT = 640, 260
LEFT, RIGHT, TOP, BOTTOM = 64, 12, 12, 34
COLOURS = ("#2563a8", "#b4521d", "#2e7d4f", "#8a4ea8", "#a8324a", "#0f7c8a", "#7a6a1f", "#59606e")
TICKS = 4


@dataclass(frozen=True)
class Curve:
    """Points (x, y) of one line; a value that is None or no number is a gap."""

    name: str
    xs: Sequence[float]
    ys: Sequence[float | None]
    dashed: bool = False


def line_chart(title: str, curves: Sequence[Curve]) -> Markup:
    """The curves over the epochs in one SVG with a legend; empty where there is no point."""
    points = [(x, y) for curve in curves for x, y in zip(curve.xs, curve.ys, strict=True) if y is not None and math.isfinite(y)]
    if not points:
        return Markup("")
    xs, ys = [x for x, _ in points], [y for _, y in points]
    x_ends, y_ends = _ends(xs), _ends(ys)

    def place(x: float, y: float) -> tuple[float, float]:
        across = LEFT + (x - x_ends[0]) / (x_ends[1] - x_ends[0]) * (WIDTH - LEFT - RIGHT)
        down = HEIGHT - BOTTOM - (y - y_ends[0]) / (y_ends[1] - y_ends[0]) * (HEIGHT - TOP - BOTTOM)
        return round(across, 1), round(down, 1)

    parts = [_axes(x_ends, y_ends, place)]
    for n, curve in enumerate(curves):
        colour, dash = COLOURS[n % len(COLOURS)], ' stroke-dasharray="5 3"' if curve.dashed else ""
        for piece in _pieces(curve):
            line = " ".join(f"{a},{b}" for a, b in (place(x, y) for x, y in piece))
            parts.append(f'<polyline points="{line}" fill="none" stroke="{colour}" stroke-width="1.6"{dash}/>')
            if len(piece) == 1:
                parts.append('<circle cx="{}" cy="{}" r="2.5" fill="{}"/>'.format(*place(*piece[0]), colour))
    legend = "".join(
        f'<li><span style="color:{COLOURS[n % len(COLOURS)]}">{"┅" if curve.dashed else "━"}</span> {escape(curve.name)}</li>'
        for n, curve in enumerate(curves)
    )
    svg = f'<svg viewBox="0 0 {WIDTH} {HEIGHT}" role="img" aria-label="{escape(title)} over the epochs">{"".join(parts)}</svg>'
    return Markup(f'<figure><figcaption>{escape(title)}</figcaption>{svg}<ul class="legend">{legend}</ul></figure>')


def _pieces(curve: Curve) -> list[list[tuple[float, float]]]:
    """Runs of points without a gap."""
    pieces: list[list[tuple[float, float]]] = [[]]
    for x, y in zip(curve.xs, curve.ys, strict=True):
        if y is None or not math.isfinite(y):
            pieces.append([])
        else:
            pieces[-1].append((x, y))
    return [piece for piece in pieces if piece]


def _ends(values: Sequence[float]) -> tuple[float, float]:
    low, high = min(values), max(values)
    return (low, high) if high > low else (low - 0.5 * (abs(low) or 1), high + 0.5 * (abs(high) or 1))


def _axes(x_ends: tuple[float, float], y_ends: tuple[float, float], place: Callable[[float, float], tuple[float, float]]) -> str:
    found = [f'<rect x="{LEFT}" y="{TOP}" width="{WIDTH - LEFT - RIGHT}" height="{HEIGHT - TOP - BOTTOM}" class="frame"/>']
    for n in range(TICKS + 1):
        x, y = (ends[0] + (ends[1] - ends[0]) * n / TICKS for ends in (x_ends, y_ends))
        across, down = place(x, y)
        found.append(f'<text x="{across}" y="{HEIGHT - 14}" text-anchor="middle">{x:.3g}</text>')
        found.append(f'<text x="{LEFT - 6}" y="{down + 4}" text-anchor="end">{y:.4g}</text>')
    found.append(f'<text x="{(LEFT + WIDTH) / 2}" y="{HEIGHT - 1}" text-anchor="middle">epoch</text>')
    return "".join(found)
