"""Text reads the same whatever program wrote it, and no byte of it is an exception."""

from __future__ import annotations

import codecs
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from digits.errors import DataError
from digits.extensions.data.files.class_names import read_labels
from digits.extensions.data.files.tables import read_rows
from digits.extensions.data.files.text import decoded, lines_naming_files, lines_of, read_json, read_text, whole_text, xml_root

TEXT = "1 0.5 é\nStraße 猫"
WRITTEN = {
    "utf-8": TEXT.encode(),
    "utf-8 with mark": codecs.BOM_UTF8 + TEXT.encode(),
    "utf-16 little": codecs.BOM_UTF16_LE + TEXT.encode("utf-16-le"),
    "utf-16 big": codecs.BOM_UTF16_BE + TEXT.encode("utf-16-be"),
    "utf-16 without mark": TEXT.encode("utf-16-le"),
    "utf-16 big without mark": TEXT.encode("utf-16-be"),
    "utf-32 little": codecs.BOM_UTF32_LE + TEXT.encode("utf-32-le"),
    "utf-32 big": codecs.BOM_UTF32_BE + TEXT.encode("utf-32-be"),
}


@pytest.mark.parametrize("data", WRITTEN.values(), ids=WRITTEN)
def test_text_in_each_encoding(tmp_path: Path, data: bytes) -> None:
    (tmp_path / "t").write_bytes(data)
    assert decoded(data) == TEXT
    assert lines_of(tmp_path / "t") == TEXT.split("\n")
    assert list(lines_naming_files(tmp_path / "t")) == TEXT.split("\n")
    assert read_text(tmp_path / "t", most=10_000) == TEXT


def test_text_of_windows_has_its_letters_and_no_byte_is_refused() -> None:
    assert decoded("Größe “5” €".encode("cp1252")) == "Größe “5” €"
    every = decoded(bytes(range(256)))
    assert len(set(every)) == 256  # different bytes stay different
    assert every[:128] == bytes(range(128)).decode("ascii")


@settings(max_examples=60, deadline=None, derandomize=True)
@given(st.binary(max_size=40))
def test_no_bytes_raise(data: bytes) -> None:
    assert isinstance(decoded(data), str)
    assert decoded(data.decode("latin-1").encode()) == data.decode("latin-1").removeprefix("\ufeff") or b"\0" in data


@settings(max_examples=60, deadline=None, derandomize=True)
@given(st.text(st.characters(codec="utf-8", exclude_characters="\0\ufeff"), max_size=30), st.integers(1, 60))
def test_the_head_of_a_text_is_its_beginning(tmp_path_factory: pytest.TempPathFactory, text: str, most: int) -> None:
    file = tmp_path_factory.mktemp("head") / "t"
    file.write_bytes(text.encode())
    head = read_text(file, most)
    assert text.startswith(head)
    assert len(head.encode()) > most - 4 or head == text


def test_lines_end_where_every_program_ends_them(tmp_path: Path) -> None:
    (tmp_path / "t").write_bytes("a\r\nb\rc\nd\x0be\x85f\u2028g\n".encode())
    assert lines_of(tmp_path / "t") == ["a", "b", "c", "d\x0be\x85f\u2028g"]


def test_a_file_that_is_no_list_is_not_held_whole(tmp_path: Path) -> None:
    """One of 2 GiB with holes, which costs nothing to make, took as much memory of the server, several times that as labels."""
    path = tmp_path / "t"
    with path.open("wb") as file:
        file.write(b"a.png 0\n" * 1000)
        file.truncate(2 << 30)
    with pytest.raises(DataError, match="Line 1001 of .* has more than 4,194,304 characters"):
        for _ in lines_naming_files(path):
            pass
    with pytest.raises(DataError, match="has more than 4 MiB"):
        read_labels(path)
    path.write_bytes(b"x" * 10 + b"\n")
    assert whole_text(path, 11) == "x" * 10 + "\n"
    with pytest.raises(DataError, match="has more than 10 B"):
        whole_text(path, 10)


