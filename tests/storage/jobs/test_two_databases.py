"""SQLite and PostgreSQL answer alike: equal rows in both, and a few hundred generated queries, orders, groups and pages."""

from __future__ import annotations

import random
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import text

from digits.domain.jobs import JobRequest, Kind, Resources, Status, UserColumns
from digits.domain.query import quoted
from digits.errors import BadRequest
from digits.storage.jobs import migrate
from digits.storage.jobs import query as terms
from digits.storage.jobs.store import JobQuery, JobStore, Output
from tests.postgresql import postgresql

WORDS = [
    "alpha",
    "BETA",
    "Beta",
    "größe",
    "GRÖSSE",
    "été",
    "100%",
    "a_b",
    "a\\b",
    "x'y",
    'q"u',
    "<b>",
    "日本",
    "🙂",
    "[x]",
    "u00",
    "0.1",
    "",
]
NUMBERS = [0.0, 1.0, 0.5, -1.5, 0.001, 0.95, 0.9500000001, 1e12, 1e300]
METRICS = ["loss", "accuracy", "dice/black cat", "Dice", "a.b", "Größe"]
TEXTS = ["name", "dataset", "network", "task", "owner", "tag", "group", "notes", "id", "error", "source", "solver_type"]
COMPARED = ["loss", "accuracy", "last.loss", "train.loss", "min.Dice", "learning_rate", "duration", "disk", "progress"]
SORTS = ["name", "best", "dataset", "tag", "created", "elapsed", "refs", "status", "loss", "solver_type", "owner", "disk_bytes",
         "finished", "output:loss:val:min"]  # fmt: skip
NOW = 1.8e9


@pytest.fixture(scope="module")
def stores() -> Iterator[tuple[JobStore, JobStore]]:
    """Both databases with the same sixty rows; that of PostgreSQL sorts as English does."""
    pytest.importorskip("psycopg", reason="the driver of PostgreSQL is not installed (pip install psycopg)")
    folder = Path(tempfile.mkdtemp(prefix="digits-databases-"))
    english = ("--locale-provider=icu", "--icu-locale=en-US", "--encoding=UTF8", "--locale=C.UTF-8")
    try:
        with postgresql(folder, *english) as address:
            both = JobStore.open("", folder / "one.sqlite"), JobStore.open(address, folder / "other.sqlite")
            fill(both, random.Random(0))
            yield both
            for store in both:
                store.close()
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def fill(stores: tuple[JobStore, JobStore], chance: random.Random) -> None:
    pick, ids = chance.choice, list[str]()
    for n in range(60):
        form = {"learning_rate": pick(NUMBERS), "solver_type": pick(["SGD", "adam", "Adam"]), "shuffle": pick([True, False])}
        columns = {"dataset_id": pick([*ids, ""]), "network": pick(WORDS), "extension": pick(WORDS)}
        request = JobRequest(
            id=f"20261201-{n:06}-abcd", kind=pick([Kind.MODEL, Kind.MODEL, Kind.DATASET]), type_name="x",
            task=pick(["detection", ""]),
            created=1.7e9 + n, form=form, spec={"seed": pick([1, 2])}, parents=(), resources=Resources("train"),
            digits_version="7", columns=columns,
        )  # fmt: skip
        tags = tuple({pick(WORDS) for _ in range(chance.randrange(3))} - {""})
        user = UserColumns(
            name=f"{pick(WORDS)} {pick(WORDS)}", group=pick(WORDS), notes=pick(WORDS), tags=tags, owner=pick(WORDS)
        )
        best = pick([*METRICS, ""])
        found: dict[str, Any] = {
            "status": pick(list(Status)), "started": pick([None, 1.7e9]), "finished": 1.7e9 + chance.randrange(10_000),
            "progress": pick([0.0, 0.5, 1.0]), "disk_bytes": pick([None, 0, 5 * 10**9]), "error": pick(["", "boom été"]),
            "best_name": best, "best_value": pick(NUMBERS) if best else None, "best_better": pick(["higher", "lower", ""]),
        }  # fmt: skip
        outputs = [
            Output(request.id, name, phase, "other", pick(NUMBERS), pick([*NUMBERS, None]), pick([*NUMBERS, None]), 1.0, 2.0)
            for name in chance.sample(METRICS, chance.randrange(4))
            for phase in ("train", "val")
        ]
        for store in stores:
            store.insert(request, user, **found)
            store.put_outputs(request.id, outputs)
        ids.append(request.id)


