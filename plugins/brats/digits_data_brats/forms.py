"""The forms of the BraTS plugin."""

import os

from flask_wtf import FlaskForm
from wtforms import validators

from digits import utils
from digits_data_brats.scans import MODALITIES


def validate_folder_path(form, field):
    """The path is a folder that can be read."""
    if field.data and not (os.path.isdir(field.data) and os.access(field.data, os.R_OK)):
        raise validators.ValidationError(f"{field.data} is not a folder that can be read.")


def validate_file_path(form, field):
    """The path, where one is given, is a file that can be read."""
    if field.data and not (os.path.isfile(field.data) and os.access(field.data, os.R_OK)):
        raise validators.ValidationError(f"{field.data} is not a file that can be read.")


def validate_channels(form, field):
    """RGB is made of one channel, or three."""
    count = (len(MODALITIES) if form.modality.data == "all" else 1) * (2 * (form.neighbours.data or 0) + 1)
    if field.data == "RGB" and count not in (1, 3):
        raise validators.ValidationError(f"RGB is made of one channel or three, not of {count}: choose another conversion.")


class DatasetForm(FlaskForm):
    """Where the scans lie, which of their slices become pictures and how, and how they are split."""

    dataset_folder = utils.forms.StringField(
        "Dataset folder",
        validators=[validators.DataRequired(), validate_folder_path],
        tooltip="With a folder of NIfTI files for each scan; names end in flair, t1, t1ce, t2 and seg (or t2f, t1n, t1c, t2w).",
    )
    group_id = utils.forms.SelectField(
        "Group",
        choices=[("all", "All"), ("HGG", "High-grade gliomas (folder HGG)"), ("LGG", "Low-grade gliomas (folder LGG)")],
        default="all",
    )
    modality = utils.forms.SelectField(
        "Modality",
        choices=[("all", "All four, as channels"), *((name, name) for name in MODALITIES)],
        default="Flair",
        tooltip="All: the channels are FLAIR, T1, T1 with contrast agent and T2, of scans that have all of them.",
    )
    neighbours = utils.forms.IntegerField(
        "Neighbouring slices on each side",
        default=0,
        validators=[validators.Optional(), validators.NumberRange(min=0, max=5)],
        tooltip="2.5-D: with 1 each modality has three channels, the slice below, the slice, and the slice above.",
    )
    channel_conversion = utils.forms.SelectField(
        "Channel conversion",
        choices=[("none", "None: values as stored"), ("L", "Grayscale, 8 bits"), ("RGB", "RGB, 8 bits")],
        default="L",
        validators=[validate_channels],
        tooltip="8 bits: brightness is made alike from scan to scan. RGB: one channel three times, or three neighbours.",
    )
    filter_method = utils.forms.SelectField(
        "Slices",
        choices=[("all", "All"), ("max", "The one with the largest tumour"), ("threshold", "With a tumour of at least")],
        default="all",
        tooltip="Of each scan; the same in training and validation.",
    )
    filter_threshold = utils.forms.IntegerField(
        "Tumour pixels at least",
        default=100,
        validators=[validators.Optional(), validators.NumberRange(min=1)],
        tooltip="Of a slice, where slices are chosen by it.",
    )
    picture_size = utils.forms.IntegerField(
        "Size",
        validators=[validators.Optional(), validators.NumberRange(min=16, max=1024)],
        tooltip="Longer side in pixels, e.g. 96 for a quick training on a CPU. Blank: that of most scans.",
    )
    regions = utils.forms.SelectField(
        "Classes",
        choices=[("each", "Each value of the labels"), ("whole", "Tumour or background")],
        default="each",
    )
    class_names = utils.forms.StringField(
        "Class names",
        validators=[validators.Optional()],
        tooltip="Of the values that occur, in their order: background, necrosis, oedema. Blank: those of the challenges.",
    )
    pct_val = utils.forms.IntegerField(
        "% for validation",
        default=10,
        validators=[validators.NumberRange(min=0, max=100)],
        tooltip="Whole patients: no patient is in training and validation.",
    )
    patient_pattern = utils.forms.StringField(
        "Pattern of patients",
        validators=[validators.Optional()],
        tooltip="A regular expression whose first bracket is the patient in a scan's name. Blank: the name without the number of "
        "the examination (BraTS-GLI-00005 of BraTS-GLI-00005-101).",
    )
    seed = utils.forms.IntegerField(
        "Seed", default=0, validators=[validators.Optional(), validators.NumberRange(min=0)], tooltip="Of the random split."
    )


class InferenceForm(FlaskForm):
    """A scan of the server, or of the validation split."""

    test_image_file = utils.forms.StringField(
        "Image file",
        validators=[validators.Optional(), validate_file_path],
        tooltip="A NIfTI file of a scan; where a model needs all modalities the others lie beside it.",
    )
    validation_record = utils.forms.SelectField(
        "Scan from validation set",
        choices=[("none", "- select record -")],
        default="none",
        tooltip="A scan that the training did not see, with its true segmentation.",
    )
    test_slice = utils.forms.IntegerField(
        "Slice",
        validators=[validators.Optional(), validators.NumberRange(min=0)],
        tooltip="From 0, the lowest. Blank: every slice, of a validation scan those of the data set.",
    )

    def __init__(self, records, **kwargs):
        super().__init__(**kwargs)
        for index, name in enumerate(records):
            self.validation_record.choices.append((str(index), name))
