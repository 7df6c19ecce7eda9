"""What a job gets that brings the pictures of a split to vectors of one layer, and what is known of them then."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

PCA, UMAP = "pca", "umap"
PROJECTIONS = {PCA: "PCA", UMAP: "UMAP"}
MOST_NUMBERS = 4096  # of a vector
VECTORS_FILE, POINTS_FILE = "vectors.parquet", "points.arrow"


@dataclass(frozen=True)
class EmbeddingSpec:
    """`layer` empty: the one before the answer; `limit` keeps the first N pictures (0 all)."""

    model_id: str
    snapshot: str  # path relative to the model's folder
    epoch: float
    framework: str
    dataset_id: str
    split: str
    layer: str = ""
    projection: str = PCA
    limit: int = 0

    def to_json(self) -> dict[str, Any]:
        return asdict(self)

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> EmbeddingSpec:
        return cls(**value)
