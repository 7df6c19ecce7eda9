"""Whether a map shows what was learned is told by a map of random weights that shows something; else it is not told."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import pytest

from digits.engines.inside import Attribution
from digits.predictor.inside import _sanity

RNG = np.random.default_rng(3)
MAP, OTHER = RNG.normal(size=(2, 6, 6))


class Drawn:
    """A network whose map of random weights is `values[seed]`, the last for all seeds beyond."""

    def __init__(self, *values: Any) -> None:
        self.values, self.seeds = values, []

    @contextmanager
    def random_weights(self, seed: int) -> Iterator[None]:
        self.seeds.append(seed)
        yield

    def map(self) -> Attribution:
        return Attribution(self.values[min(len(self.seeds), len(self.values)) - 1])


def sanity(found: np.ndarray, *random: np.ndarray) -> tuple[dict[str, Any], int]:
    network = Drawn(*random)
    return _sanity(network, network.map, Attribution(found)), len(set(network.seeds))  # type: ignore[arg-type]


def test_a_map_of_random_weights_that_is_empty_is_drawn_anew() -> None:
    said, draws = sanity(MAP, np.zeros((6, 6)), np.full((6, 6), 0.25), OTHER)
    assert (said["changes"], draws) == (True, 3)
    said, draws = sanity(MAP, np.zeros((6, 6)), MAP * 2)
    assert (said["changes"], draws) == (False, 2), "a map that stays the same is still found out"


def test_nothing_is_said_where_all_of_them_are_empty() -> None:
    said, draws = sanity(MAP, np.zeros((6, 6)))
    assert (said["changes"], said["correlation"], draws) == (None, None, 5)
    assert "could not be told" in said["reason"]


@pytest.mark.parametrize(("found", "words"), [(np.zeros((6, 6)), "empty"), (np.ones((6, 6)), "the same everywhere")])
def test_nothing_is_said_of_a_map_that_shows_nothing(found: np.ndarray, words: str) -> None:
    said, draws = sanity(found, OTHER)
    assert (said["changes"], draws) == (None, 0)
    assert words in said["reason"]
