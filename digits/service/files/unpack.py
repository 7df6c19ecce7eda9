"""Unpacks uploaded archives (zip; tar with gz, bz2, xz) against three dangers: paths that leave, links, and bombs.

Holds: sizes are counted while they are written, never believed from a header; a path that would leave the folder refuses
the whole archive; links, devices and the litter of operating systems are left out and counted.
"""

from __future__ import annotations

import lzma
import os
import stat
import tarfile
import zipfile
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from digits.config import Settings
from digits.errors import BadRequest
from digits.service.files.names import copy_limited, free_path, not_taken
from digits.storage.files import free_bytes
from digits.utils.names import LITTER

ZIP = (".zip",)
TAR = (".tar", ".tar.gz", ".tgz", ".tar.bz2", ".tbz2", ".tar.xz", ".txz")
MAX_MEMBERS = 3_000_000
MAX_RATIO = 200
RATIO_COUNTS_FROM = 256 * 2**20  # below that much unpacked data a high ratio harms nobody
FREE_SPACE_CHECK_EVERY = 256  # files


@dataclass
class Budget:
    """What one upload may still unpack to."""

    settings: Settings
    archive_bytes: int
    files: int = 0
    written: int = 0

    def copy(self, source: IO[bytes], target: IO[bytes]) -> None:
        """Copy one member within what is left. Raises BadRequest when it is a bomb or the limit is reached."""
        self.files += 1
        if self.files > MAX_MEMBERS:
            raise BadRequest(f"The archive holds more than {MAX_MEMBERS:,} files.", advice="Upload it in parts.")
        limit = self.settings.max_extracted_mb * 2**20
        ratio_limit = max(RATIO_COUNTS_FROM, MAX_RATIO * self.archive_bytes)
        left = min(limit, ratio_limit) - self.written
        message = f"The archive unpacks to more than {self.settings.max_extracted_mb} MiB."
        if ratio_limit < limit:
            message = f"The archive unpacks to more than {MAX_RATIO} times its size: it looks like a decompression bomb."
        self.written += copy_limited(source, target, left, message, "max_extracted_mb")

    def check_free_space(self, folder: Path) -> None:
        if self.files % FREE_SPACE_CHECK_EVERY == 0 and free_bytes(folder) < self.settings.min_free_mb * 2**20:
            raise BadRequest("The server's disk has no space left for this archive.", advice="Delete jobs or uploads first.")


def is_archive(name: str) -> bool:
    """Whether a file of that name is unpacked."""
    return name.lower().endswith(ZIP + TAR)


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
    budget = Budget(settings, archive.stat().st_size)
    members = _zip_members(archive) if name.lower().endswith(ZIP) else _tar_members(archive)
    skipped = 0
    try:
        for member, source in members:
            skipped += not _write(budget, target, member, source)
    except (zipfile.BadZipFile, tarfile.TarError, EOFError, zlib.error, lzma.LZMAError, NotImplementedError) as error:
        raise BadRequest(f"{name} cannot be unpacked: {error}.", advice="Pack it again as zip or tar.gz.") from error
    except RuntimeError as error:
        raise BadRequest(f"{name} is encrypted.", advice="Pack it again without a password.") from error
    except OSError as error:
        raise BadRequest(f"{name} cannot be unpacked: {error.strerror or error}.", advice="Is it a whole archive?") from error
    return skipped


def _write(budget: Budget, target: Path, member: str, source: IO[bytes] | None) -> bool:
    """Whether the member was written; False for what is left out."""
    path = free_path(target, member) if member.strip("/") else None
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
                with packed.open(info) as source:
                    yield info.filename, source


def _tar_members(archive: Path) -> Iterator[tuple[str, IO[bytes] | None]]:
    """As `_zip_members`; None as content for links, devices and pipes."""
    with tarfile.open(archive, "r:*") as packed:
        for info in packed:
            packed.members = []  # type: ignore[attr-defined]  # otherwise the headers of a million files pile up in memory
            if not info.isdir():
                yield info.name, packed.extractfile(info) if info.isfile() else None


def _stem(name: str) -> str:
    for suffix in sorted(ZIP + TAR, key=len, reverse=True):
        if name.lower().endswith(suffix):
            return name[: -len(suffix)] or "archive"
    return name
