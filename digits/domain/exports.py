"""What an export job gets, and what is known of an export that was made."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any


@dataclass(frozen=True)
class ExportSpec:
    """Write one snapshot of a model in one format (`digits.engines.exporters`)."""

    model_id: str
    snapshot: str  # path relative to the model's folder
    epoch: float
    format: str
    framework: str
    dataset_id: str = ""  # whose records it is compared on, where they are still there
    options: dict[str, Any] = field(default_factory=dict)

    def to_json(self) -> dict[str, Any]:
        return asdict(self)

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> ExportSpec:
        return cls(**value)


@dataclass(frozen=True)
class Timing:
    """How long one picture takes in a runtime, in milliseconds: the median and the 95th percentile of `rounds`. `difference` is
    the largest from the model, as `Export.parity`; NaN where it was not measured."""

    runtime: str
    p50_ms: float
    p95_ms: float
    rounds: int
    difference: float = math.nan

    def to_json(self) -> dict[str, Any]:
        return {**asdict(self), "difference": None if math.isnan(self.difference) else self.difference}

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> Timing:
        return cls(**{**value, "difference": math.nan if value["difference"] is None else float(value["difference"])})


@dataclass(frozen=True)
class Export:
    """An export in a model's folder. `files` are names and sizes in bytes, the main one first; names may have folders. The first
    `needed` of them are what one has to have; the others are more of the same.

    `parity` is the largest difference from the predictor (see `digits.engines.parity`), measured on `compared` pictures; of
    `lossy` formats it is no fault. `quality` has the deciding metric of both (see `digits.worker.parity_report.compare`),
    `timings` the time of one picture on `machine`, the model itself first; `facts` are the exporter's.
    """

    format: str
    epoch: float
    snapshot: str
    job_id: str
    created: float
    files: tuple[tuple[str, int], ...]
    parity: float
    compared: int
    versions: dict[str, str] = field(default_factory=dict)
    needed: int = 0  # 0: all
    lossy: bool = False
    quality: dict[str, Any] = field(default_factory=dict)
    timings: tuple[Timing, ...] = ()
    machine: dict[str, Any] = field(default_factory=dict)
    facts: dict[str, Any] = field(default_factory=dict)

    @property
    def size(self) -> int:
        """Bytes of the files that one has to have."""
        return sum(size for _, size in self.taken)

    @property
    def taken(self) -> tuple[tuple[str, int], ...]:
        """The files that one has to have, the main one first."""
        return self.files[: self.needed] if self.needed else self.files

    @property
    def metric_drop(self) -> float | None:
        """How much worse the deciding metric is; None where it was not measured."""
        drop = self.quality.get("metric_drop")
        return None if drop is None else float(drop)

    def to_json(self) -> dict[str, Any]:
        return {**asdict(self), "timings": [timing.to_json() for timing in self.timings]}

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> Export:
        files = tuple((str(name), int(size)) for name, size in value["files"])
        timings = tuple(Timing.from_json(row) for row in value.get("timings", ()))
        parity = math.inf if value["parity"] is None else float(value["parity"])  # JSON knows no infinity
        return cls(**{**value, "files": files, "timings": timings, "parity": parity})
