"""How two answers to the same picture differ, in numbers and in words: of two models, or of two snapshots of one.

`first` and `second` are what `ask_one` gave. Classes are matched by their names. Of what lies over the picture the pixels of the
given picture are compared, so that networks of different sizes can be; where that is not possible `words` say why.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from digits.domain.classes import NO_CLASS, match_classes
from digits.domain.datasets import IGNORED
from digits.service.evaluations.answer import Answered
from digits.tasks.base import BOXES, CLASSES, MAP, PICTURES
from digits.tasks.truth import listed
from digits.utils.values import finite

if TYPE_CHECKING:
    import numpy as np

OVERLAP = 0.5  # intersection over union from which on two boxes of a class are the same
PAIR = ("the first", "the second")


def difference(first: Answered, second: Answered) -> dict[str, Any]:
    """`words`, a sentence or two, and numbers by the kind of the answer: of classes `same` (the best class, or all that were
    found), `largest` (in points of a hundred) and its `label`; of maps `agreement` (share of the pixels) and `iou` by class; of
    boxes `both`, `only_first`, `only_second` and `overlap`, the mean intersection over union; of numbers and pictures `mean` and
    `largest` absolute difference. Numbers that there are none of are None.
    """
    import numpy as np

    one, other = first.output, second.output
    if not (np.isfinite(one).all() and np.isfinite(other).all()):
        return {"words": "One of the answers holds NaN or infinity, so they are not compared."}
    kind = first.task.output_kind
    if kind == CLASSES:
        found = _classes(first, second)
    elif kind == BOXES:
        found = _boxes(first, second)
    elif kind == MAP:
        found = _maps(first, second)
    elif kind == PICTURES:
        pair = _over_picture(first, second)
        found = _apart(*pair) if pair is not None else NOT_COMPARED
    else:
        found = _numbers(first, second)
    return dict(finite(found))


def _classes(first: Answered, second: Answered) -> dict[str, Any]:
    names, theirs = first.labels.class_labels, second.labels.class_labels
    pairs = _same_classes(theirs, names)
    one, other = first.output.ravel(), second.output.ravel()
    points = {names[i]: abs(float(one[i]) - float(other[j])) * 100 for i, j in pairs if i < len(one) and j < len(other)}
    label = max(points, key=lambda name: points[name], default="")
    largest = points.get(label)
    words = f" The largest difference is {largest:.2f} points, of {label}." if largest is not None else ""
    if first.task.index_targets:
        best = [(labels[int(k)], float(v[k])) for labels, v in ((names, one), (theirs, other)) if (k := _best(v, labels)) >= 0]
        if len(best) < 2:
            return {"words": "One of the answers has no best class.", "same": None, "largest": largest, "label": label}
        (a, p), (b, q) = best
        same = any(names[i] == a and theirs[j] == b for i, j in pairs)
        said = (
            f"Both say {a} ({100 * p:.2f} % and {100 * q:.2f} %)."
            if same
            else f"They disagree: {a} ({100 * p:.2f} %) and {b} ({100 * q:.2f} %)."
        )
        return {"words": said + words, "same": same, "largest": largest, "label": label}
    found = [set(answer.body["samples"][0].get("found", ())) for answer in (first, second)]
    renamed = {theirs[j]: names[i] for i, j in pairs}
    right = {renamed.get(name, name) for name in found[1]}
    only_first, only_second = sorted(found[0] - right), sorted(right - found[0])
    parts = [f"only {PAIR[i]} finds {', '.join(only)}" for i, only in enumerate((only_first, only_second)) if only]
    said = "Both find the same labels." if not parts else _sentence(parts)
    lists = {"only_first": only_first, "only_second": only_second}
    return {"words": said + words, "same": not parts, "largest": largest, "label": label, **lists}


def _best(scores: np.ndarray, labels: Sequence[str]) -> int:
    """The number of the best class, -1 where there is none."""
    known = scores[: len(labels)]
    return int(known.argmax()) if known.size else -1


def _same_classes(theirs: Sequence[str], ours: Sequence[str]) -> list[tuple[int, int]]:
    """Pairs (number here, number there) of the classes that both know."""
    places = match_classes(theirs, ours).places
    return [(place, number) for number, place in enumerate(places) if place >= 0]


def _over_picture(first: Answered, second: Answered) -> tuple[np.ndarray, np.ndarray] | None:
    """Both outputs in the pixels of one picture; None where they lie in none that is the same."""
    lying = [(answer.restored, answer.origin) for answer in (first, second) if answer.restored is not None and answer.origin]
    if len(lying) == 2:
        (one, there), (other, here) = lying
        return (one, other) if there.size == here.size else None
    if lying:
        return None
    same_input = first.body["samples"][0]["size"] == second.body["samples"][0]["size"]
    return (first.output, second.output) if same_input else None


NOT_COMPARED = {"words": "The two do not lie over the same pixels of the picture, so they are not compared."}


def _maps(first: Answered, second: Answered) -> dict[str, Any]:
    import numpy as np

    pair = _over_picture(first, second)
    if pair is None or pair[0].shape[-2:] != pair[1].shape[-2:]:
        return NOT_COMPARED
    names, theirs = first.labels.class_labels, second.labels.class_labels
    flat = [np.asarray(array).reshape(array.shape[-2:]) for array in pair]
    seen = np.logical_and(*(array != (IGNORED if array.dtype == np.uint8 else NO_CLASS) for array in flat))
    one, other = (array.astype(np.int64) for array in flat)
    places = np.array([*(place if place >= 0 else NO_CLASS for place in match_classes(theirs, names).places), NO_CLASS])
    other = places[np.where((other >= 0) & (other < len(theirs)), other, len(theirs))] if theirs else other
    one, other = one[seen], other[seen]
    if not one.size:
        return NOT_COMPARED
    agreement = float((one == other).mean())
    shares: dict[str, float | None] = {}
    for number, name in enumerate(names):
        either = int(((one == number) | (other == number)).sum())
        if either:
            shares[name] = float(((one == number) & (other == number)).sum()) / either
    worst = min(shares, key=lambda name: shares[name] or 0.0, default="")
    said = f"{100 * agreement:.2f} % of the pixels are the same."
    if worst and agreement < 1:
        said += f" They differ most in {worst} (IoU {100 * (shares[worst] or 0.0):.1f} %)."
    return {"words": said, "agreement": agreement, "iou": shares}


def _boxes(first: Answered, second: Answered) -> dict[str, Any]:
    import numpy as np

    pair = _over_picture(first, second)
    if pair is None:
        return NOT_COMPARED
    numbers = {j: i for i, j in _same_classes(second.labels.class_labels, first.labels.class_labels)}
    least = [answer.options.score_threshold for answer in (first, second)]
    one, other = (np.asarray(rows, np.float64).reshape(-1, 6) for rows in pair)
    one, other = one[one[:, 4] >= least[0]], other[other[:, 4] >= least[1]].copy()
    other[:, 5] = [numbers.get(int(number), NO_CLASS) for number in other[:, 5]]
    overlaps: list[float] = []
    free = np.ones(len(other), bool)
    for row in one[np.argsort(-one[:, 4], kind="stable")]:
        shares = np.where(free & (other[:, 5] == row[5]), _shared(row, other), 0.0)
        if len(shares) and shares.max() >= OVERLAP:
            at = int(shares.argmax())
            free[at] = False
            overlaps.append(float(shares[at]))
    both, only_first, only_second = len(overlaps), len(one) - len(overlaps), int(free.sum())
    mean = float(np.mean(overlaps)) if overlaps else None
    said = f"Both find {both} {'box' if both == 1 else 'boxes'}" + (f" (mean overlap {100 * mean:.0f} %)" if mean else "")
    said += f"; only the first finds {only_first}, only the second {only_second}."
    if not len(one) and not len(other):
        said = "Neither finds a box."
    scores = f" Counted from the score {least[0]:g}" + (f" and {least[1]:g}" if least[0] != least[1] else "") + " on."
    return {"words": said + scores, "both": both, "only_first": only_first, "only_second": only_second, "overlap": mean}


def _shared(row: np.ndarray, boxes: np.ndarray) -> np.ndarray:
    """Intersection over union of one box (6,) with boxes (n, 6): (n,)."""
    import numpy as np

    left, top = np.maximum(row[0], boxes[:, 0]), np.maximum(row[1], boxes[:, 1])
    right, bottom = np.minimum(row[2], boxes[:, 2]), np.minimum(row[3], boxes[:, 3])
    inside = np.clip(right - left, 0, None) * np.clip(bottom - top, 0, None)
    areas = (boxes[:, 2] - boxes[:, 0]) * (boxes[:, 3] - boxes[:, 1])
    union = (row[2] - row[0]) * (row[3] - row[1]) + areas - inside
    return np.divide(inside, union, out=np.zeros_like(inside), where=union > 0)


def _numbers(first: Answered, second: Answered) -> dict[str, Any]:
    """Of numbers with names those that both give, by their names; of others all, by their places."""
    names, theirs = (answer.task.value_names(answer.labels) for answer in (first, second))
    one, other = first.output.ravel(), second.output.ravel()
    if len(names) != one.size or len(theirs) != other.size or not names:
        return _apart(first.output, second.output, names)
    both = [name for name in names if name in theirs]
    if not both:
        return {"words": f"The one gives {listed(names)}, the other {listed(theirs)}, so they are not compared."}
    found = _apart(one[[names.index(name) for name in both]], other[[theirs.index(name) for name in both]], both)
    alone = [[name for name in given if name not in both] for given in (names, theirs)]
    parts = [f"only {PAIR[i]} gives {listed(given)}" for i, given in enumerate(alone) if given]
    return {**found, "words": f"{found['words']} {_sentence(parts)}" if parts else found["words"]}


def _sentence(parts: Sequence[str]) -> str:
    """Parts of a sentence as one; names in them stay as they are."""
    said = "; ".join(parts)
    return f"{said[:1].upper()}{said[1:]}."


def _apart(one: np.ndarray, other: np.ndarray, columns: Sequence[str] = ()) -> dict[str, Any]:
    """Of two arrays (…)."""
    import numpy as np

    if one.shape != other.shape:
        shapes = " and ".join("×".join(map(str, array.shape)) or "1" for array in (one, other))
        return {"words": f"The answers have different shapes ({shapes}), so they are not compared."}
    apart = np.abs(one.astype(np.float64) - other.astype(np.float64))
    if not apart.size:
        return {"words": "Both answers are empty."}
    mean, largest = float(apart.mean()), float(apart.max())
    if largest == 0:
        return {"words": "The two are equal.", "mean": mean, "largest": largest}
    names = columns if len(columns) == apart.size else ()
    where = f", of {names[int(apart.argmax())]}" if names and apart.size > 1 else ""
    if apart.size == 1:
        return {"words": f"They differ by {largest:.4g}.", "mean": mean, "largest": largest}
    return {"words": f"They differ by {mean:.4g} in the mean, by {largest:.4g} at most{where}.", "mean": mean, "largest": largest}
