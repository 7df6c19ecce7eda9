"""Which addresses answer in JSON, and numbers that JSON does not have."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from flask import Flask, jsonify, render_template_string
from flask.testing import FlaskClient
from sqlalchemy import create_engine

from digits.service import Service
from digits.web.http.openapi import document
from digits.web.http.request import FiniteJson


def test_what_is_not_finite_is_null_in_answers_and_templates() -> None:
    app = Flask("x")
    app.json = FiniteJson(app)
    values = {"b": float("nan"), "a": [1.5, (float("-inf"), "ü")], "n": {"x": None}}
    wanted = {"b": None, "a": [1.5, [None, "ü"]], "n": {"x": None}}
    with app.test_request_context("/"):
        answer = json.loads(jsonify(values).get_data())
        shown = render_template_string("{{ values|tojson }}", values=values)
    assert json.loads(shown) == answer == wanted
    assert list(answer) == ["b", "a", "n"]


def test_a_database_that_is_away_is_no_fault_of_ours(
    client: FlaskClient, service: Service, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    lost = tmp_path / "gone" / "secret-name.db"
    monkeypatch.setattr(service.store, "engine", create_engine(f"sqlite:///{lost}"))
    for address, accept in (
        ("/jobs.json", "application/json"),
        ("/", "text/html"),
        ("/models/20200101-000000-abcd", "text/html"),
    ):
        answer = client.get(address, headers={"Accept": accept})
        assert (answer.status_code, answer.headers["Retry-After"]) == (503, "10")
        assert "The database does not answer." in answer.text
        assert "Trainings go on" in answer.text
        assert "secret-name" not in answer.text
    assert "unable to open database file" in caplog.text
    monkeypatch.undo()
    assert client.get("/jobs.json").status_code == 200


def test_each_json_twin_has_both_addresses(client: FlaskClient) -> None:
    """`….json` and `…/json`: releases of the original differ."""
    rules = {(rule.rule, rule.endpoint, frozenset(rule.methods or ())) for rule in client.application.url_map.iter_rules()}
    twins = [rule for rule in rules if rule[0].endswith(".json")]
    assert len(twins) > 50
    assert not [rule for rule, *rest in twins if (rule.removesuffix(".json") + "/json", *rest) not in rules]
    assert not [path for path in document(client.application)["paths"] if path.endswith("/json")]


def test_the_other_address_answers_the_same(client: FlaskClient) -> None:
    assert client.get("/index/json").json == client.get("/index.json").json
    made = "/datasets/images/classification"
    for area in ("/models/images/classification", "/models/images/generic", made, "/datasets/images/generic"):
        answer, other = (client.post(f"{area}{end}", data={"folder_train": "/"}) for end in (".json", "/json"))
        assert (answer.status_code, other.json) == (400, answer.json)
        assert {"model_name", "dataset_name"} & set(other.json["errors"])
    for address in ("/models/images/generic/gradients", "/models/images/genericgradients"):
        assert "model_name" in client.post(f"{address}/json").json["errors"]
