"""Looking inside a loaded snapshot: the contract of what engines show beside predictions.

Holds: features are (C, H, W) as records store them, arrays of layers have channels first and no batch axis, maps (H, W) lie over
the whole feature. Nothing of the predictor changes for good. An engine without gradients still shows layers and answers to
occlusion, which takes predictions alone.
"""

from __future__ import annotations

import contextlib
import difflib
from collections.abc import Collection, Iterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from digits.domain.inside import METHODS, OCCLUSION
from digits.errors import BadRequest

if TYPE_CHECKING:
    import numpy as np  # the web process reads the contract of engines too

NO_GRADIENTS = "The engine of this model gives no gradients; occlusion takes predictions alone."
NOT_USED = "The network did not use it for this picture."
NO_TENSOR = "What it gives is no array."
NO_PICTURE = "No picture is chosen."
STEPS, LEAST_STEPS = 50, 10  # points of integrated gradients; captum takes 50 too
LARGE = 30_000_000  # learnt numbers of a network from which on the processor takes fewer


@dataclass(frozen=True)
class LayerArrays:
    """One layer. `weights` are its own arrays by their names, what it multiplies by first; `activations` what it gave for the one
    picture: `output`, or of several `output`, `output1`, …; `reason` says why there are none, `note` what else is to be known."""

    name: str
    kind: str
    parameters: int  # how many numbers of its own are learnt
    weights: dict[str, np.ndarray] = field(default_factory=dict)
    activations: dict[str, np.ndarray] = field(default_factory=dict)
    reason: str = ""
    note: str = ""


@dataclass(frozen=True)
class Target:
    """What a map explains: the score of the class or the number `index`; of a detection that of the `box` (left, top, right,
    bottom in the pixels of the feature) of that class. `region` (H, W), bool, are the pixels that count of a map of classes."""

    index: int = 0
    box: tuple[float, float, float, float] | None = None
    region: np.ndarray | None = field(default=None, compare=False)


@dataclass(frozen=True)
class Attribution:
    """A map: `values` (H, W) float32 over the feature. `layer` is the one it was taken at, `note` what is to be known of it; of
    integrated gradients `total` is the sum of all and `difference` what it should be."""

    values: np.ndarray
    layer: str = ""
    note: str = ""
    total: float | None = None
    difference: float | None = None


class LooksInside:
    """The part of a Predictor that looks inside; engines override what they can."""

    meta: dict[str, Any]

    def inside(self, feature: np.ndarray | None, names: Collection[str] | None = None) -> list[LayerArrays]:
        """The layers of those names, by default all, in the order of the definition, for a feature (C, H, W); without one their
        weights alone."""
        import numpy as np

        shape = tuple(self.meta.get("stored_shape") or self.meta["input_shape"])
        given = np.zeros(shape, np.float32) if feature is None else feature
        found = []
        for report in self.layers(given):  # type: ignore[attr-defined]
            if names is None or report.name in names:
                weights = {} if report.weights is None else {"weight": report.weights.data}
                known = feature is not None and report.activations is not None
                reason = NO_PICTURE if feature is None else "" if known else NOT_USED
                activations = {"output": report.activations.data} if known else {}
                found.append(LayerArrays(report.name, report.kind, report.parameters, weights, activations, reason))
        return found

    def methods(self) -> dict[str, str]:
        """For each method of `domain.inside.METHODS` why it is not there, empty where it is."""
        return {name: "" if name == OCCLUSION else NO_GRADIENTS for name in METHODS}

    def attribute(self, method: str, feature: np.ndarray, target: Target, layer: str = "") -> Attribution:
        """The map (H, W) of a method other than occlusion for a feature (C, H, W). BadRequest says why it is not
        there, or of a layer why it cannot be taken."""
        raise BadRequest(NO_GRADIENTS)

    @contextlib.contextmanager
    def random_weights(self, seed: int = 0) -> Iterator[None]:
        """In the block every weight holds random numbers of its own mean and deviation: nothing is left of what was learnt."""
        raise BadRequest("The engine of this model cannot try random weights.")
        yield

    def vector_layer(self) -> str:
        """The layer whose vectors stand for pictures: the last one before the answer."""
        raise BadRequest("The engine of this model gives no vectors.")

    def vectors(self, batch: np.ndarray, layer: str) -> np.ndarray:
        """What a layer gives for features (N, C, H, W): (N, D) float32, maps and rows of tokens averaged over their places."""
        raise BadRequest("The engine of this model gives no vectors.")


def check_layer(name: str, known: Collection[str]) -> None:
    """BadRequest for a layer that the network does not have, with the names that are nearest."""
    if name not in known:
        within = [one for one in known if one and (name.lower() in one.lower() or one.lower() in name.lower())]
        alike = difflib.get_close_matches(name[:200], [one for one in known if one], n=5, cutoff=0.5)
        near = list(dict.fromkeys([*alike, *within]))[:5]
        raise BadRequest(f"The network has no layer {name[:80]!r}.", advice=f"Did you mean {', '.join(near)}?" if near else "")


def gradient_steps(parameters: int, on_cpu: bool) -> tuple[int, str]:
    """How many points integrated gradients take of a network, and what is to be said of it: each costs a pass forward and one
    back, which of large networks on a processor take seconds."""
    steps = STEPS if not on_cpu or parameters <= LARGE else max(LEAST_STEPS, STEPS * LARGE // parameters)
    note = f"Taken at {steps} points instead of {STEPS}, for the network is large and runs on the CPU." if steps < STEPS else ""
    return steps, note


def pooled(array: np.ndarray) -> np.ndarray:
    """(N, D) float32 of what a layer gave, channels first: (N, C, …) averaged over the places, (N, T, D) over the tokens."""
    import numpy as np

    values = np.asarray(array, np.float32)
    if values.ndim == 3:
        return values.mean(axis=1, dtype=np.float32)
    if values.ndim > 3:
        return values.reshape(*values.shape[:2], -1).mean(axis=2, dtype=np.float32)
    return values.reshape(len(values), -1)


def placed(values: np.ndarray, shape: tuple[int, ...], start: tuple[int, int] = (0, 0)) -> np.ndarray:
    """A map (h, w) of the part of a feature (C, H, W) that the network saw, from `start` on, as one of the whole: 0 outside."""
    import numpy as np

    found = np.zeros(shape[1:], np.float32)
    top, left = start
    part = values[: found.shape[0] - top, : found.shape[1] - left]
    found[top : top + part.shape[0], left : left + part.shape[1]] = part
    return found
