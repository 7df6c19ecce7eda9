"""Slices of brain scans as pictures of one or more channels, and their segmentations as maps of classes."""

import os
from collections import Counter
from dataclasses import dataclass, replace
from pathlib import Path
from typing import ClassVar

import numpy as np

from digits.domain.datasets import IGNORED
from digits.errors import DataError
from digits.extensions.data.dicom import nifti, pixels
from digits.extensions.data.files.listing import other_kinds, walk
from digits.extensions.data.files.names import without_ending
from digits.extensions.data.images.findings import Findings
from digits.extensions.data.images.splitting import drawn, group_finder
from digits.extensions.data.source import FileSource, Options, Sample, Words
from digits.utils import constants, override, subclass
from digits_data_brats.classes import MOST_IN_A_SCAN, classes_of
from digits_data_brats.forms import DatasetForm, InferenceForm
from digits_data_brats.scans import MODALITIES, Scan, find_scans, patient_of
from digits_data_brats.volumes import ScanCache, check_scan, read_label, read_modalities, sized

TEMPLATES = Path(__file__).parent / "templates"
SMALL_TYPES = ("uint8", "int8", "uint16", "int16")  # others become float32
CACHE = ScanCache()


@dataclass(frozen=True)
class BratsOptions(Options):
    """Of the form and of the form to test with. Sizes of 0 are those of most scans."""

    dataset_folder: str = ""
    group_id: str = "all"  # or the name of a folder
    modality: str = "Flair"  # or `all`
    neighbours: int = 0
    channel_conversion: str = "L"  # none | L | RGB
    filter_method: str = "all"  # all | max | threshold
    filter_threshold: int = 100
    picture_size: int = 0
    regions: str = "each"  # each | whole
    class_names: Words = ()
    pct_val: float = 10.0
    patient_pattern: str = ""
    seed: int = 0
    test_image_file: str = ""
    validation_record: str = "none"  # or its number
    test_slice: int | None = None

    @property
    def modalities(self):
        return MODALITIES if self.modality == "all" else (self.modality,)


@dataclass(frozen=True)
class Slice:
    """One slice of a scan, from 0, the lowest."""

    scan: Scan
    number: int

    def __str__(self):
        return f"{self.scan}, slice {self.number}"