def test_lists_of_files_keep_the_bytes_of_names(tmp_path: Path) -> None:
    (tmp_path / "t").write_bytes(b"caf\xe9.png 0\r\nb.png 1")
    assert [line.encode("utf-8", "surrogateescape") for line in lines_naming_files(tmp_path / "t")] == [
        b"caf\xe9.png 0",
        b"b.png 1",
    ]


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16", "utf-32", "cp1252"])
def test_json_and_tables_in_each_encoding(tmp_path: Path, encoding: str) -> None:
    (tmp_path / "j").write_bytes('{"näme": [1, 2.5]}'.encode(encoding))
    assert read_json(tmp_path / "j") == {"näme": [1, 2.5]}
    (tmp_path / "c").write_bytes('bild;größe\r\n"a;1.png";3\r\n'.encode(encoding))
    assert list(read_rows(str(tmp_path / "c"))) == [(1, ["bild", "größe"]), (2, ["a;1.png", "3"])]


def test_zero_bytes_in_a_table_are_cells_of_their_own_line(tmp_path: Path) -> None:
    (tmp_path / "c").write_bytes(b"image,x\na.png,1\nb\0.png,2\n" + b"\0" * 9 + b"\nc.png,3\n")
    rows = dict(read_rows(str(tmp_path / "c")))
    assert rows[2] == ["a.png", "1"]
    assert rows[5] == ["c.png", "3"]


@pytest.mark.parametrize("text", ["{", "[1,\n2,,", '{"a": 01}', "[" * 100_000], ids=["open", "line 2", "number", "deep"])
def test_json_that_is_none_is_said(tmp_path: Path, text: str) -> None:
    (tmp_path / "j").write_text(text)
    with pytest.raises(DataError, match="cannot be read as JSON"):
        read_json(tmp_path / "j")


# (declared, written in): as a declaration is meant, and as programs mean it
DECLARED = [
    ("gb2312", "gb2312", "猫"),
    ("GB2312", "gbk", "猫鎔"),
    ("windows-1251", "cp1251", "кошка"),
    ("Shift_JIS", "shift_jis", "猫"),
    ("shift-jis", "cp932", "猫①"),
    ("euc-kr", "euc_kr", "고양이"),
    ("Big5", "big5", "貓"),
    ("iso-8859-1", "latin-1", "chaté"),
    ("us-ascii", "cp1252", "chaté"),
    ("utf-8", "utf-8", "猫"),
    ("utf-8", "utf-8-sig", "猫"),
    ("utf-16", "utf-16", "猫"),
    ("utf-16", "utf-8", "猫"),  # as .NET writes it into a file that it then saves otherwise
]


@pytest.mark.parametrize(("declared", "encoding", "name"), DECLARED)
def test_xml_in_the_encoding_that_it_declares(tmp_path: Path, declared: str, encoding: str, name: str) -> None:
    text = f'<?xml version="1.0" encoding="{declared}"?>\n<a><name>{name}</name></a>'
    (tmp_path / "x").write_bytes(text.encode(encoding))
    assert xml_root(tmp_path / "x").findtext("name") == name


def test_xml_without_a_declaration_is_text_like_any_other(tmp_path: Path) -> None:
    (tmp_path / "x").write_bytes("<a><name>chaté</name></a>".encode("cp1252"))
    assert xml_root(tmp_path / "x").findtext("name") == "chaté"


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b'<?xml version="1.0" encoding="foo-8"?><a/>', "Line 1 declares the encoding foo-8"),
        (b'<?xml version="1.0" encoding="hex"?><a/>', "Line 1 is no hex"),
        (b'<?xml version="1.0" encoding="utf-8"?>\n<a>\n\xe9</a>', "Line 3 is no utf-8"),
        (b"<a>\n<b></a>", "Line 2 is no XML"),
        (b"", "is no XML"),
        (b'<!DOCTYPE a [<!ENTITY b "c">]><a>&b;</a>', "entities"),
    ],
)
def test_xml_that_cannot_be_read_is_said_with_its_line(tmp_path: Path, data: bytes, reason: str) -> None:
    (tmp_path / "x").write_bytes(data)
    with pytest.raises(DataError, match=reason):
        xml_root(tmp_path / "x")


def test_a_file_that_is_not_there_is_said(tmp_path: Path) -> None:
    for read in (read_text, lines_of, read_json):
        with pytest.raises(DataError, match="cannot be read"):
            read(tmp_path / "none")
    with pytest.raises(DataError, match="cannot be read"):
        list(lines_naming_files(tmp_path / "none"))
