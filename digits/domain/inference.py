"""What a longer inference (an evaluation job) gets, and the shape of its result."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields
from typing import Any, TypeVar

T = TypeVar("T")

# What an evaluation keeps of each picture, by the column in which it lies.
RANKED = "classes"  # the most probable classes
OUTPUT = "output"  # the whole output


@dataclass(frozen=True)
class EvaluationSpec:
    """Predict many pictures with one snapshot.

    `source` is `list` (a text file in the job folder, `path [label]` a line, relative paths joined with `folder`), `folder`
    (every picture below `folder`), or `split` (`split` of data set `dataset_id`). `limit` keeps the first N (0 all). `framework`
    is the model's (empty: the default one); files are read only below `roots`, addresses only with `allow_urls`. `temperature` is
    what the evaluation `temperature_from` fitted on the validation split for the same snapshot, `thresholds` are those that were
    chosen for the model, by label (empty: for all). `is_validation`: these are all pictures of the split that the training was
    validated on.
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

    def to_json(self) -> dict[str, Any]:
        return asdict(self)

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> EvaluationSpec:
        given = {**value, **value.get("options", {})}  # where older jobs have the last three, and settings that are gone
        names = {field.name for field in fields(cls)}
        known = {name: item for name, item in given.items() if name in names}
        return cls(**{**known, "roots": tuple(known.get("roots", ()))})


def main_output(outputs: Mapping[str, T]) -> T:
    """Of a network's outputs by name, (N, …) or (…) each, the one that answers: the one named `output`, else the first.

    It is what a loss of ours and metrics see in a training, what an evaluation measures and what pages, views and scripts show.
    """
    return outputs["output"] if "output" in outputs else next(iter(outputs.values()))
