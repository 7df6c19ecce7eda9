"""The runner of data set jobs: hands the job's request to ingest."""

from __future__ import annotations

from typing import TYPE_CHECKING

from digits.domain.datasets import DatasetSpec
from digits.ingest.pipeline import Frame, ingest
from digits.ingest.prebuilt import EXTENSION, ingest_prebuilt

if TYPE_CHECKING:
    from digits.worker.runtime import WorkerContext


def run(context: WorkerContext) -> None:
    """Make the records. A job that was stopped in the middle starts again from nothing: half a split cannot be trusted."""
    spec = DatasetSpec.from_json(context.request.spec)
    frame = Frame(
        emit=context.emit,
        should_stop=context.should_stop,
        with_room=context.with_room,
        workers=max(1, context.cpus),
    )
    if spec.extension == EXTENSION:
        ingest_prebuilt(context.folder, spec, frame)
    else:
        ingest(context.folder, spec, frame)
