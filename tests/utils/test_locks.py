"""Locks that files stand for: one holder at a time, whoever waits, and nothing is left of them."""

from __future__ import annotations

import time
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from multiprocessing import get_context
from pathlib import Path

import pytest

from digits.utils.locks import locked


def count(folder: Path) -> None:
    """Add one to a number in a file, many times, slowly enough that another would come between."""
    for _ in range(50):
        with locked(folder / ".lock"):
            number = int((folder / "number").read_text())
            time.sleep(0.0005)
            (folder / "number").write_text(str(number + 1))


@pytest.mark.parametrize("workers", [ThreadPoolExecutor, ProcessPoolExecutor])
def test_nobody_comes_between(tmp_path: Path, workers: type) -> None:
    (tmp_path / "number").write_text("0")
    options = {"mp_context": get_context("spawn")} if workers is ProcessPoolExecutor else {}
    with workers(4, **options) as pool:
        list(pool.map(count, [tmp_path] * 4))
    assert (tmp_path / "number").read_text() == "200"
    assert [path.name for path in tmp_path.iterdir()] == ["number"]
