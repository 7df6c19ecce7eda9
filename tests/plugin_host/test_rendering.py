"""Filters that templates of the original use are there for plugins too."""

from __future__ import annotations

from flask import Flask

import digits
from digits.plugin_host import rendering


def test_filters_of_the_original() -> None:
    app = Flask("test")
    rendering.prepare(app)
    template = "{{ 2048|sizeof_fmt }}, {{ 3661|print_time_diff }}, {{ now|print_time_since }}, {{ (0|print_time) != '' }}"
    template += ", {{ server_version }}"
    with app.test_request_context("/"):
        html = rendering.render("p", template, {"now": 4_000_000_000}, "n")
    assert html == f"2 KiB, 1 hour, 1 minute, 0 seconds, True, {digits.__version__}"
