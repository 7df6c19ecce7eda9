"""Words for what is known and not read: annotations of other forms, packed files, pictures without any labels."""

from __future__ import annotations

import os
import re
from collections import Counter
from collections.abc import Iterator, Sequence

from digits.errors import DataError
from digits.extensions.data.files.names import listed, stem
from digits.extensions.data.files.tables import number_of
from digits.extensions.data.files.text import read_text
from digits.extensions.data.recognition.proposals import Remark
from digits.extensions.data.recognition.tree import IMAGE, Tree

BOXES, MASKS = "image-object-detection", "image-segmentation"
HEAD = 1 << 15  # bytes of a file that are looked at
FILES = 40  # that are looked at, of each ending
LINES = 8
CONVERT = "are not read; convert them to COCO, PASCAL VOC or YOLO"
JSON_FORMS = (  # what is in the beginning of a file, whose it is, and what else there may be in place of it
    (re.compile(r'"box2d"|"poly2d"'), "BDD100K", (BOXES, MASKS)),
    (re.compile(r'"shape_attributes"'), "the VGG Image Annotator", (BOXES, MASKS)),
    (re.compile(r'"(classTitle|geometryType)"'), "Supervisely", (BOXES, MASKS)),
    (re.compile(r'"(rectanglelabels|polygonlabels|brushlabels)"'), "Label Studio's own export", (BOXES, MASKS)),
    (re.compile(r'"imgHeight".*"polygon"', re.DOTALL), "Cityscapes (polygons)", (MASKS,)),
    (re.compile(r'"segments_info"'), "COCO's panoptic task", (BOXES, MASKS)),
    (re.compile(r'"coco_url"(?!.*"file_name")', re.DOTALL), "LVIS, without file_name", (BOXES, MASKS)),
)
FRAMES = re.compile(r'"(bbox|bboxes|boxes|xmin|x1|polygon|keypoints)"')
NAMES = re.compile(r'"([^"/\\]{1,120})"\s*[:,}]')
MOST_NAMES = 2000
PACKED = {
    ".tfrecord": "TFRecord files",
    ".parquet": "Parquet files",
    ".arrow": "Arrow files",
    ".rec": "MXNet record files",
    ".h5": "HDF5 files",
    ".hdf5": "HDF5 files",
    ".npz": "NumPy files",
    ".npy": "NumPy files",
    ".mat": "MATLAB files",
    ".pkl": "pickled files",
    ".pickle": "pickled files",
    ".pt": "PyTorch files",
    ".beton": "FFCV files",
}
READ = (".txt", ".xml", ".json", ".csv", ".tsv", ".yaml", ".yml", ".names", "")
ARCHIVES = (".zip", ".tar", ".tgz", ".gz", ".bz2", ".xz", ".7z", ".rar")
OTHER_PICTURES = (".heic", ".heif", ".avif", ".dng", ".nef", ".cr2", ".arw", ".raw", ".exr", ".hdr", ".svg", ".psd", ".jxl")
IDX = re.compile(r"-(images|labels)[-.]idx\d-ubyte(\.gz)?$")
CIFAR = re.compile(r"^(data_batch_\d|test_batch(\.bin)?|data_batch_\d\.bin)$")
VISDRIVE = re.compile(r"-?\d+(,-?\d+){7,9},?")
MOT = re.compile(r"\d+,-?\d+(,-?\d+(\.\d+)?){4,8}")
FACE_BOX = re.compile(r"\s*\d+(\s+\d+){9}\s*")
ICDAR = re.compile(r"-?\d+(,-?\d+){7},.*")


def find(tree: Tree) -> Iterator[Remark]:
    """A sentence for each form, the annotations first."""
    yield from _said(tree, _json_forms(tree))
    yield from _said(tree, _text_forms(tree))
    yield from _of_other_files(tree)
    yield from _packed(tree)
    yield from _nothing_said(tree)


Form = tuple[str, tuple[str, ...], str]  # whose the files are, what may stand in place of it, the folder or file


