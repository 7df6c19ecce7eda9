"""Frames of videos: numbers, times and colours, and what is no video."""

from __future__ import annotations

import io
from pathlib import Path

import cv2
import numpy as np
import pytest
from PIL import Image

from digits.errors import DataError
from digits.images.video import CONTAINER, claimed, frames, kind_of


def write_video(path: Path, count: int = 12, size: tuple[int, int] = (48, 32)) -> Path:
    """A video whose n-th frame has the brightness 10 n in red."""
    codec = {".avi": "MJPG", ".mp4": "mp4v", ".webm": "VP80", ".mkv": "MJPG"}[path.suffix]
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter.fourcc(*codec), 10.0, size)
    assert writer.isOpened()
    for number in range(count):
        picture = np.zeros((size[1], size[0], 3), np.uint8)
        picture[..., 2] = 10 * number % 250
        writer.write(picture)
    writer.release()
    return path


def write_gif(path: Path, count: int = 5) -> Path:
    pictures = [Image.new("RGB", (20, 10), (50 * number, 0, 0)) for number in range(count)]
    pictures[0].save(path, save_all=True, append_images=pictures[1:], duration=200)
    return path


@pytest.mark.parametrize("suffix", [".avi", ".mp4", ".webm", ".mkv"])
def test_every_nth_frame_of_a_container(tmp_path: Path, suffix: str) -> None:
    path = write_video(tmp_path / f"clip{suffix}")
    with open(path, "rb") as file:
        found = list(frames(file, path.name, str(path), every=5))
    assert [frame.number for frame in found] == [0, 5, 10]
    assert [frame.seconds for frame in found] == pytest.approx([0, 0.5, 1.0], abs=0.11)
    assert found[0].picture.shape == (32, 48, 3)
    assert [float(frame.picture[..., 0].mean()) for frame in found] == pytest.approx([0, 50, 100], abs=8), "red is first"
    assert claimed(str(path)) in (12, 13)


def test_frames_of_an_animated_picture(tmp_path: Path) -> None:
    path = write_gif(tmp_path / "moving.gif")
    with open(path, "rb") as file:
        found = list(frames(file, path.name, str(path), every=2))
    assert [(frame.number, round(frame.seconds, 3)) for frame in found] == [(0, 0.0), (2, 0.4), (4, 0.8)]
    assert [int(frame.picture[0, 0, 0]) for frame in found] == [0, 100, 200]


@pytest.mark.parametrize(
    "head",
    [
        b"",
        b"#EXTM3U\n#EXTINF:1,\n/etc/passwd\n",
        b"ffconcat version 1.0\nfile /etc/passwd\n",
        b"\xff\xd8\xff\xe0 a picture",
        b"<html>",
        b"PK\3\4",
    ],
)
def test_what_is_no_video_is_not_opened(head: bytes) -> None:
    assert kind_of(head) == ""
    with pytest.raises(DataError, match="is no video"):
        next(frames(io.BytesIO(head), "a.mp4", "/nowhere/a.mp4"))


def test_damaged_videos_are_said(tmp_path: Path) -> None:
    whole = write_video(tmp_path / "clip.avi").read_bytes()
    junk = b"\0\0\0\x20ftypisom" + bytes(200)
    for name, data in {"head.avi": whole[:60], "junk.mp4": junk, "cut.gif": b"GIF89a" + bytes(20)}.items():
        path = tmp_path / name
        path.write_bytes(data)
        assert kind_of(data) != ""
        with open(path, "rb") as file, pytest.raises(DataError, match="frame|opened|read"):
            list(frames(file, name, str(path)))
    assert kind_of(whole) == CONTAINER
