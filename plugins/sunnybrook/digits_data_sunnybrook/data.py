"""DICOM pictures of hearts and the contour of the left ventricle as a mask."""

import os
import random
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw

from digits.extensions.data.dicom.pixels import frames_in, read_frame
from digits.extensions.data.interface import DataIngestionInterface
from digits.utils import constants, override, subclass
from digits_data_sunnybrook.files import CONTOUR, PICTURE, Contour, case_name, files_below, find_contours
from digits_data_sunnybrook.forms import DatasetForm, InferenceForm

TEMPLATES = Path(__file__).parent / "templates"
CLASS_LABELS = ["background", "left ventricle"]
PALETTE = [0, 0, 0, 255, 0, 0] + [0] * (254 * 3)


@subclass
class DataIngestion(DataIngestionInterface):
    """An entry is a Contour. The split is made once, in `__init__`, and lives in userdata."""

    def __init__(self, is_inference_db=False, **kwargs):
        super().__init__(is_inference_db, **kwargs)
        self.userdata["class_labels"] = CLASS_LABELS
        self.userdata[constants.COLOR_PALETTE_ATTRIBUTE] = PALETTE
        if not is_inference_db:
            contours = find_contours(self.contour_folder, self.image_folder)
            train, val = self.split([contour for contour in contours if contour.picture])
            self.userdata["train_contours"] = train
            self.userdata["val_contours"] = val
            self.userdata["missing_contours"] = [contour for contour in contours if not contour.picture]

    def split(self, contours):
        """Training and validation contours."""
        chooser = random.Random(int(self.seed or 0))
        named = [case_name(name.strip()) for name in (self.validation_cases or "").split(",") if name.strip()]
        held_out = set(named)
        if not named and self.split_by == "case":
            cases = sorted({contour.case for contour in contours})
            chooser.shuffle(cases)
            held_out = set(cases[: round(len(cases) * self.folder_pct_val / 100) or (1 if self.folder_pct_val else 0)])
        if held_out:
            unknown = held_out - {contour.case for contour in contours}
            if unknown:
                raise ValueError(f"there are no pictures of the validation cases {', '.join(sorted(unknown))}")
            return [c for c in contours if c.case not in held_out], [c for c in contours if c.case in held_out]
        shuffled = list(contours)
        chooser.shuffle(shuffled)
        count = len(shuffled) * self.folder_pct_val // 100
        return shuffled[count:], shuffled[:count]

    @override
    def encode_entry(self, entry):
        """Feature (1, H, W) uint16, or (3, H, W) uint8; label (1, H, W) uint8 with 0 and 1. Nothing without a picture."""
        if not entry.picture:
            return []  # skipped and named, but no fault: downloads hold contours of more cases than pictures
        pixels = read_pixels(entry.picture)
        mask = fill_contour(entry.path, pixels.shape) if entry.path else np.zeros(pixels.shape, np.uint8)
        if self.picture_size:
            pixels, mask = shrink(pixels, int(self.picture_size)), shrink(mask * 255, int(self.picture_size)) >= 128
        return self.convert(pixels), mask.astype(np.uint8)[np.newaxis]

    def convert(self, pixels):
        """Pixels (H, W) as a feature."""
        if self.channel_conversion == "L":
            return pixels[np.newaxis]
        low, high = int(pixels.min()), int(pixels.max())
        grey = ((pixels - low) * (255.0 / max(high - low, 1))).round().astype(np.uint8)
        return np.repeat(grey[np.newaxis], 3, axis=0)

    @override
    def itemize_entries(self, stage):
        if self.is_inference_db:
            return self.requested_entries() if stage == constants.TEST_DB else []
        if stage == constants.TRAIN_DB:
            return self.userdata["train_contours"] + self.userdata["missing_contours"]
        return self.userdata["val_contours"] if stage == constants.VAL_DB else []

    def requested_entries(self):
        """What the inference form names: a file without a contour, or a validation record with its own."""
        if self.test_image_file:
            return [Contour(Path(self.test_image_file).name, 0, "", self.test_image_file)]
        if self.validation_record != "none":
            return [self.userdata["val_contours"][int(self.validation_record)]]
        raise ValueError("choose an image file or a validation record")

    @staticmethod
    @override
    def recognise(folder):
        """The original download, or any folder that holds contours and pictures named as there."""
        contours = [path for path in files_below(folder) if CONTOUR.search(path.name)]
        pictures = [path for path in files_below(folder) if PICTURE.search(path.name)] if contours else []
        if not pictures:
            return []
        # Above the cases: contours lie in CASE/contours-manual/IRCCI-expert, pictures in CASE.
        values = {
            "contour_folder": os.path.commonpath([path.parents[2].parent for path in contours]),
            "image_folder": os.path.commonpath([path.parents[1] for path in pictures]),
        }
        reason = (
            f"{len(contours)} contours of the left ventricle and {len(pictures)} pictures are named as in the original download."
        )
        return [{"values": values, "records": len(contours), "reason": reason}]

    @staticmethod
    @override
    def get_category():
        return "Images"

    @staticmethod
    @override
    def get_id():
        return "image-sunnybrook"

    @staticmethod
    @override
    def get_title():
        return "Sunnybrook LV Segmentation"

    @staticmethod
    @override
    def get_dataset_form():
        return DatasetForm()

    @staticmethod
    @override
    def get_dataset_template(form):
        return (TEMPLATES / "dataset_template.html").read_text(encoding="utf-8"), {"form": form}

    @override
    def get_inference_form(self):
        return InferenceForm([str(contour) for contour in self.userdata["val_contours"]])

    @staticmethod
    @override
    def get_inference_template(form):
        return (TEMPLATES / "inference_template.html").read_text(encoding="utf-8"), {"form": form}


def read_pixels(path):
    """The pixels of a DICOM file, (H, W) uint16 where none is below 0, by the rules of the DICOM source of digits."""
    pixels = read_frame(str(path), 0)
    if frames_in(str(path)) != 1 or len(pixels) != 1:
        raise ValueError(f"{path} has {frames_in(str(path))} frames of {len(pixels)} channels; one grey picture is expected")
    return pixels[0]


def fill_contour(path, shape):
    """The inside of a closed contour ("x y" a line) as a mask (H, W) of 0 and 1."""
    points = np.loadtxt(path, ndmin=2)
    if points.shape[0] < 3 or points.shape[1] != 2:
        raise ValueError(f"{path} is no contour: at least three lines with x and y are expected")
    mask = Image.new("L", (shape[1], shape[0]))
    ImageDraw.Draw(mask).polygon([(round(x), round(y)) for x, y in points], fill=1, outline=1)
    return np.asarray(mask).copy()


def shrink(plane, size):
    """A plane (H, W) with `size` pixels along its longer side; each pixel is the mean of the area it covers."""
    longer = max(plane.shape)
    height, width = (max(1, round(side * size / longer)) for side in plane.shape)
    small = Image.fromarray(plane.astype(np.float32)).resize((width, height), Image.Resampling.BOX)
    return np.asarray(small).round().astype(plane.dtype)
