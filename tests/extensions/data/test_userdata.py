"""The life of a data source's instance: built by its signature, once; frozen; the same again for every later use."""

from __future__ import annotations

import importlib
import random
import sys
import threading
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from digits.errors import PluginError
from digits.extensions.data import userdata
from digits.extensions.data.interface import DataIngestionInterface
from digits.utils import override, subclass


class Flag(DataIngestionInterface):
    """The flag and keywords; counts how often it is made and keeps state of all sorts."""

    made = 0

    def __init__(self, is_inference_db: bool = False, **kwargs: Any) -> None:
        super().__init__(is_inference_db, **kwargs)
        type(self).made += 1
        self.order = random.sample(range(1000), 20)
        self.userdata["seed"] = random.random()

    def itemize_entries(self, stage: str) -> list[int]:
        return list(self.order)


class Keywords(DataIngestionInterface):
    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**kwargs)


class Named(DataIngestionInterface):
    def __init__(self, folder: str, count: int = 3) -> None:
        super().__init__(folder=folder, count=count)


class Dictionary(DataIngestionInterface):
    def __init__(self, data: dict[str, Any]) -> None:
        super().__init__(**data)


class Unpicklable(Flag):
    """Has an attribute that pickle cannot store."""

    def __init__(self, is_inference_db: bool = False, **kwargs: Any) -> None:
        super().__init__(is_inference_db, **kwargs)
        self.lock = threading.Lock()


@pytest.mark.parametrize("cls", [Flag, Keywords, Named, Dictionary])
def test_a_class_is_called_as_its_init_is_written(cls: type[DataIngestionInterface]) -> None:
    made = userdata.build(cls, {"folder": "x", "count": 5, "csrf_token": "never"})
    assert made.get_user_data()["folder"] == "x"
    assert made.get_user_data()["count"] == 5
    assert "csrf_token" not in made.get_user_data()
    assert made.is_inference_db is False


def test_state_made_in_init_is_the_same_for_every_stage_and_init_runs_once() -> None:
    first = userdata.build(Flag, {})
    before = Flag.made
    frozen = userdata.freeze(first)
    again = [userdata.thaw(Flag, frozen) for _ in range(3)]
    assert Flag.made == before
    for one in again:
        assert one.itemize_entries("train_db") == first.itemize_entries("train_db")
        assert one.userdata == first.userdata


def test_what_cannot_be_pickled_is_made_again_and_the_rest_put_back() -> None:
    first = userdata.build(Unpicklable, {"a": 1})
    again = userdata.thaw(Unpicklable, userdata.freeze(first))
    assert isinstance(again, Unpicklable)
    assert again.lock is not None
    assert again.order == first.order  # type: ignore[attr-defined]
    assert again.userdata == first.userdata


def test_userdata_that_cannot_be_pickled_names_its_key() -> None:
    made = userdata.build(Keywords, {"fine": 1})
    made.userdata["lock"] = threading.Lock()
    with pytest.raises(PluginError, match=r"lock \(lock\) cannot be pickled"):
        userdata.freeze(made)


def test_a_broken_file_says_what_to_do() -> None:
    with pytest.raises(PluginError, match="create the data set again"):
        userdata.thaw(Flag, b"not a pickle")


def test_inference_values_lie_over_userdata_which_stays_as_it_is() -> None:
    stored = {"folder": "x", "seed": 0.25, "record": "none"}
    tester = userdata.for_inference(Flag, stored, {"record": "3"})
    assert tester.is_inference_db is True
    assert tester.userdata["record"] == "3"
    assert tester.userdata["seed"] == 0.25  # though __init__ made another one
    assert stored == {"folder": "x", "seed": 0.25, "record": "none"}


