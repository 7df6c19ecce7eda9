"""Lists by query: /jobs.json, its files, completion, and the command."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator
from typing import Any

import pyarrow.parquet as pq
import pytest
from click.testing import CliRunner
from flask.testing import FlaskClient

from digits.cli.jobs import jobs as jobs_command
from digits.config import Settings
from digits.domain.jobs import Kind, Status
from digits.domain.query import MetricName
from digits.service import Service
from digits.service import jobs as job_actions
from digits.storage.jobs.store import Output
from digits.web.app import create_app
from tests.builders import make_job
from tests.conftest import USER


def out(job_id: str, name: str, low: float | None, high: float | None, last: float | None, phase: str = "val") -> Output:
    return Output(job_id, name, phase, "loss" if name == "loss" else "accuracy", last, low, high, 1.0, 2.0)


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    service = Service.open(Settings(jobs_dir=str(tmp_path_factory.mktemp("queries")), auth=False))
    yield service
    service.close()


@pytest.fixture(scope="module")
def client(service: Service) -> FlaskClient:
    client = create_app(service).test_client()
    client.post("/login", data={"username": USER})
    return client


@pytest.fixture(scope="module")
def world(service: Service) -> dict[str, str]:
    """Two data sets and five models on them."""
    blood = make_job(service, Kind.DATASET, "BCCD blood", status=Status.DONE)
    digits = make_job(service, Kind.DATASET, "mnist-10k", status=Status.DONE)
    make: dict[str, Any] = {}
    for name, data, network, rate, seed, best, loss in (
        ("alpha", digits, "lenet", 0.1, 1, 0.9, 0.5),
        ("beta", digits, "lenet", 0.1, 2, 0.8, 0.4),
        ("gamma", digits, "resnet18", 0.01, 1, 0.95, 0.3),
        ("delta 100%", blood, "fasterrcnn", 0.001, 1, 0.6, 0.9),
        ("epsilon", blood, "fasterrcnn", 0.001, 1, None, None),
    ):
        task = "detection" if data is blood else "classification"
        form = {"learning_rate": [rate], "solver_type": "ADAM" if network == "resnet18" else "SGD", "shuffle": True}
        job = make_job(
            service, name=name, status=Status.DONE if best else Status.ERROR, parents=(data.id,), task=task, network=network,
            form=form, spec={"seed": seed}, framework="pytorch",
        )  # fmt: skip
        if best and loss:
            metric = "map50" if data is blood else "accuracy"
            service.store.put_outputs(job.id, [out(job.id, metric, 0.1, best, best - 0.2), out(job.id, "loss", loss, 2.0, loss)])
            service.store.put_outputs(job.id, [out(job.id, "loss", loss / 10, 2.0, None, "train")])
            service.store.update(job.id, best_name=metric, best_value=best, best_better="higher", best_epoch=2.0)
        make[name] = job.id
    job_actions.edit(service, service.store.get(make["gamma"]), tags=["paper", "Größe"], notes="über alles", group="sweep 1")
    return make


def names(client: FlaskClient, query: str, **more: Any) -> list[str]:
    arguments = {"kind": "model", "query": query, "sort": "created", **more}
    return [row["name"].split()[0] for row in client.get("/jobs.json", query_string=arguments).json["rows"]]


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("mnist", "alpha beta gamma"),
        ("dataset:bccd", "delta epsilon"),
        ("dataset:bccd -status:failed", "delta"),
        ("task:detection status:done map50>0.5", "delta"),
        ("accuracy>0.85", "alpha gamma"),
        ("accuracy>85%", "alpha gamma"),
        ("accuracy>=0.9 network:lenet", "alpha"),
        ("last.accuracy>0.7", "gamma"),
        ("loss<0.45", "beta gamma"),
        ("train.loss<=0.05", "alpha beta gamma"),
        ("accuracy=0.95", "gamma"),
        ("accuracy:*", "alpha beta gamma"),
        ("-accuracy:*", "delta epsilon"),
        ("learning_rate<0.05", "gamma delta epsilon"),
        ("learning_rate:0.1", "alpha beta"),
        ("solver_type:adam", "gamma"),
        ("random_seed=2", "beta"),
        ("adam", "gamma"),
        ("0.001", "delta epsilon"),
        ("tag:paper", "gamma"),
        ("tag:pap", ""),
        ("tag:größe", "gamma"),
        ("ÜBER", "gamma"),
        ('"sweep 1"', "gamma"),
        ("group:*", "gamma"),
        ('group:""', "alpha beta delta epsilon"),
        ("100%", "delta"),
        ("map50", "delta"),
        ("network:lenet,fasterrcnn", "alpha beta delta epsilon"),
        ("status:done,failed", "alpha beta gamma delta epsilon"),
        ("network=resnet1", ""),
        ("owner:digits", "alpha beta gamma delta epsilon"),
        ("metric:map", "delta"),
        ("created:today duration<1h", "alpha beta gamma delta epsilon"),
        ("created<2020-01-01", ""),
        ("-duration>1h -disk>1GB", "alpha beta gamma delta epsilon"),
        ("nothing_like_it", ""),
        ("<b>x</b>" and '"<b>x</b>"', ""),
        ("progress>50% -progress>100%", "alpha beta gamma delta"),
        ("tag:GRÖßE", "gamma"),
        ("größ", "gamma"),
        ("[", ""),  # tags are a list in the database; its brackets, commas and codes of letters are no text
        ("]", ""),
        ('","', ""),
        ("u00", ""),
        ("00f6", ""),
    ],
)  # fmt: skip
def test_a_query_finds_what_it_says(client: FlaskClient, world: dict[str, str], query: str, expected: str) -> None:
    assert names(client, query) == expected.split()


@pytest.mark.parametrize(
    ("query", "position", "said"),
    [
        ("accuracy>", 9, "has no value"),
        ("accuracy>apple", 9, "no number"),
        ('lenet "open', 6, "not closed"),
        ("acuracy>0.5", 0, "Did you mean accuracy"),
        ("lenet colour:red", 6, "colour"),
        ("status:dnoe", 7, "Did you mean done"),
        ("name>5", 4, "is a text"),
        ("created>soon", 8, "no date"),
        ("duration>50%", 9, "no number"),
        (f"tag:{','.join('a' * 101)}", 204, "more than 100 values"),
    ],
)
def test_an_error_in_a_query_is_a_400_with_its_place(
    client: FlaskClient, world: dict[str, str], query: str, position: int, said: str
) -> None:
    answer = client.get("/jobs.json", query_string={"query": query})
    assert (answer.status_code, answer.json["position"]) == (400, position)
    assert said in answer.json["error"]["message"] + answer.json["error"].get("description", "")


@pytest.mark.parametrize(
    ("sort", "metric", "expected"),
    [
        ("-best,name", "", "gamma alpha beta delta epsilon"),
        ("-best", "loss", "gamma beta alpha delta epsilon"),
        ("best", "loss", "delta alpha beta gamma epsilon"),
        ("-best", "last.accuracy", "gamma alpha beta"),
        ("-accuracy", "", "gamma alpha beta"),
        ("learning_rate,-accuracy", "", "epsilon delta gamma alpha beta"),
        ("-train.loss", "", "delta alpha beta gamma epsilon"),
        ("dataset,-name", "", "epsilon delta gamma beta alpha"),
        ("network,name", "", "delta epsilon alpha beta gamma"),
        ("output:accuracy:val:max", "", "beta alpha gamma"),
    ],
)
def test_several_keys_sort_and_what_is_missing_comes_last(
    client: FlaskClient, world: dict[str, str], sort: str, metric: str, expected: str
) -> None:
    found = names(client, "", sort=sort, metric=metric)
    if sort == "learning_rate,-accuracy":
        assert found[2:] == expected.split()[2:]
    else:
        assert found[: len(expected.split())] == expected.split()
    assert len(found) == 5


def test_the_best_names_its_metric_and_ranks_by_the_chosen_one(client: FlaskClient, world: dict[str, str]) -> None:
    page = client.get("/jobs.json?kind=model&sort=-best").json
    assert page["metric"] == "accuracy"
    assert [row["rank"]["text"] for row in page["rows"]] == ["95.00 %", "90.00 %", "80.00 %", "60.00 %", ""]
    ranked = client.get("/jobs.json?kind=model&sort=-best&metric=loss").json["rows"][0]["rank"]
    assert ranked == {
        "name": "loss", "title": "loss", "value": 0.3, "epoch": 1.0, "better": "lower", "unit": "", "text": "0.3",
    }  # fmt: skip
    for more in ("", "&sort=best", "&fold=1", "&by=dataset"):
        refused = client.get(f"/jobs.json?metric=nope{more}")
        said = refused.json["error"]
        assert (refused.status_code, said["message"]) == (400, "There is no metric 'nope'.")
        assert said["description"].startswith("Metrics are"), "a column is none"


def test_seeds_fold_into_a_line_and_groups_stand_together(client: FlaskClient, world: dict[str, str]) -> None:
    page = client.get("/jobs.json?kind=model&sort=-best&fold=1").json
    assert (page["total"], page["jobs"]) == (3, 5)
    folded = next(row for row in page["rows"] if row["name"] == "alpha")["seeds"]
    assert folded["ids"] == [world["alpha"], world["beta"]]
    assert (folded["mean"], folded["text"]) == (pytest.approx(0.85), "85.00 % ± 7.07 %")
    grouped = client.get("/jobs.json?kind=model&sort=-best&by=dataset&limit=4").json
    assert [(group["title"], group["count"]) for group in grouped["groups"]] == [("mnist-10k", 3), ("BCCD blood", 2)]
    assert [row["name"] for row in grouped["rows"]] == ["gamma", "alpha", "beta", "delta 100%"]
    assert client.get("/jobs.json?by=colour").status_code == 400


def test_rows_have_the_columns_that_are_asked_for(client: FlaskClient, world: dict[str, str]) -> None:
    arguments = {"kind": "model", "sort": "name", "columns": "accuracy (val) max,setting.learning_rate,gone (val) last"}
    row = client.get("/jobs.json", query_string=arguments).json["rows"][0]
    assert (row["accuracy (val) max"], row["setting.learning_rate"]) == (0.9, 0.1)
    assert "loss (val) last" not in row
    assert "gone (val) last" not in row


def test_a_view_is_a_file_too(client: FlaskClient, service: Service, world: dict[str, str]) -> None:
    job_actions.edit(service, service.store.get(world["beta"]), name='=1+1, "x"\n<b>')
    arguments = {"kind": "model", "query": "mnist", "sort": "-accuracy", "columns": "best,setting.learning_rate,tags,submitted"}
    answer = client.get("/jobs.csv", query_string=arguments)
    assert 'filename="models.csv"' in answer.headers["Content-Disposition"]
    head, *lines = list(csv.reader(io.StringIO(answer.text)))
    assert head == ["id", "name", "best_name", "best_value", "setting.learning_rate", "tags", "submitted"]
    assert [line[1] for line in lines] == ["gamma", "alpha", '\'=1+1, "x"\n<b>']
    assert lines[0][3:6] == ["0.95", "0.01", "paper, Größe"]
    table = pq.read_table(io.BytesIO(client.get("/jobs.parquet", query_string=arguments).data)).to_pydict()
    job_actions.edit(service, service.store.get(world["beta"]), name="beta")
    assert (table["best_value"], table["name"][2]) == ([0.95, 0.9, 0.8], '=1+1, "x"\n<b>')


def test_a_file_of_folded_seeds_has_their_mean_and_spread(client: FlaskClient, world: dict[str, str]) -> None:
    arguments = {"kind": "model", "query": "mnist", "sort": "-best", "fold": "1", "columns": "best"}
    head, *lines = list(csv.reader(io.StringIO(client.get("/jobs.csv", query_string=arguments).text)))
    assert head == ["id", "name", "best_name", "best_value", "seeds", "seeds_mean", "seeds_spread"]
    assert lines[0][1:] == ["gamma", "accuracy", "0.95", "1", "0.95", ""]
    assert lines[1][1:5] == ["alpha", "accuracy", "0.9", "2"]
    assert [float(text) for text in lines[1][5:]] == pytest.approx([0.85, 0.05 * 2**0.5])


def test_a_column_that_there_cannot_be_is_said(client: FlaskClient, world: dict[str, str]) -> None:
    arguments = {"kind": "model", "columns": "name,best,gone (val) last,setting.gone,colour,tags"}
    assert client.get("/jobs.json", query_string=arguments).json["unknown_columns"] == ["colour"]
    answer = client.get("/jobs.csv", query_string=arguments)
    assert (answer.status_code, "There is no column &#39;colour&#39;" in answer.text) == (400, True)
    rows = client.get("/jobs.json?kind=model&fold=1").json
    assert "unknown_columns" not in rows
    keys = ",".join(rows["rows"][0].keys() - {"seeds", "group_key"})
    assert "unknown_columns" not in client.get(f"/jobs.json?kind=model&columns={keys}").json


@pytest.mark.parametrize(
    ("text", "offered", "start"),
    [
        ("acc", "accuracy", 0),
        ("lenet sta", "status:", 6),
        ("status:do", "done", 7),
        ("-dataset:mn", "mnist-10k", 9),
        ("tag:", "paper", 4),
        ("learning_rate:", "0.001", 14),
        ("network:lenet,res", "resnet18", 14),
        ("last.ac", "last.accuracy", 0),
        ("solver", "solver_type", 0),
    ],
)
def test_names_and_values_are_completed(client: FlaskClient, world: dict[str, str], text: str, offered: str, start: int) -> None:
    found = client.get("/jobs/complete.json", query_string={"kind": "model", "query": text, "position": len(text)}).json
    assert offered in [item["text"] for item in found["items"]]
    assert (found["from"], found["to"]) == (start, len(text))


def test_what_is_no_number_comes_last_and_thousands_of_metrics_are_listed(client: FlaskClient, service: Service) -> None:
    for name, last in (("a", None), ("b", 0.5), ("c", 0.1)):
        job = make_job(service, name=name, status=Status.DONE)
        service.store.put_outputs(job.id, [out(job.id, 'odd/<b>,"x"', last, last, last)])
    many = make_job(service, name="many", status=Status.DONE)
    service.store.update_from_events(many.id, {}, [out(many.id, f"metric {n:05}", 0.0, 1.0, 1.0) for n in range(3_000)])
    sort = '"last.odd/<b>,\\"x\\""'
    assert names(client, "", sort=f"-{sort},name")[:2] == ["b", "c"]
    assert names(client, "", sort=f"{sort},name", columns="name")[:2] == ["c", "b"]
    assert names(client, '"last.metric 02999">0.5', columns="name") == ["many"]
    assert len(client.get("/jobs/complete.json?query=metric").json["items"]) <= 50
    for row in client.get("/jobs.json?kind=model&columns=name&query=status:done").json["rows"]:
        if row["name"] in ("a", "b", "c", "many"):
            service.store.purge(row["id"])


def test_a_word_finds_all_metrics_that_have_it_however_many_there_are(client: FlaskClient, service: Service) -> None:
    found = [make_job(service, name=name, status=Status.DONE) for name in ("first", "second")]
    for n, job in enumerate(found):
        service.store.update_from_events(job.id, {}, [out(job.id, f"probe {n} {m:04}", 0.0, 1.0, 1.0) for m in range(600)])
    assert names(client, "probe", columns="name") == ["first", "second"]
    for job in found:
        service.store.purge(job.id)


@pytest.mark.parametrize(
    ("more", "expected"),
    [
        ({"kind": "Models"}, "alpha beta gamma delta epsilon"),
        ({"status": "done"}, "alpha beta gamma delta"),
        ({"status": "DE"}, "alpha beta gamma delta epsilon"),
        ({"status": ["D", "E"]}, "alpha beta gamma delta epsilon"),
        ({"status": "failed,waiting"}, "epsilon"),
        ({"tag": "paper"}, "gamma"),
        ({"sort": "-tags,name"}, "gamma alpha beta delta epsilon"),
    ],
)
def test_what_lists_are_narrowed_and_sorted_by(
    client: FlaskClient, world: dict[str, str], more: dict[str, Any], expected: str
) -> None:
    assert names(client, "", **more) == expected.split()


@pytest.mark.parametrize(
    ("more", "said"),
    [
        ({"kind": "apple"}, "kind is 'apple'"),
        ({"status": "dnoe"}, "status is 'dnoe'"),
        ({"sort": "history"}, "cannot be sorted by 'history'"),
        ({"owner": "a\0"}, "zero byte"),
        ({"text": "x " * 200}, "more than 100 words"),
    ],
)
def test_what_no_list_can_be_narrowed_or_sorted_by_is_said(
    client: FlaskClient, world: dict[str, str], more: dict[str, str], said: str
) -> None:
    answer = client.get("/jobs.json", query_string=more)
    assert (answer.status_code, said in answer.json["error"]["message"]) == (400, True)


@pytest.mark.parametrize("address", ["/jobs.json", "/jobs/columns.json", "/jobs/complete.json"])
def test_a_kind_that_there_is_not_is_refused_wherever_one_is_sent(
    client: FlaskClient, world: dict[str, str], address: str
) -> None:
    assert client.get(f"{address}?kind=models").json == client.get(f"{address}?kind=model").json
    answer = client.get(f"{address}?kind=apple")
    said = answer.json["error"]["message"]
    assert (answer.status_code, "kind is 'apple', expected one of dataset, model, evaluation" in said) == (400, True)


def test_large_letters_are_sorted_as_small_ones(client: FlaskClient, service: Service) -> None:
    made = [make_job(service, name=name, group="letters") for name in ("beta", "Gamma", "Alpha", "Été", "delta")]
    assert names(client, "group:letters", sort="name") == ["Alpha", "beta", "delta", "Gamma", "Été"]
    for job in made:
        service.store.purge(job.id)


def test_the_command_lists_by_the_same_query(service: Service, world: dict[str, str]) -> None:
    def run(*words: str) -> Any:
        return CliRunner().invoke(jobs_command, ["list", "--jobs-dir", str(service.jobs_dir.path), *words])

    found = run("--query", "dataset:mnist accuracy>0.85", "--sort", "-best").output
    assert found.index("gamma") < found.index("alpha")
    assert "beta" not in found
    failed = run("--query", "lenet accuracy>apple")
    assert "lenet accuracy>apple\n" + " " * 17 + "^^^^^" in str(failed.exception)


def test_a_metric_of_no_known_direction_is_found_by_its_last_value(client: FlaskClient, service: Service) -> None:
    """Nobody said whether high or low is better: nothing is its best, and its name found nothing."""
    kept = {}
    for name, low, high, last in (("sharp a", 0.5, 9.0, 1.5), ("sharp b", 0.25, 0.75, 0.5), ("sharp c", 2.0, 4.0, 3.0)):
        kept[name] = make_job(service, name=name, status=Status.DONE).id
        service.store.put_outputs(kept[name], [Output(kept[name], "sharpness", "val", "other", last, low, high, 1.0, 2.0)])
    make_job(service, name="sharp none", status=Status.DONE)

    def found(**query: str) -> list[str]:
        answer = client.get("/jobs.json", query_string={"kind": "model", "text": "sharp", **query})
        assert answer.status_code == 200, answer.get_data(as_text=True)
        return [row["name"] for row in answer.get_json()["rows"]]

    assert found(query="sharpness>1", sort="name") == ["sharp a", "sharp c"]
    assert found(query="best.sharpness<1") == ["sharp b"]
    assert found(query="sharpness:*", sort="name") == ["sharp a", "sharp b", "sharp c"]
    assert found(query="-sharpness:*") == ["sharp none"]
    assert found(sort="-sharpness") == ["sharp c", "sharp a", "sharp b", "sharp none"]
    ranked = client.get("/jobs.json?kind=model&text=sharp&sort=-best&metric=sharpness").get_json()["rows"]
    assert [row["rank"]["value"] for row in ranked] == [3.0, 1.5, 0.5, None]
    assert service.store.metric_values(list(kept.values()), MetricName("sharpness"))[kept["sharp b"]][0] == 0.5
    text = "last.sh"
    offered = client.get("/jobs/complete.json", query_string={"kind": "model", "query": text}).get_json()["items"]
    assert [item["text"] for item in offered] == ["last.sharpness"]


@pytest.mark.parametrize("text", ["setting.", "last.", "train.min.", "foo.", "na", "frame", "l", "S"])
def test_what_is_completed_is_read(client: FlaskClient, world: dict[str, str], text: str) -> None:
    items = client.get("/jobs/complete.json", query_string={"kind": "model", "query": text}).get_json()["items"]
    assert items or text == "foo."
    for item in items:
        term = item["text"] + ("1" if item["text"].endswith(":") else "=1")
        answer = client.get("/jobs.json", query_string={"kind": "model", "query": term})
        refused = answer.get_json().get("error", {}) if answer.status_code != 200 else {}
        assert "Nothing is called" not in str(refused), term
    if text == "setting.":
        assert "setting.batch_size" in {item["text"] for item in items}
        assert all(item["text"].startswith("setting.") for item in items)
