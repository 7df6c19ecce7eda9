"""What pictures whose labels are pictures are offered for: segmentation where these are masks, image processing, or a word."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from statistics import median

from digits.extensions.data.image_segmentation.kinds import COLOURS, OBJECTS, PANOPTIC, kind_of
from digits.extensions.data.images.sizes import NO_SIZE, picture_size
from digits.extensions.data.recognition import colours
from digits.extensions.data.recognition.alike import some
from digits.extensions.data.recognition.proposals import BySplit, Finding, Proposal, Values, pair_values, total
from digits.extensions.data.recognition.tree import Tree

MASKS, PICTURES = "image-segmentation", "image-processing"


def offers(
    tree: Tree,
    best: BySplit,
    labels: Sequence[str],
    reason: str,
    *,
    pattern: str = "",
    variant: str = "",
    lists: Values | None = None,
) -> Iterator[Finding]:
    """For pictures with these `labels` (those of the training); `pattern` says how labels are named, `variant` which of several
    kinds of pictures it is, `reason` is the beginning of a sentence."""
    kind = kind_of(some(labels))
    if kind == PANOPTIC:
        return
    values, pair = pair_values(best), best["train"]
    title = f" ({variant})" if variant else ""
    if kind:
        classes = colours.classes_of(tree, pair.labels, kind)
        if classes is None:
            yield colours.unknown(pair.labels, labels)
        else:
            objects = ", which seem to number objects" if kind == OBJECTS else ""
            named = {"mask_pattern": pattern} if pattern else {}
            said = values | classes | named | (lists or {})
            yield Proposal(MASKS, f"Segmentation{title}", f"{reason}: masks{objects}.", said, total(best), tree.complete)
    named = {"label_pattern": pattern} if pattern else {}
    likely = not kind or kind == COLOURS
    yield Proposal(PICTURES, f"Image processing{title}", f"{reason}.", values | named, total(best), tree.complete, likely)


def larger(pictures: Sequence[str], labels: Sequence[str]) -> str:
    """How many times as large labels are as their pictures, in words; empty where they are not."""
    sizes = [[size for path in some(paths) if (size := picture_size(path)) != NO_SIZE] for paths in (pictures, labels)]
    if not all(sizes):
        return ""
    factor = round(median(width for width, _ in sizes[1]) / median(width for width, _ in sizes[0]), 1)
    return f"; what comes out is {factor:g} times as large" if factor > 1 else ""
