"""How large the pixels of an evaluation's pictures are, where the file that a picture comes from says so: `PixelSpacing` of
DICOM."""

from __future__ import annotations

import functools
from collections.abc import Sequence
from typing import Any

from digits.domain.inference import EvaluationSpec
from digits.images.place import Origin
from digits.metrics.analysis.base import Spacing
from digits.utils.confinement import Confinement
from digits.utils.names import is_address
from digits.worker.evaluation.sources import InputSource

TAGS = ["PixelSpacing", "SharedFunctionalGroupsSequence"]


class Spacings:
    """Reads only what lies below the folders that the evaluation may read; a file that says nothing has no spacing."""

    def __init__(self, spec: EvaluationSpec) -> None:
        self._confinement = Confinement(spec.roots)
        self.of_file = functools.lru_cache(maxsize=256)(self._of_file)

    def is_known(self, source: InputSource) -> bool:
        """Whether the first picture's file says it; those of one data set do it or do not."""
        return any(self.of_file(path) is not None for path in source.first_paths())

    def of(self, paths: Sequence[str], origins: Sequence[Sequence[float]]) -> list[Spacing | None]:
        """Of outputs whose pictures are these files and come from there as the column `origin` says, (8,) each: height and
        width of an output's pixel in mm."""
        found: list[Spacing | None] = []
        for path, numbers in zip(paths, origins, strict=True):
            spacing = self.of_file(path) if numbers[0] == numbers[0] else None  # NaN: not known where it lies
            if spacing is None:
                found.append(None)
                continue
            scale = Origin.of_numbers(numbers).scale
            found.append((spacing[0] * scale[1], spacing[1] * scale[0]))
        return found

    def _of_file(self, path: str) -> Spacing | None:
        if not path or "\0" in path or is_address(path) or not self._confinement.allows(path):
            return None
        try:
            with open(path, "rb") as file:
                file.seek(128)
                if file.read(4) != b"DICM":
                    return None
            return _pixel_spacing(path)
        except (OSError, ValueError):
            return None


def _pixel_spacing(path: str) -> Spacing | None:
    from pydicom import dcmread
    from pydicom.errors import InvalidDicomError

    try:
        header: Any = dcmread(path, stop_before_pixels=True, specific_tags=TAGS)
        spacing = header.get("PixelSpacing")
        if spacing is None:
            spacing = header.SharedFunctionalGroupsSequence[0].PixelMeasuresSequence[0].PixelSpacing
        height, width = (float(value) for value in spacing)
    except (AttributeError, IndexError, InvalidDicomError, TypeError):
        return None
    return (height, width) if height > 0 and width > 0 else None
