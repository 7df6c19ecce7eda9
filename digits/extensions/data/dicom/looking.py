"""The look at a folder before the start: which pictures are used, what their values have in common, which masks they have, and
what is said of everything else."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from digits.errors import DataError
from digits.extensions.data.dicom import masks
from digits.extensions.data.dicom.classes import Classes, classes_of
from digits.extensions.data.dicom.masks import LOSSY, NO_MASK, MaskFiles
from digits.extensions.data.dicom.scan import find_slices
from digits.extensions.data.dicom.segmentation import cover
from digits.extensions.data.dicom.slices import Mask, Slice
from digits.extensions.data.files.listing import other_kinds
from digits.extensions.data.image_segmentation.levels import threshold_of
from digits.extensions.data.image_segmentation.survey import Survey, survey
from digits.extensions.data.images.findings import Findings
from digits.utils.confinement import Confinement
from digits.utils.names import class_name
from digits.utils.values import counted

MOST_SIGNED = np.iinfo(np.int16).max
CheckStop = Callable[[], None]


def pictures(
    folder: str, mask_folder: str, allowed: Confinement, findings: Findings, check_stop: CheckStop = lambda: None
) -> list[Slice]:
    """The frames of all pictures below a folder, in which masks may lie too. Raises DataError where there are none."""
    found = find_slices(Path(folder), allowed, mask_folder, check_stop)
    for name, reason in found.damaged:
        findings.add("skipped", reason, name)
    if found.without_pixels:
        findings.add("other", f"{counted(found.without_pixels, 'DICOM file')} without a picture (reports, plans, …); not used.")
    if others := other_kinds(found.others):
        findings.add("other", f"{others}; not used.")
    if not found.slices:
        raise DataError(
            f"{folder} holds no DICOM pictures.{findings.first_of(['skipped'])}",
            advice="Name a folder with DICOM files, at any depth.",
        )
    _say_units(found.slices, findings)
    return found.slices


def _say_units(slices: Sequence[Slice], findings: Findings) -> None:
    """Note that some grey pictures say how stored values become ones with a unit, and others do not."""
    grey = [one for one in slices if one.kind is not None and not one.kind.colour]
    without = [one for one in grey if one.kind is not None and not one.kind.has_units]
    if 0 < len(without) < len(grey):
        count = f"{len(without)} of {len(grey)} grey pictures have no RescaleSlope and RescaleIntercept, e.g. this one"
        findings.add("note", f"{count}: their values are as stored, those of the others in their units.", str(without[0]))


def form_of(slices: Sequence[Slice], windowed: bool) -> dict[str, Any]:
    """Channels and type of the values of most pictures (`channels`, `dtype`), and whether 8 bits hold them all (`eight_bits`)."""
    kinds = [one.kind for one in slices if one.kind is not None]
    colour = 2 * sum(kind.colour for kind in kinds) > len(kinds)
    chosen = [kind for kind in kinds if kind.colour == colour]
    eight_bits = (windowed and not colour) or all(kind.eight_bits for kind in chosen)
    if windowed and not colour:
        return {"channels": 1, "dtype": "uint8", "eight_bits": True}
    types = {kind.dtype for kind in chosen}
    whole = types <= {"uint16", "int16"} and (
        "int16" not in types or all(kind.highest <= MOST_SIGNED for kind in chosen if kind.dtype == "uint16")
    )
    one_type = types.pop() if len(types) == 1 else "int16" if whole else "uint16" if colour else "float32"
    return {"channels": 3 if colour else 1, "dtype": one_type, "eight_bits": eight_bits}


def of_one_form(slices: Sequence[Slice], form: dict[str, Any], findings: Findings) -> list[Slice]:
    """The pictures whose values can be brought to the form of most: grey and colour of 8 bits turn into each other, grey values
    with a meaning do not."""
    kept = []
    for one in slices:
        colour = one.kind is not None and one.kind.colour
        own_eight_bits = one.kind is not None and (one.kind.eight_bits or (form["dtype"] == "uint8" and not colour))
        if colour == (form["channels"] == 3) or (form["eight_bits"] and own_eight_bits):
            kept.append(one)
        else:
            found, wanted = ("colour", "grey") if colour else ("grey", "colour")
            findings.add("skipped", f"It is a {found} picture among {wanted} ones; its values mean something else.", str(one))
    return kept


def in_folders(slices: Sequence[Slice], findings: Findings) -> list[Slice]:
    """The pictures that lie in a class folder. Raises DataError where none does."""
    kept = [one for one in slices if "/" in one.name]
    for one in slices:
        if "/" not in one.name:
            findings.add("skipped", "It lies in no class folder.", str(one))
    if not kept:
        raise DataError(f"{slices[0]} lies in no class folder.", advice="Put each class in a folder of its own.")
    return kept


def class_of(one: Slice) -> str:
    """The name of the first folder below the data set's as that of a class."""
    return class_name(one.name.split("/")[0])


