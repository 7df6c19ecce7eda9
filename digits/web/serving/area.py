"""The area of published names: all its routes, and what other pages show of them."""

from __future__ import annotations

from flask import Blueprint

from digits.web.serving import admission, infer, open_inference, pages


def blueprint() -> Blueprint:
    """`/serve` and `/v2`."""
    area = Blueprint("serving", __name__)
    admission.register(area)
    for part in (pages, infer, open_inference):
        part.register(area)
    area.app_context_processor(lambda: {"published_as": pages.published_as})
    return area
