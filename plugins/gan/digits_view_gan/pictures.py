"""Outputs of generators as pictures, all of a request in one range of values, and as a film."""

import base64
import io

import numpy as np
from PIL import Image

KNOWN_RANGES = ((0.0, 1.0), (-1.0, 1.0))  # of networks that end in a sigmoid or in tanh
EIGHT_BITS, BRIGHT = (0.0, 255.0), 64.0  # what gives pictures in 8 bits has brighter pixels than this
FILM_SIDE = 128  # a film is enlarged by a whole number to about so many pixels
FRAME_MILLISECONDS = 100


def as_picture(output, dims=()):
    """An output as (H, W) or (H, W, 3); `dims` (H, W, C) is what a flat one is. Raises ValueError for what is no picture."""
    array = np.asarray(output, np.float64)
    if array.ndim == 1 and len(dims) == 3 and array.size == np.prod(dims):
        array = array.reshape(dims[2], dims[0], dims[1])
    if array.ndim == 3 and array.shape[0] in (1, 3):
        array = array.transpose(1, 2, 0)
    if array.ndim == 3 and array.shape[2] == 1:
        array = array[:, :, 0]
    if array.ndim != 2 and not (array.ndim == 3 and array.shape[2] == 3):
        raise ValueError(f"the output has the shape {np.shape(output)}, which is no picture; show it as encodings or raw data")
    return array


def first_picture(outputs, dims=()):
    """The first output that is a picture, as `as_picture` gives it. Raises ValueError where none is."""
    reasons = []
    for output in outputs.values():
        try:
            return as_picture(output, dims)
        except ValueError as error:
            reasons.append(error)
    raise reasons[0] if reasons else ValueError("the network has no output")


def range_of(arrays):
    """The range of values that all arrays lie in: a usual one of networks where they fit, else from the least to the greatest."""
    finite = [array[np.isfinite(array)] for array in arrays]
    low = min((float(values.min()) for values in finite if values.size), default=0.0)
    high = max((float(values.max()) for values in finite if values.size), default=1.0)
    known = (*KNOWN_RANGES, EIGHT_BITS) if high >= BRIGHT else KNOWN_RANGES
    return next(((least, most) for least, most in known if least <= low and high <= most), (low, high))


def eight_bits(array, limits):
    """uint8 of the same shape; what is no number is black."""
    low, high = limits
    scaled = (np.nan_to_num(array, nan=low, posinf=high, neginf=low) - low) / ((high - low) or 1.0)
    return (scaled * 255).round().clip(0, 255).astype(np.uint8)


def film(frames):
    """A `data:` address of a GIF of pictures, uint8 (H, W) or (H, W, 3), without end."""
    scale = max(1, FILM_SIDE // max(frames[0].shape[:2]))
    first, *others = [Image.fromarray(frame.repeat(scale, 0).repeat(scale, 1)) for frame in frames]
    buffer = io.BytesIO()
    first.save(buffer, "GIF", save_all=True, append_images=others, duration=FRAME_MILLISECONDS, loop=0)
    return address("image/gif", buffer.getvalue())


def address(kind, data):
    """A `data:` address of bytes."""
    return f"data:{kind};base64,{base64.b64encode(data).decode('ascii')}"
