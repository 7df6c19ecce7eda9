"""Which label belongs to which picture, against a slow search that compares file by file."""

from __future__ import annotations

import os
import unicodedata
from collections.abc import Callable, Iterator
from itertools import product

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from digits.extensions.data.files.names import without_ending
from digits.extensions.data.files.pairs import ADDITIONS, SIDES, match, told_apart
from digits.extensions.data.images.findings import Findings

PICTURES, LABELS = "/data/pictures", "/data/left"
paths = st.builds(
    lambda folders, base, addition, ending: "/".join([*folders, base + addition + ending]),
    st.lists(st.sampled_from(["left", "right", "images", "labels", "e\u0301", "\u00e9"]), max_size=2),
    st.sampled_from(["1", "1.5", "x y", "\u00e9", "e\u0301"]),
    st.sampled_from(["", "", "_mask", "_clean", "_noisy", "_L", "_l"]),
    st.sampled_from([".png", ".PNG", ".jpg", ".png.txt"]),
)
Fits = Callable[[str, str], bool]


def slow_rules(pictures: list[str], labels: list[str], both: bool) -> Iterator[Fits]:
    """What must be alike, in the order of `files/pairs.py`."""
    flat = not any("/" in path for path in pictures) or not any("/" in path for path in labels)

    def is_end(path: str, other: str, root: str) -> bool:
        return "/" in path and f"{root}/{other}".endswith(f"/{path}")

    def ends(depth: int, one: Callable[[str], str], two: Callable[[str], str]) -> Fits:
        return lambda p, q: (
            (one(p).count("/") == depth and is_end(one(p), two(q), LABELS))
            or (two(q).count("/") == depth and is_end(two(q), one(p), PICTURES))
        )

    def rules(one: Callable[[str], str], two: Callable[[str], str]) -> Iterator[Fits]:
        yield lambda p, q: one(p) == two(q)
        for depth in (9, 8, 7, 6, 5, 4, 3, 2, 1):
            yield ends(depth, one, two)
        yield (
            lambda p, q: (
                [f for f in one(p).split("/")[:-1] if f.lower() not in SIDES] + [os.path.basename(one(p))]
                == [f for f in two(q).split("/")[:-1] if f.lower() not in SIDES] + [os.path.basename(two(q))]
            )
        )
        if flat:
            yield lambda p, q: os.path.basename(one(p)) == os.path.basename(two(q))

    for fold in (str, str.casefold):

        def whole(path: str, fold: Callable[[str], str] = fold) -> str:
            return fold(unicodedata.normalize("NFC", path))

        def short(path: str, fold: Callable[[str], str] = fold) -> str:
            return fold(without_ending(unicodedata.normalize("NFC", path)))

        def base(path: str, fold: Callable[[str], str] = fold) -> str:
            return fold(ADDITIONS.sub("", without_ending(unicodedata.normalize("NFC", path))))

        yield lambda p, q: p == q
        yield lambda p, q, whole=whole: whole(p) == whole(q)
        yield lambda p, q, whole=whole, short=short: whole(p) == short(q)
        yield from rules(short, short)
        yield from rules(short, base)
        yield from rules(base, short)
        if both:
            yield from rules(base, base)


def slow(pictures: list[str], labels: list[str], both: bool) -> tuple[set[tuple[str, str]], set[str]]:
    """Pairs, and pictures that more than one thing fits: only what fits nothing else at the same step is a pair."""
    pairs, unclear, left, right = set(), set(), list(pictures), list(labels)
    for fits in slow_rules(pictures, labels, both):
        edges = [(p, q) for p, q in product(left, right) if fits(p, q)]
        for p, q in edges:
            alone = sum(p == one for one, _ in edges) == sum(q == one for _, one in edges) == 1
            (pairs.add((p, q)) if alone else unclear.add(p))
        left = [p for p in left if all(p != one for one, _ in edges)]
        right = [q for q in right if all(q != one for _, one in edges)]
    return pairs, unclear


