"""Pictures of samples for people: the feature with its label over it or beside it."""

from __future__ import annotations

import io
from collections.abc import Sequence

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from digits.images.palette import map_palette, object_colours
from digits.storage.records.reader import BOX_CROWD, BOX_DIFFICULT, BOX_IGNORED
from digits.utils.image import display_image

LARGEST_SIDE = 480
LETTERS = 12
MASK_STRENGTH = 0.55
GREY = (150, 150, 150)


def overlay(feature: np.ndarray, how: str, label: np.ndarray, names: Sequence[str], palette: Sequence[int]) -> bytes:
    """PNG of a sample: `boxes` (n,) or a `map` (1, H, W) of class numbers over the feature (C, H, W), a `picture` (C, H, W)
    beside it; nothing else is shown."""
    picture = _rgb(feature)
    if how == "boxes":
        shown = _with_boxes(picture, label, names, palette)
    elif how == "map":
        shown = _with_map(picture, label[0], map_palette(palette, names))
    elif how == "picture":
        shown = _beside(picture, _rgb(label))
    else:
        shown = picture
    return _png(shown)


def _rgb(array: np.ndarray) -> Image.Image:
    """A picture (C, H, W) of any type for the eye."""
    return Image.fromarray(display_image(array.transpose(1, 2, 0))).convert("RGB")


def _with_boxes(picture: Image.Image, boxes: np.ndarray, names: Sequence[str], palette: Sequence[int]) -> Image.Image:
    """Boxes (n,) of `BOX_DTYPE` in pixels of the picture, which is enlarged where it is small; grey: does not count."""
    scale = max(1.0, LARGEST_SIDE / max(picture.size))
    drawn = picture.resize((round(picture.width * scale), round(picture.height * scale)))
    draw = ImageDraw.Draw(drawn)
    colours = object_colours(max(len(names), int(boxes["class"].max(initial=0)) + 1), palette)
    for box in boxes:
        number = int(box["class"])
        ignored = bool(box["flags"] & (BOX_IGNORED | BOX_CROWD))
        colour = GREY if ignored or number < 0 else tuple(colours[number])
        corners = [float(box[name]) * scale for name in ("x0", "y0", "x1", "y1")]
        draw.rectangle(corners, outline=colour, width=1 if box["flags"] & BOX_DIFFICULT else 2)
        if 0 <= number < len(names) and not ignored:
            _name(draw, corners, names[number], colours[number])
    return drawn


def _name(draw: ImageDraw.ImageDraw, corners: Sequence[float], name: str, colour: Sequence[int]) -> None:
    """A name on the colour of its class: above the box where there is room, else inside it."""
    font = ImageFont.load_default(LETTERS)
    height = LETTERS + 3
    x, y = corners[0], corners[1] - height if corners[1] >= height else corners[1]
    draw.rectangle((x, y, x + draw.textlength(name, font) + 4, y + height), fill=tuple(colour))
    bright = 2 * colour[0] + 5 * colour[1] + colour[2] > 1000
    draw.text((x + 2, y), name, fill=(0, 0, 0) if bright else (255, 255, 255), font=font)


def _with_map(picture: Image.Image, classes: np.ndarray, colours: Sequence[int]) -> Image.Image:
    """The picture as it is, and beside it with its classes (H, W) drawn over it; `colours` are 768 numbers in [0, 255]."""
    table = np.array(colours, np.float64).reshape(256, 3)
    strength = np.where(table.any(axis=1), MASK_STRENGTH, 0.0)[:, None]  # black stands for the background: the picture itself
    numbers = np.clip(classes, 0, 255).astype(int)  # (H, W)
    shown = np.asarray(picture) * (1 - strength[numbers]) + table[numbers] * strength[numbers]  # (H, W, 3) float64
    return _beside(picture, Image.fromarray(shown.astype(np.uint8)))


def _beside(left: Image.Image, right: Image.Image) -> Image.Image:
    out = Image.new("RGB", (left.width + right.width + 4, max(left.height, right.height)), (128, 128, 128))
    out.paste(left, (0, 0))
    out.paste(right, (left.width + 4, 0))
    return out


def _png(picture: Image.Image) -> bytes:
    picture.thumbnail((2 * LARGEST_SIDE, 2 * LARGEST_SIDE))
    out = io.BytesIO()
    picture.save(out, "PNG", compress_level=3)
    return out.getvalue()
