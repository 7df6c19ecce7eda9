"""What is said of folders beside what is proposed: forms that are known and not read, packed files, copies, pictures alone."""

from __future__ import annotations

import json
import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from digits.plugin_host.recognise import look_into
from digits.utils.confinement import EVERYWHERE
from tests.plugin_host.test_recognise_public import coco, coloured, lgg, masks, photos, text

BOX = {"x1": 1.0, "y1": 2.0, "x2": 9.0, "y2": 10.0}


def bdd(root: Path) -> None:
    for split in ("train", "val"):
        names = [f"{split}{number}.jpg" for number in range(3)]
        photos(root / "images/100k" / split, *names)
        content = [{"name": name, "labels": [{"category": "car", "box2d": BOX, "id": 1}]} for name in names]
        text(root / f"labels/bdd100k_labels_images_{split}.json", json.dumps(content))


def visdrive(root: Path) -> None:
    for number in range(3):
        photos(root / "VisDrive2019-DET-train/images", f"{number:07}_d.jpg")
        text(root / f"VisDrive2019-DET-train/annotations/{number:07}_d.txt", "684,8,273,116,0,0,0,0\n406,119,265,70,1,4,0,1\n")


def wider(root: Path) -> None:
    lines = ""
    for event in ("0--Parade", "1--Handshaking"):
        names = [f"{event}/{event.replace('--', '_')}_{number}.jpg" for number in range(3)]
        photos(root / "WIDER_train/images", *names)
        lines += "".join(f"{name}\n2\n1 2 9 9 0 0 0 0 0 0 \n3 3 5 5 0 0 0 0 0 0 \n" for name in names)
    text(root / "wider_face_split/wider_face_train_bbx_gt.txt", lines)


def global_wheat(root: Path) -> None:
    names = [f"b6ab77{number}" for number in range(4)]
    photos(root / "train", *(f"{name}.jpg" for name in names))
    lines = "".join(f'{name},24,24,"[1.0, 2.0, 9.0, 9.0]",usask_1\n' for name in names)
    text(root / "train.csv", f"image_id,width,height,bbox,source\n{lines}")


def ships(root: Path) -> None:
    photos(root / "train_v2", *(f"{number}.jpg" for number in range(4)))
    lines = "".join(f"{number}.jpg,1 2 9 9 30 4\n" for number in range(4))
    text(root / "train_ship_segmentations_v2.csv", f"ImageId,EncodedPixels\n{lines}")


def chexpert(root: Path) -> None:
    lines = ""
    for number in range(6):
        photos(root, path := f"train/patient{number:05}/study1/view1_frontal.jpg")
        lines += f"CheXpert/{path},Female,6{number},{('', '1.0')[number % 2]},{('-1.0', '0.0', '1.0')[number % 3]}\n"
    text(root / "train.csv", f"Path,Sex,Age,No Finding,Edema\n{lines}")


def suim(root: Path) -> None:
    photos(root, *(f"train_val/images/d_r_{number}_.jpg" for number in range(4)))
    coloured(root, *(f"train_val/masks/d_r_{number}_.bmp" for number in range(4)))


def dota(root: Path) -> None:
    photos(root, *(f"train/images/P{number:04}.png" for number in range(3)))
    for number in range(3):
        box = "1.0 2.0 9.0 2.0 9.0 9.0 1.0 9.0 small-vehicle 0"
        text(root / f"train/labelTxt/P{number:04}.txt", f"imagesource:GoogleEarth\ngsd:0.14\n{box}\n")


def mot(root: Path) -> None:
    for video in ("MOT17-02", "MOT17-04"):
        photos(root / "train" / video, *(f"img1/{number:06}.jpg" for number in range(1, 5)))
        text(root / "train" / video / "gt/gt.txt", "".join(f"{number},1,912,484,97,109,0,7,1\n" for number in range(1, 5)))


def via(root: Path) -> None:
    photos(root, *(f"train/{number}.jpg" for number in range(3)))
    region = {"shape_attributes": {"name": "polygon", "all_points_x": [1, 9, 9], "all_points_y": [1, 1, 9]}}
    text(root / "train/via_region_data.json", json.dumps({"0.jpg": {"filename": "0.jpg", "regions": [region]}}))


def lvis(root: Path) -> None:
    photos(root / "train2017", "1.jpg", "2.jpg")
    coco(root / "lvis_v1_train.json", ["1.jpg", "2.jpg"])
    content = json.loads((root / "lvis_v1_train.json").read_text())
    for image in content["images"]:
        image["coco_url"] = f"http://images.cocodataset.org/train2017/{image.pop('file_name')}"
    text(root / "lvis_v1_train.json", json.dumps(content))


