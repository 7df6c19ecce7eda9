"""Makes grey pictures that grow brighter in one direction; the label is that direction."""

from pathlib import Path

import numpy as np

from digits.extensions.data.interface import DataIngestionInterface
from digits.utils import constants, override, subclass
from digits_data_image_gradients.forms import DatasetForm, InferenceForm

TEMPLATES = Path(__file__).parent / "templates"
SEEDS = {constants.TRAIN_DB: 1, constants.VAL_DB: 2, constants.TEST_DB: 3}


@subclass
class DataIngestion(DataIngestionInterface):
    """An entry is the pair of gradients that its picture has."""

    @override
    def encode_entry(self, entry):
        """Feature (1, H, W) uint8; label (1, 1, 2) float32: the gradients in x and y."""
        gradient_x, gradient_y = entry
        width, height = int(self.image_width), int(self.image_height)
        x = np.linspace(-1, 1, width) * gradient_x
        y = np.linspace(-1, 1, height) * gradient_y
        picture = (127.5 + 127.5 * (x[np.newaxis, :] + y[:, np.newaxis])).round().astype(np.uint8)
        return picture[np.newaxis], np.array([gradient_x, gradient_y], np.float32).reshape(1, 1, 2)

    @staticmethod
    @override
    def get_category():
        return "Images"

    @staticmethod
    @override
    def get_id():
        return "image-gradients"

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
        return InferenceForm()

    @staticmethod
    @override
    def get_inference_template(form):
        return (TEMPLATES / "inference.html").read_text(encoding="utf-8"), {"form": form}

    @staticmethod
    @override
    def get_title():
        return "Gradients"

    @override
    def itemize_entries(self, stage):
        if self.is_inference_db:
            return self._requested() if stage == constants.TEST_DB else []
        counts = {
            constants.TRAIN_DB: self.train_image_count,
            constants.VAL_DB: self.val_image_count,
            constants.TEST_DB: self.test_image_count,
        }
        return self._random(int(counts[stage] or 0), SEEDS[stage])

    def _requested(self):
        if self.test_image_count:
            return self._random(int(self.test_image_count), 4)
        return [(float(self.gradient_x or 0), float(self.gradient_y or 0))]

    @staticmethod
    def _random(count, seed):
        return [(float(x), float(y)) for x, y in np.random.default_rng(seed).uniform(-0.5, 0.5, (count, 2))]
