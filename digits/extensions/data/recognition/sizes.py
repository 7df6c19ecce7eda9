"""Proposes a size where pictures differ much: padded to the largest, most of each record would be empty."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from itertools import islice
from statistics import median

from digits.extensions.data.files.listing import MayRead, pictures_below
from digits.extensions.data.images.sizes import NO_SIZE, Size, picture_size, up_to_step
from digits.extensions.data.recognition.proposals import Proposal

FOLDERS = ("train_image_folder", "feature_folder", "image_folder")  # of pictures, in the forms that have no size of their own
FIELDS = {"image-object-detection": ("resize_image_width", "resize_image_height")}
USUAL = ("resize_width", "resize_height")
LISTED = 20_000  # files
LOOKED_AT = 80
MUCH = 2.0  # the largest has so many times the pixels of the smallest
LONGEST = 512  # pixels of the longer side


def with_size(proposal: Proposal, may_read: MayRead) -> Proposal:
    """The proposal with a width and height, and why, where its pictures differ much."""
    folder = next((proposal.values[name] for name in FOLDERS if name in proposal.values), "")
    if not folder or proposal.values.get("label_source") == "half":
        return proposal
    sizes = _sizes_in(folder, may_read)
    if _is_scaled(sizes, proposal, may_read):
        return proposal
    if len(sizes) < 2 or _pixels(max(sizes, key=_pixels)) < MUCH * _pixels(min(sizes, key=_pixels)):
        return proposal
    width, height = proposed(sizes)
    low, high = min(sizes, key=_pixels), max(sizes, key=_pixels)
    words = (
        f" The pictures have from {low[0]}×{low[1]} to {high[0]}×{high[1]} pixels; {width}×{height} is proposed for all, padded."
    )
    fields = FIELDS.get(proposal.extension, USUAL)
    values = {**proposal.values, fields[0]: width, fields[1]: height, "resize_mode": "fill"}
    return replace(proposal, reason=proposal.reason + words, values=values)


def _sizes_in(folder: str, may_read: MayRead) -> set[Size]:
    paths = list(islice(pictures_below(folder, may_read=may_read), LISTED))
    return {size for path in paths[:: max(1, len(paths) // LOOKED_AT)] if (size := picture_size(path)) != NO_SIZE}


def _is_scaled(sizes: set[Size], proposal: Proposal, may_read: MayRead) -> bool:
    """Whether what comes out has another size than what goes in, which one size for both would undo."""
    labels = str(proposal.values.get("label_folder", ""))
    if proposal.extension != "image-processing" or not labels or labels == proposal.values["feature_folder"] or not sizes:
        return False
    others = _sizes_in(labels, may_read)
    return bool(others) and max(others, key=_pixels) > max(sizes, key=_pixels)


def proposed(sizes: Iterable[Size]) -> Size:
    """The middle width and height, in steps of 32 pixels, in a scale in which the longer side has at most 512."""
    widths, heights = zip(*sizes, strict=True)
    width, height = median(widths), median(heights)
    scale = min(1.0, LONGEST / max(width, height))
    return up_to_step((max(1, round(width * scale)), max(1, round(height * scale))))


def _pixels(size: Size) -> int:
    return size[0] * size[1]
