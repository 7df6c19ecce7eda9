"""Building a model store: a folder of models that any static web server, or a file share, hands out (R 7.4).

Each model lies in a folder of its own with `info.json`, whose `files` give size and SHA-256 of all the others; `master.json`
lists the folders. A store is added to by building into the same folder again.
"""

from __future__ import annotations

import hashlib
import json
import re
import shutil
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from digits.domain.pretrained import LICENCE
from digits.errors import BadRequest, StorageError
from digits.service import Service
from digits.service.files.names import safe_name
from digits.service.models.archives import CHUNK, Member, model_members
from digits.service.models.model_info import INFO
from digits.service.models.snapshots import best_snapshot, find_snapshot
from digits.service.models.stores import AUX, MASTER
from digits.storage.files import read_json, write_json
from digits.storage.jobs.store import Job
from digits.storage.modes import of_the_user

OPEN = 0o644  # a web server reads it


def build_store(
    service: Service,
    folder: Path,
    models: Sequence[Job],
    *,
    epoch: str | None = None,
    message: str = "",
    about: Mapping[str, str] | None = None,
    licence: Path | None = None,
) -> list[Path]:
    """Write models (the best snapshot of each by default) into a store's folder; the folders of the models.

    A model whose folder is there already is written anew. `about` goes into `aux.json` of each, `licence` is copied beside.
    BadRequest for a folder that holds something else, and what `find_snapshot` raises.
    """
    children, said = _before(folder)
    with of_the_user():
        folder.mkdir(parents=True, exist_ok=True)
        made = [_write(service, folder, model, children, epoch, about or {}, licence) for model in models]
        names = [path.name for path in made]
        value = {"msg": message or said, "children": [*(name for name in children if name not in names), *names]}
        write_json(folder / MASTER, value, permissions=OPEN)
    return made


def _before(folder: Path) -> tuple[list[str], str]:
    """The folders and the message of a store that is there; none of an empty or missing folder."""
    if (folder / MASTER).is_file():
        value = read_json(folder / MASTER)
        children = value.get("children") if isinstance(value, dict) else None
        if isinstance(children, list):
            return [str(name) for name in children], str(value.get("msg") or "")
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise BadRequest(f"{folder} is no store and not empty.", advice="Name a new folder.")
    return [], ""


def _write(
    service: Service,
    folder: Path,
    model: Job,
    children: Sequence[str],
    epoch: str | None,
    about: Mapping[str, str],
    licence: Path | None,
) -> Path:
    snapshot = best_snapshot(service, model) if epoch is None else find_snapshot(service, model, epoch)
    target = folder / _folder_name(folder, model, children)
    part = Path(tempfile.mkdtemp(prefix=".", dir=folder))
    try:
        part.chmod(0o755)
        members = {member.name: member for member in model_members(service, model, snapshot)}
        info: dict[str, Any] = json.loads(members.pop(INFO).source.read())
        files = {name: _write_member(part / name, member) for name, member in members.items() if "/" not in name}
        for name, data in _beside(service, model, about, licence).items():
            (part / name).write_bytes(data)
            files[name] = {"size": len(data), "sha256": hashlib.sha256(data).hexdigest()}
        info.pop("directory", None)
        write_json(part / INFO, {**info, "files": files}, permissions=OPEN)
        if target.exists():
            shutil.rmtree(target)
        part.rename(target)
    except OSError as error:
        raise StorageError(f"{target} cannot be written: {error.strerror or error}.", advice="Choose another folder.") from error
    finally:
        shutil.rmtree(part, ignore_errors=True)
    return target


def _folder_name(folder: Path, model: Job, children: Sequence[str]) -> str:
    """A name of letters, digits and dashes made of the model's; with its id where another model has that."""
    plain = safe_name(re.sub(r"[^a-z0-9.]+", "-", model.name.lower()).strip("-.") or "model")
    if plain in children:
        known = read_json(folder / plain / INFO) if (folder / plain / INFO).is_file() else {}
        if known.get("id") != model.id:
            return f"{plain}-{model.id}"
    return plain


def _write_member(path: Path, member: Member) -> dict[str, Any]:
    """Write a file and say its size and hash."""
    digest, size = hashlib.sha256(), 0
    with member.source, open(path, "wb") as target:
        while chunk := member.source.read(CHUNK):
            digest.update(chunk)
            size += target.write(chunk)
    path.chmod(OPEN)
    return {"size": size, "sha256": digest.hexdigest()}


def _beside(service: Service, model: Job, about: Mapping[str, str], licence: Path | None) -> dict[str, bytes]:
    """`aux.json` and the licence: what is given, else what the model brought from where it came."""
    found: dict[str, bytes] = {}
    own = service.folder(model.id).path / LICENCE
    if licence is not None or own.is_file():
        found[LICENCE] = (licence or own).read_bytes()
    if said := {key: value for key, value in about.items() if value}:
        found[AUX] = json.dumps(said, indent=1, ensure_ascii=False).encode()
    return found