def with_masks(
    slices: Sequence[Slice],
    root: str,
    folder: str,
    names: Sequence[str],
    allowed: Confinement,
    findings: Findings,
    check_stop: CheckStop,
) -> tuple[list[Slice], Classes]:
    """The pictures below `root` that have a mask in a folder, and the classes; `names` are those given. Raises
    DataError where none has."""
    found = masks.find_masks(Path(folder), allowed, root)
    _report(found, findings)
    coverage = cover(found.segmentations, slices)
    for name, reason in coverage.faults:
        findings.add("mask", reason, name)
    assigned = masks.assign(slices, root, found, coverage)
    looked = survey(sorted({one.mask.path for one in assigned if one.mask and _is_picture(one.mask)}), check_stop)
    lossy = set(looked.lossy_files)
    assigned = [replace(one, mask=Mask(problem=LOSSY)) if one.mask and one.mask.path in lossy else one for one in assigned]
    kept = [one for one in assigned if one.mask is not None and not one.mask.problem]
    for one in assigned:
        if one.mask is not None and one.mask.problem:
            reason = f"It {NO_MASK}." if one.mask.problem == NO_MASK else one.mask.problem
            findings.add("pair", reason, str(one), lost=True)
    if not kept:
        raise DataError(
            f"None of the {len(slices)} pictures has a mask in {folder}.{findings.first_of(['mask', 'pair', 'skipped'])}",
            advice="Give masks the base names of the DICOM files, or name DICOM-SEG files that refer to them.",
        )
    values, threshold = _values_in(kept, looked, check_stop), threshold_of(looked.kept)
    classes = classes_of(values, found.segmentations, names, threshold)
    if threshold and classes.values and threshold in classes.values:
        then = f"Values from {threshold} on are {classes.names[1]!r}."
        findings.add("mask", f"The masks have {len(values)} grey values, most of them only at edges, as if smoothed. {then}")
    for label in classes.unknown:
        findings.add("mask", f"The segment {label!r} is not among the class names; it counts as background.")
    return kept, classes


def _report(found: MaskFiles, findings: Findings) -> None:
    for name, reason in found.faults:
        findings.add("mask", reason, name)
    if others := other_kinds(found.others):
        findings.add("other", f"{others} in the mask folder; not used.")
    for file in found.segmentations:
        if file.fractional:
            findings.add("mask", f"It is fractional: values from {file.least} on count as the segment.", file.name)


def _is_picture(mask: Mask) -> bool:
    return bool(mask.path) and mask.placement is None


def _values_in(slices: Sequence[Slice], looked: Survey, check_stop: CheckStop) -> set[int]:
    """All values of masks that are pictures or volumes; those that cannot be read are listed when they are encoded. Raises
    DataError where none can be."""
    found, failures = set(looked.kept.values), list(looked.errors)
    for one in slices:
        check_stop()
        if one.mask is None or one.mask.placement is None:
            continue
        try:
            found.update(np.unique(masks.values_of(one, one.mask)).tolist())
        except DataError as error:
            failures.append(str(error))
    if failures and not found:
        raise DataError(f"None of the masks can be read. {failures[0]}")
    return found
