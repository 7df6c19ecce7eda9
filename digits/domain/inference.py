"""What a longer inference (an evaluation job) gets, and the shape of its result."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields
from typing import Any, TypeVar

from digits.domain.training import same_epoch

T = TypeVar("T")

# What is averaged over when a picture is answered several times (test-time augmentation).
HFLIP, VFLIP, TURNS, SCALES = "hflip", "vflip", "turns", "scales"
TTA = {
    HFLIP: "mirrored from left to right",
    VFLIP: "mirrored from top to bottom",
    TURNS: "turned by quarters",
    SCALES: "at three quarters and five quarters of its size",
}
TILE_OVERLAP, MOST_OVERLAP = 0.25, 0.5  # shares of a tile

# What an evaluation keeps of each picture, by the column in which it lies.
RANKED = "classes"  # the most probable classes
OUTPUT = "output"  # the whole output


@dataclass(frozen=True)
class Answering:
    """How a model is made to answer, beyond giving it the picture: in tiles of the network's input that overlap by the share
    `tile_overlap` (None: not in tiles), and by the mean over the picture and what `tta` (keys of `TTA`) makes of it."""

    tile_overlap: float | None = None
    tta: tuple[str, ...] = ()

    @property
    def is_plain(self) -> bool:
        return self.tile_overlap is None and not self.tta

    @property
    def words(self) -> str:
        """What it does, for people; empty where it does nothing."""
        tiles = [] if self.tile_overlap is None else [f"in tiles that overlap by {100 * self.tile_overlap:g} %"]
        mean = [f"as the mean over the picture as it is and {', '.join(TTA[name] for name in self.tta)}"] if self.tta else []
        return " and ".join([*tiles, *mean])

    def to_json(self) -> dict[str, Any]:
        return asdict(self)

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> Answering:
        overlap = value.get("tile_overlap")
        return cls(None if overlap is None else float(overlap), tuple(value.get("tta") or ()))


@dataclass(frozen=True)
class EvaluationSpec:
    """Predict many pictures with one snapshot.

    `source` is `list` (a text file in the job folder, `path [label]` a line, relative paths joined with `folder`), `folder`
    (every picture below `folder`), `video` (the file `folder`, of which every `every`th frame is taken), or `split` (`split` of
    data set `dataset_id`). `limit` keeps the first N (0 all). `framework` is the model's (empty: the default one); files are read
    only below `roots`, addresses only with `allow_urls`. `temperature` is what the evaluation `temperature_from` fitted on the
    validation split for the same snapshot, `thresholds` are those that were chosen for the model, by label (empty: for all).
    `is_validation`: these are all pictures of the split that the training was validated on, answered as it did. `tile_overlap`
    and `tta` are those of `Answering`.
    """

    model_id: str
    snapshot: str  # path relative to the model's folder
    epoch: float
    source: str
    dataset_id: str = ""
    split: str = ""
    list_file: str = ""
    folder: str = ""
    limit: int = 0
    top_n: int = 9
    dont_resize: bool = False
    framework: str = ""
    roots: tuple[str, ...] = ()
    allow_urls: bool = False
    temperature: float | None = None
    temperature_from: str = ""
    thresholds: Mapping[str, float] = field(default_factory=dict)
    is_validation: bool = False
    tile_overlap: float | None = None
    tta: tuple[str, ...] = ()
    every: int = 1

    @property
    def answering(self) -> Answering:
        return Answering(self.tile_overlap, self.tta)

    def measures(self, path: str, epoch: float) -> bool:
        """Whether it is of the snapshot at `path` as it was at `epoch`: a training writes its best one over that before."""
        return self.snapshot == path and same_epoch(self.epoch, epoch)

    def to_json(self) -> dict[str, Any]:
        return asdict(self)

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> EvaluationSpec:
        given = {**value, **value.get("options", {})}  # where older jobs have the last three, and settings that are gone
        names = {field.name for field in fields(cls)}
        known = {name: item for name, item in given.items() if name in names}
        return cls(**{**known, "roots": tuple(known.get("roots", ())), "tta": tuple(known.get("tta", ()))})


def main_output(outputs: Mapping[str, T]) -> T:
    """Of a network's outputs by name, (N, …) or (…) each, the one that answers: the one named `output`, else the first.

    It is what a loss of ours and metrics see in a training, what an evaluation measures and what pages, views and scripts show.
    """
    return outputs["output"] if "output" in outputs else next(iter(outputs.values()))
