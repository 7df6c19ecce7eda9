"""Features and labels as tensors: mean, scale and the augmentations of R 3.5, on whole batches on the device.

Order: mirror, quarter turns, rotation, scale and shift (one resampling, bilinear; index maps nearest), HSV, contrast (about the
picture's mean), noise, then mean and scale, then whitening. Map labels follow what moves pixels.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from digits.domain.training import Augmentation
from digits.engines.training.augmentation import ASIDE, BLACK, EDGE, Transforms, draw, pixel_noise
from digits.engines.training.preprocessing import Preprocessing, mean_for

CHANNELS_LAST = "channels_last"  # key of a snapshot's metadata: the network takes inputs whose channels lie innermost


class Inputs:
    """Turns stored features (NumPy, N, C, H, W) into network inputs (float32) on a device."""

    def __init__(self, preprocessing: Preprocessing, mean_image: np.ndarray | None, device: torch.device) -> None:
        self.preprocessing = preprocessing
        self.mean_image = mean_image  # (C, H, W)
        self.device = device
        self.layout = torch.contiguous_format  # or channels_last, where the network takes it
        self._means: dict[tuple[int, ...], Tensor | None] = {}

    def __call__(self, features: np.ndarray) -> Tensor:
        return self.normalize(self.raw(features))

    def raw(self, features: np.ndarray) -> Tensor:
        """Features (N, C, H, W) of any dtype as float32 on the device, in stored units. 16-bit integers, which torch cannot
        compute with, are converted first."""
        if features.dtype not in (np.uint8, np.float32):
            features = features.astype(np.float32)
        tensor = torch.from_numpy(features)
        if self.device.type == "cuda":
            tensor = tensor.pin_memory().to(self.device, non_blocking=True)
        return tensor.to(torch.float32, memory_format=self.layout)

    def normalize(self, x: Tensor) -> Tensor:
        """`(x − mean) / std` of pictures (N, C, H, W) float32 in stored units, and each to mean 0 and deviation 1 where
        whitening is on. May write into `x`."""
        mean = self.mean_for(tuple(x.shape[-2:]))
        if mean is not None:
            x = x.sub_(mean)
        if self.preprocessing.std != 1.0:
            x = x.mul_(1.0 / self.preprocessing.std)
        return whiten(x) if self.preprocessing.whitening else x

    def mean_for(self, size: tuple[int, ...]) -> Tensor | None:
        """`preprocessing.mean_for` on the device, float32 (C, H, W) or (C, 1, 1)."""
        if size not in self._means:
            mean = mean_for(size, self.preprocessing, self.mean_image)
            self._means[size] = None if mean is None else torch.as_tensor(mean, device=self.device)
        return self._means[size]


class Augmenter:
    """The random changes of a training. Full intensity lies `unit` above `floor`, in stored units. `moves_labels`: labels are
    maps of the feature's size and move with it. `outside` is what comes in from outside of a moved picture."""

    def __init__(
        self,
        augmentation: Augmentation,
        unit: float,
        seed: int,
        *,
        moves_labels: bool,
        index_maps: bool,
        floor: float = 0.0,
        outside: str = EDGE,
    ) -> None:
        self.augmentation = augmentation
        self.unit, self.floor = unit, floor
        self.padding = {EDGE: "border", BLACK: "zeros"}[outside]
        self.seed = seed
        self.moves_labels = moves_labels
        self.index_maps = index_maps

    def __call__(self, x: Tensor, y: Any, epoch: int, samples: np.ndarray) -> tuple[Tensor, Any]:
        """Augmented `x` (N, C, H, W) in stored units and its labels."""
        transforms = draw(self.augmentation, self.seed, epoch, samples)
        x = self._move(x, transforms, nearest=False)
        if self.moves_labels:
            y = self._move_labels(y, transforms)
        return self._colour(x, transforms), y

    def _move_labels(self, y: Tensor, transforms: Transforms) -> Tensor:
        if not self.index_maps:
            return self._move(y, transforms, nearest=False)
        return self._move(y.unsqueeze(1).float(), transforms, nearest=True).squeeze(1).round().long()

    def _move(self, x: Tensor, transforms: Transforms, *, nearest: bool) -> Tensor:
        a = self.augmentation
        if a.flip != "none":
            x = _where(transforms.flip_x, x.flip(-1), x)
            x = _where(transforms.flip_y, x.flip(-2), x)
        angle, zoom = transforms.angle, transforms.zoom
        if a.quad_rot != "none" and x.shape[-1] == x.shape[-2]:
            for turns in (1, 2, 3):
                x = _where(transforms.quarter_turns == turns, x.rot90(turns, (-2, -1)), x)
        elif a.quad_rot != "none":
            angle = angle + transforms.quarter_turns * (np.pi / 2)  # a picture that is not square turns within its frame
        if angle.any() or (zoom != 1).any() or transforms.shift.any():
            x = _resample(x, angle, zoom, transforms.shift, nearest=nearest, padding=self.padding)
        return x

    def _colour(self, x: Tensor, transforms: Transforms) -> Tensor:
        a = self.augmentation
        if a.shifts_colours and x.shape[1] == 3:
            shift = torch.as_tensor(transforms.hsv, dtype=torch.float32, device=x.device)
            x = shift_hsv((x - self.floor) / self.unit, shift) * self.unit + self.floor
        if a.contrast:
            factor = torch.as_tensor(transforms.contrast, dtype=torch.float32, device=x.device).reshape(-1, 1, 1, 1)
            middle = x.mean(dim=(1, 2, 3), keepdim=True)  # (N, 1, 1, 1)
            x = (x - middle) * factor + middle
        if a.noise:
            noise = torch.from_numpy(pixel_noise(transforms.noise_keys, tuple(x.shape[1:]))).to(x.device)
            x = x + noise * (a.noise * self.unit)
        return x


