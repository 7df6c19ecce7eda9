"""Numbers that JSON does not have."""

from __future__ import annotations

import json

from flask import Flask, jsonify, render_template_string

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
