"""What the colours of masks mean: by a file near them, or by the known set that their folder's name says."""

from __future__ import annotations

import os
from collections.abc import Sequence

from digits.errors import LoadImageError
from digits.extensions.data.image_segmentation.kinds import COLOURS
from digits.extensions.data.image_segmentation.masks import read_colours
from digits.extensions.data.recognition.alike import some
from digits.extensions.data.recognition.proposals import Remark, Values
from digits.extensions.data.recognition.tree import Tree

MOST = 12  # colours that are listed
MAPS = frozenset(
    {
        *("labelmap.txt", "label_map.txt", "label_colors.txt", "label_colours.txt", "class_dict.csv", "class_dict_seg.csv"),
        *("colormap.txt", "colors.txt", "palette.txt"),
    }
)


def classes_of(tree: Tree, labels: str, kind: str) -> Values | None:
    """The fields of the classes of masks of a kind; None for colours of which nothing says what they mean."""
    if kind == COLOURS and (found := _map(tree)):
        return {**found, "label_set": ""}
    label_set = _label_set(labels)
    return None if kind == COLOURS and not label_set else {"label_set": label_set}


def unknown(labels: str, paths: Sequence[str]) -> Remark:
    """That the colours of masks are not known, and which there are."""
    colours: set[int] = set()
    for path in some(paths):
        try:
            colours.update(read_colours(path).ravel().tolist())
        except LoadImageError:
            continue
    shown = [f"{code >> 16} {code >> 8 & 255} {code & 255}" for code in sorted(colours)[:MOST]]
    more = f" and {len(colours) - MOST} more" if len(colours) > MOST else ""
    return Remark(
        f"The masks in {labels} are coloured ({', '.join(shown)}{more}), and no file near them says which colour is which class. "
        "Write one with a line such as “255 0 0 name” for each colour, and give it to segmentation as the colour map file.",
        only_without=("image-segmentation",),
    )


def _map(tree: Tree) -> Values:
    """A file near by that says which colour is which class."""
    for folder in tree.folders:
        for path in [*folder.paths(".txt"), *folder.paths(".csv")]:
            if os.path.basename(path).lower() in MAPS and tree.may_read(path):
                return {"colormap_method": "textfile", "colormap_text_file": path}
    return {}


def _label_set(labels: str) -> str:
    if "camvid" in labels.lower():
        return "camvid"
    return "voc" if os.path.basename(labels) == "SegmentationClass" else ""
