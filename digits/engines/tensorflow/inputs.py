"""Features and labels as tensors in Keras' layout: mean, scale and the augmentations of R 3.5, as a part of the compiled step.

Order and meaning are those of `torch_inputs`: mirror, quarter turns, rotation, scale and shift (one resampling, bilinear; index
maps nearest; edges repeated), HSV, contrast (about the picture's mean), noise, then mean and scale, then whitening.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from digits.domain.training import Augmentation
from digits.engines.tensorflow.start import tf
from digits.engines.training.augmentation import ASIDE, draw, pixel_noise
from digits.engines.training.preprocessing import Preprocessing, mean_for
from digits.utils.resizing import centre_part

FEW = 4  # channels


class Inputs:
    """Turns stored features, a tensor (N, C, H, W), into network inputs, float32 (N, H, W, C)."""

    def __init__(self, preprocessing: Preprocessing, mean_image: np.ndarray | None) -> None:
        self.preprocessing = preprocessing
        self.mean_image = mean_image  # (C, H, W)

    def __call__(self, features: Any) -> Any:
        return self.normalize(self.raw(features))

    def raw(self, features: Any) -> Any:
        """Float32 (N, H, W, C) in stored units."""
        if features.shape[1] <= FEW:  # oneDNN cannot transpose bytes everywhere, and says so in the log
            return tf.cast(tf.stack(tf.unstack(features, axis=1), axis=-1), tf.float32)
        return tf.transpose(tf.cast(features, tf.float32), (0, 2, 3, 1))

    def normalize(self, x: Any) -> Any:
        """`(x − mean) / std`, and each picture to mean 0 and deviation 1 where whitening is on."""
        mean = self.mean_for(x)
        if mean is not None:
            x = x - mean
        if self.preprocessing.std != 1.0:
            x = x * np.float32(1.0 / self.preprocessing.std)
        return whiten(x) if self.preprocessing.whitening else x

    def mean_for(self, x: Any) -> np.ndarray | None:
        """`preprocessing.mean_for` for pictures (N, H, W, C), in their layout: (H, W, C) or (1, 1, C)."""
        mean = mean_for((x.shape[1], x.shape[2]), self.preprocessing, self.mean_image)
        return None if mean is None else np.ascontiguousarray(mean.transpose(1, 2, 0))


class Augmenter:
    """The random changes of a training. Full intensity lies `unit` above `floor`, in stored units. `moves_labels`: labels are
    maps of the feature's size and move with it."""

    def __init__(
        self, augmentation: Augmentation, unit: float, seed: int, *, moves_labels: bool, index_maps: bool, floor: float = 0.0
    ) -> None:
        self.augmentation = augmentation
        self.unit, self.floor = unit, floor
        self.seed = seed
        self.moves_labels = moves_labels
        self.index_maps = index_maps

    def transforms(self, epoch: int, samples: np.ndarray, shape: tuple[int, ...]) -> dict[str, np.ndarray]:
        """The random numbers of the samples (n,) whose features are (C, H, W): arrays (n, …) for the step, none where nothing
        changes. `flip_x`, `flip_y` bool (n,), `turns` int64 (n,), `transform` float32 (n, 8), `hsv` (n, 3), `contrast`
        (n,), `noise` (n, H, W, C)."""
        a = self.augmentation
        drawn = draw(a, self.seed, epoch, samples)
        values: dict[str, np.ndarray] = {}
        if a.flip != "none":
            values |= {"flip_x": drawn.flip_x, "flip_y": drawn.flip_y}
        angle, square = drawn.angle, shape[1] == shape[2]
        if a.quad_rot != "none" and square:
            values["turns"] = drawn.quarter_turns
        elif a.quad_rot != "none":
            angle = angle + drawn.quarter_turns * (np.pi / 2)  # a picture that is not square turns within its frame
        if a.rot or a.scale or a.shift or (a.quad_rot != "none" and not square):
            values["transform"] = transforms(angle, drawn.zoom, drawn.shift, shape[1:])
        if a.shifts_colours and shape[0] == 3:
            values["hsv"] = drawn.hsv.astype(np.float32)
        if a.contrast:
            values["contrast"] = drawn.contrast.astype(np.float32)
        if a.noise:
            values["noise"] = pixel_noise(drawn.noise_keys, shape).transpose(0, 2, 3, 1)
        return values

    def __call__(self, x: Any, y: Any, transforms: Mapping[str, Any]) -> tuple[Any, Any]:
        """Augmented `x` (N, H, W, C) in stored units and its labels: index maps (N, H, W), or pictures (N, H, W, C)."""
        moved = self._move(x, transforms, "BILINEAR")
        if self.moves_labels and self.index_maps:
            y = tf.cast(tf.round(self._move(tf.cast(y, tf.float32)[..., None], transforms, "NEAREST")), y.dtype)[..., 0]
        elif self.moves_labels:
            y = self._move(y, transforms, "BILINEAR")
        return self._colour(moved, transforms), y

    def _move(self, x: Any, transforms: Mapping[str, Any], interpolation: str) -> Any:
        if "flip_x" in transforms:
            x = _where(transforms["flip_x"], tf.reverse(x, [2]), x)
            x = _where(transforms["flip_y"], tf.reverse(x, [1]), x)
        if "turns" in transforms:
            for turns in (1, 2, 3):
                x = _where(transforms["turns"] == turns, tf.image.rot90(x, turns), x)
        if "transform" in transforms:
            aside = np.array([0, 0, ASIDE, 0, 0, ASIDE, 0, 0], np.float32) * (interpolation == "NEAREST")
            x = tf.raw_ops.ImageProjectiveTransformV3(
                images=x,
                transforms=transforms["transform"] + aside,
                output_shape=tf.shape(x)[1:3],
                fill_value=0.0,
                interpolation=interpolation,
                fill_mode="NEAREST",
            )
        return x

    def _colour(self, x: Any, transforms: Mapping[str, Any]) -> Any:
        if "hsv" in transforms:
            floor = self.floor  # where it is 0, two passes over the picture are saved
            seen = shift_hsv((x - floor if floor else x) / self.unit, transforms["hsv"]) * self.unit
            x = seen + floor if floor else seen
        if "contrast" in transforms:
            middle = tf.reduce_mean(x, (1, 2, 3), keepdims=True)  # (N, 1, 1, 1)
            x = (x - middle) * transforms["contrast"][:, None, None, None] + middle
        if "noise" in transforms:
            x = x + transforms["noise"] * (self.augmentation.noise * self.unit)
        return x


