"""The form of image processing."""

from __future__ import annotations

from digits.extensions.data.images import pair_form
from digits.extensions.data.images.form_parts import folder_field
from digits.utils import forms


class DatasetForm(pair_form.PairForm):
    """Fields of R 6.5, and `label_source`."""

    GROUPS = (
        ("Pictures", ("feature_folder", "label_source", "label_folder", "folder_pct_val", "folder_pct_test")),
        (pair_form.SEPARATE_GROUP, pair_form.SEPARATE_FIELDS),
        (pair_form.LISTS_GROUP, pair_form.LIST_FIELDS),
        (pair_form.SIZE_GROUP, pair_form.SIZE_FIELDS),
    )

    label_source = forms.SelectField(
        "What should come out",
        choices=[("folder", "The picture of the same name in the label folder"), ("image", "The picture itself (autoencoder)")],
        default="folder",
    )
    label_folder = folder_field(
        "Label image folder",
        "One picture of the same name for each. The same folder as above: pairs by their names (1.png and 1_clean.png), or "
        "without such names each picture with itself.",
        forms.validate_required_iff(label_source="folder"),
    )
    validation_label_folder = folder_field(
        "Validation label image folder", "", forms.validate_required_iff(label_source="folder", has_val_folder=True)
    )
    test_label_folder = folder_field(
        "Test label image folder", "", forms.validate_required_iff(label_source="folder", has_test_folder=True)
    )
