"""Arrays that several of our processes need: written once to a file, and named to the others instead of being sent.

Holds: a scratch folder lies below `.digits/scratch` of the jobs directory and lives as long as one request; whoever opened it
removes it, and what a killed process left is removed when the web process starts. Only files below `.digits/scratch` are ever
opened. One folder holds at most `MAX_BYTES`.
"""

from __future__ import annotations

import contextlib
import math
import os
import shutil
import tempfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from digits.errors import BadRequest, DiskFull, StorageError
from digits.storage.files import is_disk_full, tree_size
from digits.storage.folders import JobsDir

if TYPE_CHECKING:
    import numpy as np

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
    """A new folder for the arrays of one request; removed with all that is in it."""
    jobs_dir.scratch.mkdir(mode=0o700, exist_ok=True)
    folder = Path(tempfile.mkdtemp(dir=jobs_dir.scratch))
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def remove_left_over(jobs_dir: JobsDir) -> None:
    """Remove what requests left that never came to their end; called where none can be under way."""
    shutil.rmtree(jobs_dir.scratch, ignore_errors=True)


def store(folder: Path, arrays: Mapping[str, Any]) -> dict[str, Any]:
    """The same arrays, the large ones written to one new file in `folder`. Raises BadRequest beyond `MAX_BYTES`, DiskFull."""
    import numpy as np

    large = {name: np.asarray(array) for name, array in arrays.items() if _is_large(array)}
    size = sum(array.nbytes for array in large.values())
    if size + (tree_size(folder) if large else 0) > MAX_BYTES:
        raise BadRequest(f"The arrays are larger than {MAX_BYTES >> 20} MiB together.", advice="Test fewer at once.")
    return {**arrays, **(_write(folder, large) if large else {})}


def confined_file(root: Path | None, path: str) -> Path:
    """A file below the folder `root` of all scratch folders. Raises StorageError for any other."""
    found = Path(path).resolve()
    if root is None or root.resolve() not in found.parents or not found.is_file():
        raise StorageError(f"{path} is no scratch file.")
    return found


def confined_folder(root: Path | None, path: str) -> Path:
    """A scratch folder below `root`. Raises BadRequest for any other."""
    found = Path(path).resolve()
    if root is None or root.resolve() not in found.parents or not found.is_dir():
        raise BadRequest(f"{path} is no scratch folder.")
    return found


def _is_large(array: Any) -> bool:
    return not isinstance(array, StoredArray) and array.nbytes > SMALL_BYTES and array.dtype.kind in "biuf"


def _write(folder: Path, arrays: Mapping[str, np.ndarray]) -> dict[str, StoredArray]:
    import numpy as np

    stored: dict[str, StoredArray] = {}
    try:
        descriptor, path = tempfile.mkstemp(dir=folder, suffix=".arrays")
        with open(descriptor, "wb") as handle:
            for name, array in arrays.items():
                handle.seek(-(-handle.tell() // ALIGNMENT) * ALIGNMENT)
                plain = np.ascontiguousarray(array, array.dtype.newbyteorder("<"))
                stored[name] = StoredArray(Path(path), handle.tell(), plain.dtype, array.shape)
                handle.write(plain.reshape(-1).view(np.uint8).data)
    except OSError as error:
        if is_disk_full(error):
            raise DiskFull(f"The disk of {folder} is full.", advice="Delete what you no longer need and try again.") from error
        raise StorageError(f"{folder} cannot be written: {os.strerror(error.errno or 0)}.") from error
    return stored