@subclass
class DataIngestion(FileSource):
    """An entry is a Slice. What `prepare` finds lives in userdata: the scans of each split with the numbers of their slices, the
    classes and the size and type of the pictures."""

    OPTIONS: ClassVar[type[Options]] = BratsOptions
    encode_mode = "threads"  # slices of one scan come one after the other: it is read once for all

    def __init__(self, is_inference_db=False, **kwargs):
        super().__init__(is_inference_db, **kwargs)
        if not is_inference_db and "scans" not in self.userdata:
            group_finder(self.options.patient_pattern)
            if not any(True for _ in self.volumes_below(self.options.dataset_folder, Counter())):
                raise DataError(f"{self.options.dataset_folder} holds no NIfTI file (.nii, .nii.gz).")

    @override
    def prepare(self, report):
        """Look at every scan and its label: which slices become records, and what is left out."""
        findings = Findings(report)
        usable = [(scan, *found) for scan in self.find(findings) if (found := self.look(scan, findings)) is not None]
        kept = [one for one in usable if one[-1]]
        if not kept:
            reason = findings.first_of(["skipped"]) or " No slice has as many pixels of a tumour." * bool(usable)
            raise DataError(f"None of the scans in {self.options.dataset_folder} can be used.{reason}")
        scans, grids, types, values, numbers = zip(*kept, strict=True)
        names, table = classes_of(
            set().union(*values), self.options.regions, self.options.class_names, self.options.dataset_folder
        )
        self.userdata |= {"class_labels": names, "classes": table, "size": self.common_size(grids, scans, findings)}
        self.userdata["dtype"] = str(stored_type(types))
        self.userdata["scans"] = self.split(scans, numbers, findings)
        findings.finish()

    def find(self, findings):
        """The scans of the wanted group that may be read; what belongs to none is listed."""
        root, others, paths, allowed = self.options.dataset_folder.rstrip("/") or "/", Counter(), [], self.confinement()
        for path in self.volumes_below(root, others):
            if refusal := allowed.refusal(path):
                findings.add("skipped", refusal, path)
            else:
                paths.append(path)
        scans, faults = find_scans(root, paths)
        for name, reason in faults:
            findings.add("pair", reason, name)
        if others := other_kinds(others):
            findings.add("other-files", f"{others}; not read.")
        wanted = self.options.group_id.lower()
        if wanted != "all":
            scans = [scan for scan in scans if wanted in (part.lower() for part in (*Path(root).parts, *Path(scan.name).parts))]
            if not scans:
                raise DataError(f"{root} has no scans in a folder {self.options.group_id}.", advice="Choose the group `All`.")
        return self.with_patients(scans, findings)

    def volumes_below(self, root, others):
        """Paths of NIfTI files; others are counted by ending."""
        for folder, names in walk(root):
            for name in names:
                if name.lower().endswith(nifti.ENDINGS):
                    yield os.path.join(folder, name)
                else:
                    others[os.path.splitext(name)[1].lower()] += 1

    def with_patients(self, scans, findings):
        """The scans, each with its patient."""
        if pattern := self.options.patient_pattern:
            find = group_finder(pattern)
            found = [replace(scan, patient=find(scan.name) or scan.name) for scan in scans]
        else:
            found = [replace(scan, patient=patient_of(scan.patient)) for scan in scans]
            if len(scans) > 1 and len({scan.patient for scan in found}) == 1:  # the last numbers are those of patients after all
                found = list(scans)
        if (count := len({scan.patient for scan in found})) < len(found):
            findings.add("note", f"{len(found)} scans are of {count} patients, by their names; all of a patient stay together.")
        return found

    def look(self, scan, findings):
        """Grid, type, values of the label and numbers of the slices of a scan; None where it cannot be used, which is listed."""
        self.check_stop()
        try:
            if not scan.label:
                raise DataError("It has no label.")
            grid, dtype = check_scan(scan, self.options.modalities)
            label = read_label(scan)
            values = np.unique(label).tolist()
            if len(values) > MOST_IN_A_SCAN:
                raise DataError(f"{Path(scan.label).name} holds {len(values)} values, as a picture does, not a label.")
        except DataError as error:
            findings.add("skipped", str(error), str(scan))
            return None
        return grid, dtype, values, self.chosen((label > 0).sum(axis=(1, 2)))

    def chosen(self, counts):
        """The numbers of the slices that are wanted, of the pixels of a tumour in each."""
        if self.options.filter_method == "max":
            return [int(counts.argmax())] if counts.any() else []
        least = self.options.filter_threshold if self.options.filter_method == "threshold" else 0
        return np.flatnonzero(counts >= least).tolist()

    def common_size(self, grids, scans, findings):
        """(height, width) of all pictures; scans of another size are named."""
        height, width = Counter(grid.shape[1:] for grid in grids).most_common(1)[0][0]
        for scan, grid in zip(scans, grids, strict=True):
            if grid.shape[1:] != (height, width):
                findings.add("size", f"It has {sized(grid.shape)}; they are scaled to the size of most.", str(scan))
        if wanted := self.options.picture_size:
            longer = max(height, width)
            height, width = (max(1, round(side * wanted / longer)) for side in (height, width))
        return height, width

    def split(self, scans, numbers, findings):
        """Stage to its scans, each with the numbers of its slices; all scans of a patient on one side."""
        o = self.options
        stages = drawn([scan.patient for scan in scans], o.pct_val, 0, o.seed).tolist()
        parts = {stage: [] for stage in (constants.TRAIN_DB, constants.VAL_DB)}
        for scan, chosen, stage in zip(scans, numbers, stages, strict=True):
            parts[list(parts)[stage]].append((scan, chosen))
        if o.pct_val and not parts[constants.VAL_DB]:
            findings.add("note", "All scans are of one patient: there is nobody to validate with.", stage=constants.VAL_DB)
        return parts

    @override
    def describe(self):
        height, width = self.userdata["size"]
        return {"width": width, "height": height, "resize_mode": "squash", "ignore_index": IGNORED}

    @override
    def get_task(self):
        return "segmentation"

    @override
    def itemize_entries(self, stage):
        if self.is_inference_db:
            return self.requested() if stage == constants.TEST_DB else []
        return [Slice(scan, number) for scan, numbers in self.userdata["scans"].get(stage, []) for number in numbers]

    @override
    def encode_entry(self, entry):
        """Feature (channels, H, W): of each modality the slice between its neighbours; label (1, H, W) uint8, None without
        one."""
        o, scan = self.options, entry.scan
        reads_bits = o.channel_conversion != "none"
        dtype = np.dtype(self.userdata["dtype"])
        paths, how = [scan.files[modality] for modality in o.modalities], (o.modalities, str(dtype), reads_bits)
        volumes = CACHE.get(paths, how, lambda: read_modalities(scan, o.modalities, dtype, eight_bits=reads_bits))
        _, depth, rows, columns = volumes.shape
        if entry.number >= depth:
            raise DataError(f"{scan} has {depth} slices, from 0 on; there is none with the number {entry.number}.")
        numbers = np.arange(entry.number - o.neighbours, entry.number + o.neighbours + 1).clip(0, depth - 1)
        feature = volumes[:, numbers].reshape(-1, rows, columns)
        if o.channel_conversion == "RGB" and len(feature) == 1:
            feature = np.repeat(feature, 3, axis=0)
        height, width = self.userdata["size"]
        label = self.label_of(entry, height, width) if scan.label else None
        source = scan.files[o.modalities[0]]
        feature = pixels.resize(feature, height, width)
        return Sample(feature, label, source=source, original_size=(columns, rows), group=scan.patient)

    def label_of(self, entry, height, width):
        """The classes of a slice, uint8 (1, H, W)."""
        classes = self.userdata["classes"]

        def read():
            values = read_label(entry.scan)
            table = np.full(int(values.max()) + 1, IGNORED, np.uint8)
            for value, number in classes.items():
                table[value : value + 1] = number
            return table[values]

        mask = CACHE.get([entry.scan.label], tuple(classes.items()), read)[entry.number]
        return pixels.resize(mask[np.newaxis], height, width, nearest=True)

    def requested(self):
        """What the inference form names: the slices of a file's scan, without a label, or of a scan of the validation split."""
        o = self.options
        if o.test_image_file:
            scan = self.scan_of(o.test_image_file)
            grid, _ = check_scan(scan, o.modalities)
            numbers = range(grid.shape[0])
        elif o.validation_record != "none":
            scan, numbers = self.userdata["scans"][constants.VAL_DB][int(o.validation_record)]
        else:
            raise DataError("Nothing was chosen.", advice="Name an image file, or choose a scan of the validation set.")
        return [Slice(scan, number) for number in (numbers if o.test_slice is None else [o.test_slice])]

    def scan_of(self, path):
        """The scan that a file belongs to, with the files beside it that may be read."""
        folder, wanted = os.path.dirname(path), self.options.modalities
        allowed = self.confinement()
        for root in (folder, os.path.dirname(folder)):
            near = [other for other in self.volumes_below(root, Counter()) if allowed.allows(other)]
            for scan in find_scans(root, near)[0]:
                if path in scan.files.values() and set(wanted) <= set(scan.files):
                    return replace(scan, label="")
        if len(wanted) > 1:
            return Scan(Path(path).name, "", dict.fromkeys(MODALITIES, path))  # which says what is wrong where it is not of all
        return Scan(without_ending(Path(path).name), "", {wanted[0]: path})

    @staticmethod
    @override
    def recognise(folder):
        """Scans with labels, named as those of the challenges."""
        paths = [
            os.path.join(root, name) for root, names in walk(folder) for name in names if name.lower().endswith(nifti.ENDINGS)
        ]
        scans = [scan for scan in find_scans(folder.rstrip("/") or "/", paths)[0] if scan.label]
        whole = [scan for scan in scans if len(scan.files) == len(MODALITIES) and (not scan.is_stacked or has_all(scan))]
        if not whole:
            return []
        values = {"dataset_folder": folder, "modality": "all", "filter_method": "threshold"}
        reason = f"{len(whole)} scans with the modalities {', '.join(MODALITIES)} and a segmentation each."
        return [{"values": values, "records": len(whole), "reason": reason}]

    @staticmethod
    @override
    def get_category():
        return "Images"

    @staticmethod
    @override
    def get_id():
        return "images-brats"

    @staticmethod
    @override
    def get_title():
        return "BraTS"

    @staticmethod
    @override
    def get_dataset_form():
        return DatasetForm()

    @staticmethod
    @override
    def get_dataset_template(form):
        return (TEMPLATES / "dataset.html").read_text(encoding="utf-8"), {"form": form}

    @override
    def get_inference_form(self):
        return InferenceForm([f"{scan} ({len(numbers)} slices)" for scan, numbers in self.userdata["scans"][constants.VAL_DB]])

    @staticmethod
    @override
    def get_inference_template(form):
        return (TEMPLATES / "inference.html").read_text(encoding="utf-8"), {"form": form}


def stored_type(types):
    """The type of values as they are stored that holds those of all scans."""
    found = np.result_type(*types)
    return found if str(found) in SMALL_TYPES else np.dtype(np.float32)


def has_all(scan):
    """Whether the one file of a scan holds a volume for each modality."""
    try:
        return nifti.read_header(next(iter(scan.files.values()))).shape[3] == len(MODALITIES)
    except DataError:
        return False
