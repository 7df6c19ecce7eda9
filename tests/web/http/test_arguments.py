"""Numbers in requests: every route reads them in the same way, and what is no number never costs more than a 400."""

from __future__ import annotations

import ast
import inspect
import io
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from flask import Flask
from flask.testing import FlaskClient
from werkzeug.routing import Rule

import digits.web
from digits.domain.jobs import Kind, Resources, Status
from digits.domain.training import TrainingSpec
from digits.errors import BadRequest
from digits.service import Service
from digits.service.forms import FormModel
from digits.service.jobs import create_job
from digits.storage.jobs.store import Job
from digits.testing.runs import make_dataset, striped_pictures
from digits.utils.values import LARGEST, boolean, decimal, whole
from digits.web.http import arguments
from tests.builders import make_job
from tests.service.models.test_archives import write_weights
from tests.web.evaluations.test_pages import make_evaluation
from tests.web.evaluations.test_samples import finished

NO_NUMBERS = ("x", "1_0", "٣", "²", "1३", "nan", "-inf", "1e999", "0x10", "--1", "1 2", "9" * 5000, "-" + "9" * 5000, "\x00")
NO_WHOLE_NUMBERS = (*NO_NUMBERS, "-1", "+1", "1.5", "1e2", str(LARGEST + 1), "9" * 400)
WHOLE_NUMBERS = ("", " ", "0", "007", " 2 ", str(LARGEST), str(2**31), str(10**9))
DECIMALS = frozenset({"snapshot_epoch", "epoch"})  # read in digits.service: snapshots lie between epochs too
AT_LEAST_ONE = ("size", "seeds", "version", "top", "most", "every")
FROM_ONE = tuple((name, "0") for name in AT_LEAST_ONE)
UNAVAILABLE = 503  # what a number that is one gets where a model would have to be loaded: no supervisor runs here
OTHER_TEXTS = frozenset({"record", "move", "tab"})  # a number is a part of them, or one of what they may be


def names_read_as_whole_numbers() -> set[str]:
    """The names that the sources of the pages give to `arguments.whole`."""
    calls = (
        node
        for path in Path(digits.web.__file__).parent.rglob("*.py")
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.Call) and ast.unparse(node.func) == "arguments.whole"
    )
    return {ast.literal_eval(call.args[0]) for call in calls}


NUMBERS = names_read_as_whole_numbers()


@dataclass(frozen=True)
class Argument:
    """One route with one of the arguments that it tells of."""

    method: str
    address: str
    name: str

    def __str__(self) -> str:
        return f"{self.method} {self.address} {self.name}"


@pytest.fixture
def jobs(service: Service, tmp_path: Path) -> dict[str, Job]:
    """A data set, a model with a snapshot and evaluations of both kinds, all done."""
    dataset = create_job(
        service,
        kind=Kind.DATASET,
        task="classification",
        type_name="Image Classification Dataset",
        name="stripes",
        form={},
        spec={},
        resources=Resources("dataset"),
    )
    make_dataset(service.folder(dataset.id).path, *striped_pictures(20, 8, 1), class_labels=("left", "right"))
    for step in (Status.WAIT, Status.RUN, Status.DONE):
        service.store.transition(dataset.id, step)
    spec = TrainingSpec(dataset_id=dataset.id, task="classification").to_json()
    model = make_job(service, Kind.MODEL, status=Status.DONE, parents=(dataset.id,), spec=spec)
    write_weights(service.folder(model.id).snapshots / "epoch_1.safetensors", epoch=1.0)
    classes = make_evaluation(service, ["a", "b"], [str(tmp_path / "0.png")] * 4)
    masks = finished(service, "map", [np.zeros((4, 6), np.uint8)] * 2)
    return {"datasets": dataset, "models": model, "evaluations": classes, "samples": masks}


def routes(app: Flask, jobs: dict[str, Job]) -> Iterator[tuple[Rule, str, str, dict[str, Any]]]:
    """Every rule but those that end a job or a session, with its method, its address and what `/openapi.json` says of it."""
    for rule in app.url_map.iter_rules():
        note = getattr(inspect.unwrap(app.view_functions[rule.endpoint]), "openapi", {})
        area = rule.rule.split("/")[1]
        of_masks = rule.endpoint.startswith("inference.evaluation_samples") or "mask" in rule.rule
        job = jobs[
            "samples" if of_masks else "evaluations" if area == "evaluations" else "datasets" if area == "datasets" else "models"
        ]
        known = {
            "job_id": job.id,
            "extension_id": "image-segmentation",
            "row": "0",
            "step": "0",
            "kind": "generic",
            "version": "1",
        }
        values = {name: known.get(name, "x") for name in rule.arguments}
        if "large_graph" in rule.rule or rule.rule.endswith("/<kind>"):
            values["kind"] = "classification"
        with app.test_request_context():
            address = app.url_map.bind("localhost").build(rule.endpoint, values) if rule.arguments else rule.rule
        for method in sorted((rule.methods or set()) & {"GET", "POST", "PUT"}):
            yield rule, method, address, note


