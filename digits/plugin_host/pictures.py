"""Reads pictures of others that a page shows again, such as those that an evaluation read: in this process, which has a deadline
and a memory limit, and not in the one that answers pages."""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from PIL import Image

from digits.images.prepare_for_model import Preparer
from digits.utils.confinement import of_roots, reading_from
from digits.utils.image import load_image


def thumbnail(path: str, roots: Sequence[str], side: int) -> bytes:
    """A picture file as PNG, shrunk to fit `side` pixels. Raises LoadImageError."""
    with reading_from(of_roots(tuple(roots))):
        image = load_image(path, at_least=(side, side))
    image.thumbnail((side, side), Image.Resampling.BILINEAR)
    buffer = io.BytesIO()
    image.save(buffer, "PNG", compress_level=1)
    return buffer.getvalue()


def prepared(path: str, roots: Sequence[str], meta: Mapping[str, Any], dont_resize: bool, tiled: bool = False) -> np.ndarray:
    """A picture file as a model with the description `meta` gets it, (C, H, W). Raises LoadImageError, DataError."""
    with reading_from(of_roots(tuple(roots))):
        return np.ascontiguousarray(Preparer(meta, dont_resize=dont_resize, tiled=tiled)(path))
