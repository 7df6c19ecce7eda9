"""Requests that wait go through the network together, and each gets what it would have got alone."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from digits.predictor.together import Batcher


class Slow:
    """Doubles what it is given, once it is let go; notes the sizes of batches. Fails for batches that hold a 13."""

    def __init__(self) -> None:
        self.sizes: list[int] = []
        self.begun, self.go_on = threading.Event(), threading.Event()

    def __call__(self, batch: np.ndarray) -> dict[str, np.ndarray]:
        self.sizes.append(len(batch))
        self.begun.set()
        assert self.go_on.wait(60)
        if (batch == 13).any():
            raise ValueError("unlucky")
        return {"output": batch.reshape(len(batch), -1) * 2}


def picture(value: int, side: int = 2, count: int = 1) -> np.ndarray:
    return np.full((count, 1, side, side), value, np.float32)


def ask_while_busy(forward: Slow, *batches: np.ndarray, most: int = 64) -> list[object]:
    """What comes of batches that are sent while the network is at work on another one; errors as they are."""
    batcher = Batcher(forward, most)

    def ask(batch: np.ndarray) -> object:
        try:
            return batcher(batch)["output"]
        except ValueError as error:
            return error

    with ThreadPoolExecutor(len(batches) + 1) as pool:
        first = pool.submit(ask, picture(0))
        assert forward.begun.wait(60)
        found = [pool.submit(ask, batch) for batch in batches]
        while batcher._requests.qsize() < len(batches):
            pass
        forward.go_on.set()
        first.result(10)
        return [one.result(10) for one in found]


def test_those_who_wait_go_together_and_get_their_own() -> None:
    forward = Slow()
    found = ask_while_busy(forward, *(picture(n, count=1 + n % 2) for n in range(1, 9)))
    assert [np.asarray(one).tolist() for one in found] == [[[2.0 * n] * 4] * (1 + n % 2) for n in range(1, 9)]
    assert forward.sizes == [1, 12]


def test_other_shapes_and_too_many_wait_for_the_next_turn() -> None:
    forward = Slow()
    found = ask_while_busy(forward, picture(1), picture(2, side=3), picture(3, count=2), picture(4, count=2), most=4)
    assert [np.asarray(one).shape for one in found] == [(1, 4), (1, 9), (2, 4), (2, 4)]
    assert sorted(forward.sizes[1:]) in ([1, 1, 4], [1, 2, 3])  # whichever came first: none holds more than four


def test_one_that_fails_costs_nobody_else() -> None:
    found = ask_while_busy(Slow(), picture(5), picture(13), picture(6))
    assert [type(one) for one in found] == [np.ndarray, ValueError, np.ndarray]


def test_an_output_without_an_axis_for_pictures_is_given_to_each_alone() -> None:
    def forward(batch: np.ndarray) -> dict[str, np.ndarray]:
        return {"sum": batch.sum(), "each": batch[:, 0, 0, 0]}

    batcher = Batcher(forward)  # type: ignore[arg-type]
    with ThreadPoolExecutor(8) as pool:
        found = list(pool.map(lambda n: batcher(picture(n)), range(8)))
    assert [float(one["sum"]) for one in found] == [4.0 * n for n in range(8)]


def test_an_error_of_a_lone_request_is_raised() -> None:
    forward = Slow()
    forward.go_on.set()
    with pytest.raises(ValueError, match="unlucky"):
        Batcher(forward)(picture(13))
