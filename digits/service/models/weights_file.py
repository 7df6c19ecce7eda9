"""A first look at a file of weights, without a framework and without unpickling: is it one, and does it hold numbers alone?

What passes is read by workers as safetensors, as HDF5, or by PyTorch with `weights_only`; this look is for an answer at once.
"""

from __future__ import annotations

import pickletools
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import IO

from digits.errors import StorageError
from digits.storage.snapshots import check_snapshot
from digits.utils.zips import open_member

PICKLED = (".pt", ".pth")
MOST_PICKLED = 64 << 20  # bytes of the pickle in a file; the numbers lie beside it
KNOWN = frozenset({"torch", "collections", "numpy", "_codecs"})  # modules that a state_dict names
CALLS = frozenset({"STACK_GLOBAL", "INST", "OBJ", "EXT1", "EXT2", "EXT4"})  # which no state_dict of PyTorch has
MOST_PICKLES = 5  # a file of an old PyTorch begins with so many, one after the other
NO_PICKLE = (ValueError, EOFError, OverflowError, MemoryError)  # also one that claims a text of 2**60 bytes
HDF5 = b"\x89HDF\r\n\x1a\n"


def problem(path: Path) -> str:
    """What is wrong with a file of weights, in words; empty where nothing is seen."""
    suffix = path.suffix.lower()
    try:
        if path.stat().st_size == 0:
            return f"{path.name} is empty."
        if suffix in PICKLED:
            return _pickled_problem(path)
        if suffix == ".h5":
            with open(path, "rb") as file:
                return "" if file.read(len(HDF5)) == HDF5 else f"{path.name} is no HDF5 file, as Keras writes them."
        check_snapshot(path)
    except (StorageError, OSError, KeyError, TypeError, AttributeError, RecursionError, ValueError) as error:
        said = str(error.message if isinstance(error, StorageError) else error).replace(str(path), "it")
        return f"{path.name} cannot be read as weights: {said}"
    return ""


def _pickled_problem(path: Path) -> str:
    advice = "Save the weights alone: torch.save(model.state_dict(), path), or as .safetensors."
    if zipfile.is_zipfile(path):
        try:
            with zipfile.ZipFile(path) as archive:
                names = [name for name in archive.namelist() if name.rpartition("/")[2] == "data.pkl"]
                if len(names) != 1:
                    return f"{path.name} is no file of torch.save. {advice}"
                with open_member(archive, archive.getinfo(names[0])) as file:
                    found = next(_foreign(file.read(MOST_PICKLED + 1)), "")
        except (zipfile.BadZipFile, NotImplementedError, RuntimeError, EOFError) as error:
            return f"{path.name} cannot be read as weights: {error}. {advice}"
    else:
        with open(path, "rb") as file:
            if file.read(1) != b"\x80":
                return f"{path.name} is no file of torch.save. {advice}"
            file.seek(0)
            found = next(_of_old(file), "")
    return f"{path.name} holds more than numbers ({found}), and is not unpickled. {advice}" if found else ""


def _of_old(file: IO[bytes]) -> Iterator[str]:
    """As `_foreign`, of the pickles at the start of a file."""
    for _ in range(MOST_PICKLES):
        start = file.tell()
        file.seek(start)
        try:
            yield from _named(file)
        except NO_PICKLE:  # what comes behind the pickles are numbers
            if start == 0:
                yield "what is no pickle"
            return


def _foreign(data: bytes) -> Iterator[str]:
    """What a pickle names beside what holds tensors."""
    if len(data) > MOST_PICKLED:
        yield f"more than {MOST_PICKLED >> 20} MiB beside them"
        return
    try:
        yield from _named(data)
    except NO_PICKLE:
        yield "what is no pickle"


def _named(pickled: bytes | IO[bytes]) -> Iterator[str]:
    for operation, argument, _ in pickletools.genops(pickled):
        if operation.name in CALLS:
            yield "an object of a class of its own"
        elif operation.name == "GLOBAL" and str(argument).split(" ")[0].split(".")[0] not in KNOWN:
            yield str(argument).replace(" ", ".")[:80]
