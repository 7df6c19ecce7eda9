"""Folding events: the same columns however the reading was interrupted, and no trace of what is void."""

from __future__ import annotations

import math
from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st

from digits.domain.events import AttemptEvent, ErrorEvent, Event, MetricEvent, ProgressEvent, StatusEvent
from digits.storage.events import EventWriter, valid_events
from digits.storage.run_summary import RunSummary, furthest

KINDS = {"loss": "loss", "accuracy": "accuracy"}


def metric(step: int, phase: str = "val", **values: float) -> MetricEvent:
    return MetricEvent(step=step, epoch=step / 10, phase=phase, values=values, kinds=KINDS)


def write(path: Path, attempts: list[list[Event]]) -> None:
    for number, events in enumerate(attempts, 1):
        writer = EventWriter(path, number)
        for event in events:
            writer.emit(event)
        writer.close()


def summarised(path: Path, **options: str) -> RunSummary:
    run = RunSummary("job", **options)
    run.read(path)
    return run


def test_smallest_and_largest_with_their_epochs(tmp_path: Path) -> None:
    path = tmp_path / "e"
    write(path, [[AttemptEvent(), *(metric(step, loss=loss) for step, loss in ((1, 3.0), (2, 1.0), (3, 2.0)))]])
    output = summarised(path).outputs["loss", "val"]
    assert (output.last, output.min, output.min_epoch, output.max, output.max_epoch) == (2.0, 1.0, 0.2, 3.0, 0.1)


def test_a_loss_that_is_no_number_is_not_the_best(tmp_path: Path) -> None:
    path = tmp_path / "e"
    write(path, [[AttemptEvent(), metric(1, loss=1.0), metric(2, loss=math.nan)]])
    run = summarised(path)
    assert run.best() == ("loss", 1.0, 0.1)
    assert run.outputs["loss", "val"].last is None


def test_the_best_metric_is_the_wanted_one_else_an_accuracy_else_a_loss(tmp_path: Path) -> None:
    path = tmp_path / "e"
    write(path, [[AttemptEvent(), metric(1, loss=2.0, accuracy=50.0), metric(2, loss=3.0, accuracy=60.0)]])
    assert summarised(path).best() == ("accuracy", 60.0, 0.2)
    assert summarised(path, best_metric="loss").best() == ("loss", 2.0, 0.1)


def test_what_an_untrained_network_scores_is_nobodys_best(tmp_path: Path) -> None:
    path = tmp_path / "e"
    write(path, [[AttemptEvent(), metric(0, loss=0.5), metric(1, loss=2.0), metric(2, loss=1.0)]])
    run = summarised(path)
    assert run.best() == ("loss", 1.0, 0.2)
    assert run.outputs["loss", "val"].min == 0.5


def test_an_own_metric_decides_where_its_direction_is_declared(tmp_path: Path) -> None:
    path, said = tmp_path / "e", {"top1_error": {"better": "lower", "unit": "%"}}
    values = [{"top1_error": error, "accuracy": 1 - error} for error in (0.75, 0.25, 0.5)]
    events = [
        MetricEvent(step=s, epoch=s, phase="val", values=v, declared=said, decides="top1_error") for s, v in enumerate(values, 1)
    ]
    write(path, [[AttemptEvent(), *events]])
    assert summarised(path).best() == ("top1_error", 0.25, 2)
    assert summarised(path).columns()["best_better"] == "lower"
    undeclared = tmp_path / "f"
    write(
        undeclared, [[AttemptEvent(), *(MetricEvent(step=e.step, epoch=e.epoch, phase="val", values=e.values) for e in events)]]
    )
    assert summarised(undeclared, best_metric="top1_error").best() == ("accuracy", 0.75, 2)


def test_a_resumed_attempt_voids_what_lies_beyond_its_checkpoint(tmp_path: Path) -> None:
    path = tmp_path / "e"
    writer = EventWriter(path, 1)
    writer.emit(AttemptEvent())
    checkpoint = writer.emit(metric(1, loss=5.0))
    writer.emit(metric(2, loss=0.001))
    writer.emit(ProgressEvent(fraction=0.9))
    writer.close()
    run = summarised(path)
    assert run.outputs["loss", "val"].min == 0.001
    write_more = EventWriter(path, 2)
    write_more.emit(AttemptEvent(resumed_step=1, resumed_offset=checkpoint))
    write_more.emit(metric(2, loss=4.0))
    write_more.close()
    run.read(path)
    assert run.outputs["loss", "val"].min == 4.0
    assert run.outputs["loss", "val"].max == 5.0
    assert run.progress is None
    assert run.rebuilt
    assert furthest(path) == {1: 0.9, 2: 0.0}


def test_a_new_attempt_forgets_the_error_of_the_last(tmp_path: Path) -> None:
    path = tmp_path / "e"
    write(path, [[AttemptEvent(), ErrorEvent(code="x", message="Broken.", advice="Mend it."), StatusEvent(status="E")]])
    assert summarised(path).error_text() == "Broken. Mend it."
    write(path, [[], [AttemptEvent(), StatusEvent(status="D")]])
    run = summarised(path)
    assert run.error_text() == ""
    assert run.status is not None
    assert run.status.status == "D"


def test_a_torn_line_is_skipped_and_the_rest_is_read(tmp_path: Path) -> None:
    path = tmp_path / "e"
    write(path, [[AttemptEvent(), metric(1, loss=1.0)]])
    with open(path, "ab") as handle:
        handle.write(b'{"type":"metric","st')
    run = summarised(path)
    assert run.outputs["loss", "val"].last == 1.0
    write(path, [[], [AttemptEvent(resumed_step=1, resumed_offset=run.offset), metric(2, loss=0.5)]])
    run.read(path)
    assert run.outputs["loss", "val"].last == 0.5


def test_a_long_series_keeps_a_bounded_sparkline(tmp_path: Path) -> None:
    path = tmp_path / "e"
    write(path, [[AttemptEvent(), *(metric(step, "train", loss=float(step)) for step in range(1000))]])
    values = summarised(path).sparkline.values
    assert 32 <= len(values) <= 64
    assert values == sorted(values)


EVENTS = st.one_of(
    st.builds(metric, st.integers(0, 50), st.sampled_from(["train", "val"]), loss=st.floats(-5, 5)),
    st.builds(ProgressEvent, fraction=st.floats(0, 1)),
)


@given(st.lists(st.tuples(st.lists(EVENTS, max_size=8), st.floats(0, 1)), min_size=1, max_size=4))
def test_reading_line_by_line_equals_reading_what_is_valid_at_once(tmp_path_factory, attempts) -> None:
    path = tmp_path_factory.mktemp("run") / "e"
    run = RunSummary("job")
    for number, (events, back) in enumerate(attempts, 1):
        writer = EventWriter(path, number)
        writer.emit(AttemptEvent(resumed_step=0, resumed_offset=int(writer.offset * back)))
        run.read(path)
        for event in events:
            writer.emit(event)
            run.read(path)
        writer.close()
    expected = RunSummary("job")
    for _, event in valid_events(path):
        expected.apply(event)
    expected.offset = path.stat().st_size
    assert run.columns() == expected.columns()
    assert run.outputs == expected.outputs
