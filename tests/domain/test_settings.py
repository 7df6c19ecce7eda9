"""What a training was made with, by name: a blank field is the value that was taken for it."""

from __future__ import annotations

from typing import Any

import pytest

from digits.domain.settings import settings_of, taken_for_blank, without_seed
from digits.domain.training import text_batch_size

TEXT = "BATCH_SIZE = 64\n\n\ndef build_network(context): ...\n"


def spec(**values: Any) -> dict[str, Any]:
    return {"network": TEXT, "epochs": 3, "seed": 5, "batch_size": None, "solver": {"type": "SGD", "momentum": None}, **values}


def fold(form: dict[str, Any], **values: Any) -> str:
    return without_seed("d", TEXT, settings_of(form, spec(**values)))


def test_a_blank_field_is_what_was_taken_for_it() -> None:
    assert taken_for_blank(spec()) == {"batch_size": 64.0, "momentum": 0.9, "weight_decay": 0.0001}
    assert taken_for_blank(spec(batch_size=8))["batch_size"] == 8
    assert taken_for_blank(spec(solver={"type": "ADAM"})) == {"batch_size": 64.0, "weight_decay": 0.0}
    assert taken_for_blank({"extension": "a data set"}) == {}


@pytest.mark.parametrize(("name", "value"), [("batch_size", [64]), ("batch_size", 64), ("momentum", 0.9), ("weight_decay", 1e-4)])
def test_runs_that_name_it_and_leave_it_blank_are_alike(name: str, value: Any) -> None:
    assert fold({name: value}) == fold({name: None}) == fold({})
    assert fold({name: 0.5}) != fold({})


@pytest.mark.parametrize(
    ("text", "size"),
    [
        ("BATCH_SIZE = 64", 64),
        ("BATCH_SIZE: int = 8  # small", 8),
        ("x = 1\nBATCH_SIZE=2\n", 2),
        ("", 16),
        ("  BATCH_SIZE = 64", 16),
        ("BATCH_SIZE = 4 * 8", None),
        ("BATCH_SIZE = SIZE", None),
    ],
)
def test_the_batch_size_of_a_text(text: str, size: int | None) -> None:
    assert text_batch_size(text) == size