def numeric_arguments(app: Flask, jobs: dict[str, Job]) -> list[Argument]:
    """Every argument of a number that any route tells of."""
    found = []
    for rule, method, address, note in routes(app, jobs):
        if rule.endpoint in ("inference.show_evaluation_json", "inference.inside"):
            continue  # its arguments are for the page
        if rule.endpoint == "inference.choose_threshold":
            continue  # its label is the name of a class, which may be any text
        form = note.get("form") or {}
        if not isinstance(form, dict):
            form = {}
        names = {*note.get("arguments", {}), *form} & (NUMBERS | DECIMALS | OTHER_TEXTS)
        found += [Argument(method, address, name) for name in sorted(names)]
    return found


def send(client: FlaskClient, one: Argument, jobs: dict[str, Job], value: Any, as_json: bool = False) -> Any:
    """The answer to a request whose only fault is `value`."""
    job = jobs["datasets" if one.address.startswith("/datasets") else "models"]
    values = {"job_id": job.id, "wait": "0", one.name: value}
    if as_json:
        return client.open(one.address, method=one.method, json=values, headers={"Accept": "application/json"})
    if one.method == "GET":
        return client.get(one.address, query_string=values)
    values |= {"db_path": "x", "image_list": (io.BytesIO(b"x.png\n"), "list.txt")}
    return client.open(one.address, method=one.method, data=values)


def test_every_number_that_is_read_is_told_of(client: FlaskClient, jobs: dict[str, Job]) -> None:
    assert {one.name for one in numeric_arguments(client.application, jobs)} >= NUMBERS | DECIMALS


def test_what_is_no_number_is_refused_by_every_route(client: FlaskClient, jobs: dict[str, Job]) -> None:
    wrong = []
    for one in numeric_arguments(client.application, jobs):
        if one.name == "top":
            continue  # of a published name: web/serving/test_serving.py
        bad = NO_WHOLE_NUMBERS if one.name in NUMBERS else NO_NUMBERS if one.name in DECIMALS else ("٣", "9" * 5000, "val:²")
        for value in bad:
            answer = send(client, one, jobs, value)
            listless = one.method == "GET" and one.name == "num_test_images"  # a list comes with POST
            if answer.status_code != 400 and one.name not in ("tab", "move"):
                wrong.append(f"{one} {value[:20]!r}: {answer.status}")
            elif one.name in NUMBERS and not listless and "expected" not in answer.text:
                wrong.append(f"{one} {value[:20]!r}: {answer.text[:200]}")
            answer.close()
    assert not wrong, "\n".join(wrong)


def test_whole_numbers_and_blanks_are_taken_by_every_route(client: FlaskClient, jobs: dict[str, Job]) -> None:
    wrong = []
    for one in numeric_arguments(client.application, jobs):
        endless = one.address.endswith("/events")
        if one.name == "grid":
            continue  # 2 to so many that a picture of the map can be told apart
        for value in WHOLE_NUMBERS if one.name in NUMBERS and not endless else ():
            answer = send(client, one, jobs, value)
            if (
                answer.status_code not in (*range(500), UNAVAILABLE)
                or b"whole number" in answer.get_data()[:2000]
                and (one.name, value) not in FROM_ONE
            ):
                wrong.append(f"{one} {value!r}: {answer.status} {answer.get_data()[:200]!r}")
            answer.close()
    assert not wrong, "\n".join(wrong)


@pytest.mark.parametrize("value", [-1, 1.5, True, None, [], ["x"], [1, "x"], {}, {"a": 1}, 10**400, 1e400])
def test_values_of_json_bodies_are_read_as_texts_are(client: FlaskClient, jobs: dict[str, Job], value: Any) -> None:
    for one in numeric_arguments(client.application, jobs):
        if one.method == "POST":
            answer = send(client, one, jobs, value, as_json=True)
            assert answer.status_code < 500 or answer.status_code == UNAVAILABLE, (one, answer.text[:300])


def test_the_first_of_several_values_counts(client: FlaskClient, jobs: dict[str, Job]) -> None:
    assert client.get("/jobs.json?limit=1&limit=x").json["rows"][1:] == []
    assert client.get("/jobs.json?limit=x&limit=1").status_code == 400


def test_options_of_inference_are_looked_up_in_the_form_first(client: FlaskClient) -> None:
    with client.application.test_request_context(
        "/?top_n=3&job_id=a&group=", method="POST", data={"top_n": "5", "job_id": "b", "group": "c"}
    ):
        assert (arguments.whole("top_n", 9), arguments.text("job_id"), arguments.given("group")) == (5, "a", "c")
    with client.application.test_request_context("/?top_n=3&group=", method="POST", data={"top_n": " "}):
        assert (arguments.whole("top_n", 9), arguments.given("group"), arguments.given("notes")) == (3, "", None)


