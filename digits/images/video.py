"""Frames of a video, or of an animated picture, one after the other.

Only containers that bring their pictures with them are opened, by their first bytes: a playlist would have other files read.
Frames are RGB, upright, and come with their number from 0 on and their time.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import IO, Any

import numpy as np
from PIL import Image, ImageSequence, UnidentifiedImageError

from digits.errors import DataError
from digits.utils.stored import MAX_PIXELS

HEAD_BYTES = 400
ANIMATED, CONTAINER = "animated", "container"
FORMATS = ("GIF", "WEBP", "PNG")
BROKEN = (OSError, ValueError, SyntaxError, EOFError, UnidentifiedImageError, Image.DecompressionBombError)  # of Pillow
READ = "MP4, MOV, AVI, MKV, WebM, MPEG, OGV, FLV, ASF, or an animated GIF, WebP or PNG"


@dataclass(frozen=True)
class Frame:
    """One picture of a video: its number, its time in seconds, uint8 (H, W, 3)."""

    number: int
    seconds: float
    picture: np.ndarray


def kind_of(head: bytes) -> str:
    """What the first `HEAD_BYTES` of a file begin: `ANIMATED`, `CONTAINER`, or nothing that is read."""
    if head[:4] == b"GIF8" or (head[:4] == b"RIFF" and head[8:12] == b"WEBP") or head[:8] == b"\x89PNG\r\n\x1a\n":
        return ANIMATED
    starts = (b"\x1aE\xdf\xa3", b"\0\0\1\xba", b"\0\0\1\xb3", b"OggS", b"FLV\1", b"0&\xb2u\x8ef\xcf\x11")
    is_transport = head[:1] == b"G" and len(head) > 188 and head[188:189] == b"G"
    is_avi = head[:4] == b"RIFF" and head[8:11] == b"AVI"
    is_mp4 = head[4:8] in (b"ftyp", b"moov", b"mdat", b"wide", b"free", b"skip", b"pnot")
    return CONTAINER if is_avi or is_mp4 or is_transport or head.startswith(starts) else ""


def frames(file: IO[bytes], name: str, path: str, every: int = 1, beat: Callable[[], None] = lambda: None) -> Iterator[Frame]:
    """Every `every`th frame of an open file, which the path leads to as well; `beat` is called at each frame that is passed.
    DataError for what is no video, or holds no frame."""
    kind = kind_of(file.read(HEAD_BYTES))
    file.seek(0)
    if not kind:
        raise DataError(f"{name} is no video.", advice=f"Read are {READ}.")
    found = 0
    for frame in _animated(file, name, every) if kind == ANIMATED else _decoded(path, name, every, beat):
        height, width = frame.picture.shape[:2]
        if height * width > MAX_PIXELS:
            raise DataError(f"The frames of {name} have {width}×{height} pixels; at most {MAX_PIXELS:,} are read.")
        found += 1
        yield frame
    if not found:
        raise DataError(f"{name} holds no frame that can be read.", advice="It may be damaged, or hold sound alone.")


def has_several(file: IO[bytes]) -> bool:
    """Whether an open file that begins as `ANIMATED` holds more than one frame."""
    file.seek(0)
    try:
        with Image.open(file, formats=FORMATS) as image:
            return getattr(image, "n_frames", 1) > 1
    except BROKEN:
        return False


def claimed(path: str) -> int:
    """How many frames a container says that it has; 0 where it does not say."""
    import cv2

    capture = cv2.VideoCapture(path, cv2.CAP_FFMPEG)
    try:
        count = float(capture.get(cv2.CAP_PROP_FRAME_COUNT)) if capture.isOpened() else 0.0
    finally:
        capture.release()
    return int(count) if math.isfinite(count) and count > 0 else 0


def _decoded(path: str, name: str, every: int, beat: Callable[[], None]) -> Iterator[Frame]:
    import cv2

    capture = cv2.VideoCapture(path, cv2.CAP_FFMPEG)
    try:
        if not capture.isOpened():
            raise DataError(
                f"{name} cannot be opened as a video.",
                advice="It is damaged, holds no pictures, or has a codec that is not read.",
            )
        width, height = (capture.get(side) for side in (cv2.CAP_PROP_FRAME_WIDTH, cv2.CAP_PROP_FRAME_HEIGHT))
        if width * height > MAX_PIXELS:
            raise DataError(f"The frames of {name} have {width:g}×{height:g} pixels; at most {MAX_PIXELS:,} are read.")
        rate = float(capture.get(cv2.CAP_PROP_FPS))
        number = 0
        while capture.grab():
            if number % every == 0:
                seconds = float(capture.get(cv2.CAP_PROP_POS_MSEC)) / 1000
                read, picture = capture.retrieve()
                if read and picture is not None:
                    yield Frame(number, _time(seconds, number, rate), _rgb(picture))
            beat()
            number += 1
    finally:
        capture.release()


def _time(seconds: float, number: int, rate: float) -> float:
    """What the container says of a frame's time; by its rate where that is nothing."""
    if math.isfinite(seconds) and (seconds > 0 or number == 0):
        return max(0.0, seconds)
    return number / rate if math.isfinite(rate) and rate > 0 else 0.0


def _rgb(picture: Any) -> np.ndarray:
    """A decoded picture (H, W), (H, W, 3) or (H, W, 4) in the order of OpenCV as uint8 (H, W, 3)."""
    array = np.asarray(picture)
    array = array[:, :, np.newaxis] if array.ndim == 2 else array
    return np.ascontiguousarray(np.repeat(array, 3, axis=2) if array.shape[2] == 1 else array[:, :, 2::-1])


def _animated(file: IO[bytes], name: str, every: int) -> Iterator[Frame]:
    try:
        with Image.open(file, formats=FORMATS) as image:
            if image.width * image.height > MAX_PIXELS:
                raise DataError(f"{name} has {image.width}×{image.height} pixels; at most {MAX_PIXELS:,} are read.")
            seconds = 0.0
            for number, frame in enumerate(ImageSequence.Iterator(image)):
                if number % every == 0:
                    yield Frame(number, seconds, _on_white(frame))
                seconds += float(frame.info.get("duration") or 0) / 1000
    except BROKEN as error:
        raise DataError(f"{name} cannot be read: {error}.", advice="The file is damaged.") from error


def _on_white(image: Image.Image) -> np.ndarray:
    """uint8 (H, W, 3); what is transparent is white."""
    full = image.convert("RGBA")
    white = Image.new("RGBA", full.size, "white")
    return np.asarray(Image.alpha_composite(white, full).convert("RGB"))
