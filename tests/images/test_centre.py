"""Of an odd number of pixels the one too many is cut behind the middle, whoever cuts: engines, batches, labels, archives."""

from __future__ import annotations

import importlib.util
from pathlib import Path

import numpy as np
import pytest
import torch
import torchvision  # noqa: F401 - its native parts cannot be loaded after TensorFlow's

from digits.domain.datasets import TRAIN_DB
from digits.engines.training.batches import BatchSource
from digits.images.prepare_for_model import centre_of
from digits.service.models.templates.predicting import middle as middle_in_an_archive
from digits.storage.folders import JobFolder
from digits.storage.records.open import open_split
from digits.testing.runs import make_dataset
from digits.utils.resizing import centre_part, cut_and_pad

CUTS = [((8, 8), (8, 8)), ((9, 8), (4, 5)), ((7, 12), (6, 1)), ((5, 6), (2, 3))]


@pytest.mark.parametrize(("size", "wanted"), CUTS)
def test_all_cut_the_same_middle(tmp_path: Path, size: tuple[int, int], wanted: tuple[int, int]) -> None:
    features = np.random.default_rng(1).integers(0, 256, (2, 3, *size)).astype(np.uint8)
    top, left = ((have - want) // 2 for have, want in zip(size, wanted, strict=True))
    expected = features[:, :, top : top + wanted[0], left : left + wanted[1]]
    np.testing.assert_array_equal(centre_part(features, wanted), expected)
    np.testing.assert_array_equal(cut_and_pad(features[0].transpose(1, 2, 0), *wanted).transpose(2, 0, 1), expected[0])
    np.testing.assert_array_equal(centre_of(features[0], (3, *wanted)), expected[0])
    found = centre_part(torch.from_numpy(features), wanted)
    assert found is not None
    np.testing.assert_array_equal(found.numpy(), expected)
    np.testing.assert_array_equal(middle_in_an_archive(features, *wanted), expected)
    folder = make_dataset(tmp_path / "data", features, np.array([0, 1]), class_labels=("a", "b"), validation=0)
    with BatchSource(open_split(folder, TRAIN_DB, JobFolder(folder).dataset_info()), wanted) as source:
        np.testing.assert_array_equal(source.load(np.arange(2)).features, expected)


@pytest.mark.skipif(importlib.util.find_spec("tensorflow") is None, reason="TensorFlow is not installed")
@pytest.mark.parametrize(("size", "wanted"), CUTS)
def test_tensorflow_too(size: tuple[int, int], wanted: tuple[int, int]) -> None:
    from digits.engines.tensorflow.inputs import centre

    array = np.arange(size[0] * size[1]).reshape(1, *size)
    np.testing.assert_array_equal(centre(array, wanted), centre_part(array, wanted))


def test_what_is_smaller_has_no_such_middle() -> None:
    assert centre_part(np.zeros((4, 4)), (5, 4)) is None