class ForATest(DataIngestionInterface):
    """Makes other things for a test, draws what it has not, and begins a list that listing fills."""

    def __init__(self, is_inference_db: bool = False, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.userdata.setdefault("guarded", random.random())
        self.userdata["drawn"] = random.random()
        self.userdata["words"] = []
        self.userdata["records"] = [1, 2, 3]
        self.userdata["most"] = 3
        if is_inference_db:
            start = int(self.userdata["start"])
            self.userdata["records"] = self.records = [start, start + 1]
            self.userdata["most"] = 2


def test_what_init_makes_for_a_test_counts() -> None:
    """The records of the training were tested, without a word."""
    made = userdata.build(ForATest, {})
    stored = {**made.userdata, "words": ["a", "b"]}
    tester: Any = userdata.for_inference(ForATest, stored, {"start": "200"})
    assert (tester.userdata["records"], tester.records, tester.userdata["most"]) == ([200, 201], [200, 201], 2)
    assert tester.userdata["words"] == ["a", "b"]
    assert [tester.userdata[name] for name in ("guarded", "drawn")] == [stored["guarded"], stored["drawn"]]


class Seeded(DataIngestionInterface):
    """Seeds the global generators when it is made, as old sources do, and shuffles later."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        random.seed(5)
        np.random.seed(5)


def drawn(made: DataIngestionInterface, stage: str) -> tuple[float, float]:
    with userdata.chance_of(made).of_stage(stage):
        return random.random(), float(np.random.random())


def test_every_stage_starts_from_the_chance_that_init_left_where_it_seeds() -> None:
    made = userdata.thaw(Seeded, userdata.freeze(userdata.build(Seeded, {})))
    random.seed(99)
    found = [drawn(made, stage) for stage in ("train_db", "val_db")]
    random_after = random.random()
    assert found == [(random.Random(5).random(), float(np.random.RandomState(5).random()))] * 2
    assert random_after == random.Random(99).random()


class Drawing(DataIngestionInterface):
    """Draws when it is made and seeds nothing, or `random` alone."""

    def __init__(self, *, seed: int | None = None, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        np.random.normal(size=2000)
        if seed is not None:
            random.seed(seed)


def test_without_a_seed_each_stage_draws_its_own_which_come_back() -> None:
    made = userdata.build(Drawing, {})
    again = userdata.thaw(Drawing, userdata.freeze(made))
    found = {stage: drawn(made, stage) for stage in ("train_db", "val_db", "test_db")}
    assert len({number for pair in found.values() for number in pair}) == 6
    assert {stage: drawn(again, stage) for stage in found} == found
    other = drawn(userdata.for_inference(Drawing, {}, {}), "test_db")  # as each test of a model is
    assert set(other).isdisjoint(found["test_db"])


def test_the_two_generators_are_told_apart() -> None:
    made = userdata.build(Drawing, {"seed": 3})
    (first, second), (other, another) = (drawn(made, stage) for stage in ("train_db", "val_db"))
    assert first == other == random.Random(3).random()
    assert second != another


def test_userdata_is_read_without_the_package_whose_objects_are_in_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "gone_away.py").write_text(
        "class Mark(list):\n    def __init__(self, x):\n        self.x = x\n        self.append(x)\n"
    )
    monkeypatch.syspath_prepend(str(tmp_path))
    module = importlib.import_module("gone_away")
    made = userdata.build(Keywords, {"fine": [1, 2], "mark": module.Mark(3)})
    frozen = userdata.freeze(made)
    del sys.modules["gone_away"]
    (tmp_path / "gone_away.py").unlink()
    importlib.invalidate_caches()
    with pytest.raises(PluginError, match="cannot be read any more"):
        userdata.thaw(Keywords, frozen)
    assert userdata.userdata_of(frozen)["fine"] == [1, 2]


def test_override_is_checked_when_the_class_is_made() -> None:
    with pytest.raises(AttributeError, match="encode_entri is marked @override"):

        @subclass
        class Misspelt(DataIngestionInterface):
            @override
            def encode_entri(self, entry: Any) -> None:
                return None
