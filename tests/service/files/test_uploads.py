"""Names, archives and limits of uploads: whatever is sent stays in its folder and within its size."""

from __future__ import annotations

import io
import os
import tarfile
import zipfile
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from digits.config import Settings
from digits.errors import BadRequest, NotFound
from digits.service import Service
from digits.service.files import uploads
from digits.service.files.names import MAX_NAME_BYTES, free_path, safe_name
from digits.service.files.unpack import is_archive, unpack_all

SETTINGS = Settings()


def tar_with(path: Path, members: Iterable[tarfile.TarInfo | tuple[str, bytes]], mode: str = "w:gz") -> Path:
    with tarfile.open(path, mode) as packed:
        for member in members:
            if isinstance(member, tarfile.TarInfo):
                packed.addfile(member)
            else:
                info = tarfile.TarInfo(member[0])
                info.size = len(member[1])
                packed.addfile(info, io.BytesIO(member[1]))
    return path


def special(name: str, kind: bytes, target: str = "") -> tarfile.TarInfo:
    info = tarfile.TarInfo(name)
    info.type, info.linkname = kind, target
    return info


def files_below(folder: Path) -> list[str]:
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file())


@given(st.text(max_size=300))
@example("a" * 119 + " b")
@example("a." + "b" * 20 + "." + " " * 20 + "x")
def test_any_name_becomes_one_safe_component(text: str) -> None:
    name = safe_name(text)
    assert 0 < len(name.encode()) <= MAX_NAME_BYTES
    assert not set(name) & set('/\\\0\n<>:"|?*')
    assert not name.startswith(".")
    assert name == safe_name(name)


@pytest.mark.parametrize(
    ("sent", "kept"),
    [
        ("photo.JPG", "photo.JPG"),
        ("C:\\Users\\me\\photo.png", "photo.png"),
        ("../../etc/passwd", "passwd"),
        ("🙂 smile.png", "🙂 smile.png"),
        ("..", "file"),
        ("", "file"),
        ("<script>.png", "_script_.png"),
    ],
)
def test_names(sent: str, kept: str) -> None:
    assert safe_name(sent) == kept


def test_a_name_of_ten_thousand_characters_keeps_its_suffix(tmp_path: Path) -> None:
    first = free_path(tmp_path, "é" * 10000 + ".jpeg")
    first.write_bytes(b"1")
    second = free_path(tmp_path, "é" * 10001 + ".jpeg")
    assert first.suffix == second.suffix == ".jpeg"
    assert first != second


@pytest.mark.parametrize("path", ["../a", "a/../../b", "/etc/passwd", "C:/a", "a\\..\\b", "", "a\0b", "x/" * 60])
def test_paths_that_leave_are_refused(tmp_path: Path, path: str) -> None:
    with pytest.raises(BadRequest):
        free_path(tmp_path, path)


@pytest.mark.parametrize("mode", ["w", "w:gz", "w:bz2", "w:xz"])
def test_every_kind_of_tar(tmp_path: Path, mode: str) -> None:
    suffix = {"w": ".tar", "w:gz": ".tgz", "w:bz2": ".tar.bz2", "w:xz": ".tar.xz"}[mode]
    tar_with(tmp_path / f"a{suffix}", [("cat/1.png", b"1"), ("dog/2.png", b"2")], mode)
    assert unpack_all(SETTINGS, tmp_path) == 0
    assert files_below(tmp_path) == ["cat/1.png", "dog/2.png"]


def test_links_devices_and_litter_are_left_out_and_counted(tmp_path: Path) -> None:
    members = [
        ("ok.png", b"1"),
        special("link.png", tarfile.SYMTYPE, "/etc/passwd"),
        special("hard.png", tarfile.LNKTYPE, "ok.png"),
        special("pipe", tarfile.FIFOTYPE),
        special("device", tarfile.CHRTYPE),
        ("__MACOSX/._ok.png", b"x"),
        ("sub/.DS_Store", b"x"),
    ]
    tar_with(tmp_path / "a.tar", members, "w")
    assert unpack_all(SETTINGS, tmp_path) == 6
    assert files_below(tmp_path) == ["ok.png"]