def whiten(x: Tensor) -> Tensor:
    """Each picture of (N, C, H, W) float32 to mean 0 and standard deviation 1 (at least 1/sqrt(n), as a flat picture has
    none)."""
    count = x[0].numel()
    mean = x.mean(dim=(1, 2, 3), keepdim=True)  # (N, 1, 1, 1)
    std = x.std(dim=(1, 2, 3), keepdim=True, correction=0).clamp(min=count**-0.5)
    return (x - mean) / std


def shift_hsv(rgb: Tensor, shift: Tensor) -> Tensor:
    """Add `shift` (N, 3) to hue (in turns, wraps), saturation and value of RGB (N, 3, H, W), full intensity being 1. Saturation
    and value stop at 0 and 1; one that was beyond stays where it was."""
    r, g, b = rgb.unbind(dim=1)  # (N, H, W) each
    top, bottom = torch.maximum(torch.maximum(r, g), b), torch.minimum(torch.minimum(r, g), b)
    span = top - bottom
    coloured = span > 0
    safe = torch.where(coloured, span, 1.0)
    hue = torch.where(top == r, ((g - b) / safe) % 6, torch.where(top == g, (b - r) / safe + 2, (r - g) / safe + 4)) / 6
    saturation = torch.where(top > 0, span / top.clamp(min=1e-8), 0.0)
    moved = _within_range(saturation, shift[:, 1, None, None])
    made = _from_hsv(
        (hue + shift[:, 0, None, None]) % 1.0,
        torch.where(coloured, moved, saturation),
        _within_range(top, shift[:, 2, None, None]),
    )
    return torch.where((top < 0)[:, None], rgb, made)


def _within_range(x: Tensor, added: Tensor) -> Tensor:
    """`x` (N, H, W) and what is added to it, between 0 and 1, or `x` where that is beyond."""
    return torch.clamp(x + added, x.clamp(max=0.0), x.clamp(min=1.0))


def _from_hsv(hue: Tensor, saturation: Tensor, value: Tensor) -> Tensor:
    """Smith's formula f(n) = v − v·s·max(0, min(k, 4 − k, 1)) with k = (n + 6h) mod 6 for n = 5, 3, 1."""
    channels = []
    for n in (5.0, 3.0, 1.0):
        k = (n + hue * 6) % 6
        channels.append(value - value * saturation * torch.minimum(k, 4 - k).clamp(0, 1))
    return torch.stack(channels, dim=1)  # (N, 3, H, W) in [0, 1]


def _where(mask: np.ndarray, changed: Tensor, x: Tensor) -> Tensor:
    if not mask.any():
        return x
    chosen = torch.from_numpy(mask).to(x.device).reshape(-1, *[1] * (x.ndim - 1))
    return torch.where(chosen, changed, x)


def _resample(x: Tensor, angle: np.ndarray, zoom: np.ndarray, shift: np.ndarray, *, nearest: bool, padding: str) -> Tensor:
    """Turn by `angle` and enlarge by `zoom` about the centre, then move by `shift`; aspect is kept in pixels. `padding` is that
    of `grid_sample`."""
    height, width = x.shape[-2:]
    cos, sin = np.cos(angle) / zoom, np.sin(angle) / zoom
    turn = np.array([[cos, -sin * height / width], [sin * width / height, cos]])  # (2, 2, N), from output to input
    back = -np.einsum("ijn,nj->in", turn, 2 * shift)  # the sides are 2 long
    if nearest:
        back += np.array([[2 * ASIDE / width], [2 * ASIDE / height]])
    rows = np.concatenate([turn, back[:, None]], axis=1)
    theta = torch.as_tensor(rows.transpose(2, 0, 1), dtype=torch.float32, device=x.device)  # (N, 2, 3)
    grid = F.affine_grid(theta, list(x.shape), align_corners=False)  # (N, H, W, 2) in [-1, 1]
    return F.grid_sample(x, grid, mode="nearest" if nearest else "bilinear", padding_mode=padding, align_corners=False)
