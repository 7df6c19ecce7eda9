"""What JSON says about data sets that are not image classification (R 1.2)."""

from __future__ import annotations

from typing import Any

from digits.domain.datasets import STAGES, DatasetInfo

WITHOUT_LABEL_DB = {"index", "none"}  # label kinds that need no database of their own


def generic_dict(info: DatasetInfo | None) -> dict[str, Any]:
    """The keys of R 1.2 for a data set of a plugin: `create_db_tasks` and `feature_dims` (None before they are known)."""
    return {
        "create_db_tasks": [_task(stage, info) for stage in STAGES],
        "feature_dims": feature_dims(info),
    }


def feature_dims(info: DatasetInfo | None) -> list[int] | None:
    """[H, W, C]; None while it is not known or where records differ."""
    if info is None or info.feature_shape is None:
        return None
    channels, height, width = info.feature_shape
    return [height, width, channels]


def _task(stage: str, info: DatasetInfo | None) -> dict[str, Any]:
    split = info.splits.get(stage) if info else None
    filled = split is not None and split.entries > 0
    with_labels = filled and split is not None and split.meta.label_kind not in WITHOUT_LABEL_DB
    return {
        "name": f"Create {stage} DB",
        "stage": stage,
        "entry_count": split.entries if split else (0 if info else None),
        "feature_db_path": stage if filled else None,
        "label_db_path": stage if with_labels else None,
    }