def test_a_link_in_a_zip_is_left_out(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as packed:
        link = zipfile.ZipInfo("link")
        link.external_attr = 0o120777 << 16
        packed.writestr(link, "/etc/passwd")
        packed.writestr("real.png", b"1")
    assert unpack_all(SETTINGS, tmp_path) == 1
    assert files_below(tmp_path) == ["real.png"]


@pytest.mark.parametrize("name", ["../evil", "/evil", "a/../../evil", "..\\evil"])
def test_an_archive_that_would_write_outside_is_refused(tmp_path: Path, name: str) -> None:
    inner = tmp_path / "inner"
    inner.mkdir()
    tar_with(inner / "a.tar", [("fine.png", b"1"), (name, b"x")], "w")
    with pytest.raises(BadRequest, match="outside its folder"):
        unpack_all(SETTINGS, inner)
    assert not (tmp_path / "evil").exists()


def test_a_bomb_is_stopped_while_it_unpacks(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "bomb.zip", "w", zipfile.ZIP_DEFLATED) as packed:
        packed.writestr("zeros", b"\0" * (300 * 2**20))
    with pytest.raises(BadRequest, match="decompression bomb"):
        unpack_all(SETTINGS, tmp_path)


def test_the_limit_of_the_settings_counts_all_files(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as packed:
        for number in range(3):
            packed.writestr(str(number), os.urandom(2**19))
    with pytest.raises(BadRequest, match="max_extracted_mb"):
        unpack_all(replace(SETTINGS, max_extracted_mb=1), tmp_path)


@pytest.mark.parametrize("name", ["a.zip", "a.tar.gz", "a.tar"])
def test_what_is_no_archive_says_so(tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_bytes(b"this is not an archive" * 50)
    with pytest.raises(BadRequest, match="cannot be unpacked"):
        unpack_all(SETTINGS, tmp_path)


def test_a_truncated_archive_says_so(tmp_path: Path) -> None:
    whole = tar_with(tmp_path / "whole.tar.gz", [("a", os.urandom(100_000))])
    (tmp_path / "half.tar.gz").write_bytes(whole.read_bytes()[:50_000])
    whole.unlink()
    with pytest.raises(BadRequest, match=r"half\.tar\.gz cannot be unpacked"):
        unpack_all(SETTINGS, tmp_path)


def test_several_archives_get_a_folder_each(tmp_path: Path) -> None:
    tar_with(tmp_path / "a.tar", [("1", b"1")], "w")
    tar_with(tmp_path / "b.tar", [("1", b"1")], "w")
    unpack_all(SETTINGS, tmp_path)
    assert files_below(tmp_path) == ["a/1", "b/1"]
    assert is_archive("x.TAR.GZ")
    assert not is_archive("x.png")


def test_an_upload_is_not_there_until_it_is_whole(service: Service) -> None:
    token = uploads.begin(service, "mine", "ada")
    uploads.add_file(service, token, "mine/a.txt", io.BytesIO(b"1"))
    assert uploads.list_uploads(service) == []
    upload = uploads.finish(service, token)
    assert (upload.name, upload.owner, upload.files, upload.bytes) == ("mine", "ada", 1, 1)
    assert Path(upload.file).read_bytes() == b"1"
    again = uploads.begin(service, "mine", "ada")
    uploads.add_file(service, again, "a.txt", io.BytesIO(b"2"))
    assert uploads.finish(service, again).name == "mine (2)"
    assert [item.name for item in uploads.list_uploads(service)] == ["mine (2)", "mine"]


def test_a_cancelled_upload_leaves_nothing(service: Service) -> None:
    token = uploads.begin(service, "mine", "ada")
    uploads.add_file(service, token, "a.txt", io.BytesIO(b"1"))
    uploads.cancel(service, token)
    assert files_below(service.jobs_dir.uploads) == []
    with pytest.raises(NotFound):
        uploads.add_file(service, token, "b.txt", io.BytesIO(b"1"))
    with pytest.raises(NotFound):
        uploads.cancel(service, "../../..")


def test_an_upload_has_a_largest_size(service: Service) -> None:
    small = Service(replace(service.settings, max_upload_mb=1), service.jobs_dir, service.store)
    token = uploads.begin(small, "mine", "ada")
    uploads.add_file(small, token, "a", io.BytesIO(b"x" * 700_000))
    with pytest.raises(BadRequest, match="larger than 1 MiB"):
        uploads.add_file(small, token, "b", io.BytesIO(b"x" * 700_000))


def test_an_empty_upload_is_refused(service: Service) -> None:
    with pytest.raises(BadRequest, match="no file"):
        uploads.finish(service, uploads.begin(service, "mine", "ada"))


def test_thousands_of_members_of_one_name_are_refused(tmp_path: Path) -> None:
    tar_with(tmp_path / "same.tar", [("a.png", b"x")] * 600, mode="w")
    with pytest.raises(BadRequest, match="More than 500 files are called 'a.png'"):
        unpack_all(SETTINGS, tmp_path)
