"""The form of multi-label classification."""

from __future__ import annotations

from typing import Any, ClassVar

from wtforms import validators

from digits.extensions.data.image_regression.forms import DatasetForm as RegressionForm
from digits.extensions.data.images.form_parts import readable_file
from digits.utils import forms


class DatasetForm(RegressionForm):
    """A folder of pictures, and a CSV file or sub-folders that say which labels they have."""

    GROUPS: ClassVar[Any] = (  # type: ignore[misc]
        (
            "Pictures and labels",
            (
                "image_folder",
                "label_source",
                "values_file",
                "image_column",
                "value_columns",
                "label_separator",
                "folder_pct_val",
                "folder_pct_test",
            ),
        ),
        *((title, fields) for title, fields in RegressionForm.GROUPS if title != "Pictures and numbers"),
    )

    value_kind: ClassVar[Any] = None  # type: ignore[misc]
    label_source = forms.SelectField(
        "Labels come from",
        choices=[("table", "A CSV file"), ("folders", "A folder for each label")],
        default="table",
        tooltip="The file has columns of 0 and 1, or of names such as cat;indoors. A picture of one name in several folders has "
        "several labels.",
    )
    values_file = forms.StringField(
        "CSV file",
        validators=[validators.Optional(), readable_file],
        tooltip="One picture a line: its name and its labels; a first line may name the columns. Not needed for folders.",
    )

    def validate_values_file(self, field: forms.StringField) -> None:
        if self.label_source.data == "table" and not field.data:
            raise validators.ValidationError("Name the CSV file, or choose folders.")
