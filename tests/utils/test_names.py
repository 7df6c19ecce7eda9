"""Lines of lists, endings and addresses: everybody who reads a list of pictures reads the same."""

from __future__ import annotations

from pathlib import Path

import pytest

from digits.extensions.data.classification.lists import ListFile
from digits.service.datasets.folder_checks import scan_folder, scan_list
from digits.service.evaluations.sources import list_lines
from digits.utils import image
from digits.utils.names import PICTURE_SUFFIXES, is_address, is_image_file, labelled_line, split_line
from digits.worker.evaluation.sources import parse_line

LINES = {
    "a.png 3": ("a.png", 3),
    "  a b.png\t 12 ": ("a b.png", 12),
    "a 1 2": ("a 1", 2),
    "a.png": ("a.png", None),
    "17": ("17", None),
    "a.png ٣": ("a.png ٣", None),
    "a.png ²": ("a.png ²", None),
    "a.png 1_0": ("a.png 1_0", None),
    "a.png 1.5": ("a.png 1.5", None),
    "a.png -1": ("a.png", -1),
    "a.png +1": ("a.png", 1),
    "a.png " + "9" * 5000: ("a.png " + "9" * 5000, None),
    "http://x/a.png 1": ("http://x/a.png", 1),
}


@pytest.mark.parametrize(("line", "expected"), LINES.items(), ids=[line[:20] for line in LINES])
def test_all_readers_of_lists_agree(tmp_path: Path, line: str, expected: tuple[str, int | None]) -> None:
    path, label = expected
    assert split_line(line) == expected
    assert parse_line(line, "") == (path, -1 if label is None else label)
    assert list_lines(line) == [path]
    (tmp_path / "list.txt").write_text(line + "\n")
    scanned, listed = scan_list(tmp_path / "list.txt"), ListFile(tmp_path / "list.txt")
    if label is None or label < 0:
        assert labelled_line(line) is None
        assert (scanned.valid, scanned.other) == (0, 1)
        with pytest.raises(ValueError, match="no path with a class number"):
            listed[0]
    else:
        assert labelled_line(line) == listed[0] == (path, label)
        assert scanned.classes == {label: 1}


def test_endings_are_those_of_the_reader(tmp_path: Path) -> None:
    assert image.SUPPORTED_EXTENSIONS is PICTURE_SUFFIXES
    assert image.is_image_file is is_image_file
    for folder in "ab":
        (tmp_path / folder).mkdir()
        for suffix in (*PICTURE_SUFFIXES, ".PNG", ".txt", ".npy"):
            (tmp_path / folder / f"x{suffix}").touch()
    assert scan_folder(tmp_path).total == 2 * (len(PICTURE_SUFFIXES) + 1)


def test_addresses() -> None:
    assert [is_address(text) for text in ("http://x", "HTTPS://x", "ftp://x", "/http://x")] == [True, True, False, False]
