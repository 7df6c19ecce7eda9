"""Image processing: the label is a picture as well."""

from __future__ import annotations

from typing import Any

from numpy.typing import NDArray

from digits.extensions.data.image_pairs.base import PairIngestion


class ProcessingIngestion(PairIngestion):
    """Pictures to pictures, e.g. noisy to clean."""

    @staticmethod
    def get_id() -> str:
        return "image-processing"

    @staticmethod
    def get_title() -> str:
        return "Processing"

    @staticmethod
    def get_dataset_form() -> Any:
        from digits.extensions.data.image_pairs.forms import PairForm

        return PairForm()

    @staticmethod
    def get_dataset_template(form: Any) -> tuple[str, dict[str, Any]]:
        from digits.extensions.data.image_pairs.forms import template_of

        return template_of(form)

    def get_task(self) -> str:
        return "processing"

    def encode_entry(self, entry: tuple[str, str]) -> tuple[NDArray[Any], NDArray[Any]]:
        feature, label = entry
        return self.feature(feature), self.feature(label)