def _said(tree: Tree, found: Iterator[Form]) -> Iterator[Remark]:
    """One sentence for all places of a form."""
    places: dict[tuple[str, tuple[str, ...]], list[str]] = {}
    for words, without, place in found:
        places.setdefault((words, without), []).append(os.path.relpath(place, tree.root.path))
    for (words, without), paths in places.items():
        named = list(dict.fromkeys(paths))
        yield Remark(f"The annotations in {listed(named)} look like those of {words}, which {CONVERT}.", without)


def _json_forms(tree: Tree) -> Iterator[Form]:
    pictures = tree.root.stems(IMAGE)
    for path in tree.some_files(".json", each=2, most=FILES):
        head = _head(path)
        for form, words, without in JSON_FORMS:
            if form.search(head):
                yield words, without, _place(tree, path)
                break
        else:
            if FRAMES.search(head) and any(stem(name) in pictures for name in NAMES.findall(head)[:MOST_NAMES]):
                yield "no known form", (BOXES, MASKS), _place(tree, path)


def _text_forms(tree: Tree) -> Iterator[Form]:
    pictures = tree.root.stems(IMAGE)
    for path in tree.some_files(".txt", each=2, most=FILES):
        lines = [line.strip() for line in _head(path).splitlines() if line.strip()][:LINES]
        if not lines:
            continue
        place = _place(tree, path)
        if os.path.basename(path) == "gt.txt" and all(map(MOT.fullmatch, lines[:-1] or lines)):
            yield "the MOT challenge", (BOXES,), place
        elif _names_picture(lines[0], pictures) and len(lines) > 2 and lines[1].isdigit() and FACE_BOX.fullmatch(lines[2]):
            yield "WIDER FACE", (BOXES,), place
        elif stem(os.path.basename(path)) in pictures and all(map(VISDRIVE.fullmatch, lines[:-1] or lines)):
            yield "VisDrive", (BOXES,), place
        elif any(map(_is_dota, lines)):
            yield "DOTA (turned boxes)", (BOXES,), place
        elif len(lines) > 1 and all(map(ICDAR.fullmatch, lines[:-1])) and not all(map(VISDRIVE.fullmatch, lines[:-1])):
            yield "ICDAR (text)", (BOXES,), place


def _of_other_files(tree: Tree) -> Iterator[Remark]:
    """Files that say something of pictures and are read in no form, or would be under another name."""
    for folder in tree.folders:
        paths = folder.paths("")
        if paths and "<annotation>" in _head(paths[0]):
            yield Remark(f"The files in {folder.path} hold PASCAL VOC's XML and have no ending: rename them to .xml.", (BOXES,))
            break
    pictures = tree.root.stems(IMAGE)
    named = Counter[str]()
    for folder in tree.folders:
        for kind, names in folder.files.items():
            if kind not in {*READ, *PACKED, IMAGE}:
                named[kind] += len(pictures.intersection(name[: -len(kind)] for name in names))
    for kind, count in named.items():
        if pictures and 2 * count >= len(pictures):
            yield Remark(f"The {kind} files that are named like pictures are not read.", (BOXES, MASKS))
    lists = {name for folder in tree.folders for name in folder.names(".txt")}
    if {"images.txt", "image_class_labels.txt"} <= lists:
        boxes = " and the boxes in bounding_boxes.txt" if "bounding_boxes.txt" in lists else ""
        split = "the split in train_test_split.txt" if "train_test_split.txt" in lists else "the numbers in images.txt"
        yield Remark(f"This looks like CUB-200: {split}{boxes} are not read; classes are taken from the folders.")


def _packed(tree: Tree) -> Iterator[Remark]:
    present = {kind for folder in tree.root.walk() for kind in folder.files}
    pictures = tree.root.stems(IMAGE)
    labels = {folder.path for folder in tree.folders if folder.is_label}
    for kind in (kind for kind in PACKED if kind in present):
        paths = tree.root.below(kind)
        told = [path for path in paths if os.path.dirname(path) in labels or stem(os.path.basename(path)) in pictures]
        text = f"{PACKED[kind]} ({len(paths):,}, such as {_short(tree, (told or paths)[0])}) are not read."
        if told:
            yield Remark(text, (BOXES, MASKS, "image-dicom"))
        else:
            yield Remark(text if pictures else f"{text} {_WRITE}", only_alone=True)
    if others := [path for kind in OTHER_PICTURES if kind in present - {IMAGE} for path in tree.root.below(kind)]:
        yield Remark(
            f"Pictures such as {_short(tree, others[0])} ({len(others):,}) are of a kind that is not read; save them as PNG."
        )
    if not pictures:
        yield from _instead_of_pictures(tree)


