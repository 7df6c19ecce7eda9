"""What pages, JSON and commands say about a data set: its dictionary (R 1.2), a summary, what its records are."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from digits.domain.datasets import PNG_OR_NONE, STAGES, TEST_DB, TRAIN_DB, VAL_DB, DatasetInfo, SplitInfo
from digits.domain.jobs import Kind
from digits.engines.network.losses import LOSSES, usual_loss
from digits.errors import StorageError
from digits.service import Service
from digits.service.damage import require_usable
from digits.service.jobs import model_row, models_of
from digits.storage.jobs.store import Job
from digits.tasks import recorded

CLASSIFICATION = {"folder": "image-classification-folder", "textfile": "image-classification-textfile"}  # extensions by method
SPLITS = {"train": TRAIN_DB, "val": VAL_DB, "test": TEST_DB}
NOT_SHOWN = {"dataset_name", "group_name", "method", "username", "boxes[]"}
WITHOUT_LABEL_DB = {"index", "none"}  # label kinds that need no database of their own


def dataset_dict(service: Service, job: Job, verbose: bool = False) -> dict[str, Any]:
    """The JSON of a data set: `id`, `name`, `status`; with `verbose` also its directory, how much was left out (None before it is
    done), the `content_hash` of its records, the `models` on it (whoever owns them) and what each stage found.

    StorageError for one of a task that is not known.
    """
    recorded(job.task)
    value: dict[str, Any] = {"id": job.id, "name": job.name, "status": job.status.word}
    if not verbose:
        return value
    folder = service.folder(job.id)
    info = folder.find_dataset_info()
    value |= {"directory": str(folder.path), "left_out": info.left_out if info else None}
    value["content_hash"] = info.content_hash if info else ""
    value["models"] = [model_row(model) for model in models_of(service, job)]
    if is_classification(job):
        form = folder.request().form
        value["ParseFolderTasks"] = parse_folder_tasks(form, info)
        value["CreateDbTasks"] = create_db_tasks(form, info)
    else:
        value |= records_dict(info)
    return value


def parse_folder_tasks(form: Mapping[str, Any], info: DatasetInfo | None) -> list[dict[str, Any]]:
    """One entry for the training folder and one for each separate folder; counts are those of the records, None before."""
    if form.get("method") != "folder":
        return []
    stages = _folder_stages(form)
    own = [stage for stage in ("val", "test") if form.get(f"has_{stage}_folder")]
    return [_parse_task(stages, info, of_training=True), *(_parse_task([stage], info) for stage in own)]


def parsed_folders(service: Service, job: Job) -> list[str]:
    """The folder of each entry of `parse_folder_tasks`."""
    form = service.folder(job.id).request().form
    own = [str(form.get(f"folder_{stage}", "")) for stage in ("val", "test") if form.get(f"has_{stage}_folder")]
    return [str(form.get("folder_train", "")), *own]


def made_facts(service: Service, job: Job) -> dict[str, str]:
    """How a data set was made, in words for its page: every field of the form that a person filled in, under its title."""
    form = service.folder(job.id).request().form
    if not is_classification(job):
        shown = {name: value for name, value in form.items() if value not in ("", None) and name not in NOT_SHOWN}
        return {name.removeprefix("dsopts_").replace("_", " ").capitalize(): str(value) for name, value in shown.items()}
    size = (
        "as in the sources" if form.get("keep_size") else f"{form.get('resize_width')}×{form.get('resize_height')} (width×height)"
    )
    tasks = create_db_tasks(form, service.folder(job.id).find_dataset_info())
    stored = tasks[0] if tasks else form
    facts = {
        "Image dimensions": size,
        "Image type": {1: "Grayscale", 3: "Colour"}.get(form.get("resize_channels") or 0, "As in the source"),
        "Resize mode": "" if form.get("keep_size") else form.get("resize_mode"),
        "Smallest side": f"{form['min_side']} pixels" if form.get("min_side") else "",
        "Kept together": form.get("group_pattern"),
        "Seed": str(form.get("seed", "")),
        "Backend": form.get("backend"),
        "Encoding": stored.get("encoding"),
        "Compression": stored.get("compression"),
    }
    return {name: str(value) for name, value in facts.items() if value}


def create_db_tasks(form: Mapping[str, Any], info: DatasetInfo | None) -> list[dict[str, Any]]:
    """One entry per split, with the size that the pictures have in the records (None where sizes differ)."""
    stages = [name.removesuffix("_db") for name in info.splits] if info else _stages(form)
    return [_db_task(stage, form, _split(info, stage)) for stage in stages]


def require_done(service: Service, job: Job) -> None:
    """Raises NotReady when the records of a data set are not whole yet, or never will be, Damaged when they are not any more."""
    if job.status.word != "Done":
        raise NotReady(
            f"{job.name} cannot be shown: its status should be Done, but is {job.status.word}.",
            advice="Wait until it is done." if job.status.is_running else "Clone it to make it again.",
        )
    require_usable(service, job)


class NotReady(StorageError):
    """A request for records that the data set does not have (the original answered with code 500 as well)."""


def is_classification(job: Job) -> bool:
    """Whether a job is a data set of the form of R 2.1."""
    return job.kind == Kind.DATASET and job.extension in CLASSIFICATION.values()


def summary_dict(service: Service, job: Job) -> dict[str, Any]:
    """A data set in a few figures; `image_*` are None and counts 0 while they are not known."""
    info = service.folder(job.id).find_dataset_info()
    form = service.folder(job.id).request().form
    shape = info.feature_shape if info else None
    channels, height, width = shape or _asked_shape(form)
    counts = {f"{stage}_count": (split.entries if (split := _split(info, stage)) else 0) for stage in SPLITS}
    return {
        **dataset_dict(service, job),
        "type": job.type_name,
        "task": job.task,
        "extension": job.extension,
        "image_width": width,
        "image_height": height,
        "image_channels": channels,
        "resize_mode": form.get("resize_mode"),
        "backend": form.get("backend"),
        "class_count": len(info.class_labels) if info else 0,
        "class_labels": list(info.class_labels) if info else [],
        "usual_loss": LOSSES.get(usual_loss(job.task, info), "") if info else "",
        **counts,
        "total_count": sum(counts.values()),
    }


def records_dict(info: DatasetInfo | None) -> dict[str, Any]:
    """The keys of R 1.2 for a data set of a plugin: `create_db_tasks` and `feature_dims` (None before they are known)."""
    return {
        "create_db_tasks": [_records_task(stage, info) for stage in STAGES],
        "feature_dims": feature_dims(info),
    }


def feature_dims(info: DatasetInfo | None) -> list[int] | None:
    """[H, W, C]; None while it is not known or where records differ."""
    if info is None or info.feature_shape is None:
        return None
    channels, height, width = info.feature_shape
    return [height, width, channels]


def _records_task(stage: str, info: DatasetInfo | None) -> dict[str, Any]:
    split = info.splits.get(stage) if info else None
    filled = split is not None and split.entries > 0
    with_labels = filled and split is not None and split.meta.label_kind not in WITHOUT_LABEL_DB
    return {
        "name": f"Create {stage} DB",
        "stage": stage,
        "entry_count": split.entries if split else (0 if info else None),
        "feature_db_path": stage if filled else None,
        "label_db_path": stage if with_labels else None,
    }


def feature_encoding(form: Mapping[str, Any]) -> str:
    """HDF5 never held encoded pictures; scripts that request it get them unencoded."""
    return "none" if form.get("backend") == "hdf5" else str(form.get("encoding") or "auto")


def compression(form: Mapping[str, Any]) -> str:
    return "none" if form.get("backend") == "lmdb" else str(form.get("compression") or "none")


def _stages(form: Mapping[str, Any]) -> list[str]:
    """The splits that a form names."""
    if form.get("method") == "textfile":
        return ["train", *(stage for stage in ("val", "test") if form.get(f"textfile_use_{stage}"))]
    separate = [stage for stage in ("val", "test") if form.get(f"has_{stage}_folder")]
    return [stage for stage in SPLITS if stage in {*_folder_stages(form), *separate}]


def _folder_stages(form: Mapping[str, Any]) -> list[str]:
    """The splits that the training folder is divided into."""
    shared = [s for s in ("val", "test") if not form.get(f"has_{s}_folder") and float(form.get(f"folder_pct_{s}") or 0) > 0]
    return ["train", *shared]


def _split(info: DatasetInfo | None, stage: str) -> SplitInfo | None:
    return info.splits.get(SPLITS[stage]) if info else None


def _parse_task(stages: list[str], info: DatasetInfo | None, of_training: bool = False) -> dict[str, Any]:
    counts: dict[str, Any] = {f"{stage}_count": 0 if info else None for stage in SPLITS}
    labels: int | None = None
    if info:
        splits = [split for split in (_split(info, stage) for stage in stages) if split]
        counts |= {f"{split.name.removesuffix('_db')}_count": split.entries for split in splits}
        labels = len(info.class_labels) if of_training else sum(count > 0 for count in splits[0].class_counts) if splits else 0
    return {"name": f"Parse Folder ({'/'.join(stages)})", "label_count": labels, **counts}


def _db_task(stage: str, form: Mapping[str, Any], split: SplitInfo | None) -> dict[str, Any]:
    unknown = (None, None, None)
    channels, height, width = (split.meta.feature_shape or unknown) if split else _asked_shape(form)
    encoding = feature_encoding(form)
    is_open = encoding in ("auto", PNG_OR_NONE)  # the records decide
    return {
        "name": f"Create DB ({stage})",
        "entries": split.entries if split else None,
        "image_width": width,
        "image_height": height,
        "image_channels": channels,
        "backend": form.get("backend"),
        "encoding": split.meta.feature_encoding if split and is_open else {PNG_OR_NONE: "png"}.get(encoding, encoding),
        "compression": compression(form),
    }


def _asked_shape(form: Mapping[str, Any]) -> tuple[Any, Any, Any]:
    """Channels, height and width that a form gives; None where the sources decide."""
    if form.get("keep_size"):
        return form.get("resize_channels") or None, None, None
    return form.get("resize_channels") or None, form.get("resize_height"), form.get("resize_width")
