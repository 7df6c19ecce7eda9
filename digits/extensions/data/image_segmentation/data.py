"""Segmentation data sets: pictures with masks of classes, or with COCO's polygons."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, ClassVar

import numpy as np

from digits.domain.datasets import IGNORED, TRAIN_DB
from digits.errors import DataError
from digits.extensions.data.files.names import FileNames
from digits.extensions.data.files.text import read_json
from digits.extensions.data.image_segmentation import classes as of
from digits.extensions.data.image_segmentation import coco_masks, objects, panoptic
from digits.extensions.data.image_segmentation.label_sets import LABEL_SETS
from digits.extensions.data.image_segmentation.masks import MaskRules
from digits.extensions.data.image_segmentation.partners import Sides
from digits.extensions.data.images.base import Entries, skip
from digits.extensions.data.images.coco import CocoFile, FoundPicture, Id, coco_of, is_panoptic
from digits.extensions.data.images.findings import Findings
from digits.extensions.data.images.frames import frame_of, unclear_turn
from digits.extensions.data.images.options import PairOptions
from digits.extensions.data.images.pair_source import Pair, PairSource
from digits.extensions.data.images.pictures import Notes, digest_of, feature_of, read_turned, remarks
from digits.extensions.data.images.sizes import NO_SIZE, Size
from digits.extensions.data.images.turns import turned_alike
from digits.extensions.data.source import Options, Sample, Words
from digits.utils.constants import CLASS_LABELS_ATTRIBUTE, COLOR_PALETTE_ATTRIBUTE

LISTED_FAULTS = 3


@dataclass(frozen=True)
class SegmentationOptions(PairOptions):
    """`ignore_index` are pixel values or class names that do not count; `label_set` is the name of a known one."""

    mask_source: str = "folder"  # folder | objects | coco
    mask_pattern: str = ""  # how masks are named, `*_1stHO`; empty: as the pictures, or seen from what the names share
    label_set: str = ""
    class_labels_file: str = ""
    colormap_method: str = "label"  # label | textfile
    colormap_text_file: str = ""
    ignore_index: Words = ("255", "void")
    unknown_void: bool = False
    mask_threshold: int | None = None  # None: seen from the masks; 0: none


class DataIngestion(PairSource):
    """Entries are `(picture, mask)` or, from COCO, `(picture, drawings, stated size)`, with a dictionary in place of the drawings
    where they are of its panoptic task; labels are (1, H, W) uint8, 255 does not count."""

    OPTIONS: ClassVar[type[Options]] = SegmentationOptions
    options: SegmentationOptions
    FORM = "digits.extensions.data.image_segmentation.forms"
    READS = (".json", ".txt")
    LABEL_WORD = "mask"

    @staticmethod
    def get_id() -> str:
        return "image-segmentation"

    @staticmethod
    def get_title() -> str:
        return "Segmentation"

    @staticmethod
    def get_needs() -> str:
        return "Pictures and a mask for each: two folders with the same names."

    def get_task(self) -> str:
        return "segmentation"

    def collect(self, findings: Findings) -> Entries:
        self._coco_categories: dict[Id, str] = {}
        self._is_panoptic: bool | None = None
        entries = super().collect(findings)
        masks = [entry[1] for items in entries.values() for entry in items]
        if self.from_coco:
            self._number_categories(entries)
        elif any(isinstance(mask, list) for mask in masks):
            self._keep(self._classes_of_objects(findings))
        else:
            self._keep(self._classes(masks, findings))
        del self._coco_categories, self._is_panoptic
        return entries

    def encode_entry(self, entry: tuple[Any, ...]) -> Sample:
        path, label, *stated = entry
        picture, orientation = read_turned(path, self.options.channel_conversion)
        height, width = picture.shape[:2]
        mask, notes = self._mask(path, label, (width, height), tuple(stated[0]) if stated else NO_SIZE, orientation)
        if mask.shape != (height, width):
            raise skip(
                str(label),
                f"The mask has {mask.shape[1]}x{mask.shape[0]} pixels, its picture {width}x{height}.",
                "Bring the mask to the picture's size (by the nearest pixel, not smoothed), or remove both.",
            )
        place = self.fit.place(width, height)
        return Sample(
            feature_of(place.picture(picture)),
            place.mask(mask, IGNORED)[np.newaxis],
            source=path,
            original_size=(width, height),
            group=self.group_of(path),
            digest=digest_of(path),
            notes=notes + remarks(path),
        )

    def describe(self) -> dict[str, Any]:
        return {**super().describe(), "ignore_index": IGNORED}

    def labels_in(self, folder: str, findings: Findings, stage: str) -> list[str]:
        masks = super().labels_in(folder, findings, stage)
        label_set = LABEL_SETS.get(self.options.label_set)
        if label_set is None or not label_set.ending:
            return masks
        chosen = [path for path in masks if os.path.splitext(path)[0].endswith(label_set.ending)]
        if not chosen:
            raise DataError(
                f"No mask below {folder} has a name that ends in {label_set.ending}.",
                advice="Choose another label set, or name the folder that holds these masks, e.g. gtFine/train.",
            )
        return chosen

    @property
    def from_coco(self) -> bool:
        return self.options.mask_source == "coco"

    def _mask(self, path: str, label: Any, size: Size, stated: Size, orientation: int) -> tuple[np.ndarray, Notes]:
        width, height = size
        if isinstance(label, dict):
            mask, turned_from, said = panoptic.read(label)
            mask, notes = turned_alike(mask, turned_from, (height, width), orientation, self.LABEL_WORD)
            return mask, notes + [(self.LABEL_WORD, reason) for reason in said]
        if not self.from_coco:
            read = objects.joined if isinstance(label, list) else self.rules.read
            return turned_alike(*read(label), (height, width), orientation, self.LABEL_WORD, self.way_of_most)
        frame = frame_of(stated, size, orientation)
        mask, wrong = coco_masks.draw(label, frame.drawn_in[1], frame.drawn_in[0], path)
        notes = [("stated-size", frame.note)] if frame.note else []
        if label and (unclear := unclear_turn(stated, size, orientation)):
            notes.append((self.LABEL_WORD, unclear))
        return frame.mask(mask), notes + [("annotation", f"{reason}.") for reason in wrong[:LISTED_FAULTS]]

    @cached_property
    def rules(self) -> MaskRules:
        """How masks are read."""
        return MaskRules.from_json(self.userdata["mask_rules"])

    def __getstate__(self) -> dict[str, Any]:
        return {name: value for name, value in super().__getstate__().items() if name != "rules"}

    # -- classes of masks ---------------------------------------------------------------------------------------

    def _classes(self, masks: Sequence[str], findings: Findings) -> of.Classes:
        o = self.options
        if o.label_set:
            return of.of_label_set(o.label_set, masks, findings)
        if o.colormap_method == "textfile":
            return of.of_colour_map(self.file_at(o.colormap_text_file), self._wanted, masks, findings)
        return of.of_masks(masks, self._wanted, findings, self.check_stop)

    def _classes_of_objects(self, findings: Findings) -> of.Classes:
        classes = of.of_objects(self._wanted)
        findings.add("note", objects.SAID.format(classes.labels[1]), self._folder("label_folder"))
        return classes

    @property
    def _wanted(self) -> of.Wanted:
        o = self.options
        labels_file = self.file_at(o.class_labels_file) if o.class_labels_file else ""
        return of.Wanted(labels_file, o.ignore_index, o.unknown_void, o.mask_threshold)

    def _keep(self, classes: of.Classes) -> None:
        self.userdata[CLASS_LABELS_ATTRIBUTE] = classes.labels
        self.userdata["mask_rules"] = classes.rules.to_json()
        if classes.palette:
            self.userdata[COLOR_PALETTE_ATTRIBUTE] = classes.palette

    # -- which mask belongs to which picture ---------------------------------------------------------------------

    def paired(
        self, root: str, features: list[str], label_root: str, labels: list[str], stage: str, findings: Findings
    ) -> list[Pair]:
        o, sides = self.options, Sides(root, features, label_root, labels)
        by_objects = o.mask_source == "objects"
        if not o.mask_pattern and (grouping := sides.objects(numbered=by_objects)):
            grouping.report(findings, stage)
            return [[path, masks] for path, masks in grouping.groups]
        if by_objects:
            raise DataError(
                f"No picture in {root} has several masks in {label_root}.",
                advice="Expected are ID/images/ID.png with ID/masks/*.png, masks/ID/*.png, or masks/ID_1.png, masks/ID_2.png.",
            )
        if not self.pattern and (naming := sides.naming()):
            reason = f"Masks were found by what their names share, {naming}; say how masks are named if that is wrong."
            findings.add("note", reason, label_root, stage)
            return self.named(naming, root, features, label_root, labels, stage, findings)
        return super().paired(root, features, label_root, labels, stage, findings)

    @property
    def pattern(self) -> str:
        return self.options.mask_pattern

    # -- COCO ---------------------------------------------------------------------------------------------------

    def _pairs(self, features_field: str, labels_field: str, stage: str, findings: Findings) -> list[Pair]:
        if not self.from_coco:
            return super()._pairs(features_field, labels_field, stage, findings)
        root = self._folder(features_field)
        coco = self._read_coco(self._folder(labels_field), stage, findings)
        masks = panoptic.masks_of(coco, self.confinement().allows) if self._is_panoptic else None
        names = FileNames(root, self.some(self.pictures_in(root, findings, stage)))
        numbers = self._coco_classes[1]
        pairs: list[Pair] = []
        for found in coco.found(names, findings, stage):
            if found.refused and not found.annotations:
                reason = "None of its annotations could be read; left out, as it is no background."
                findings.add("skipped", reason, found.path, stage)
                continue
            self._report_unknown(found, coco, numbers, findings, stage)
            label, reason = self._drawings(found, coco, numbers), ""
            if masks is not None:
                label, reason = panoptic.label_of(found, coco, numbers, masks)
            if reason:
                findings.add("pair", reason, found.path, stage, lost=True)
            else:
                pairs.append([found.path, label, list(found.size)])
        return pairs

    def _read_coco(self, labels: str, stage: str, findings: Findings) -> CocoFile:
        file = self.file_at(panoptic.file_of(labels, self.confinement().allows))
        content = read_json(file)
        if self._is_panoptic not in (None, is_panoptic(content)):
            raise DataError(f"{file} is of another task of COCO than the training file.", advice="Give files of one task.")
        self._is_panoptic = is_panoptic(content)
        coco = (panoptic.read_segments if self._is_panoptic else coco_of)(content, file, findings, stage)
        if stage == TRAIN_DB or not self._coco_categories:
            self._coco_categories = coco.categories
        return coco

    @staticmethod
    def _drawings(found: FoundPicture, coco: CocoFile, numbers: Mapping[str, int]) -> Any:
        known = ((one, coco.category_of(one)) for one in found.annotations)
        return [coco_masks.drawing_of(one, numbers[name]) for one, name in known if name in numbers]

    def _report_unknown(
        self, found: FoundPicture, coco: CocoFile, numbers: Mapping[str, int], findings: Findings, stage: str
    ) -> None:
        """Note the annotations whose category the training file lacks."""
        for label in map(coco.category_of, found.annotations):
            if label not in numbers:
                reason = f"The category {label!r} is not in the training file; left out."
                findings.add("annotation", reason, found.path, stage)

    @property
    def _coco_classes(self) -> tuple[list[str], dict[str, int]]:
        """The classes, and which one the name of each category is."""
        names = self._coco_categories.values()
        return coco_masks.classes_of(names, self.options.ignore_index, has_background=not self._is_panoptic)

    def _number_categories(self, entries: Entries) -> None:
        labels = self._coco_classes[0]
        if len(labels) < 2:
            raise DataError("No category counts.", advice="Correct the names that do not count.")
        if len(labels) > IGNORED:
            raise DataError(f"{len(labels)} classes; at most {IGNORED} are possible.", advice="Join some of the categories.")
        if not any(entry[1] for items in entries.values() for entry in items):
            raise DataError("None of the pictures has an object.", advice="Check that JSON file and folder belong together.")
        self.userdata[CLASS_LABELS_ATTRIBUTE] = labels
