"""One walk for all: what is hidden, what is linked, what else lies there."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

from digits.extensions.data.files.listing import ABOVE, ELSEWHERE, files_with, other_kinds, pictures_below, walk
from digits.utils.confinement import OUTSIDE, Confinement, reading_from
from digits.utils.names import is_hidden

LITTER = ("._a.png", ".DS_Store", "Thumbs.db", "desktop.ini", "__MACOSX/._b.png", ".hidden/c.png")


def touch(folder: Path, *names: str) -> None:
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).touch()


def test_what_systems_leave_behind_is_hidden_from_everybody(tmp_path: Path) -> None:
    touch(tmp_path, "a.png", "b/c.txt", "b/._c.txt", *LITTER)
    assert list(walk(tmp_path)) == [(str(tmp_path), ["a.png"]), (str(tmp_path / "b"), ["c.txt"])]
    others = Counter[str]()
    assert list(pictures_below(tmp_path, others)) == [str(tmp_path / "a.png")]
    assert others == {".txt": 1}
    assert files_with(str(tmp_path), (".txt",), lambda path: True) == [str(tmp_path / "b/c.txt")]
    assert is_hidden("THUMBS.DB")
    assert not is_hidden("thumbs.db.png")


def test_links_are_followed_and_loops_end(tmp_path: Path) -> None:
    touch(tmp_path, "data/1.png", "set/2.png")
    (tmp_path / "set/linked").symlink_to(tmp_path / "data")
    (tmp_path / "data/loop").symlink_to(tmp_path / "set")
    assert [Path(path).name for path in pictures_below(tmp_path / "set")] == ["2.png", "1.png"]
    assert files_with(str(tmp_path / "set"), (".png",), lambda path: "linked" not in path) == [str(tmp_path / "set/2.png")]


def test_each_folder_may_be_read_for_itself(tmp_path: Path) -> None:
    """A link to another folder is one more; what lies in the root itself is read once, and loops end."""
    touch(tmp_path, "set/0.png", "set/cat/1.png", "set/cat/old/2.png", "set/dog/3.png", "out/4.png", "set/dog/x.raw")
    for link, target in {"pet": "cat", "pup": "cat/old", "loop": ".", "up": "..", "out": "../out", "cat/dogs": "../dog"}.items():
        (tmp_path / "set" / link).symlink_to(target)
    (tmp_path / "set/dog/loop").symlink_to(tmp_path / "set")
    (tmp_path / "set/dog/self").symlink_to(".")
    (tmp_path / "out/back").symlink_to(tmp_path / "set/dog")
    others = Counter[str]()
    refused: list[tuple[str, str]] = []
    below = pictures_below(tmp_path / "set", others, each=True, refused=lambda path, reason: refused.append((path, reason)))
    found = [str(Path(path).relative_to(tmp_path)) for path in below]
    assert found == [
        *("set/0.png", "set/cat/1.png", "set/cat/old/2.png", "set/dog/3.png", "set/out/4.png"),
        *("set/pet/1.png", "set/pet/old/2.png", "set/pup/2.png"),
    ]
    assert others == {".raw": 1}
    assert {Path(path).relative_to(tmp_path): reason for path, reason in refused} == {
        Path("set/cat/dogs"): ELSEWHERE,
        **dict.fromkeys(map(Path, ("set/dog/loop", "set/loop", "set/up")), ABOVE),
        **dict.fromkeys(map(Path, ("set/out/back", "set/pet/dogs")), ELSEWHERE),
    }
    once = [Path(path).name for path in pictures_below(tmp_path / "set")]
    assert sorted(once) == ["0.png", "1.png", "2.png", "3.png", "4.png"]


def test_a_folder_is_read_where_it_lies_and_not_by_a_link(tmp_path: Path) -> None:
    touch(tmp_path, "set/a/1.png", "set/b/2.png", "set/c/3.png", "x/4.png", "y/5.png")
    for link, target in {"a/b": "../b", "a/x": "../../x", "a/y": "../../y"}.items():
        (tmp_path / "set" / link).symlink_to(target)
    found = [str(Path(path).relative_to(tmp_path / "set")) for path in pictures_below(tmp_path / "set")]
    assert found == ["a/1.png", "b/2.png", "c/3.png", "a/x/4.png", "a/y/5.png"]


def test_what_may_not_be_read_is_not_listed(tmp_path: Path) -> None:
    """A link out of the allowed folders tells no names; nor are the files of the system waited for."""
    touch(tmp_path, "in/1.png", "out/secret.png", "out/deep/secret.txt")
    (tmp_path / "in/link").symlink_to(tmp_path / "out")
    (tmp_path / "in/system").symlink_to("/proc/self")
    refused: list[str] = []
    with reading_from(Confinement([tmp_path / "in"])):
        assert list(walk(tmp_path / "in")) == [(str(tmp_path / "in"), ["1.png"])]
        found = list(pictures_below(tmp_path / "in", refused=lambda path, reason: refused.append(f"{Path(path).name} {reason}")))
    assert found == [str(tmp_path / "in/1.png")]
    assert sorted(one.split()[0] for one in refused) == ["link", "system"]
    assert all(OUTSIDE in one for one in refused)
    assert [Path(root).name for root, _ in walk(tmp_path / "in")] == ["in", "link", "deep"], (
        "whoever may read all, but the system's"
    )
    assert list(walk(tmp_path / "in", Confinement([tmp_path / "in"]).allows)) == [(str(tmp_path / "in"), ["1.png"])]


def test_other_kinds_are_counted_in_words(tmp_path: Path) -> None:
    touch(tmp_path, "a.png", "x.raw", "y.RAW", "z", *(f"{n}.{n}" for n in range(8)))
    others = Counter[str]()
    list(pictures_below(tmp_path, others))
    assert other_kinds(others) == "11 files of other kinds: .raw (2), .0 (1), .1 (1), .2 (1), .3 (1), .4 (1), 4 more"
    assert other_kinds(Counter({"": 2, ".heic": 12})) == "14 files of other kinds: .heic (12), no ending (2)"
    assert other_kinds(Counter()) == ""
