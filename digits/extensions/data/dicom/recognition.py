"""What a folder of DICOM files may be as a data set, seen from names and the headers of a few."""

from __future__ import annotations

import os
import time
from collections import Counter
from collections.abc import Sequence
from typing import Any

from digits.extensions.data.dicom.reading import is_dicom, read_header
from digits.extensions.data.dicom.scan import LABEL_MAP, SEGMENTATION
from digits.extensions.data.files.listing import walk
from digits.extensions.data.files.names import below, stem
from digits.utils.confinement import Confinement
from digits.utils.names import is_image_file

SECONDS = 1.5
MASKS = (".png", ".tif", ".tiff", ".nii", ".nii.gz", ".npy")
VOLUMES = (".nii", ".nii.gz")
MASK_WORDS = ("mask", "label", "seg", "annot", "contour", "truth")


def proposals(folder: str, allowed_roots: Sequence[str]) -> list[dict[str, Any]]:
    """DICOM pictures that may be read, with masks where a folder near them holds some, else by folder where there are several,
    else alone."""
    pictures: Counter[str] = Counter()
    masks: Counter[str] = Counter()
    others: dict[str, list[str]] = {}
    stems: set[str] = set()
    ends = time.monotonic() + SECONDS
    may_read = Confinement(allowed_roots).allows
    for root, names in walk(folder, may_read):
        says_mask = any(word in below(folder, root).lower() for word in MASK_WORDS)
        for name in names:
            if time.monotonic() > ends:
                break
            if not may_read(path := os.path.join(root, name)):
                continue
            if name.lower().endswith(MASKS):
                others.setdefault(root, []).append(name)
            elif not is_image_file(name) and is_dicom(path):
                if _is_segmentation(path, says_mask):
                    masks[root] += 1
                else:
                    pictures[root] += 1
                    stems.add(stem(name))
        if time.monotonic() > ends:
            break
    if not (count := pictures.total()):
        return []
    for root, names in others.items():
        says_mask = any(word in below(folder, root).lower() for word in MASK_WORDS)
        if found := [name for name in names if says_mask or name.lower().endswith(VOLUMES) or stem(name) in stems]:
            masks[root] += len(found)
    values: dict[str, Any] = {"dicom_folder": _common(pictures), "labels": "none"}
    reason = f"{count:,} DICOM files lie in {values['dicom_folder']}"
    if masks:
        values |= {"labels": "masks", "mask_folder": _common(masks)}
        reason += f", files of masks in {values['mask_folder']}"
    elif len({os.path.relpath(place, values["dicom_folder"]).split("/")[0] for place in pictures}) > 1:
        values["labels"] = "folders"
        reason += ", in several folders"
    return [{"title": "DICOM", "values": values, "records": count, "reason": f"{reason}."}]


def _is_segmentation(path: str, likely: bool) -> bool:
    if not likely and not os.path.basename(path).lower().startswith("seg"):
        return False
    header = read_header(path, ["SOPClassUID"])
    return header is not None and header.get("SOPClassUID") in (SEGMENTATION, LABEL_MAP)


def _common(places: Counter[str]) -> str:
    return os.path.commonpath(list(places))
