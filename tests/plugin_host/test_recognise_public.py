"""What is proposed first for sets as their authors publish them: the same folders and names, with small pictures."""

from __future__ import annotations

import json
import os
import shutil
import socket
import zlib
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from digits.extensions.data.files.listing import pictures_below
from digits.extensions.data.recognition.short import shortened
from digits.plugin_host.recognise import recognise
from digits.utils.confinement import EVERYWHERE

PALETTE = [value * factor % 256 for value in range(256) for factor in (37, 91, 53)]


def photos(root: Path, *names: str) -> None:
    """Pictures of random spots, which differ with their names."""
    for name in names:
        draw = np.random.default_rng(zlib.crc32(name.encode()))
        save(root / name, Image.fromarray(draw.integers(0, 255, (4, 4, 3), np.uint8)).resize((24, 24)))


def masks(root: Path, *names: str, values: tuple[int, ...] = (0, 255), mode: str = "L") -> None:
    """A rectangle of each value but the first, at places that differ with the names."""
    for name in names:
        draw = np.random.default_rng(zlib.crc32(name.encode()))
        array = np.full((24, 24), values[0], np.uint8)
        for value in values[1:]:
            left, top = draw.integers(0, 14, 2)
            array[top : top + 8, left : left + 8] = value
        image = Image.fromarray(array)
        if mode == "P":
            image.putpalette(PALETTE)
        save(root / name, image)


def save(path: Path, image: Image.Image) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    image.save(path)


