"""How a model is to answer, by the arguments of a request."""

from __future__ import annotations

from digits.domain.inference import Answering
from digits.service.evaluations.answering import answering_of, check_answering
from digits.storage.jobs.store import Job
from digits.web.http import arguments


def asked_answering(model: Job) -> Answering:
    """By `tiling`, `tile_overlap` and `tta`. BadRequest where that makes no sense, or the model cannot."""
    how = answering_of(arguments.flag("tiling"), arguments.text("tile_overlap"), arguments.items("tta") or ())
    check_answering(model, how)
    return how