def generated(chance: random.Random) -> JobQuery:
    def term() -> str:
        negated = chance.choice(["", "", "", "-"])
        match chance.randrange(3):
            case 0:
                return negated + (quoted(chance.choice(WORDS[:-1])) if chance.random() < 0.8 else "[")
            case 1:
                values = ",".join(quoted(chance.choice(WORDS)) for _ in range(chance.choice([1, 1, 2])))
                return f"{negated}{chance.choice(TEXTS)}{chance.choice(':=')}{values}"
            case _:
                number = chance.choice(["0", ".5", "-1.5", "1e-3", "0.95", "1e12"])
                return f"{negated}{chance.choice(COMPARED)}{chance.choice(['<', '<=', '=', '>', '>='])}{number}"

    (sort, down), *then = [(sort, chance.random() < 0.5) for sort in chance.sample(SORTS, chance.randrange(1, 4))]
    return JobQuery(
        query=" ".join(term() for _ in range(chance.choice([0, 1, 1, 2]))),
        kind=chance.choice(["", "model"]),
        sort=sort,
        descending=down,
        then=then,
        metric=chance.choice(["", "", "accuracy", "min.loss"]),
        offset=chance.choice([0, 3]),
        limit=chance.choice([0, 7]),
    )


def answer(store: JobStore, query: JobQuery) -> Any:
    try:
        page = store.query(query)
    except BadRequest as error:
        return str(error)
    return page.total, page.jobs, [[tuple(row) for row in store.arranged(query, by)] for by in ("group", "")]


def test_generated_queries_have_the_same_answers(stores: tuple[JobStore, JobStore], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(terms.time, "time", lambda: NOW)
    chance = random.Random(1)
    totals = []
    for _ in range(200):
        query = generated(chance)
        one, other = (answer(store, query) for store in stores)
        assert one == other, query
        totals.append(0 if isinstance(one, str) else one[0])
    assert sum(0 < total < 60 for total in totals) > 50, "queries that find some and leave others"


def test_raw_reads_and_lists_of_names_are_the_same(stores: tuple[JobStore, JobStore]) -> None:
    ids = sorted(stores[0].ids())
    one, other = ({key: [tuple(row) for row in rows] for key, rows in store.output_values(ids).items()} for store in stores)
    assert one == other
    for column in ("name", "network", "owner", "tags", "group"):
        assert stores[0].values_of(column) == stores[1].values_of(column), column
    assert stores[0].output_names() == stores[1].output_names()
    assert stores[0].settings(ids) == stores[1].settings(ids)
    assert stores[0].trash_size() == stores[1].trash_size()


@pytest.mark.parametrize("sort", ["tags", "history", "nothing"])
def test_what_cannot_be_sorted_by_is_the_same(stores: tuple[JobStore, JobStore], sort: str) -> None:
    one, other = (answer(store, JobQuery(sort=sort)) for store in stores)
    assert one == other
    assert isinstance(one, str) == (sort != "tags")


def test_a_zero_byte_is_nowhere(stores: tuple[JobStore, JobStore]) -> None:
    for store in stores:
        assert store.find("a\0") is None
        assert store.find_many(["a\0"]) == {}
        with pytest.raises(BadRequest, match="zero byte"):
            store.query(JobQuery(owner="a\0"))


def test_sizes_beyond_two_gibibytes_fit_into_a_database_of_an_older_version(
    stores: tuple[JobStore, JobStore], tmp_path: Path
) -> None:
    _, store = stores
    job = store.query(JobQuery()).jobs[0]
    with store.engine.begin() as connection:
        for column in ("disk_bytes", "event_offset"):
            connection.execute(text(f"ALTER TABLE jobs ALTER COLUMN {column} TYPE INTEGER USING 0"))
        connection.execute(text("UPDATE alembic_version SET version_num = '0006'"))
    assert not migrate.prepare(store.engine, tmp_path / "lock")
    assert store.update(job.id, disk_bytes=2**40).disk_bytes == 2**40
