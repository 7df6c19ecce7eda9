"""Names, archives and limits of uploads: whatever is sent stays in its folder and within its size."""

from __future__ import annotations

import bz2
import gzip
import io
import lzma
import os
import struct
import tarfile
import tempfile
import time
import zipfile
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from threading import Barrier, BrokenBarrierError
from typing import Any

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from digits.config import Settings
from digits.errors import BadRequest, Forbidden, NotFound
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


def raw_zip(path: Path, entries: int, said: int, name: bytes = b"a.png", flags: int = 0) -> Path:
    """A zip whose directory alone is there, with a number of entries that its end states as another."""
    entry = (
        struct.pack("<4s4B4HL2L5H2L", b"PK\x01\x02", 20, 3, 20, 0, flags, 0, 0, 0, 0, 0, 0, len(name), 0, 0, 0, 0, 0, 0) + name
    )
    end = struct.pack("<4s4H2LH", b"PK\x05\x06", 0, 0, said, said, len(entry) * entries, 0, 0)
    path.write_bytes(entry * entries + end)
    return path


def many_headers(path: Path, members: int, mode: str) -> Path:
    header = special("a.png", tarfile.REGTYPE).tobuf()
    opened = {"": open, ".gz": gzip.open, ".bz2": bz2.open, ".xz": lzma.open}[mode]
    with opened(path, "wb") as handle:
        for _ in range(members // 1000):
            handle.write(header * 1000)
        handle.write(bytes(1024))
    return path


@pytest.mark.parametrize("said", [1, 65535])
def test_a_zip_of_very_many_members_is_refused_before_it_is_read(tmp_path: Path, said: int) -> None:
    raw_zip(tmp_path / "a.zip", 1_000_000, said)
    began = time.monotonic()
    with pytest.raises(BadRequest, match=r"more than 500,000 files and folders\. .*max_archive_files"):
        unpack_all(SETTINGS, tmp_path)
    assert time.monotonic() - began < 5


@pytest.mark.parametrize("mode", ["", ".gz", ".bz2", ".xz"])
def test_a_tar_of_very_many_members_is_refused_before_anything_is_written(tmp_path: Path, mode: str) -> None:
    few = replace(SETTINGS, max_archive_files=20_000)
    many_headers(tmp_path / f"a.tar{mode}", 30_000, mode)
    with pytest.raises(BadRequest, match=r"more than 20,000 files and folders\. .*max_archive_files"):
        unpack_all(few, tmp_path)
    assert len(files_below(tmp_path)) == 1


def test_folders_count_as_files_do(tmp_path: Path) -> None:
    tar_with(tmp_path / "a.tar", [(f"{number}/b/c/d/e/x", b"1") for number in range(30)], "w")
    with pytest.raises(BadRequest, match="max_archive_files"):
        unpack_all(replace(SETTINGS, max_archive_files=100), tmp_path)


def test_the_advice_for_a_bomb_names_the_setting_that_applies(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("digits.service.files.unpack.RATIO_COUNTS_FROM", 1 << 20)

    def bomb(name: str) -> Path:
        (tmp_path / name).mkdir()
        with zipfile.ZipFile(tmp_path / name / "bomb.zip", "w", zipfile.ZIP_DEFLATED) as packed:
            packed.writestr("zeros", b"\0" * (3 << 20))
        return tmp_path / name

    for names, wanted in (({"max_extracted_mb": 1}, "max_extracted_mb"), ({}, "max_extracted_ratio")):
        with pytest.raises(BadRequest) as refused:
            unpack_all(replace(SETTINGS, **names), bomb(wanted))
        assert refused.value.advice == f"The setting {wanted} raises the limit."
    assert unpack_all(replace(SETTINGS, max_extracted_ratio=2000), bomb("more")) == 0


def test_names_of_any_bytes_are_taken_or_refused(tmp_path: Path) -> None:
    """A tar says nothing of its encoding; a zip that claims UTF-8 and has none is no archive that anybody can read."""
    info = tarfile.TarInfo("caf\udce9/\udcff\udcfe.png")
    info.size = 1
    with tarfile.open(tmp_path / "a.tar", "w", format=tarfile.GNU_FORMAT) as packed:
        packed.addfile(info, io.BytesIO(b"1"))
    assert unpack_all(SETTINGS, tmp_path) == 0
    assert [name.rpartition(".")[2] for name in files_below(tmp_path)] == ["png"]
    for flags, words in ((0x800, "no UTF-8"), (0, "cannot be unpacked")):
        inner = tmp_path / f"zip{flags}"
        inner.mkdir()
        raw_zip(inner / "a.zip", 1, 1, b"\xff\xfe\xfd.png", flags)
        with pytest.raises(BadRequest, match=words):
            unpack_all(SETTINGS, inner)


def test_a_name_of_a_gigabyte_is_not_read(tmp_path: Path) -> None:
    for number, kind in enumerate((tarfile.GNUTYPE_LONGNAME, tarfile.XHDTYPE, tarfile.XGLTYPE)):
        inner = tmp_path / str(number)
        inner.mkdir()
        header = tarfile.TarInfo("long")
        header.type, header.size = kind, 1 << 30
        with gzip.open(inner / "a.tar.gz", "wb", compresslevel=1) as handle:
            handle.write(header.tobuf())
            for _ in range(16):
                handle.write(bytes(1 << 20))
        with pytest.raises(BadRequest, match="cannot be unpacked"):
            unpack_all(SETTINGS, inner)


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.data())
def test_no_damage_to_an_archive_is_more_than_a_refusal(tmp_path: Path, data: st.DataObject) -> None:
    suffix = data.draw(st.sampled_from([".zip", ".tar", ".tar.gz", ".tar.bz2", ".tar.xz"]))
    folder = Path(tempfile.mkdtemp(dir=tmp_path))
    if suffix == ".zip":
        with zipfile.ZipFile(folder / "a.zip", "w", zipfile.ZIP_DEFLATED) as packed:
            packed.writestr("é/a.png", b"123" * 50)
            packed.writestr("b.png", b"4")
    else:
        tar_with(folder / f"a{suffix}", [("é" * 90 + "/a.png", b"123" * 50), ("b.png", b"4")], f"w:{suffix[5:]}")
    file = folder / f"a{suffix}"
    content = bytearray(file.read_bytes())
    for _ in range(data.draw(st.integers(1, 6))):
        content[data.draw(st.integers(0, len(content) - 1))] = data.draw(st.integers(0, 255))
    file.write_bytes(content[: data.draw(st.integers(0, len(content)))] if data.draw(st.booleans()) else content)
    try:
        unpack_all(SETTINGS, folder)
    except BadRequest:
        pass
    assert all(Path(name).parts[0] != ".." for name in files_below(folder))


def test_an_upload_is_cancelled_and_deleted_however_full_the_disk_is(service: Service, monkeypatch: pytest.MonkeyPatch) -> None:
    token = uploads.begin(service, "pictures", "anna")
    uploads.add_file(service, token, "a.png", io.BytesIO(b"x" * 100), "anna")
    whole = _whole(service)
    monkeypatch.setattr("digits.service.files.names.free_bytes", lambda folder: 0)
    with pytest.raises(BadRequest, match="no space left.*min_free_mb"):
        uploads.add_file(service, token, "b.png", io.BytesIO(b"x"), "anna")
    with pytest.raises(BadRequest, match="no space left.*min_free_mb"):
        uploads.finish(service, token, "anna")
    uploads.cancel(service, token, "anna")
    assert uploads.list_partial(service) == []
    uploads.remove(service, whole, "anna")
    assert uploads.list_uploads(service) == []


def _sent(service: Service, name: str, owner: str) -> str:
    token = uploads.begin(service, name, owner)
    uploads.add_file(service, token, "a.txt", io.BytesIO(owner.encode()), owner)
    return token


def _whole(service: Service) -> str:
    return uploads.finish(service, _sent(service, "whole", "anna"), "anna").name


def test_two_uploads_of_one_name_that_end_together_keep_their_owners(service: Service, monkeypatch: pytest.MonkeyPatch) -> None:
    together, free_name = Barrier(2, timeout=1.0), uploads._free_name

    def free_name_together(*values: Any) -> str:
        name = free_name(*values)
        with suppress(BrokenBarrierError):
            together.wait()
        return name

    monkeypatch.setattr(uploads, "_free_name", free_name_together)
    tokens = {_sent(service, "pictures", owner): owner for owner in ("anna", "bob")}
    with ThreadPoolExecutor(2) as threads:
        made = list(threads.map(lambda item: uploads.finish(service, *item), tokens.items()))
    assert sorted(one.name for one in made) == ["pictures", "pictures (2)"]
    found = [uploads.find(service, one.name) for one in made]
    assert found == made
    assert [Path(one.file).read_text() for one in found] == [one.owner for one in found] == ["anna", "bob"]


def test_an_upload_that_takes_the_name_of_one_that_goes_keeps_its_owner(
    service: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    remove_folder, name = uploads._remove_folder, _whole(service)
    token = _sent(service, name, "bob")

    def remove_and_finish(service: Service, folder: Path) -> None:
        remove_folder(service, folder)
        uploads.finish(service, token, "bob")

    monkeypatch.setattr(uploads, "_remove_folder", remove_and_finish)
    uploads.remove(service, name, "anna")
    assert [(one.name, one.owner) for one in uploads.list_uploads(service)] == [(name, "bob")]


def test_uploads_that_are_not_finished_are_listed_and_belong_to_who_began_them(service: Service) -> None:
    token = uploads.begin(service, "pictures", "anna")
    uploads.add_file(service, token, "a/1.png", io.BytesIO(b"x" * 100), "anna")
    (mine,) = uploads.list_partial(service, "anna")
    assert (mine.token, mine.name, mine.owner, mine.files, mine.bytes) == (token, "pictures", "anna", 1, 100)
    (others,) = uploads.list_partial(service, "bob")
    assert others.token == ""
    for refused in (lambda: uploads.cancel(service, token, "bob"), lambda: uploads.finish(service, token, "bob")):
        with pytest.raises(Forbidden, match="anna"):
            refused()


def test_what_got_no_file_for_a_day_goes_at_the_next_start(service: Service) -> None:
    young, *old = (uploads.begin(service, name, "anna") for name in ("young", "a", "b", "c", "d", "e"))
    folder = service.jobs_dir.uploads / uploads.PARTIAL
    for token in old:  # so many that folders and their notes are met in either order
        uploads.add_file(service, token, "a.png", io.BytesIO(b"x"), "anna")
    (folder / f"{uploads.REMOVED}0").mkdir()
    yesterday = time.time() - uploads.STALE_SECONDS - 1
    for path in [path for token in old for path in (folder / token / "a.png", folder / token, folder / f"{token}.json")]:
        os.utime(path, (yesterday, yesterday))
    assert sorted(uploads.drop_stale(service, at_start=True)) == ["a", "b", "c", "d", "e"]
    assert sorted(path.name for path in folder.iterdir()) == [young, f"{young}.json"]
    assert [one.name for one in uploads.list_partial(service)] == ["young"]
