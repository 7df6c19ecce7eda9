"""How many members an archive has, before any of them is written: the directory of a zip, the headers of a tar.

Holds: nothing is believed that the archive says of its own number; the look at a tar ends after some seconds of the processor,
whatever it holds; the rest is counted while it is written. What Python's own readers would take into memory whole (the directory
of a zip, long names and maps of sparse files of a tar) is refused where it is large.
"""

from __future__ import annotations

import tarfile
import time
import zipfile
from pathlib import Path
from typing import IO, Any

from digits.config import Settings
from digits.errors import BadRequest

ENTRY = b"PK\x01\x02"  # each entry of a zip's directory begins so
LEAST_ENTRY = 46  # bytes of one
ZIP64_END = 76  # bytes of the records between the directory of a large zip and its end
MOST_DIRECTORY = 1 << 28  # bytes of the directory of a zip, names and comments included
MOST_HEADER = 1 << 20  # bytes of a member's long name or attributes in a tar
LONG = (tarfile.XHDTYPE, tarfile.XGLTYPE, tarfile.SOLARIS_XHDTYPE, tarfile.GNUTYPE_LONGNAME, tarfile.GNUTYPE_LONGLINK)
BLOCK = tarfile.BLOCKSIZE
SPARSE = "it holds a sparse file"
CHUNK = 1 << 20
STEP = 1 << 26  # bytes that are skipped between two looks at the clock
LOOK_SECONDS = 4.0  # of processor time


class Member(tarfile.TarInfo):
    """A member whose long name, which is read into memory, is none of gigabytes, and which has no map of holes."""

    def _proc_member(self, archive: tarfile.TarFile) -> Any:
        if self.type in LONG and self.size > MOST_HEADER:
            raise tarfile.ReadError(f"a name or attribute in it has {self.size:,} bytes")
        return super()._proc_member(archive)  # type: ignore[misc]

    def _refuse_sparse(self, *_: Any) -> Any:
        raise tarfile.ReadError(SPARSE)

    _proc_sparse = _refuse_sparse
    _proc_gnusparse_00 = _proc_gnusparse_01 = _proc_gnusparse_10 = _refuse_sparse


def check_count(settings: Settings, archive: Path, is_zip: bool) -> None:
    """Raises BadRequest where an archive has more members than the setting max_archive_files allows, and what reading it
    raises."""
    most = settings.max_archive_files
    if (_in_zip(archive, most) if is_zip else _in_tar(archive, most)) > most:
        raise too_many(settings)


def too_many(settings: Settings) -> BadRequest:
    """The refusal of an archive with too many members."""
    return BadRequest(
        f"The archive holds more than {settings.max_archive_files:,} files and folders.",
        advice="Upload it in parts. The setting max_archive_files raises the limit.",
    )


def _in_zip(archive: Path, most: int) -> int:
    """The number of entries in the directory that `zipfile` will read; one of a few is not looked at."""
    with open(archive, "rb") as file:
        end = zipfile._EndRecData(file)  # type: ignore[attr-defined]
        if not end:
            return 0  # which zipfile says better
        size, place, signature = end[zipfile._ECD_SIZE], end[zipfile._ECD_LOCATION], end[0]  # type: ignore[attr-defined]
        if size < most * LEAST_ENTRY and size < MOST_DIRECTORY:
            return 0
        before = ZIP64_END if signature == zipfile.stringEndArchive64 else 0  # type: ignore[attr-defined]
        file.seek(max(0, place - before - size))
        found = _count(file, size)
        if found <= most and size >= MOST_DIRECTORY:
            raise zipfile.BadZipFile(f"the list of what it holds has {size:,} bytes")
        return found


def _count(file: IO[bytes], size: int) -> int:
    found, rest = 0, b""
    while size > 0 and (chunk := file.read(min(CHUNK, size))):
        size -= len(chunk)
        data = rest + chunk
        found += data.count(ENTRY)
        rest = data[-(len(ENTRY) - 1) :]
    return found


def _in_tar(archive: Path, most: int) -> int:
    """The number of headers in a tar, as far as the look goes."""
    ends, members, place = time.thread_time() + LOOK_SECONDS, 0, 0
    with tarfile.open(archive, "r:*", tarinfo=Member) as packed:
        stream = packed.fileobj
        assert stream is not None
        stream.seek(0)
        data, start = stream.read(CHUNK), 0  # what was read last, and where in the archive it begins
        while members <= most:
            if place + BLOCK > start + len(data):
                if not _skip(stream, start + len(data), place, ends):
                    break
                near = place < start + len(data) + CHUNK  # behind a large member only its header is read
                data, start = stream.read(CHUNK if near else BLOCK), place
            header = data[place - start : place - start + BLOCK]
            if len(header) < BLOCK or not header[0]:
                break
            members += 1
            place += BLOCK + -(-_size(header) // BLOCK) * BLOCK
            if members % 256 == 0 and time.thread_time() > ends:
                break
    return members


def _skip(stream: Any, start: int, place: int, ends: float) -> bool:
    """Go on to a place, through all that lies before it in what is packed; False where there was no time left for that."""
    for step in range(start + STEP, place, STEP):
        stream.seek(step)
        if time.thread_time() > ends:
            return False
    stream.seek(place)
    return True


def _size(header: bytes) -> int:
    """The size that a header states, octal or (GNU) binary; 0 where it states none."""
    field = header[124:136]
    if field[0] & 0x80:
        return int.from_bytes(field[1:], "big")
    try:
        return int(field.split(b"\0", 1)[0].strip() or b"0", 8)
    except ValueError:
        return 0