def pascal_part(root: Path) -> None:
    photos(root, *(f"JPEGImages/2008_{number:06}.jpg" for number in range(3)))
    for number in range(3):
        text(root / f"Annotations_Part/2008_{number:06}.mat", "MATLAB 5.0 MAT-file")


def dogs(root: Path) -> None:
    for name in ("n02085620-Chihuahua", "n02085782-Japanese_spaniel"):
        photos(root / "Images" / name, *(f"{name[:9]}_{number}.jpg" for number in range(3)))
        for number in range(3):
            text(root / "Annotation" / name / f"{name[:9]}_{number}", "<annotation><object/></annotation>")


def labelme_xml(root: Path) -> None:
    shape = "<object><name>car</name><polygon><pt><x>1</x><y>1</y></pt><pt><x>9</x><y>9</y></pt></polygon></object>"
    for number in range(3):
        photos(root / "Images", f"{number}.jpg")
        text(root / f"Annotations/{number}.xml", f"<annotation>{shape}</annotation>")


def packed(root: Path) -> None:
    root.mkdir(exist_ok=True)
    with zipfile.ZipFile(root / "train.zip", "w") as archive:
        archive.writestr("a/1.png", "x")


def faces(root: Path) -> None:
    photos(
        root / "thumbnails128x128", *(f"{first:05}/{first + number:05}.png" for first in (0, 1000, 2000) for number in range(3))
    )


def cats_and_dogs(root: Path) -> None:
    photos(root / "train", *(f"{name}.{number}.jpg" for name in ("cat", "dog") for number in range(4)))


def twice(root: Path) -> None:
    lgg(root)
    lgg(root / "lgg-mri-segmentation")


def tiny_imagenet(root: Path) -> None:
    names = ("n01443537", "n01629819", "n01641577")
    for name in names:
        photos(root / "train" / name, *(f"images/{name}_{number}.JPEG" for number in range(4)))
        text(root / f"train/{name}/{name}_boxes.txt", "".join(f"{name}_{number}.JPEG\t0\t10\t12\t20\n" for number in range(4)))
    photos(root, *(f"{split}/images/{split}_{number}.JPEG" for split in ("val", "test") for number in range(6)))
    lines = (f"val_{number}.JPEG\t{names[number % 3]}\t0\t1\t9\t9\n" for number in range(6))
    text(root / "val/val_annotations.txt", "".join(lines))
    text(root / "wnids.txt", "".join(f"{name}\n" for name in names))


def food(root: Path) -> None:
    names = [f"{name}/{1000 + number}" for name in ("apple_pie", "waffles") for number in range(4)]
    photos(root / "food-101/images", *(f"{name}.jpg" for name in names))
    text(root / "food-101/meta/train.txt", "".join(f"{name}\n" for name in names[::2]))
    text(root / "food-101/meta/test.txt", "".join(f"{name}\n" for name in names[1::2]))


SETS: dict[str, tuple[Callable[[Path], None], list[tuple[str, int]], str]] = {
    # how it is made, all sources that are proposed with their records, and what is said
    "BDD100K": (bdd, [], "The annotations in labels look like those of BDD100K, which are not read; convert them to COCO"),
    "VisDrive": (visdrive, [], "in VisDrive2019-DET-train/annotations look like those of VisDrive"),
    "WIDER FACE": (wider, [("image-classification-folder", 6)], "look like those of WIDER FACE"),
    "Global Wheat": (global_wheat, [], "The column bbox of train.csv holds whole boxes, which is not read"),
    "ships of Airbus": (ships, [], "The column EncodedPixels of train_ship_segmentations_v2.csv holds masks as run lengths"),
    "CheXpert": (chexpert, [], "train.csv has columns of 1, 0, -1 or nothing (No Finding and Edema)"),
    "SUIM": (suim, [("image-processing", 4)], "are coloured (0 0 0, 64 128 64, 192 0 128), and no file near them says"),
    "DOTA": (dota, [], "look like those of DOTA (turned boxes)"),
    "MOT17": (mot, [], "look like those of the MOT challenge"),
    "VGG Image Annotator": (via, [], "in train/via_region_data.json look like those of the VGG Image Annotator"),
    "LVIS": (lvis, [], "look like those of LVIS, without file_name"),
    "Pascal-Part": (pascal_part, [], "MATLAB files (3, such as Annotations_Part/2008_000000.mat) are not read"),
    "Stanford Dogs": (dogs, [("image-classification-folder", 6)], "hold PASCAL VOC's XML and have no ending: rename them"),
    "LabelMe's XML": (labelme_xml, [], "It is not proposed: The files name no class"),
    "tiny-imagenet": (
        *(tiny_imagenet, [("image-classification-folder", 12)]),
        "val/val_annotations.txt says of pictures outside of {}/train in which of its classes they are",
    ),
    "Food-101": (
        *(food, [("image-classification-folder", 8)]),
        "food-101/meta/test.txt and food-101/meta/train.txt say which pictures belong to which split",
    ),
    "an archive": (packed, [], "Packed files such as train.zip (1) are not looked into: unpack them first"),
    "FFHQ": (faces, [], "9 pictures lie in {}/thumbnails128x128, and nothing was found that says what they show"),
    "dogs vs. cats": (cats_and_dogs, [], "Their names begin with cat, dog: if these are classes"),
    "LGG MRI unpacked twice": (
        *(twice, [("image-segmentation", 9), ("image-processing", 9)]),
        "{}/lgg-mri-segmentation holds kaggle_3m of {} once more; one copy is counted",
    ),
}


