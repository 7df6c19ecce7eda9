"""Arrays that several of our processes need: written once to a file, and named to the others instead of being sent.

Holds: a scratch folder lies below `.digits/scratch` of the jobs directory and lives as long as one request; whoever opened it
removes it. An answer that comes after its client gave up is removed by who wrote it (`discard`), and what a killed process left
when the web process starts. Only files below `.digits/scratch` are ever opened. One folder holds at most `MAX_BYTES`. It is made
with the first array that it takes; arrays that cannot be written (a full disk) are sent instead.
"""

from __future__ import annotations

import contextlib
import logging
import math
import secrets
import shutil
import tempfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from digits.errors import BadRequest, StorageError
from digits.storage.files import tree_size
from digits.storage.folders import JobsDir

if TYPE_CHECKING:
    import numpy as np

logger = logging.getLogger(__name__)

SMALL_BYTES = 64 * 2**10  # arrays up to this size are sent
MAX_BYTES = 4 * 2**30
ALIGNMENT = 64


@dataclass(frozen=True)
class StoredArray:
    """An array in a scratch file, C-ordered from `offset` on. `np.asarray` of it is a memory map that may be written to without
    changing the file."""

    path: Path
    offset: int
    dtype: np.dtype
    shape: tuple[int, ...]

    @property
    def nbytes(self) -> int:
        return math.prod(self.shape) * self.dtype.itemsize

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> np.ndarray:
        import numpy as np

        array = np.memmap(self.path, self.dtype, "c", self.offset, self.shape).view(np.ndarray)
        if dtype is not None:
            return array.astype(dtype)
        return array.copy() if copy else array


@contextlib.contextmanager
def scratch_folder(jobs_dir: JobsDir) -> Iterator[Path]:
    """The name of a folder for the arrays of one request, which `store` makes; removed with all that is in it."""
    folder = jobs_dir.scratch / secrets.token_hex(8)
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def remove_left_over(jobs_dir: JobsDir) -> None:
    """Remove what requests left that never came to their end; called where none can be under way."""
    shutil.rmtree(jobs_dir.scratch, ignore_errors=True)


def store(folder: Path, arrays: Mapping[str, Any]) -> dict[str, Any]:
    """The same arrays, the large ones written to one new file in `folder`, or all as they are where it cannot be written.

    Raises BadRequest beyond `MAX_BYTES`.
    """
    import numpy as np

    large = {name: np.asarray(array) for name, array in arrays.items() if _is_large(array)}
    size = sum(array.nbytes for array in large.values())
    if size + (tree_size(folder) if large and folder.is_dir() else 0) > MAX_BYTES:
        raise BadRequest(f"The arrays are larger than {MAX_BYTES >> 20} MiB together.", advice="Test fewer at once.")
    if not large:
        return dict(arrays)
    try:
        return {**arrays, **_write(folder, large)}
    except OSError as error:
        logger.warning("%s cannot be written, so arrays are sent: %s", folder, error)
        return dict(arrays)


def discard(arrays: Mapping[str, Any]) -> None:
    """Remove the files that `store` wrote for an answer which nobody takes any more, and their folder where nothing else is in
    it: the client gave up, and may have removed the folder before the files came."""
    for path in {array.path for array in arrays.values() if isinstance(array, StoredArray)}:
        path.unlink(missing_ok=True)
        with contextlib.suppress(OSError):  # another answer lies in it
            path.parent.rmdir()


def confined_file(root: Path | None, path: str) -> Path:
    """A file below the folder `root` of all scratch folders. Raises StorageError for any other."""
    found = Path(path).resolve()
    if root is None or root.resolve() not in found.parents or not found.is_file():
        raise StorageError(f"{path} is no scratch file.")
    return found


def confined_folder(root: Path | None, path: str) -> Path:
    """A scratch folder in `root`, which need not be made yet. Raises BadRequest for any other."""
    found = Path(path).resolve()
    if root is None or found.parent != root.resolve() or (found.exists() and not found.is_dir()):
        raise BadRequest(f"{path} is no scratch folder.")
    return found


def _is_large(array: Any) -> bool:
    return not isinstance(array, StoredArray) and array.nbytes > SMALL_BYTES and array.dtype.kind in "biuf"


def _write(folder: Path, arrays: Mapping[str, np.ndarray]) -> dict[str, StoredArray]:
    """One new file with the arrays; none where it cannot be written (OSError)."""
    import numpy as np

    stored: dict[str, StoredArray] = {}
    for new in (folder.parent, folder):
        new.mkdir(mode=0o700, exist_ok=True)
    descriptor, path = tempfile.mkstemp(dir=folder, suffix=".arrays")
    try:
        with open(descriptor, "wb") as handle:
            for name, array in arrays.items():
                handle.seek(-(-handle.tell() // ALIGNMENT) * ALIGNMENT)
                plain = np.ascontiguousarray(array, array.dtype.newbyteorder("<"))
                stored[name] = StoredArray(Path(path), handle.tell(), plain.dtype, array.shape)
                handle.write(plain.reshape(-1).view(np.uint8).data)
    except OSError:
        Path(path).unlink(missing_ok=True)
        raise
    return stored
