"""`python -m digits.worker.probes.augmentation_preview --out FILE`: training pictures as the chosen augmentation changes them.

Reads `{"folder", "augmentation", "crop_size", "epoch"}` as JSON from stdin and writes `{"samples": […]}` or `{"problem": text}`.
A sample has `key`, `size`, `label` and the same picture as `before` and `after`: `input` and, where the label is a picture of
the same size and moves along, `truth` (classes as a grey picture), or `boxes`. It is the training's own code that changes them.
"""

from __future__ import annotations

import argparse
import base64
import io
import json
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from digits.domain.datasets import TRAIN_DB
from digits.domain.training import Augmentation, TrainingSpec
from digits.engines.training.augmentation import outside
from digits.engines.training.batches import BatchSource
from digits.engines.training.preprocessing import preprocessing_for, with_measured
from digits.errors import DigitsError
from digits.storage.files import write_json
from digits.storage.folders import JobFolder
from digits.storage.records.open import open_split
from digits.tasks import Labels, Task, of
from digits.tasks.label_forms import class_words as label_words
from digits.utils.image import display_image, embed_image_html
from digits.utils.processes import die_with_parent
from digits.worker.failures import error_event

COUNT = 6
SEED = 1
LARGEST_SIDE = 256
SMALL_SIDE = 96


def main(argv: Sequence[str] | None = None) -> int:
    """Make one preview; the exit code is 0 whenever FILE was written."""
    parser = argparse.ArgumentParser(
        prog="python -m digits.worker.probes.augmentation_preview",
        description="Preview an augmentation.",
    )
    parser.add_argument("--out", type=Path, required=True)
    options = parser.parse_args(argv)
    die_with_parent()
    write_json(options.out, answer(json.load(sys.stdin)))
    return 0


def answer(request: Mapping[str, Any]) -> dict[str, Any]:
    """The samples, or the problem in words."""
    try:
        augmentation = Augmentation(**request["augmentation"])
        return {"samples": preview(Path(request["folder"]), augmentation, request.get("crop_size"), int(request.get("epoch", 0)))}
    except DigitsError as error:
        return {"problem": str(error)}
    except Exception as error:  # records of a plugin may be anything
        event = error_event(error)
        return {"problem": f"{event.message} {event.advice}".strip()}


def preview(folder: Path, augmentation: Augmentation, crop_size: int | None, epoch: int) -> list[dict[str, Any]]:
    """Samples of the training split before and after; another `epoch` draws anew."""
    import torch

    from digits.engines.pytorch.inputs import Augmenter, Inputs

    torch.set_num_threads(1)
    info = JobFolder(folder).dataset_info()
    records = open_split(folder, TRAIN_DB, info)
    spec = TrainingSpec("", info.task, crop_size=crop_size, use_mean="none", augmentation=augmentation)
    labels = Labels.of_records(records.meta, info)
    task = of(info.task, labels)
    moves = task.follows_picture(labels)
    indices = np.sort(np.random.default_rng(0).permutation(len(records))[:COUNT])
    stored = records.meta.feature_shape or tuple(records.feature(0).shape)
    preprocessing, _ = with_measured(preprocessing_for(spec, records.meta, stored), records, augmentation)
    inputs = Inputs(preprocessing, None, torch.device("cpu"))
    augmenter = Augmenter(
        augmentation,
        preprocessing.unit,
        SEED,
        moves_labels=moves,
        index_maps=task.moves == "map",
        floor=preprocessing.floor,
        outside=outside(task.moves),
    )
    size = (crop_size, crop_size) if crop_size else None
    samples = []
    with BatchSource(records, size, crop_labels=moves, threads=1) as source:
        for index in indices:
            batch = source.load(np.array([index]), SEED, epoch)
            x = inputs.raw(batch.features.copy())
            y = torch.from_numpy(task.targets(batch.labels)) if moves else None
            after, moved = augmenter(x.clone(), y, epoch, batch.indices)
            boxes, moved_boxes = _boxes(batch.labels, task, augmenter, epoch, batch.indices, x.shape[-2:])
            made = _as_stored(after[0].numpy(), batch.features.dtype)
            samples.append(
                {
                    "key": f"train:{index}",
                    "size": [int(batch.features.shape[3]), int(batch.features.shape[2])],
                    "label": label_words(records.meta.label_kind, batch.labels, info.class_labels),
                    "before": {"input": _picture(batch.features[0]), "truth": _label_picture(y, task), "boxes": boxes},
                    "after": {"input": _picture(made), "truth": _label_picture(moved, task), "boxes": moved_boxes},
                }
            )
    return samples


def _boxes(labels: Any, task: Task, augmenter: Any, epoch: int, indices: np.ndarray, size: Any) -> tuple[list[Any], list[Any]]:
    """Boxes before and after; nothing for other labels."""
    from digits.engines.training.augmentation import draw
    from digits.engines.training.boxes import moved

    if task.moves != "boxes":
        return [], []
    transforms = draw(augmenter.augmentation, augmenter.seed, epoch, indices)
    found = moved(labels, augmenter.augmentation, transforms, (int(size[0]), int(size[1])))
    return _described(labels[0]), _described(found[0])


def _described(boxes: np.ndarray) -> list[dict[str, Any]]:
    names = ("x0", "y0", "x1", "y1")
    return [{"box": [float(row[name]) for name in names], "class": int(row["class"])} for row in boxes]


def _as_stored(picture: np.ndarray, dtype: np.dtype) -> np.ndarray:
    return picture.round().clip(0, 255).astype(np.uint8) if dtype == np.uint8 else picture


def _label_picture(label: Any, task: Task) -> str | None:
    if label is None:
        return None
    array = label.numpy()
    if task.index_targets:
        return embed_image_html(array[0].clip(0, 255).astype(np.uint8))
    return _picture(array[0])


def _picture(feature: np.ndarray) -> str:
    """A `data:` address, as JPEG where the picture is large: the supervisor's answer is one line of at most 1 MiB."""
    image = Image.fromarray(display_image(feature.transpose(1, 2, 0)))
    if max(image.size) <= SMALL_SIDE:
        return embed_image_html(image)
    image.thumbnail((LARGEST_SIDE, LARGEST_SIDE), Image.Resampling.BILINEAR)
    buffer = io.BytesIO()
    image.save(buffer, "JPEG", quality=88)
    return f"data:image/jpeg;base64,{base64.b64encode(buffer.getvalue()).decode()}"


if __name__ == "__main__":
    sys.exit(main())
