"""What an augmentation does to a few training pictures, for the form of a new model; made by the supervisor's own road."""

from __future__ import annotations

from typing import Any

from digits.domain.jobs import Kind
from digits.errors import BadRequest, DigitsError
from digits.ipc.supervisor_client import call
from digits.service import Service
from digits.service.datasets.contents import require_done
from digits.service.forms import option
from digits.service.models.create import info_of
from digits.service.models.form import TransformForm
from digits.service.models.validation_samples import class_colours
from digits.tasks import Labels, of

PREVIEW_SECONDS = 100.0


class PreviewForm(TransformForm):
    """What `preview-augmentation` reads: the augmentation's fields of the model form."""

    dataset: str = option(..., "Data set", "Whose training pictures are shown.", min_length=1, max_length=40)
    draw: int = option(0, "Draw", "Another number draws anew.", ge=0, le=1_000_000)


def preview(service: Service, form: PreviewForm) -> dict[str, Any]:
    """`kind` (`map`, `pictures`, `boxes` or empty), `class_labels`, `colours` and `samples`: see
    `worker.probes.augmentation_preview`.

    Raises BadRequest for a data set that is not whole and Unavailable when no supervisor runs.
    """
    job = service.store.get(form.dataset, Kind.DATASET)
    require_done(service, job)
    info = info_of(service, job.id)
    if info is None:
        raise BadRequest(f"{job.name} has no records yet.")
    request = {
        "op": "preview-augmentation",
        "folder": str(service.folder(job.id).path),
        "augmentation": vars(form.augmentation()),
        "crop_size": form.crop_size,
        "epoch": form.draw,
    }
    answer = call(service.jobs_dir, request, timeout=PREVIEW_SECONDS)
    if answer.get("problem"):
        raise DigitsError(str(answer["problem"]), advice="Change the augmentation.")
    task, labels = of(info.task, Labels.of_dataset(info)), list(info.class_labels)
    colours = class_colours(service, job.id, labels, task)
    return {
        "kind": task.output_kind if task.moves else "",
        "class_labels": labels,
        "colours": colours,
        "samples": answer["samples"],
    }
