"""What an export job gets, and what is known of an export that was made."""

from __future__ import annotations

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
class Export:
    """An export in a model's folder. `files` are names and sizes in bytes, the main one first; names may have folders.

    `parity` is the largest difference from the predictor (see `digits.engines.parity`), measured on `compared` pictures.
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

    @property
    def size(self) -> int:
        """Bytes of all files."""
        return sum(size for _, size in self.files)

    def to_json(self) -> dict[str, Any]:
        return asdict(self)

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> Export:
        return cls(**{**value, "files": tuple((str(name), int(size)) for name, size in value["files"])})
