"""Shows what a generator made as a grid or a film, and what an encoder found."""

import json
import re
from pathlib import Path

import numpy as np
from digits_data_gan.attribute_vectors import read_vectors

from digits.extensions.view.interface import VisualizationInterface
from digits.utils import override, subclass
from digits.utils.image import display_image, embed_image_html
from digits_view_gan import encodings
from digits_view_gan.forms import ConfigForm
from digits_view_gan.pictures import address, eight_bits, film, first_picture, range_of

TEMPLATES = Path(__file__).parent / "templates"
PLACE = re.compile(r"row (\d+), column (\d+)")  # as the data plugin of this package names what it makes
COLUMNS = 10  # of what no name gives a place, where it fills such rows


@subclass
class Visualization(VisualizationInterface):
    """Pictures of a grid or film are kept until all are there, as they share a range of values; they are in the header."""

    def __init__(self, dataset, **kwargs):
        self.task = kwargs["gan_view_task_id"]
        self.kept = dict(dataset.extension_userdata)
        self.dims = tuple(dataset.get_feature_dims())
        self.known = read_vectors(kwargs["attributes_file"]) if kwargs["attributes_file"] and self.task == "attributes" else None
        self.pictures = []
        self.encodings = []
        self.labels = []

    @staticmethod
    @override
    def get_config_form():
        return ConfigForm()

    @staticmethod
    @override
    def get_config_template(form):
        return template("config"), {"form": form}

    @staticmethod
    @override
    def get_id():
        return "image-gan"

    @staticmethod
    @override
    def get_title():
        return "GAN"

    @override
    def process_data(self, input_id, input_data, inference_data, ground_truth=None, input_name=""):
        name = str(input_name or input_id)
        if self.task in ("grid", "animation"):
            self.pictures.append({"name": name, "pixels": first_picture(inference_data, self.dims), "z": latent_text(input_data)})
            return None
        encoding, made = encodings.encoding_of(inference_data, input_data)
        shown = {"input": embed_image_html(display_image(input_data)), "name": name, "z": numbers_text(encoding)}
        if made is not None:
            shown["made"] = embed_image_html(eight_bits(made, range_of([made])))
        if self.task == "attributes":
            return self._attributes_of(encoding, ground_truth, shown)
        return shown

    def _attributes_of(self, encoding, label, shown):
        """What is known of the attributes of an encoding (z,); one with a label helps to find vectors."""
        held = encodings.held_attributes(label, self.kept)
        if held is not None:
            self.encodings.append(encoding)
            self.labels.append(held)
        if self.known is None:
            return None
        return {**shown, "strongest": encodings.strongest(encoding, self.known)}

    @override
    def get_view_template(self, data):
        return ("", {}) if data is None else (template("view"), data)

    @override
    def get_header_template(self):
        if self.task == "attributes":
            return template("attributes"), self._found_attributes()
        if not self.pictures:
            return None, {}
        limits = range_of([one["pixels"] for one in self.pictures])
        pixels = [eight_bits(one["pixels"], limits) for one in self.pictures]
        places, columns = places_of([one["name"] for one in self.pictures])
        order = sorted(range(len(pixels)), key=lambda number: places[number][::-1]) if self.task == "grid" else range(len(pixels))
        shown = [
            {"name": one["name"], "z": one["z"], "image": embed_image_html(array), "row": row, "column": column}
            for one, array, (row, column) in zip(self.pictures, pixels, places, strict=True)
        ]
        alike = len({array.shape for array in pixels}) == 1
        return template("pictures"), {
            "task": self.task,
            "pictures": shown,
            "columns": columns,
            "order": json.dumps(list(order)),
            "film": film([pixels[number] for number in order]) if alike and len(pixels) > 1 else "",
        }

    def _found_attributes(self):
        sizes = {(one.size, held.size) for one, held in zip(self.encodings, self.labels, strict=True)}
        if len(sizes) != 1:
            return {"rows": [], "asked": self.known is not None}
        labels = np.array(self.labels)
        classes = [str(name) for name in self.kept.get("class_labels") or ()]
        names = classes if len(classes) == labels.shape[1] else encodings.names_of(labels.shape[1], self.kept)
        found, rows = encodings.find_vectors(np.array(self.encodings), labels, names)
        file = address("application/json", found.to_json().encode()) if found else ""
        return {"rows": rows, "file": file, "count": len(labels), "asked": self.known is not None}


def template(name):
    """The text of one of the templates."""
    return (TEMPLATES / f"{name}.html").read_text(encoding="utf-8")


def latent_text(entry):
    """The vector that an entry is, (1, N) or (1, 1, N), as text; empty where it is a picture."""
    return numbers_text(entry) if entry.size == max(entry.shape) and entry.dtype.kind == "f" else ""


def numbers_text(array):
    """Numbers between blanks, as the form of the data plugin reads them."""
    return " ".join(f"{value:.5g}" for value in np.ravel(array))


def places_of(names):
    """Row and column of each, from 1 on, and how many columns there are: what the names say, else one after the other."""
    found = [PLACE.search(name) for name in names]
    if all(found):
        places = [(int(place[1]), int(place[2])) for place in found]
        return places, max(column for _, column in places)
    side = int(np.ceil(np.sqrt(len(names))))
    columns = COLUMNS if len(names) % COLUMNS == 0 else side
    return [(number // columns + 1, number % columns + 1) for number in range(len(names))], columns
