"""The query language: what its terms mean, and where an error is."""

from __future__ import annotations

import pytest

from digits.domain.query import (
    FIELDS,
    MetricName,
    QueryError,
    SettingName,
    Value,
    Vocabulary,
    number_of,
    parse,
    quoted,
    sort_keys,
    statuses_of,
    times_of,
)
from digits.domain.settings import settings_of, sweep_of, without_seed

KNOWN = Vocabulary(frozenset({"accuracy", "dice/black cat", "epoch", "last"}), frozenset({"learning_rate", "momentum", "name"}))


@pytest.mark.parametrize(
    ("text", "terms"),
    [
        ("", []),
        ("lenet  mnist", [("", "", ["lenet"]), ("", "", ["mnist"])]),
        ('task:detection map50>0.8 -network:lenet "exact words"',
         [("task", ":", ["detection"]), ("map50", ">", ["0.8"]), ("-network", ":", ["lenet"]), ("", "", ["exact words"])]),
        ("map50 >= 0.8", [("map50", ">=", ["0.8"])]),
        ('status:done,failed group="a, b",c', [("status", ":", ["done", "failed"]), ("group", "=", ["a, b", "c"])]),
        ('"dice/black cat"<0.5', [("dice/black cat", "<", ["0.5"])]),
        ('-"a b" - 🙂', [("-", "", ["a b"]), ("", "", ["-"]), ("", "", ["🙂"])]),
        (r'notes:"say \"hi\" \\"', [("notes", ":", ['say "hi" \\'])]),
        ("created>2026-11-30T10:00", [("created", ">", ["2026-11-30T10:00"])]),
    ],
)  # fmt: skip
def test_a_query_is_read_as_terms(text: str, terms: list[tuple[str, str, list[str]]]) -> None:
    read = [("-" * term.negated + term.name, term.operator, [value.text for value in term.values]) for term in parse(text)]
    assert read == terms


@pytest.mark.parametrize(
    ("text", "position", "said"),
    [
        ("accuracy>", 9, "has no value"),
        ("lenet accuracy>  ", 15, "has no value"),
        ("dataset: bccd", 8, "has no value"),
        (">0.5", 0, "no name before"),
        ('lenet "exact wor', 6, "not closed"),
        ('name:"abc', 5, "not closed"),
        ('a ""', 2, "nothing between"),
        ("status:,", 7, "no value"),
        ("a\0b", 1, "zero byte"),
        ("a " * 101, 200, "more than 100 terms"),
        ("x" * 10_001, 10_000, "at most 10,000"),
    ],
)
def test_an_error_says_where_it_is(text: str, position: int, said: str) -> None:
    with pytest.raises(QueryError, match=said) as found:
        parse(text)
    assert found.value.position == position


@pytest.mark.parametrize(
    ("name", "meaning"),
    [
        ("accuracy", MetricName("accuracy", "val", "best")),
        ("Accuracy", MetricName("accuracy", "val", "best")),
        ("last.accuracy", MetricName("accuracy", "val", "last")),
        ("train.loss", MetricName("loss", "train", "best")),
        ("min.train.loss", MetricName("loss", "train", "min")),
        ("train.max.loss", MetricName("loss", "train", "max")),
        ("dice/black cat", MetricName("dice/black cat", "val", "best")),
        ("learning_rate", SettingName("learning_rate")),
        ("name", "name"),
        ("setting.name", SettingName("name")),
        ("USER", "owner"),
        ("best.last", MetricName("last", "val", "best")),
        ("foo", None),
        ("train.", None),
    ],
)
def test_a_name_is_a_column_a_metric_or_a_setting(name: str, meaning: object) -> None:
    assert KNOWN.find(name) == meaning


@pytest.mark.parametrize(
    ("name", "proposal"), [("acuracy", "accuracy"), ("last.acuracy", "last.accuracy"), ("lerning_rate", "learning_rate")]
)
def test_an_unknown_name_gets_a_proposal(name: str, proposal: str) -> None:
    assert f"Did you mean {proposal}" in KNOWN.proposal(name)


@pytest.mark.parametrize(
    ("name", "proposal"),
    [
        ("acuracy", "Did you mean accuracy"),
        ("last.acuracy", "Did you mean last.accuracy"),
        ("nope", "Metrics are"),
        ("notes", "Metrics are"),
        ("learning_rate", "Metrics are"),
    ],
)
def test_for_what_is_no_metric_only_metrics_are_proposed(name: str, proposal: str) -> None:
    assert KNOWN.metric(name) is None
    assert KNOWN.proposal(name, of_metrics=True).startswith(proposal)


def test_a_metric_may_be_called_as_a_column_is() -> None:
    known = Vocabulary(frozenset({"error"}))
    assert (known.find("error"), known.metric("error")) == ("error", MetricName("error"))


@pytest.mark.parametrize(
    ("text", "units", "number"),
    [
        ("0.8", {}, 0.8),
        ("80%", {}, 0.8),
        ("2h", {"h": 3600.0}, 7200.0),
        ("-1e-3", {}, -1e-3),
        (".5", {}, 0.5),
        ("50%", FIELDS["progress"].units, 50),
    ],
)
def test_a_number_may_have_a_unit(text: str, units: dict[str, float], number: float) -> None:
    assert number_of(Value(text, 0), "x", units) == pytest.approx(number)


