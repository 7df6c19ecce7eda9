"""What the arrays of a data set have in common, and how one that differs is brought to it where that loses nothing of its
meaning: grey becomes RGB by repeating it, RGB grey by its luma, a type becomes a wider one without scaling.

The one place for pictures of every source and for arrays of plugins; what cannot be converted is refused with the axis that
differs and what to do about it.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from digits.errors import Misfit
from digits.images.arrays import becomes, with_channels
from digits.tasks.label_forms import as_dtype, misfit

GREY, RGB = 1, 3
AXES = ("number of channels", "height", "width")
CHANNELS = "Choose a channel conversion, or give all the same channels."
SIZE = "Give a width and height to resize to, or switch off `Enforce same shape`."


@dataclass(frozen=True)
class ArrayForm:
    """Arrays (C, H, W) of `shape`, 0 for an axis that may differ, and of the type `dtype`.

    With `are_pictures` values of every type are grey or RGB, else only those of 8 bits. `strict` refuses other channels that
    cannot be converted; without it they stay.
    """

    shape: tuple[int, int, int]
    dtype: np.dtype
    are_pictures: bool = False
    strict: bool = True

    def differing(self, shape: tuple[int, ...], dtype: np.dtype) -> tuple[str, ...]:
        """What of an array of this shape and type stays another after `converted`, in the words of `AXES`, and `type`."""
        found = [name for name, have, want in zip(AXES, shape, self.shape, strict=True) if want not in (0, have)]
        if AXES[0] in found and (not self.strict or self._turns(shape[0], dtype)):
            found.remove(AXES[0])
        if not becomes(dtype, self.dtype):
            found.append("type")
        return tuple(found)

    def converted(self, array: np.ndarray, what: str, plugin: str, entry: str) -> tuple[np.ndarray, str]:
        """An array (C, H, W) of numbers in this form, and what was done to it in words, empty for nothing. Raises Misfit."""
        if array.dtype == self.dtype and array.shape == self.shape:
            return array, ""
        if differing := self.differing(array.shape, array.dtype):
            raise self._misfit(differing, array, what, plugin, entry)
        done = []
        if self._turns(array.shape[0], array.dtype):
            done.append("made grey, as most are" if self.shape[0] == GREY else "grey, stored as RGB as most are")
            array = with_channels(array.transpose(1, 2, 0), self.shape[0]).transpose(2, 0, 1)
        if array.dtype != self.dtype:
            done.append(f"of the type {array.dtype}, stored as {self.dtype} as most are, with its values unscaled")
            array = as_dtype(array, self.dtype, what, plugin, entry)
        return array, f"The {what} is {' and '.join(done)}." if done else ""

    def _turns(self, channels: int, dtype: np.dtype) -> bool:
        """Whether so many channels become those of the form. What differs in its type as well is no such picture."""
        alike = dtype == self.dtype and (self.are_pictures or dtype == np.uint8)
        return alike and channels != self.shape[0] and {channels, self.shape[0]} == {GREY, RGB}

    def _misfit(self, differing: tuple[str, ...], array: np.ndarray, what: str, plugin: str, entry: str) -> Misfit:
        found, advice = [], []
        if axes := [name for name in differing if name in AXES]:
            found.append(f"the shape {array.shape}, those of most {self.shape}: another {' and '.join(axes)}")
            advice += [CHANNELS] * (AXES[0] in axes) + [SIZE] * (axes != [AXES[0]])
        if "type" in differing:
            found.append(f"the type {array.dtype}, those of most {self.dtype}")
            advice.append(f"Encode all alike, as {self.dtype}.")
        return misfit(plugin, entry, f"the {what} has {'; and '.join(found)}", " ".join(advice))
