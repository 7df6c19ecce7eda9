"""What must stay together in a split that is drawn: pictures of one video, patient or scene, which look alike."""

from __future__ import annotations

import os
import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from itertools import islice, pairwise

import numpy as np

from digits.extensions.data.files.additions import naming_of
from digits.extensions.data.files.listing import MayRead, pictures_below
from digits.extensions.data.files.names import stem
from digits.extensions.data.files.pairs import told_apart
from digits.extensions.data.recognition.alike import correlation, small, some
from digits.extensions.data.recognition.proposals import Proposal

FOLDERS = {  # the sources that draw a split, and the field of the pictures that they draw from
    "image-segmentation": "feature_folder",
    "image-processing": "feature_folder",
    "image-object-detection": "train_image_folder",
    "image-classification-folder": "folder_train",
    "image-classification-textfile": "textfile_train_folder",
    "image-regression": "image_folder",
    "image-multi-label": "image_folder",
}
GIVEN = (
    "train_list_file",
    "has_val_folder",
    "val_image_folder",
    "val_values_file",
    "textfile_use_val",
)  # the split is none that is drawn
FOLDER = r"([^/]+)/[^/]+$"
NAMED = re.compile(
    r"(.+?)([-_. ]*(?:frame|fr|f|img|image|slice|s|t)?[-_. ]*)(\d+)\D*", re.IGNORECASE
)  # a name, what parts it, a number
SAID = re.compile("clip|video|vid_|seq|scene|patient|case|subject|shot|movie|mvi|gopr", re.IGNORECASE)
LISTED = 20_000  # files
LEAST = 3  # groups, and pictures of most groups
PAIRS = 6  # of neighbours, and of pictures of different groups
NEAR, APART = 0.85, 0.15  # correlation of neighbours, and by how much it is above that of others


def with_groups(proposal: Proposal, may_read: MayRead) -> Proposal:
    """The proposal with a pattern for pictures that belong together, and why, where a split will be drawn from such."""
    folder = str(proposal.values.get(FOLDERS.get(proposal.extension, ""), ""))
    if not folder or any(proposal.values.get(name) for name in GIVEN):
        return proposal
    paths = list(islice(pictures_below(folder, may_read=may_read), LISTED))
    said = str(proposal.values.get("label_pattern") or proposal.values.get("mask_pattern") or "")
    inner = said.partition("=")[0].rpartition("/")[0].strip()
    if proposal.values.get("label_folder") == folder:  # labels among them
        paths = (naming_of(said).divided(paths) if said else told_apart(paths))[0]
    skipped = 2 if proposal.extension == "image-classification-folder" else 1  # the folder of a class is none of a video
    below = {path: "/".join(path[len(folder) :].split("/")[skipped:]) for path in paths}
    beginning = _of_names(list(below.values()))
    folders = rf"([^/]+)/{re.escape(inner)}/[^/]+$" if inner else FOLDER
    for expression, where in ((folders, "lie in one folder"), (beginning, "have names that begin alike")):
        groups = _groups(below, expression) if expression else {}
        if len(groups) < LEAST or 2 * sum(len(group) >= LEAST for group in groups.values()) <= len(groups):
            continue
        if _are_called_so(groups, expression) or _look_alike(groups):
            words = f" Pictures that {where} seem to belong together ({len(groups):,} groups); they stay in one split."
            return replace(proposal, reason=proposal.reason + words, values={**proposal.values, "group_pattern": expression})
    return proposal


def _of_names(paths: Sequence[str]) -> str:
    """An expression for the names before numbers of frames, by what parts them in most; empty where there are none."""
    found = [match for path in paths if (match := NAMED.fullmatch(stem(os.path.basename(path))))]
    if 2 * len(found) < len(paths) or not found:
        return ""
    mark, _ = Counter(match[2] for match in found).most_common(1)[0]
    return rf"([^/]+){re.escape(mark)}\d+[^/]*$" if mark else r"([^/]*[^/\d])\d+[^/\d]*$"


def _groups(paths: Mapping[str, str], expression: str) -> dict[str, list[str]]:
    """Pictures by what an expression finds in their paths below a folder, in the order of their numbers."""
    found: dict[str, list[str]] = defaultdict(list)
    pattern = re.compile(expression)
    for path, below in paths.items():
        if match := pattern.search(below):
            found[match[1]].append(path)
    return {name: sorted(group, key=_numbers) for name, group in found.items()}


def _numbers(path: str) -> list[int]:
    return [int(number) for number in re.findall(r"\d{1,18}", os.path.basename(path))]


def _are_called_so(groups: Iterable[str], expression: str) -> bool:
    """Whether the names of most groups, or what stands before the numbers, say that these are videos, scenes or patients."""
    said = [SAID.search(name) is not None for name in groups]
    return "frame" in expression.lower() or 2 * sum(said) > len(said)


def _look_alike(groups: dict[str, list[str]]) -> bool:
    """Whether neighbours in a group look alike, and pictures of different groups less."""
    large = some([name for name, group in groups.items() if len(group) >= LEAST], PAIRS)
    middles = [(group[len(group) // 2 - 1], group[len(group) // 2]) for group in (groups[name] for name in large)]
    near = _alike(middles)
    apart = _alike([(first[0], second[0]) for first, second in pairwise(middles)])
    return near >= NEAR and near - apart >= APART


def _alike(pairs: Sequence[tuple[str, str]]) -> float:
    """The middle correlation of pairs of pictures."""
    found = []
    for one, other in pairs:
        first, second = small(one), small(other)
        if first is not None and second is not None and first.std() and second.std():
            found.append(correlation(first, second))
    return float(np.median(found)) if found else 0.0
