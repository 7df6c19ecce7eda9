"""The segmentation view over one modality of a scan, without its neighbouring slices; Dice of all slices together."""

from pathlib import Path

import numpy as np
from digits_data_brats.scans import MODALITIES
from flask_wtf import FlaskForm

from digits import utils
from digits.domain.datasets import IGNORED
from digits.extensions.view import segmentation
from digits.extensions.view.support import class_names, shown_output
from digits.utils import override, subclass

TEMPLATES = Path(__file__).parent / "templates"


class ConfigForm(FlaskForm):
    """What lies under the segmentation, and its colours."""

    modality = utils.forms.SelectField(
        "Modality",
        choices=[("first", "First of the data set"), *((name, name) for name in MODALITIES)],
        default="first",
        tooltip="The picture under the segmentation, where the data set has this modality.",
    )
    colormap = utils.forms.SelectField(
        "Colormap", choices=[("dataset", "From dataset"), ("paired", "Paired"), ("none", "Distinct")], default="dataset"
    )


@subclass
class Visualization(segmentation.Visualization):
    """Takes class scores (K, H, W) of a network that was trained on a data set of the data plugin."""

    Options = ConfigForm

    def __init__(self, dataset, **kwargs):
        super().__init__(dataset, **kwargs)
        made = dataset.extension_userdata
        self.modalities = MODALITIES if made.get("modality") == "all" else (made.get("modality") or "",)
        self.neighbours = int(made.get("neighbours") or 0)
        self.modality = kwargs["modality"] if kwargs["modality"] in self.modalities else self.modalities[0]
        self.both, self.each, self.slices = np.zeros(IGNORED, int), np.zeros(IGNORED, int), 0

    @staticmethod
    @override
    def get_id():
        return "images-brats"

    @staticmethod
    @override
    def get_title():
        return "Brain segmentation"

    @override
    def get_header_template(self):
        text, context = super().get_header_template()
        names = class_names(self.labels, self.classes)
        dice = [(names[i], 2 * self.both[i] / self.each[i]) for i in range(1, self.classes) if self.each[i]]
        own = (TEMPLATES / "header.html").read_text(encoding="utf-8")
        return own + text, {**context, "dice": dice, "slices": self.slices, "modality": self.modality}

    @override
    def process_data(self, input_id, input_data, inference_data, ground_truth=None):
        """`input_data` is (H, W) or (H, W, channels), of which the middle one of the modality is shown."""
        if ground_truth is not None:
            self.count(segmentation.read_scores(shown_output(inference_data))[0], np.squeeze(ground_truth))
        return super().process_data(input_id, self.shown(input_data), inference_data, ground_truth)

    def shown(self, picture):
        """The slice itself of the chosen modality, (H, W); of pictures with other channels than the data set's all of them."""
        each = 2 * self.neighbours + 1
        if picture.ndim != 3 or picture.shape[2] != each * len(self.modalities):
            return picture
        return picture[:, :, each * self.modalities.index(self.modality) + self.neighbours]

    def count(self, found, truth):
        """Add a slice: classes (H, W) of the answer and of the truth."""
        if found.shape != truth.shape:
            return
        known = (truth < IGNORED) & (found < IGNORED)
        found, truth = found[known].astype(int), truth[known].astype(int)
        self.both += np.bincount(truth[found == truth], minlength=IGNORED)
        self.each += np.bincount(found, minlength=IGNORED) + np.bincount(truth, minlength=IGNORED)
        self.slices += 1
