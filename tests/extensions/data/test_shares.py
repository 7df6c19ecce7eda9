"""Shares of every image form: something is left to train on, and a folder or file of its own takes a share's place."""

from __future__ import annotations

import importlib
from pathlib import Path
from typing import Any

import pytest
from flask import Flask

SOURCES = {  # the field of what takes the place of the validation's share
    "image_processing": "has_val_folder",
    "image_segmentation": "has_val_folder",
    "image_object_detection": "val_image_folder",
    "image_regression": "val_values_file",
    "image_multi_label": "val_values_file",
    "image_pairs": "val_image_folder",
}


def form_of(source: str, **values: Any) -> Any:
    application = Flask(__name__)
    application.config.update(SECRET_KEY="x", WTF_CSRF_ENABLED=False)
    with application.test_request_context(method="POST", data=values):
        form = importlib.import_module(f"digits.extensions.data.{source}.forms").DatasetForm()
        form.validate()
        return form


@pytest.mark.parametrize(("source", "instead"), SOURCES.items())
def test_shares_that_leave_nothing_are_refused(source: str, instead: str, tmp_path: Path) -> None:
    shares = {"folder_pct_val": "60", "folder_pct_test": "40"}
    errors = form_of(source, **shares).folder_pct_val.errors
    assert errors == ["Validation and test take 100 %, which leaves nothing to train on."]
    assert not form_of(source, **shares, **{instead: "y" if instead.startswith("has") else str(tmp_path)}).folder_pct_val.errors
    assert not form_of(source, folder_pct_val="59").folder_pct_val.errors
