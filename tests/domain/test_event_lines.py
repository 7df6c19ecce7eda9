"""Lines of events: what was changed after it was written is noticed, lines of older versions are understood."""

from __future__ import annotations

import json
import random

import pytest

from digits.domain.events import EVENT_TYPES, LogEvent, MetricEvent, from_line, is_intact, to_line

EVENTS = [
    MetricEvent(step=3, epoch=0.5, phase="val", values={"loss": 0.25, "accuracy": 55.0}, kinds={"loss": "loss"}),
    LogEvent(message='ä\udc80 \\ " ,"crc":"00000000"}'),
]


@pytest.mark.parametrize("event", EVENTS, ids=lambda event: event.type)
def test_any_changed_byte_is_noticed(event: MetricEvent | LogEvent) -> None:
    line = to_line(event).encode()
    assert from_line(line) == event
    assert is_intact(line)
    rng = random.Random(14)
    for at in range(len(line) - len(',"crc":"00000000"}')):  # in what the line says
        changed = bytearray(line)
        changed[at] ^= 1 << rng.randrange(8)
        assert from_line(bytes(changed)) is None
        assert not is_intact(bytes(changed))
    for at in range(1, len(line)):
        assert not is_intact(line[:at])


def test_lines_without_a_checksum_are_judged_by_their_fields() -> None:
    good = {"type": "metric", "t": 1.0, "attempt": 1, "step": 3, "epoch": 0.5, "phase": "val", "values": {"loss": None}}
    assert is_intact(json.dumps(good))
    assert from_line(json.dumps(good)) is not None
    for name, value in (("values", 3), ("step", "three"), ("phase", None), ("epoch", [])):
        assert not is_intact(json.dumps({**good, name: value})), name
        assert from_line(json.dumps({**good, name: value})) is None
    assert not is_intact(json.dumps({name: value for name, value in good.items() if name != "values"}))
    assert is_intact('{"type":"of a newer version","x":1}')
    for text in ("", "nonsense", "[]", "3", '{"step":3}', '{"type":3}', "[" * 100_000, "\x00\xff"):
        assert not is_intact(text)
        assert from_line(text) is None


def test_every_event_comes_back_from_its_line() -> None:
    for cls in EVENT_TYPES.values():
        for event in EVENTS:
            if isinstance(event, cls):
                assert from_line(to_line(event)) == event