def whiten(x: Any) -> Any:
    """Each picture to mean 0 and standard deviation 1 (at least 1/sqrt(n), as a flat picture has none)."""
    count = tf.cast(tf.reduce_prod(tf.shape(x)[1:]), tf.float32)
    mean, variance = tf.nn.moments(x, (1, 2, 3), keepdims=True)
    return (x - mean) / tf.maximum(tf.sqrt(variance), tf.math.rsqrt(count))


def centre(image: Any, size: tuple[int | None, int | None]) -> Any:
    """The middle of an array (…, H, W); None when it is smaller than `size` or `size` is not known."""
    return None if size[0] is None or size[1] is None else centre_part(image, (size[0], size[1]))


def shift_hsv(rgb: Any, shift: Any) -> Any:
    """Add `shift` (N, 3) to hue (in turns, wraps), saturation and value of RGB (N, H, W, 3), full intensity being 1. Saturation
    and value stop at 0 and 1; one that was beyond stays where it was."""
    hue, saturation, value = tf.unstack(tf.image.rgb_to_hsv(rgb), axis=-1)  # (N, H, W) each
    added = shift[:, None, None, :]
    moved = tf.where(saturation > 0, _within_range(saturation, added[..., 1]), saturation)
    hsv = tf.stack([tf.math.floormod(hue + added[..., 0], 1.0), moved, _within_range(value, added[..., 2])], axis=-1)
    return tf.where((value < 0)[..., None], rgb, tf.image.hsv_to_rgb(hsv))


def _within_range(x: Any, added: Any) -> Any:
    """`x` (N, H, W) and what is added to it, between 0 and 1, or `x` where that is beyond."""
    return tf.clip_by_value(x + added, tf.minimum(x, 0.0), tf.maximum(x, 1.0))


def transforms(angle: np.ndarray, zoom: np.ndarray, shift: np.ndarray, size: tuple[int, ...]) -> np.ndarray:
    """Turns by `angle` (N,) in radians and enlargements by `zoom` (N,) about the centre, then moves by `shift` (N, 2), right
    and down as part of width and height: float32 (N, 8) from output to input pixels, as ImageProjectiveTransformV3 takes
    them; `size` is (H, W)."""
    y, x = (size[0] - 1) / 2, (size[1] - 1) / 2
    new_x, new_y = x + shift[:, 0] * size[1], y + shift[:, 1] * size[0]  # where the centre comes to lie
    cos, sin = np.cos(angle) / zoom, np.sin(angle) / zoom
    zero = np.zeros_like(cos)
    rows = [cos, -sin, x - cos * new_x + sin * new_y, sin, cos, y - sin * new_x - cos * new_y, zero, zero]
    return np.stack(rows, axis=1).astype(np.float32)


def _where(mask: Any, changed: Any, x: Any) -> Any:
    return tf.where(tf.reshape(mask, (-1, *[1] * (len(x.shape) - 1))), changed, x)
