"""Shows the main output as a picture beside the input: auto-encoders, denoising, image-to-image networks."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from flask_wtf import FlaskForm
from numpy.typing import NDArray

from digits.extensions.view.options import OptionsView
from digits.extensions.view.support import picture, shown_output, template
from digits.utils import forms
from digits.utils.image import embed_image_html

NORMALIZE = "normalize"


class ImageOutputOptions(FlaskForm):
    """How the numbers become colours."""

    channel_order = forms.SelectField(
        "Channel order",
        choices=[("rgb", "RGB"), ("bgr", "BGR")],
        default="rgb",
        tooltip="The order the network writes colours in.",
    )
    data_order = forms.SelectField(
        "Data order", choices=[("chw", "CHW"), ("hwc", "HWC")], default="chw", tooltip="The order of the output's axes."
    )
    pixel_conversion = forms.SelectField(
        "Pixel conversion",
        choices=[("normalize", "Normalise"), ("clip", "Clip")],
        default="normalize",
        tooltip="Normalise stretches from the least to the greatest value; clip cuts at 0 and 255 (or at 1).",
    )
    show_input = forms.SelectField(
        "Show input as image",
        choices=[("yes", "Yes"), ("no", "No")],
        default="yes",
        tooltip="No where the input is no picture, as the numbers that a generator starts from.",
    )


class Visualization(OptionsView):
    """Shows an array of one or three channels."""

    Options = ImageOutputOptions

    def __init__(self, dataset: Any, **kwargs: Any) -> None:
        super().__init__(dataset, **kwargs)
        self.bgr = kwargs.get("channel_order") == "bgr"
        self.hwc = kwargs.get("data_order") == "hwc"
        self.normalize = kwargs.get("pixel_conversion", NORMALIZE) == NORMALIZE
        self.show_input = kwargs.get("show_input", "yes") == "yes"

    @staticmethod
    def get_id() -> str:
        return "image-image-output"

    @staticmethod
    def get_title() -> str:
        return "Image output"

    def get_view_template(self, data: Any) -> tuple[str, dict[str, Any]]:
        return template("image_output"), {"images": data}

    def process_data(
        self, input_id: int | str, input_data: NDArray[Any], inference_data: Mapping[str, NDArray[Any]], ground_truth: Any = None
    ) -> list[dict[str, str]]:
        """As `VisualizationInterface.process_data`; the output is a picture (C, H, W), (H, W, C) or (H, W)."""
        images = [("Output", embed_image_html(self._pixels(shown_output(inference_data))))]
        if self.show_input:
            images.insert(0, ("Input", picture(input_data)))
        if isinstance(ground_truth, np.ndarray) and ground_truth.ndim == 3:
            images.append(("Wanted", embed_image_html(self._pixels(ground_truth))))
        return [{"title": title, "src": src} for title, src in images]

    def _pixels(self, output: NDArray[Any]) -> NDArray[np.uint8]:
        """uint8 (H, W) or (H, W, 3). Raises ValueError for an output that is no picture."""
        array = output if output.ndim == 3 else output[np.newaxis] if output.ndim == 2 else None
        if array is None:
            raise ValueError(f"the output has shape {output.shape}; a picture has the shape (C, H, W), (H, W, C) or (H, W)")
        array = array if self.hwc and output.ndim == 3 else array.transpose(1, 2, 0)
        if array.shape[2] not in (1, 3):
            raise ValueError(f"the output has {array.shape[2]} channels; 1 or 3 can be shown. Is the data order right?")
        pixels = self._eight_bits(array.astype(np.float64))
        return pixels[:, :, 0] if pixels.shape[2] == 1 else pixels[:, :, ::-1] if self.bgr else pixels

    def _eight_bits(self, array: NDArray[Any]) -> NDArray[np.uint8]:
        if self.normalize:
            low, high = array.min(), array.max()
            return ((array - low) / ((high - low) or 1.0) * 255 + 0.5).astype(np.uint8)
        scale = 255.0 if array.max() <= 1.0 else 1.0
        return (array * scale).round().clip(0, 255).astype(np.uint8)
