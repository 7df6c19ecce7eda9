"""What a pretrained model is made of: a network text, weights and what prepares pictures for them, with where they came from."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

GIVEN = "given"  # in the job's folder: the files as they came, until the snapshot is made of them
ABOUT = "about.json"  # in the job's folder: what the store or archive said of it (licence, data set, notes)
LICENCE = "license.txt"


@dataclass(frozen=True)
class Fetched:
    """A file of a store: where it is (an address, or an absolute path), its size in bytes and SHA-256; -1 and empty where the
    store does not say."""

    name: str
    place: str
    size: int = -1
    sha256: str = ""


@dataclass(frozen=True)
class PretrainedSpec:
    """One pretrained model.

    `weights` is the name of the file that came (in the folder `given`), `snapshot` the path of what is made of it. `meta` is what
    travels with the weights where the file does not say it itself. `origin` has `kind` (`upload`, `archive`, `model`, `store`)
    and what else is known of where it comes from. `fetch` are the files of a store that its worker fetches first.
    """

    framework: str
    weights: str
    snapshot: str
    epoch: float
    task: str
    network: str = ""  # the text; empty while it has to be fetched
    network_name: str = "custom"
    meta: dict[str, Any] = field(default_factory=dict)
    origin: dict[str, Any] = field(default_factory=dict)
    fetch: tuple[Fetched, ...] = ()
    python_layers: str = ""

    def to_json(self) -> dict[str, Any]:
        return asdict(self)

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> PretrainedSpec:
        return cls(**{**value, "fetch": tuple(Fetched(**one) for one in value.get("fetch", ()))})


def describes_a_model(meta: Mapping[str, Any]) -> bool:
    """Whether what a snapshot from elsewhere says of itself is what snapshots say, but for whether there is such a task."""
    epoch, shape, labels = meta.get("epoch"), meta.get("input_shape"), meta.get("class_labels")
    sound = isinstance(epoch, int | float) and math.isfinite(epoch) and isinstance(meta.get("task"), str)
    sound = sound and isinstance(meta.get("preparation"), dict) and isinstance(labels, list) and isinstance(shape, list)
    sides = shape if isinstance(shape, list) else []
    return sound and len(sides) == 3 and all(isinstance(n, int) and n > 0 for n in sides)
