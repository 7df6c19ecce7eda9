"""Keeping to the folders that digits may read, also where a link or a line of a text file leads elsewhere."""

from __future__ import annotations

import functools
import os
from collections.abc import Sequence

OUTSIDE = "It lies outside the folders that digits may read (setting data_dirs)."


class Confinement:
    """The folders that pictures may come from; no folders mean that everything may be read."""

    def __init__(self, roots: Sequence[str]) -> None:
        self._roots = tuple(os.path.realpath(root) for root in roots)
        self._folder_allowed = functools.lru_cache(maxsize=4096)(self._inside)

    def allows(self, path: str) -> bool:
        """Whether the file behind `path`, links followed, lies in one of the folders."""
        if not self._roots:
            return True
        return self._inside(path) if os.path.islink(path) else self._folder_allowed(os.path.dirname(path))

    def _inside(self, path: str) -> bool:
        real = os.path.realpath(path)
        return any(real == root or real.startswith(root.rstrip("/") + "/") for root in self._roots)
