"""The form of segmentation."""

from __future__ import annotations

from wtforms import validators

from digits.extensions.data.image_segmentation.label_sets import LABEL_SETS
from digits.extensions.data.images import pair_form
from digits.extensions.data.images.form_parts import (
    SIZE_FIELDS,
    SIZE_GROUP,
    ReadableFolder,
    file_field,
    folder_field,
    readable_file,
)
from digits.utils import forms

PAIR_FIELDS = ("feature_folder", "mask_source", "label_folder", "mask_pattern", "folder_pct_val", "folder_pct_test")
MASK_PATHS = frozenset({"class_labels_file", "colormap_text_file"})
CLASS_FIELDS = (
    "label_set",
    "class_labels_file",
    "colormap_method",
    "colormap_text_file",
    "ignore_index",
    "unknown_void",
    "mask_threshold",
)


class DatasetForm(pair_form.PairForm):
    """Fields of R 6.5, and ours: known label sets, values that do not count, COCO."""

    PATHS = pair_form.PATHS | MASK_PATHS
    GROUPS = (
        ("Pictures and masks", PAIR_FIELDS),
        ("Classes", CLASS_FIELDS),
        (pair_form.SEPARATE_GROUP, pair_form.SEPARATE_FIELDS),
        (pair_form.LISTS_GROUP, pair_form.LIST_FIELDS),
        (SIZE_GROUP, SIZE_FIELDS),
    )

    mask_source = forms.SelectField(
        "Masks are",
        choices=[
            ("folder", "Pictures in a folder"),
            ("objects", "A picture for each object"),
            ("coco", "A COCO file: polygons, run lengths, panoptic"),
        ],
        default="folder",
    )
    label_folder = folder_field(
        "Label image folder", "The masks, or COCO's JSON file of instances or of panoptic segments.", file=True
    )
    mask_pattern = pair_form.pattern_field("Mask names", "as the pictures, or what the names have in common", "*_1stHO")
    validation_label_folder = forms.StringField(
        "Validation label image folder", validators=[forms.validate_required_iff(has_val_folder=True), ReadableFolder(file=True)]
    )
    test_label_folder = forms.StringField(
        "Test label image folder", validators=[forms.validate_required_iff(has_test_folder=True), ReadableFolder(file=True)]
    )
    label_set = forms.SelectField(
        "Known label set",
        choices=[("", "None of these"), *((name, known.title) for name, known in LABEL_SETS.items())],
        default="",
        tooltip="Names, colours and what does not count are known; the fields below are not needed then.",
    )
    class_labels_file = file_field("Class labels", "A text file with one class name a line; the first is class 0.")
    colormap_method = forms.SelectField(
        "Color map specification",
        choices=[("label", "from label image"), ("textfile", "from text file")],
        default="label",
        tooltip="Pixels of the masks are class numbers (grey or palette pictures), or colours that a text file lists.",
    )
    colormap_text_file = forms.StringField(
        "Color map file",
        validators=[forms.validate_required_iff(colormap_method="textfile"), readable_file],
        tooltip="One class a line: red, green and blue from 0 to 255; a name may follow.",
    )
    ignore_index = forms.StringField(
        "Do not count",
        validators=[validators.Optional()],
        default="255, void",
        tooltip="Pixel values or class names, separated by commas, that are left out of training and measuring.",
    )
    unknown_void = forms.BooleanField(
        "Unknown values do not count", default=False, tooltip="Otherwise a mask with a colour or number of no class is left out."
    )
    mask_threshold = forms.IntegerField(
        "Mask threshold",
        validators=[validators.Optional(), validators.NumberRange(0, 65535)],
        tooltip="Values from it on are the object, others background: two classes. Blank: seen from the masks, also where black "
        "and white ones have grey edges. 0: every value is a class. 1 joins numbered objects to one class.",
        render_kw={"placeholder": "automatic"},
    )
