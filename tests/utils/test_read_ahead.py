"""Results come in order, only so many tasks are begun, and what is not taken is not begun either."""

from __future__ import annotations

import threading
import time
from concurrent.futures import ThreadPoolExecutor
from functools import partial

import pytest

from digits.utils.read_ahead import read_ahead


def slower_first(number: int) -> int:
    time.sleep(0.02 if number % 2 == 0 else 0)
    return number


@pytest.mark.parametrize("ahead", [1, 3, 50])
def test_results_keep_the_order_of_the_tasks(ahead: int) -> None:
    with ThreadPoolExecutor(4) as pool:
        assert list(read_ahead(pool, (partial(slower_first, n) for n in range(20)), ahead)) == list(range(20))


def test_no_more_than_asked_for_are_under_way() -> None:
    begun: list[int] = []
    with ThreadPoolExecutor(8) as pool:
        results = read_ahead(pool, (partial(begun.append, n) for n in range(20)), 3)
        assert next(results) is None
        assert len(begun) <= 3
        results.close()
    assert len(begun) <= 3


def test_what_is_not_taken_is_cancelled() -> None:
    gate, begun = threading.Event(), []

    def task(number: int) -> None:
        begun.append(number)
        if number:
            gate.wait(60)

    with ThreadPoolExecutor(1) as pool:
        results = read_ahead(pool, (partial(task, n) for n in range(5)), 4)
        next(results)
        results.close()  # the second may wait at the gate, the others stand in the pool's queue
        gate.set()
    assert begun in ([0], [0, 1])


def test_an_error_reaches_who_reads() -> None:
    def fails() -> int:
        raise ValueError("broken")

    with ThreadPoolExecutor(2) as pool, pytest.raises(ValueError, match="broken"):
        list(read_ahead(pool, [partial(slower_first, 1), fails], 2))
