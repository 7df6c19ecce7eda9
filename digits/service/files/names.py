"""Names and sizes that come from outside, made safe: used by uploads and by unpacking."""

from __future__ import annotations

import os
import re
import unicodedata
from pathlib import Path
from typing import IO

from digits.config import Settings
from digits.errors import BadRequest
from digits.storage.files import free_bytes

MAX_NAME_BYTES = 120
MAX_DEPTH = 40
MOST_OF_ONE_NAME = 500
CHUNK = 1 << 20


def safe_name(text: str) -> str:
    """One path component made of a sent name: no separators or control characters, at most 120 bytes, suffix kept.

    A safe name stays as it is.
    """
    name = _cleaned(text)
    while (again := _cleaned(name)) != name:  # cutting may have left a space or another suffix at the end
        name = again
    return name


def _cleaned(text: str) -> str:
    text = unicodedata.normalize("NFC", text).replace("\\", "/").rsplit("/", 1)[-1]
    text = "".join(c if c.isprintable() else "_" for c in text)
    text = re.sub(r'[<>:"|?*]', "_", text).strip(" ").lstrip(".").rstrip(". ")
    stem, suffix = os.path.splitext(text)
    suffix = _cut(suffix, 16)
    return (_cut(stem, MAX_NAME_BYTES - len(suffix.encode())) + suffix) or "file"


def free_path(folder: Path, relative: str) -> Path:
    """Where below `folder` a file sent as `relative` goes; its parents are made. Raises BadRequest when it would leave."""
    text = relative.replace("\\", "/")
    parts = [part for part in text.split("/") if part not in ("", ".")]
    if ".." in parts or text.startswith("/") or re.match(r"^[A-Za-z]:/", text) or "\0" in text:
        raise BadRequest(f"{relative[:200]!r} would be written outside its folder.", advice="Pack it again with relative paths.")
    if not parts or len(parts) > MAX_DEPTH:
        raise BadRequest(f"{relative[:200]!r} is no path of 1 to {MAX_DEPTH} parts.")
    path = folder.joinpath(*(safe_name(part) for part in parts))
    if path.parent.exists() and not path.parent.is_dir():
        raise BadRequest(f"{relative[:200]!r} is both a file and a folder.")
    path.parent.mkdir(parents=True, exist_ok=True)
    return not_taken(path)


def check_free_space(settings: Settings, folder: Path, what: str) -> None:
    """Raises BadRequest when the disk has less free space left than the setting `min_free_mb`. `what` is to be written."""
    if free_bytes(folder) < settings.min_free_mb * 2**20:
        advice = f"Delete jobs or uploads first; the setting min_free_mb keeps {settings.min_free_mb:,} MiB free."
        raise BadRequest(f"The server's disk has no space left for this {what}.", advice=advice)


def copy_limited(source: IO[bytes], target: IO[bytes], limit: int, message: str, setting: str) -> int:
    """Copy at most `limit` bytes; the number copied. Raises BadRequest naming the setting when there are more."""
    copied = 0
    while chunk := source.read(CHUNK):
        copied += len(chunk)
        if copied > limit:
            raise BadRequest(message, advice=f"The setting {setting} raises the limit.")
        target.write(chunk)
    return copied


def _cut(text: str, size: int) -> str:
    """`text` cut to `size` bytes of UTF-8 without splitting a character."""
    return text.encode(errors="replace")[:size].decode(errors="ignore")


def not_taken(path: Path) -> Path:
    """`path`, or with a number in its name when that is taken: `a (2).png`. BadRequest when hundreds are."""
    candidate, number = path, 2
    while candidate.exists():
        if number > MOST_OF_ONE_NAME:
            raise BadRequest(f"More than {MOST_OF_ONE_NAME} files are called {path.name!r}.", advice="Give them different names.")
        candidate = path.with_name(f"{path.stem} ({number}){path.suffix}")
        number += 1
    return candidate
