"""Unpacks uploaded archives (zip; tar with gz, bz2, xz) against three dangers: paths that leave, links, and bombs.

Holds: sizes are counted while they are written, never believed from a header; members are counted before anything is written; a
path that would leave the folder refuses the whole archive; links, devices and the litter of operating systems are left out and
counted. What is refused because of a setting names it.
"""

from __future__ import annotations

import lzma
import os
import stat
import struct
import tarfile
import zipfile
import zlib
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO

from digits.config import Settings
from digits.errors import BadRequest
from digits.service.files.members import Member, check_count, too_many
from digits.service.files.names import check_free_space, copy_limited, free_path, not_taken
from digits.utils.names import LITTER
from digits.utils.zips import open_member

ZIP = (".zip",)
TAR = (".tar", ".tar.gz", ".tgz", ".tar.bz2", ".tbz2", ".tar.xz", ".txz")
ZIP_HEADS = (b"PK\x03\x04", b"PK\x05\x06")
PACKED_HEADS = (b"\x1f\x8b", b"BZh", b"\xfd7zXZ\x00")  # gzip, bzip2, xz
RATIO_COUNTS_FROM = 256 * 2**20  # below that much unpacked data a high ratio harms nobody
FREE_SPACE_CHECK_EVERY = 256  # files
BROKEN = (zipfile.BadZipFile, tarfile.TarError, EOFError, zlib.error, lzma.LZMAError, NotImplementedError, ValueError)


@dataclass
class Budget:
    """What one upload may still unpack to."""

    settings: Settings
    archive_bytes: int
    files: int = 0
    written: int = 0
    folders: set[Path] = field(default_factory=set)  # those that are there
    made: int = 0

    def count(self, folder: Path | None = None) -> None:
        """Count a member, and the folders that it needs. Raises BadRequest where there are too many."""
        self.files += 1
        while folder is not None and folder not in self.folders:
            self.folders.add(folder)
            self.made += 1
            folder = folder.parent
        if self.files + self.made > self.settings.max_archive_files:
            raise too_many(self.settings)

    def copy(self, source: IO[bytes], target: IO[bytes]) -> None:
        """Copy one member within what is left. Raises BadRequest when it is a bomb or the limit is reached."""
        limit, ratio = self.settings.max_extracted_mb * 2**20, self.settings.max_extracted_ratio
        packed = max(RATIO_COUNTS_FROM, ratio * self.archive_bytes)
        message, setting = f"The archive unpacks to more than {self.settings.max_extracted_mb} MiB.", "max_extracted_mb"
        if packed < limit:
            message = f"The archive unpacks to more than {ratio} times its size: it looks like a decompression bomb."
            setting = "max_extracted_ratio"
        self.written += copy_limited(source, target, min(limit, packed) - self.written, message, setting)

    def check_free_space(self, folder: Path) -> None:
        if self.files % FREE_SPACE_CHECK_EVERY == 0:
            check_free_space(self.settings, folder, "archive")


def is_archive(name: str) -> bool:
    """Whether a file of that name is unpacked."""
    return name.lower().endswith(ZIP + TAR)


def begins_as(archive: Path) -> str:
    """`zip` or `tar` by the first bytes of a file, whatever its name says; empty where they are neither's."""
    with open(archive, "rb") as file:
        head = file.read(512)
    if head.startswith(ZIP_HEADS):
        return "zip"
    return "tar" if head.startswith(PACKED_HEADS) or head[257:262] == b"ustar" else ""


def unpack_all(settings: Settings, folder: Path) -> int:
    """Unpack the archives that lie directly in `folder` and remove them; the number of entries left out.

    One archive alone is unpacked into the folder itself, several each into a folder of their name. Raises BadRequest for
    an archive that is broken, encrypted, too large or would write outside.
    """
    names = sorted(entry.name for entry in os.scandir(folder) if entry.is_file(follow_symlinks=False))
    archives = [name for name in names if is_archive(name)]
    alone = len(archives) == len(list(os.scandir(folder))) == 1
    skipped = 0
    for name in archives:
        aside = folder / f".{name}.packed"
        os.rename(folder / name, aside)
        target = folder if alone else not_taken(folder / _stem(name))
        target.mkdir(exist_ok=True)
        skipped += unpack(settings, aside, name, target)
        aside.unlink()
    return skipped


def unpack(settings: Settings, archive: Path, name: str, target: Path) -> int:
    """Unpack one archive called `name` into `target`; the number of entries left out."""
    budget = Budget(settings, archive.stat().st_size, folders={target, *target.parents})
    is_zip = (begins_as(archive) or ("zip" if name.lower().endswith(ZIP) else "tar")) == "zip"
    skipped = 0
    try:
        check_count(settings, archive, is_zip)
        for member, source in _zip_members(archive) if is_zip else _tar_members(archive):
            skipped += not _write(budget, target, member, source)
    except UnicodeError as error:
        words = f"{name} holds a name that is no UTF-8, although it says so."
        raise BadRequest(words, advice="Pack it again, with names in UTF-8.") from error
    except IndexError as error:  # which Python's reader of zips raises
        raise BadRequest(f"{name} holds a file without a name.", advice="Pack it again as zip or tar.gz.") from error
    except (*BROKEN, OverflowError, KeyError, struct.error) as error:
        raise BadRequest(f"{name} cannot be unpacked: {error}.", advice="Pack it again as zip or tar.gz.") from error
    except OSError as error:
        raise BadRequest(f"{name} cannot be unpacked: {error.strerror or error}.", advice="Is it a whole archive?") from error
    except RecursionError as error:
        raise BadRequest(f"{name} cannot be unpacked.", advice="Pack it again as zip or tar.gz.") from error
    except RuntimeError as error:
        raise BadRequest(f"{name} is encrypted.", advice="Pack it again without a password.") from error
    return skipped


def _write(budget: Budget, target: Path, member: str, source: IO[bytes] | None) -> bool:
    """Whether the member was written; False for what is left out."""
    path = free_path(target, member) if member.strip("/") else None
    budget.count(path.parent if path is not None else None)
    if path is None or source is None or LITTER & {part.lower() for part in member.split("/")}:
        return False
    with open(path, "wb") as handle:
        budget.copy(source, handle)
    budget.check_free_space(target)
    return True


def _zip_members(archive: Path) -> Iterator[tuple[str, IO[bytes] | None]]:
    """`(name, opened content)`; None as content for links. Folders are not listed."""
    with zipfile.ZipFile(archive) as packed:
        for info in packed.infolist():
            if info.is_dir():
                continue
            if stat.S_ISLNK(info.external_attr >> 16):
                yield info.filename, None
            else:
                with open_member(packed, info) as source:
                    yield info.filename, source


def _tar_members(archive: Path) -> Iterator[tuple[str, IO[bytes] | None]]:
    """As `_zip_members`; None as content for links, devices and pipes."""
    with tarfile.open(archive, "r:*", tarinfo=Member) as packed:
        for info in packed:
            packed.members = []  # type: ignore[attr-defined]  # otherwise the headers of a million files pile up in memory
            if not info.isdir():
                yield info.name, packed.extractfile(info) if info.isfile() else None


def _stem(name: str) -> str:
    for suffix in sorted(ZIP + TAR, key=len, reverse=True):
        if name.lower().endswith(suffix):
            return name[: -len(suffix)] or "archive"
    return name
