"""Model stores (R 7.4): folders of models at static addresses or on this machine, which the setting model_store_url names: what
each offers, and a model of one taken over as a pretrained job.

Holds: only what the operator named is asked, at addresses below it; neither redirects nor links that lead out are followed. What
a store answers is read as what strangers wrote: small, in time, and every name in it a plain one. A store that cannot be read
costs its own entry.
"""

from __future__ import annotations

import hashlib
import json
import threading
import time
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any
from urllib.parse import quote, unquote, urlsplit

from digits.domain.pretrained import ABOUT, LICENCE, Fetched, PretrainedSpec
from digits.errors import BadRequest, DigitsError, Forbidden, LoadImageError, NotFound
from digits.frameworks import frameworks
from digits.service import Service
from digits.service.files.names import safe_name
from digits.service.jobs import claimed_job_id
from digits.service.models.model_info import INFO, BadArchive, ModelInfo, model_info, parse_info
from digits.service.models.pretrained import TEXT, create_pretrained, foreign_meta, snapshot_path
from digits.storage.files import write_json
from digits.storage.jobs.store import Job
from digits.storage.thresholds import FILE as THRESHOLDS
from digits.utils.confinement import Confinement
from digits.utils.fetch import fetch
from digits.utils.names import is_address
from digits.utils.values import shown, sizeof_fmt

MASTER, AUX = "master.json", "aux.json"
MOST_JSON = 1 << 20  # bytes of master.json, info.json, aux.json, an index page
MOST_CHILDREN = 500
READERS = 8
SECONDS = 10.0  # for one small file
ALL_SECONDS = 30.0  # for a whole store
KEPT_SECONDS = 24 * 3600.0
TRIED_SECONDS = 60.0  # for so long a store that failed is not asked again
PLAIN = ("affiliate", "affiliation", "dataset", "license", "licence", "note", "notes", "description", "credit")


@dataclass(frozen=True)
class StoreModel:
    """One model of a store: `info` as its `info.json` has it, `aux` what is said about it, `problem` why it is not taken over."""

    id: str
    base: str
    folder: str
    info: dict[str, Any] = field(default_factory=dict)
    aux: dict[str, Any] = field(default_factory=dict)
    size: int = -1
    problem: str = ""

    def to_json(self) -> dict[str, Any]:
        hashed = bool(self.info.get("files"))
        value = {"dir_name": self.folder, "id": self.id, "info": self.info, "aux": self.aux, "hashed": hashed}
        return {**value, "size": self.size if self.size >= 0 else None, "problem": self.problem}


@dataclass(frozen=True)
class Store:
    """What a store answered at `read` (seconds since the epoch); `error` why it could not be read."""

    base: str
    message: str = ""
    models: tuple[StoreModel, ...] = ()
    error: str = ""
    read: float = 0.0

    def to_json(self, text: str = "") -> dict[str, Any]:
        models = [model.to_json() for model in self.models if _matches(model, text)]
        return {"base_url": self.base, "welcome_msg": self.message, "model_list": models, "error": self.error, "read": self.read}


_known: dict[str, tuple[Store, float]] = {}  # by address, for a day, and when (by a clock that nobody sets) it was read
_lock = threading.Lock()


def store_places(service: Service) -> list[str]:
    """The addresses and folders that the setting names."""
    return [text.strip() for text in service.settings.model_store_url.split(",") if text.strip()]


def read_stores(service: Service, refresh: bool = False) -> list[Store]:
    """Every store, as it was within a day, or, with `refresh`, as it is now."""
    places = store_places(service)
    with ThreadPoolExecutor(max(1, len(places))) as pool:
        return list(pool.map(lambda place: read_store(place, refresh), places))


def read_one(service: Service, place: str, refresh: bool = False) -> Store:
    """One of the stores. NotFound for an address that the setting does not name: nothing else is asked."""
    if place not in store_places(service):
        raise NotFound(f"There is no store {shown(place)}.", advice="The setting model_store_url names the stores.")
    return read_store(place, refresh)


