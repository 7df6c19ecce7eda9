"""A snapshot is an `.npz` file: `weights` float32 (D + 1, K) and `meta`, JSON as bytes."""

import io
import json
from pathlib import Path
from typing import Any

import numpy as np


def pack(weights: np.ndarray, meta: dict[str, Any]) -> bytes:
    target = io.BytesIO()
    np.savez(target, weights=weights, meta=np.frombuffer(json.dumps(meta).encode(), np.uint8))
    return target.getvalue()


def unpack(path: Path) -> tuple[np.ndarray, dict[str, Any]]:
    with np.load(path, allow_pickle=False) as found:
        return found["weights"], json.loads(found["meta"].tobytes())


def metadata(path: Path) -> dict[str, Any]:
    return unpack(path)[1]