@settings(max_examples=60, deadline=None, derandomize=True)
@given(st.lists(paths, unique=True, max_size=7), st.lists(paths, unique=True, max_size=7), st.booleans())
def test_files_are_paired_as_a_slow_search_pairs_them(pictures: list[str], labels: list[str], both: bool) -> None:
    features, masks = [f"{PICTURES}/{path}" for path in pictures], [f"{LABELS}/{path}" for path in labels]
    found = match(PICTURES, features, LABELS, masks, both_additions=both)
    pairs, unclear = slow(pictures, labels, both)
    assert {(p.removeprefix(f"{PICTURES}/"), q.removeprefix(f"{LABELS}/")) for p, q in found.pairs} == pairs
    assert {path.removeprefix(f"{PICTURES}/") for path, _ in found.unclear} == unclear
    assert [p for p, _ in found.pairs] == [p for p in features if p in dict(found.pairs)]
    assert {*dict(found.pairs), *dict(found.unclear), *found.unpaired_features} == set(features)


@pytest.mark.parametrize(
    ("pictures", "labels", "pairs"),
    [
        (["cell_1_L.png", "cell_1.png"], ["cell_1_L.png", "cell_1.png"], ["cell_1_L.png", "cell_1.png"]),
        (["room_noisy.png", "room_clean.png"], ["room_noisy.txt", "room_clean.txt"], ["room_noisy.txt", "room_clean.txt"]),
        (["left/1.png"], ["right/1.png"], []),
        (["s/images/1.png", "t/images/1.png"], ["s/labels/1.txt", "t/labels/1.txt"], ["s/labels/1.txt", "t/labels/1.txt"]),
        (["1.png", "2.png"], ["a/1.txt", "b/2.txt"], ["a/1.txt", "b/2.txt"]),
        (["a/1.png", "b/1.png"], ["1.txt"], []),
        (["1.png", "1.jpg"], ["1.txt"], []),
        (["1.png", "1.jpg"], ["1.png.txt", "1.jpg.txt"], ["1.png.txt", "1.jpg.txt"]),
        (["1.5.png", "1.png"], ["1.5.txt", "1.txt"], ["1.5.txt", "1.txt"]),
        (["e\u0301.png"], ["\u00e9.txt"], ["\u00e9.txt"]),
        (["a_leftImg8bit.png"], ["a_gtFine_labelIds.png"], ["a_gtFine_labelIds.png"]),
        (["a_leftImg8bit.png"], ["a_gtFine_labelIds.png", "a_gtFine_labelTrainIds.png"], []),
        (["1.PNG"], ["1_MASK.png"], ["1_MASK.png"]),
    ],
)
def test_examples(pictures: list[str], labels: list[str], pairs: list[str]) -> None:
    found = match("/p", [f"/p/{path}" for path in pictures], "/l", [f"/l/{path}" for path in labels])
    assert [label.removeprefix("/l/") for _, label in found.pairs] == pairs


def test_what_fits_several_is_named() -> None:
    found = match("/p", ["/p/left/1.png", "/p/right/1.png"], "/l", ["/l/1.txt"])
    advice = "Give a picture and its label the same path below both folders."
    reason = f"1.txt fits left/1.png and right/1.png: neither is taken. {advice}"
    assert found.unclear == [("/p/left/1.png", reason), ("/p/right/1.png", reason)]
    assert (found.unpaired_features, found.unpaired_labels) == ([], [])


def test_labels_beside_their_pictures() -> None:
    files = ["/a/room_clean.png", "/a/room_clean_mask.png", "/a/1.png", "/a/1_L.png"]
    assert told_apart(files) == (["/a/room_clean.png", "/a/1.png"], ["/a/room_clean_mask.png", "/a/1_L.png"])


def test_files_that_belong_to_a_paired_picture_are_listed_and_not_missed() -> None:
    pictures = [f"{PICTURES}/{name}" for name in ("a.jpg", "a_superpixels.png", "a_2.jpg", "b_2ndHO.png")]
    problems: list[dict[str, object]] = []
    match(PICTURES, pictures, LABELS, [f"{LABELS}/a.png"]).report(Findings(problems.append), "", "No mask.", "No picture.")
    missed = {str(problem["entry"]).removeprefix(f"{PICTURES}/"): "lost" in problem for problem in problems}
    assert missed == {"a_superpixels.png": False, "a_2.jpg": True, "b_2ndHO.png": True}
