"""Pictures that come from outside to be classified or shown: uploads, server paths, addresses, records of a data set."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

from digits.domain.datasets import STAGES, split_name
from digits.domain.jobs import Kind
from digits.errors import BadRequest, DigitsError, FormErrors, LoadImageError, NotFound
from digits.service import Service
from digits.service.damage import require_records
from digits.service.datasets.records import find_split, open_split
from digits.service.evaluations.predict import RecordPicture
from digits.service.files import confine as paths
from digits.service.models.validation_samples import meta_of
from digits.service.plugins.host import read_foreign
from digits.storage.jobs.store import Job
from digits.utils.names import is_address
from digits.utils.values import is_digits, whole

if TYPE_CHECKING:
    from digits.storage.records.reader import RecordReader

MAX_UPLOAD = 64 * 2**20
THUMB_SIDE = 192


def read_upload(stream: IO[bytes], name: str) -> bytes:
    """The bytes of an uploaded picture. LoadImageError when it is empty or larger than 64 MiB."""
    data = stream.read(MAX_UPLOAD + 1)
    if not data:
        raise LoadImageError(f"{name} is empty.", advice="Choose a picture file.")
    if len(data) > MAX_UPLOAD:
        raise LoadImageError(
            f"{name} is larger than {MAX_UPLOAD >> 20} MiB.", advice="Shrink it, or give its path on the server."
        )
    return data


def from_path(service: Service, text: str) -> Path | bytes:
    """A picture on the server, confined to the allowed folders, or behind an address where the settings permit it."""
    if not is_address(text):
        return paths.readable_file(service, text, "image_path")
    if not service.settings.allow_urls:
        raise BadRequest(
            f"{text} is not fetched: addresses are switched off.",
            advice="Upload the picture, or start the server with the setting allow_urls (DIGITS_ALLOW_URLS=1).",
        )
    from digits.utils.fetch import fetch

    return fetch(text)


def picture_types(service: Service, model: Job) -> list[str]:
    """The files that a browser offers as pictures for a model: what it knows as pictures, and names of others that are read."""
    from digits.images.prepare_for_model import takes_arrays

    return ["image/*", ".tif", ".tiff", *([".npy"] if takes_arrays(meta_of(service, model)) else [])]


def unusable(name: str, error: DigitsError) -> dict[str, str]:
    """How it is said of one of several pictures that it cannot be used: `entry` and `message`, without the field of a form."""
    texts = [text for of_field in error.errors.values() for text in of_field] if isinstance(error, FormErrors) else [str(error)]
    return {"entry": name, "message": " ".join(texts)}


def from_record(service: Service, model: Job, text: str, dataset_id: str = "") -> RecordPicture:
    """A record `split:index` of a data set, by default the model's own; that of another one is fitted to the model. BadRequest or
    NotFound when there is none."""
    split, index = record_place(text)
    chosen = service.store.get(dataset_id, Kind.DATASET).id if dataset_id else model.dataset_id
    if not chosen:
        raise BadRequest(
            f"{model.name} has no data set of its own that a record could be of.",
            advice="Send image_path or image_file, or name a data set beside the record (dataset).",
        )
    require_records(service, chosen)
    info = service.folder(chosen).dataset_info()
    name = split_name(split)
    if name not in info.splits:
        raise NotFound(f"The data set has no {split.removesuffix('_db')} split.", advice=f"It has {', '.join(info.splits)}.")
    reader = open_split(service, chosen, name, info)
    if index >= len(reader):
        raise NotFound(f"There is no record {index} in the split {split}; it has {len(reader)}.")
    found = record_picture(reader, index, info.extra)
    return found if chosen == model.dataset_id else replace(found, foreign=reader.meta.feature_encoding)


def record_place(text: str) -> tuple[str, int]:
    """The split and the number of a record `split:index`. Raises BadRequest."""
    split, _, number = text.partition(":")
    return split, whole(number, "the number of record")


def record_picture(reader: RecordReader, index: int, described: Mapping[str, Any]) -> RecordPicture:
    """A record, and where it comes from in its picture by what its data set says of itself (`DatasetInfo.extra`)."""
    from digits.images.prepare_for_model import find_origin_of_record

    feature = reader.feature(index)
    width, height = (int(side) for side in reader.column("original_size", [index])[0])
    size = (feature.shape[2], feature.shape[1])
    return RecordPicture(feature, find_origin_of_record(described, (width, height), size))


def record_label(service: Service, model: Job, text: str) -> Any:
    """The label of a record that is named as `from_record` has it; None for any other text, and where records have none."""
    split, colon, number = text.partition(":")
    if not colon or not is_digits(number) or f"{split}_db" not in STAGES:
        return None
    require_records(service, model.dataset_id)
    reader = find_split(service, model.dataset_id, split_name(split))
    index = whole(number, "the number of record")
    labels = reader.labels([index]) if reader is not None and index < len(reader) else None
    return None if labels is None else labels[0]


def thumbnail(service: Service, text: str, side: int = THUMB_SIDE) -> bytes:
    """A picture file on the server as PNG, shrunk to fit `side` pixels; the plugin host reads it. Raises FormErrors for a path
    that may not be read, LoadImageError."""
    path = paths.readable_file(service, text, "path")
    header = {"path": str(path), "allowed_roots": [str(root) for root in paths.allowed_roots(service)], "side": side}
    return bytes(read_foreign(service, "thumbnail", header).arrays["png"].tobytes())