def text(path: Path, content: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(content)


def coloured(root: Path, *names: str) -> None:
    for name in names:
        masks(root, name, values=(0, 1, 2))
        array = np.asarray(Image.open(root / name))
        Image.fromarray(np.array([[0, 0, 0], [64, 128, 64], [192, 0, 128]], np.uint8)[array]).save(root / name)


def coco(path: Path, names: list[str]) -> None:
    images = [{"id": number, "file_name": name, "width": 24, "height": 24} for number, name in enumerate(names)]
    boxes = [{"id": one["id"], "image_id": one["id"], "category_id": 1, "bbox": [2, 2, 8, 8]} for one in images]
    text(path, json.dumps({"images": images, "annotations": boxes, "categories": [{"id": 1, "name": "can"}]}))


# -- sets ----------------------------------------------------------------------------------------------------------


def taco(root: Path) -> None:
    names = [f"batch_{batch}/{number:06d}.jpg" for batch in (1, 2, 3) for number in range(3)]
    photos(root / "data", *names)
    coco(root / "data/annotations.json", names)


def lgg(root: Path) -> None:
    for case in ("TCGA_CS_4941", "TCGA_DU_5849", "TCGA_HT_7473"):
        photos(root / "kaggle_3m" / case, *(f"{case}_{number}.tif" for number in (1, 2, 3)))
        masks(root / "kaggle_3m" / case, *(f"{case}_{number}_mask.tif" for number in (1, 2, 3)))
    text(root / "kaggle_3m/data.csv", "Patient,RNASeqCluster\nTCGA_CS_4941,2\nTCGA_DU_5849,1\n")


def busi(root: Path) -> None:
    for name in ("benign", "malignant"):
        photos(root / "Dataset_BUSI_with_GT" / name, *(f"{name} ({number}).png" for number in range(1, 4)))
        masks(root / "Dataset_BUSI_with_GT" / name, *(f"{name} ({number})_mask.png" for number in range(1, 4)))


def semantic_export(root: Path) -> None:
    for split, count in (("train", 5), ("valid", 3)):
        photos(root / split, *(f"{split}{number}.jpg" for number in range(count)))
        masks(root / split, *(f"{split}{number}_mask.png" for number in range(count)), values=(0, 1, 2))


def drive(root: Path) -> None:
    for split, first in (("training", 21), ("test", 1)):
        for number in range(first, first + 3):
            photos(root / split, f"images/{number:02}_{split}.tif")
            masks(root / split, f"1st_manual/{number:02}_manual1.gif")
            field = np.zeros((24, 24), np.uint8)
            field[2:22, 3:21] = 255
            save(root / split / f"mask/{number:02}_{split}_mask.gif", Image.fromarray(field))


def chase(root: Path) -> None:
    names = [f"Image_{number:02}{eye}" for number in (1, 2, 3) for eye in "LR"]
    photos(root, *(f"{name}.jpg" for name in names))
    masks(root, *(f"{name}_{reader}HO.png" for name in names for reader in ("1st", "2nd")))


def clinic(root: Path) -> None:
    for form in ("PNG", "TIF"):
        photos(root / form, *(f"Original/{number}.{form.lower()}" for number in range(1, 5)))
        masks(root / form, *(f"Ground Truth/{number}.{form.lower()}" for number in range(1, 5)))
    lines = "".join(f"{number},1,PNG/Original/{number}.png\n" for number in range(1, 5))
    text(root / "metadata.csv", f"frame_id,sequence_id,png_image_path\n{lines}")


def camvid(root: Path) -> None:
    for split in ("train", "val", "test"):
        photos(root / "CamVid", *(f"{split}/{split}_{number}.png" for number in range(3)))
        masks(root / "CamVid", *(f"{split}annot/{split}_{number}.png" for number in range(3)), values=(0, 3, 11))


def camvid_colours(root: Path) -> None:
    photos(root / "CamVid", *(f"train/{number}.png" for number in range(3)))
    coloured(root / "CamVid", *(f"train_labels/{number}_L.png" for number in range(3)))
    text(root / "CamVid/class_dict.csv", "name,r,g,b\nVoid,0,0,0\nAnimal,64,128,64\nArchway,192,0,128\n")


def cvat_masks(root: Path) -> None:
    photos(root / "JPEGImages", *(f"{number}.jpg" for number in range(4)))
    coloured(root / "SegmentationClass", *(f"{number}.png" for number in range(4)))
    text(root / "labelmap.txt", "# label:color_rgb:parts:actions\nbackground:0,0,0::\na:64,128,64::\nb:192,0,128::\n")


def vistas(root: Path) -> None:
    for split in ("training", "validation"):
        names = [f"{split}{number}" for number in range(3)]
        photos(root / split / "images", *(f"{name}.jpg" for name in names))
        for kind in ("instances", "labels"):
            masks(root / split / "v1.2" / kind, *(f"{name}.png" for name in names), values=(0, 13, 65), mode="P")


def bdd(root: Path) -> None:
    for split in ("train", "val"):
        names = [f"{split}{number}" for number in range(3)]
        photos(root / "images/10k" / split, *(f"{name}.jpg" for name in names))
        coloured(root / "labels/sem_seg/colormaps" / split, *(f"{name}.png" for name in names))
        masks(root / "labels/sem_seg/masks" / split, *(f"{name}.png" for name in names), values=(255, 0, 8))


def kitti(root: Path) -> None:
    photos(root / "training/image_2", *(f"{number:06}.png" for number in range(4)))
    photos(root / "testing/image_2", *(f"{number:06}.png" for number in range(3)))
    for number in range(4):
        text(root / f"training/calib/{number:06}.txt", "P0: 7.2 0 0 0 0 0 0 0 0 0 0 0\n")
        text(root / f"training/label_2/{number:06}.txt", "Car 0.00 0 -1.57 2.0 3.0 9.0 9.0 1.5 1.6 3.7 1.0 1.5 20.0 -1.6\n")


def csv_export(root: Path) -> None:
    for split in ("train", "valid"):
        photos(root / split, *(f"{split}{number}.jpg" for number in range(3)))
        lines = "".join(f"{split}{number}.jpg,24,24,cat,2,2,9,9\n" for number in range(3))
        text(root / split / "_annotations.csv", f"filename,width,height,class,xmin,ymin,xmax,ymax\n{lines}")


def labelme(root: Path) -> None:
    shape = {"label": "bottle", "points": [[2, 2], [10, 2], [10, 10]], "shape_type": "polygon"}
    for number in range(4):
        photos(root / "data_annotated", f"{number}.jpg")
        content = {"shapes": [shape], "imagePath": f"{number}.jpg", "imageHeight": 24, "imageWidth": 24}
        text(root / f"data_annotated/{number}.json", json.dumps(content))


def skin(root: Path) -> None:
    lines = ""
    for number in range(12):
        photos(root / f"HAM10000_images_part_{1 + number % 2}", f"ISIC_{number:07}.jpg")
        lines += f"HAM_{number // 2},ISIC_{number:07},{('bkl', 'nv', 'mel')[number % 3]},histo,80.0,male\n"
    text(root / "HAM10000_metadata.csv", f"lesion_id,image_id,dx,dx_type,age,sex\n{lines}")


def chest(root: Path) -> None:
    lines = ""
    for number in range(12):
        photos(root / f"images_{1 + number % 2:03}/images", f"{number:08}_000.png")
        lines += f"{number:08}_000.png,{('Hernia|Mass', 'No Finding', 'Mass')[number % 3]},{number % 5},58\n"
    text(root / "Data_Entry_2017.csv", f"Image Index,Finding Labels,Follow-up #,Patient Age\n{lines}")


def grades(root: Path) -> None:
    photos(root, *(f"train_images/{number}ab.png" for number in range(10)), "test_images/x.png", "test_images/y.png")
    text(root / "train.csv", "id_code,diagnosis\n" + "".join(f"{number}ab,{number % 5}\n" for number in range(10)))
    text(root / "sample_submission.csv", "id_code,diagnosis\nx,0\ny,0\n")


def tumours_twice(root: Path) -> None:
    for place in ("", "brain_tumor_dataset/"):
        photos(root, *(f"{place}{name}/{name} {number}.jpg" for name in ("no", "yes") for number in range(3)))


def clips(root: Path) -> None:
    for name in ("Archery", "Basketball"):
        photos(root, *(f"UCF-101/{name}/v_{name}_g0{clip}/frame{frame}.jpg" for clip in (1, 2) for frame in range(2)))


def voc_kits(root: Path) -> None:
    for part, names in (("trainval", "abcd"), ("test", "ef")):
        kit = root / f"VOC{part}_06-Nov-2007/VOCdevkit/VOC2007"
        photos(kit, *(f"JPEGImages/{name}.jpg" for name in names))
        for name in names:
            box = "<bndbox><xmin>2</xmin><ymin>2</ymin><xmax>9</xmax><ymax>9</ymax></bndbox>"
            text(kit / f"Annotations/{name}.xml", f"<annotation><object><name>cat</name>{box}</object></annotation>")
    lists = root / "VOCtrainval_06-Nov-2007/VOCdevkit/VOC2007/ImageSets/Main"
    text(lists / "train.txt", "a\nb\n")
    text(lists / "val.txt", "c\nd\n")
    text(root / "VOCtest_06-Nov-2007/VOCdevkit/VOC2007/ImageSets/Main/test.txt", "e\nf\n")


def scenes(root: Path) -> None:
    for split, count in (("seg_train", 4), ("seg_test", 2)):
        photos(root / split / split, *(f"{name}/{split}{number}.jpg" for name in ("forest", "sea") for number in range(count)))
    photos(root / "seg_pred/seg_pred", "1.jpg", "2.jpg")


def face_masks(root: Path) -> None:
    photos(root, *(f"data/{name}/{name}_{number}.jpg" for name in ("with_mask", "without_mask") for number in range(3)))


def low_light(root: Path) -> None:
    for split, count in (("our485", 4), ("eval15", 3)):
        for kind in ("low", "high"):
            photos(root / "LOL" / split / kind, *(f"{split}{number}.png" for number in range(count)))


def celeba(root: Path) -> None:
    names = [f"{number:06}.jpg" for number in range(1, 9)]
    photos(root / "img_align_celeba", *names)
    lines = "".join(f"{name} {(-1, 1)[row % 2]:2}  1 {(-1, 1)[row % 3 == 0]:2}\n" for row, name in enumerate(names))
    text(root / "list_attr_celeba.txt", f"8\n5_o_Clock_Shadow Arched_Eyebrows Young \n{lines}")
    lines = "".join(f"{name}    95  71 226 313\n" for name in names)
    text(root / "list_bbox_celeba.txt", f"8\nimage_id x_1 y_1 width height\n{lines}")
    text(root / "list_eval_partition.txt", "".join(f"{name} {row % 3}\n" for row, name in enumerate(names)))


def defects(root: Path) -> None:
    photos(root / "bottle", *(f"{place}/{number:03}.png" for place in ("train/good", "test/good") for number in range(4)))
    for name in ("broken_large", "contamination"):
        photos(root / "bottle/test" / name, *(f"{number:03}.png" for number in range(3)))
        masks(root / "bottle/ground_truth" / name, *(f"{number:03}_mask.png" for number in range(3)))


def caffe(root: Path) -> None:
    names = [f"n0{place}/n0{place}_{number}.JPEG" for place in range(3) for number in range(4)]
    photos(root / "train", *names)
    photos(root / "val", *(f"ILSVRC2012_val_{number:08}.JPEG" for number in range(6)))
    text(root / "caffe_ilsvrc12/train.txt", "".join(f"{name} {name[2]}\n" for name in names))
    text(root / "caffe_ilsvrc12/val.txt", "".join(f"ILSVRC2012_val_{number:08}.JPEG {number % 3}\n" for number in range(6)))
    text(root / "caffe_ilsvrc12/synset_words.txt", "n00 tench, Tinca tinca\nn01 goldfish\nn02 great white shark\n")


def validation_alone(root: Path) -> None:
    photos(root / "val2017", "1.jpg", "2.jpg", "3.jpg")
    coco(root / "annotations/instances_val2017.json", ["1.jpg", "2.jpg", "3.jpg"])


def numbered_videos(root: Path) -> None:
    """Frames in numbered folders, beside their sharp ones under the same names: no classes."""
    for place in ("input", "target"):
        photos(root / place, *(f"{clip:03}/{number:05}.png" for clip in range(3) for number in range(3)))


SETS: dict[str, tuple[Callable[[Path], None], str, int, dict[str, str]]] = {
    # how it is made, the first proposal: source, records, some fields (paths below the folder)
    "TACO": (taco, "image-object-detection", 9, {"train_image_folder": "data"}),
    "LGG MRI": (lgg, "image-segmentation", 9, {"feature_folder": "kaggle_3m", "label_folder": "kaggle_3m"}),
    "BUSI": (busi, "image-segmentation", 6, {"feature_folder": "Dataset_BUSI_with_GT"}),
    "semantic masks of Roboflow": (semantic_export, "image-segmentation", 8, {"validation_label_folder": "valid"}),
    "DRIVE": (drive, "image-segmentation", 6, {"label_folder": "training/1st_manual", "test_label_folder": "test/1st_manual"}),
    "CHASE_DB1": (chase, "image-segmentation", 6, {"mask_pattern": "*_1stHO"}),
    "CVC-ClinicDB": (clinic, "image-segmentation", 4, {"feature_folder": "PNG/Original", "label_folder": "PNG/Ground Truth"}),
    "CamVid of SegNet": (camvid, "image-segmentation", 9, {"test_label_folder": "CamVid/testannot"}),
    "CamVid of Kaggle": (camvid_colours, "image-segmentation", 3, {"colormap_text_file": "CamVid/class_dict.csv"}),
    "masks of CVAT": (cvat_masks, "image-segmentation", 4, {"colormap_text_file": "labelmap.txt", "label_set": ""}),
    "Mapillary Vistas": (
        vistas,
        "image-segmentation",
        6,
        {"feature_folder": "training/images", "label_folder": "training/v1.2/labels"},
    ),
    "BDD100K": (bdd, "image-segmentation", 6, {"label_folder": "labels/sem_seg/masks/train"}),
    "KITTI": (kitti, "image-object-detection", 4, {"train_label_folder": "training/label_2"}),
    "CSV of Roboflow": (csv_export, "image-object-detection", 6, {"train_image_folder": "train", "val_image_folder": "valid"}),
    "labelme": (labelme, "image-object-detection", 4, {"train_image_folder": "data_annotated"}),
    "HAM10000": (skin, "image-classification-textfile", 12, {"textfile_class_column": "dx"}),
    "NIH chest X-rays": (chest, "image-multi-label", 12, {"values_file": "Data_Entry_2017.csv"}),
    "APTOS": (grades, "image-classification-textfile", 10, {"textfile_class_column": "diagnosis"}),
    "Brain MRI of Kaggle": (tumours_twice, "image-classification-folder", 6, {"folder_train": "brain_tumor_dataset"}),
    "frames of UCF-101": (clips, "image-classification-folder", 8, {"folder_train": "UCF-101"}),
    "VOC 2007 in two parts": (
        *(voc_kits, "image-object-detection", 6),
        {"test_list_file": "VOCtest_06-Nov-2007/VOCdevkit/VOC2007/ImageSets/Main/test.txt"},
    ),
    "Intel scenes": (scenes, "image-classification-folder", 12, {"folder_train": "seg_train/seg_train"}),
    "face masks": (face_masks, "image-classification-folder", 6, {"folder_train": "data"}),
    "CelebA": (celeba, "image-multi-label", 8, {"values_file": "list_attr_celeba.txt", "image_folder": "img_align_celeba"}),
    "MVTec AD": (defects, "image-segmentation", 6, {"feature_folder": "bottle/test", "label_folder": "bottle/ground_truth"}),
    "lists of Caffe": (
        *(caffe, "image-classification-textfile", 18),
        {"textfile_local_labels_file": "caffe_ilsvrc12/synset_words.txt", "textfile_val_folder": "val"},
    ),
    "COCO's validation alone": (validation_alone, "image-object-detection", 3, {"train_image_folder": "val2017"}),
    "numbered videos": (numbered_videos, "image-processing", 9, {"feature_folder": "input", "label_folder": "target"}),
    "LOL": (low_light, "image-processing", 7, {"label_folder": "LOL/our485/high", "validation_label_folder": "LOL/eval15/high"}),
}


@pytest.mark.parametrize("name", SETS)
def test_the_first_proposal(tmp_path: Path, name: str) -> None:
    make, extension, records, fields = SETS[name]
    make(tmp_path)
    first = recognise(str(tmp_path), EVERYWHERE)[0]
    said = {key: str(first.values.get(key)).removeprefix(f"{tmp_path}/") for key in fields}
    assert (first.extension, first.records, said) == (extension, records, fields)


def test_parts_and_domains_are_no_classes(tmp_path: Path) -> None:
    for number in range(4):
        photos(tmp_path / "parts", f"batch_{number % 2}/{number}.jpg")
        photos(
            tmp_path / "domains", f"trainA/{number}.jpg", f"trainB/x{number}.jpg", f"testA/y{number}.jpg", f"testB/z{number}.jpg"
        )
    for place in ("parts", "domains"):
        assert recognise(str(tmp_path / place), EVERYWHERE) == []


def test_masks_of_another_object_are_not_taken(tmp_path: Path) -> None:
    for name in ("bottle", "cable"):
        photos(tmp_path / name, *(f"{kind}/{number:03}.png" for kind in ("train/good", "test/broken") for number in range(3)))
        masks(tmp_path / name / "ground_truth/broken", *(f"{number:03}_mask.png" for number in range(3)))
    for found in recognise(str(tmp_path), EVERYWHERE):
        folders = [value for key, value in found.values.items() if key.endswith("_folder")]
        assert len({os.path.relpath(folder, tmp_path).split("/")[0] for folder in folders if isinstance(folder, str)}) == 1


def test_a_large_list_is_seen_from_its_beginning(tmp_path: Path) -> None:
    photos(tmp_path / "train2017", "a.jpg", "b.jpg", "not_listed.jpg")
    coco(tmp_path / "instances_train2017.json", ["a.jpg", "b.jpg"])
    with open(tmp_path / "instances_train2017.json", "rb+") as handle:  # blanks before its last bracket, as many as make it large
        content = handle.read()
        handle.seek(len(content) - 1)
        handle.write(b" " * (33 << 20) + content[-1:])
    found = recognise(str(tmp_path), EVERYWHERE)
    assert [(one.extension, one.records) for one in found] == [("image-object-detection", 3)]  # about: all of its folder


def test_a_large_file_is_tried_with_its_first_pictures(tmp_path: Path) -> None:
    """Of 9,000 pictures that it lists, two lie in the folder; what it says of them is read, and refused where it is wrong."""
    photos(tmp_path / "images", "a/1.jpg", "b/1.jpg")
    names = ["a/1.jpg", "b/1.jpg", "../escaped.jpg", *(f"a/{number}.jpg" for number in range(2, 9_000))]
    coco(tmp_path / "instances.json", names)
    photos(tmp_path, "escaped.jpg")
    values = {"train_image_folder": str(tmp_path / "images"), "train_label_folder": str(tmp_path / "instances.json")}
    cut = shortened(values, tmp_path / "cut")
    content = json.loads(Path(cut["train_label_folder"]).read_text())
    assert [image["file_name"] for image in content["images"]] == ["a/1.jpg", "b/1.jpg"]
    assert [annotation["image_id"] for annotation in content["annotations"]] == [0, 1]
    assert sorted(pictures_below(cut["train_image_folder"])) == [f"{tmp_path}/cut/0/{name}" for name in ("a/1.jpg", "b/1.jpg")]
    shutil.rmtree(tmp_path / "cut")
    first = recognise(str(tmp_path), EVERYWHERE)[0]
    assert (first.extension, first.values["train_label_folder"]) == ("image-object-detection", str(tmp_path / "instances.json"))
    text(tmp_path / "instances.json", (tmp_path / "instances.json").read_text().replace('"bbox": [2, 2, 8, 8]', '"bbox": [2, 2]'))
    assert recognise(str(tmp_path), EVERYWHERE) == []


def test_pipes_sockets_and_loops_do_not_stop_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    photos(tmp_path, *(f"data/{name}/{number}.png" for name in ("cat", "dog") for number in range(3)))
    for name in ("data/cat/pipe.png", "data/cat/pipe.txt", "list.json", "table.csv", "boxes.xml", "no_ending"):
        os.mkfifo(tmp_path / name)
    (tmp_path / "itself").symlink_to("itself")
    (tmp_path / "data" / "cat" / "up").symlink_to(tmp_path)
    (tmp_path / "data" / "dog" / "missing.png").symlink_to("/nowhere")
    monkeypatch.chdir(tmp_path)  # a socket's path must be short
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind("socket.json")
        found = recognise(str(tmp_path), EVERYWHERE)
    assert found[0].values["folder_train"] == str(tmp_path / "data")
    assert sum(os.path.basename(path) in ("pipe.png", "itself") for path in pictures_below(tmp_path)) == 0
    assert str(tmp_path / "data/dog/missing.png") in pictures_below(tmp_path)
