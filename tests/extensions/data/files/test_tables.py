"""Tables as programs write them: what separates cells, quotes that are not closed, columns that may hold the same."""

from __future__ import annotations

import tracemalloc
from pathlib import Path

import pytest

from digits.extensions.data.files.columns import begins_with_names, chosen, read_pictures
from digits.extensions.data.files.names import FileNames
from digits.extensions.data.files.tables import is_table_file, read_table

LONG = "x" * 200_000  # more than Python's csv takes as one cell


def rows(tmp_path: Path, text: str, *, several_lines: bool = True) -> tuple[list[tuple[int, list[str]]], list[int]]:
    """The rows of a table, and the numbers of the lines that are none."""
    (tmp_path / "t.csv").write_text(text)
    table = read_table(str(tmp_path / "t.csv"), several_lines=several_lines)
    return list(table.rows), [fault.line for fault in table.faults]


@pytest.mark.parametrize(
    ("text", "found", "faults"),
    [
        ('a,b\nc,"d\ne,f\n', [(1, ["a", "b"]), (3, ["e", "f"])], [2]),
        ('a,"b\nc,"d"\ne,f\n', [(2, ["c", "d"]), (3, ["e", "f"])], [1]),
        ('a,"b\nc",d\ne,f\n', [(1, ["a", "b\nc", "d"]), (3, ["e", "f"])], []),
        ('a,"b" c,d\n\n e , f\n', [(1, ["a", "b c", "d"]), (3, ["e", "f"])], []),
        (f"a,{LONG}\nc,d\n", [(2, ["c", "d"])], [1]),
        (f'a,"{LONG}\nc,d\n', [(2, ["c", "d"])], [1]),
        ('"a ""b"" c",d\n', [(1, ['a "b" c', "d"])], []),
        ("sep=;\na;b\n", [(2, ["a", "b"])], []),
    ],
)
def test_a_quote_that_is_not_closed_costs_its_line(
    tmp_path: Path, text: str, found: list[tuple[int, list[str]]], faults: list[int]
) -> None:
    assert rows(tmp_path, text) == (found, faults)


def test_cells_of_several_lines_may_be_none(tmp_path: Path) -> None:
    assert rows(tmp_path, 'a,"b\nc",d\ne,f\n', several_lines=False) == ([(2, ['c"', "d"]), (3, ["e", "f"])], [1])


@pytest.mark.parametrize(
    ("columns", "taken", "said"),
    [
        ({"class": "0 1 0", "label": "cat dog cat"}, "label", False),
        ({"class": "cat dog cat", "label": "a a a"}, "class", True),
        ({"class": "a a a", "label": "cat dog cat"}, "label", True),
        ({"class": "cat dog cat", "label": "Cat Dog Cat"}, "class", False),
        ({"class": "0 1 0", "label": "1 1 0"}, "class", True),
        ({"class": "cat dog cat"}, "class", False),
    ],
)
def test_of_two_columns_of_classes_the_one_with_words_counts(columns: dict[str, str], taken: str, said: bool) -> None:
    lines = list(zip(*(cells.split() for cells in columns.values()), strict=True))
    place, remark = chosen(range(len(columns)), list(columns), lines)
    assert place is not None
    assert (list(columns)[place], bool(remark)) == (taken, said)


@pytest.mark.parametrize(
    ("lines", "names"),
    [
        (["id,label", "x,cat"], True),
        (["label,x", "cat,1"], True),
        (["what,breed", "0a1f.png,beagle"], True),
        (["0a1f,beagle", "0b2c,setter"], False),
        (["a.jpg,target", "b.jpg,class"], False),
        (["1,2", "3,4"], False),
        ([], False),
    ],
)
def test_whether_a_first_line_names_columns(lines: list[str], names: bool) -> None:
    assert begins_with_names([line.split(",") for line in lines]) is names


@pytest.mark.parametrize(
    ("lines", "names"),
    [
        (["image,label", "a,cat", "b,dog"], ["image", "label"]),
        (["label,Image", "cat,a", "dog,b"], ["label", "Image"]),
        ([",image,label", "0,a,cat", "1,b,dog"], ["", "image", "label"]),
        (["image,age", "a,3", "b,4.5"], ["image", "age"]),
        (["image,cat,dog", "a,1,0", "b,,1"], ["image", "cat", "dog"]),
        (["image,cat", "a,dog", "b,cat"], ["image", "value 1"]),
        (["image,3", "a,4", "b,5"], ["image", "value 1"]),
        (["image.png,label", "a.png,cat"], ["image", "value 1"]),
        (["image,", "a,cat", "b,dog"], ["image", "value 1"]),
        (["image", "a", "b"], ["image"]),
    ],
)
def test_columns_that_are_called_like_a_picture(tmp_path: Path, lines: list[str], names: list[str]) -> None:
    (tmp_path / "t.csv").write_text("\n".join(lines))
    files = FileNames(str(tmp_path), [str(tmp_path / f"{name}.png") for name in ("image", "label", "a", "b")])
    table = read_pictures(str(tmp_path / "t.csv"), files, "", "")
    assert table.names == names
    assert len(table.lines) == len(lines) - table.has_names


def test_columns_of_names_that_a_program_spoiled(tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_text("id,x,x,note\n1.0,1,5,a\n2.0,2,6,b, c\n11.0,3,7,\n")
    files = FileNames(str(tmp_path), [str(tmp_path / f"{number}.png") for number in (1, 2, 11)])
    table = read_pictures(str(tmp_path / "t.csv"), files, "", "")
    assert table.names == ["id", "x", "x (2)", "note"]
    assert [Path(found.path).name for found in table.pictures.values()] == ["1.png", "11.png"]
    assert [fault.line for fault in table.table.faults] == [3]
    assert "Two columns are called 'x'" in table.remarks[0]


def test_looking_whether_a_list_is_a_table_holds_little_of_it(tmp_path: Path) -> None:
    """Of 100 lines of 2 MiB each, which cost nothing to send packed."""
    path = tmp_path / "t"
    with path.open("wb") as file:
        for _ in range(100):
            file.write(b"a,b" + b"x" * (2 << 20) + b"\n")
    tracemalloc.start()
    try:
        assert is_table_file(path)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < 48 << 20
