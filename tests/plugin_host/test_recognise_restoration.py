"""What is proposed for sets of image processing as their authors publish them: all pairs, under the names that they have."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from digits.plugin_host.recognise import recognise
from digits.utils.confinement import EVERYWHERE
from tests.ingest.making import make_job, run_job
from tests.plugin_host.test_recognise_public import masks, photos, save


def both(root: Path, before: str, after: str, scene: str, scale: int = 1) -> None:
    """A picture of large spots, which differ with the scene, as it goes in (smaller by a scale) and as it should come out."""
    draw = np.random.default_rng(sum(map(ord, scene)))
    clean = Image.fromarray(draw.integers(0, 255, (4, 4, 3), np.uint8)).resize((24 * scale, 24 * scale), Image.Resampling.BICUBIC)
    noise = np.random.default_rng(0).normal(0, 8, (24, 24, 3))
    save(root / after, clean)
    save(root / before, Image.fromarray((np.asarray(clean.resize((24, 24))) + noise).clip(0, 255).astype(np.uint8)))


# -- sets ----------------------------------------------------------------------------------------------------------


def gopro(root: Path) -> None:
    for scene in ("train/GOPR0372_07_00", "train/GOPR0374_11_00", "train/GOPR0378_13_00", "test/GOPR0384_11_00", "test/GOPR0385"):
        for number in range(4):
            both(root / scene, f"blur/{number:06}.png", f"sharp/{number:06}.png", scene)
        shutil.copytree(root / scene / "blur", root / scene / "blur_gamma")


def sidd(root: Path) -> None:
    for number in range(4):
        scene = root / "SIDD_Small_sRGB_Only/Data" / f"{number:04}_001_S6_00100_00060_3200_L"
        for place in ("010", "011"):
            both(scene, f"{number:04}_NOISY_SRGB_{place}.PNG", f"{number:04}_GT_SRGB_{place}.PNG", f"{number}{place}")


def div2k(root: Path) -> None:
    for split, count in (("train", 4), ("valid", 2)):
        for number in range(count):
            for scale in (2, 4):
                low = f"DIV2K_{split}_LR_bicubic/X{scale}/{number:04}x{scale}.png"
                both(root, low, f"DIV2K_{split}_HR/{number:04}.png", f"{split}{number}", scale)
    for split in ("train", "valid"):  # the smaller ones of both: the pictures that come out are those that were written last
        for path in (root / f"DIV2K_{split}_LR_bicubic/X2").iterdir():
            Image.open(path).resize((48, 48)).save(path)


def reds(root: Path) -> None:
    for split in ("train", "val"):
        for clip in ("000", "001", "002"):
            for number in range(3):
                name = f"{clip}/{number:08}.png"
                both(root / split, f"{split}_sharp_bicubic/X4/{name}", f"{split}_sharp/{name}", split + clip, 4)


def rain(root: Path) -> None:
    for split, count in (("train", 4), ("test", 3)):
        for number in range(count):
            both(root / "rain100L" / split, f"rain-{number:03}.png", f"norain-{number:03}.png", f"{split}{number}")


def haze(root: Path) -> None:
    for number in range(4):
        both(root / "O-HAZE", f"hazy/{number:02}_outdoor_hazy.jpg", f"GT/{number:02}_outdoor_GT.jpg", str(number))


def pix2pix(root: Path) -> None:
    """CMP facades: the labels are palette pictures under the names of the photographs."""
    for place, count in (("base", 4), ("extended", 3)):
        names = [f"{place}/cmp_{place[0]}{number:04}" for number in range(count)]
        photos(root, *(f"{name}.jpg" for name in names))
        masks(root, *(f"{name}.png" for name in names), values=(1, 2, 3, 12), mode="P")
        for name in names:
            (root / f"{name}.xml").write_text("<object>\n<label>2</label>\n</object>\n<object>\n<label>3</label>\n</object>\n")


Wanted = tuple[Callable[[Path], None], list[str], int, dict[str, str]]
SETS: dict[str, Wanted] = {
    # how it is made, the sources in their order, records of each, some fields of the first (paths below the folder)
    "GoPro": (
        *(gopro, ["image-processing"] * 2, 20),
        {"feature_folder": "train", "label_folder": "train", "test_label_folder": "test", "label_pattern": "blur/* = sharp/*"},
    ),
    "SIDD": (sidd, ["image-processing"], 8, {"label_pattern": "*_NOISY_* = *_GT_*"}),
    "DIV2K": (
        *(div2k, ["image-processing"] * 2, 6),
        {"feature_folder": "DIV2K_train_LR_bicubic/X2", "validation_label_folder": "DIV2K_valid_HR", "label_pattern": "*x2 = *"},
    ),
    "REDS": (
        reds,
        ["image-processing"],
        18,
        {"feature_folder": "train/train_sharp_bicubic/X4", "label_folder": "train/train_sharp"},
    ),
    "Rain100L": (rain, ["image-processing"], 7, {"label_pattern": "rain-* = norain-*", "test_feature_folder": "rain100L/test"}),
    "O-HAZE": (haze, ["image-processing"], 4, {"label_pattern": "*_outdoor_hazy = *_outdoor_GT", "label_folder": "O-HAZE/GT"}),
    "CMP facades": (pix2pix, ["image-segmentation", "image-processing"], 7, {"feature_folder": "", "label_folder": ""}),
}


@pytest.mark.parametrize("name", SETS)
def test_all_that_is_proposed(tmp_path: Path, name: str) -> None:
    make, sources, records, fields = SETS[name]
    make(tmp_path / "set")
    found = recognise(str(tmp_path / "set"), EVERYWHERE)
    assert [(one.extension, one.records) for one in found] == [(source, records) for source in sources]
    assert {key: str(found[0].values[key]).removeprefix(f"{tmp_path}/set").lstrip("/") for key in fields} == fields
    for number, one in enumerate(found):
        run = run_job(make_job(tmp_path / f"job{number}", one.extension, {**one.values, "seed": 0}))
        assert sum(run.entries().values()) == records


def test_what_is_called_like_both_sides_is_no_class(tmp_path: Path) -> None:
    """Also where the pictures do not look alike; `low` and `high` may be classes."""
    for name in ("HR/{}.png", "LR/X2/{}x2.png", "LR/X3/{}x3.png"):
        photos(tmp_path / "scales", *(name.format(f"{number:04}") for number in range(3)))
    found = recognise(str(tmp_path / "scales"), EVERYWHERE)
    assert [(one.extension, one.values["label_pattern"]) for one in found] == [
        ("image-processing", "*x2 = *"),
        ("image-processing", "*x3 = *"),
    ]
    photos(tmp_path / "grades", *(f"{name}/{name[0]}{number}.png" for name in ("low", "high") for number in range(3)))
    assert recognise(str(tmp_path / "grades"), EVERYWHERE)[0].extension == "image-classification-folder"


def test_what_comes_out_keeps_its_scale(tmp_path: Path) -> None:
    div2k(tmp_path)
    first = recognise(str(tmp_path), EVERYWHERE)[0]
    assert "resize_width" not in first.values
    reds(tmp_path / "reds")
    assert "4 times as large" in recognise(str(tmp_path / "reds"), EVERYWHERE)[0].reason


def test_pictures_of_one_scene_stay_together(tmp_path: Path) -> None:
    gopro(tmp_path)
    values = recognise(str(tmp_path), EVERYWHERE)[0].values
    run = run_job(make_job(tmp_path / "job", "image-processing", {**values, "folder_pct_val": 30, "seed": 0}))
    groups = {split: set(run.reader(split).column("group", range(len(run.reader(split))))) for split in ("train", "val")}
    assert len(groups["train"] | groups["val"]) == 3
    assert not groups["train"] & groups["val"]
