"""The example beside the resize options: a bundled picture as a data set would store it."""

from __future__ import annotations

import base64
import io
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from digits.domain.datasets import PNG_OR_NONE
from digits.service.datasets.classification import BACKENDS, CHANNELS, ENCODINGS
from digits.service.forms import FormModel, option, parse
from digits.utils.constants import RESIZE_MODE_TITLES

PICTURE = Path(__file__).parent / "example.jpg"
MAX_SHOWN_SIDE = 2048


class ResizeExampleForm(FormModel):
    """The storage fields of the data set form, under the names of R 1.2."""

    width: int = option(256, "Width", ge=1, le=MAX_SHOWN_SIDE)
    height: int = option(256, "Height", ge=1, le=MAX_SHOWN_SIDE)
    channels: int = option(3, "Colour", choices=CHANNELS)
    resize_mode: str = option("squash", "Resize mode", choices=RESIZE_MODE_TITLES)
    backend: str = option("lmdb", "Backend", choices=BACKENDS)
    encoding: str = option("auto", "Encoding", choices=ENCODINGS)


def resize_example(values: Mapping[str, Any]) -> tuple[str, str]:
    """The resized picture as a `data:` address, and the size it takes in the records, in words. Raises FormErrors."""
    from PIL import Image

    from digits.utils.image import load_image, resize_image

    form = parse(ResizeExampleForm, values)
    array = resize_image(
        load_image(PICTURE), form.height, form.width, channels=form.channels or None, resize_mode=form.resize_mode
    )
    encoding = "none" if form.backend == "hdf5" else {"auto": "png", PNG_OR_NONE: "png"}.get(form.encoding, form.encoding)
    shown = io.BytesIO()
    picture = Image.fromarray(array)
    picture.save(shown, "JPEG" if encoding == "jpg" else "PNG", **({"quality": 90} if encoding == "jpg" else {}))
    size = array.nbytes if encoding == "none" else len(shown.getvalue())
    kind = "jpeg" if encoding == "jpg" else "png"
    return f"data:image/{kind};base64,{base64.b64encode(shown.getvalue()).decode('ascii')}", _words(size)


def _words(size: int) -> str:
    return f"{size} B" if size < 1024 else f"{size / 1024:.1f} KiB" if size < 2**20 else f"{size / 2**20:.2f} MiB"
