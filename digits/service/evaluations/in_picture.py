"""Boxes, masks and pictures in the pixels of the picture that was given: what answers have beside a network's own outputs.

`scale` and `offset` say where: a point at x of the network's pixels lies at `(x − offset) · scale` of the given picture.
"""

from __future__ import annotations

import base64
import io
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from digits.service.evaluations.predict import PICTURE
from digits.tasks import Labels, Task
from digits.tasks.base import BOXES, MAP, PICTURES
from digits.utils.values import finite

if TYPE_CHECKING:
    import numpy as np

    from digits.images.place import Origin

EIGHT_BITS = 255.0  # full scale of the labels


def origin_json(origin: Origin, pixels_of: str = PICTURE) -> dict[str, Any]:
    """`size` (width, height) of the given picture, `scale` and `offset`; `pixels_of` says that they are the `picture`'s or, where
    nothing is known of it, those of its `record`."""
    return {"pixels_of": pixels_of, "size": list(origin.size), "scale": list(origin.scale), "offset": list(origin.offset)}


def in_picture(
    found: np.ndarray, origin: Origin, task: Task, meta: Mapping[str, Any], pixels_of: str = PICTURE
) -> dict[str, Any]:
    """`origin_json` with what was found there, (n, 6), (H, W) or (C, H, W): `boxes` (`box`, `class`, `label`, `score`), `mask`
    (the classes of its pixels, a grey PNG as a `data:` address), or `picture` (the same of 8 bits, else nested lists)."""
    import numpy as np

    described = origin_json(origin, pixels_of)
    if task.output_kind == BOXES:
        described["boxes"] = named_boxes(found, task, meta)
    elif task.output_kind == MAP:
        described["mask"] = _address(mask_png(found))
    elif task.output_kind == PICTURES:
        picture = task.shown(found, _dtype(task, meta))
        eight_bits = picture.dtype == np.uint8 and picture.shape[0] in (1, 3)
        described["picture"] = _address(_picture_png(picture)) if eight_bits else finite(np.asarray(picture).tolist())
    return described


def named_boxes(rows: np.ndarray, task: Task, meta: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Rows (n, 6) as JSON, with the names of their classes."""
    names = list(meta.get("class_labels", ()))
    found = task.describe_output(rows, None, Labels.of_snapshot(meta))["boxes"]
    return [{**box, "label": names[box["class"]] if box["class"] < len(names) else ""} for box in found]


def mask_png(classes: np.ndarray) -> bytes:
    """A map of classes (H, W) as a grey PNG, of 16 bits beyond 256 classes."""
    import numpy as np
    from PIL import Image

    return _png(Image.fromarray(classes.astype(np.uint8 if classes.max(initial=0) < 256 else np.uint16)))


def _picture_png(picture: np.ndarray) -> bytes:
    """A picture (1 or 3, H, W) uint8."""
    from PIL import Image

    return _png(Image.fromarray(picture[0] if len(picture) == 1 else picture.transpose(1, 2, 0).copy()))


def _png(image: Any) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, "PNG")
    return buffer.getvalue()


def _address(png: bytes) -> str:
    return f"data:image/png;base64,{base64.b64encode(png).decode()}"


def _dtype(task: Task, meta: Mapping[str, Any]) -> Any:
    """The type of what the pictures of a model stand for."""
    import numpy as np

    how = meta.get("preparation") or {}
    own = "float32" if task.has_labels(Labels.of_snapshot(meta)) else str(how.get("dtype", "uint8"))
    return np.dtype("uint8" if how.get("label_scale") == EIGHT_BITS else own)
