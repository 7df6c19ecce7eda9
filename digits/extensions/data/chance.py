"""What the global random generators (`random`, `numpy.random`) hold while a source's own code runs.

Of a generator that `__init__` seeds, the state it left belongs to the instance and is put back before every split is listed: a
shuffle there gives each entry to one split, as in the original, which made a new instance for each. One that `__init__` does not
seed is seeded anew for each split, from a number that is drawn with the instance and kept with it: splits whose samples are drawn
while they are listed differ, a job that goes on lists the same ones, and each test of a model, which is an instance of its own,
draws others.
"""

from __future__ import annotations

import hashlib
import random
import secrets
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, TypeVar

import numpy as np

WORDS = 624  # of the state of a Mersenne twister, which both generators are
MOST_TURNS = 8_000  # of the state: so often `__init__` may have drawn 624 words without having seeded
T = TypeVar("T")


@dataclass(frozen=True)
class Chance:
    """What an instance keeps: the states of `random` and `numpy.random` that its `__init__` left where it seeded them (else
    None), and the number that the seeds of all stages follow from (None: made before there was one)."""

    python: Any = None
    numpy: Any = None
    seed: int | None = None

    @contextmanager
    def of_stage(self, stage: str) -> Iterator[None]:
        """The generators are those of a stage; afterwards as they were before."""
        before = _states()
        if self.seed is not None:
            text = f"{self.seed}/{stage}"
            random.seed(text)
            np.random.seed(int.from_bytes(hashlib.blake2b(text.encode(), digest_size=4).digest()))
        _restore(self.python, self.numpy)
        try:
            yield
        finally:
            _restore(*before)


def watched(make: Callable[[], T]) -> tuple[T, Chance]:
    """What `make` gives, and the chance of an instance that it is the `__init__` of. The generators are somewhere of their own
    before: where they stood at what an earlier instance had seeded, the same seed would look as if nothing was seeded."""
    random.seed(secrets.randbits(128))
    np.random.seed(secrets.randbits(32))
    python, numpy = _states()
    made = make()
    left, numpy_left = _states()
    return made, Chance(
        python=None if _went_on(_words(python), _words(left)) else left,
        numpy=None if _went_on(_words(numpy), _words(numpy_left)) else numpy_left,
        seed=secrets.randbits(32),
    )


def _states() -> tuple[Any, Any]:
    return random.getstate(), np.random.get_state()


def _restore(python: Any, numpy: Any) -> None:
    if python is not None:
        random.setstate(python)
    if numpy is not None:
        np.random.set_state(numpy)


def _words(state: Any) -> np.ndarray:
    """The state of either generator, uint32 (624,), without the place in it."""
    return np.array(state[1][:WORDS], np.uint32)


def _went_on(before: np.ndarray, after: np.ndarray) -> bool:
    """Whether one state comes out of the other by drawing, so that nothing was seeded in between."""
    if np.array_equal(before, after):
        return True
    twister, wanted = _twister(before, WORDS), _twister(after, 0).random_raw(WORDS)
    turns = (twister.random_raw(WORDS) for _ in range(MOST_TURNS))
    return any(drawn[0] == wanted[0] and np.array_equal(drawn, wanted) for drawn in turns)


def _twister(words: np.ndarray, place: int) -> np.random.MT19937:
    twister = np.random.MT19937(0)
    twister.state = {"bit_generator": "MT19937", "state": {"key": words, "pos": place}}
    return twister
