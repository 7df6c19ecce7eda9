"""How a model is to answer, as pages, scripts and commands say it: `tiling`, `tile_overlap`, `tta`."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from digits import tasks
from digits.domain.inference import HFLIP, MOST_OVERLAP, TILE_OVERLAP, TTA, Answering
from digits.errors import BadRequest
from digits.service.evaluations.predict import PLAIN
from digits.service.plugins.views import ViewSample, plain
from digits.storage.jobs.store import Job
from digits.utils import values

MOST_NUMBERS = 5_000_000  # of one output as JSON, where a picture was answered in tiles
TILING_HELP = "1: answer pictures that are larger than the network's input in overlapping tiles, at their own size."
OVERLAP_HELP = f"With tiling, how much the tiles overlap, as a share of a tile: 0 to {MOST_OVERLAP:g} ({TILE_OVERLAP:g})."
TTA_HELP = (
    f"Test-time augmentation: answer with the mean over the picture and what these make of it, {', '.join(TTA)} (several by "
    f"commas, or repeated; 1: {HFLIP})."
)
FIELDS = {"tiling": TILING_HELP, "tile_overlap": OVERLAP_HELP, "tta": TTA_HELP}


def answering_of(tiling: bool, overlap: str, tta: Iterable[str]) -> Answering:
    """From what was said. BadRequest for an overlap or a word that makes no sense; an overlap alone asks for no tiles."""
    share = values.decimal(overlap, "tile_overlap", least=0.0, most=MOST_OVERLAP) if overlap.strip() else TILE_OVERLAP
    words = [word.strip().lower() for text in tta for word in text.split(",") if word.strip()]
    yes_or_no = [values.boolean(word) for word in words]
    if len(words) == 1 and yes_or_no[0] is not None:
        words = [HFLIP] if yes_or_no[0] else []
    if wrong := [word for word in words if word not in TTA]:
        raise BadRequest(f"tta is {wrong[0][:40]!r}, expected {', '.join(TTA)}.", advice="Several are separated by commas.")
    found = Answering(share if tiling else None, tuple(name for name in TTA if name in words))
    return PLAIN if found.is_plain else found


def check_answering(model: Job, how: Answering) -> None:
    """Raises BadRequest where the answers of a model cannot be put together."""
    task = tasks.recorded(model.task)
    if not how.is_plain and not task.answers_join:
        raise BadRequest(
            f"{model.name} answers with numbers ({task.title.lower()}): nobody knows how those of parts of a picture, or of a "
            "mirrored one, belong together.",
            advice="Leave tiling and tta out.",
        )


def outputs_json(sample: ViewSample, how: Answering) -> tuple[dict[str, Any], str]:
    """The outputs of a sample as nested lists, and what is to be said of those that are left out: a large picture that was
    answered in tiles has more numbers than a script could read as JSON."""
    left_out = {
        name: array.size for name, array in sample.outputs.items() if how.tile_overlap is not None and array.size > MOST_NUMBERS
    }
    found = {name: plain(array) for name, array in sample.outputs.items() if name not in left_out}
    return found, " ".join(_said(name, size) for name, size in left_out.items())


def _said(name: str, size: int) -> str:
    return f"The output {name} has {size:,} numbers, more than {MOST_NUMBERS:,}, and is left out; in_picture has the result."
