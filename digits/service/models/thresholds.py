"""The thresholds that were chosen for a model: from which score on a class counts, with what that did where it was measured.

They lie as `thresholds.json` in the model's folder: by label (empty: for all classes) `threshold`, its effect (`precision`,
`recall`, `f1`, `right`, `wrong`, `missed`, counted at `counted_at`), the `evaluation`, `epoch` and `split` that it was chosen
on, who chose it (`user`) and when (`time`). They go into the model's archives and into pretrained
models that are made of it; evaluations that are started afterwards count
with them.
"""

from __future__ import annotations

import threading
from collections.abc import Mapping
from typing import Any

from digits.domain.training import TaskOptions
from digits.service import Service
from digits.storage.files import write_json
from digits.storage.thresholds import FILE, read_thresholds
from digits.tasks import Labels, of

_writing = threading.Lock()  # one process writes


def thresholds_of(service: Service, model_id: str) -> dict[str, dict[str, Any]]:
    """What was chosen, by label; empty where nothing was, or the file cannot be read."""
    return read_thresholds(service.folder(model_id).path)


def store_threshold(service: Service, model_id: str, label: str, row: Mapping[str, Any] | None) -> dict[str, dict[str, Any]]:
    """Keep what was chosen for a label, or forget it (None); all that is kept then."""
    folder = service.folder(model_id)
    with _writing:
        found = read_thresholds(folder.path)
        found.pop(label, None)
        if row is not None:
            found[label] = dict(row)
        if found:
            write_json(folder.path / FILE, {"thresholds": found})
        else:
            (folder.path / FILE).unlink(missing_ok=True)
    return found


def values_of(service: Service, model_id: str) -> dict[str, float]:
    """The chosen thresholds alone, by label."""
    return {label: float(row["threshold"]) for label, row in thresholds_of(service, model_id).items()}


def with_thresholds(meta: Mapping[str, Any], chosen: Mapping[str, float]) -> dict[str, Any]:
    """What travels with weights (`preprocessing.json`), with the thresholds that were chosen in its options."""
    if not meta or not chosen:
        return dict(meta)
    labels = Labels.of_snapshot(meta)
    task = of(str(meta.get("task", "")), labels)
    options = task.with_thresholds(TaskOptions.from_json(meta.get("options", {})), labels.class_labels, chosen)
    own = {name: list(v) if isinstance(v, tuple) else v for name, v in task.own_options(options).items()}
    return {**meta, "options": {**meta.get("options", {}), **own}} if own else dict(meta)
