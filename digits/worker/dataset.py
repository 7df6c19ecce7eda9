"""The runner of data set jobs: hands the job's request to ingest."""

from __future__ import annotations

from typing import TYPE_CHECKING

from digits.domain.datasets import CHOSEN_RECORDS, DatasetSpec
from digits.ingest.chosen import ingest_chosen
from digits.ingest.pipeline import IngestContext, ingest
from digits.ingest.prebuilt import EXTENSION, ingest_prebuilt

if TYPE_CHECKING:
    from digits.worker.runtime import WorkerContext


def run(context: WorkerContext) -> None:
    """Make the records. A job that was stopped in the middle starts again from nothing: half a split cannot be trusted."""
    spec = DatasetSpec.from_json(context.request.spec)
    ingest_context = IngestContext(
        emit=context.emit,
        should_stop=context.should_stop,
        retry_when_disk_full=context.retry_when_disk_full,
        workers=max(1, context.cpus),
        give_up=context.give_up,
    )
    if spec.extension == EXTENSION:
        ingest_prebuilt(context.folder, spec, ingest_context)
    elif spec.extension == CHOSEN_RECORDS:
        ingest_chosen(context.folder, spec, ingest_context)
    else:
        ingest(context.folder, spec, ingest_context)