def test_fields_of_forms_are_looked_up_in_the_body_first_and_blank_ones_count_as_not_sent(client: FlaskClient) -> None:
    for body, found in (("b", "b"), ("", "a"), (" ", "a")):
        for sent in ({"data": {"model_name": body}}, {"json": {"model_name": body}}):
            with client.application.test_request_context("/x?model_name=a", method="POST", **sent):
                assert arguments.form_values()["model_name"] == found


def test_a_word_that_is_neither_yes_nor_no_leaves_the_default(client: FlaskClient) -> None:
    for word, said in {"checked": True, "t": True, "On": True, "1": True, "off": False, "f": False, "2": None, "": None}.items():
        with client.application.test_request_context("/", query_string={"wait": word}):
            assert [arguments.flag("wait"), arguments.flag("wait", True)] == ([False, True] if said is None else [said] * 2)


def test_numbers_in_addresses_are_digits_or_not_found(client: FlaskClient, jobs: dict[str, Job]) -> None:
    places = [(rule, address) for rule, method, address, _ in routes(client.application, jobs) if "<int:" in rule.rule]
    assert len(places) >= 3
    for rule, address in places:
        head, _, tail = rule.rule.replace("<job_id>", address.split("/")[2]).partition("<int:")
        for value in ("-1", "+1", "1_0", "٣", "²", "9" * 5000, "9" * 15, "1.5", "nan"):
            assert client.get(head + value + tail.partition(">")[2]).status_code == 404, (rule.rule, value[:20])


def test_offsets_of_streams_are_read_in_the_same_way(client: FlaskClient, jobs: dict[str, Job]) -> None:
    for value in ("minus", "-1", "1_0", "٣", "²", "9" * 5000):
        for address in (f"/jobs/{jobs['models'].id}/events", "/events"):
            header = {"Last-Event-ID": value.encode("utf-8").decode("latin-1")}
            assert client.get(address, headers=header).status_code == 400
        assert client.get(f"/events?job={jobs['models'].id}:{value}").status_code == 400


def test_a_place_in_the_queue_is_a_word_or_a_whole_number(client: FlaskClient, service: Service) -> None:
    address = f"/jobs/{make_job(service, status=Status.WAIT).id}/priority"
    for value in ("²", "٣", "1_0", "1.5", "+1", "nan", "9" * 5000, "sideways"):
        answer = client.post(address, data={"move": value})
        assert (answer.status_code, "expected top, up, down" in answer.text) == (400, True), value[:20]
    assert [client.post(address, data={"move": value}).status_code for value in ("-3", "007", "", "up", "9" * 15)] == [200] * 5


def numeric_fields(form: type[FormModel]) -> list[str]:
    """Fields that take nothing but numbers, as the page marks them or as lists of them."""
    schema = form.model_json_schema()["properties"]
    found = []
    for name, info in schema.items():
        kinds = {part.get("type") for part in [info, *info.get("anyOf", []), info.get("items", {})]}
        kinds |= {part.get("items", {}).get("type") for part in info.get("anyOf", [])}
        if kinds & {"integer", "number"} and "string" not in kinds:
            found.append(name)
    return found


def test_fields_of_forms_are_read_in_the_same_way(client: FlaskClient, jobs: dict[str, Job]) -> None:
    forms: dict[type[FormModel], tuple[str, str]] = {}
    for _, method, address, note in routes(client.application, jobs):
        told_as_text = address.endswith("resize-example")  # the original answers it with 200 and a sentence
        if isinstance(note.get("form"), type) and method == "POST" and "generic/" not in address and not told_as_text:
            forms.setdefault(note["form"], (method, address))
    assert sum(len(numeric_fields(form)) for form in forms) > 30
    for form, (_, address) in forms.items():
        for name in numeric_fields(form):
            for value in NO_NUMBERS:
                answer = client.post(address, data={name: value}, headers={"Accept": "application/json"})
                assert answer.status_code == 400, (address, name, value[:20], answer.text[:200])
                assert name in answer.json["errors"], (address, name, value[:20], answer.json)


def test_a_refusal_says_what_was_found_and_what_to_write() -> None:
    with pytest.raises(BadRequest) as refused:
        whole("9" * 5000, "page")
    assert str(refused.value).startswith(f"page is '{'9' * 40}'… (5,000 characters), expected a whole number from 0 on.")
    assert whole("12", "page", most=10) == 10
    assert whole("-1", "priority", least=-5) == -1
    assert decimal("1e-3", "rate") == 0.001
    with pytest.raises(BadRequest, match="from 0 to 1"):
        decimal("2", "share", least=0, most=1)
    assert [boolean(text) for text in ("Y", " on ", "0", "No", "", "maybe")] == [True, True, False, False, False, None]