@pytest.mark.parametrize("name", SETS)
def test_what_is_said(tmp_path: Path, name: str) -> None:
    make, proposed, words = SETS[name]
    make(tmp_path)
    found = look_into(str(tmp_path), EVERYWHERE)
    assert [(one.extension, one.records) for one in found.proposals] == proposed
    assert len([said for said in found.remarks if words.replace("{}", str(tmp_path)) in said]) == 1, found.remarks


def test_nothing_is_said_of_what_is_read(tmp_path: Path) -> None:
    """Cityscapes' polygons beside its masks, captions beside instances, the run lengths of masks that are there too."""
    photos(tmp_path / "images", *(f"{number}.jpg" for number in range(4)))
    masks(tmp_path / "masks", *(f"{number}.png" for number in range(4)))
    text(tmp_path / "train.csv", "img,rle_mask\n" + "".join(f"{number}.jpg,1 2 9 9\n" for number in range(4)))
    text(tmp_path / "0.json", json.dumps({"imgHeight": 24, "objects": [{"label": "car", "polygon": [[1, 1]]}]}))
    found = look_into(str(tmp_path), EVERYWHERE)
    assert (found.proposals[0].extension, found.remarks) == ("image-segmentation", [])


def test_a_folder_without_pictures(tmp_path: Path) -> None:
    assert look_into(str(tmp_path), EVERYWHERE).remarks == [f"No pictures lie in {tmp_path}."]


def test_classes_of_the_same_names_that_look_alike_may_be_versions(tmp_path: Path) -> None:
    for number in range(4):
        spots = np.random.default_rng(number).integers(0, 255, (4, 4), np.uint8)
        for name, more in (("benign", 0), ("malignant", 9)):
            image = Image.fromarray(spots).resize((24, 24)).point(lambda value, more=more: min(value + more, 255))
            (tmp_path / name).mkdir(exist_ok=True)
            image.save(tmp_path / name / f"{number}.png")
    found = look_into(str(tmp_path), EVERYWHERE).proposals
    kinds = [(one.extension, one.records, one.likely) for one in found]
    assert kinds == [("image-classification-folder", 8, True), ("image-processing", 4, False)]
    assert "they may be versions instead" in found[0].reason


def test_frames_of_a_video_stay_together(tmp_path: Path) -> None:
    for clip in range(5):
        spots = np.random.default_rng(clip).integers(0, 255, (4, 4, 3), np.uint8)
        for frame in range(4):
            place = tmp_path / "images" / f"Seq{clip:02}VD_f{30 * frame:05}.png"
            place.parent.mkdir(exist_ok=True)
            Image.fromarray(spots).resize((24, 24)).rotate(frame).save(place)
            masks(tmp_path / "labels", place.name, values=(0, 1, 2))
    first = look_into(str(tmp_path), EVERYWHERE).proposals[0]
    assert (first.extension, first.values["group_pattern"]) == ("image-segmentation", r"([^/]+)_f\d+[^/]*$")
    assert "5 groups" in first.reason


def test_frames_of_clips_that_are_called_so(tmp_path: Path) -> None:
    for clip in ("clip_a", "clip_b", "clip_c"):
        photos(tmp_path / "images" / clip, *(f"{number:04}.jpg" for number in range(4)))
        for number in range(4):
            text(tmp_path / "labels" / clip / f"{number:04}.txt", "0 0.5 0.5 0.2 0.2\n")
    first = look_into(str(tmp_path), EVERYWHERE).proposals[0]
    assert (first.extension, first.records, first.values["group_pattern"]) == ("image-object-detection", 12, "([^/]+)/[^/]+$")
