"""The script in the archive prepares pictures to the last bit as digits does: every resize mode, odd files, crops and means."""

from __future__ import annotations

import runpy
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from digits.engines.pytorch.inputs import Inputs
from digits.engines.training.preprocessing import Preprocessing
from digits.images.prepare_for_model import prepare
from digits.service.models.archives import SHARED, script_files
from digits.utils.resizing import centre_part


@pytest.fixture(scope="module")
def script() -> dict[str, Any]:
    with pytest.MonkeyPatch.context() as patch:
        files = dict(script_files("pytorch"))
        patch.syspath_prepend(files[SHARED].parent)  # as `python predict.py` finds its neighbour
        return runpy.run_path(str(files["predict.py"]))


@pytest.fixture(scope="module")
def files(tmp_path_factory) -> dict[str, Path]:
    folder = tmp_path_factory.mktemp("files")
    random = np.random.default_rng(3)
    colour = Image.fromarray(random.integers(0, 256, (37, 61, 3), np.uint8))
    turned = Image.Exif()
    turned[274] = 6
    alpha = Image.fromarray(random.integers(0, 256, (20, 33, 4), np.uint8))
    writers = {
        "colour.png": lambda p: colour.save(p),
        "turned.jpg": lambda p: colour.save(p, exif=turned.tobytes()),
        "grey.bmp": lambda p: colour.convert("L").save(p),
        "alpha.png": lambda p: alpha.save(p),
        "grey-alpha.png": lambda p: alpha.convert("LA").save(p),
        "palette.gif": lambda p: colour.convert("P").save(p),
        "cmyk.jpg": lambda p: colour.convert("CMYK").save(p),
        "deep.png": lambda p: Image.fromarray(random.integers(0, 65536, (21, 30), np.uint16)).save(p),
        "bit.png": lambda p: colour.convert("1").save(p),
        "right-size.png": lambda p: colour.resize((24, 16)).save(p),
    }
    for name, write in writers.items():
        write(folder / name)
    return {name: folder / name for name in writers}


def meta_for(channels: int, mode: str, keep_size: bool = False) -> dict[str, Any]:
    image = {"width": 24, "height": 16, "channels": channels, "resize_mode": mode, "keep_size": keep_size, "dtype": "8-bit"}
    shape = [channels, 16, 24]
    return {"task": "classification", "input_shape": shape, "stored_shape": shape, "image": image}


@pytest.mark.parametrize("mode", ["squash", "crop", "fill", "half_crop"])
@pytest.mark.parametrize("channels", [1, 3])
def test_files_become_the_same_features(script, files, channels, mode):
    for path in files.values():
        meta = meta_for(channels, mode)
        np.testing.assert_array_equal(script["read_feature"](path, meta), prepare(path, meta), err_msg=path.name)


def test_files_that_keep_their_size_are_the_same_features(script, files):
    meta = {**meta_for(3, "squash", keep_size=True), "input_shape": [3, 40, 40]}
    for path in files.values():
        np.testing.assert_array_equal(script["read_feature"](path, meta), prepare(path, meta), err_msg=path.name)


@pytest.mark.parametrize("mean_kind", ["none", "pixel", "image"])
@pytest.mark.parametrize("crop", [None, 10])
@pytest.mark.parametrize("whitening", [False, True])
def test_features_become_the_same_inputs(script, mean_kind, crop, whitening):
    random = np.random.default_rng(5)
    shape = (3, crop or 16, crop or 24)
    how = Preprocessing((3, 16, 24), shape, mean_kind, (99.5, 101.25, 90.0), 63.7, whitening=whitening)
    mean = random.random((3, 16, 24), np.float32) * 255 if mean_kind == "image" else None
    feature = random.integers(0, 256, (3, 16, 24), np.uint8)
    inputs = Inputs(how, mean, torch.device("cpu"))
    raw = inputs.raw(feature[None].copy())
    cut = centre_part(raw, (shape[1], shape[2]))
    assert cut is not None
    expected = inputs.normalize(cut.contiguous())
    meta = {"preparation": how.to_json(), "input_shape": list(shape), "stored_shape": [3, 16, 24]}
    found = script["prepare"](feature, meta, None if mean is None else torch.from_numpy(mean))
    torch.testing.assert_close(found, expected, atol=1e-6, rtol=1e-6)
