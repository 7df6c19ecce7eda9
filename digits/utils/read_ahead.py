"""Work done some pieces ahead by threads, its results in order."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Generator, Iterable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TypeVar

Result = TypeVar("Result")


def read_ahead(pool: ThreadPoolExecutor, tasks: Iterable[Callable[[], Result]], ahead: int) -> Generator[Result, None, None]:
    """The result of each task in order, with at most `ahead` (1 or more) under way; what is not taken any more is cancelled."""
    waiting: deque[Future[Result]] = deque()
    try:
        for task in tasks:
            waiting.append(pool.submit(task))
            if len(waiting) >= ahead:
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()
    finally:
        for future in waiting:
            future.cancel()
