"""The contract of a data source: what a class must offer to turn somebody's files into records.

Holds, for built-in and installed sources alike:
* `__init__` runs once, when the data set is created, with the checked form values; what it leaves in `userdata` (and, where
  they can be pickled, its other attributes) is frozen in the job folder and comes back for every stage and every later use.
* `itemize_entries` runs in one process, stage after stage. `encode_entry` runs in several processes and any order;
  records keep the order of `itemize_entries`.
* Features are C,H,W, colour in RGB. A label is a number (Python, NumPy or an array of size 1) or a 3-D array.
* Form and template methods run in the plugin host, never in the web server.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from digits.extensions.data import GROUP

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Pair = tuple[NDArray[Any], NDArray[Any] | np.generic | int | float | None]

__all__ = ["GROUP", "DataIngestionInterface"]


class DataIngestionInterface:
    """Base class of all data sources. Methods that a source must define raise NotImplementedError here."""

    # How entries are encoded: `processes` (spawned; the default), `threads`, or `serial` where neither is possible.
    encode_mode = "processes"

    def __init__(self, is_inference_db: bool = False, **kwargs: Any) -> None:
        """Keep the form's values as `userdata` and as attributes. `is_inference_db`: built to test a model, not to train one."""
        self.userdata: dict[str, Any] = dict(kwargs)
        self.is_inference_db = is_inference_db
        for name, value in kwargs.items():
            setattr(self, name, value)

    def encode_entry(self, entry: Any) -> Pair | list[Pair]:
        """Make one entry a `(feature, label)` pair, a list of such pairs, or an empty list (the entry is skipped and counted).

        `feature`: array (C, H, W). `label`: a number, an array of size 1, an array (C, H, W), or None; boxes of a detection
        source (n,) of `digits.storage.records.BOX_DTYPE` or the original's 1×N×16, numbers of a regression source also (K,).
        """
        raise NotImplementedError(f"{type(self).__name__} does not define encode_entry(self, entry).")

    def itemize_entries(self, stage: str) -> Iterable[Any]:
        """The entries of `train_db`, `val_db` or `test_db`, each something that can be pickled; empty: no such split."""
        raise NotImplementedError(f"{type(self).__name__} does not define itemize_entries(self, stage).")

    @staticmethod
    def recognise(folder: str) -> list[dict[str, Any]]:
        """What a folder may be for this source, for *Let the folder be recognised*: dictionaries with `values` (for the form),
        `records` (about how many they would give), `reason` (a sentence) and perhaps `title`; none where it is nothing.

        Called with folders that the server allows. It should look at names and a few headers for a second at most.
        """
        return []

    @staticmethod
    def get_category() -> str:
        """The heading in the menu, e.g. `Images`."""
        raise NotImplementedError("get_category() is not defined.")

    @staticmethod
    def get_id() -> str:
        """The id by which jobs and addresses name this source; never changes."""
        raise NotImplementedError("get_id() is not defined.")

    @staticmethod
    def get_title() -> str:
        """The entry in the menu."""
        raise NotImplementedError("get_title() is not defined.")

    @staticmethod
    def get_needs() -> str:
        """What one must have for it, as a line below the entry in the menu; empty: which package it is of."""
        return ""

    @staticmethod
    def get_default_visibility() -> bool:
        """Whether the menu shows it without DIGITS_ALL_EXTENSIONS."""
        return True

    @staticmethod
    def get_dataset_form() -> Any:
        """A Flask-WTF form instance, bound to the request that is being answered."""
        raise NotImplementedError("get_dataset_form() is not defined.")

    @staticmethod
    def get_dataset_template(form: Any) -> tuple[str, dict[str, Any]]:
        """The form's Jinja text and the names it uses."""
        raise NotImplementedError("get_dataset_template(form) is not defined.")

    def get_inference_form(self) -> Any:
        """A form for testing a model on other data, or None: no inference of its own."""
        return None

    @staticmethod
    def get_inference_template(form: Any) -> tuple[str | None, dict[str, Any] | None]:
        """The inference form's Jinja text and the names it uses."""
        return None, None

    def get_user_data(self) -> dict[str, Any]:
        """What is kept: a dictionary pickle can store. The core reads `class_labels` and `color_palette` (768 integers)."""
        return self.userdata

    def get_task(self) -> str | None:
        """`classification`, `segmentation`, `detection`, `processing`, `regression` or `generic`; None: seen from the labels."""
        return None
