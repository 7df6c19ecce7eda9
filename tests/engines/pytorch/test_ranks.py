"""With which of several exceptions a training of several processes ends."""

from __future__ import annotations

import threading
import time
from typing import Any, cast

import pytest

from digits.engines.activity import Watched
from digits.engines.pytorch import ranks
from digits.engines.pytorch.ranks import Rank, RankGroup, Reason
from digits.errors import NetworkError, ProcessLost

OWN, FIRST, SECOND = NetworkError("rank 0 raised it"), NetworkError("rank 1 raised it"), NetworkError("rank 2 raised it")
BROKE_OFF, KILLED = ProcessLost("the exchange broke off"), ProcessLost("rank 1 was killed")


def group_of(first: Reason | None = None, second: Reason | None = None) -> RankGroup:
    """Three ranks, of which two have ended for these reasons, or have said nothing yet."""
    group = object.__new__(RankGroup)
    group.left = threading.Event()
    processes = enumerate((first, second), start=1)
    group.ranks = [Rank(number, cast(Any, None), -1, 0.0, Watched(0.0), reason=reason) for number, reason in processes]
    return group


def ago(seconds: float, error: Exception, *, secondary: bool = False) -> Reason:
    return Reason(time.monotonic() - seconds, error, secondary)


@pytest.fixture(autouse=True)
def short_waits(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ranks, "REASON_SECONDS", 0.1)
    monkeypatch.setattr(ranks, "EXCHANGE_SECONDS", 0.2)


def test_the_first_by_time_counts_whichever_rank_raised_it() -> None:
    assert group_of().first_reason(OWN) is OWN
    assert group_of(ago(1, FIRST), ago(2, SECOND)).first_reason(OWN) is SECOND
    assert group_of(ago(2, FIRST), ago(1, SECOND)).first_reason(OWN) is FIRST
    assert group_of(ago(-60, FIRST), ago(-50, SECOND)).first_reason(OWN) is OWN
    assert group_of(ago(1, KILLED)).first_reason(OWN) is KILLED, "a rank that died counts as one that raised"


def test_that_the_exchange_broke_off_counts_only_where_nothing_else_is_known() -> None:
    """It is what all others meet when one has raised: its time says nothing."""
    assert group_of(ago(1, BROKE_OFF, secondary=True)).first_reason(OWN) is OWN
    assert group_of(ago(3, BROKE_OFF, secondary=True), ago(1, SECOND)).first_reason(OWN) is SECOND
    assert group_of(ago(-60, FIRST)).first_reason(BROKE_OFF) is FIRST
    assert group_of(ago(-60, KILLED)).first_reason(BROKE_OFF) is KILLED
    assert group_of().first_reason(BROKE_OFF) is BROKE_OFF


@pytest.mark.parametrize(("own", "seconds"), [(OWN, "REASON_SECONDS"), (BROKE_OFF, "EXCHANGE_SECONDS")])
def test_an_earlier_reason_that_is_still_on_its_way_is_waited_for(
    monkeypatch: pytest.MonkeyPatch, own: Exception, seconds: str
) -> None:
    monkeypatch.setattr(ranks, seconds, 60.0)
    group, reason = group_of(), ago(1, FIRST)
    timer = threading.Timer(0.3, lambda: setattr(group.ranks[0], "reason", reason))
    timer.start()
    began = time.monotonic()
    assert group.first_reason(own) is FIRST
    assert time.monotonic() - began < 50, "no longer than until it comes"
    timer.join()
