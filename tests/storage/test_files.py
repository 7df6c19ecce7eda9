"""Files that are whole or not there."""

from __future__ import annotations

import errno
import os
from pathlib import Path

import pytest

from digits.errors import ReadOnly
from digits.storage.files import read_json, write_json


def test_json_comes_back_whatever_characters_it_holds(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("locale.getencoding", lambda: "ascii")
    value = {"名前": ["café", "\U0001f600", "name of other bytes \udce9"]}
    write_json(tmp_path / "a.json", value)
    assert read_json(tmp_path / "a.json") == value


def test_what_cannot_be_written_leaves_the_old_file(tmp_path: Path) -> None:
    write_json(tmp_path / "a.json", 1)
    with pytest.raises(TypeError):
        write_json(tmp_path / "a.json", object())
    assert read_json(tmp_path / "a.json") == 1
    assert [path.name for path in tmp_path.iterdir()] == ["a.json"]


def test_a_temporary_file_on_a_disk_that_became_read_only_goes_with_the_next_write(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise OSError(errno.EROFS, os.strerror(errno.EROFS))

    (tmp_path / "a").mkdir()
    write_json(tmp_path / "a/file", 1)
    with monkeypatch.context() as patch:
        patch.setattr(os, "replace", refuse)
        patch.setattr(Path, "unlink", refuse)
        with pytest.raises(ReadOnly):
            write_json(tmp_path / "a/file", 2)
    assert len(list((tmp_path / "a").iterdir())) == 2
    write_json(tmp_path / "other", 3)
    assert [path.name for path in (tmp_path / "a").iterdir()] == ["file"]
    assert read_json(tmp_path / "a/file") == 1
