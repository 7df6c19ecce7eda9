"""What may be the truth of a model: labels of the same task and quantity, the numbers of a vector by their names."""

from __future__ import annotations

from typing import Any

import pytest

from digits import tasks
from digits.domain.datasets import VAL_DB, DatasetInfo, RecordMeta, SplitInfo
from digits.errors import DataError
from digits.tasks.truth import places_in_label

KINDS = {
    "classification": ("index", ()),
    "multi_label": ("vector", (2,)),
    "regression": ("vector", (2,)),
    "segmentation": ("map", (1, 8, 8)),
    "object_detection": ("boxes", None),
}
NAMED = ("classification", "multi_label", "segmentation", "object_detection")


def of(task: str, columns: tuple[str, ...] = (), *, kind: str = "", shape: Any = ()) -> DatasetInfo:
    usual, form = KINDS[task]
    classes = ("a", "b") if task in NAMED else ()
    meta = RecordMeta(
        task=task, feature_shape=(1, 8, 8), label_kind=kind or usual, label_shape=shape or form, class_labels=classes
    )
    extra = {"columns": list(columns)} if columns else {}
    return DatasetInfo(task, classes, {VAL_DB: SplitInfo(VAL_DB, 4, meta)}, (1, 8, 8), extra=extra)


def model(task: str, columns: tuple[str, ...] = ()) -> dict[str, Any]:
    kind, shape = KINDS[task]
    shape = (len(columns),) if columns else shape
    classes = ["a", "b"] if task in NAMED else []
    return {
        "task": task,
        "label_kind": kind,
        "label_shape": None if shape is None else list(shape),
        "class_labels": classes,
        "image": {"columns": list(columns)},
    }


@pytest.mark.parametrize("trained", list(KINDS))
@pytest.mark.parametrize("measured", list(KINDS))
def test_only_a_set_of_the_same_task_is_measured_on(trained: str, measured: str) -> None:
    task = tasks.get(trained)
    if trained == measured:
        assert places_in_label(task, model(trained), of(measured), VAL_DB) == ()
        return
    with pytest.raises(DataError, match=f"The data set is one for {tasks.get(measured).title.lower()}; the model is one of"):
        places_in_label(task, model(trained), of(measured), VAL_DB)


def test_class_numbers_are_no_quantity() -> None:
    """Degrees against the numbers of ants and bees."""
    with pytest.raises(DataError, match="of the kind index; the model needs vector"):
        places_in_label(
            tasks.get("regression"), model("regression", ("angle",)), of("regression", kind="index", shape=()), VAL_DB
        )


@pytest.mark.parametrize(
    ("ours", "theirs", "places"),
    [
        (("x", "y"), ("x", "y"), ()),
        (("x", "y"), ("y", "x"), (1, 0)),
        (("x", "y"), ("z", "y", "x"), (2, 1)),
        (("x",), ("x", "y"), (0,)),
        (("x", "y"), (), ()),
        ((), ("x", "y"), ()),
    ],
)
def test_numbers_are_found_by_their_names(ours: tuple[str, ...], theirs: tuple[str, ...], places: tuple[int, ...]) -> None:
    info = of("regression", theirs, shape=(len(theirs) or 2,))
    assert places_in_label(tasks.get("regression"), model("regression", ours), info, VAL_DB) == places


@pytest.mark.parametrize(
    ("theirs", "shape", "said"),
    [
        (("weight_kg",), (1,), "The labels of the data set are weight_kg, without angle; the model gives angle."),
        ((), (3,), r"A label of the data set has the shape \(3,\), one of the model's own \(1,\)"),
    ],
)
def test_other_quantities_are_refused(theirs: tuple[str, ...], shape: tuple[int, ...], said: str) -> None:
    with pytest.raises(DataError, match=said):
        places_in_label(tasks.get("regression"), model("regression", ("angle",)), of("regression", theirs, shape=shape), VAL_DB)


def test_a_model_that_does_not_say_what_it_was_trained_on_is_measured_by_its_task() -> None:
    meta = {"task": "regression", "class_labels": []}
    assert places_in_label(tasks.get("regression"), meta, of("regression", ("x", "y")), VAL_DB) == ()
    with pytest.raises(DataError, match="object detection"):
        places_in_label(tasks.get("regression"), meta, of("object_detection"), VAL_DB)
