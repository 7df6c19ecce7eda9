"""Random numbers by (seed, epoch, sample), plans and shares of batches."""

from __future__ import annotations

import numpy as np
import pytest

from digits.domain.training import Augmentation, TrainingSpec
from digits.engines.training.augmentation import crop_offsets, draw, normal, pixel_noise, sample_keys, uniform
from digits.engines.training.batches import share
from digits.engines.training.calendar import make_calendar, marks

EVERY = Augmentation("fliplrud", "rotall", 30, 0.1, 0.1, 0.2, hsv_use=True, shift=0.3)


def test_draws_depend_on_the_sample_and_not_on_its_batch() -> None:
    together = draw(EVERY, 5, 2, np.arange(10))
    alone = draw(EVERY, 5, 2, np.array([7]))
    for name in ("flip_x", "flip_y", "quarter_turns", "angle", "zoom", "contrast", "hsv", "noise_keys", "shift"):
        np.testing.assert_array_equal(getattr(together, name)[7], getattr(alone, name)[0])


def test_another_epoch_or_seed_draws_otherwise() -> None:
    base = draw(EVERY, 5, 2, np.arange(100)).angle
    assert not np.array_equal(base, draw(EVERY, 5, 3, np.arange(100)).angle)
    assert not np.array_equal(base, draw(EVERY, 6, 2, np.arange(100)).angle)


def test_distributions() -> None:
    keys = sample_keys(1, 0, np.arange(20_000))
    numbers = uniform(keys, "rot")
    assert numbers.min() >= 0
    assert numbers.max() < 1
    assert numbers.mean() == pytest.approx(0.5, abs=0.01)
    assert numbers.std() == pytest.approx(12**-0.5, abs=0.01)
    assert normal(keys, "scale").mean() == pytest.approx(0, abs=0.03)
    assert normal(keys, "scale").std() == pytest.approx(1, abs=0.03)
    assert abs(np.corrcoef(uniform(keys, "y"), uniform(keys, "x"))[0, 1]) < 0.03
    moves = draw(EVERY, 1, 0, np.arange(20_000)).shift
    assert np.abs(moves).max() <= 0.3
    assert moves.std(axis=0) == pytest.approx([0.3 * 3**-0.5] * 2, rel=0.02)
    assert np.bincount(draw(EVERY, 1, 0, np.arange(20_000)).quarter_turns).tolist() == pytest.approx([5000] * 4, rel=0.05)


def test_crops_reach_every_corner_and_stay_inside() -> None:
    room = np.tile([[2, 3]], (500, 1))
    corners = crop_offsets(1, 0, np.arange(500), room)
    assert {tuple(c) for c in corners.tolist()} == {(y, x) for y in range(3) for x in range(4)}


def test_noise_is_a_function_of_the_key() -> None:
    keys = sample_keys(1, 0, np.arange(3))
    np.testing.assert_array_equal(pixel_noise(keys, (1, 4, 4))[1], pixel_noise(keys[1:2], (1, 4, 4))[0])


def test_marks() -> None:
    assert marks(2, 4, 10) == {20: 2, 40: 4}
    assert marks(0.5, 1, 9) == {5: 0.5, 9: 1}
    assert marks(0, 4, 10) == {}
    assert marks(1e-9, 1, 3) == {1: 0.333333, 2: 0.666667, 3: 1.0}


def test_a_plan_tells_at_most_about_two_thousand_lines() -> None:
    calendar = make_calendar(TrainingSpec("x", "classification", epochs=30), 1_281_167, 64, 1)
    reported = sum(calendar.logs_at(step) for step in range(1, calendar.total + 1))
    assert 1000 < reported < 2200
    assert calendar.logs_at(calendar.steps_per_epoch)


@pytest.mark.parametrize("size", [1, 2, 5, 8])
def test_shares_are_the_batch_and_their_weights_its_mean(size: int) -> None:
    values = np.arange(10.0, 10.0 + size)
    parts = [share(np.arange(size), rank, 3) for rank in range(3)]
    mean = sum(weight * values[indices].mean() for indices, weight in parts) / 3
    assert mean == pytest.approx(values.mean())
