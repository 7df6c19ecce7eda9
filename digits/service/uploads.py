"""Uploads: what a browser sends becomes a named folder below `.digits/uploads`, usable in every path field.

Holds: nothing is written outside the upload's own folder; links, devices and names that would leave it are refused; an
archive may not unpack to more than the settings allow; a half upload is removed and never looks whole.
"""

from __future__ import annotations

import os
import re
import secrets
import shutil
import time
import unicodedata
from pathlib import Path
from typing import IO

from digits.errors import BadRequest
from digits.service import Service
from digits.storage.files import atomic

MAX_NAME_BYTES = 120
CHUNK = 1 << 20
FORM_FILES = "form"  # single files sent with a form lie below this folder


def safe_name(text: str) -> str:
    """One path component made of a sent name: no separators or control characters, at most 120 bytes, suffix kept."""
    text = unicodedata.normalize("NFC", text).replace("\\", "/").rsplit("/", 1)[-1]
    text = "".join(c if c.isprintable() else "_" for c in text).strip(" .")
    text = re.sub(r'[<>:"|?*\0]', "_", text)
    stem, suffix = os.path.splitext(text)
    suffix = _cut(suffix, 16)
    return (_cut(stem, MAX_NAME_BYTES - len(suffix.encode())) + suffix) or "file"


def save_form_file(service: Service, stream: IO[bytes], filename: str) -> Path:
    """Keep a file that was sent with a form; the absolute path of the copy."""
    folder = service.jobs_dir.uploads / FORM_FILES / f"{time.strftime('%Y%m%d-%H%M%S')}-{secrets.token_hex(4)}"
    folder.mkdir(parents=True)
    path = folder / safe_name(filename)
    with atomic(path) as handle:
        shutil.copyfileobj(stream, handle, CHUNK)
    if not path.stat().st_size and not filename:
        raise BadRequest("The uploaded file is empty and has no name.")
    return path


def _cut(text: str, size: int) -> str:
    """`text` cut to `size` bytes of UTF-8 without splitting a character."""
    return text.encode()[:size].decode(errors="ignore")
