"""The form of image processing."""

from __future__ import annotations

from digits.extensions.data.images import pair_form
from digits.extensions.data.images.form_parts import SIZE_FIELDS, SIZE_GROUP, folder_field
from digits.utils import forms


class DatasetForm(pair_form.PairForm):
    """Fields of R 6.5, `label_source` and `input_half`."""

    GROUPS = (
        (
            "Pictures",
            (
                "feature_folder",
                "label_source",
                "label_folder",
                "label_pattern",
                "input_half",
                "folder_pct_val",
                "folder_pct_test",
            ),
        ),
        (pair_form.SEPARATE_GROUP, pair_form.SEPARATE_FIELDS),
        (pair_form.LISTS_GROUP, pair_form.LIST_FIELDS),
        (SIZE_GROUP, SIZE_FIELDS),
    )

    label_source = forms.SelectField(
        "What should come out",
        choices=[
            ("folder", "The picture of the same name in the label folder"),
            ("half", "The other half of the same file (side by side)"),
            ("image", "The picture itself (autoencoder)"),
        ],
        default="folder",
    )
    input_half = forms.SelectField(
        "The half that goes in",
        choices=[("left", "Left"), ("right", "Right"), ("top", "Top"), ("bottom", "Bottom")],
        default="left",
        tooltip="Of files that hold input and target side by side, as those of pix2pix (maps, edges2shoes) do.",
    )
    label_folder = folder_field(
        "Label image folder",
        "One picture of the same name for each. The same folder as above: pairs by their names (1.png and 1_clean.png), or "
        "without such names each picture with itself.",
        forms.validate_required_iff(label_source="folder"),
    )
    label_pattern = pair_form.pattern_field("Label names", "as the pictures, but for additions such as _clean", "*_sharp")
    validation_label_folder = folder_field(
        "Validation label image folder", "", forms.validate_required_iff(label_source="folder", has_val_folder=True)
    )
    test_label_folder = folder_field(
        "Test label image folder", "", forms.validate_required_iff(label_source="folder", has_test_folder=True)
    )
