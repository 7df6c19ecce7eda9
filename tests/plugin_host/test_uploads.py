"""An uploaded file as plugins get it: the path of it, and the file itself."""

from __future__ import annotations

import csv
import io
import json
import pickle
from pathlib import Path
from typing import Any

import flask_wtf
import numpy as np
import pytest
import wtforms
from flask import Flask
from PIL import Image

from digits.plugin_host import binding
from digits.plugin_host.binding import UploadedPath


class Form(flask_wtf.FlaskForm):  # type: ignore[misc]
    class Meta:
        csrf = False

    one = wtforms.FileField("One")
    many = wtforms.MultipleFileField("Many")


@pytest.fixture
def upload(tmp_path: Path) -> UploadedPath:
    file = tmp_path / "table.csv"
    file.write_bytes(b"a,1\nb,2\n")
    return UploadedPath(str(file))


def test_it_is_a_path(upload: UploadedPath) -> None:
    assert upload.endswith("table.csv")
    assert Path(upload).read_text() == "a,1\nb,2\n"
    with open(upload) as file:
        assert [row[0] for row in csv.reader(file)] == ["a", "b"]
    assert json.dumps(upload) == json.dumps(str(upload))


def test_it_is_read_as_a_file(upload: UploadedPath) -> None:
    """Its lines, not the letters of its path."""
    assert list(upload) == [b"a,1\n", b"b,2\n"]
    assert (upload.read(), upload.tell()) == (b"", 8)
    upload.seek(0)
    assert (upload.read(2), upload.readline(), upload.readlines()) == (b"a,", b"1\n", [b"b,2\n"])
    upload.seek(-2, io.SEEK_END)
    assert upload.read() == b"2\n"
    upload.seek(0)
    assert [row[1] for row in csv.reader(io.TextIOWrapper(upload.stream))] == ["1", "2"]
    assert (upload.filename, upload.mimetype, upload.content_length) == ("table.csv", "text/csv", 8)


def test_libraries_read_it(tmp_path: Path) -> None:
    np.save(tmp_path / "a.npy", np.arange(3))
    Image.new("L", (4, 3), 9).save(tmp_path / "a.png")
    (tmp_path / "a.json").write_text('{"x": 1}')
    for name in ("a.npy", "a.png", "a.json"):
        for _ in range(2):
            given: Any = UploadedPath(str(tmp_path / name))
            read = {"npy": np.load, "png": lambda file: np.asarray(Image.open(file)), "json": json.load}[name[2:]]
            assert np.shape(read(given)) == {"npy": (3,), "png": (3, 4), "json": ()}[name[2:]]


def test_it_is_kept_with_the_plugins_data(upload: UploadedPath) -> None:
    upload.read(3)
    kept = pickle.loads(pickle.dumps({"file": upload}))["file"]
    assert (type(kept), kept, kept.read(1)) == (UploadedPath, upload, b"a")


def test_fields_for_one_and_for_several_files_give_it(upload: UploadedPath) -> None:
    values = {"one": str(upload), "many": [str(upload), str(upload)]}
    with binding.request_with(Flask("test"), values):
        found = binding.check(Form(), values)
    assert type(found["one"]) is UploadedPath
    assert [(type(item), list(item)[0]) for item in found["many"]] == [(UploadedPath, b"a,1\n")] * 2
