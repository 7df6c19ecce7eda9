"""One bad entry never ends a job: it is left out, counted and listed with its reason; too many of them do, and the message says
what is wrong with most."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from digits.domain.datasets import DatasetSpec, left_out
from digits.domain.events import WarningEvent
from digits.errors import DataError, PluginError
from digits.extensions.data.interface import DataIngestionInterface
from digits.ingest.apart import MARKER
from digits.ingest.pool import DIED
from digits.ingest.probe import Probe
from tests.ingest.making import FOLDER, Run, class_folder, make_job, run_job
from tests.ingest.plugin_source import COLOUR, FLOATS

pytestmark = pytest.mark.usefixtures("plugin_site")
GOOD = {"colour": ("plain", "list", "grey"), "floats": ("plain", "double", "whole")}
MIXTURES = {"colour": COLOUR, "floats": FLOATS}


def make(tmp_path: Path, case: str, spec: dict[str, Any] | None = None, workers: int = 1, **data: Any) -> Run:
    return run_job(make_job(tmp_path / "jobs", "test-source", {"case": case, **data}, **(spec or {})), workers=workers)


def check_mixture(folder: Path, case: str, plan: list[str], mode: str, workers: int = 2) -> None:
    """Make a data set of a plan: the records hold exactly the good entries in order, the problems exactly the bad ones."""
    run = make(folder, case, {"max_left_out": 1.0}, workers, plan=plan, count=len(plan), mode=mode)
    good = [number for number, word in enumerate(plan) if word in GOOD[case]]
    bad = [number for number, word in enumerate(plan) if word not in GOOD[case]]
    reader = run.reader()
    keys = reader.column("key", range(len(reader)))
    assert [int(key.split("/")[0]) for key in keys] == good
    shape = (3, 4, 5) if case == "colour" else (1, 4, 5)
    expected = np.stack([np.full(shape, number) for number in good])
    np.testing.assert_array_equal(reader.features(range(len(reader))), expected)
    problems = run.problems()
    assert [int(one["entry"].split(",")[0]) for one in problems if one["kind"] == "skipped"] == bad
    assert all(one["reason"].strip() for one in problems)
    assert (run.info.problems, run.info.left_out["count"]) == (len(bad), len(bad))
    changed = [number for number, word in enumerate(plan) if word in ("grey", "double", "whole")]
    assert [int(one["entry"]) for one in problems if one["kind"] == "converted"] == changed
    mean = expected.mean(axis=(0, 2, 3))
    np.testing.assert_allclose(run.info.splits["train_db"].meta.mean, mean)


@st.composite
def mixtures(draw: st.DrawFn) -> tuple[str, list[str]]:
    """Entries of which most are plain, and others good or bad in every way, in any order."""
    case = draw(st.sampled_from(sorted(MIXTURES)))
    others = draw(st.lists(st.sampled_from(sorted(set(MIXTURES[case]) - {"plain"})), max_size=12))
    plain = draw(st.integers(len(others) + 1, len(others) + 12))
    return case, draw(st.permutations(["plain"] * plain + others))


@settings(max_examples=60, deadline=None, derandomize=True)
@given(mixture=mixtures(), mode=st.sampled_from(["serial", "threads"]))
def test_the_records_hold_the_good_entries_and_the_problems_the_bad_ones(
    tmp_path_factory: pytest.TempPathFactory, mixture: tuple[str, list[str]], mode: str
) -> None:
    check_mixture(tmp_path_factory.mktemp("mixture"), *mixture, mode)


@pytest.mark.parametrize(("case", "mode"), [("colour", "processes"), ("floats", "threads")])
def test_every_kind_of_bad_entry_in_many_chunks(tmp_path: Path, case: str, mode: str) -> None:
    words = sorted(MIXTURES[case])
    plan = np.random.default_rng(0).permutation(words * 2 + ["plain"] * 4 * len(words)).tolist()
    check_mixture(tmp_path, case, plan, mode)


def test_a_bad_sample_of_several_is_left_out_alone(tmp_path: Path) -> None:
    run = make(tmp_path, "some of a list")
    assert run.reader().column("key", range(3)) == ["000000000/0", "000000000/2", "000000001/0"]
    problem = run.problems()[0]
    assert problem["entry"] == "0, sample 2 of 3"
    assert "another width" in problem["reason"]


@pytest.mark.parametrize(("share", "bad", "works"), [(0.5, 10, True), (0.5, 11, False), (0.0, 1, False), (0.0, 0, True)])
def test_more_than_the_share_ends_the_job(tmp_path: Path, share: float, bad: int, works: bool) -> None:
    plan = ["plain"] * (20 - bad) + ["other size"] * max(0, bad - 3) + ["torn"] * min(3, bad)
    data = {"plan": plan, "count": 20, "mode": "serial"}
    if works:
        assert make(tmp_path, "colour", {"max_left_out": share}, **data).entries() == {"train": 20 - bad}
        return
    with pytest.raises(DataError, match=f"{bad} of 20 entries cannot be used, more than the {share:.0%}") as caught:
        make(tmp_path, "colour", {"max_left_out": share}, **data)
    if bad == 11:
        assert "8 × 9: The feature has the shape (3, 4, 6)" in caught.value.message
        assert "3 × 17 is torn." in caught.value.message
    assert "Left out at most" in caught.value.advice


@pytest.mark.parametrize(
    ("case", "words"),
    [
        ("map beyond", "20 pixels of classes from 7 on, but there are 2 class labels. Use 0 to their number less one, 255 for"),
        ("map far beyond", "20 pixels of classes from 4000000000 on"),
        ("huge double", "20 values beyond the range of float32"),
        ("cancelled", "CancelledError: enough"),
    ],
)
def test_one_entry_beyond_what_a_record_or_a_training_takes(tmp_path: Path, case: str, words: str) -> None:
    run = make(tmp_path, case, class_labels=["a", "b"])
    (problem,) = [one for one in run.problems() if one["kind"] == "skipped"]
    assert (problem["entry"], run.entries()) == ("3", {"train": 11})
    assert words in problem["reason"]


def test_an_entry_that_the_list_does_not_give_is_left_out(tmp_path: Path) -> None:
    run = make(tmp_path, "lazy")
    assert run.reader().column("key", range(10)) == [f"{number:09d}" for number in range(12) if number not in (0, 3)]
    assert [(one["entry"], "KeyError: 'no " in one["reason"]) for one in run.problems()] == [
        ("number 0", True),
        ("number 3", True),
    ]


def test_an_entry_that_cannot_be_sent_to_another_process_is_left_out(tmp_path: Path) -> None:
    run = make(tmp_path, "unsendable", workers=2)
    assert run.reader().column("key", range(59)) == [f"{number:09d}" for number in range(60) if number != 50]
    (problem,) = run.problems()
    assert (problem["entry"], "cannot pickle it" in problem["reason"]) == ("a Unsendable", True)


def test_after_the_worker_has_died_other_processes_look_and_encode(tmp_path: Path) -> None:
    """The next attempt names the entries at which one ends; nothing of the death stays when it has ended."""
    folder = make_job(tmp_path / "jobs", "test-source", {"case": "dies at some", "count": 20, "mode": "serial"})
    (folder.path / MARKER).touch()
    run = run_job(folder, workers=2)
    assert [(one["entry"], one["reason"]) for one in run.problems()] == [("7", DIED), ("14", DIED)]
    assert run.reader().column("key", range(18)) == [f"{number:09d}" for number in range(20) if number not in (7, 14)]
    assert not (folder.path / MARKER).exists()


def test_what_the_source_skips_is_not_missing(tmp_path: Path) -> None:
    run = make(tmp_path, "list", {"max_left_out": 0.0})
    assert (run.info.problems, run.info.left_out) == (4, {"count": 0, "share": 0.0, "much": False})


@pytest.mark.parametrize(("count", "entries", "much"), [(0, 0, False), (1, 9, False), (11, 89, True), (5, 0, True)])
def test_a_tenth_is_much(count: int, entries: int, much: bool) -> None:
    assert left_out(count, entries)["much"] is much


class Many(DataIngestionInterface):
    """A million entries; `give` makes their samples."""

    def __init__(self, give: Any) -> None:
        super().__init__()
        self.give, self.calls = give, 0

    def encode_entry(self, entry: int) -> Any:
        self.calls += 1
        return self.give(entry)


@pytest.mark.parametrize(
    ("give", "error", "words"),
    [
        (lambda x: None, PluginError, "entry 0: encode_entry returned None"),
        (lambda x: (np.zeros((1, 4, 5)), "cat"), PluginError, "not numbers"),
        (lambda x: {}["x"], DataError, "None of the entries could be read. Most frequent: 361 × .*KeyError"),
        (lambda x: (np.zeros((1, 4, 5 + x % 5000)), 0), DataError, "cannot be used, more than the 50%.* × .*another width"),
        (lambda x: (np.zeros((1, 4, 5)), 7), PluginError, "label is 7, but there are 2 class labels"),
    ],
)
def test_what_hits_every_entry_ends_the_job_at_once(give: Any, error: type[Exception], words: str) -> None:
    source = Many(give)
    source.userdata["class_labels"] = ["a", "b"]
    with pytest.raises(error, match=words):
        Probe(source, DatasetSpec("x"), "Many", {"train_db": range(1_000_000)}).schema(lambda: False)
    assert source.calls <= 400


def test_most_entries_decide_wherever_they_lie(tmp_path: Path) -> None:
    plan = ["grey"] * 9 + ["plain"] * 10
    run = make(tmp_path, "colour", plan=plan, count=len(plan), mode="serial")
    assert run.info.feature_shape == (3, 4, 5)
    assert run.info.extra["problem_counts"] == {"converted": 9}


def test_one_broken_number_among_classes_is_left_out(tmp_path: Path) -> None:
    run = make(tmp_path, "half a class", class_labels=["even", "odd"])
    assert run.info.task == "classification"
    assert run.info.splits["train_db"].class_counts == (6, 5)
    assert "those of most are whole numbers" in run.problems()[0]["reason"]


def test_copies_with_another_label_are_contradictions(tmp_path: Path) -> None:
    run = make(tmp_path, "copies", count=5, val_count=4, class_labels=["even", "odd"])
    assert run.info.duplicates == 4
    (found,) = [problem for problem in run.problems() if problem["kind"] == "contradiction"]
    assert "has another label (here odd, there even)" in found["reason"]
    (warning,) = [event for event in run.events if isinstance(event, WarningEvent) and event.code == "contradiction"]
    assert warning.message == "1 exact copy of a picture with another label."


def test_one_picture_in_two_classes_of_a_split_is_said(tmp_path: Path) -> None:
    root = class_folder(tmp_path / "images", {"cat": 4, "dog": 4})
    for name in ("1", "2"):
        shutil.copy(root / "cat" / f"00{name}.png", root / "dog" / f"copy{name}.png")
    shutil.copy(root / "cat" / "003.png", root / "cat" / "again.png")
    values = {"folder_train": str(root), "folder_pct_val": 0, "resize_width": 12, "resize_height": 10}
    run = run_job(make_job(tmp_path / "jobs", FOLDER, values))
    found = [problem for problem in run.problems() if problem["kind"] == "contradiction"]
    assert {problem["stage"] for problem in found} == {"train_db"}
    pairs = {frozenset((Path(p["entry"]).name, Path(p["copy_of"]).name)) for p in found}
    assert pairs == {frozenset(("001.png", "copy1.png")), frozenset(("002.png", "copy2.png"))}
    assert "has another label" in found[0]["reason"]
    assert run.info.extra["problem_counts"] == {"contradiction": 2}
    (warning,) = [event for event in run.events if isinstance(event, WarningEvent) and event.code == "contradiction"]
    assert warning.message == "2 exact copies of a picture with another label."
