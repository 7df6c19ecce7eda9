"""Arrays as pictures for the eye: encoded, and as `data:` addresses that travel inside JSON.

Pictures leave as 8-bit PNG or JPEG: wider data are stretched from their 1st to their 99th percentile.
"""

from __future__ import annotations

import base64
import io
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from digits.domain.datasets import PAIR

if TYPE_CHECKING:
    import numpy as np  # the web process reads this file for every page

PERCENTILES = (1.0, 99.0)
LARGEST_SIDE = 640


def picture_address(array: np.ndarray) -> str:
    """A picture (C, H, W) of any dtype as a `data:` address, shrunk where it is large."""
    return _address(*encode_picture(array, LARGEST_SIDE))


def map_address(classes: np.ndarray) -> str:
    """Class numbers (…, H, W) as a grey picture's address; those that do not fit into 8 bits share the last value."""
    return _address(*encode_picture(classes.reshape(1, *classes.shape[-2:]).clip(0, 255).astype("uint8")))


def png_address(picture: bytes) -> str:
    """A PNG file as it is."""
    return _address(picture, "image/png")


def _address(picture: bytes, kind: str) -> str:
    return f"data:{kind};base64,{base64.b64encode(picture).decode()}"


def encode_picture(feature: np.ndarray, side: int = 0) -> tuple[bytes, str]:
    """A (C,H,W) array of any type as PNG or JPEG bytes and their content type; shrunk to fit `side` pixels unless that is 0."""
    from PIL import Image

    image = Image.fromarray(to_uint8(feature))
    if side and max(image.size) > side:
        image.thumbnail((side, side), Image.Resampling.LANCZOS)
    out = io.BytesIO()
    if side and image.mode == "RGB" and max(image.size) > 64:
        image.save(out, "JPEG", quality=88)
        return out.getvalue(), "image/jpeg"
    image.save(out, "PNG", compress_level=3)
    return out.getvalue(), "image/png"


def to_uint8(feature: np.ndarray) -> np.ndarray:
    """A (C,H,W) array as uint8 (H,W) or (H,W,3) for the eye.

    Two channels show the first; of more than three the first three are stretched one by one. Other types than uint8 are
    stretched from the 1st to the 99th percentile of their finite values; what is not finite is black.
    """
    import numpy as np

    channels = feature.shape[0]
    shown = feature[:3] if channels >= 3 else feature[:1]  # (1 or 3, H, W)
    if feature.dtype != np.uint8:
        parts = [shown] if channels <= 3 else [channel[None] for channel in shown]
        shown = np.concatenate([_stretch(part) for part in parts])
    return np.ascontiguousarray(shown[0] if shown.shape[0] == 1 else shown.transpose(1, 2, 0))


def shown_pair(feature: np.ndarray, described: Mapping[str, Any]) -> np.ndarray:
    """A record (C, H, W) for the eye: of a data set that says of itself (`DatasetInfo.extra`) that a record is a pair of pictures
    both side by side, (C/2, H, 2W)."""
    import numpy as np

    return np.concatenate(np.split(feature, 2), axis=2) if described.get(PAIR) and len(feature) % 2 == 0 else feature


def _stretch(part: np.ndarray) -> np.ndarray:
    """Channels (c, H, W) of any type, stretched together, as uint8."""
    import numpy as np

    values = part.astype(np.float64)
    finite = np.isfinite(values)
    if not finite.any():
        return np.zeros(part.shape, np.uint8)
    low, high = np.percentile(values[finite], PERCENTILES)
    if high <= low:
        low, high = values[finite].min(), values[finite].max()
    scaled = (np.where(finite, values, low) - low) / (high - low or 1.0)
    return (np.clip(scaled, 0.0, 1.0) * 255.0 + 0.5).astype(np.uint8)