def test_seconds_and_bytes_are_no_per_cent() -> None:
    for name in ("duration", "disk"):
        with pytest.raises(QueryError, match="is no number"):
            number_of(Value("50%", 0), name, FIELDS[name].units)


def test_a_query_has_a_hundred_values_at_most() -> None:
    assert len(parse("tag:" + ",".join(["a"] * 99) + " b")) == 2
    with pytest.raises(QueryError, match="more than 100 values") as failed:
        parse("tag:" + ",".join(["a"] * 99) + " tag:bb,cc,dd")
    assert failed.value.position == len("tag:") + 99 * 2 - 1 + len(" tag:bb,")


@pytest.mark.parametrize("text", ["apple", "nan", "inf", "1e999", "1_0", "5 5", "2kg", ""])
def test_what_is_no_number_is_said(text: str) -> None:
    with pytest.raises(QueryError, match="is no number"):
        number_of(Value(text, 4), "x")


def test_words_for_statuses_and_dates() -> None:
    assert statuses_of(Value("Failed", 0)) == statuses_of(Value("e", 0)) == ["E"]
    assert statuses_of(Value("waiting", 0)) == ["I", "W"]
    with pytest.raises(QueryError, match="Did you mean done"):
        statuses_of(Value("dnoe", 7))
    start, end = times_of(Value("2026-11-30", 0), 0.0)
    assert end - start == 86400
    with pytest.raises(QueryError, match="is no date"):
        times_of(Value("soon", 0), 0.0)


def test_sort_keys_may_hold_commas_in_quotes() -> None:
    keys = sort_keys(["-best,name", '-"dice/a, b",x', "output:a,b:val:last", ",,-,"])
    assert keys == [("best", True), ("name", False), ("dice/a, b", True), ("x", False), ("output:a,b:val:last", False)]


@pytest.mark.parametrize("text", ["plain", "two words", 'with "quotes"', "a:b", "back\\slash", "-x", "", "a,b"])
def test_a_quoted_value_is_read_as_it_was(text: str) -> None:
    (term,) = parse(f"name:{quoted(text)}")
    assert [value.text for value in term.values] == [text]


def test_settings_have_the_names_of_the_form_and_fold_over_seeds() -> None:
    form = {
        "model_name": "x", "learning_rate": [0.01], "batch_size": None, "shuffle": True, "solver_type": "SGD", "momentum": "0.9",
        "custom_network": "class Net: …", "lr_multistep_values": [50.0, 85.0], "crop_size": float("nan"), "random_seed": None,
    }  # fmt: skip
    found = settings_of(form, {"seed": 7})
    assert found == {
        "learning_rate": 0.01, "shuffle": "true", "solver_type": "SGD", "momentum": 0.9, "lr_multistep_values": "50, 85",
        "random_seed": 7.0,
    }  # fmt: skip
    other_seed, other_rate = {**found, "random_seed": 8.0}, {**found, "learning_rate": 0.1}
    assert without_seed("d", "n", found) == without_seed("d", "n", other_seed) != without_seed("d", "n", other_rate)
    assert sweep_of("d", "n", found) == sweep_of("d", "n", other_rate) != sweep_of("e", "n", found)


PROPOSED = Vocabulary(
    frozenset({"accuracy", "dice/black cat", "Sharpness", "net.loss", "loss"}),
    frozenset({"learning_rate", "name", "framework", "batch_size"}),
)


@pytest.mark.parametrize(
    ("name", "proposal"),
    [
        ("setting.acuracy", ""),
        ("setting.lerning_rate", "setting.learning_rate"),
        ("setting.nane", "setting.name"),
        ("last.lerning_rate", ""),
        ("last.train.acuracy", "last.train.accuracy"),
        ("train.train.acuracy", "train.accuracy"),
        ("dice/black cta", '"dice/black cat"'),
        ("last.dice/black cta", '"last.dice/black cat"'),
        ("SHARPNES", "Sharpness"),
        ("net.los", "net.loss"),
        ("foo.acuracy", "accuracy"),
        ("framewrok", "framework"),
        ("batch_siz", "batch_size"),
        ("last.setting.batch_siz", ""),
    ],
)
def test_what_is_proposed_is_read(name: str, proposal: str) -> None:
    said = PROPOSED.proposal(name)
    assert PROPOSED.find(name) is None
    proposed = said.removeprefix("Did you mean ").removesuffix("?").split(" or ") if said.startswith("Did") else []
    assert proposal in (proposed or [""])
    for text in proposed:
        (term,) = parse(f"{text}=1")
        assert PROPOSED.find(term.name) is not None


def test_every_name_that_is_offered_is_found() -> None:
    assert [name for name in PROPOSED.names() if PROPOSED.find(name) is None] == []
    for prefix in ("setting.", "last.", "train.min.", "Max.Val."):
        names = PROPOSED.names_behind(prefix)
        assert names
        assert all(PROPOSED.find(prefix + name) is not None for name in names)
    for prefix in ("", "foo.", "last.setting.", "last.max.", "train", "settings."):
        assert PROPOSED.names_behind(prefix) == []
