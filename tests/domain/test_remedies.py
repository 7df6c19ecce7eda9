"""When going on is offered: where the same request can get further."""

from __future__ import annotations

import pytest

from digits.domain.remedies import going_on_helps, with_code


@pytest.mark.parametrize(
    ("kind", "status", "code", "helps"),
    [
        ("model", "E", "network", False),
        ("model", "E", "diverged", False),
        ("model", "E", "data", False),
        ("dataset", "E", "data", True),
        ("model", "E", "out-of-memory", True),
        ("model", "E", "", True),
        ("model", "A", "network", True),
        ("model", "D", "", False),
        ("model", "R", "", False),
    ],
)
def test_going_on(kind: str, status: str, code: str, helps: bool) -> None:
    assert going_on_helps(kind, status, code) == helps


def test_a_later_death_without_a_code_forgets_the_one_before() -> None:
    assert with_code({"a": 1, "error_code": "network"}, "") == {"a": 1}
    assert with_code({"a": 1}, "network") == {"a": 1, "error_code": "network"}
