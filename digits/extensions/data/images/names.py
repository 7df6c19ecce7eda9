"""Finds the pictures of a folder by the names that an annotation file gives them; nothing else is ever opened by such a name."""

from __future__ import annotations

import os
from collections.abc import Sequence


class PictureNames:
    """Looks for the path below the folder first, then for the base name, with and without its extension."""

    def __init__(self, root: str, pictures: Sequence[str]) -> None:
        self._by_path = {os.path.relpath(path, root): path for path in pictures}
        self._by_name = {os.path.basename(path): path for path in pictures}
        self._by_stem = {os.path.splitext(name)[0]: path for name, path in self._by_name.items()}

    def find(self, name: str) -> str | None:
        """The picture's path; None when the folder has none of this name."""
        plain = os.path.normpath(name.replace("\\", "/"))
        base = os.path.basename(plain)
        return self._by_path.get(plain) or self._by_name.get(base) or self._by_stem.get(os.path.splitext(base)[0])
