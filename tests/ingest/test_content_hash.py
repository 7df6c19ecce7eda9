"""The hash of a data set counts labels, whoever of several processes took in which."""

from __future__ import annotations

import numpy as np

from digits.ingest.split_statistics import LabelStatistics

HASHES = [bytes([n]) * 16 for n in range(4)]


def digest(*parts: tuple[list[bytes], list[object]]) -> int:
    whole = LabelStatistics()
    for hashes, labels in parts:
        one = LabelStatistics()
        one.mark(hashes, labels)
        whole.merge(one)
    return whole.digest


def test_labels_count_with_their_records_and_in_any_parts() -> None:
    labels: list[object] = [0, 1, 1, None]
    known = digest((HASHES, labels))
    assert digest((HASHES[2:], labels[2:]), (HASHES[:2], labels[:2])) == known
    assert digest((HASHES, [1, 0, 1, None])) != known
    assert digest((HASHES, [0, 1, 1, 0])) != known
    masks = [np.zeros((1, 2, 2), np.uint8) for _ in HASHES]
    other = [mask.copy() for mask in masks]
    other[0][0, 0, 0] = 1
    assert digest((HASHES, masks)) == digest((HASHES, [mask.copy() for mask in masks])) != digest((HASHES, other))
