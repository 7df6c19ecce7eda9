"""Which files are the modalities and the label of one scan, by the names that the BraTS challenges, and others, give them."""

import os
import re
from collections import Counter, defaultdict
from dataclasses import dataclass

from digits.extensions.data.files.names import below, without_ending

MODALITIES = ("Flair", "T1", "T1c", "T2")  # the order of volumes of four dimensions, too (Medical Segmentation Decathlon)
LABEL = "label"
WORDS = {
    **dict.fromkeys(("flair", "fla", "t2f"), "Flair"),
    **dict.fromkeys(("t1", "t1n", "t1w"), "T1"),
    **dict.fromkeys(("t1c", "t1ce", "t1gd", "t1km", "t1post"), "T1c"),
    **dict.fromkeys(("t2", "t2w"), "T2"),
    **dict.fromkeys(("seg", "segm", "segmentation", "label", "labels", "mask", "ot", "gt"), LABEL),
}
LABEL_FOLDER = re.compile(r"label|seg|mask|truth", re.IGNORECASE)
PARTS = re.compile(r"[^A-Za-z0-9]+")
TIME_POINT = re.compile(r"(.*\d)[-_]\d{1,3}")  # BraTS-GLI-00005-101, Brats18_2013_2_1: the last number is that of an examination


@dataclass(frozen=True)
class Scan:
    """The volumes of one examination: path by modality (one file of four dimensions under each), path of the label or empty."""

    name: str
    patient: str
    files: dict[str, str]
    label: str = ""

    @property
    def is_stacked(self):
        """Whether all modalities are volumes of one file."""
        return len(self.files) > 1 and len(set(self.files.values())) == 1

    def __str__(self):
        return self.name


def find_scans(root, paths):
    """The scans among some files below a folder, sorted by name, and (file, reason) of those that belong to none."""
    found, faults = {}, []
    folders = defaultdict(list)
    for path in paths:
        folders[os.path.dirname(path)].append(path)
    for members, is_one in _joined(root, folders):
        for key, files in _grouped(root, members, is_one).items():
            found.setdefault(key, []).extend(files)
    scans = []
    for key, files in sorted(found.items()):
        scan, doubled = _scan(key, files)
        faults += [(below(root, path), reason) for path, reason in doubled]
        if scan.files:
            scans.append(scan)
        elif scan.label:
            faults.append((below(root, scan.label), "It is the label of no scan: there is no modality beside it."))
    return scans, faults


def kind_of(path):
    """The modality of a file, `label`, or empty; and its name without that word."""
    parts = PARTS.split(without_ending(os.path.basename(path)))
    for place in reversed(range(len(parts))):
        if kind := WORDS.get(parts[place].lower()):
            return kind, "_".join(part for i, part in enumerate(parts) if i != place)
    return "", "_".join(parts)


def _joined(root, folders):
    """The files of each folder; those of several folders that are named after the kind of their only file, as some archives
    unpack, together. And whether they are one scan by their folders."""
    alone = defaultdict(list)
    for folder, files in sorted(folders.items()):
        if len(files) == 1 and folder != root and kind_of(files[0])[0] and kind_of(files[0])[0] == kind_of(folder)[0]:
            alone[os.path.dirname(folder)].append(files[0])
        else:
            yield files, False
    for files in alone.values():
        kinds = [kind_of(path)[0] for path in files]
        if len(set(kinds)) == len(kinds):
            yield files, True
        else:
            yield from (([path], False) for path in files)


def _grouped(root, files, is_one):
    """Files that may be of one scan, by its name: `is_one`, or one of each kind with one name, but for a single file that lies
    among those with the name of their folder; else by the names beside the kind."""
    kinds = [kind_of(path) for path in files]
    top = os.path.commonpath([os.path.dirname(path) for path in files])
    named = [kind for kind, _ in kinds if kind]
    if len(named) == len(files) == len(set(named)):
        rests = Counter(rest for _, rest in kinds)
        (most, count), *_ = rests.most_common(1)
        folder = "_".join(PARTS.split(os.path.basename(top)))
        if is_one or len(rests) == 1 or (count == len(files) - 1 > 1 and most == folder):
            name = below(root, top) if top != root else most if len(rests) == 1 else os.path.basename(root)
            return {name: list(zip(files, named, strict=True))}
    groups = defaultdict(list)
    for path, (kind, rest) in zip(files, kinds, strict=True):
        parent = os.path.dirname(path)
        if kind:
            groups[below(root, os.path.join(parent, rest))].append((path, kind))
        else:  # of four dimensions: the label has the same name, in a folder of labels beside that of the pictures
            is_label = parent != root and LABEL_FOLDER.search(os.path.basename(parent))
            home = os.path.dirname(parent) if parent != root else root
            groups[below(root, os.path.join(home, rest))].append((path, LABEL if is_label else ""))
    return groups


def _scan(key, files):
    volumes, faults, label = {}, [], ""
    for path, kind in files:
        if kind == LABEL:
            if label:
                faults.append((path, f"It is another label of {key}; {os.path.basename(label)} is taken."))
            label = label or path
        elif kind and kind not in volumes:
            volumes[kind] = path
        elif not kind and not volumes:
            volumes = dict.fromkeys(MODALITIES, path)
        else:
            taken = volumes.get(kind) or next(iter(volumes.values()))
            faults.append((path, f"It is another {kind or 'volume'} of {key}; {os.path.basename(taken)} is taken."))
    return Scan(key, os.path.basename(key), volumes, label), faults


def patient_of(name):
    """The patient of a scan: its name without the number of the examination."""
    found = TIME_POINT.fullmatch(name)
    return found[1] if found else name
