"""What a file of weights of others may hold: an HDF5 file can name other files, and claim more values than it has."""

from __future__ import annotations

from typing import Any

import h5py

MOST_PACKED = 200  # times that packed values may be smaller
UNPACKED_AT_LEAST = 1 << 28  # bytes that even a small file may unpack to


def check_values(handle: h5py.File, size: int) -> None:
    """Everything in an HDF5 file of `size` bytes lies in it under its own name: no link leads elsewhere (Keras writes none), no
    values are kept in another file, and no more are claimed than can be packed into it. Raises ValueError."""

    def fault(name: str, item: Any) -> str | None:  # an exception would not leave the library whole
        if not isinstance(item, h5py.Dataset):
            return None
        if item.external or item.is_virtual:
            return f"the values of {name} lie in another file"
        if item.nbytes > most_unpacked(size):
            return f"{name} claims {item.nbytes:,} bytes of values in a file of {size:,} bytes"
        return None

    def fault_of_link(name: str, link: Any) -> str | None:
        if isinstance(link, h5py.ExternalLink):
            return f"{name} is a link to another file"
        return f"{name} is a link to another place in the file" if isinstance(link, h5py.SoftLink) else None

    if found := handle.visititems_links(fault_of_link) or handle.visititems(fault):
        raise ValueError(found)


def most_unpacked(size: int) -> int:
    """How many bytes a file of `size` bytes may unpack to."""
    return max(UNPACKED_AT_LEAST, MOST_PACKED * size)
