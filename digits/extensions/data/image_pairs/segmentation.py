"""Segmentation: the label is a picture of class numbers, or of colours that a file lists."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from digits.errors import DataError
from digits.extensions.data.image_pairs.base import PairIngestion
from digits.utils import constants
from digits.utils.image import load_array

INDEX_MODES = ("P", "L", "1")
IGNORED = 255


class SegmentationIngestion(PairIngestion):
    """Pictures to class numbers; 255 is left out of training and measuring."""

    def __init__(self, is_inference_db: bool = False, **kwargs: Any) -> None:
        super().__init__(is_inference_db, **kwargs)
        if constants.COLOR_PALETTE_ATTRIBUTE not in self.userdata and not is_inference_db:
            palette = self._palette()
            if palette:
                self.userdata[constants.COLOR_PALETTE_ATTRIBUTE] = palette
            self.userdata["class_labels"] = self._labels(palette)

    @staticmethod
    def get_id() -> str:
        return "image-segmentation"

    @staticmethod
    def get_title() -> str:
        return "Segmentation"

    @staticmethod
    def get_dataset_form() -> Any:
        from digits.extensions.data.image_pairs.forms import SegmentationForm

        return SegmentationForm()

    @staticmethod
    def get_dataset_template(form: Any) -> tuple[str, dict[str, Any]]:
        from digits.extensions.data.image_pairs.forms import template_of

        return template_of(form)

    def get_task(self) -> str:
        return "segmentation"

    def encode_entry(self, entry: tuple[str, str]) -> tuple[NDArray[Any], NDArray[Any]]:
        feature, label = self.feature(entry[0]), self._classes(entry[1])
        if feature.shape[1:] != label.shape:
            raise DataError(
                f"{entry[0]} is {feature.shape[2]}x{feature.shape[1]}, its label {label.shape[1]}x{label.shape[0]} pixels."
            )
        return feature, label[np.newaxis]

    def _classes(self, path: str) -> NDArray[np.uint8]:
        array = load_array(path)
        if self.userdata.get("colormap_method") == "textfile":
            return classes_of_colours(array, self.userdata[constants.COLOR_PALETTE_ATTRIBUTE], path)
        if array.ndim != 2:
            raise DataError(f"{path} is a colour picture.", advice="Choose a colour map from a text file, or palette pictures.")
        return array.astype(np.uint8)

    def _palette(self) -> list[int]:
        """768 numbers: of the colour map file, else of the first label picture; empty where there is none."""
        if self.userdata.get("colormap_method") == "textfile":
            return read_colours(Path(self.userdata["colormap_text_file"]))
        first = next((label for pairs in self.userdata["pairs"].values() for _, label in pairs), None)
        if first is None:
            return []
        with Image.open(first) as image:
            if image.mode not in INDEX_MODES:
                raise DataError(
                    f"{first} has colours (mode {image.mode}).",
                    advice="Choose a colour map from a text file, or palette pictures.",
                )
            own = image.getpalette() or [] if image.mode == "P" else []
        return (own + [0] * 768)[:768] if own else []

    def _labels(self, palette: list[int]) -> list[str]:
        file = self.userdata.get("class_labels_file")
        if file:
            return [line.strip() for line in Path(file).read_text(encoding="utf-8").splitlines() if line.strip()]
        if self.userdata.get("colormap_method") == "textfile":
            return [str(i) for i in range(len(Path(self.userdata["colormap_text_file"]).read_text().split()) // 3)]
        return [str(i) for i in range(self._classes_seen())]

    def _classes_seen(self) -> int:
        """Greatest class number of all label pictures and one; 255 is not counted."""
        highest = 0
        for pairs in self.userdata["pairs"].values():
            for _, label in pairs:
                classes = self._classes(label)
                highest = max(highest, int(classes[classes != IGNORED].max(initial=0)))
        return highest + 1


def read_colours(file: Path) -> list[int]:
    """768 numbers of a file with `R G B` a line. Raises DataError."""
    try:
        values = [int(word) for word in file.read_text(encoding="utf-8").split()]
    except ValueError as error:
        raise DataError(f"{file} is no colour map: {error}.", advice="Write three whole numbers a line: R G B.") from error
    if not values or len(values) % 3 or len(values) > 768 or not all(0 <= value <= 255 for value in values):
        raise DataError(f"{file} holds {len(values)} numbers; three from 0 to 255 a line are needed, at most 256 lines.")
    return values + [0] * (768 - len(values))


def classes_of_colours(array: NDArray[Any], palette: list[int], path: str) -> NDArray[np.uint8]:
    """(H, W, 3) colours as class numbers (H, W). Raises DataError naming a colour that the map lacks."""
    if array.ndim != 3:
        raise DataError(f"{path} is no colour picture.", advice="Choose the colour map from label image.")
    codes = array[:, :, :3].astype(np.int64) @ np.array([65536, 256, 1])
    classes = np.full(codes.shape, -1, np.int64)
    triples = np.array(palette).reshape(-1, 3) @ np.array([65536, 256, 1])
    for number in range(len(triples) - 1, -1, -1):
        classes[codes == triples[number]] = number
    if (classes < 0).any():
        colour = array[:, :, :3][classes < 0][0].tolist()
        raise DataError(f"{path} has the colour {colour}, which the colour map lacks.", advice="Add its line to the file.")
    return classes.astype(np.uint8)
