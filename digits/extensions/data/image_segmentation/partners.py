"""Which masks belong to which picture where names alone do not say it: by what the names share, or a mask for each object."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from digits.errors import DataError
from digits.extensions.data.files.additions import Naming, are_labels, namings_of
from digits.extensions.data.files.names import listed
from digits.extensions.data.files.pairs import match, told_apart
from digits.extensions.data.image_segmentation import objects
from digits.extensions.data.images.findings import Findings

ENOUGH = 0.5  # of the pictures, or of the masks, have a partner of their own name: nothing else is looked for


@dataclass(frozen=True)
class Grouping:
    """Pictures with the masks of their objects, and all files that were looked at."""

    groups: objects.Groups
    pictures: Sequence[str]
    masks: Sequence[str]

    def report(self, findings: Findings, stage: str) -> None:
        """Note the files that belong to no group."""
        used = {path for path, _ in self.groups} | {mask for _, masks in self.groups for mask in masks}
        for path in self.pictures:
            if path not in used:
                findings.add("pair", "It has no masks of objects; the picture is left out.", path, stage, lost=True)
        for path in self.masks:
            if path not in used:
                findings.add("pair", "It is no object of a picture here; the mask is left out.", path, stage)


@dataclass(frozen=True)
class Sides:
    """The files of both folders, which may be one."""

    root: str
    pictures: Sequence[str]
    label_root: str
    masks: Sequence[str]

    @property
    def is_one_folder(self) -> bool:
        return self.root == self.label_root

    def objects(self, *, numbered: bool) -> Grouping | None:
        """Each picture with the masks of its objects; None where they do not lie so."""
        pictures, masks = objects.by_folders(self.root, self.pictures) if self.is_one_folder else (self.pictures, self.masks)
        groups = objects.grouped(self.root, pictures, self.label_root, masks, numbered=numbered)
        return Grouping(groups, pictures, masks) if groups else None

    def naming(self) -> Naming | None:
        """How the masks are named; None where most pictures have one of their own name, or nothing is seen.

        Raises DataError where the masks of a picture have several namings.
        """
        pictures, masks = self._by_known_additions()
        if len(match(self.root, pictures, self.label_root, masks).pairs) >= ENOUGH * min(len(pictures), len(masks)):
            return None
        found = namings_of(pictures, masks)
        if len(found) > 1:
            raise DataError(
                f"The pictures have several masks each, named {listed([str(naming) for naming in found])}.",
                advice="Say with `Mask names` (mask_pattern) which of them to take.",
            )
        return found[0] if found else None

    def _by_known_additions(self) -> tuple[Sequence[str], Sequence[str]]:
        if not self.is_one_folder:
            return self.pictures, self.masks
        pictures, masks = told_apart(self.pictures)
        if masks:
            return pictures, masks
        masks = are_labels(self.pictures)
        others = set(masks)
        return [path for path in self.pictures if path not in others], masks