def read_store(place: str, refresh: bool = False) -> Store:
    """One store, by its address or folder; one that cannot be read has an `error`."""
    known, at = _known.get(place, (None, 0.0))
    if known is not None and not refresh and time.monotonic() - at < (TRIED_SECONDS if known.error else KEPT_SECONDS):
        return known
    try:
        found = _read(place)
    except DigitsError as error:
        found = Store(place, error=str(error), read=time.time())
    with _lock:
        _known[place] = found, time.monotonic()
    return found


def find_model(service: Service, model_id: str) -> StoreModel:
    """The model of a store with this id. NotFound where no store offers it (any more)."""
    known = [_known[place][0] for place in store_places(service) if place in _known]  # a slow one holds up no other
    stores = [] if any(model.id == model_id for store in known for model in store.models) else read_stores(service)
    for model in (model for store in stores or known for model in store.models):
        if model.id == model_id:
            return model
    said = " ".join(store.error for store in stores if store.error)
    raise NotFound(f"No store offers a model {model_id[:80]!r}. {said}".strip(), advice="/store/models?refresh=1 looks again.")


def install(service: Service, model: StoreModel, owner: str = "", name: str = "") -> Job:
    """The pretrained job that fetches a model of a store. BadRequest for one that cannot be taken over."""
    if model.problem:
        raise BadRequest(f"{model.folder} cannot be taken over: {model.problem}")
    info = model_info(model.info)
    row = frameworks()[info.framework]
    if not row.is_installed:
        raise BadRequest(f"{model.folder} is a model of {row.title}, which is not installed.", advice=row.install)
    names = [*info.needed, *(name for name in (LICENCE, THRESHOLDS) if name in info.files)]
    spec = PretrainedSpec(
        framework=info.framework,
        weights=info.weights,
        snapshot=snapshot_path(row, info.epoch),
        epoch=info.epoch,
        task=info.task,
        network_name=info.network_name,
        meta=foreign_meta(info, _labels(model, info)),
        origin={"kind": "store", "store": model.base, "folder": model.folder, "name": info.name},
        fetch=tuple(_fetched(model, info, one) for one in names),
        python_layers=info.layers,
    )
    with claimed_job_id(service) as job_id:
        about = {"info": {key: value for key, value in model.info.items() if key != "files"}, "aux": model.aux}
        write_json(service.folder(job_id).path / ABOUT, about)
        return create_pretrained(service, name or info.name, spec, job_id, owner=owner, labels=int(bool(info.labels)))


def _fetched(model: StoreModel, info: ModelInfo, name: str) -> Fetched:
    """The file `name` of a model, kept under the name that its worker looks for."""
    known = info.files.get(name, Fetched(name, ""))
    kept = TEXT if name == info.text else name
    return replace(known, name=kept, place=_below(model.base, model.folder, name))


def _labels(model: StoreModel, info: ModelInfo) -> list[str]:
    if not info.labels:
        return []
    text = _bytes(model.base, model.folder, info.labels, ALL_SECONDS).decode("utf-8", errors="replace")
    return [line.strip() for line in text.splitlines() if line.strip()]


def _read(place: str) -> Store:
    ends = time.monotonic() + ALL_SECONDS
    message, children = _children(place)
    with ThreadPoolExecutor(READERS) as pool:
        models = list(pool.map(lambda child: _model(place, child, ends), children))
    return Store(place, message, tuple(models), read=time.time())


def _children(place: str) -> tuple[str, list[str]]:
    """What a store says and the names of its folders: of `master.json`, or of the links of an index page, or of the folder."""
    began = time.monotonic()
    try:
        value = json.loads(_bytes(place, "", MASTER))
    except LoadImageError as error:
        is_slow = time.monotonic() - began >= SECONDS  # so would its index be
        listed = None if is_slow else _listed(place)
        if listed is None:
            raise BadRequest(f"The store {place} cannot be read: {error.message}", advice="Is the address right?") from error
        return "", listed
    except (ValueError, RecursionError) as error:
        raise BadRequest(f"The store {place} cannot be read: its {MASTER} is no JSON.", advice="Is the address right?") from error
    children = value.get("children") if isinstance(value, dict) else None
    if not isinstance(children, list):
        raise BadRequest(f"The store {place} cannot be read: its {MASTER} has no list `children`.")
    names = [name.removesuffix("/") for name in children if isinstance(name, str)]
    message = value.get("msg") if isinstance(value.get("msg"), str) else ""
    return str(message)[:2000], [name for name in names if name == safe_name(name)][:MOST_CHILDREN]


