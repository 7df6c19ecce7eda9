"""Which file a name stands for, against a slow search that compares name by name."""

from __future__ import annotations

import os
import unicodedata
from collections.abc import Callable, Sequence

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from digits.extensions.data.files.names import FileNames, on_disk, without_ending

ROOT = "/data/left"
FOLDERS = ["left", "right", "a b", "e\u0301", "\u00e9", "E\u0301"]
BASES = ["1", "1.5", "1.5.png", "x y", "e\u0301", "\u00e9", "Stra\u00dfe", "STRASSE"]
names = st.builds(
    lambda folders, base, ending: "/".join([*folders, base + ending]),
    st.lists(st.sampled_from(FOLDERS), max_size=3),
    st.sampled_from(BASES),
    st.sampled_from([".png", ".PNG", ".jpg"]),
)
asked = st.builds(
    lambda lead, name, ending, slash: (lead + (without_ending(name) if not ending else name)).replace("/", slash),
    st.sampled_from(["", "./", "../", "/data/left/", "C:/x/", "elsewhere/"]),
    names,
    st.booleans(),
    st.sampled_from(["/", "\\"]),
)


def slow(files: Sequence[str], name: str) -> list[str]:
    """The files below ROOT that a name fits, by the rule as it is written in `files/names.py`."""
    if name in files:
        return [name]

    def parts(path: str, spell: Callable[[str], str]) -> list[str]:
        return spell(unicodedata.normalize("NFC", path)).split("/")

    path = os.path.normpath(name.replace("\\", "/")).lstrip("/")
    given_path = [part for part in path.split("/") if part != ".."]
    flat = not any("/" in file for file in files)

    def fitting(given: list[str], spell: Callable[[str], str]) -> list[str]:
        below = {file: parts(file, spell) for file in files}
        whole = {file: parts(f"{ROOT}/{file}"[1:], spell) for file in files}
        if found := [file for file in files if below[file] == given]:
            return found
        if found := [file for file in files if whole[file][-len(given) :] == given]:
            return found
        for length in range(len(given) - 1, 0, -1):
            found = [file for file in files if below[file] == given[-length:] and (length > 1 or flat)]
            if found:
                return found
        return []

    whole, short = "/".join(given_path), without_ending("/".join(given_path))
    tries: list[tuple[str, Callable[[str], str]]] = [
        (whole, str),
        (whole, without_ending),
        (short, without_ending),
        (whole.casefold(), str.casefold),
        (whole.casefold(), lambda text: without_ending(text).casefold()),
        (short.casefold(), lambda text: without_ending(text).casefold()),
    ]
    for tried, spell in tries:
        if found := fitting(parts(tried, str), spell):
            return found
    return []


@settings(max_examples=60, deadline=None, derandomize=True)
@given(st.lists(names, unique=True, max_size=8), st.lists(asked, min_size=1, max_size=12))
def test_names_are_found_as_a_slow_search_finds_them(files: list[str], wanted: list[str]) -> None:
    finder = FileNames(ROOT, [f"{ROOT}/{file}" for file in files])
    for name in [*wanted, *files]:
        fits, found = slow(files, name), finder.find(name)
        assert found.path == (f"{ROOT}/{fits[0]}" if len(fits) == 1 else "")
        assert sorted(found.several) == (sorted(fits) if len(fits) > 1 else [])
        assert bool(found) != bool(found.reason)


@pytest.mark.parametrize(
    ("files", "name", "found"),
    [
        (["left/1.png", "left/2.png"], "right/1.png", ""),
        (["left/1.png", "q/left/1.png"], "x/left/1.png", "left/1.png"),
        (["1.png"], "elsewhere/1.png", "1.png"),
        (["1.png", "a/2.png"], "elsewhere/1.png", ""),
        (["a/1.png", "b/1.png"], "1.png", ""),
        (["a/1.png", "b/2.png"], "1", "a/1.png"),
        (["img.png", "img.1.png"], "img.1", "img.1.png"),
        (["img.png"], "img.1", ""),
        (["img.png"], "img.tif", "img.png"),
        (["1.png", "1.jpg"], "1", ""),
        (["1.png", "1.jpg"], "1.jpg", "1.jpg"),
        (["IMG.PNG"], "img.png", "IMG.PNG"),
        (["IMG.png", "Img.png"], "img.png", ""),
        (["e\u0301.png"], "\u00e9.png", "e\u0301.png"),
        (["caf\udce9.png"], "caf\u00e9.png", "caf\udce9.png"),
        (["caf\u00e9.png"], "caf\udce9.png", "caf\u00e9.png"),
        (["scan.nii.gz"], "scan", "scan.nii.gz"),
        (["a.png"], "", ""),
        (["a.png"], "..", ""),
        (["a.png"], "\ud800", ""),
    ],
)
def test_examples(files: list[str], name: str, found: str) -> None:
    answer = FileNames("/set", [f"/set/{file}" for file in files]).find(name)
    assert answer.path.removeprefix("/set/") == found


def test_several_are_named_and_none_is_taken() -> None:
    found = FileNames("/set", ["/set/left/1.png", "/set/right/1.png"]).find("1.png")
    assert not found
    assert found.reason == "It fits left/1.png and right/1.png: neither is taken. Write the path below /set."


def test_a_file_that_two_names_may_mean_is_given_to_neither() -> None:
    flat = FileNames("/set", ["/set/1.png", "/set/2.png"])
    found = flat.find_all(["left/1.png", "right/1.png", "left/2.png"])
    assert [one.path for one in found.values()] == ["", "", "/set/2.png"]
    assert "so could right/1.png" in found["left/1.png"].reason
    sure = flat.find_all(["1.png", "right/1.png"])
    assert (sure["1.png"].path, sure["right/1.png"].path) == ("/set/1.png", "")
    same = flat.find_all(["x/1.png", "x\\1.png"])
    assert all(same.values())
    folder = FileNames("/data/left", ["/data/left/1.png"]).find_all(["left/1.png", "right/1.png"])
    assert (folder["left/1.png"].path, folder["right/1.png"].path) == ("/data/left/1.png", "")


def test_a_path_is_spelled_as_on_the_disk(tmp_path: os.PathLike[str]) -> None:
    root = os.fspath(tmp_path)
    for name in ("e\u0301.png", "\u00e4.png"):
        open(os.path.join(root, name), "w").close()
    assert on_disk(f"{root}/\u00e9.png") == f"{root}/e\u0301.png"
    assert on_disk(f"{root}/\udce4.png") == f"{root}/\u00e4.png"
    assert on_disk(f"{root}/none\u00e9.png") == f"{root}/none\u00e9.png"
    assert on_disk(f"{root}\\\u00e4.png") == f"{root}/\u00e4.png"
