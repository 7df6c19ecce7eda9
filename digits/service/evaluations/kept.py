"""The last answers of a model's page, kept so that they have an address and survive a reload.

Each lies in `answers/KEY` of the model's folder and goes with it: `about.json` (what lists show), `answer.json` (with the fields
that it was asked with) and, where it was uploaded, pasted or fetched, the `picture`. Keys sort by time. At most `MOST` are kept,
and `MOST_BYTES` of them; the oldest go first. What is too large by itself is not kept.
"""

from __future__ import annotations

import base64
import contextlib
import io
import json
import logging
import os
import re
import secrets
import shutil
import threading
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from digits.errors import DigitsError, NotFound, StorageError
from digits.service import Service
from digits.storage.files import cannot_write, read_json, tree_size, write_json
from digits.storage.jobs.store import Job
from digits.storage.modes import make_folder
from digits.tasks.base import BOXES, CLASSES, NUMBERS
from digits.utils.values import finite

logger = logging.getLogger(__name__)
MOST = 30
MOST_BYTES = 64 * 2**20
LARGEST_PICTURE = LARGEST_ANSWER = 16 * 2**20
THUMB_SIDE = 72
KEY = re.compile(r"[0-9a-f]{18}")
ABOUT, ANSWER, PICTURE = "about.json", "answer.json", "picture"
PARTS = ".part"
_changing = threading.Lock()  # one process writes


def keep(
    service: Service, model: Job, body: Mapping[str, Any], *, user: str, asked: Mapping[str, str], picture: bytes | None
) -> dict[str, Any]:
    """Keep an answer; what lists show of it. `asked` are the fields it was asked with, `picture` the file that came with them.

    Raises StorageError where it cannot be written or is too large.
    """
    text = json.dumps(finite({**body, "asked": dict(asked)}), allow_nan=False).encode()
    if len(text) > LARGEST_ANSWER:
        raise StorageError(f"The answer has {len(text) >> 20} MiB; beyond {LARGEST_ANSWER >> 20} MiB none is kept.")
    kept_picture = picture if picture is not None and len(picture) <= LARGEST_PICTURE else None
    key = f"{time.time_ns() // 1_000_000:012x}{secrets.token_hex(3)}"
    about = {
        "key": key,
        "time": time.time(),
        "user": user,
        "name": _name(body),
        "words": words_of(body),
        "snapshot_epoch": body["snapshot_epoch"],
        "second": (body.get("second") or {}).get("model_name", ""),
        "thumb": _thumb(body["samples"][0].get("input", "")),
        "picture": kept_picture is not None,
        "form": asked.get("data_extension_id", ""),
    }
    folder = service.folder(model.id).answers
    part = folder / f"{PARTS}-{key}"
    with _changing:
        try:
            if not folder.is_dir():
                make_folder(folder, exist_ok=True)
            make_folder(part)
            (part / ANSWER).write_bytes(text)
            if kept_picture is not None:
                (part / PICTURE).write_bytes(kept_picture)
            write_json(part / ABOUT, about)
            os.rename(part, folder / key)
        except OSError as error:
            shutil.rmtree(part, ignore_errors=True)
            raise cannot_write(error, folder) from error
        except StorageError:
            shutil.rmtree(part, ignore_errors=True)
            raise
        _prune(folder)
    return about


def list_kept(service: Service, model: Job) -> list[dict[str, Any]]:
    """What `about.json` says of each, the newest first; those that cannot be read are left out."""
    found: list[dict[str, Any]] = []
    for path in _kept(service.folder(model.id).answers):
        with contextlib.suppress(StorageError):
            about = read_json(path / ABOUT)
            if isinstance(about, dict) and about.get("key") == path.name:
                found.append(about)
    return found


def find_kept(service: Service, model: Job, key: str) -> dict[str, Any]:
    """A kept answer with `asked`. NotFound where it is not there (any more)."""
    folder = _folder(service, model, key)
    try:
        return {**dict(read_json(folder / ANSWER)), "about": dict(read_json(folder / ABOUT))}
    except (StorageError, TypeError, ValueError) as error:
        raise NotFound("This answer cannot be read (any more).", advice="Ask again.") from error


def kept_picture(service: Service, model: Job, key: str) -> bytes:
    """The file that was asked about. NotFound where none was kept."""
    try:
        return (_folder(service, model, key) / PICTURE).read_bytes()
    except FileNotFoundError as error:
        raise NotFound(
            "The picture of this answer was not kept.", advice="It was too large, or is a record or a file of the server."
        ) from error


def forget(service: Service, model: Job, key: str = "") -> int:
    """Remove one kept answer, or all; how many went."""
    folders = [_folder(service, model, key)] if key else _kept(service.folder(model.id).answers)
    with _changing:
        for folder in folders:
            shutil.rmtree(folder, ignore_errors=True)
    return len(folders)


def words_of(body: Mapping[str, Any]) -> str:
    """What a model made of a picture, in a few words for a list."""
    sample = body["samples"][0]
    if best := body.get("predictions"):
        return f"{best[0][0]} {best[0][1]:.2f} %"
    if body["kind"] == CLASSES:
        return ", ".join(sample.get("found", ())) or "nothing found"
    if body["kind"] == BOXES:
        least = float(sample.get("score_threshold") or 0.0)
        count = sum(box["score"] >= least for box in sample.get("boxes", ()))
        return f"{count} {'box' if count == 1 else 'boxes'}"
    if body["kind"] == NUMBERS:
        values = sample.get("values") or []
        return ", ".join("–" if value is None else f"{value:.4g}" for value in values[:3]) + (" …" if len(values) > 3 else "")
    return ""


def _name(body: Mapping[str, Any]) -> str:
    count = len(body["samples"])
    return str(body["samples"][0]["key"]) + (f" and {count - 1} more" if count > 1 else "")


def _kept(folder: Path) -> list[Path]:
    """The folders of kept answers, the newest first."""
    try:
        names = sorted((name for name in os.listdir(folder) if KEY.fullmatch(name)), reverse=True)
    except (FileNotFoundError, NotADirectoryError):
        return []
    return [folder / name for name in names]


def _folder(service: Service, model: Job, key: str) -> Path:
    folder = service.folder(model.id).answers / key
    if not KEY.fullmatch(key) or not (folder / ABOUT).is_file():
        raise NotFound("There is no such answer (any more).", advice=f"The last {MOST} of a model are kept. Ask again.")
    return folder


def _prune(folder: Path) -> None:
    """Remove the oldest beyond what is kept, and what was begun and never ended."""
    total = 0
    for number, path in enumerate(_kept(folder)):
        total += tree_size(path)
        if number >= MOST or (number and total > MOST_BYTES):
            shutil.rmtree(path, ignore_errors=True)
    for path in folder.glob(f"{PARTS}-*"):
        shutil.rmtree(path, ignore_errors=True)


def _thumb(address: str) -> str:
    """A small JPEG, as a `data:` address, of a picture that is one too; empty where there is none."""
    from PIL import Image

    head, _, data = address.partition(";base64,")
    if not data or not head.startswith("data:image/"):
        return ""
    try:
        with Image.open(io.BytesIO(base64.b64decode(data))) as picture:
            small = picture.convert("RGB")
            small.thumbnail((THUMB_SIDE, THUMB_SIDE))
            out = io.BytesIO()
            small.save(out, "JPEG", quality=80)
    except (OSError, ValueError, DigitsError):
        return ""
    return f"data:image/jpeg;base64,{base64.b64encode(out.getvalue()).decode()}"