def _listed(place: str) -> list[str] | None:
    """The folders of a store without `master.json`; None where they are not to be seen."""
    if not is_address(place):
        folder = Path(place)
        return sorted(one.name for one in folder.iterdir() if (one / INFO).is_file()) if folder.is_dir() else None
    try:
        text = fetch(_below(place), private=True, most=MOST_JSON, seconds=SECONDS).decode("utf-8", errors="replace")
    except LoadImageError:
        return None
    links = [unquote(part.split('"')[0]) for part in text.split('href="')[1:]]
    names = [link.removesuffix("/") for link in links if link.endswith("/")]
    return list(dict.fromkeys(name for name in names if name == safe_name(name)))[:MOST_CHILDREN] or None


def _model(place: str, child: str, ends: float) -> StoreModel:
    """One model; what is wrong with it is its `problem`."""
    own = hashlib.sha256(f"{place.rstrip('/')}/{child}".encode()).hexdigest()[:16]
    found = StoreModel(own, place, child)
    try:
        left = min(SECONDS, ends - time.monotonic())
        if left <= 0:
            return replace(found, problem=f"The store did not answer within {ALL_SECONDS:g} s.")
        value = parse_info(_bytes(place, child, INFO, left))
        found = replace(found, info=_small(value), aux=_aux(place, child, ends))
        info = model_info(value)
        sizes = [info.files[name].size for name in info.needed if name in info.files]
        size = sum(sizes) if len(sizes) == len(info.needed) and min(sizes) >= 0 else -1
        return replace(found, size=size)
    except (BadArchive, LoadImageError) as error:
        return replace(found, problem=str(error))


def _aux(place: str, child: str, ends: float) -> dict[str, Any]:
    """What is said about a model: affiliation, data set, licence, notes; empty where nothing is."""
    try:
        value = json.loads(_bytes(place, child, AUX, max(0.5, min(SECONDS, ends - time.monotonic()))))
    except (LoadImageError, ValueError, RecursionError):
        return {}
    return {
        key: str(value[key])[:2000] for key in PLAIN if isinstance(value, dict) and isinstance(value.get(key), str | int | float)
    }


def _small(value: Mapping[str, Any]) -> dict[str, Any]:
    """The part of an `info.json` that lists show and installing needs."""
    keys = (
        "labels file",
        "network file",
        "model file",
        "python layer file",
        "snapshot file",
        "snapshot epoch",
        "framework",
        "name",
    )
    more = (
        "task",
        "network",
        "image dimensions",
        "image resize mode",
        "username",
        "files",
        "digits version",
        "creation time",
        "best",
    )
    return {key: value[key] for key in (*keys, *more) if key in value}


def _bytes(place: str, child: str, name: str, seconds: float = 0.0) -> bytes:
    """A small file of a store, within `seconds` (0: `SECONDS`). Raises LoadImageError."""
    where = _below(place, *filter(None, (child, name)))
    if is_address(place):
        return fetch(where, private=True, most=MOST_JSON, seconds=seconds or SECONDS)
    try:
        with Confinement([place]).open(where) as file:
            data = file.read(MOST_JSON + 1)
    except (OSError, Forbidden) as error:
        said = "it is a link that leads out of the store" if isinstance(error, Forbidden) else error.strerror or error
        raise LoadImageError(f"{where} cannot be read: {said}.") from error
    if len(data) > MOST_JSON:
        raise LoadImageError(f"{where} is larger than {sizeof_fmt(MOST_JSON)}.")
    return data


def _below(place: str, *names: str) -> str:
    """The address, or the path, of a file in a store."""
    if not is_address(place):
        return str(Path(place).joinpath(*names))
    parts = urlsplit(place)
    return f"{parts.scheme}://{parts.netloc}{parts.path.rstrip('/')}/" + "/".join(quote(name) for name in names)


def _matches(model: StoreModel, text: str) -> bool:
    """Whether every word of a search is somewhere in what is said of a model."""
    said = " ".join(map(str, (model.folder, *model.info.values(), *model.aux.values()))).lower()
    return all(word in said for word in text.lower().split())
