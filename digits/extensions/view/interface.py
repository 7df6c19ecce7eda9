"""The contract of a view: what a class must offer to show a model's outputs.

Holds: one instance per request. For each sample in order `process_data`, then `get_view_template` with its result, rendered
at once; after all of them `get_header_template`, then `get_ng_templates`. The page is one document, header first. All of it
runs in the plugin host. A method that raises costs its own box in the page.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from digits.extensions.view import GROUP

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["GROUP", "VisualizationInterface"]


class VisualizationInterface:
    """Base class of all views. Methods that a view must define raise NotImplementedError here.

    `counts_all`: whether what stands above or around the samples (`get_header_template`, `get_ng_templates`) tells something of
    all: then `process_data` is called for those too that a page does not show. A view whose header is a legend sets it to False.
    """

    counts_all = True

    def __init__(self, dataset: Any, **kwargs: Any) -> None:
        """`dataset` has `extension_userdata` (dict), `get_feature_dims()` → (H, W, C); keywords are the options' values."""

    @staticmethod
    def get_config_form() -> Any:
        """A Flask-WTF form instance with the options, bound to the request that is being answered."""
        raise NotImplementedError("get_config_form() is not defined.")

    @staticmethod
    def get_config_template(form: Any) -> tuple[str | None, dict[str, Any] | None]:
        """The options' Jinja text and the names it uses."""
        raise NotImplementedError("get_config_template(form) is not defined.")

    @staticmethod
    def get_default_visibility() -> bool:
        """Whether the choice shows it without DIGITS_ALL_EXTENSIONS."""
        return True

    @staticmethod
    def get_id() -> str:
        """The id by which requests name this view; never changes."""
        raise NotImplementedError("get_id() is not defined.")

    @staticmethod
    def get_title() -> str:
        """The entry in the choice of views."""
        raise NotImplementedError("get_title() is not defined.")

    @staticmethod
    def get_dirname() -> str:
        """Folder name of the view, kept for old views; static files are served from the plugin's own package."""
        return ""

    def get_header_template(self) -> tuple[str | None, dict[str, Any]]:
        """Jinja text above the results and the names it uses; called last, so it can show totals."""
        return self.get_summary_template()

    def get_summary_template(self) -> tuple[str | None, dict[str, Any]]:
        """The older name of `get_header_template`, kept for old views."""
        return None, {}

    def get_ng_templates(self) -> tuple[str | None, str | None]:
        """HTML put raw around the results."""
        return None, None

    def get_view_template(self, data: Any) -> tuple[str, dict[str, Any]]:
        """Jinja text for one sample and the names it uses; `data` is what `process_data` returned."""
        raise NotImplementedError(f"{type(self).__name__} does not define get_view_template(self, data).")

    def process_data(
        self,
        input_id: int | str,
        input_data: NDArray[Any],
        inference_data: Mapping[str, NDArray[Any]],
        ground_truth: Any = None,
    ) -> Any:
        """Prepare one sample.

        `input_id` is the number of a picture in what was tested, from 0, or the key of a record as text (`000000003`).
        `input_data` is (H, W) or (H, W, C), RGB, dtype kept. `inference_data` maps an output's name to its array without batch
        axis. `ground_truth` is the label as the records hold it, or None; classes that do not take it are not given it. Neither
        are those without a parameter `input_name`: the picture's path, or what the entry says of itself; without a parameter
        `candidates`: of a detection network that reports it, `boxes` (n, 6) before overlapping ones are suppressed, best first,
        and how the network does that (`overlap`, an intersection over union, and `most`, 0 all); without a parameter
        `thresholds`: of a model that finds classes one by one the score from which on each counts, (K,), else None; or without a
        parameter `origin`: where answers lie over their picture a dictionary of `size` (width, height) of the given picture,
        `scale` and `offset`, (x − offset) · scale being a place in it, and `pixels_of`, `picture` or, where the picture's own
        size is not known, `record`; else None.
        """
        raise NotImplementedError(f"{type(self).__name__} does not define process_data(...).")
