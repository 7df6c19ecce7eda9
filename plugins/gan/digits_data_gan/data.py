"""Pictures for a generator to learn from; for testing a model vectors to generate from, or pictures for an encoder."""

import random
from pathlib import Path

import numpy as np

from digits.extensions.data.interface import DataIngestionInterface
from digits.utils import constants, override, subclass
from digits.utils.image import image_to_array, load_image, resize_image
from digits_data_gan import latent
from digits_data_gan.files import Picture, holds_pictures, listed_pictures, pictures_below, pictures_of_classes
from digits_data_gan.forms import DatasetForm, InferenceForm

TEMPLATES = Path(__file__).parent / "templates"
CHANNELS = {"RGB": 3, "L": 1}
SPLIT_SEED = 0  # every stage is listed anew and must find the same split
CLASSES_OF = {"mnist": 10, "celeba": 0}  # that a generator is told, by `dataset_type`


@subclass
class DataIngestion(DataIngestionInterface):
    """An entry is a Picture, or a Vector to generate from."""

    def __init__(self, is_inference_db=False, **kwargs):
        super().__init__(is_inference_db, **kwargs)
        if is_inference_db:
            return
        pictures, names = self._pictures()
        if not pictures:
            raise ValueError(f"there are no pictures below {self.image_folder}")
        if names:
            self.userdata["attribute_names"] = names

    def _pictures(self):
        """All pictures, and names of the classes or attributes that they have."""
        if self.file_list:
            return listed_pictures(self.file_list, self.image_folder)
        if self.class_folders:
            return pictures_of_classes(self.image_folder)
        return [Picture(path) for path in pictures_below(self.image_folder)], []

    @override
    def encode_entry(self, entry):
        """Of a picture (C, H, W) uint8 and its attributes (1, 1, K) float32, where it has some; of a vector (1, 1, N) float32."""
        if isinstance(entry, latent.Vector):
            return entry.numbers.reshape(1, 1, -1), None
        if entry.refusal:
            raise ValueError(entry.refusal)
        return self.pixels(entry.path), np.array(entry.label, np.float32).reshape(1, 1, -1) if entry.label else None

    def pixels(self, path):
        """The middle of a picture in the data set's size, (C, H, W) uint8; a smaller picture stays whole."""
        kept = self.userdata
        picture = load_image(path)
        size, side = kept.get("resize"), kept.get("center_crop_size")
        if side:
            width, height = (min(length, int(side)) for length in picture.size)
            left, top = (picture.width - width) // 2, (picture.height - height) // 2
            picture = picture.crop((left, top, left + width, top + height))
        channels = CHANNELS.get(kept.get("channel_conversion"))
        pixels = image_to_array(picture, channels)
        if size:
            pixels = resize_image(pixels, int(size), int(size), resize_mode="squash")
        return pixels[np.newaxis] if pixels.ndim == 2 else pixels.transpose(2, 0, 1)

    @override
    def itemize_entries(self, stage):
        if self.is_inference_db:
            return self._requested() if stage == constants.TEST_DB else []
        pictures = self._pictures()[0]
        order = random.Random(SPLIT_SEED).sample(range(len(pictures)), len(pictures))
        count = len(pictures) * int(self.folder_pct_val or 0) // 100
        chosen = {constants.TRAIN_DB: order[count:], constants.VAL_DB: order[:count]}.get(stage, [])
        return [pictures[number] for number in sorted(chosen)]

    def _requested(self):
        """What the inference form asks for."""
        if self.task_id == "enclist":
            return self._pictures_to_encode()
        count = CLASSES_OF[self.dataset_type] if self.class_count is None else self.class_count
        return list(latent.TASKS[self.task_id](latent.Latent(self.z_dim, count), self))

    def _pictures_to_encode(self):
        folder, most = self.enc_image_folder, self.enc_num_images
        if not folder:
            raise ValueError("name the folder of the pictures to encode")
        if self.enc_file_list:
            return listed_pictures(self.enc_file_list, folder, most)[0]
        found = [Picture(path) for path in pictures_below(folder)[:most]]
        if not found:
            raise ValueError(f"there are no pictures below {folder}")
        return found

    @staticmethod
    @override
    def recognise(folder):
        """CelebA: its list of attributes beside a folder of pictures."""
        files = (file for depth in ("", "*/", "*/*/") for file in sorted(Path(folder).glob(f"{depth}list_attr_*")))
        for file in (file for file in files if file.suffix in (".txt", ".csv")):
            beside = [path for path in sorted(file.parent.glob("*")) + sorted(file.parent.parent.glob("*")) if path.is_dir()]
            named = [path for path in beside if "img" in path.name and Path(folder) in path.parents]
            pictures = next(filter(None, map(holds_pictures, named)), None)
            if pictures:
                count = file.stat().st_size // 128  # a name and forty numbers take about so many bytes
                values = {"file_list": str(file), "image_folder": str(pictures)}
                return [{"values": values, "records": count, "reason": f"{file.name} lists attributes of the pictures."}]
        return []

    @staticmethod
    @override
    def get_category():
        return "Images"

    @staticmethod
    @override
    def get_id():
        return "image-gan"

    @staticmethod
    @override
    def get_title():
        return "GAN"

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
        return InferenceForm(**self._defaults())

    def _defaults(self):
        """What the form holds at first: the classes of the data set, or a grid that needs none."""
        kept = self.userdata
        is_ours = "class_folders" in kept
        classes = len(kept.get("attribute_names" if is_ours and kept["class_folders"] else "class_labels") or ())
        if is_ours and not classes:
            return {"dataset_type": "celeba", "task_id": "analogy"}
        return {"class_count": classes} if classes else {}

    @staticmethod
    @override
    def get_inference_template(form):
        return (TEMPLATES / "inference.html").read_text(encoding="utf-8"), {"form": form}
