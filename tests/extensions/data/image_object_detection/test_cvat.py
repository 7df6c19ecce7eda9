"""CVAT's files: boxes, the shapes that boxes lie around, and the tracks of videos."""

from __future__ import annotations

import math
from pathlib import Path

import pytest

from tests.extensions.data.image_object_detection.reading import pictures, read


@pytest.fixture
def images(tmp_path: Path) -> Path:
    return pictures(tmp_path / "images", "a0.png", "a1.png")


CVAT_IMAGES = """<?xml version="1.0" encoding="utf-8"?>
<annotations><version>1.1</version>
<meta><task><labels><label><name>dog</name></label><label><name>cat</name></label></labels></task></meta>
<image id="0" name="a0.png" width="200" height="100">
  <box label="cat" occluded="0" xtl="80.0" ytl="30.0" xbr="120.0" ybr="70.0" z_order="0"><attribute name="n">1</attribute></box>
  <box label="dog" xtl="80" ytl="40" xbr="120" ybr="60" rotation="90.0"/>
  <polygon label="cat" points="1,1;5,5;1,9"/><points label="cat" points="1,1"/>
</image>
<image id="1" name="a1.png" width="100" height="50"><box label="cat" xtl="1" ytl="1" xbr="5" ybr="5"/></image>
</annotations>"""
CVAT_VIDEO = """<annotations><version>1.1</version>
<meta><task><original_size><width>200</width><height>100</height></original_size></task></meta><track id="0" label="cat">
  <box frame="0" outside="0" keyframe="1" xtl="80" ytl="30" xbr="120" ybr="70"/>
  <box frame="1" outside="1" keyframe="1" xtl="80" ytl="30" xbr="120" ybr="70"/>
</track><track id="1" label="cat"><box frame="1" outside="0" xtl="1" ytl="1" xbr="5" ybr="5"/>
  <box frame="x" outside="0" xtl="1" ytl="1" xbr="5" ybr="5"/></track></annotations>"""


def test_cvat_for_images(images: Path, tmp_path: Path) -> None:
    file = tmp_path / "annotations.xml"
    file.write_text(CVAT_IMAGES)
    found = read(images, file)
    assert found.classes == ["dog", "cat"]
    assert found.boxes == {
        "a0.png": [(80, 30, 120, 70, 1, 0), (90, 30, 110, 70, 0, 0), (1, 1, 5, 9, 1, 0)],
        "a1.png": [(2, 2, 10, 10, 1, 0)],  # for 100x50, the picture has 200x100
    }
    assert "left out: 1 points" in found.only("annotation")[1]
    assert "100x50" in found.only("stated-size")[1]


def test_cvat_for_video(tmp_path: Path) -> None:
    images = pictures(tmp_path / "images", "frame_000000.PNG", "frame_000001.PNG")
    file = tmp_path / "annotations.xml"
    file.write_text(CVAT_VIDEO)
    found = read(images, file)
    assert found.boxes == {"frame_000000.PNG": [(80, 30, 120, 70, 0, 0)], "frame_000001.PNG": [(1, 1, 5, 5, 0, 0)]}
    assert "no frame number" in found.only("annotation")[1]


def test_a_cvat_picture_with_lines_only_is_no_background(images: Path, tmp_path: Path) -> None:
    file = tmp_path / "annotations.xml"
    text = CVAT_IMAGES.replace(
        '<box label="cat" xtl="1" ytl="1" xbr="5" ybr="5"/>', '<polyline label="cat" points="1,1;5,5;1,9"/>'
    )
    file.write_text(text)
    assert list(read(images, file).boxes) == ["a0.png"]


def test_cvat_shapes(images: Path, tmp_path: Path) -> None:
    shapes = (
        '<ellipse label="cat" cx="50" cy="50" rx="10" ry="5" rotation="90"/>'
        '<mask label="cat" left="5" top="6" width="9" height="8"/><polygon label="cat" points="1,1;5"/>'
        '<skeleton label="cat"><points points="1,1"/></skeleton><tag label="x"/>'
    )
    image = '<image name="a{}.png" width="200" height="100">{}</image>'
    box = '<box label=" cat" xtl="1" ytl="1" xbr="5" ybr="5"/>'
    file = tmp_path / "a.xml"
    file.write_text(f"<annotations>{image.format(0, shapes)}{image.format(1, box)}</annotations>")
    found = read(images, file)
    assert found.boxes == {"a0.png": [(45, 40, 55, 60, 0, 0), (5, 6, 14, 14, 0, 0)], "a1.png": [(1, 1, 5, 5, 0, 0)]}
    reasons = " ".join(reason for _, _, reason in found.problems)
    assert "A polygon of a0.png has no usable points" in reasons
    assert "left out: 1 skeleton" in reasons


def test_cvat_key_frames(tmp_path: Path) -> None:
    def box(frame: int, left: int, turn: int, outside: int = 0) -> str:
        return f'<box frame="{frame}" outside="{outside}" xtl="{left}" ytl="20" xbr="{left + 20}" ybr="40" rotation="{turn}"/>'

    images = pictures(tmp_path / "images", *(f"frame_{number:06d}.png" for number in (0, 1, 3, 4, 5)))
    boxes = box(0, 10, 350) + box(4, 50, 10) + box(5, 50, 10, 1)
    outlines = '<polygon frame="3" points="1,1;5,1;5,5"/><polygon frame="0" points="1,1;5,1;5,5"/>'
    tracks = "".join(f'<track label="cat">{shapes}</track>' for shapes in (boxes, outlines))
    (tmp_path / "a.xml").write_text(f"<annotations>{tracks}</annotations>")
    found = read(images, tmp_path / "a.xml")
    between = found.corners("frame_000003.png")[0]
    reach = 10 * (math.cos(math.radians(5)) + math.sin(math.radians(5)))  # three quarters of the way from 350 to 10 degrees
    assert between == pytest.approx((50 - reach, 30 - reach, 50 + reach, 30 + reach), abs=0.01)
    assert {name: len(rows) for name, rows in found.boxes.items()} == {
        f"frame_{number:06d}.png": count for number, count in ((0, 2), (1, 1), (3, 2), (4, 1))
    }
    assert "3 objects between them, where boxes are interpolated" in found.only("note")[1]
    assert "1 shape between key frames" in found.only("annotation")[1]
