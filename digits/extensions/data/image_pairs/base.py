"""What both sources share: the pairs are found and split once, in `__init__`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from digits.errors import DataError
from digits.extensions.data.image_pairs import pairs
from digits.extensions.data.interface import DataIngestionInterface
from digits.utils import constants
from digits.utils.image import load_array

CHANNELS = {"RGB": 3, "L": 1, "none": None}


class PairIngestion(DataIngestionInterface):
    """An entry is a pair of paths."""

    def __init__(self, is_inference_db: bool = False, **kwargs: Any) -> None:
        super().__init__(is_inference_db, **kwargs)
        self.userdata.setdefault("seed", pairs.new_seed())
        if not is_inference_db and "pairs" not in self.userdata:
            self.userdata["pairs"] = self._find()

    def itemize_entries(self, stage: str) -> list[pairs.Pair]:
        return list(self.userdata["pairs"].get(stage, []))

    def feature(self, path: str) -> NDArray[Any]:
        """A picture as (C, H, W), its depth kept unless channels are converted."""
        return to_channels_first(load_array(path), CHANNELS[self.userdata["channel_conversion"]], path)

    def _find(self) -> dict[str, list[pairs.Pair]]:
        data = self.userdata
        found = pairs.pair(Path(data["feature_folder"]), Path(data["label_folder"]))
        if data.get("has_val_folder"):
            val = pairs.pair(Path(data["validation_feature_folder"]), Path(data["validation_label_folder"]))
            return {constants.TRAIN_DB: found, constants.VAL_DB: val}
        train, val = pairs.split(found, float(data.get("folder_pct_val") or 0), data["seed"])
        return {constants.TRAIN_DB: train, constants.VAL_DB: val}

    @staticmethod
    def get_category() -> str:
        return "Images"


def to_channels_first(array: NDArray[Any], channels: int | None, path: str) -> NDArray[Any]:
    """(H, W) or (H, W, C) as (C, H, W). Conversion to grey uses ITU-R 601-2 luma, as Pillow does. Raises DataError."""
    planes = array[:, :, np.newaxis] if array.ndim == 2 else array
    if planes.shape[2] in (2, 4) and channels is not None:
        planes = planes[:, :, :-1]  # the last one is transparency
    if channels == 3 and planes.shape[2] == 1:
        planes = np.repeat(planes, 3, axis=2)
    elif channels == 1 and planes.shape[2] == 3:
        planes = (planes @ np.array([0.299, 0.587, 0.114])).round().astype(array.dtype)[:, :, np.newaxis]
    elif channels is not None and planes.shape[2] != channels:
        raise DataError(f"{path} has {planes.shape[2]} channels, which cannot be made {channels}.")
    return np.ascontiguousarray(planes.transpose(2, 0, 1))
