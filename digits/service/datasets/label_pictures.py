"""Labels that are maps or arrays, as pictures for the gallery."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING

from digits.domain.datasets import DatasetInfo
from digits.errors import BadRequest, NotFound
from digits.images.addresses import encode_picture
from digits.images.palette import map_palette
from digits.service import Service
from digits.service.datasets.contents import SPLITS, require_done
from digits.service.datasets.records import open_split
from digits.storage.jobs.store import Job
from digits.tasks import Labels, of

if TYPE_CHECKING:
    import numpy as np


def label_picture(service: Service, job: Job, split: str, index: int) -> bytes:
    """PNG of one record's label: index maps in the colours of their classes, boxes over the picture.

    Raises NotFound, BadRequest.
    """
    require_done(service, job)
    name = SPLITS.get(split, split)
    info = service.folder(job.id).find_dataset_info()
    if info is None or name not in info.splits:
        raise NotFound(f"{job.name} has no split {split!r}.")
    reader = open_split(service, job.id, name)
    if not 0 <= index < len(reader):
        raise NotFound(f"{job.name} has no record {index} in its {split} split; it has {len(reader)}.")
    labels = Labels.of_records(reader.meta, info)
    if of(info.task, labels).moves == "boxes":
        return _boxed(reader.feature(index), reader.labels([index])[0], info)
    if not labels.are_shown:
        raise BadRequest(f"The labels of {job.name} are of the kind {reader.meta.label_kind}, which is no picture.")
    label = reader.labels([index])[0]
    if label.shape[0] == 1 and label.dtype.kind in "iub":
        return _coloured(label[0], map_palette(info.extra.get("color_palette") or (), info.class_labels))
    return encode_picture(label)[0]


def _boxed(feature: np.ndarray, boxes: np.ndarray, info: DatasetInfo) -> bytes:
    from digits.images.overlay import overlay

    return overlay(feature, "boxes", boxes, info.class_labels, info.extra.get("color_palette") or ())


def _coloured(classes: np.ndarray, palette: list[int]) -> bytes:
    import numpy as np
    from PIL import Image

    image = Image.fromarray(classes.clip(0, 255).astype(np.uint8)).convert("P")
    image.putpalette(palette)
    out = io.BytesIO()
    image.convert("RGB").save(out, "PNG", compress_level=3)
    return out.getvalue()