def _instead_of_pictures(tree: Tree) -> Iterator[Remark]:
    """What holds pictures and is none, where there are no others."""
    names = [path for folder in tree.root.walk() for kind in folder.files for path in folder.paths(kind)]
    packed = [path for path in names if path.lower().endswith(ARCHIVES) and not IDX.search(path)]
    if packed:
        text = f"Packed files such as {_short(tree, packed[0])} ({len(packed):,}) are not looked into: unpack them first."
        yield Remark(text, only_alone=True)
    for form, words in ((IDX, "MNIST's own form (idx)"), (CIFAR, "CIFAR's own form (batches)")):
        if found := [path for path in names if form.search(os.path.basename(path))]:
            yield Remark(f"{_short(tree, found[0])} is of {words}, which is not read. {_WRITE}", only_alone=True)
    if any(os.path.basename(path) == "data.mdb" for path in names):
        yield Remark("This looks like an LMDB database: a data set is made of it by New Dataset, Images, Other.", only_alone=True)


_WRITE = "Write the pictures as files, e.g. PNG in a folder for each class (digits download-data does so for MNIST and CIFAR)."


def _nothing_said(tree: Tree) -> Iterator[Remark]:
    """Where there is nothing but pictures, or not even these."""
    pictures = tree.root.below(IMAGE)
    if not pictures:
        yield Remark(f"No pictures lie in {tree.root.path}.", only_alone=True)
        return
    folder = os.path.commonpath([os.path.dirname(path) for path in pictures])
    labels = [_short(tree, one.path) for one in tree.folders if one.is_label and one.names(IMAGE)]
    text = f"{len(pictures):,} pictures lie in {folder}, and nothing was found that says what they show."
    if labels:
        text = (
            f"Pictures of labels seem to lie in {listed(labels)}, but their names do not say to which pictures they belong. Name "
            "both folders in the form of segmentation or image processing, and say how the labels are named."
        )
    elif words := _beginnings(pictures):
        text += (
            f" Their names begin with {words}: if these are classes, sort them into a folder for each, or name them in a table."
        )
    else:
        text += " Image processing can learn the pictures themselves (an autoencoder)."
    yield Remark(text, only_alone=True)


def _beginnings(pictures: Sequence[str]) -> str:
    """The few words with which names begin (`cat.1.jpg`, `dog.1.jpg`); empty for others."""
    found: dict[str, int] = {}
    for path in pictures:
        word = re.match(r"[^\W\d_]+", os.path.basename(path))
        if word and word[0] != stem(os.path.basename(path)):
            found[word[0]] = found.get(word[0], 0) + 1
    several = sorted(word for word, count in found.items() if count > 1)
    if not 2 <= len(several) <= 20 or 2 * sum(found[word] for word in several) < len(pictures):
        return ""
    return ", ".join(several)


def _place(tree: Tree, path: str) -> str:
    """The file, or its folder where many of its kind lie in it."""
    folder, kind = os.path.dirname(path), os.path.splitext(path)[1].lower()
    return folder if any(one.path == folder and len(one.names(kind)) > 1 for one in tree.folders) else path


def _head(path: str) -> str:
    try:
        return read_text(path, HEAD)
    except DataError:
        return ""


def _names_picture(line: str, pictures: frozenset[str]) -> bool:
    return stem(os.path.basename(line)) in pictures


def _is_dota(line: str) -> bool:
    words = line.split()
    return len(words) in (9, 10) and None not in map(number_of, words[:8]) and number_of(words[8]) is None


def _short(tree: Tree, path: str) -> str:
    return os.path.relpath(path, tree.root.path)
