"""Members of zips that come from elsewhere, read in no more memory than what is asked for.

Python's reader unpacks bzip2 and LZMA a whole piece at a time, and a kilobyte of them may hold gigabytes; so only what is stored
or deflated, as nearly every zip is, is read.
"""

from __future__ import annotations

import zipfile
from typing import IO

READ = {zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED}
NAMES = {zipfile.ZIP_BZIP2: "bzip2", zipfile.ZIP_LZMA: "LZMA"}


def open_member(archive: zipfile.ZipFile, member: zipfile.ZipInfo) -> IO[bytes]:
    """A member opened for reading. Raises BadZipFile for one that is packed otherwise, and what `ZipFile.open` raises."""
    check_packing(member)
    return archive.open(member)


def check_packing(member: zipfile.ZipInfo) -> None:
    """Raises BadZipFile for a member that is neither stored nor deflated."""
    if member.compress_type not in READ:
        known = NAMES.get(member.compress_type, f"method {member.compress_type}")
        said = f"{member.filename[:200]!r} in it is packed with {known}; zips are read that are stored or deflated"
        raise zipfile.BadZipFile(said)


def read_member(archive: zipfile.ZipFile, name: str, most: int) -> bytes:
    """All bytes of a member. Raises ValueError where there are more than `most`, and what `open_member` raises."""
    member = archive.getinfo(name)
    if member.file_size > most:
        raise ValueError(f"{name} has {member.file_size} bytes")
    with open_member(archive, member) as file:
        return file.read(most)
